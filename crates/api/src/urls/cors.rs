//! What browsers are told of a URL's CORS configuration.
//!
//! Deliberately not here: which origins fit (`model::url`).

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use lambkin_model::url::Cors;

use crate::reply::{Reply, empty};

/// The answer to a browser that asks before it sends: no function runs for it.
pub(super) fn preflight(cors: &Cors, parts: &Parts) -> Option<Reply> {
    let origin = text(parts, &header::ORIGIN)?;
    let method =
        text(parts, &header::ACCESS_CONTROL_REQUEST_METHOD).filter(|_| parts.method == Method::OPTIONS)?;
    let mut reply = empty(StatusCode::OK);
    let Some(allowed) = cors.origin(origin) else { return Some(reply) };
    let headers = reply.headers_mut();
    common(cors, allowed, headers);
    let asked = text(parts, &header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    list(cors, &cors.allow_methods, method, &header::ACCESS_CONTROL_ALLOW_METHODS, headers);
    list(cors, &cors.allow_headers, asked, &header::ACCESS_CONTROL_ALLOW_HEADERS, headers);
    headers.extend(cors.max_age.map(|seconds| (header::ACCESS_CONTROL_MAX_AGE, seconds.into())));
    Some(reply)
}

/// Says it of an answer. What the function says of it itself does not count.
pub(super) fn allow(cors: &Cors, parts: &Parts, headers: &mut HeaderMap) {
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
    ] {
        headers.remove(name);
    }
    let Some(allowed) = text(parts, &header::ORIGIN).and_then(|origin| cors.origin(origin)) else { return };
    common(cors, allowed, headers);
    list(cors, &cors.expose_headers, "", &header::ACCESS_CONTROL_EXPOSE_HEADERS, headers);
}

fn common(cors: &Cors, origin: &str, headers: &mut HeaderMap) {
    headers.extend(
        HeaderValue::from_str(origin).ok().map(|origin| (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin)),
    );
    if origin != "*" {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    if cors.credentials() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// To a browser `*` is a name where credentials come along, so there what was asked for is said.
fn list(cors: &Cors, all: &Option<Vec<String>>, asked: &str, name: &HeaderName, headers: &mut HeaderMap) {
    let all = all.as_deref().unwrap_or_default();
    let any = cors.credentials() && !asked.is_empty() && all.iter().any(|one| one == "*");
    let said = if any { asked.to_owned() } else { all.join(",") };
    let said = Some(said).filter(|said| !said.is_empty()).and_then(|said| HeaderValue::try_from(said).ok());
    headers.extend(said.map(|said| (name.clone(), said)));
}

fn text<'p>(parts: &'p Parts, name: &HeaderName) -> Option<&'p str> {
    parts.headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn texts(all: &[&str]) -> Option<Vec<String>> {
        Some(all.iter().map(ToString::to_string).collect())
    }

    fn told(headers: &HeaderMap) -> Vec<String> {
        let mut all: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        all.sort();
        all
    }

    const ASKED: [(&str, &str); 3] = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "x-a,x-b"),
    ];

    #[test]
    fn preflights() {
        let open = Cors {
            allow_origins: texts(&["*"]),
            allow_methods: texts(&["*"]),
            allow_headers: texts(&["x-a", "X-C"]),
            max_age: Some(60),
            ..Cors::default()
        };
        let reply = preflight(&open, &parts("OPTIONS", &ASKED)).unwrap();
        assert_eq!(
            told(reply.headers()),
            [
                "access-control-allow-headers: x-a,X-C",
                "access-control-allow-methods: *",
                "access-control-allow-origin: *",
                "access-control-max-age: 60",
            ]
        );
        let with = Cors { allow_credentials: Some(true), allow_headers: texts(&["*"]), ..open.clone() };
        assert_eq!(
            told(preflight(&with, &parts("OPTIONS", &ASKED)).unwrap().headers()),
            [
                "access-control-allow-credentials: true",
                "access-control-allow-headers: x-a,x-b",
                "access-control-allow-methods: PUT",
                "access-control-allow-origin: https://a.example",
                "access-control-max-age: 60",
                "vary: Origin",
            ]
        );
        let other = Cors { allow_origins: texts(&["https://b.example"]), ..open.clone() };
        assert!(preflight(&other, &parts("OPTIONS", &ASKED)).unwrap().headers().is_empty());
        // Anything else is the function's.
        assert!(preflight(&open, &parts("GET", &ASKED)).is_none());
        assert!(preflight(&open, &parts("OPTIONS", &ASKED[..1])).is_none());
        assert!(preflight(&open, &parts("OPTIONS", &ASKED[1..])).is_none());
    }

    #[test]
    fn answers() {
        let cors = Cors {
            allow_origins: texts(&["https://a.example"]),
            expose_headers: texts(&["x-e"]),
            ..Cors::default()
        };
        let mut headers: HeaderMap =
            [(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://evil.example"))]
                .into_iter()
                .collect();
        allow(&cors, &parts("GET", &ASKED[..1]), &mut headers);
        assert_eq!(
            told(&headers),
            [
                "access-control-allow-origin: https://a.example",
                "access-control-expose-headers: x-e",
                "vary: Origin"
            ]
        );
        let mut headers = HeaderMap::new();
        allow(&cors, &parts("GET", &[("origin", "https://b.example")]), &mut headers);
        allow(&cors, &parts("GET", &[]), &mut headers);
        assert!(headers.is_empty());
    }
}
