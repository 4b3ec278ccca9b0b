//! What a client gets of what a function said at its URL: AWS's payload format 2.0 (aws-behaviour 57).
//!
//! Deliberately not here: answers that stream (`stream`), but for their prelude.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::reply::{JSON, REQUEST_ID};

/// Most headers and cookies of an answer.
const HEADERS: usize = 500;
/// Most bytes of both, as JSON.
const HEAD_BYTES: usize = 64 * 1024;

/// Of the connection, or of lambkin's own making: a function's are passed under another name, as on AWS.
const REMAPPED: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    REQUEST_ID,
];

/// Status and headers of an answer.
#[derive(Debug, PartialEq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// A result as far as it matters. The rest is passed over, so that reading one takes no more memory than it has bytes.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Said<'a> {
    #[serde(borrow)]
    status_code: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    cookies: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    is_base64_encoded: bool,
}

/// The answer that a function's result is; `None`: it is none that could be sent.
pub(super) fn read(payload: &Bytes) -> Option<(Head, Bytes)> {
    let plain = |body: Bytes| {
        let headers = [(header::CONTENT_TYPE, JSON)].into_iter().collect();
        Some((Head { status: StatusCode::OK, headers }, body))
    };
    match payload.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => match serde_json::from_slice::<Said<'_>>(payload) {
            Ok(said) if said.status_code.is_some() => Some((head(&said, JSON)?, body(&said)?)),
            Ok(_) | Err(_) => plain(payload.clone()),
        },
        Some(b'"') => {
            plain(serde_json::from_slice::<String>(payload).map_or_else(|_| payload.clone(), Bytes::from))
        }
        // What is no answer is one's body, and a runtime of one's own may say something that is no JSON.
        Some(_) | None => plain(payload.clone()),
    }
}

/// The head that a streaming function's prelude is.
pub(super) fn prelude(bytes: &[u8]) -> Option<Head> {
    let said = serde_json::from_slice::<Said<'_>>(bytes).ok().filter(|_| bytes.starts_with(b"{"))?;
    head(&said, HeaderValue::from_static("application/octet-stream"))
}

fn head(said: &Said<'_>, media_type: HeaderValue) -> Option<Head> {
    let status = match said.status_code.map(RawValue::get) {
        None => StatusCode::OK,
        // A number, or a string of one.
        Some(text) => status(text.trim_matches('"').parse().ok()?)?,
    };
    let size = |part: Option<&RawValue>| part.map_or(0, |part| part.get().len());
    if size(said.headers) + size(said.cookies) > HEAD_BYTES {
        return None;
    }
    let mut headers = HeaderMap::new();
    let mut count = 0;
    let mut add = |name: HeaderName, value: HeaderValue| {
        count += 1;
        (count <= HEADERS).then(|| headers.append(name, value))
    };
    if let Some(all) = said.headers {
        for (name, value) in serde_json::from_str::<Map<String, Value>>(all.get()).ok()? {
            let Some(value) = scalar(value)? else { continue };
            add(renamed(HeaderName::try_from(name).ok()?), HeaderValue::try_from(value).ok()?)?;
        }
    }
    if let Some(all) = said.cookies {
        for cookie in serde_json::from_str::<Vec<String>>(all.get()).ok()? {
            add(header::SET_COOKIE, HeaderValue::try_from(cookie).ok()?)?;
        }
    }
    headers.entry(header::CONTENT_TYPE).or_insert(media_type);
    Some(Head { status, headers })
}

/// What HTTP calls a final status.
fn status(code: u16) -> Option<StatusCode> {
    (200..=599).contains(&code).then(|| StatusCode::from_u16(code).ok()).flatten()
}

/// A header's value; `Some(None)`: none at all.
fn scalar(value: Value) -> Option<Option<String>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text)),
        Value::Bool(_) | Value::Number(_) => Some(Some(value.to_string())),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn renamed(name: HeaderName) -> HeaderName {
    if REMAPPED.contains(&name) {
        HeaderName::try_from(format!("x-amzn-remapped-{name}")).unwrap_or(name)
    } else {
        name
    }
}

