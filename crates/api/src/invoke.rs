//! Invoke: the hot path. What a well-formed request costs is a look at its headers, one pass over
//! its payload and one answer; the service model is only asked to word what is wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use lambkin_events::asynchronous::Asked as EventAsked;
use lambkin_model::Error;
use lambkin_model::invocation;
use lambkin_model::invocation::{Invocation, Reply as InvocationReply};
use lambkin_model::name::{FunctionReference, LATEST, is_qualifier};
use lambkin_model::quota;
use serde::de::IgnoredAny;

use crate::Api;
use crate::api::Call;
use crate::input;
use crate::jackson;
use crate::refused;
use crate::reply::{JSON, Reply, ReplyBody, empty, reply};
use crate::route::{Matched, query_value};

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TENANT_ID: HeaderName = HeaderName::from_static("x-amz-tenant-id");
const DURABLE_NAME: HeaderName = HeaderName::from_static("x-amz-durable-execution-name");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

/// Longest name the operation takes (aws-behaviour 44).
const NAME_BYTES: usize = 170;
/// Longest trace header that is passed on; X-Ray's own have a fraction of it.
const TRACE_BYTES: usize = 1024;

enum InvocationType {
    RequestResponse,
    Event,
    DryRun,
}

/// The request without its payload.
struct Asked<'r> {
    function: FunctionReference,
    kind: InvocationType,
    log_tail: bool,
    client_context: Option<&'r [u8]>,
}

impl Api {
    pub(crate) async fn invoke_function(
        &self,
        call: &Call<'_>,
        matched: &Matched<'_, '_>,
        body: &mut Incoming,
    ) -> Result<Reply, Error> {
        let asked = asked(call, matched)?;
        let client_context = asked.client_context.map(client_context).transpose()?;
        let (invocation_type, limit) = match asked.kind {
            InvocationType::Event => ("Event", self.events.asynchronous.payload_limit()),
            InvocationType::RequestResponse | InvocationType::DryRun => {
                ("RequestResponse", quota::INVOKE_PAYLOAD_BYTES)
            }
        };
        let too_large = |length| Error::PayloadTooLarge { length, invocation_type, limit };
        let payload = self.budget.read(body, limit, false, too_large).await?.bytes;
        let payload = checked(payload)?;
        match asked.kind {
            InvocationType::RequestResponse => {}
            InvocationType::Event => {
                return self
                    .send_event(call, asked.function, payload, Some(trace_id(&call.parts.headers)))
                    .await;
            }
            InvocationType::DryRun => {
                self.control.function(&asked.function).map_err(|error| unknown(error, &asked.function))?;
                return Ok(empty(StatusCode::NO_CONTENT));
            }
        }
        let trace_id = trace_id(&call.parts.headers);
        let trace_header = trace_header(&trace_id);
        let invocation = Invocation {
            request_id: call.request_id,
            function: asked.function,
            payload,
            client_context,
            trace_id: Some(trace_id),
            log_tail: asked.log_tail,
        };
        Ok(answer(self.invoke.invoke(invocation).await?, trace_header))
    }
}

impl Api {
    /// InvokeAsync, Invoke's predecessor: its payload is smaller, and no trace goes with it.
    pub(crate) async fn invoke_async(
        &self,
        call: &Call<'_>,
        matched: &Matched<'_, '_>,
        body: &mut Incoming,
    ) -> Result<Reply, Error> {
        // Its payload is a member that the model wants, and that is not read from a document.
        let name = matched.label("FunctionName").unwrap_or_default();
        let function = FunctionReference::parse(&name, None, call.account, &call.region)?;
        let limit = quota::INVOKE_ASYNC_PAYLOAD_BYTES.min(self.events.asynchronous.payload_limit());
        let too_large = |length| Error::PayloadTooLarge { length, invocation_type: "Event", limit };
        let payload = self.budget.read(body, limit, false, too_large).await?.bytes;
        self.send_event(call, function, checked(payload)?, None).await
    }

