//! `--external FILE`: targets that are elsewhere, and who sends there. The file is JSON, a list; the first
//! entry that fits an ARN is where it is sent:
//!
//! ```json
//! [{"account": "123456789012", "region": "eu-west-1", "service": "sqs", "endpoint": "http://10.0.0.7:9324",
//!   "profile": "dev"}]
//! ```
//!
//! `account`, `region` and `service` say which ARNs, all that are given; `endpoint` is AWS's own where none is
//! given. Keys are a profile's or its own, as in `--role-credentials`.
//!
//! Deliberately not here: queues and retries, which `events` has.

mod request;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use lambkin_events::outbound::Carrier;
use lambkin_events::target::Delivery;
use lambkin_model::Pending;
use lambkin_model::bucket::{BucketError, ObjectName};
use lambkin_model::services::Credentials;
use serde::Deserialize;

use crate::role_credentials::{self, Entry};
use crate::trust;
use request::Request;

/// Longest wait for a connection, and for the whole of a request.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(15);
/// Of an answer that refuses, so much is told.
const TOLD_BYTES: u64 = 2048;
/// Region of signatures for ARNs without one.
const REGION: &str = "us-east-1";

/// Where ARNs are sent.
#[derive(Clone)]
struct Rule {
    account: Option<String>,
    region: Option<String>,
    service: Option<String>,
    /// Without a slash at the end; `None`: AWS's own.
    endpoint: Option<String>,
    credentials: Credentials,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    account: Option<String>,
    region: Option<String>,
    service: Option<String>,
    endpoint: Option<String>,
    profile: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    session_token: Option<String>,
}

/// Sends deliveries to other machines, signed.
pub(crate) struct Couriers {
    rules: Vec<Rule>,
    agent: ureq::Agent,
}

impl Couriers {
    /// As the file says. `shared` is the shared credentials file, read only where a profile is named.
    pub(crate) fn read(file: &Path, shared: Option<PathBuf>) -> Result<Self, String> {
        let text = role_credentials::private(file)?;
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        // serde's message would repeat what it did not understand.
        let written: Vec<Written> = serde_json::from_str(&text).map_err(|error| {
            named(&format!("not a JSON list of targets (line {}, column {})", error.line(), error.column()))
        })?;
        let mut profiles = None;
        let rule = |(at, written): (usize, Written)| {
            let what = format!("entry {}", at + 1);
            if written.account.is_none() && written.region.is_none() && written.service.is_none() {
                return Err(named(&format!("{what} needs an account, a region or a service")));
            }
            let endpoint = written.endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned());
            if endpoint.as_ref().is_some_and(|endpoint| authority(endpoint).is_none()) {
                return Err(named(&format!("{what}: an endpoint begins with http:// or https://")));
            }
            let entry = Entry {
                profile: written.profile,
                access_key_id: written.access_key_id,
                secret_access_key: written.secret_access_key,
                session_token: written.session_token,
            };
            let credentials = entry.credentials(file, &what, shared.as_deref(), &mut profiles)?;
            let Written { account, region, service, .. } = written;
            Ok(Rule { account, region, service, endpoint, credentials })
        };
        let rules = written.into_iter().enumerate().map(rule).collect::<Result<_, String>>()?;
        let agent = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(WHOLE))
            .http_status_as_error(false)
            .max_redirects(0)
            .tls_config(trust::config()?)
            .build();
        Ok(Self { rules, agent: agent.into() })
    }

    fn rule(&self, arn: &str) -> Option<(&Rule, String)> {
        let mut parts = arn.split(':').skip(2);
        let (service, region, account) = (parts.next()?, parts.next()?, parts.next()?);
        if !request::SERVICES.contains(&service) {
            return None;
        }
        let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted == is);
        let rule = self.rules.iter().find(|rule| {
            fits(&rule.service, service) && fits(&rule.region, region) && fits(&rule.account, account)
        })?;
        let region = if region.is_empty() { REGION } else { region };
        let usual = || format!("https://{service}.{region}.amazonaws.com");
        Some((rule, rule.endpoint.clone().unwrap_or_else(usual)))
    }
}