fn body(said: &Said<'_>) -> Option<Bytes> {
    let Some(body) = said.body.map(RawValue::get) else { return Some(Bytes::new()) };
    if !body.starts_with('"') {
        return Some(Bytes::copy_from_slice(body.as_bytes()));
    }
    let text: String = serde_json::from_str(body).ok()?;
    if said.is_base64_encoded { STANDARD.decode(text).ok().map(Bytes::from) } else { Some(text.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> Option<(u16, Vec<String>, String)> {
        let (head, body) = read(&Bytes::copy_from_slice(json.as_bytes()))?;
        let headers = head.headers.iter();
        let mut headers: Vec<_> =
            headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        headers.sort();
        Some((head.status.as_u16(), headers, String::from_utf8_lossy(&body).into_owned()))
    }

    #[test]
    fn results() {
        const PLAIN: &[&str] = &["content-type: application/json"];
        for (json, status, headers, body) in [
            (r#""hello""#, 200, PLAIN, "hello"),
            (r#"["hello",3,true]"#, 200, PLAIN, r#"["hello",3,true]"#),
            ("3", 200, PLAIN, "3"),
            ("true", 200, PLAIN, "true"),
            ("null", 200, PLAIN, "null"),
            (r#"{"a":{"b":1}}"#, 200, PLAIN, r#"{"a":{"b":1}}"#),
            (r#"{"body":"b"}"#, 200, PLAIN, r#"{"body":"b"}"#),
            ("no json", 200, PLAIN, "no json"),
            ("\"no json", 200, PLAIN, "\"no json"),
            ("", 200, PLAIN, ""),
            (r#"{"statusCode":null,"body":"b"}"#, 200, PLAIN, r#"{"statusCode":null,"body":"b"}"#),
            (r#"{"statusCode":201}"#, 201, PLAIN, ""),
            (r#"{"statusCode":"418","body":"tea"}"#, 418, PLAIN, "tea"),
            (r#"{"statusCode":200,"body":{"a":1}}"#, 200, PLAIN, r#"{"a":1}"#),
            (r#"{"statusCode":200,"body":"aGVsbG8=","isBase64Encoded":true}"#, 200, PLAIN, "hello"),
            (r#"{"statusCode":200,"body":"aGVsbG8=","isBase64Encoded":false}"#, 200, PLAIN, "aGVsbG8="),
            (
                r#"{"statusCode":200,"headers":{"Content-Type":"text/html","X-A":1,"x-b":true,"x-c":null},"cookies":["a=1","b=2"]}"#,
                200,
                &["content-type: text/html", "set-cookie: a=1", "set-cookie: b=2", "x-a: 1", "x-b: true"],
                "",
            ),
            (
                r#"{"statusCode":200,"headers":{"Content-Length":"7","Transfer-Encoding":"chunked"},"body":"x"}"#,
                200,
                &[
                    "content-type: application/json",
                    "x-amzn-remapped-content-length: 7",
                    "x-amzn-remapped-transfer-encoding: chunked",
                ],
                "x",
            ),
        ] {
            let headers = headers.iter().map(ToString::to_string).collect();
            assert_eq!(said(json), Some((status, headers, body.into())), "{json}");
        }
    }

    #[test]
    fn what_is_no_answer() {
        for json in [
            r#"{"statusCode":"x"}"#,
            r#"{"statusCode":true}"#,
            r#"{"statusCode":[200]}"#,
            r#"{"statusCode":200.5}"#,
            r#"{"statusCode":100}"#,
            r#"{"statusCode":99999}"#,
            r#"{"statusCode":-1}"#,
            r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
            r#"{"statusCode":200,"headers":{"a":"b\nc: d"}}"#,
            r#"{"statusCode":200,"headers":{"a":["b"]}}"#,
            r#"{"statusCode":200,"headers":[]}"#,
            r#"{"statusCode":200,"cookies":"a=1"}"#,
            r#"{"statusCode":200,"cookies":["a=1\r\nx: y"]}"#,
            r#"{"statusCode":200,"body":"%","isBase64Encoded":true}"#,
        ] {
            assert_eq!(said(json), None, "{json}");
        }
        let many: String = (0..=HEADERS).map(|index| format!("\"x-{index}\":1,")).collect();
        assert_eq!(
            said(&format!("{{\"statusCode\":200,\"headers\":{{{}}}}}", many.trim_end_matches(','))),
            None
        );
        let long = "x".repeat(HEAD_BYTES);
        assert_eq!(said(&format!("{{\"statusCode\":200,\"headers\":{{\"a\":\"{long}\"}}}}")), None);
    }

    #[test]
    fn preludes() {
        let head = prelude(br#"{"statusCode":206,"headers":{"x-a":"b"},"cookies":["c=d"]}"#).unwrap();
        assert_eq!(head.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(head.headers["content-type"], "application/octet-stream");
        assert_eq!(
            (&head.headers["x-a"], &head.headers["set-cookie"]),
            (&"b".parse().unwrap(), &"c=d".parse().unwrap())
        );
        assert_eq!(prelude(b"{}").unwrap().status, StatusCode::OK);
        assert_eq!((prelude(b""), prelude(b"[]"), prelude(b"{")), (None, None, None));
    }
}
