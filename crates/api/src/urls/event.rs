//! What a function gets of a request to its URL: AWS's payload format 2.0, as recorded (aws-behaviour 59).
//!
//! Deliberately not here: reading the body, and who may call.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderName};
use http::request::Parts;
use lambkin_model::time::Timestamp;
use percent_encoding::percent_decode;
use serde::Serialize;

/// A request, with what its headers do not say.
pub(super) struct Request<'r> {
    pub(super) parts: &'r Parts,
    /// As it came, and without the id where that is part of it.
    pub(super) path: &'r str,
    pub(super) body: &'r [u8],
    /// Of the URL.
    pub(super) id: &'r str,
    pub(super) domain: &'r str,
    pub(super) peer: IpAddr,
    pub(super) port: u16,
    pub(super) secure: bool,
    pub(super) request_id: &'r str,
    /// `Root=…;Parent=…;Sampled=0`
    pub(super) trace: &'r str,
    pub(super) now: Timestamp,
    pub(super) signer: Option<Signer<'r>>,
}

/// Who signed, of a URL that only signed requests reach.
#[derive(Clone, Copy)]
pub(super) struct Signer<'r> {
    pub(super) account: &'r str,
    pub(super) access_key: &'r str,
    pub(super) id: &'r str,
    pub(super) arn: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'r> {
    version: &'static str,
    route_key: &'static str,
    raw_path: &'r str,
    raw_query_string: &'r str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<&'r str>,
    headers: BTreeMap<&'r str, Cow<'r, str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: RequestContext<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'r, str>>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'r> {
    account_id: &'r str,
    api_id: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer<'r>>,
    domain_name: &'r str,
    domain_prefix: &'r str,
    http: Http<'r>,
    request_id: &'r str,
    route_key: &'static str,
    stage: &'static str,
    time: String,
    time_epoch: u64,
}

#[derive(Serialize)]
struct Authorizer<'r> {
    iam: Iam<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Iam<'r> {
    access_key: &'r str,
    account_id: &'r str,
    caller_id: &'r str,
    cognito_identity: Option<()>,
    principal_org_id: Option<()>,
    user_arn: &'r str,
    user_id: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'r> {
    method: &'r str,
    path: &'r str,
    protocol: String,
    source_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'r, str>>,
}

/// Of the connection, not of the request; and what lambkin says itself, whatever a client says.
const NOT_PASSED: [HeaderName; 7] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];

/// The event as JSON; its length where that is more than `limit`, however much longer than the request it is.
pub(super) fn event(request: &Request<'_>, limit: usize) -> Result<Vec<u8>, u64> {
    let parts = request.parts;
    let query = parts.uri.query().unwrap_or_default();
    let peer = request.peer.to_canonical().to_string();
    let (body, is_base64_encoded) = body(parts, request.body);
    let signer = request.signer;
    let event = Event {
        version: "2.0",
        route_key: "$default",
        raw_path: request.path,
        raw_query_string: query,
        cookies: cookies(parts),
        headers: headers(request, &peer),
        query_string_parameters: parameters(query),
        request_context: RequestContext {
            account_id: signer.map_or("anonymous", |signer| signer.account),
            api_id: request.id,
            authorizer: signer.map(|signer| Authorizer {
                iam: Iam {
                    access_key: signer.access_key,
                    account_id: signer.account,
                    caller_id: signer.id,
                    cognito_identity: None,
                    principal_org_id: None,
                    user_arn: signer.arn,
                    user_id: signer.id,
                },
            }),
            domain_name: request.domain,
            domain_prefix: request.id,
            http: Http {
                method: parts.method.as_str(),
                path: request.path,
                protocol: format!("{:?}", parts.version),
                source_ip: peer.clone(),
                user_agent: parts.headers.get(header::USER_AGENT).map(|value| text(value.as_bytes())),
            },
            request_id: request.request_id,
            route_key: "$default",
            stage: "$default",
            time: request.now.common_log(),
            time_epoch: request.now.millis(),
        },
        body,
        is_base64_encoded,
    };
    let mut written = Bounded { bytes: Vec::with_capacity(request.body.len() + 2048), length: 0, limit };
    serde_json::to_writer(&mut written, &event).expect("its maps have texts as keys");
    if written.length > limit as u64 { Err(written.length) } else { Ok(written.bytes) }
}

