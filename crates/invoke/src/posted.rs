//! What a process posted: its frames read as words, and the result they add up to.

use bytes::{Buf, Bytes};
use lambkin_model::channel::FrameKind;
use lambkin_model::fault;
use lambkin_model::invocation::{FunctionError, Outcome};
use lambkin_model::lifecycle::Ending;
use lambkin_model::quota;
use lambkin_model::time::Timestamp;

use crate::channel::Frame;

/// A frame's meaning.
pub(crate) enum Said {
    Ready,
    Log(Timestamp, Bytes),
    InitFailed(PostedError),
    StreamStart,
    StreamChunk(Bytes),
    Ended(Result),
}

/// How a response ended.
pub(crate) enum Result {
    /// A buffered result.
    Response(Bytes),
    /// The result is larger than it may be.
    TooLarge,
    /// An error.
    Error(PostedError),
    /// The stream is complete.
    StreamEnd,
}

/// A posted error.
pub(crate) struct PostedError {
    pub(crate) error_type: String,
    kind: FunctionError,
    body: Bytes,
}

impl PostedError {
    /// An error of the Runtime API, which has no handled ones.
    pub(crate) fn new(error_type: String, body: Bytes) -> Self {
        Self { error_type, kind: FunctionError::Unhandled, body }
    }

    /// Instead of an init's error that is larger than a result may be.
    pub(crate) fn too_large() -> Self {
        Self::new("Function.ResponseSizeTooLarge".into(), fault::response_too_large())
    }
}

/// Reads a frame; `None` where it breaks the rules.
pub(crate) fn read(frame: Frame) -> Option<Said> {
    let Frame { kind, mut body, cut } = frame;
    Some(match kind {
        // A process that has its function boots no more.
        FrameKind::Booted => return None,
        FrameKind::Ready => Said::Ready,
        FrameKind::Response if cut => Said::Ended(Result::TooLarge),
        FrameKind::Response => Said::Ended(Result::Response(body)),
        FrameKind::Error if cut => Said::Ended(Result::TooLarge),
        FrameKind::Error => {
            let kind = match body.try_get_u8().ok()? {
                1 => FunctionError::Handled,
                _ => FunctionError::Unhandled,
            };
            Said::Ended(Result::Error(error(kind, body)?))
        }
        FrameKind::InitError if cut => Said::InitFailed(PostedError::too_large()),
        FrameKind::InitError => Said::InitFailed(error(FunctionError::Unhandled, body)?),
        FrameKind::Log => {
            if body.len() < 10 {
                return None;
            }
            // Level and format are the text's own already; later consumers of logs may want them.
            body.advance(2);
            let at = Timestamp(body.get_u64_le());
            Said::Log(at, body)
        }
        FrameKind::StreamStart => Said::StreamStart,
        FrameKind::StreamChunk | FrameKind::StreamEnd if cut => Said::Ended(Result::TooLarge),
        FrameKind::StreamChunk => Said::StreamChunk(body),
        FrameKind::StreamEnd if body.iter().all(|byte| *byte == 0) => Said::Ended(Result::StreamEnd),
        FrameKind::StreamEnd => Said::Ended(Result::Error(error(FunctionError::Unhandled, body)?)),
    })
}

fn error(kind: FunctionError, mut body: Bytes) -> Option<PostedError> {
    let length = usize::from(body.try_get_u16_le().ok()?);
    if body.len() < length {
        return None;
    }
    let error_type = String::from_utf8_lossy(&body.split_to(length)).into_owned();
    Some(PostedError { error_type, kind, body })
}

/// What has been posted for the running init or invocation.
#[derive(Default)]
pub(crate) struct Posted {
    pub(crate) error: Option<PostedError>,
    body: Bytes,
    stream: Vec<u8>,
    too_large: bool,
}

impl Posted {
    /// More of a streamed response, which a plain Invoke gathers.
    pub(crate) fn chunk(&mut self, chunk: &[u8]) {
        if self.too_large || self.stream.len() + chunk.len() > quota::RESPONSE_BYTES {
            self.too_large = true;
            self.stream = Vec::new();
        } else {
            self.stream.extend_from_slice(chunk);
        }
    }

    /// The response is complete.
    pub(crate) fn end(&mut self, result: Result) -> Ending {
        match result {
            Result::Response(body) => self.body = body,
            Result::TooLarge => self.too_large = true,
            Result::Error(error) => self.error = Some(error),
            Result::StreamEnd => self.body = std::mem::take(&mut self.stream).into(),
        }
        if self.too_large || self.error.is_some() { Ending::Error } else { Ending::Success }
    }

    /// What it adds up to. The error's type stays, for REPORT.
    pub(crate) fn take_outcome(&mut self) -> Outcome {
        let unhandled = Some(FunctionError::Unhandled);
        if self.too_large {
            return Outcome { error: unhandled, payload: fault::response_too_large() };
        }
        match &mut self.error {
            Some(error) => Outcome { error: Some(error.kind), payload: std::mem::take(&mut error.body) },
            None => Outcome { error: None, payload: std::mem::take(&mut self.body) },
        }
    }
}
