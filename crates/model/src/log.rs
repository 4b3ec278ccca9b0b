//! Log events and the port to where they are kept.

use std::sync::Arc;

use bytes::Bytes;

use crate::Pending;
use crate::time::Timestamp;

/// One event of a log stream. Invalid UTF-8 was replaced before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// When it was said.
    pub at: Timestamp,
    /// Its text, without a newline at the end.
    pub message: Bytes,
}

/// Which stream of which group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogStreamName {
    /// Account of the group.
    pub account: Arc<str>,
    /// Region of the group.
    pub region: Arc<str>,
    /// `/aws/lambda/<name>` or the configured group.
    pub group: Arc<str>,
    /// `YYYY/MM/DD/[<version>]<32 hex digits>`.
    pub stream: Arc<str>,
}

impl LogStreamName {
    /// The stream's name for a new environment. In a configured group, which functions may share,
    /// the function's name is part of it.
    #[must_use]
    pub fn stream_for(date: Timestamp, shared: bool, function: &str, version: &str, hex: &str) -> String {
        let function = if shared { function } else { "" };
        format!("{}/{function}[{version}]{hex}", date.date_path())
    }
}

/// Port: where log events go. Nothing is dropped; a full store slows its writer.
pub trait LogSink: Send + Sync {
    /// Takes a batch off the caller's path. `Some` asks the caller to wait for it before it sends
    /// more: the store is behind. Order within a stream is the order of the calls.
    fn append(&self, stream: &Arc<LogStreamName>, events: Vec<LogEvent>) -> Option<Pending<'static, ()>>;
}
