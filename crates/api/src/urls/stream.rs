//! Answers that begin before they end, and the prelude that gives one its status and headers (node-runtime 9.2).
//!
//! Deliberately not here: how fast the function may write: it waits while nothing is asked for here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use lambkin_model::Error;
use lambkin_model::invocation::{Piece, Pieces, Streamed};

/// What a response is that begins with a prelude.
const WITH_PRELUDE: &str = "application/vnd.awslambda.http-integration-response";
/// What a prelude ends with.
const END: [u8; 8] = [0; 8];
/// Most bytes of a prelude.
const PRELUDE_BYTES: usize = 256 * 1024;

/// A response as far as it must be known before anything is answered.
pub(super) enum Begun {
    /// The function failed before it wrote something.
    Failed,
    /// It said what no answer can be made of.
    Malformed,
    Body {
        /// The prelude, where it has one.
        prelude: Option<Bytes>,
        /// What the function says that it is.
        media_type: Option<String>,
        body: Rest,
    },
}

/// Waits until the answer can begin: for as long as the function may run.
pub(super) async fn begin(mut streamed: Streamed) -> Result<Begun, Error> {
    let media_type = streamed.content_type.take();
    let with_prelude = media_type.as_deref().is_some_and(|name| name.starts_with(WITH_PRELUDE));
    let mut gathered = BytesMut::new();
    loop {
        let chunk = match streamed.next().await? {
            Piece::Chunk(chunk) => chunk,
            Piece::End(completion) if completion.error.is_some() => return Ok(Begun::Failed),
            Piece::End(_) => {
                // It ended without a write, and a prelude only goes out with the first.
                if !gathered.is_empty() {
                    return Ok(Begun::Malformed);
                }
                let body = Rest { first: None, pieces: None };
                return Ok(Begun::Body { prelude: None, media_type: None, body });
            }
        };
        if !with_prelude {
            let body = Rest { first: Some(chunk), pieces: Some(streamed.pieces) };
            return Ok(Begun::Body { prelude: None, media_type, body });
        }
        // The mark may be cut in two.
        let from = gathered.len().saturating_sub(END.len() - 1);
        gathered.extend_from_slice(&chunk);
        if let Some(at) = gathered[from..].windows(END.len()).position(|window| window == END) {
            let mut rest = gathered.freeze();
            let prelude = rest.split_to(from + at);
            let rest = rest.split_off(END.len());
            let body =
                Rest { first: Some(rest).filter(|rest| !rest.is_empty()), pieces: Some(streamed.pieces) };
            return Ok(Begun::Body { prelude: Some(prelude), media_type: None, body });
        }
        if gathered.len() > PRELUDE_BYTES {
            return Ok(Begun::Malformed);
        }
    }
}

/// A body that is still being written.
pub(super) struct Rest {
    first: Option<Bytes>,
    /// `None`: it has ended.
    pieces: Option<Box<dyn Pieces>>,
}

impl Body for Rest {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(pieces) = &mut this.pieces else { return Poll::Ready(None) };
        let piece = ready!(pieces.poll_piece(context));
        if let Ok(Piece::Chunk(chunk)) = piece {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        this.pieces = None;
        Poll::Ready(match piece {
            // A body that is cut off tells the client that something is missing: its status has gone out.
            Ok(Piece::End(completion)) if completion.error.is_some() => {
                Some(Err(io::Error::other("the function failed in the middle of its answer")))
            }
            Ok(Piece::End(_) | Piece::Chunk(_)) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.pieces.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http_body_util::BodyExt;
    use lambkin_model::invocation::{Completion, FunctionError};

    use super::*;

    struct Kept(VecDeque<Piece>);

    impl Pieces for Kept {
        fn poll_piece(&mut self, _: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
            Poll::Ready(Ok(self.0.pop_front().expect("nobody asks after the end")))
        }
    }

    async fn begun(chunks: &[&[u8]], failed: bool, media_type: &str) -> String {
        let error = failed.then(|| (FunctionError::Unhandled, Bytes::from_static(b"{}")));
        let chunks = chunks.iter().map(|chunk| Piece::Chunk(Bytes::copy_from_slice(chunk)));
        let pieces = chunks.chain([Piece::End(Completion { error, log_tail: None })]).collect();
        let pieces = Box::new(Kept(pieces));
        let content_type = Some(media_type.to_owned());
        let streamed = Streamed { executed_version: "$LATEST".into(), content_type, sampled: false, pieces };
        match begin(streamed).await.unwrap() {
            Begun::Failed => "failed".into(),
            Begun::Malformed => "malformed".into(),
            Begun::Body { prelude, body, .. } => {
                let body = body.collect().await.map(|all| all.to_bytes());
                let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
                format!("{:?} {}", prelude.as_ref().map(text), body.as_ref().map_or("cut".into(), text))
            }
        }
    }

    #[tokio::test]
    async fn preludes_however_they_are_cut() {
        const WHOLE: &[u8] = b"{\"a\":1}\0\0\0\0\0\0\0\0body";
        for at in 0..=WHOLE.len() {
            let (one, other) = WHOLE.split_at(at);
            assert_eq!(
                begun(&[one, other], false, WITH_PRELUDE).await,
                "Some(\"{\\\"a\\\":1}\") body",
                "{at}"
            );
        }
        let bytes: Vec<&[u8]> = WHOLE.chunks(1).collect();
        assert_eq!(begun(&bytes, false, WITH_PRELUDE).await, "Some(\"{\\\"a\\\":1}\") body");
    }

    #[tokio::test]
    async fn ends() {
        assert_eq!(begun(&[], false, WITH_PRELUDE).await, "None ");
        assert_eq!(begun(&[], true, WITH_PRELUDE).await, "failed");
        assert_eq!(begun(&[b"{}"], false, WITH_PRELUDE).await, "malformed");
        assert_eq!(begun(&[&vec![b'x'; PRELUDE_BYTES + 1]], false, WITH_PRELUDE).await, "malformed");
        assert_eq!(begun(&[b"{}", &END], true, WITH_PRELUDE).await, "Some(\"{}\") cut");
        assert_eq!(
            begun(&[b"a\0\0\0\0\0\0\0\0b", b"c"], false, "text/plain").await,
            "None a\0\0\0\0\0\0\0\0bc"
        );
        assert_eq!(begun(&[b"a"], true, "text/plain").await, "None cut");
        assert_eq!(begun(&[], true, "text/plain").await, "failed");
    }
}
