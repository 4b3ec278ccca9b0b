//! The log store: the port `LogSink` over a bounded queue and one writing thread, and what reads and changes groups.
//!
//! Deliberately not here: CloudWatch Logs' rules (`logs`), the files (`store`).

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lambkin_model::Pending;
use lambkin_model::figure::{Figure, Figures};
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use tokio::sync::watch;

use crate::emf::Extractor;
use crate::log_counts::LogCounts;
use crate::log_queue::LogQueue;
use crate::log_writer::{LogWriter, millis};
use crate::metrics::MetricStore;
use crate::store::block::{Event, Packer};
use crate::store::group::{GroupKey, Settings, Sizes};
use crate::store::groups::Groups;
use crate::store::search::{self, Arrival, Filter, Page, Position, Wanted};

/// How long dropping the store waits for queued events where nobody closed it before.
const DROP_WAIT: Duration = Duration::from_secs(5);
/// What a thread gets beyond its deadline to end in, when the disk answers at all.
const END_WAIT: Duration = Duration::from_secs(1);

/// Bounds of the log store.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes of events in memory above which callers are asked to wait.
    pub queue_bytes: usize,
    /// Files of groups kept open.
    pub open_files: usize,
    /// Bytes on disk, of all groups together, beyond which the oldest events are dropped, with a notice in the stream
    /// `[lambkin]` of their group. Zero: nothing is kept, of what there was neither.
    pub cap: u64,
    /// Bytes of events that are compressed together.
    pub block_bytes: u64,
    /// How long there may be no room before the oldest events are dropped, with a notice in each
    /// stream that lost some.
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            queue_bytes: 16 * 1024 * 1024,
            open_files: 64,
            cap: 10 << 30,
            block_bytes: 1 << 20,
            patience: Duration::from_secs(30),
        }
    }
}

/// Why the log store could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct OpenError {
    /// What could not be made or begun.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The store was closed with events that could not be written in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{events} log events were not written in time")]
pub struct Undrained {
    /// How many.
    pub events: u64,
}

/// Log events by account, region, group and stream.
///
/// An event is on its file at most a second after `append` while the disk keeps up. It outlives
/// lambkin from then on; it is not synced against a power cut.
pub struct LogStore {
    root: PathBuf,
    queue: Arc<LogQueue>,
    groups: Arc<Groups>,
    counts: Arc<LogCounts>,
    cap: u64,
    writer: Mutex<Option<Writer>>,
    /// What is appended is thrown away.
    keeps_nothing: bool,
    late: AtomicBool,
}

/// What is read of a group.
pub(crate) struct Asked<'a> {
    pub from: Position,
    /// Not this one any more.
    pub until: Position,
    /// Those that came in here.
    pub arrived: Range<Arrival>,
    /// Of these streams alone.
    pub streams: Option<&'a [String]>,
    /// Of streams whose names begin so.
    pub prefix: Option<&'a str>,
    pub filter: Option<&'a dyn Filter>,
    /// The last ones instead of the first.
    pub newest: bool,
    pub limit: usize,
    pub bytes: usize,
    pub deadline: Instant,
}

/// How far a group has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    /// When it was made: one that was made anew begins anew.
    pub created: u64,
    /// Where the next event will stand.
    pub arrival: Arrival,
}

/// Which events of a group are read, one page at a time.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    /// From here.
    pub from: Position,
    /// Not this one any more.
    pub until: Position,
    /// Of this stream alone.
    pub stream: Option<&'a str>,
    /// Most events of the page.
    pub limit: usize,
    /// The last ones instead of the first.
    pub newest: bool,
}

impl Default for Read<'_> {
    fn default() -> Self {
        Self {
            from: Position::of(0),
            until: Position::of(u64::MAX),
            stream: None,
            limit: 10_000,
            newest: false,
        }
    }
}

/// A stream of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Its name.
    pub name: Arc<str>,
    /// In milliseconds since 1970.
    pub created: u64,
    /// Times of its first and last event and of the last time something came, where it has any.
    pub times: Option<(u64, u64, u64)>,
}

/// Bytes of messages of one page: 1 MiB, as AWS answers.
pub(crate) const PAGE_BYTES: usize = 1 << 20;
/// How long one page may be looked for, where it gets on.
pub(crate) const PAGE_TIME: Duration = Duration::from_secs(5);
/// Largest segment. A cap needs some of them, so that not all is dropped at once.
const SEGMENT_BYTES: u64 = 32 << 20;
/// Smaller blocks do not compress.
const SMALLEST_BLOCK: u64 = 4096;

struct Writer {
    thread: JoinHandle<u64>,
    /// Disconnected when the thread is about to end.
    ended: mpsc::Receiver<()>,
}

impl std::fmt::Debug for LogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogStore").field("root", &self.root).finish_non_exhaustive()
    }
}