/// A deadline for one object, of any size that code may have.
const OBJECT: Duration = Duration::from_secs(120);

impl Couriers {
    /// Whether an entry says where buckets are.
    pub(crate) fn has_buckets(&self) -> bool {
        self.rule("arn:aws:s3:::").is_some()
    }

    /// An object's content. Blocking.
    pub(crate) fn object(&self, object: &ObjectName, limit: u64) -> Result<Bytes, BucketError> {
        let unavailable = |reason: String| BucketError::Unavailable(format!("{}: {reason}", object.arn()));
        let arn = object.arn();
        let (rule, endpoint) =
            self.rule(&arn).ok_or_else(|| unavailable("no entry of --external fits it".into()))?;
        let request = Request::of_object(&endpoint, object);
        let signature =
            signature(&rule.credentials, &arn, &request, SystemTime::now()).map_err(unavailable)?;
        let mut built = ureq::http::Request::builder().method(request.method).uri(&request.url);
        for (name, value) in &signature {
            built = built.header(name, value);
        }
        let built = built.body(()).map_err(|error| unavailable(error.to_string()))?;
        let built = self.agent.configure_request(built).timeout_global(Some(OBJECT)).build();
        let answer = self.agent.run(built).map_err(|error| unavailable(error.to_string()))?;
        let status = answer.status();
        if !status.is_success() {
            let text = answer.into_body().with_config().limit(TOLD_BYTES).lossy_utf8(true).read_to_string();
            return Err(refusal(status.as_u16(), &text.unwrap_or_default()));
        }
        match answer.into_body().with_config().limit(limit + 1).read_to_vec() {
            Ok(content) if content.len() as u64 <= limit => Ok(content.into()),
            Ok(_) | Err(ureq::Error::BodyExceedsLimit(_)) => Err(BucketError::TooLarge),
            Err(error) => Err(unavailable(error.to_string())),
        }
    }
}

/// S3's words, from its XML.
fn refusal(status: u16, text: &str) -> BucketError {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.to_owned())
    };
    let code = element("Code").unwrap_or_else(|| status.to_string());
    let message = element("Message").unwrap_or_else(|| "The bucket's service did not say why".into());
    BucketError::Refused { code, message }
}

impl Carrier for Couriers {
    fn place(&self, arn: &str) -> Option<String> {
        self.rule(arn).and_then(|(_, endpoint)| authority(&endpoint).map(str::to_owned))
    }

    fn carry(&self, arn: String, delivery: Delivery) -> Pending<'static, Result<(), String>> {
        let found = self.rule(&arn).map(|(rule, endpoint)| (rule.credentials.clone(), endpoint));
        let agent = self.agent.clone();
        Box::pin(async move {
            let (credentials, endpoint) = found.ok_or("no entry of --external fits it any more")?;
            let send = move || {
                let request = Request::new(&endpoint, &arn, &delivery, SystemTime::now())?;
                exchange(&agent, &credentials, &arn, &request)
            };
            // As long as the agent's own timeouts at the most.
            tokio::task::spawn_blocking(send).await.map_err(|error| error.to_string())?
        })
    }
}

/// Host and port of a URL.
fn authority(endpoint: &str) -> Option<&str> {
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"))?;
    rest.split('/').next().filter(|authority| !authority.is_empty())
}

/// One request; what does not succeed is told with the words of the answer.
fn exchange(
    agent: &ureq::Agent,
    credentials: &Credentials,
    arn: &str,
    request: &Request,
) -> Result<(), String> {
    let mut built = ureq::http::Request::builder().method(request.method).uri(&request.url);
    for (name, value) in
        request.headers.iter().chain(&signature(credentials, arn, request, SystemTime::now())?)
    {
        built = built.header(name, value);
    }
    let built = built.body(&request.body[..]).map_err(|error| error.to_string())?;
    let answer = agent.run(built).map_err(|error| format!("{}: {error}", request.url))?;
    let status = answer.status();
    let text = answer.into_body().with_config().limit(TOLD_BYTES).lossy_utf8(true).read_to_string();
    let text = text.unwrap_or_default();
    if !status.is_success() {
        return Err(format!("{}: {status}: {text}", request.url));
    }
    request.accepted(&text).map_err(|reason| format!("{}: {reason}", request.url))
}

