//! The log store: the port `LogSink` over a bounded queue and one writing thread, and the reader.
//!
//! Deliberately not here: retention. Streams stay until someone removes their files, which may be
//! done while lambkin runs.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lambkin_model::Pending;
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};

use crate::log_file::LogFiles;
use crate::log_queue::LogQueue;
use crate::log_reader;
use crate::log_writer::LogWriter;

/// How long dropping the store waits for queued events where nobody closed it before.
const DROP_WAIT: Duration = Duration::from_secs(5);
/// What a thread gets beyond its deadline to end in, when the disk answers at all.
const END_WAIT: Duration = Duration::from_secs(1);

/// Bounds of the log store.
#[derive(Debug, Clone)]
pub struct Config {
    /// Bytes of events in memory above which callers are asked to wait.
    pub queue_bytes: usize,
    /// Files of streams kept open.
    pub open_files: usize,
    /// How long there may be no room before the oldest events are dropped, with a notice in each
    /// stream that lost some.
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { queue_bytes: 16 * 1024 * 1024, open_files: 64, patience: Duration::from_secs(30) }
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

/// Log events in files, one for each stream, one line of JSON for each event.
///
/// An event is in its file at most a second after `append` while the disk keeps up. It outlives
/// lambkin from then on; it is not synced against a power cut.
pub struct LogStore {
    root: PathBuf,
    queue: Arc<LogQueue>,
    writer: Mutex<Option<Writer>>,
    late: AtomicBool,
}

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
    /// Opens `logs/` below a data directory; makes it, readable by its owner alone. Blocking.
    pub fn open(directory: &Path, config: &Config) -> Result<Self, OpenError> {
        let root = directory.join("logs");
        let failed = |source| OpenError { path: root.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(failed)?;
        let queue = Arc::new(LogQueue::new(config.queue_bytes));
        let writer = LogWriter {
            queue: Arc::clone(&queue),
            files: LogFiles::new(root.clone(), config.open_files),
            patience: config.patience,
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
            writer: Mutex::new(Some(Writer { thread, ended })),
            late: AtomicBool::new(false),
        })
    }

    /// The events of a stream that are written, in order, with times in whole milliseconds; none
    /// where there is no such stream. Blocking.
    pub fn events(&self, stream: &LogStreamName) -> io::Result<Vec<LogEvent>> {
        log_reader::events(&self.root, stream)
    }

    /// The names of a group's streams, in order. Blocking.
    pub fn streams(&self, account: &str, region: &str, group: &str) -> io::Result<Vec<String>> {
        log_reader::streams(&self.root, account, region, group)
    }

    /// The names of the groups of an account and region, in order. Blocking.
    pub fn groups(&self, account: &str, region: &str) -> io::Result<Vec<String>> {
        log_reader::groups(&self.root, account, region)
    }

    /// Waits until what was appended before is in its files, so that the reader sees it. Blocking,
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

impl Drop for LogStore {
    fn drop(&mut self) {
        if let Err(undrained) = self.close(DROP_WAIT) {
            tracing::error!("{undrained}");
        }
    }
}

impl LogSink for LogStore {
    fn append(&self, stream: &Arc<LogStreamName>, events: Vec<LogEvent>) -> Option<Pending<'static, ()>> {
        if events.is_empty() {
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