impl LogStore {
    /// Opens `logs/` below a data directory; makes it, readable by its owner alone. Metrics in log events, in CloudWatch's
    /// embedded metric format, go to `metrics`, before [`flush`](Self::flush) says that the events are written. Blocking.
    pub fn open(
        directory: &Path,
        config: &Config,
        metrics: Option<Arc<MetricStore>>,
    ) -> Result<Self, OpenError> {
        let root = directory.join("logs");
        let failed = |source| OpenError { path: root.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(failed)?;
        let queue = Arc::new(LogQueue::new(config.queue_bytes));
        let sizes = Sizes {
            block: config.block_bytes.min((config.cap / 64).max(SMALLEST_BLOCK)),
            segment: (config.cap / 32).min(SEGMENT_BYTES),
        };
        let groups = Arc::new(Groups::open(root.clone(), sizes).map_err(failed)?);
        let counts = Arc::<LogCounts>::default();
        let writer = LogWriter {
            queue: Arc::clone(&queue),
            groups: Arc::clone(&groups),
            counts: Arc::clone(&counts),
            packer: Packer::new().map_err(failed)?,
            extractor: metrics.map(Extractor::new),
            patience: config.patience,
            cap: config.cap,
            open: Vec::new(),
            open_limit: config.open_files,
            written: 0,
            lost: HashMap::new(),
            failing: false,
        };
        let (end, ended) = mpsc::sync_channel::<()>(0);
        let thread = std::thread::Builder::new()
            .name("lambkin-logs".into())
            .spawn(move || {
                let _end = end;
                writer.run()
            })
            .map_err(failed)?;
        Ok(Self {
            root,
            queue,
            groups,
            counts,
            cap: config.cap,
            keeps_nothing: config.cap == 0,
            writer: Mutex::new(Some(Writer { thread, ended })),
            late: AtomicBool::new(false),
        })
    }

    /// A page of a group's events, in the order of their times; `None` where there is no such group. What is still
    /// queued is not seen: [`flush`](Self::flush) first where that matters. Blocking.
    pub fn read(&self, group: &GroupKey, read: &Read<'_>) -> io::Result<Option<Page>> {
        let streams = read.stream.map(|stream| vec![stream.to_owned()]);
        self.page(
            group,
            &Asked {
                from: read.from,
                until: read.until,
                arrived: Arrival::EVER,
                streams: streams.as_deref(),
                prefix: None,
                filter: None,
                newest: read.newest,
                limit: read.limit,
                bytes: PAGE_BYTES,
                deadline: Instant::now() + PAGE_TIME,
            },
        )
    }

    pub(crate) fn page(&self, group: &GroupKey, asked: &Asked<'_>) -> io::Result<Option<Page>> {
        let Some(group) = self.groups.get(group) else { return Ok(None) };
        let now = millis();
        let streams = group.with(now, None, |state| {
            let mut ids: Vec<u32> = match (asked.streams, asked.prefix) {
                (None, None) => return None,
                (Some(names), _) => names.iter().filter_map(|name| state.streams.id(name)).collect(),
                (None, Some(prefix)) => state.streams.with_prefix(prefix).map(|(id, _)| id).collect(),
            };
            ids.sort_unstable();
            Some(ids)
        })?;
        let wanted = Wanted {
            from: asked.from,
            until: asked.until,
            arrived: asked.arrived.clone(),
            streams,
            filter: asked.filter,
            newest: asked.newest,
            limit: asked.limit,
            bytes: asked.bytes,
            deadline: asked.deadline,
        };
        search::page(&group, now, &wanted).map(Some)
    }

    /// How far a group has come, and who waits for more; `None` where there is no such group. Blocking.
    pub(crate) fn reached(&self, key: &GroupKey) -> io::Result<Option<(Reached, watch::Receiver<()>)>> {
        let Some(group) = self.groups.get(key) else { return Ok(None) };
        // Before its state is looked at: what comes in between is seen as news.
        let news = group.watch();
        group
            .with(millis(), None, |state| Reached {
                created: state.settings.created,
                arrival: state.tail.end(),
            })
            .map(|reached| Some((reached, news)))
    }

    /// Hands on all that is asked for, in no order. `false` of either ends it.
    pub(crate) fn scan(
        &self,
        group: &GroupKey,
        asked: &Asked<'_>,
        take_block: &mut dyn FnMut() -> bool,
        take: &mut dyn FnMut(Position, &Arc<str>, &Event<'_>) -> bool,
    ) -> io::Result<()> {
        let Some(group) = self.groups.get(group) else { return Ok(()) };
        let wanted = Wanted {
            from: asked.from,
            until: asked.until,
            arrived: asked.arrived.clone(),
            streams: None,
            filter: asked.filter,
            newest: asked.newest,
            limit: asked.limit,
            bytes: asked.bytes,
            deadline: asked.deadline,
        };
        search::scan(&group, millis(), &wanted, take_block, take)
    }

    /// A group's streams whose names begin so, by name; `None` where there is no such group. Blocking.
    pub fn streams(&self, group: &GroupKey, prefix: &str) -> io::Result<Option<Vec<StreamInfo>>> {
        let Some(group) = self.groups.get(group) else { return Ok(None) };
        group
            .with(millis(), None, |state| {
                let info = |(_, stream): (u32, &crate::store::streams::Stream)| StreamInfo {
                    name: Arc::clone(&stream.name),
                    created: stream.created,
                    times: stream.share.map(|share| (share.min, share.max, share.ingested)),
                };
                state.streams.with_prefix(prefix).map(info).collect()
            })
            .map(Some)
    }

    /// Keys of the groups of an account and region whose names begin so, by name.
    #[must_use]
    pub fn groups(&self, account: &str, region: &str, prefix: &str) -> Vec<GroupKey> {
        self.groups.list(account, region, prefix).iter().map(|group| group.key.clone()).collect()
    }

    /// A group's settings and the bytes of its messages; `None` where there is no such group. Blocking.
    pub fn describe(&self, group: &GroupKey) -> io::Result<Option<(Settings, u64)>> {
        let Some(group) = self.groups.get(group) else { return Ok(None) };
        let described = group.with(millis(), None, |state| {
            let blocks = state.segments.iter().flat_map(|segment| &segment.blocks);
            (state.settings.clone(), blocks.map(|block| block.text).sum::<u64>() + state.tail.text)
        });
        described.map(Some)
    }

    /// Makes a group; `false` where there is one. Blocking.
    pub fn create_group(&self, key: &GroupKey) -> io::Result<bool> {
        let (group, made) = self.groups.get_or_make(key);
        group.with(millis(), None, |_| made)
    }

    /// Deletes a group with all it has; `false` where there is none. Blocking.
    pub fn delete_group(&self, key: &GroupKey) -> io::Result<bool> {
        self.groups.delete(key)
    }

    /// Changes a group's settings; `false` where there is no such group. Blocking.
    pub fn set(&self, key: &GroupKey, change: impl FnOnce(&mut Settings)) -> io::Result<bool> {
        let Some(group) = self.groups.get(key) else { return Ok(false) };
        group.set(millis(), change).map(|()| true)
    }

    /// Makes a stream; `Some(false)` where there is one, `None` where there is no such group. Blocking.
    pub fn create_stream(&self, key: &GroupKey, stream: &str) -> io::Result<Option<bool>> {
        self.groups.get(key).map(|group| group.create_stream(stream, millis())).transpose()
    }

    /// Deletes a stream; `Some(false)` where there is none, `None` where there is no such group. Blocking.
    pub fn delete_stream(&self, key: &GroupKey, stream: &str) -> io::Result<Option<bool>> {
        self.groups.get(key).map(|group| group.delete_stream(stream, millis())).transpose()
    }

    /// Whether a group has this stream; `None` where there is no such group. Blocking.
    pub fn has_stream(&self, key: &GroupKey, stream: &str) -> io::Result<Option<bool>> {
        let Some(group) = self.groups.get(key) else { return Ok(None) };
        group.with(millis(), None, |state| state.streams.id(stream).is_some()).map(Some)
    }

    /// Whether what is appended is thrown away.
    #[must_use]
    pub fn keeps_nothing(&self) -> bool {
        self.keeps_nothing
    }

    /// Waits until what was appended before is written, so that the reader sees it. Blocking,
    /// for at most `deadline`; `false` where that was too short.
    #[must_use]
    pub fn flush(&self, deadline: Duration) -> bool {
        self.queue.flush(deadline)
    }

    /// Writes what is queued and ends the writer. Events that come later are dropped. Blocking, for
    /// at most `deadline` and a second.
    pub fn close(&self, deadline: Duration) -> Result<(), Undrained> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Writer { thread, ended }) = writer.take() else {
            return Ok(());
        };
        self.queue.close(Instant::now() + deadline);
        let left = match ended.recv_timeout(deadline + END_WAIT) {
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => thread.join().unwrap_or(u64::MAX),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                // In a system call that does not return; a later close may find it ended.
                *writer = Some(Writer { thread, ended });
                self.queue.waiting_events() as u64
            }
        };
        if left == 0 { Ok(()) } else { Err(Undrained { events: left }) }
    }
}

impl Figures for LogStore {
    fn figures(&self) -> Vec<Figure> {
        let followers = self.groups.all().iter().map(|group| group.followers()).sum();
        self.counts.figures(self.queue.load(), self.cap, followers)
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        if let Err(undrained) = self.close(DROP_WAIT) {
            tracing::error!("{undrained}");
        }
    }
}

impl LogSink for LogStore {
    fn append(&self, stream: &Arc<LogStreamName>, events: Vec<LogEvent>) -> Option<Pending<'static, ()>> {
        if events.is_empty() || self.keeps_nothing {
            return None;
        }
        match self.queue.append(stream, events) {
            Ok(room) => room.map(|room| -> Pending<'static, ()> {
                Box::pin(async move {
                    // An error is the queue's way to say yes: it dropped the sender.
                    let _ = room.await;
                })
            }),
            Err(events) => {
                if !self.late.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "log events came after the log store was closed: {} at first",
                        events.len()
                    );
                }
                None
            }
        }
    }
}
