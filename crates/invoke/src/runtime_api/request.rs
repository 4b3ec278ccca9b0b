//! Requests of the Runtime API: their routes, their bodies read within bounds, and what they say.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use lambkin_model::quota;
use tokio::sync::{mpsc, oneshot};

use super::answer::{self, Answer, Refusal};
use super::{Begin, Call, Post};
use crate::flow::{Chunks, TooLarge};
use crate::posted::{PostedError, Result as Posted, Said};

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";
/// An error with a cause for X-Ray inside, which does not belong into the answer.
const ERROR_WITH_CAUSE: &str = "application/vnd.aws.lambda.error.cause+json";

/// As much of a refused body as AWS's server reads.
const DISCARD_BYTES: usize = 256 * 1024;

enum Route {
    Ping,
    Next,
    Post(Post, Option<String>),
}

/// Answers a request. An error where the run is over: the connection closes without an answer.
pub(super) async fn answer(request: Request<Incoming>, calls: mpsc::Sender<Call>) -> io::Result<Answer> {
    let (head, mut body) = request.into_parts();
    let done = match route(&head.method, head.uri.path(), &head.headers) {
        Ok(Route::Ping) => Ok(answer::pong()),
        Ok(Route::Next) => {
            let (answer, event) = oneshot::channel();
            calls.send(Call::Next(answer)).await.map_err(over)?;
            event.await.map_err(over)?.map(super::Event::answer)
        }
        Ok(Route::Post(post, id)) => self::post(&head.headers, &mut body, &calls, post, id).await?,
        Err(refusal) => Err(refusal),
    };
    if done.is_err() {
        discard(body).await;
    }
    Ok(done.unwrap_or_else(Refusal::answer))
}

/// Reads what little is left of a refused body, so that its connection can go on.
async fn discard(mut body: Incoming) {
    let mut left = DISCARD_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(less) => left = less,
            None => return,
        }
    }
}

fn over<E>(_: E) -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

fn route(method: &Method, path: &str, headers: &HeaderMap) -> Result<Route, Refusal> {
    let path = path.strip_prefix("/2018-06-01/").ok_or(Refusal::NotFound)?;
    let mut words = path.split('/');
    let words = [words.next(), words.next(), words.next(), words.next(), words.next()];
    let (wanted, route) = match words {
        [Some("ping"), None, ..] => (Method::GET, Route::Ping),
        [Some("runtime"), Some("invocation"), Some("next"), None, _] => (Method::GET, Route::Next),
        [Some("runtime"), Some("invocation"), Some(id), Some("response"), None] => {
            let post = match text(headers, RESPONSE_MODE) {
                "" => Post::Response,
                "streaming" => Post::StreamedResponse,
                _ => return Err(Refusal::ResponseMode),
            };
            (Method::POST, Route::Post(post, Some(id.to_owned())))
        }
        [Some("runtime"), Some("invocation"), Some(id), Some("error"), None] => {
            (Method::POST, Route::Post(Post::Error, Some(id.to_owned())))
        }
        [Some("runtime"), Some("init"), Some("error"), None, _] => {
            (Method::POST, Route::Post(Post::InitError, None))
        }
        _ => return Err(Refusal::NotFound),
    };
    if *method == wanted { Ok(route) } else { Err(Refusal::Method) }
}

