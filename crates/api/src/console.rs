//! `/console`: the files of the web console, as the build script embedded them. They are a client of the public API
//! like any other; nothing here knows what they do.
//!
//! Deliberately not here: what the console asks lambkin (`own` and AWS's operations).

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{Method, StatusCode};

use crate::coding::takes_gzip;
use crate::reply::{Reply, ReplyBody, empty, reply};

include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// Scripts and requests only of and to this origin, nothing inline but styles, which the editor sets; in no frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
     font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
/// A changed file has another name.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Answers a request for `/console` or below, and shows a browser the way there; `None` where the path is another's.
pub(crate) fn answer(parts: &Parts) -> Option<Reply> {
    if is_visitor(parts) {
        let mut response = empty(StatusCode::SEE_OTHER);
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/console"));
        return Some(response);
    }
    let name = match parts.uri.path().strip_prefix("/console")? {
        "" | "/" => "index.html",
        below => below.strip_prefix('/')?,
    };
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(response);
    }
    let file = FILES.binary_search_by_key(&name, |(name, _)| name).map(|index| FILES[index].1);
    let mut response = match file {
        Ok(compressed) => serve(parts, name, compressed),
        Err(_) if FILES.is_empty() => page(StatusCode::SERVICE_UNAVAILABLE, &absent()),
        Err(_) => page(
            StatusCode::NOT_FOUND,
            "<p>There is no such file. The console is at <a href=\"/console\">/console</a>.",
        ),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(OPENER_POLICY, SAME_ORIGIN);
    Some(response)
}

/// Whether someone has typed lambkin's address into a browser. No client of AWS's asks for a page without saying who it is.
fn is_visitor(parts: &Parts) -> bool {
    let accepts = parts.headers.get(ACCEPT).and_then(|accepts| accepts.to_str().ok());
    parts.method == Method::GET
        && parts.uri.path() == "/"
        && parts.uri.query().is_none()
        && !parts.headers.contains_key(AUTHORIZATION)
        && accepts.is_some_and(|accepts| accepts.contains("text/html"))
}

/// Whether this lambkin has a console.
#[must_use]
pub fn is_built() -> bool {
    !FILES.is_empty()
}

fn serve(parts: &Parts, name: &str, compressed: &'static [u8]) -> Reply {
    let gzip = takes_gzip(parts);
    let bytes = if gzip {
        Bytes::from_static(compressed)
    } else {
        let mut bytes = Vec::new();
        GzDecoder::new(compressed).read_to_end(&mut bytes).expect("the build script compressed it");
        bytes.into()
    };
    let length = bytes.len();
    let body = if parts.method == Method::HEAD { Bytes::new() } else { bytes };
    let mut response = reply(StatusCode::OK, ReplyBody::Bytes(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(name)));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let cached = if name.starts_with("assets/") { FOREVER } else { HeaderValue::from_static("no-cache") };
    headers.insert(CACHE_CONTROL, cached);
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn absent() -> String {
    let reason = ABSENT.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<p>This lambkin was built without its web console: {reason}<p>Everything else works: the API answers here."
    )
}

fn page(status: StatusCode, text: &str) -> Reply {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>lambkin</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:4em auto;padding:0 1em}}</style>\
         <h1>lambkin</h1>{text}"
    );
    let mut response = reply(status, ReplyBody::Bytes(html.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_others_stay_theirs() {
        let answer = |method: &str, path: &str| {
            let request = http::Request::builder().method(method).uri(path).body(()).unwrap();
            super::answer(&request.into_parts().0).map(|response| response.status().as_u16())
        };
        let page = if is_built() { 200 } else { 503 };
        for (method, path, expected) in [
            ("GET", "/console", Some(page)),
            ("GET", "/console/", Some(page)),
            ("POST", "/console", Some(405)),
            ("GET", "/console/../Cargo.toml", Some(if is_built() { 404 } else { 503 })),
            ("GET", "/consoles", None),
            ("GET", "/2015-03-31/functions", None),
        ] {
            assert_eq!(answer(method, path), expected, "{method} {path}");
        }
    }
}
