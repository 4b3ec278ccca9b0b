//! Asking a lambkin that serves: `/_lambkin/…`, and CloudWatch Logs, for the commands that show what is in it.
//! Signed by the key of `$AWS_ACCESS_KEY_ID`, where there is one.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde::de::DeserializeOwned;

use crate::trust;

/// Where a lambkin listens that was told nothing else.
const USUAL: &str = "http://127.0.0.1:4566";
/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// What to do about a refusal of a request that nobody signed.
const KEYLESS: &str = "signatures are verified there; set the variables that `lambkin keys create` prints";

/// Reads a page: at this endpoint, or `$AWS_ENDPOINT_URL`, or where lambkin usually listens.
pub(crate) fn read<T: DeserializeOwned>(endpoint: Option<String>, path: &str) -> Result<T, String> {
    let url = format!("{}/_lambkin/{path}", place(endpoint));
    let mut asked = agent()?.get(&url);
    let scope = Scope { region: "us-east-1", service: "lambda" };
    let signed = scope.signed("GET", &url, &[], b"")?;
    let keyless = signed.is_none();
    for (name, value) in signed.unwrap_or_default() {
        asked = asked.header(name, value);
    }
    let answer = asked.call().map_err(|error| unanswered(&url, &error))?;
    let status = answer.status();
    let body = answer.into_body().into_reader();
    if status.is_success() {
        return serde_json::from_reader(body).map_err(|error| format!("{url}: {error}"));
    }
    if keyless && status == ureq::http::StatusCode::FORBIDDEN {
        return Err(format!("{url}: {KEYLESS}"));
    }
    // What is no lambkin refuses in words of its own.
    let refusal: serde_json::Value = serde_json::from_reader(body).unwrap_or_default();
    Err(match refusal["message"].as_str() {
        Some(message) => format!("{url}: {message} ({status})"),
        None => format!("{url}: {status}"),
    })
}

/// The group that a function writes to; `None` where it cannot be found out.
pub(crate) fn log_group(endpoint: Option<String>, region: &str, function: &str) -> Option<String> {
    let encoded: String = function
        .bytes()
        .map(|byte| match byte {
            b'-' | b'_' | b':' | b'$' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let url = format!("{}/2015-03-31/functions/{encoded}/configuration", place(endpoint));
    let scope = Scope { region, service: "lambda" };
    let mut asked = agent().ok()?.get(&url);
    let signed = scope.signed("GET", &url, &[], b"").ok()?;
    for (name, value) in signed.unwrap_or_else(|| scope.named()) {
        asked = asked.header(name, value);
    }
    let answer = asked.call().ok().filter(|answer| answer.status().is_success())?;
    let configuration: serde_json::Value = serde_json::from_reader(answer.into_body().into_reader()).ok()?;
    Some(configuration["LoggingConfig"]["LogGroup"].as_str()?.to_owned())
}

/// Where nothing listens: what to do.
fn unanswered(url: &str, error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            format!("{url}: nothing listens there; `lambkin serve` does, and --endpoint says where")
        }
        error => format!("{url}: {error}"),
    }
}

fn place(endpoint: Option<String>) -> String {
    let endpoint = endpoint.or_else(|| std::env::var("AWS_ENDPOINT_URL").ok());
    endpoint.unwrap_or_else(|| USUAL.into()).trim_end_matches('/').to_owned()
}

fn agent() -> Result<ureq::Agent, String> {
    let config = ureq::Agent::config_builder().timeout_global(Some(DEADLINE)).proxy(None);
    Ok(config.tls_config(trust::config()?).http_status_as_error(false).build().into())
}

/// What a signature is good for.
struct Scope<'s> {
    region: &'s str,
    service: &'s str,
}

impl Scope<'_> {
    /// The header that names the scope: a signature is wanted also where none is verified.
    fn named(&self) -> Vec<(String, String)> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=lambkin/20260101/{}/{}/aws4_request, SignedHeaders=host, Signature=0",
            self.region, self.service
        );
        vec![("authorization".into(), authorization)]
    }

    /// The headers that sign a request; `None` where there is no key.
    fn signed(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Option<Vec<(String, String)>>, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
        else {
            return Ok(None);
        };
        let identity = aws_credential_types::Credentials::new(id, secret, None, None, "lambkin").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let signable = SignableRequest::new(method, url, headers.iter().copied(), SignableBody::Bytes(body));
        let signable = signable.map_err(|error| format!("{url}: {error}"))?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
        Ok(Some(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}

/// CloudWatch Logs of a lambkin that serves.
pub(crate) struct CloudWatchLogs {
    agent: ureq::Agent,
    url: String,
    region: String,
    user_agent: &'static str,
}

/// Who says this reads a group's tail, and is answered when there is something new, as `aws logs tail --follow` is.
const FOLLOWER: &str = concat!("lambkin/", env!("CARGO_PKG_VERSION"), " m/ md/command#logs.tail");
const CLIENT: &str = concat!("lambkin/", env!("CARGO_PKG_VERSION"));

impl CloudWatchLogs {
    /// At this endpoint, or as [`read`] finds it.
    pub(crate) fn at(endpoint: Option<String>, region: &str) -> Result<Self, String> {
        let url = format!("{}/", place(endpoint));
        Ok(Self { agent: agent()?, url, region: region.to_owned(), user_agent: CLIENT })
    }

    /// As who follows: each answer of `FilterLogEvents` may wait, and has a token for what follows.
    pub(crate) fn following(self) -> Self {
        Self { user_agent: FOLLOWER, ..self }
    }

    /// Calls an operation.
    pub(crate) fn call<T: DeserializeOwned>(
        &self,
        operation: &str,
        input: &serde_json::Value,
    ) -> Result<T, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.url);
        let target = format!("Logs_20140328.{operation}");
        let headers = [("x-amz-target", &*target), ("content-type", "application/x-amz-json-1.1")];
        let input = input.to_string();
        let scope = Scope { region: &self.region, service: "logs" };
        let signed = scope.signed("POST", &self.url, &headers, input.as_bytes())?;
        let keyless = signed.is_none();
        let signed = signed.unwrap_or_else(|| scope.named());
        let mut asked = self.agent.post(&self.url).header("user-agent", self.user_agent);
        for (name, value) in headers {
            asked = asked.header(name, value);
        }
        for (name, value) in signed {
            asked = asked.header(name, value);
        }
        let answer = asked.send(input).map_err(|error| unanswered(&self.url, &error))?;
        let status = answer.status();
        let body = answer.into_body().into_reader();
        if status.is_success() {
            return serde_json::from_reader(body).map_err(|error| failed(&error));
        }
        let error: serde_json::Value = serde_json::from_reader(body).map_err(|error| failed(&error))?;
        let part = |name: &str| error[name].as_str().unwrap_or_default();
        // AWS's name of an error may follow that of a namespace.
        let name = part("__type").rsplit('#').next().unwrap_or_default();
        if keyless && name == "IncompleteSignatureException" {
            return Err(failed(&KEYLESS));
        }
        Err(format!("{} ({name})", part("message")))
    }
}
