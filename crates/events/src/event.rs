//! An event: an asynchronous invocation as it stands in its function's queue.
//!
//! Deliberately not here: who may send one (`asynchronous`), and what becomes of it (`dispatcher`).

use bytes::Bytes;
use lambkin_model::catalog::Head;
use lambkin_model::invocation::RequestId;
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};
use lambkin_model::queue::QueueName;
use serde::{Deserialize, Serialize};

/// Queues of events; the function's identity follows.
pub const PREFIX: &str = "async/";

/// First byte of what is on disk. A later format is refused by it.
const FORMAT: u8 = 1;

/// One asynchronous invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same over all attempts.
    pub request_id: RequestId,
    /// Which function, as the caller named it: what the qualifier means is found at each attempt.
    pub function: FunctionReference,
    /// JSON, checked.
    pub payload: Bytes,
    /// `X-Amzn-Trace-Id`.
    pub trace_id: Option<String>,
    /// Where its failure was to be recorded when it was taken. Good only for what happens after the
    /// function is deleted: AWS keeps to it then.
    pub on_failure: Option<String>,
    /// The same of the dead-letter queue.
    pub dead_letter: Option<String>,
}

/// What stands before the payload.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    request_id: [u8; 16],
    account: &'a str,
    region: &'a str,
    name: &'a str,
    qualifier: Option<&'a str>,
    trace_id: Option<&'a str>,
    on_failure: Option<&'a str>,
    dead_letter: Option<&'a str>,
}

impl Event {
    /// Its bytes in the queue.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let written = Written {
            request_id: self.request_id.0,
            account: &self.function.key.account,
            region: &self.function.key.region,
            name: &self.function.key.name,
            qualifier: self.function.qualifier.as_deref(),
            trace_id: self.trace_id.as_deref(),
            on_failure: self.on_failure.as_deref(),
            dead_letter: self.dead_letter.as_deref(),
        };
        let mut bytes = Vec::with_capacity(256 + self.payload.len());
        bytes.push(FORMAT);
        bytes = postcard::to_extend(&written, bytes).expect("text and bytes");
        bytes.extend_from_slice(&self.payload);
        bytes.into()
    }

    /// Reads it; the payload is not copied. Says what is wrong with other bytes.
    pub fn decode(content: &Bytes) -> Result<Self, String> {
        let Some((&FORMAT, rest)) = content.split_first() else {
            return Err(format!("format {:?} of an event is not known", content.first()));
        };
        let (written, payload): (Written<'_>, &[u8]) =
            postcard::take_from_bytes(rest).map_err(|error| error.to_string())?;
        let key = FunctionKey {
            account: written.account.into(),
            region: written.region.into(),
            name: written.name.into(),
        };
        Ok(Self {
            request_id: RequestId(written.request_id),
            function: FunctionReference { key, qualifier: written.qualifier.map(str::to_owned) },
            payload: content.slice_ref(payload),
            trace_id: written.trace_id.map(str::to_owned),
            on_failure: written.on_failure.map(str::to_owned),
            dead_letter: written.dead_letter.map(str::to_owned),
        })
    }

    /// The qualifier by which its configuration is found.
    #[must_use]
    pub fn qualifier(&self) -> &str {
        self.function.qualifier.as_deref().unwrap_or(LATEST)
    }

    /// The ARN that records name: always with a qualifier (aws-behaviour 53).
    #[must_use]
    pub fn arn(&self) -> String {
        self.function.key.qualified_arn(self.qualifier())
    }
}

/// The queue of a function's events, all qualifiers together.
#[must_use]
pub fn queue(head: &Head) -> QueueName {
    QueueName(format!("{PREFIX}{}", head.identity).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            request_id: RequestId([7; 16]),
            function: FunctionReference {
                key: FunctionKey {
                    account: "000000000000".into(),
                    region: "us-east-1".into(),
                    name: "f".into(),
                },
                qualifier: Some("live".into()),
            },
            payload: Bytes::from_static(b"{\"a\": 1}"),
            trace_id: Some("Root=1-2-3".into()),
            on_failure: None,
            dead_letter: Some("arn:aws:sqs:us-east-1:000000000000:q".into()),
        }
    }

    #[test]
    fn comes_back_as_it_went() {
        let event = event();
        assert_eq!(Event::decode(&event.encode()), Ok(event));
    }

    /// What is on disk is read for ever: the fixture is never changed.
    #[test]
    fn reads_format_1() {
        let fixture = Bytes::from_static(include_bytes!("../tests/fixtures/event-1.bin"));
        assert_eq!(Event::decode(&fixture), Ok(event()));
        assert_eq!(event().encode(), fixture);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for bytes in [&b""[..], b"\x02", b"\x01", b"\x01\xff\xff"] {
            assert!(Event::decode(&Bytes::from_static(bytes)).is_err(), "{bytes:?}");
        }
    }
}
