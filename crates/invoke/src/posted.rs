//! What a process posted: its frames read as words, and the result they add up to.

use bytes::{Buf, Bytes};
use lambkin_model::channel::FrameKind;
use lambkin_model::compile_cache::CacheFile;
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
    Ended(Result),
    /// Its handler is loaded, by so many microseconds of CPU time.
    Loaded(u32),
    CacheFile(CacheFile),
}

/// How a response ended.
pub(crate) enum Result {
    /// A result; empty where it has been streamed.
    Response(Bytes),
    /// The result is larger than it may be: than so many bytes.
    TooLarge(usize),
    /// An error.
    Error(PostedError),
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
        Self::new("Function.ResponseSizeTooLarge".into(), fault::response_too_large(quota::RESPONSE_BYTES))
    }
}

/// Reads a frame; `None` where it breaks the rules.
pub(crate) fn read(frame: Frame) -> Option<Said> {
    let Frame { kind, mut body, cut } = frame;
    Some(match kind {
        // A process that has its function boots no more.
        FrameKind::Booted => return None,
        FrameKind::Ready => Said::Ready,
        FrameKind::Response if cut => Said::Ended(Result::TooLarge(quota::RESPONSE_BYTES)),
        FrameKind::Response => Said::Ended(Result::Response(body)),
        FrameKind::Error if cut => Said::Ended(Result::TooLarge(quota::RESPONSE_BYTES)),
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
        FrameKind::Loaded => Said::Loaded(body.try_get_u32_le().ok()?),
        FrameKind::CompileCache if cut => return None,
        FrameKind::CompileCache => {
            let name = text(&mut body)?;
            Said::CacheFile(CacheFile { name, content: body })
        }
    })
}

fn error(kind: FunctionError, mut body: Bytes) -> Option<PostedError> {
    let error_type = text(&mut body)?;
    Some(PostedError { error_type, kind, body })
}

/// A length and so many bytes.
fn text(body: &mut Bytes) -> Option<String> {
    let length = usize::from(body.try_get_u16_le().ok()?);
    (body.len() >= length).then(|| String::from_utf8_lossy(&body.split_to(length)).into_owned())
}

/// What has been posted for the running init or invocation.
#[derive(Default)]
pub(crate) struct Posted {
    pub(crate) error: Option<PostedError>,
    body: Bytes,
    /// Than so many bytes.
    too_large: Option<usize>,
}

impl Posted {
    /// The response is complete.
    pub(crate) fn end(&mut self, result: Result) -> Ending {
        match result {
            Result::Response(body) => self.body = body,
            Result::TooLarge(limit) => self.too_large = Some(limit),
            Result::Error(error) => self.error = Some(error),
        }
        if self.too_large.is_some() || self.error.is_some() { Ending::Error } else { Ending::Success }
    }

    /// What it adds up to. The error's type stays, for REPORT.
    pub(crate) fn take_outcome(&mut self) -> Outcome {
        let unhandled = Some(FunctionError::Unhandled);
        if let Some(limit) = self.too_large {
            return Outcome { error: unhandled, payload: fault::response_too_large(limit) };
        }
        match &mut self.error {
            Some(error) => Outcome { error: Some(error.kind), payload: std::mem::take(&mut error.body) },
            None => Outcome { error: None, payload: std::mem::take(&mut self.body) },
        }
    }
}
