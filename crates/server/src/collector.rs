//! The OpenTelemetry collector: where it is, by `--otlp-endpoint` or OpenTelemetry's own variables, and requests to it, by
//! OTLP over HTTP with protobuf.
//!
//! Deliberately not here: spans, and what becomes of them while it is away (`observe`).

use std::time::Duration;

use lambkin_observe::traces::{Collector, Exporter, Unsent};
use percent_encoding::percent_decode_str;
use ureq::http::{HeaderName, HeaderValue};

/// OpenTelemetry's default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of an answer, so much is read.
const ANSWER_BYTES: u64 = 64 * 1024;
/// Of an answer that refuses, so much is told.
const TOLD_CHARS: usize = 256;

/// Where to, and with what.
#[derive(Debug, PartialEq)]
struct Place {
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
}

/// To the endpoint, or to where OpenTelemetry's variables say. Starts a thread where there is one.
pub(crate) fn exporter(endpoint: Option<&str>) -> Result<Exporter, String> {
    let Some(place) = place(endpoint, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))?
    else {
        return Ok(Exporter::off());
    };
    tracing::info!(url = place.url, "spans of traced requests are sent");
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(place.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("lambkin/", env!("CARGO_PKG_VERSION")))
        .build();
    Exporter::start(Box::new(Otlp { place, agent: agent.into() })).map_err(|error| error.to_string())
}

fn place(endpoint: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Place>, String> {
    let off = || {
        variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
            || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none")
    };
    let below = |base: &str| format!("{}/v1/traces", base.trim_end_matches('/'));
    let (url, from) = match endpoint {
        Some(endpoint) => (below(endpoint), "--otlp-endpoint"),
        None if off() => return Ok(None),
        None => {
            let of_traces = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
            let of_all = || variable("OTEL_EXPORTER_OTLP_ENDPOINT");
            match (of_traces, of_all) {
                (Some(url), _) => (url, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
                (None, of_all) => match of_all() {
                    Some(base) => (below(&base), "OTEL_EXPORTER_OTLP_ENDPOINT"),
                    None => return Ok(None),
                },
            }
        }
    };
    let parsed: ureq::http::Uri = url.parse().map_err(|_| format!("{from}: {url} is not a URL"))?;
    if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none_or(str::is_empty) {
        return Err(format!("{from}: {url} does not begin with http:// or https:// and a host"));
    }
    let either = |what: &str| {
        variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"))
            .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{what}")))
    };
    if let Some(other) = either("PROTOCOL").filter(|protocol| protocol != "http/protobuf") {
        return Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL is {other}: lambkin sends spans by http/protobuf alone (port 4318 of most \
             collectors)"
        ));
    }
    let headers = either("HEADERS").map(|text| headers(&text)).transpose()?.unwrap_or_default();
    let timeout = match either("TIMEOUT") {
        None => TIMEOUT,
        Some(text) => match text.parse() {
            Ok(millis @ 1..=600_000) => Duration::from_millis(millis),
            Ok(_) | Err(_) => {
                return Err(format!("OTEL_EXPORTER_OTLP_TIMEOUT is {text}: not 1 to 600000 milliseconds"));
            }
        },
    };
    Ok(Some(Place { url, headers, timeout }))
}

/// `name=value,…`, the values percent-encoded. They may be secret: what is wrong is not repeated.
fn headers(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let header = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().parse().ok()?, value.parse().ok()?))
    };
    let all: Option<Vec<_>> = parts.map(header).collect();
    all.ok_or_else(|| "OTEL_EXPORTER_OTLP_HEADERS is not a list of name=value".into())
}

struct Otlp {
    place: Place,
    agent: ureq::Agent,
}

impl Collector for Otlp {
    fn send(&self, request: &[u8]) -> Result<Vec<u8>, Unsent> {
        let Place { url, headers, .. } = &self.place;
        let mut built = self.agent.post(url).content_type("application/x-protobuf");
        for (name, value) in headers {
            built = built.header(name, value);
        }
        let answer = built.send(request).map_err(|error| Unsent::Now(format!("{url}: {error}")))?;
        let status = answer.status();
        let body = answer.into_body().with_config().limit(ANSWER_BYTES).read_to_vec();
        // What was taken was taken, whatever is said of it.
        let body = body.unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let told: String = String::from_utf8_lossy(&body).chars().take(TOLD_CHARS).collect();
        let reason = format!("{url}: {status} {}", told.trim());
        // Those that the protocol has tried again.
        Err(if matches!(status.as_u16(), 429 | 502 | 503 | 504) {
            Unsent::Now(reason)
        } else {
            Unsent::Ever(reason)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn found(endpoint: Option<&str>, variables: Variables<'_>) -> Result<Option<Place>, String> {
        let variable = |name: &str| {
            let mut pairs = variables.iter().filter(|(key, _)| *key == name);
            pairs.next().map(|(_, value)| (*value).to_owned())
        };
        place(endpoint, variable)
    }

    #[test]
    fn places() {
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        for (endpoint, variables, url) in [
            (None, &[][..], None),
            (Some("http://127.0.0.1:4318"), &[all][..], Some("http://127.0.0.1:4318/v1/traces")),
            (None, &[all], Some("http://c:4318/v1/traces")),
            (None, &[all, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://d/here")], Some("https://d/here")),
            (None, &[all, ("OTEL_SDK_DISABLED", "TRUE")], None),
            (None, &[all, ("OTEL_TRACES_EXPORTER", "none")], None),
            (Some("http://e"), &[("OTEL_SDK_DISABLED", "true")], Some("http://e/v1/traces")),
        ] {
            let place = found(endpoint, variables).unwrap();
            assert_eq!(place.map(|place| place.url).as_deref(), url, "{endpoint:?} {variables:?}");
        }
    }

    #[test]
    fn headers_and_timeout() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x=1,"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ];
        let place = found(Some("http://e"), &variables).unwrap().unwrap();
        let header = |name: &'static str, value: &'static str| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        assert_eq!(place.headers, [header("api-key", "a b"), header("x", "1")]);
        assert_eq!(place.timeout, Duration::from_millis(250));
    }

    #[test]
    fn what_is_wrong_is_said_and_no_secret() {
        for (endpoint, variables, refusal) in [
            (Some("c:4318"), &[][..], "--otlp-endpoint: c:4318/v1/traces is not a URL"),
            (Some("ftp://c"), &[], "--otlp-endpoint: ftp://c/v1/traces does not begin with http://"),
            (Some("http://"), &[], "--otlp-endpoint"),
            (None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:/x")], "OTEL_EXPORTER_OTLP_ENDPOINT"),
            (Some("http://e"), &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "http/protobuf alone"),
            (Some("http://e"), &[("OTEL_EXPORTER_OTLP_HEADERS", "SECRET")], "not a list of name=value"),
            (Some("http://e"), &[("OTEL_EXPORTER_OTLP_HEADERS", "a=%0ASECRET")], "not a list of name=value"),
            (Some("http://e"), &[("OTEL_EXPORTER_OTLP_TIMEOUT", "0")], "not 1 to 600000"),
        ] {
            let error = found(endpoint, variables).unwrap_err();
            assert!(error.contains(refusal) && !error.contains("SECRET"), "{error}");
        }
    }
}
