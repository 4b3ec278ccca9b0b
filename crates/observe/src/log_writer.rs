//! The thread that writes log events to their files, batch by batch.
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
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lambkin_model::log::LogStreamName;

use crate::line;
use crate::log_file::LogFiles;
use crate::log_queue::{Batch, LogQueue};

/// Bytes of events taken at once: bounds the memory of their lines.
const CHUNK_BYTES: usize = 1024 * 1024;
/// How long events gather before they are written, and how long the writer looks for more before
/// it sleeps. The promise is one second at most.
const GATHER: Duration = Duration::from_millis(100);
const DROWSE: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Streams whose losses are counted; those of others are only in lambkin's own log.
const LOST_STREAMS: usize = 10_000;

/// The lines of one stream out of one chunk.
struct Lines {
    stream: Arc<LogStreamName>,
    text: Vec<u8>,
    events: u64,
    batches: u64,
    bytes: usize,
}

pub(crate) struct LogWriter {
    pub queue: Arc<LogQueue>,
    pub files: LogFiles,
    pub patience: Duration,
    /// Events that were dropped and not told of yet.
    pub lost: HashMap<Arc<LogStreamName>, u64>,
    /// Whether the last write failed, so that each change of that is said once.
    pub failing: bool,
}

impl LogWriter {
    /// Runs until the queue is closed and drained, or closed and out of time. Returns how many
    /// events were not written at the end.
    pub(crate) fn run(mut self) -> u64 {
        loop {
            let batches = self.queue.take(CHUNK_BYTES, GATHER, DROWSE);
            if batches.is_empty() {
                return 0;
            }
            let mut chunk = by_stream(batches).into_iter();
            while let Some(lines) = chunk.next() {
                if !self.write(&lines) {
                    let rest: u64 = chunk.map(|lines| lines.events).sum();
                    return lines.events + rest + self.queue.waiting_events() as u64;
                }
            }
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
                self.lose(&lines.stream, lines.events);
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
                self.lose(&lines.stream, lines.events);
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
            self.files.append(&lines.stream, &notice(*lost))?;
            self.lost.remove(&lines.stream);
        }
        self.files.append(&lines.stream, &lines.text)?;
        if std::mem::take(&mut self.failing) {
            tracing::warn!("log events are written again");
            self.tell_of_lost();
        }
        Ok(())
    }

    /// Writes the notices of streams that may get no events any more.
    fn tell_of_lost(&mut self) {
        let files = &mut self.files;
        self.lost.retain(|stream, lost| files.append(stream, &notice(*lost)).is_err());
    }

    fn lose(&mut self, stream: &Arc<LogStreamName>, events: u64) {
        if self.lost.len() >= LOST_STREAMS && !self.lost.contains_key(stream) {
            return;
        }
        *self.lost.entry(Arc::clone(stream)).or_default() += events;
    }
}

fn notice(lost: u64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let text = format!("[lambkin: {lost} log events were dropped here, the log store could not be written]");
    let mut line = Vec::new();
    line::write(&mut line, millis, text.as_bytes());
    line
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
            all.push(Lines { stream, text: Vec::new(), events: 0, batches: 0, bytes: 0 });
        }
        let lines = &mut all[place];
        for event in &batch.events {
            line::write(&mut lines.text, event.at.millis(), &event.message);
        }
        lines.events += batch.events.len() as u64;
        lines.batches += 1;
        lines.bytes += batch.bytes;
    }
    all
}