async fn post(
    headers: &HeaderMap,
    body: &mut Incoming,
    calls: &mpsc::Sender<Call>,
    post: Post,
    id: Option<String>,
) -> io::Result<Result<Answer, Refusal>> {
    // Held until the answer: where this request ends before, what it began is over.
    let (grant, _held) = oneshot::channel();
    let (answer, granted) = oneshot::channel();
    let content_type = text(headers, CONTENT_TYPE.as_str()).to_owned();
    let begin = Begin { post, id: id.clone(), content_type, grant, answer };
    calls.send(Call::Begin(begin)).await.map_err(over)?;
    let read = match granted.await.map_err(over)? {
        Ok(None) => read(body).await,
        Ok(Some(chunks)) => pass(body, chunks).await,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(body) = read else { return Ok(Err(Refusal::Truncated)) };
    let too_large = body.too_large;
    let (answer, counted) = oneshot::channel();
    let said = said(post, headers, body);
    calls.send(Call::Posted { id, said, answer }).await.map_err(over)?;
    counted.await.map_err(over)?;
    Ok(too_large.map_or_else(|| Ok(answer::accepted()), |limit| Err(Refusal::TooLarge(limit))))
}

struct Body {
    /// Nothing of one that is too large, or was passed on.
    bytes: Bytes,
    /// Than so many bytes.
    too_large: Option<usize>,
    trailers: HeaderMap,
}

/// Reads a body to its end, so that the process has sent it and looks for the answer; `None` where
/// it ends before its time.
async fn read(body: &mut Incoming) -> Option<Body> {
    let (mut bytes, mut too_large, mut trailers) = (BytesMut::new(), None, HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.ok()?.into_data() {
            Ok(data) if too_large.is_some() || bytes.len() + data.len() > quota::RESPONSE_BYTES => {
                (bytes, too_large) = (BytesMut::new(), Some(quota::RESPONSE_BYTES));
            }
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Some(Body { bytes: bytes.freeze(), too_large, trailers })
}

/// Passes a body on as it comes; `None` as above. One that is too large ends there: its client is told
/// at once, and what is left of it is not waited for.
async fn pass(body: &mut Incoming, mut chunks: Chunks) -> Option<Body> {
    let (bytes, mut trailers) = (Bytes::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.ok()?.into_data() {
            Ok(data) => {
                if let Err(TooLarge) = chunks.send(data).await {
                    return Some(Body { bytes, too_large: Some(quota::STREAMED_RESPONSE_BYTES), trailers });
                }
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Some(Body { bytes, too_large: None, trailers })
}

fn said(post: Post, headers: &HeaderMap, body: Body) -> Said {
    let Body { bytes, too_large, trailers } = body;
    let error_type = || text(headers, ERROR_TYPE).to_owned();
    match post {
        Post::InitError if too_large.is_some() => Said::InitFailed(PostedError::too_large()),
        Post::InitError => Said::InitFailed(PostedError::new(error_type(), bytes)),
        Post::Response | Post::StreamedResponse | Post::Error if let Some(limit) = too_large => {
            Said::Ended(Posted::TooLarge(limit))
        }
        Post::Error => {
            let body = if text(headers, CONTENT_TYPE.as_str()) == ERROR_WITH_CAUSE {
                without_cause(&bytes)
            } else {
                bytes
            };
            Said::Ended(Posted::Error(PostedError::new(error_type(), body)))
        }
        Post::Response => Said::Ended(Posted::Response(bytes)),
        Post::StreamedResponse => match text(&trailers, ERROR_TYPE) {
            "" => Said::Ended(Posted::Response(bytes)),
            error_type => {
                let body = STANDARD.decode(text(&trailers, ERROR_BODY)).unwrap_or_default();
                Said::Ended(Posted::Error(PostedError::new(error_type.to_owned(), body.into())))
            }
        },
    }
}

/// What is left of an error with a cause.
fn without_cause(body: &[u8]) -> Bytes {
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct Error {
        error_message: String,
        error_type: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        stack_trace: Vec<String>,
    }
    match serde_json::from_slice::<Error>(body) {
        Ok(error) => serde_json::to_vec(&error).expect("only strings").into(),
        Err(_) => Bytes::from_static(b"\"Invalid error body\""),
    }
}

/// A header; empty where it is not there or no text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_the_emulator_s() {
        let name = |route: Result<Route, Refusal>| match route {
            Ok(Route::Ping) => "ping".to_owned(),
            Ok(Route::Next) => "next".to_owned(),
            Ok(Route::Post(post, id)) => format!("{post:?} {}", id.unwrap_or_default()),
            Err(refusal) => format!("{refusal:?}"),
        };
        for (method, path, expected) in [
            (Method::GET, "/2018-06-01/ping", "ping"),
            (Method::GET, "/2018-06-01/runtime/invocation/next", "next"),
            (Method::POST, "/2018-06-01/runtime/invocation/a-b/response", "Response a-b"),
            (Method::POST, "/2018-06-01/runtime/invocation/a-b/error", "Error a-b"),
            (Method::POST, "/2018-06-01/runtime/init/error", "InitError "),
            (Method::POST, "/2018-06-01/runtime/invocation/next", "Method"),
            (Method::GET, "/2018-06-01/runtime/invocation/a/response", "Method"),
            (Method::GET, "/2018-06-01/runtime/ping", "NotFound"),
            (Method::GET, "/2018-06-01/runtime/invocation/next/", "NotFound"),
            (Method::POST, "/2018-06-01/runtime/invocation/a/b/response", "NotFound"),
            (Method::GET, "/2018-06-01/runtime/restore/next", "NotFound"),
            (Method::POST, "/2020-01-01/extension/register", "NotFound"),
            (Method::GET, "/", "NotFound"),
        ] {
            assert_eq!(name(route(&method, path, &HeaderMap::new())), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_cause_is_not_answered() {
        let with = br#"{"errorMessage":"m","errorType":"T","stackTrace":["a"],"errorCause":{"x":1}}"#;
        assert_eq!(without_cause(with), r#"{"errorMessage":"m","errorType":"T","stackTrace":["a"]}"#);
        assert_eq!(without_cause(b"{\"errorCause\":1}"), r#"{"errorMessage":"","errorType":""}"#);
        assert_eq!(without_cause(b"text"), "\"Invalid error body\"");
    }
}