    /// 202, once the event is on disk.
    async fn send_event(
        &self,
        call: &Call<'_>,
        function: FunctionReference,
        payload: Bytes,
        trace_id: Option<String>,
    ) -> Result<Reply, Error> {
        let trace_header = trace_id.as_deref().and_then(trace_header);
        let asked = EventAsked { request_id: call.request_id, function, payload, trace_id };
        self.events.asynchronous.send(asked).await?;
        let mut response = empty(StatusCode::ACCEPTED);
        response.headers_mut().extend(trace_header.map(|trace| (TRACE_ID, trace)));
        Ok(response)
    }
}

/// Reads the request's head; only where that fails is the service model asked for AWS's words.
fn asked<'r>(call: &Call<'r>, matched: &Matched<'_, '_>) -> Result<Asked<'r>, Error> {
    match quickly(call, matched) {
        Some(Ok(asked)) => Ok(asked),
        Some(Err(error)) => Err(input::read(matched, call.parts, b"").err().unwrap_or(error)),
        None => {
            let input = input::read(matched, call.parts, b"")?;
            for (member, not) in
                [("TenantId", "isolate tenants"), ("DurableExecutionName", "have durable functions")]
            {
                if input.get(member).is_some() {
                    return Err(refused::refusal(not, member));
                }
            }
            // Well-formed after all: `call.reference` finds out what the reader did not like.
            call.reference(&input)?;
            Err(Error::InvalidParameterValue("The request could not be read.".into()))
        }
    }
}

/// `None`: something is not as it usually is.
fn quickly<'r>(call: &Call<'r>, matched: &Matched<'_, '_>) -> Option<Result<Asked<'r>, Error>> {
    let headers = &call.parts.headers;
    let kind = match headers.get(INVOCATION_TYPE).map(HeaderValue::as_bytes) {
        None | Some(b"RequestResponse") => InvocationType::RequestResponse,
        Some(b"Event") => InvocationType::Event,
        Some(b"DryRun") => InvocationType::DryRun,
        Some(_) => return None,
    };
    let log_tail = match headers.get(LOG_TYPE).map(HeaderValue::as_bytes) {
        None | Some(b"None") => false,
        Some(b"Tail") => true,
        Some(_) => return None,
    };
    let client_context = headers.get(CLIENT_CONTEXT).map(HeaderValue::as_bytes);
    if client_context.is_some_and(|context| context.len() > quota::CLIENT_CONTEXT_BYTES)
        || headers.contains_key(TENANT_ID)
        || headers.contains_key(DURABLE_NAME)
    {
        return None;
    }
    let name = matched.label("FunctionName")?;
    let qualifier = call.parts.uri.query().and_then(|query| query_value(query, "Qualifier"));
    if name.len() > NAME_BYTES || !qualifier.as_deref().is_none_or(is_qualifier) {
        return None;
    }
    let function = FunctionReference::parse(&name, qualifier.as_deref(), call.account, &call.region);
    Some(function.map(|function| Asked { function, kind, log_tail, client_context }))
}

fn client_context(base64: &[u8]) -> Result<String, Error> {
    STANDARD
        .decode(base64)
        .ok()
        .and_then(|json| String::from_utf8(json).ok())
        .filter(|json| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).is_ok())
        .ok_or_else(|| {
            Error::InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.".into())
        })
}

/// The payload, known to be JSON. It is read once and passed on as it came.
fn checked(payload: Bytes) -> Result<Bytes, Error> {
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    // Values that are skipped are not checked for UTF-8 by serde_json.
    match std::str::from_utf8(&payload).map(serde_json::from_str::<IgnoredAny>) {
        Ok(Ok(_)) => Ok(payload),
        Ok(Err(_)) | Err(_) => Err(Error::InvalidRequestContent(format!(
            "Could not parse request body into json: Could not parse payload into json: {}",
            jackson::complaint(&payload).unwrap_or_else(|| "Unreadable content".into())
        ))),
    }
}

