//! Invoke: the hot path. What a well-formed request costs is a look at its headers, one pass over
//! its payload and one answer; the service model is only asked to word what is wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use lambkin_events::asynchronous::Asked as EventAsked;
use lambkin_model::Error;
use lambkin_model::invocation::{Invocation, Reply as InvocationReply};
use lambkin_model::name::{FunctionReference, LATEST, is_qualifier};
use lambkin_model::quota;
use lambkin_model::trace::TraceContext;
use serde::de::IgnoredAny;

use crate::Api;
use crate::api::Call;
use crate::body::RequestBody;
use crate::input;
use crate::jackson;
use crate::refused;
use crate::reply::{JSON, Reply, ReplyBody, empty, reply};
use crate::route::{Matched, query_value};
use crate::trace::{self, TRACE_ID, Trace};

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TENANT_ID: HeaderName = HeaderName::from_static("x-amz-tenant-id");
const DURABLE_NAME: HeaderName = HeaderName::from_static("x-amz-durable-execution-name");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

/// Longest name the operation takes (aws-behaviour 44).
const NAME_BYTES: usize = 170;

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

/// Which operation a request is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Invoke,
    /// InvokeWithResponseStream, which takes no events.
    Stream,
}

/// A request that was read.
pub(crate) enum Begun {
    /// It is a function's turn.
    Invocation(Invocation, Trace),
    /// No function has to run for it.
    Answered(Reply),
}

impl Api {
    pub(crate) async fn invoke_function(
        &self,
        call: &Call<'_>,
        matched: &Matched<'_, '_>,
        body: &mut RequestBody,
    ) -> Result<Reply, Error> {
        match self.begin(call, matched, body, Operation::Invoke).await? {
            Begun::Invocation(invocation, mut trace) => {
                let said = trace.watch(self.invoke.invoke(invocation).await)?;
                trace.decided(said.sampled);
                trace.status(StatusCode::OK.as_u16());
                Ok(answer(said, trace.answer()))
            }
            Begun::Answered(reply) => Ok(reply),
        }
    }

    /// Reads a request and answers what needs no function.
    pub(crate) async fn begin(
        &self,
        call: &Call<'_>,
        matched: &Matched<'_, '_>,
        body: &mut RequestBody,
        operation: Operation,
    ) -> Result<Begun, Error> {
        let asked = asked(call, matched, operation)?;
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
                let name = trace::Asked::Operation("Invoke");
                let mut trace = self.trace(&call.parts.headers, call.request_id, &asked.function, &name);
                let mut reply = self.send_event(call, asked.function, payload, &mut trace).await?;
                reply.headers_mut().extend(trace.answer().map(|value| (TRACE_ID, value)));
                return Ok(Begun::Answered(reply));
            }
            InvocationType::DryRun => {
                self.control.function(&asked.function).map_err(|error| unknown(error, &asked.function))?;
                return Ok(Begun::Answered(empty(StatusCode::NO_CONTENT)));
            }
        }
        let name = match operation {
            Operation::Invoke => "Invoke",
            Operation::Stream => "InvokeWithResponseStream",
        };
        let asked_for = trace::Asked::Operation(name);
        let trace = self.trace(&call.parts.headers, call.request_id, &asked.function, &asked_for);
        let invocation = Invocation {
            request_id: call.request_id,
            function: asked.function,
            payload,
            client_context,
            trace_id: Some(trace.header().to_owned()),
            log_tail: asked.log_tail,
        };
        Ok(Begun::Invocation(invocation, trace))
    }
}

impl Api {
    /// InvokeAsync, Invoke's predecessor: its payload is smaller, and its answer names no trace.
    pub(crate) async fn invoke_async(
        &self,
        call: &Call<'_>,
        matched: &Matched<'_, '_>,
        body: &mut RequestBody,
    ) -> Result<Reply, Error> {
        let input = input::read(matched, call.parts, b"")?;
        let name = input.text("FunctionName").unwrap_or_default();
        let function = FunctionReference::parse(name, None, call.account, &call.region)?;
        let limit = quota::INVOKE_ASYNC_PAYLOAD_BYTES.min(self.events.asynchronous.payload_limit());
        let too_large = |length| Error::PayloadTooLarge { length, invocation_type: "Event", limit };
        let payload = self.budget.read(body, limit, false, too_large).await?.bytes;
        let payload = checked(payload)?;
        let asked_for = trace::Asked::Operation("InvokeAsync");
        let mut trace = self.trace(&call.parts.headers, call.request_id, &function, &asked_for);
        self.send_event(call, function, payload, &mut trace).await
    }

    /// 202, once the event is on disk.
    async fn send_event(
        &self,
        call: &Call<'_>,
        function: FunctionReference,
        payload: Bytes,
        trace: &mut Trace,
    ) -> Result<Reply, Error> {
        let trace_id = Some(trace.header().to_owned());
        let asked = EventAsked { request_id: call.request_id, function, payload, trace_id };
        let header = trace.watch(self.events.asynchronous.send(asked).await)?;
        trace.decided(TraceContext::sampled(&header));
        trace.status(StatusCode::ACCEPTED.as_u16());
        Ok(empty(StatusCode::ACCEPTED))
    }
}

/// Reads the request's head; only where that fails is the service model asked for AWS's words.
fn asked<'r>(call: &Call<'r>, matched: &Matched<'_, '_>, operation: Operation) -> Result<Asked<'r>, Error> {
    match quickly(call, matched, operation) {
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
fn quickly<'r>(
    call: &Call<'r>,
    matched: &Matched<'_, '_>,
    operation: Operation,
) -> Option<Result<Asked<'r>, Error>> {
    let headers = &call.parts.headers;
    let kind = match headers.get(INVOCATION_TYPE).map(HeaderValue::as_bytes) {
        None | Some(b"RequestResponse") => InvocationType::RequestResponse,
        Some(b"Event") if operation == Operation::Invoke => InvocationType::Event,
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

/// What every invocation's answer has.
pub(crate) fn headers(headers: &mut HeaderMap, executed_version: &str, trace: Option<HeaderValue>) {
    let version = match executed_version {
        LATEST => Some(HeaderValue::from_static(LATEST)),
        other => HeaderValue::from_str(other).ok(),
    };
    headers.extend(version.map(|version| (EXECUTED_VERSION, version)));
    headers.extend(trace.map(|trace| (TRACE_ID, trace)));
}

fn answer(said: InvocationReply, trace: Option<HeaderValue>) -> Reply {
    let mut response = reply(StatusCode::OK, ReplyBody::Bytes(said.outcome.payload));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    self::headers(headers, &said.executed_version, trace);
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
}