/// The headers that sign it.
fn signature(
    credentials: &Credentials,
    arn: &str,
    request: &Request,
    now: SystemTime,
) -> Result<Vec<(String, String)>, String> {
    let Credentials { access_key_id, secret_access_key, session_token } = credentials;
    let identity = aws_credential_types::Credentials::new(
        access_key_id,
        secret_access_key,
        session_token.clone(),
        None,
        "lambkin",
    );
    let identity = identity.into();
    let mut parts = arn.split(':').skip(2);
    let (service, region) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut settings = SigningSettings::default();
    if service == "s3" {
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    }
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(if region.is_empty() { REGION } else { region })
        .name(service)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let body = SignableBody::Bytes(&request.body);
    let signable = SignableRequest::new(request.method, &request.url, headers, body)
        .map_err(|error| error.to_string())?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| error.to_string())?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn read(text: &str) -> Result<Couriers, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("external.json");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Couriers::read(&path, None)
    }

    const KEYS: &str = r#""accessKeyId": "ID", "secretAccessKey": "SECRET""#;

    #[test]
    fn the_first_entry_that_fits_is_taken() {
        let couriers = read(&format!(
            r#"[{{"account": "111111111111", "service": "sqs", "endpoint": "http://10.0.0.7:9324/", {KEYS}}},
                {{"account": "111111111111", {KEYS}}},
                {{"region": "eu-west-1", "endpoint": "https://far.example/base", {KEYS}}},
                {{"service": "s3", {KEYS}}}]"#
        ))
        .unwrap();
        for (arn, place) in [
            ("arn:aws:sqs:us-east-1:111111111111:q", Some("10.0.0.7:9324")),
            ("arn:aws:sns:us-east-1:111111111111:t", Some("sns.us-east-1.amazonaws.com")),
            ("arn:aws:lambda:eu-west-1:000000000000:function:f", Some("far.example")),
            ("arn:aws:sqs:us-east-1:000000000000:q", None),
            ("arn:aws:s3:::bucket", Some("s3.us-east-1.amazonaws.com")),
            ("arn:aws:dynamodb:eu-west-1:000000000000:table/t", None),
            ("nothing", None),
        ] {
            assert_eq!(couriers.place(arn).as_deref(), place, "{arn}");
        }
    }

    #[test]
    fn refusals_of_objects() {
        for (text, code, message) in [
            (
                "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>",
                "NoSuchKey",
                "The specified key does not exist.",
            ),
            ("<Error><Code>Half", "403", "The bucket's service did not say why"),
            ("", "403", "The bucket's service did not say why"),
        ] {
            let refused = BucketError::Refused { code: code.into(), message: message.into() };
            assert_eq!(refusal(403, text), refused);
        }
    }

    #[test]
    fn wrong_files_are_refused_and_say_no_secret() {
        for (text, refusal) in [
            (
                r#"[{"accessKeyId": "ID", "secretAccessKey": "SECRET"}]"#,
                "needs an account, a region or a service",
            ),
            (r#"[{"account": "1", "accessKeyId": "SECRET"}]"#, "needs either profile"),
            (
                r#"[{"account": "1", "endpoint": "10.0.0.7", "accessKeyId": "A", "secretAccessKey": "SECRET"}]"#,
                "begins with http://",
            ),
            (r#"{"account": "SECRET"}"#, "not a JSON list"),
            (r#"[{"acount": "SECRET"}]"#, "not a JSON list"),
        ] {
            let error = read(text).err().unwrap();
            assert!(error.contains(refusal) && !error.contains("SECRET"), "{error}");
        }
    }
}