/// Keeps no more than its limit, and counts the rest.
struct Bounded {
    bytes: Vec<u8>,
    length: u64,
    limit: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.length += bytes.len() as u64;
        if self.length <= self.limit as u64 {
            self.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Names in lower case, several values of one name in one.
fn headers<'r>(request: &Request<'r>, peer: &str) -> BTreeMap<&'r str, Cow<'r, str>> {
    let mut all: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for (name, value) in &request.parts.headers {
        if NOT_PASSED.contains(name) {
            continue;
        }
        let value = text(value.as_bytes());
        let between = if name == header::COOKIE { "; " } else { "," };
        all.entry(name.as_str())
            .and_modify(|before| *before = format!("{before}{between}{value}").into())
            .or_insert(value);
    }
    // A client could say anything here.
    all.insert("x-forwarded-for", peer.to_owned().into());
    all.insert("x-forwarded-port", request.port.to_string().into());
    all.insert("x-forwarded-proto", if request.secure { "https" } else { "http" }.into());
    all.insert(
        "x-amzn-trace-id",
        request.trace.split(";Parent").next().unwrap_or_default().to_owned().into(),
    );
    all
}

/// They stand among the headers too.
fn cookies(parts: &Parts) -> Vec<&str> {
    let all = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).map(str::trim).filter(|cookie| !cookie.is_empty()).collect()
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let decoded = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
    };
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value);
        all.entry(decoded(name))
            .and_modify(|before| {
                before.push(',');
                before.push_str(&value);
            })
            .or_insert(value);
    }
    all
}

/// As text, where its type is one of text and it is one; in base64 otherwise.
fn body<'r>(parts: &Parts, bytes: &'r [u8]) -> (Option<Cow<'r, str>>, bool) {
    if bytes.is_empty() {
        return (None, false);
    }
    let named =
        parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) if is_text(named) => (Some(Cow::Borrowed(text)), false),
        Ok(_) | Err(_) => (Some(STANDARD.encode(bytes).into()), true),
    }
}

