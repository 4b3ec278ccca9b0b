//! A message as the function sees it: the record of an SQS event (aws-behaviour 61), and the event that
//! records are put together to.
//!
//! Deliberately not here: how messages are kept, checksums.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceMessage {
    /// UUID.
    pub id: String,
    /// To delete it with.
    pub receipt_handle: String,
    /// Its text.
    pub body: String,
    /// MD5 of the body, in hex.
    pub md5_of_body: String,
    /// AWS's system attributes by name, all of them text: `ApproximateReceiveCount`, `SentTimestamp` …
    pub attributes: BTreeMap<String, String>,
    /// Message attributes by name.
    pub message_attributes: BTreeMap<String, MessageAttribute>,
    /// MD5 of the message attributes, where there are any.
    pub md5_of_message_attributes: Option<String>,
    /// Message group, of a FIFO queue's messages.
    pub group: Option<String>,
}

/// A message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAttribute {
    /// `String`, `Number`, `Binary`, each perhaps with a `.label`.
    pub data_type: String,
    /// Its value.
    pub value: AttributeValue,
}

/// What a message attribute holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// Text of strings and numbers.
    Text(String),
    /// Bytes, in base64.
    Binary(String),
}

impl Serialize for MessageAttribute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        match &self.value {
            AttributeValue::Text(text) => map.serialize_entry("stringValue", text)?,
            AttributeValue::Binary(base64) => map.serialize_entry("binaryValue", base64)?,
        }
        map.serialize_entry("stringListValues", &[(); 0])?;
        map.serialize_entry("binaryListValues", &[(); 0])?;
        map.serialize_entry("dataType", &self.data_type)?;
        map.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    body: &'a str,
    attributes: &'a BTreeMap<String, String>,
    message_attributes: &'a BTreeMap<String, MessageAttribute>,
    /// `null` where there are none, as in most recordings.
    md5_of_message_attributes: Option<&'a str>,
    md5_of_body: &'a str,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
    aws_region: &'a str,
}

impl SourceMessage {
    /// Its record's JSON.
    #[must_use]
    pub fn record(&self, source: &str, region: &str) -> String {
        let document = Document {
            message_id: &self.id,
            receipt_handle: &self.receipt_handle,
            body: &self.body,
            attributes: &self.attributes,
            message_attributes: &self.message_attributes,
            md5_of_message_attributes: self.md5_of_message_attributes.as_deref(),
            md5_of_body: &self.md5_of_body,
            event_source: "aws:sqs",
            event_source_arn: source,
            aws_region: region,
        };
        serde_json::to_string(&document).expect("string keys")
    }

    /// What a filter's patterns are matched against: the record, with the body read where it is JSON.
    #[must_use]
    pub fn filtered(&self, source: &str, region: &str) -> serde_json::Value {
        let mut record: serde_json::Value =
            serde_json::from_str(&self.record(source, region)).expect("just written");
        if let Ok(body) = serde_json::from_str(&self.body) {
            record["body"] = body;
        }
        record
    }
}

/// Bytes of an event beside its records and the commas between them.
pub const EVENT_FRAME: usize = r#"{"Records":[]}"#.len();

/// The event of these records.
#[must_use]
pub fn event<'a>(records: impl Iterator<Item = &'a str> + Clone) -> Bytes {
    let length = records.clone().map(|record| record.len() + 1).sum::<usize>() + EVENT_FRAME;
    let mut event = Vec::with_capacity(length);
    event.extend_from_slice(br#"{"Records":["#);
    for (index, record) in records.enumerate() {
        if index > 0 {
            event.push(b',');
        }
        event.extend_from_slice(record.as_bytes());
    }
    event.extend_from_slice(b"]}");
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> SourceMessage {
        let attributes = [
            ("ApproximateReceiveCount", "1"),
            ("SentTimestamp", "1545082649183"),
            ("SenderId", "AIDAIENQZJOLO23YVJ4VO"),
            ("ApproximateFirstReceiveTimestamp", "1545082649185"),
        ];
        SourceMessage {
            id: "059f36b4-87a3-44ab-83d2-661975830a7d".into(),
            receipt_handle: "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...".into(),
            body: "Test message.".into(),
            md5_of_body: "e4e68fb7bd0e697a0ae8f1bb342846b3".into(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            message_attributes: BTreeMap::new(),
            md5_of_message_attributes: None,
            group: None,
        }
    }

    /// The example of AWS's developer guide, with the null that recordings of the service have.
    #[test]
    fn records_are_awss() {
        let expected = serde_json::json!({
            "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
            "body": "Test message.",
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1545082649183",
                "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                "ApproximateFirstReceiveTimestamp": "1545082649185"
            },
            "messageAttributes": {},
            "md5OfMessageAttributes": null,
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
            "awsRegion": "us-east-2"
        });
        let record = message().record("arn:aws:sqs:us-east-2:123456789012:my-queue", "us-east-2");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&record).unwrap(), expected);
        let event = event([record.as_str(), record.as_str()].into_iter());
        let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(event, serde_json::json!({ "Records": [expected, expected] }));
    }

    #[test]
    fn attributes_are_awss() {
        let mut message = message();
        let number = MessageAttribute { data_type: "Number".into(), value: AttributeValue::Text("6".into()) };
        let binary =
            MessageAttribute { data_type: "Binary".into(), value: AttributeValue::Binary("AQI=".into()) };
        message.message_attributes = [("n".to_owned(), number), ("b".to_owned(), binary)].into();
        message.md5_of_message_attributes = Some("d25a6aea97eb8f585bfa92d314504a92".into());
        let record: serde_json::Value = serde_json::from_str(&message.record("a", "r")).unwrap();
        assert_eq!(
            record["messageAttributes"],
            serde_json::json!({
                "n": {"stringValue": "6", "stringListValues": [], "binaryListValues": [], "dataType": "Number"},
                "b": {"binaryValue": "AQI=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"}
            })
        );
        assert_eq!(record["md5OfMessageAttributes"], "d25a6aea97eb8f585bfa92d314504a92");
    }

    #[test]
    fn filters_see_a_json_body_as_json() {
        for (body, expected) in [
            ("text", serde_json::json!("text")),
            (r#"{"a":[1]}"#, serde_json::json!({"a": [1]})),
            ("7", serde_json::json!(7)),
            (r#"{"a":"#, serde_json::json!(r#"{"a":"#)),
        ] {
            let message = SourceMessage { body: body.into(), ..message() };
            let seen = message.filtered("arn", "us-east-1");
            assert_eq!(seen["body"], expected);
            assert_eq!(seen["eventSource"], "aws:sqs");
        }
    }
}
