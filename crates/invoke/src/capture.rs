//! The log of one environment on its way to the log store: events in order, the end of the running
//! invocation's log for `LogType=Tail`, and back-pressure where the store is behind.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use lambkin_model::Pending;
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use lambkin_model::quota;
use lambkin_model::time::Timestamp;

/// Events are handed on in batches: at the end of an invocation, or when this much has gathered.
const BATCH_BYTES: usize = 64 * 1024;

pub(crate) struct Capture {
    sink: Arc<dyn LogSink>,
    stream: Arc<LogStreamName>,
    batch: Vec<LogEvent>,
    batch_bytes: usize,
    tail: Option<Vec<u8>>,
    behind: Option<Pending<'static, ()>>,
}

impl Capture {
    pub(crate) fn new(sink: Arc<dyn LogSink>, stream: LogStreamName) -> Self {
        Self { sink, stream: Arc::new(stream), batch: Vec::new(), batch_bytes: 0, tail: None, behind: None }
    }

    /// The stream's name.
    pub(crate) fn stream(&self) -> &str {
        &self.stream.stream
    }

    /// From now on the end of the log is kept, where the caller wants it.
    pub(crate) fn begin(&mut self, wanted: bool) {
        self.tail = wanted.then(Vec::new);
    }

    /// The end of the log since [`begin`](Self::begin).
    pub(crate) fn take_tail(&mut self) -> Option<Bytes> {
        self.tail.take().map(|mut tail| {
            let extra = tail.len().saturating_sub(quota::LOG_TAIL_BYTES);
            tail.drain(..extra);
            tail.into()
        })
    }

    /// One event that the function said, without a newline at its end. INIT_START and INIT_REPORT
    /// are said outside of [`begin`](Self::begin), and so are not in the tail.
    pub(crate) fn push(&mut self, at: Timestamp, message: Bytes) {
        if let Some(tail) = &mut self.tail {
            tail.extend_from_slice(&message);
            tail.push(b'\n');
            // Cut now and then, so that a flood does not grow it.
            if tail.len() > 4 * quota::LOG_TAIL_BYTES {
                let extra = tail.len() - quota::LOG_TAIL_BYTES;
                tail.drain(..extra);
            }
        }
        self.batch_bytes += message.len();
        self.batch.push(LogEvent { at, message });
        if self.batch_bytes >= BATCH_BYTES {
            self.flush();
        }
    }

    /// A line or a message, copied: as a part of a buffer it would keep all of that in memory. Bytes
    /// that are not UTF-8 are replaced, never lost.
    pub(crate) fn push_raw(&mut self, at: Timestamp, line: &[u8]) {
        let message = match std::str::from_utf8(line) {
            Ok(_) => Bytes::copy_from_slice(line),
            Err(_) => String::from_utf8_lossy(line).into_owned().into(),
        };
        self.push(at, message);
    }

    /// Hands the gathered events on.
    pub(crate) fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.batch_bytes = 0;
            let batch = std::mem::take(&mut self.batch);
            self.behind = self.sink.append(&self.stream, batch).or(self.behind.take());
        }
    }

    pub(crate) fn has_unflushed(&self) -> bool {
        !self.batch.is_empty()
    }

    /// The store is behind: nothing more is read from the process until it has caught up.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Waits until the store has caught up. Cancel-safe.
    pub(crate) async fn caught_up(&mut self) {
        if let Some(behind) = &mut self.behind {
            behind.await;
            self.behind = None;
        }
    }
}

/// What was gathered is handed on also where the environment is ended by force.
impl Drop for Capture {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