fn is_text(media_type: &str) -> bool {
    let name = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    name.starts_with("text/")
        || matches!(&*name, "application/json" | "application/javascript" | "application/xml")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn made(uri: &str, headers: &[(&str, &str)], body: &[u8], signer: Option<Signer<'_>>) -> Value {
        let mut request = http::Request::builder().method("POST").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        let request = Request {
            parts: &parts,
            path: parts.uri.path(),
            body,
            id: "i",
            domain: "i.lambda-url.us-east-1.localhost",
            peer: "::ffff:127.0.0.1".parse().unwrap(),
            port: 4566,
            secure: false,
            request_id: "r",
            trace: "Root=1-2-3;Parent=4;Sampled=0",
            now: Timestamp(1_767_323_045_678_901),
            signer,
        };
        serde_json::from_slice(&event(&request, LIMIT).unwrap()).unwrap()
    }

    #[test]
    fn a_request_without_anything() {
        let expected = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/",
            "rawQueryString": "",
            "headers": {
                "host": "h",
                "x-amzn-trace-id": "Root=1-2-3",
                "x-forwarded-for": "127.0.0.1",
                "x-forwarded-port": "4566",
                "x-forwarded-proto": "http",
            },
            "requestContext": {
                "accountId": "anonymous",
                "apiId": "i",
                "domainName": "i.lambda-url.us-east-1.localhost",
                "domainPrefix": "i",
                "http": {
                    "method": "POST",
                    "path": "/",
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                },
                "requestId": "r",
                "routeKey": "$default",
                "stage": "$default",
                "time": "02/Jan/2026:03:04:05 +0000",
                "timeEpoch": 1_767_323_045_678_u64,
            },
            "isBase64Encoded": false,
        });
        assert_eq!(made("/", &[("Host", "h")], b"", None), expected);
    }

    #[test]
    fn paths_and_queries() {
        let asked = made("/a%20b/%C3%A9?x=1&y=%26&x=2&z&q=a+b", &[], b"", None);
        assert_eq!(asked["rawPath"], "/a%20b/%C3%A9");
        assert_eq!(asked["requestContext"]["http"]["path"], "/a%20b/%C3%A9");
        assert_eq!(asked["rawQueryString"], "x=1&y=%26&x=2&z&q=a+b");
        assert_eq!(asked["queryStringParameters"], json!({"x": "1,2", "y": "&", "z": "", "q": "a b"}));
    }

    #[test]
    fn headers_and_cookies() {
        let asked = made(
            "/",
            &[
                ("X-Many", "1"),
                ("x-many", "2"),
                ("Cookie", "a=1; b=2"),
                ("Cookie", "c=3"),
                ("Connection", "keep-alive, upgrade"),
                ("Upgrade", "websocket"),
                ("X-Forwarded-For", "10.0.0.1"),
                ("X-Amzn-Trace-Id", "spoofed"),
                ("User-Agent", "agent"),
            ],
            b"",
            None,
        );
        assert_eq!(asked["cookies"], json!(["a=1", "b=2", "c=3"]));
        let headers = asked["headers"].as_object().unwrap();
        let names: Vec<_> = headers.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "cookie",
                "user-agent",
                "x-amzn-trace-id",
                "x-forwarded-for",
                "x-forwarded-port",
                "x-forwarded-proto",
                "x-many"
            ]
        );
        assert_eq!((&headers["cookie"], &headers["x-many"]), (&json!("a=1; b=2; c=3"), &json!("1,2")));
        assert_eq!(
            (&headers["x-forwarded-for"], &headers["x-amzn-trace-id"]),
            (&json!("127.0.0.1"), &json!("Root=1-2-3"))
        );
        assert_eq!(asked["requestContext"]["http"]["userAgent"], "agent");
    }

    #[test]
    fn bodies() {
        for (media_type, body, expected, base64) in [
            ("text/plain", &b"hello"[..], "hello", false),
            ("application/json; charset=utf-8", b"{}", "{}", false),
            ("APPLICATION/XML", b"<a/>", "<a/>", false),
            ("application/javascript", b"1", "1", false),
            ("text/plain", b"\xff", "/w==", true),
            ("application/x-www-form-urlencoded", b"a=1", "YT0x", true),
            ("multipart/form-data; boundary=x", b"--x", "LS14", true),
            ("image/png", b"\x89PNG", "iVBORw==", true),
            ("", b"hello", "aGVsbG8=", true),
        ] {
            let asked = made("/", &[("content-type", media_type)], body, None);
            assert_eq!(
                (&asked["body"], &asked["isBase64Encoded"]),
                (&json!(expected), &json!(base64)),
                "{media_type}"
            );
        }
    }

    #[test]
    fn what_grows_is_not_kept() {
        let mut written = Bounded { bytes: Vec::new(), length: 0, limit: 4 };
        serde_json::to_writer(&mut written, "\0\0").unwrap();
        assert_eq!(written.length, 14, "six bytes for each, and the quotes");
        assert!(written.bytes.len() <= 4);
    }

    #[test]
    fn signers() {
        let signer = Signer { account: "000000000000", access_key: "AKIA", id: "AIDA", arn: "arn:user/ann" };
        let asked = made("/", &[], b"", Some(signer));
        assert_eq!(asked["requestContext"]["accountId"], "000000000000");
        assert_eq!(
            asked["requestContext"]["authorizer"],
            json!({"iam": {
                "accessKey": "AKIA", "accountId": "000000000000", "callerId": "AIDA", "cognitoIdentity": null,
                "principalOrgId": null, "userArn": "arn:user/ann", "userId": "AIDA",
            }})
        );
    }
}
