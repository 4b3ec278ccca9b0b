//! One invocation: what comes in, what the function said, and the port behind which it runs.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

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
    /// `X-Amzn-Trace-Id`, given or made at the edge; without one the data plane makes it, and decides where nobody has.
    pub trace_id: Option<String>,
    /// The caller wants the end of the log, so the answer waits for REPORT.
    pub log_tail: bool,
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
    /// Whether it is traced.
    pub sampled: bool,
}

/// An answer that can begin before it ends: its head, and what its body is still to be asked for.
pub struct Streamed {
    /// `$LATEST` or the number behind an alias.
    pub executed_version: Arc<str>,
    /// What a streaming function says its response is; `None` where it answered at once.
    pub content_type: Option<String>,
    /// Whether it is traced.
    pub sampled: bool,
    /// The response. Whoever drops it wants no more: the function runs on.
    pub pieces: Box<dyn Pieces>,
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executed_version, content_type, sampled: _, pieces: _ } = self;
        f.debug_struct("Streamed").field("version", executed_version).field("type", content_type).finish()
    }
}

/// More of a streamed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the response, as the function wrote them.
    Chunk(Bytes),
    /// The last: how it ended.
    End(Completion),
}

/// How a streamed answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// How its failure is marked, and the error as JSON. `None`: it succeeded.
    pub error: Option<(FunctionError, Bytes)>,
    /// The last 4 KB of its log, where asked for.
    pub log_tail: Option<Bytes>,
}

/// A bounded stream: it holds little, and the function waits in its writes while nobody asks.
pub trait Pieces: Send {
    /// The next piece; none after the end. An error where the platform failed in the middle.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Error>>;
}

impl Streamed {
    /// One that is there at once: a single chunk, or none where the function failed.
    #[must_use]
    pub fn whole(reply: Reply) -> Self {
        let Reply { outcome: Outcome { error, payload }, executed_version, log_tail, sampled } = reply;
        let (chunk, error) = match error {
            None => (Some(payload), None),
            Some(error) => (None, Some((error, payload))),
        };
        let end = Some(Completion { error, log_tail });
        Self { executed_version, content_type: None, sampled, pieces: Box::new(Whole { chunk, end }) }
    }

    /// The next piece.
    pub async fn next(&mut self) -> Result<Piece, Error> {
        poll_fn(|context| self.pieces.poll_piece(context)).await
    }
}

struct Whole {
    chunk: Option<Bytes>,
    end: Option<Completion>,
}

impl Pieces for Whole {
    fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        if let Some(chunk) = self.chunk.take() {
            return Poll::Ready(Ok(Piece::Chunk(chunk)));
        }
        match self.end.take() {
            Some(end) => Poll::Ready(Ok(Piece::End(end))),
            None => Poll::Pending,
        }
    }
}

/// Port: the one door to running a function, for synchronous calls and for queued events.
pub trait Invoke: Send + Sync {
    /// Runs the function once and answers with its whole result, which a streaming function's
    /// response is gathered to.
    fn invoke(&self, invocation: Invocation) -> Pending<'_, Result<Reply, Error>>;

    /// Runs the function once and answers as soon as its response begins.
    fn stream(&self, invocation: Invocation) -> Pending<'_, Result<Streamed, Error>>;
}
