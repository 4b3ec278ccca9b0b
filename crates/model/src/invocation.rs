//! One invocation: what comes in, what the function said, and the port behind which it runs.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::name::FunctionReference;
use crate::{Error, Pending};

/// UUID of one invocation, the same over all attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub [u8; 16]);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).expect("hex digits are ASCII"))
    }
}

/// What the caller sends.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its id.
    pub request_id: RequestId,
    /// Which function, as the caller named it.
    pub function: FunctionReference,
    /// JSON, checked.
    pub payload: Bytes,
    /// Text of `X-Amz-Client-Context`, decoded from base64.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`, given or made at the edge; without one the data plane makes it.
    pub trace_id: Option<String>,
    /// The caller wants the end of the log, so the answer waits for REPORT.
    pub log_tail: bool,
}

/// A new trace id (node-runtime §8.1), from Unix time and two random UUIDs:
/// `Root=1-<8 hex: time>-<24 hex>;Parent=<16 hex>;Sampled=0`.
#[must_use]
pub fn trace_id(seconds: u64, root: [u8; 16], parent: [u8; 16]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("Root=1-{seconds:08x}-{};Parent={};Sampled=0", hex(&root[..12]), hex(&parent[..8]))
}

/// How a function's failure is marked (`X-Amz-Function-Error`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionError {
    /// Reported by the function through its callback (nodejs4.3 to 8.10).
    Handled,
    /// Everything else.
    Unhandled,
}

impl FunctionError {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "Handled",
            Self::Unhandled => "Unhandled",
        }
    }
}

/// What the function said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `None`: it succeeded.
    pub error: Option<FunctionError>,
    /// Result, or the error as JSON.
    pub payload: Bytes,
}

/// The answer to an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What the function said.
    pub outcome: Outcome,
    /// `$LATEST` or the number behind an alias.
    pub executed_version: Arc<str>,
    /// The last 4 KB of its log, where asked for.
    pub log_tail: Option<Bytes>,
}

/// Port: the one door to running a function, for synchronous calls and for queued events.
pub trait Invoke: Send + Sync {
    /// Runs the function once.
    fn invoke(&self, invocation: Invocation) -> Pending<'_, Result<Reply, Error>>;
}
