//! Answers as they leave: headers common to all of them, and a body that is bytes, a file or a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use hyper::body::{Body, Frame, SizeHint};
use lambkin_model::Error;
use serde::Serialize;
use tokio::io::{AsyncRead, ReadBuf};

use crate::error_table::ErrorAnswer;

pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The model has the header, no recording has its value. An execution may end at any moment, and a
/// second is the least it can say.
const SECONDS_TO_RETRY: HeaderValue = HeaderValue::from_static("1");

pub(crate) type Reply = Response<ReplyBody>;

/// Bytes of a file that are read at once.
const FILE_CHUNK: usize = 64 * 1024;

pub(crate) enum ReplyBody {
    Bytes(Bytes),
    /// A file and how much of it is still to come.
    File {
        file: tokio::fs::File,
        left: u64,
    },
    /// What is not known yet.
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = std::io::Error> + Send>>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.get_mut() {
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::File { left: 0, .. } => Poll::Ready(None),
            Self::File { file, left } => {
                let mut chunk = vec![0; FILE_CHUNK];
                let mut buffer = ReadBuf::new(&mut chunk);
                ready!(Pin::new(file).poll_read(cx, &mut buffer))?;
                let read = buffer.filled().len();
                if read == 0 {
                    return Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into())));
                }
                chunk.truncate(read.min(usize::try_from(*left).unwrap_or(read)));
                *left -= chunk.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
            }
            Self::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::File { left, .. } => *left == 0,
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File { left, .. } => SizeHint::with_exact(*left),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

/// An answer with room for the headers that the callers add.
pub(crate) fn reply(status: StatusCode, body: ReplyBody) -> Reply {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = HeaderMap::with_capacity(8);
    response
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let bytes = serde_json::to_vec(value).expect("documents have string keys");
    let mut response = reply(status, ReplyBody::Bytes(bytes.into()));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub(crate) fn empty(status: StatusCode) -> Reply {
    reply(status, ReplyBody::Bytes(Bytes::new()))
}

/// The one door for errors.
pub(crate) fn refusal(error: &Error) -> Reply {
    let answer = ErrorAnswer::of(error);
    let mut response = reply(answer.status, ReplyBody::Bytes(answer.body(error).into()));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(answer.code));
    if matches!(error, Error::TooManyRequests { .. }) {
        response.headers_mut().insert(RETRY_AFTER, SECONDS_TO_RETRY);
    }
    response
}
