//! A delivery as the request of its service: SQS's SendMessage, SNS's Publish, Lambda's Invoke, EventBridge's
//! PutEvents (aws-behaviour 54), an object of S3.
//!
//! Deliberately not here: signing and sending.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambkin_events::target::{Attribute, Delivery};
use lambkin_model::bucket::ObjectName;
use lambkin_model::time::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

/// What can be sent to.
pub(super) const SERVICES: [&str; 5] = ["sqs", "sns", "lambda", "events", "s3"];

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: AsciiSet = UNRESERVED.remove(b'/');
const TRACE_ID: &str = "x-amzn-trace-id";

/// A request without its signature.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// An answer of success may say that it failed.
    batch: bool,
}

impl Request {
    /// For an ARN at this endpoint.
    pub(super) fn new(
        endpoint: &str,
        arn: &str,
        delivery: &Delivery,
        now: SystemTime,
    ) -> Result<Self, String> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let &[_, _, service, _, account, resource] = parts.as_slice() else {
            return Err(format!("{arn} is not an ARN"));
        };
        let mut request = match service {
            "sqs" => sqs(endpoint, account, resource, delivery),
            "sns" => sns(endpoint, arn, delivery),
            "lambda" => lambda(endpoint, arn, delivery),
            "events" => events(endpoint, arn, delivery)?,
            "s3" => s3(endpoint, resource, delivery, now)?,
            other => return Err(format!("lambkin cannot send to {other}")),
        };
        if let Some(trace_id) = delivery.trace_id.as_ref().filter(|_| service != "s3") {
            request.headers.push((TRACE_ID.into(), trace_id.clone()));
        }
        Ok(request)
    }

    /// For an object's content.
    pub(super) fn of_object(endpoint: &str, object: &ObjectName) -> Self {
        let path = utf8_percent_encode(&object.key, &PATH);
        let mut url = format!("{endpoint}/{}/{path}", object.bucket);
        if let Some(version) = &object.version {
            // Writing to a string does not fail.
            let _ = write!(url, "?versionId={}", utf8_percent_encode(version, &UNRESERVED));
        }
        Self { method: "GET", url, headers: Vec::new(), body: Vec::new(), batch: false }
    }

    /// Whether an answer with a status of success is one.
    pub(super) fn accepted(&self, answer: &str) -> Result<(), String> {
        let failed = |answer: &Value| answer["FailedEntryCount"].as_u64().unwrap_or(1) > 0;
        match serde_json::from_str::<Value>(answer) {
            Ok(said) if self.batch && failed(&said) => Err(answer.to_owned()),
            Err(error) if self.batch => Err(error.to_string()),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn headers(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(&delivery.body).into_owned()
}

fn is_binary(attribute: &Attribute) -> bool {
    attribute.data_type.starts_with("Binary")
}

fn value(attribute: &Attribute) -> String {
    if is_binary(attribute) {
        STANDARD.encode(&attribute.value)
    } else {
        String::from_utf8_lossy(&attribute.value).into_owned()
    }
}

fn sqs(endpoint: &str, account: &str, name: &str, delivery: &Delivery) -> Request {
    let attribute = |each: &Attribute| {
        let member = if is_binary(each) { "BinaryValue" } else { "StringValue" };
        (each.name.clone(), json!({ "DataType": each.data_type, member: value(each) }))
    };
    let mut body =
        json!({ "QueueUrl": format!("{endpoint}/{account}/{name}"), "MessageBody": text(delivery) });
    if !delivery.attributes.is_empty() {
        let attributes: Map<String, Value> = delivery.attributes.iter().map(attribute).collect();
        body["MessageAttributes"] = Value::Object(attributes);
    }
    if let Some(trace_id) = &delivery.trace_id {
        let trace = json!({ "DataType": "String", "StringValue": trace_id });
        body["MessageSystemAttributes"] = json!({ "AWSTraceHeader": trace });
    }
    if let Some(group) = &delivery.group {
        body["MessageGroupId"] = json!(group);
    }
    if let Some(id) = &delivery.deduplication {
        body["MessageDeduplicationId"] = json!(id);
    }
    let headers =
        headers(&[("content-type", "application/x-amz-json-1.0"), ("x-amz-target", "AmazonSQS.SendMessage")]);
    let body = serde_json::to_vec(&body).expect("JSON");
    Request { method: "POST", url: format!("{endpoint}/"), headers, body, batch: false }
}

fn sns(endpoint: &str, arn: &str, delivery: &Delivery) -> Request {
    let mut form = String::from("Action=Publish&Version=2010-03-31");
    let mut add = |name: &str, value: &str| {
        let value = utf8_percent_encode(value, &UNRESERVED);
        write!(form, "&{name}={value}").expect("a String takes everything");
    };
    add("TopicArn", arn);
    add("Message", &text(delivery));
    if let Some(subject) = &delivery.subject {
        add("Subject", subject);
    }
    for (index, each) in delivery.attributes.iter().enumerate() {
        let begin = format!("MessageAttributes.entry.{}", index + 1);
        add(&format!("{begin}.Name"), &each.name);
        add(&format!("{begin}.Value.DataType"), &each.data_type);
        let member = if is_binary(each) { "BinaryValue" } else { "StringValue" };
        add(&format!("{begin}.Value.{member}"), &value(each));
    }
    let headers = headers(&[("content-type", "application/x-www-form-urlencoded; charset=utf-8")]);
    Request { method: "POST", url: format!("{endpoint}/"), headers, body: form.into(), batch: false }
}

fn lambda(endpoint: &str, arn: &str, delivery: &Delivery) -> Request {
    let name = utf8_percent_encode(arn, &UNRESERVED);
    let url = format!("{endpoint}/2015-03-31/functions/{name}/invocations");
    let headers = headers(&[("content-type", "application/json"), ("x-amz-invocation-type", "Event")]);
    Request { method: "POST", url, headers, body: delivery.body.to_vec(), batch: false }
}

fn events(endpoint: &str, arn: &str, delivery: &Delivery) -> Result<Request, String> {
    let record: Value = serde_json::from_slice(&delivery.body).map_err(|error| error.to_string())?;
    let context = &record["requestContext"];
    let kind = if context["condition"] == "Success" { "Success" } else { "Failure" };
    let entry = json!({
        "Source": "lambda",
        "DetailType": format!("Lambda Function Invocation Result - {kind}"),
        "Resources": [arn, context["functionArn"]],
        "EventBusName": arn,
        "Detail": text(delivery),
    });
    let headers =
        headers(&[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "AWSEvents.PutEvents")]);
    let body = serde_json::to_vec(&json!({ "Entries": [entry] })).expect("JSON");
    Ok(Request { method: "POST", url: format!("{endpoint}/"), headers, body, batch: true })
}

/// AWS's name of it: `aws/lambda/async/<function>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<request id>`.
fn s3(endpoint: &str, bucket: &str, delivery: &Delivery, now: SystemTime) -> Result<Request, String> {
    let record: Value = serde_json::from_slice(&delivery.body).map_err(|error| error.to_string())?;
    let context = &record["requestContext"];
    let function = context["functionArn"].as_str().and_then(|arn| arn.split(':').nth(6)).unwrap_or_default();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Timestamp(u64::try_from(since.as_micros()).unwrap_or_default());
    let (date, time) = (now.date_path(), now.iso()[..19].replace(':', "."));
    let id = context["requestId"].as_str().unwrap_or_default();
    let url = format!("{endpoint}/{bucket}/aws/lambda/async/{function}/{date}/{time}-{id}");
    let headers = headers(&[("content-type", "application/json")]);
    Ok(Request { method: "PUT", url, headers, body: delivery.body.to_vec(), batch: false })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn delivery(body: &str) -> Delivery {
        let attribute = |name: &str, data_type: &str, value: &'static [u8]| Attribute {
            name: name.into(),
            data_type: data_type.into(),
            value: value.into(),
        };
        Delivery {
            body: body.to_owned().into(),
            subject: None,
            attributes: vec![attribute("A", "String", b"a b"), attribute("B", "Binary", b"\x00\xff")],
            trace_id: Some("Root=1".into()),
            group: None,
            deduplication: None,
            sender: None,
        }
    }

    const RECORD: &str = r#"{"requestContext":{"requestId":"r","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"RetriesExhausted"}}"#;

    #[test]
    fn requests() {
        let now = UNIX_EPOCH + Duration::from_micros(1_767_323_045_678_901);
        for (arn, body, url, header, expected) in [
            (
                "arn:aws:sqs:us-east-1:111111111111:q",
                "text",
                "http://e/",
                "AmazonSQS.SendMessage",
                r#"{"QueueUrl":"http://e/111111111111/q","MessageBody":"text","MessageAttributes":{"A":{"DataType":"String","StringValue":"a b"},"B":{"DataType":"Binary","BinaryValue":"AP8="}},"MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"Root=1"}}}"#.to_owned(),
            ),
            (
                "arn:aws:sns:us-east-1:111111111111:t",
                "a&b",
                "http://e/",
                "application/x-www-form-urlencoded; charset=utf-8",
                "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A111111111111%3At&Message=a%26b&MessageAttributes.entry.1.Name=A&MessageAttributes.entry.1.Value.DataType=String&MessageAttributes.entry.1.Value.StringValue=a%20b&MessageAttributes.entry.2.Name=B&MessageAttributes.entry.2.Value.DataType=Binary&MessageAttributes.entry.2.Value.BinaryValue=AP8%3D".into(),
            ),
            (
                "arn:aws:lambda:us-east-1:111111111111:function:f:live",
                "{}",
                "http://e/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A111111111111%3Afunction%3Af%3Alive/invocations",
                "Event",
                "{}".into(),
            ),
            (
                "arn:aws:events:us-east-1:111111111111:event-bus/default",
                RECORD,
                "http://e/",
                "AWSEvents.PutEvents",
                json!({ "Entries": [{
                    "Source": "lambda",
                    "DetailType": "Lambda Function Invocation Result - Failure",
                    "Resources": ["arn:aws:events:us-east-1:111111111111:event-bus/default", "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST"],
                    "EventBusName": "arn:aws:events:us-east-1:111111111111:event-bus/default",
                    "Detail": RECORD,
                }] })
                .to_string(),
            ),
            (
                "arn:aws:s3:::bucket",
                RECORD,
                "http://e/bucket/aws/lambda/async/f/2026/01/02/2026-01-02T03.04.05-r",
                "application/json",
                RECORD.into(),
            ),
        ] {
            let request = Request::new("http://e", arn, &delivery(body), now).unwrap();
            assert_eq!((request.url.as_str(), String::from_utf8(request.body).unwrap()), (url, expected));
            assert!(request.headers.iter().any(|(_, value)| value == header), "{arn}");
            let traced = request.headers.iter().any(|(name, value)| name == TRACE_ID && value == "Root=1");
            assert_eq!(traced, !arn.contains(":s3:"), "{arn}");
        }
        assert!(Request::new("http://e", "nothing", &delivery(""), now).is_err());
    }

    #[test]
    fn objects() {
        let object = |key: &str, version: Option<&str>| ObjectName {
            bucket: "b".into(),
            key: key.into(),
            version: version.map(str::to_owned),
        };
        for (object, expected) in [
            (object("a/b c.zip", None), "http://e/b/a/b%20c.zip"),
            (object("ü?#", Some("1/2&x")), "http://e/b/%C3%BC%3F%23?versionId=1%2F2%26x"),
        ] {
            assert_eq!(Request::of_object("http://e", &object).url, expected);
        }
    }

    #[test]
    fn some_answers_of_success_are_none() {
        let arn = "arn:aws:events:us-east-1:111111111111:event-bus/default";
        let request = Request::new("http://e", arn, &delivery(RECORD), UNIX_EPOCH).unwrap();
        for (answer, accepted) in [
            (r#"{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}"#, true),
            (r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"x"}]}"#, false),
            ("", false),
        ] {
            assert_eq!(request.accepted(answer).is_ok(), accepted, "{answer}");
        }
        let arn = "arn:aws:sqs:us-east-1:111111111111:q";
        assert!(Request::new("http://e", arn, &delivery(""), UNIX_EPOCH).unwrap().accepted("").is_ok());
    }
}
