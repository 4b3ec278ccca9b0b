//! The thread that writes log events to their groups, batch by batch, and now and then removes what is too old or too
//! much.
//!
//! While the disk refuses (full, above all) it tries again with back-off, and what comes stays in
//! the queue, which slows those who log. When nothing has had room for `patience` the oldest events
//! are dropped, counted, and told of by a line in each stream that lost some: a full disk must not
//! stop every function for good.
//!
//! Deliberately not here: the queue's bounds.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lambkin_model::log::{LogEvent, LogStreamName};
use lambkin_model::time::Timestamp;

use crate::emf::Extractor;
use crate::log_counts::{LogCounts, add};
use crate::log_queue::{Batch, LogQueue};
use crate::store::block::Packer;
use crate::store::group::{Group, GroupKey};
use crate::store::groups::Groups;

/// Bytes of events taken at once.
const CHUNK_BYTES: usize = 1024 * 1024;
/// How long events gather before they are written, and how long the writer looks for more before
/// it sleeps. The promise is one second at most.
const GATHER: Duration = Duration::from_millis(100);
const DROWSE: Duration = Duration::from_secs(2);
/// How often what is too old or too much is looked for; also after a sixteenth of the cap was written.
const SWEEP: Duration = Duration::from_secs(30);
/// A full store is emptied to this many sixteenths of its cap.
const KEPT_SIXTEENTHS: u64 = 15;
/// The stream of a group in which lambkin says that it dropped some of its events.
const NOTICES: &str = "[lambkin]";
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Streams whose losses are counted; those of others are only in lambkin's own log.
const LOST_STREAMS: usize = 10_000;

/// The events of one stream out of one chunk.
struct Lines {
    stream: Arc<LogStreamName>,
    events: Vec<LogEvent>,
    batches: u64,
    bytes: usize,
}

pub(crate) struct LogWriter {
    pub queue: Arc<LogQueue>,
    pub groups: Arc<Groups>,
    pub counts: Arc<LogCounts>,
    pub packer: Packer,
    /// Takes the metrics out of what was written.
    pub extractor: Option<Extractor>,
    pub patience: Duration,
    /// Bytes on disk beyond which the oldest events go.
    pub cap: u64,
    /// Groups whose tail is open, the one used last at the end, and how many may be.
    pub open: Vec<Arc<Group>>,
    pub open_limit: usize,
    /// Bytes since the last sweep.
    pub written: u64,
    /// Events that were dropped and not told of yet.
    pub lost: HashMap<Arc<LogStreamName>, u64>,
    /// Whether the last write failed, so that each change of that is said once.
    pub failing: bool,
}

impl LogWriter {
    /// Runs until the queue is closed and drained, or closed and out of time. Returns how many
    /// events were not written at the end.
    pub(crate) fn run(mut self) -> u64 {
        let mut swept: Option<Instant> = None;
        loop {
            if swept.is_none_or(|swept| swept.elapsed() >= SWEEP) || self.written > self.cap / 16 {
                self.sweep();
                self.written = 0;
                swept = Some(Instant::now());
            }
            let Some(batches) = self.queue.take(CHUNK_BYTES, GATHER, DROWSE, SWEEP) else { return 0 };
            let mut chunk = by_stream(batches).into_iter();
            while let Some(lines) = chunk.next() {
                if !self.write(&lines) {
                    let rest: usize = chunk.map(|lines| lines.events.len()).sum();
                    return (lines.events.len() + rest + self.queue.waiting_events()) as u64;
                }
            }
        }
    }

    /// Removes what is older than its group's retention, and the oldest of what is beyond the cap.
    fn sweep(&mut self) {
        let now = millis();
        let mut groups = Vec::new();
        for group in self.groups.all() {
            let extent = group
                .with(now, Some(&mut self.packer), |_| ())
                .and_then(|()| group.expire(now))
                .and_then(|()| group.extent(now));
            match extent {
                Ok(extent) => groups.push((group, extent)),
                // Deleted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::error!(group = %group.key.name, %error, "a log group cannot be read"),
            }
        }
        let mut bytes: u64 = groups.iter().map(|(_, extent)| extent.bytes).sum();
        self.counts.groups.store(groups.len() as u64, Ordering::Relaxed);
        self.counts.kept.store(bytes, Ordering::Relaxed);
        if bytes <= self.cap {
            return;
        }
        let mut dropped: HashMap<GroupKey, (u64, u64)> = HashMap::new();
        while bytes > self.cap / 16 * KEPT_SIXTEENTHS {
            let oldest = groups
                .iter_mut()
                .filter(|(_, extent)| extent.bytes > 0)
                .min_by_key(|(_, extent)| extent.oldest);
            let Some((group, extent)) = oldest else { break };
            match group.drop_oldest().and_then(|gone| Ok((gone, group.extent(now)?))) {
                Ok((Some(gone), after)) => {
                    let all = dropped.entry(group.key.clone()).or_default();
                    all.0 += gone.events;
                    all.1 = all.1.max(gone.until);
                    bytes -= extent.bytes.saturating_sub(after.bytes).min(bytes);
                    *extent = after;
                }
                Ok((None, _)) => extent.bytes = 0,
                Err(error) => {
                    tracing::error!(group = %group.key.name, %error, "old log events could not be dropped");
                    extent.bytes = 0;
                }
            }
        }
        self.counts.kept.store(bytes, Ordering::Relaxed);
        let gone = dropped.values().map(|(events, _)| events).sum();
        self.counts.pushed_out.fetch_add(gone, Ordering::Relaxed);
        if self.cap == 0 {
            return;
        }
        for (key, (events, until)) in dropped {
            let until = Timestamp(until.saturating_mul(1000)).iso();
            let megabytes = self.cap >> 20;
            let text = format!(
                "[lambkin: {events} events of this group, up to {until}, were dropped: all logs together may take {megabytes} MB]"
            );
            tracing::warn!(group = %key.name, "{text}");
            let stream = Arc::new(LogStreamName {
                account: key.account,
                region: key.region,
                group: key.name,
                stream: NOTICES.into(),
            });
            if let Err(error) = self.put(&stream, &[event(text)]) {
                tracing::warn!(%error, "the notice could not be written");
            }
        }
    }

