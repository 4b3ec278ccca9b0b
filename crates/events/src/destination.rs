//! What is told of an event that has ended: the record for a destination and the dead letter, byte by byte
//! as AWS's (aws-behaviour 53 and 55).
//!
//! Deliberately not here: how it gets there.

use bytes::Bytes;
use lambkin_model::event_invoke::Condition;
use lambkin_model::invocation::Reply;
use lambkin_model::time::Timestamp;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::event::Event;
use crate::target::{Attribute, Delivery};

/// Longest `ErrorMessage` of a dead letter: 1 KB.
const ERROR_MESSAGE_BYTES: usize = 1024;

/// What AWS's says of a function that is reserved nothing (sic).
const ZERO_CONCURRENCY: &str =
    "Function not invoked. Function isconfigured with zero reserved concurrent executions";

/// What the last attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// The function ran.
    Ran(Reply),
    /// It did not: HTTP's status and the words of the error.
    Refused(u16, String),
    /// Nobody asked it.
    None,
}

/// How an event ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub condition: Condition,
    /// How often it was invoked, about.
    pub invoked: u32,
    /// The last attempt's response.
    pub response: Response,
    /// When.
    pub at: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: String,
    function_arn: String,
    condition: &'a str,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    executed_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'static str>,
}

impl End {
    /// The record that destinations get.
    #[must_use]
    pub fn record(&self, event: &Event) -> Delivery {
        let request = RequestContext {
            request_id: event.request_id.to_string(),
            function_arn: event.arn(),
            condition: self.condition.as_str(),
            approximate_invoke_count: self.invoked,
        };
        let mut body = Vec::with_capacity(512 + event.payload.len() + self.response.payload().len());
        body.extend_from_slice(br#"{"version":"1.0","timestamp":""#);
        body.extend_from_slice(self.at.iso().as_bytes());
        body.extend_from_slice(br#"","requestContext":"#);
        write(&mut body, &request);
        body.extend_from_slice(br#","requestPayload":"#);
        // Payloads are JSON by themselves: they go in as they came.
        body.extend_from_slice(&event.payload);
        let context = match &self.response {
            Response::Ran(reply) => Some(ResponseContext {
                status_code: 200,
                executed_version: Some(&reply.executed_version),
                function_error: reply.outcome.error.map(lambkin_model::invocation::FunctionError::as_str),
            }),
            Response::Refused(status_code, _) => Some(ResponseContext {
                status_code: *status_code,
                executed_version: None,
                function_error: None,
            }),
            Response::None => None,
        };
        if let Some(context) = context {
            body.extend_from_slice(br#","responseContext":"#);
            write(&mut body, &context);
        }
        if let Response::Ran(reply) = &self.response {
            body.extend_from_slice(br#","responsePayload":"#);
            let payload = &reply.outcome.payload;
            // A process that speaks the Runtime API may answer anything.
            match std::str::from_utf8(payload).map(serde_json::from_str::<IgnoredAny>) {
                Ok(Ok(_)) => body.extend_from_slice(payload),
                Ok(Err(_)) | Err(_) => write(&mut body, &String::from_utf8_lossy(payload)),
            }
        }
        body.push(b'}');
        delivery(body.into(), event, Vec::new())
    }

    /// The dead letter: the event itself, with attributes.
    #[must_use]
    pub fn dead_letter(&self, event: &Event) -> Delivery {
        let attribute = |name: &str, data_type: &str, value: String| Attribute {
            name: name.into(),
            data_type: data_type.into(),
            value: value.into(),
        };
        let mut attributes = vec![attribute("RequestID", "String", event.request_id.to_string())];
        let (code, message) = match &self.response {
            Response::Ran(reply) => (Some(200), error_message(&reply.outcome.payload)),
            Response::Refused(status, words) => (Some(*status), words.clone()),
            Response::None => (None, ZERO_CONCURRENCY.into()),
        };
        if let Some(code) = code {
            attributes.push(attribute("ErrorCode", "Number", code.to_string()));
        }
        // An attribute may not be empty.
        if !message.is_empty() {
            attributes.push(attribute("ErrorMessage", "String", cut(message, ERROR_MESSAGE_BYTES)));
        }
        delivery(event.payload.clone(), event, attributes)
    }
}

impl Response {
    fn payload(&self) -> &[u8] {
        match self {
            Self::Ran(reply) => &reply.outcome.payload,
            Self::Refused(..) | Self::None => b"",
        }
    }
}

fn delivery(body: Bytes, event: &Event, attributes: Vec<Attribute>) -> Delivery {
    let trace_id = event.trace_id.clone();
    Delivery { body, subject: None, attributes, trace_id, group: None, deduplication: None, sender: None }
}

fn write(body: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(body, value).expect("text and numbers");
}

/// `errorMessage` of a function's error; the whole of it where there is none.
fn error_message(payload: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Said {
        #[serde(rename = "errorMessage")]
        error_message: Option<String>,
    }
    serde_json::from_slice::<Said>(payload)
        .ok()
        .and_then(|said| said.error_message)
        .unwrap_or_else(|| String::from_utf8_lossy(payload).into_owned())
}

fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use lambkin_model::invocation::{FunctionError, Outcome, RequestId};
    use lambkin_model::name::{FunctionKey, FunctionReference};

    use super::*;

    fn event() -> Event {
        let key =
            FunctionKey { account: "000000000000".into(), region: "us-east-1".into(), name: "f".into() };
        Event {
            request_id: RequestId([0x11; 16]),
            function: FunctionReference { key, qualifier: None },
            payload: Bytes::from_static(b"{\"k\" : 1}"),
            trace_id: Some("Root=1".into()),
            on_failure: None,
            dead_letter: None,
        }
    }

    fn ran(error: Option<FunctionError>, payload: &'static [u8]) -> Response {
        let outcome = Outcome { error, payload: Bytes::from_static(payload) };
        Response::Ran(Reply { outcome, executed_version: "$LATEST".into(), log_tail: None, sampled: false })
    }

    fn end(condition: Condition, invoked: u32, response: Response) -> End {
        End { condition, invoked, response, at: Timestamp(1_767_323_045_678_901) }
    }

    #[test]
    fn records() {
        let begin = r#"{"version":"1.0","timestamp":"2026-01-02T03:04:05.678Z","requestContext":{"requestId":"11111111-1111-1111-1111-111111111111","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"#;
        let unhandled = Some(FunctionError::Unhandled);
        for (end, expected) in [
            (
                end(Condition::Success, 1, ran(None, b"{\"ok\": true}")),
                r#""Success","approximateInvokeCount":1},"requestPayload":{"k" : 1},"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":{"ok": true}}"#,
            ),
            (
                end(Condition::RetriesExhausted, 3, ran(unhandled, b"{\"errorMessage\":\"no\"}")),
                r#""RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"k" : 1},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorMessage":"no"}}"#,
            ),
            (
                end(Condition::EventAgeExceeded, 0, Response::Refused(429, "Rate Exceeded.".into())),
                r#""EventAgeExceeded","approximateInvokeCount":0},"requestPayload":{"k" : 1},"responseContext":{"statusCode":429}}"#,
            ),
            (
                end(Condition::ZeroReservedConcurrency, 0, Response::None),
                r#""ZeroReservedConcurrency","approximateInvokeCount":0},"requestPayload":{"k" : 1}}"#,
            ),
            (
                end(Condition::Success, 1, ran(None, b"not \"JSON\"")),
                r#""Success","approximateInvokeCount":1},"requestPayload":{"k" : 1},"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":"not \"JSON\""}"#,
            ),
        ] {
            let record = end.record(&event());
            assert_eq!(std::str::from_utf8(&record.body).unwrap(), format!("{begin}{expected}"));
            assert_eq!((record.trace_id.as_deref(), record.attributes.len()), (Some("Root=1"), 0));
        }
    }

    #[test]
    fn dead_letters() {
        let long = format!("{{\"errorMessage\":\"{}\u{20ac}\"}}", "x".repeat(1022));
        let long: &'static [u8] = long.leak().as_bytes();
        let cut = "x".repeat(1022);
        let unhandled = Some(FunctionError::Unhandled);
        for (response, code, message) in [
            (ran(unhandled, b"{\"errorType\":\"E\",\"errorMessage\":\"no\"}"), Some("200"), "no"),
            (ran(unhandled, b"{\"errorType\":\"E\"}"), Some("200"), "{\"errorType\":\"E\"}"),
            (ran(unhandled, long), Some("200"), cut.as_str()),
            (Response::Refused(429, "Rate Exceeded.".into()), Some("429"), "Rate Exceeded."),
            (Response::None, None, ZERO_CONCURRENCY),
        ] {
            let letter = end(Condition::RetriesExhausted, 3, response).dead_letter(&event());
            assert_eq!(letter.body, event().payload);
            let attribute = |name: &str| {
                let found = letter.attributes.iter().find(|attribute| attribute.name == name)?;
                Some((found.data_type.as_str(), std::str::from_utf8(&found.value).unwrap()))
            };
            assert_eq!(attribute("RequestID"), Some(("String", "11111111-1111-1111-1111-111111111111")));
            assert_eq!(attribute("ErrorCode"), code.map(|code| ("Number", code)));
            assert_eq!(attribute("ErrorMessage"), Some(("String", message)));
        }
    }
}