/// Invoke names the version it looked for, GetFunction does not (aws-behaviour 8).
fn unknown(error: Error, function: &FunctionReference) -> Error {
    if function.qualifier.is_none() && matches!(error, Error::FunctionNotFound { .. }) {
        return Error::FunctionNotFound { arn: function.key.qualified_arn(LATEST) };
    }
    error
}

/// The caller's trace id, or a new one.
fn trace_id(headers: &HeaderMap) -> String {
    if let Some(given) = given_trace(headers) {
        return given.to_owned();
    }
    let random = || uuid::Uuid::new_v4().into_bytes();
    invocation::trace_id(crate::functions::now(), random(), random())
}

/// The trace that the request says it belongs to.
pub(crate) fn given_trace(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(TRACE_ID).and_then(|value| value.to_str().ok());
    given.filter(|given| given.len() <= TRACE_BYTES)
}

/// As AWS answers it: `root=…;sampled=0`.
fn trace_header(trace_id: &str) -> Option<HeaderValue> {
    let field = |name: &str| {
        trace_id.split(';').find_map(|field| {
            let (key, value) = field.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    };
    let root = field("Root")?;
    HeaderValue::try_from(format!("root={root};sampled={}", field("Sampled").unwrap_or("0"))).ok()
}

fn answer(said: InvocationReply, trace: Option<HeaderValue>) -> Reply {
    let mut response = reply(StatusCode::OK, ReplyBody::Bytes(said.outcome.payload));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    let version = match &*said.executed_version {
        LATEST => Some(HeaderValue::from_static(LATEST)),
        other => HeaderValue::from_str(other).ok(),
    };
    headers.extend(version.map(|version| (EXECUTED_VERSION, version)));
    headers.extend(trace.map(|trace| (TRACE_ID, trace)));
    if let Some(error) = said.outcome.error {
        headers.insert(FUNCTION_ERROR, HeaderValue::from_static(error.as_str()));
    }
    if let Some(tail) = said.log_tail {
        let tail = HeaderValue::try_from(STANDARD.encode(tail));
        headers.insert(LOG_RESULT, tail.expect("base64 is ASCII"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        for (payload, passed) in [
            (&b""[..], Ok(&b"{}"[..])),
            (b"null", Ok(b"null")),
            (b" {\"a\": [1, 2]} ", Ok(b" {\"a\": [1, 2]} ")),
            (b"\"\xff\"", Err("Invalid UTF-8 start byte 0xff")),
            (b"hello", Err("Unrecognized token 'hello'")),
            (b"{} {}", Err("Unexpected character ('{' (code 123))")),
        ] {
            match (checked(Bytes::from_static(payload)), passed) {
                (Ok(bytes), Ok(expected)) => assert_eq!(bytes, expected),
                (Err(Error::InvalidRequestContent(text)), Err(expected)) => {
                    let start = "Could not parse request body into json: Could not parse payload into json: ";
                    assert!(text.strip_prefix(start).unwrap().starts_with(expected), "{text}");
                }
                (other, _) => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn client_contexts() {
        assert_eq!(client_context(b"eyJjdXN0b20iOnt9fQ=="), Ok(r#"{"custom":{}}"#.into()));
        for wrong in ["string", "bnVsbA==", "e30=x"] {
            assert!(client_context(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn traces() {
        let mut headers = HeaderMap::new();
        let made = trace_id(&headers);
        assert_eq!(
            made.len(),
            "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0".len()
        );
        headers.insert(TRACE_ID, HeaderValue::from_static("Root=1-5-6;Parent=7;Sampled=1"));
        assert_eq!(trace_id(&headers), "Root=1-5-6;Parent=7;Sampled=1");
        assert_eq!(trace_header(&trace_id(&headers)).unwrap(), "root=1-5-6;sampled=1");
        assert_eq!(trace_header("x"), None);
    }
}