    fn put(&mut self, stream: &LogStreamName, events: &[LogEvent]) -> io::Result<()> {
        let key = GroupKey {
            account: Arc::clone(&stream.account),
            region: Arc::clone(&stream.region),
            name: Arc::clone(&stream.group),
        };
        loop {
            let (group, _) = self.groups.get_or_make(&key);
            match group.append(&mut self.packer, &stream.stream, events, millis()) {
                // Deleted between the two: it begins anew.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !self.groups.has(&group) => {}
                done => {
                    self.keep_open(group);
                    return done;
                }
            }
        }
    }

    fn keep_open(&mut self, group: Arc<Group>) {
        self.open.retain(|open| !Arc::ptr_eq(open, &group));
        self.open.push(group);
        if self.open.len() > self.open_limit {
            self.open.remove(0).rest();
        }
    }

    /// Writes the lines, or gives them up; `false` where the store closes and its time is up.
    fn write(&mut self, lines: &Lines) -> bool {
        let begin = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.append(lines) {
                Ok(()) => break,
                Err(error) => error,
            };
            if !std::mem::replace(&mut self.failing, true) {
                tracing::error!(
                    "log events of {} cannot be written ({error}); they wait in memory, and functions with them",
                    lines.stream.group
                );
            }
            if self.queue.full_for() >= self.patience {
                self.lose(&lines.stream, lines.events.len() as u64);
                let given_up = self.queue.give_up();
                for batch in &given_up {
                    self.lose(&batch.stream, batch.events.len() as u64);
                }
                self.queue.done(given_up.len() as u64, given_up.iter().map(|batch| batch.bytes).sum());
                tracing::error!(
                    "log events were dropped: there was no room for {:?} ({error})",
                    self.patience
                );
                break;
            }
            // What is wrong with this one file must not hold up all others for ever.
            if !is_full(&error) && begin.elapsed() >= self.patience {
                self.lose(&lines.stream, lines.events.len() as u64);
                tracing::error!("log events of {} were dropped: {error}", lines.stream.group);
                break;
            }
            if !self.queue.pause(pause) {
                return false;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.queue.done(lines.batches, lines.bytes);
        true
    }

    fn append(&mut self, lines: &Lines) -> io::Result<()> {
        if let Some(lost) = self.lost.get(&lines.stream) {
            self.put(&lines.stream, &[notice(*lost)])?;
            self.lost.remove(&lines.stream);
        }
        self.put(&lines.stream, &lines.events)?;
        if let Some(extractor) = &mut self.extractor {
            extractor.take(&lines.stream, &lines.events, millis());
        }
        add(&self.counts.events, lines.events.len());
        add(&self.counts.bytes, lines.events.iter().map(|event| event.message.len()).sum());
        self.written += lines.bytes as u64;
        if std::mem::take(&mut self.failing) {
            tracing::warn!("log events are written again");
            self.tell_of_lost();
        }
        Ok(())
    }

    /// Writes the notices of streams that may get no events any more.
    fn tell_of_lost(&mut self) {
        let mut lost = std::mem::take(&mut self.lost);
        lost.retain(|stream, lost| self.put(stream, &[notice(*lost)]).is_err());
        self.lost = lost;
    }

    fn lose(&mut self, stream: &Arc<LogStreamName>, events: u64) {
        self.counts.lost.fetch_add(events, Ordering::Relaxed);
        if self.lost.len() >= LOST_STREAMS && !self.lost.contains_key(stream) {
            return;
        }
        *self.lost.entry(Arc::clone(stream)).or_default() += events;
    }
}

fn notice(lost: u64) -> LogEvent {
    event(format!("[lambkin: {lost} log events were dropped here, the log store could not be written]"))
}

fn event(text: String) -> LogEvent {
    LogEvent { at: Timestamp(millis() * 1000), message: Bytes::from(text) }
}

/// The wall clock, in milliseconds since 1970.
pub(crate) fn millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// One write for each stream, with its events in their order.
fn by_stream(batches: Vec<Batch>) -> Vec<Lines> {
    let mut all: Vec<Lines> = Vec::new();
    let mut places: HashMap<Arc<LogStreamName>, usize> = HashMap::new();
    for batch in batches {
        let place = *places.entry(Arc::clone(&batch.stream)).or_insert(all.len());
        if place == all.len() {
            let stream = Arc::clone(&batch.stream);
            all.push(Lines { stream, events: Vec::new(), batches: 0, bytes: 0 });
        }
        let lines = &mut all[place];
        lines.events.extend(batch.events);
        lines.batches += 1;
        lines.bytes += batch.bytes;
    }
    all
}
