//! Tables: what SNS takes and how it refuses, from recordings and AWS's documentation.

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::sqs::MessageAttribute;

fn said<T>(result: Result<T, SnsError>) -> String {
    result.err().map_or_else(String::new, |error| error.to_string())
}

#[test]
fn names_and_arns() {
    for (name, wanted) in [
        ("a".repeat(256).as_str(), ""),
        ("a-B_9", ""),
        ("", "Invalid parameter: Topic Name"),
        ("a".repeat(257).as_str(), "Invalid parameter: Topic Name"),
        ("bad:name", "Invalid parameter: Topic Name"),
        ("bad name", "Invalid parameter: Topic Name"),
        ("a.fifo", "Invalid parameter: Topic Name Reason: lambkin has no FIFO topics"),
    ] {
        assert_eq!(said(check_topic_name(name)), wanted, "{name}");
    }
    for (arn, wanted) in [
        ("arn:aws:sns:us-east-1:000000000000:t", ""),
        ("", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"),
        ("test-topic", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"),
        ("randomstring:1", "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 2"),
        ("arn:aws:sns:us-west-1:000000000000:t", "Invalid parameter: TopicArn"),
        ("arn:aws:sqs:us-east-1:000000000000:t", "Invalid parameter: TopicArn"),
        ("arn:aws:sns:us-east-1:0000:t", "Invalid parameter: TopicArn"),
        ("arn:aws:sns:us-east-1:000000000000:t:u", "Invalid parameter: TopicArn"),
    ] {
        assert_eq!(said(topic_key("TopicArn", arn, "us-east-1")), wanted, "{arn}");
    }
    let arn = "arn:aws:sns:us-east-1:000000000000:t:0d3a";
    assert_eq!(subscription_key(arn, "us-east-1").unwrap().arn("sns"), arn);
    let short = "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1";
    assert_eq!(said(subscription_key("t", "us-east-1")), short);
    assert_eq!(
        said(subscription_key(&arn[..arn.len() - 5], "us-east-1")),
        "Invalid parameter: SubscriptionArn"
    );
}

#[test]
fn endpoints() {
    let queue = "Invalid parameter: SQS endpoint ARN";
    let function = "Invalid parameter: Lambda endpoint ARN";
    let fifo = "Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics";
    for (protocol, endpoint, wanted) in [
        ("sqs", "arn:aws:sqs:us-east-1:000000000000:q", ""),
        ("sqs", "http://127.0.0.1:4566/000000000000/q", queue),
        ("sqs", "arn:aws:lambda:us-east-1:000000000000:function:f", queue),
        ("sqs", "arn:aws:sqs:us-east-1:000000000000:q.fifo", fifo),
        ("lambda", "arn:aws:lambda:us-east-1:000000000000:function:f", ""),
        ("lambda", "arn:aws:lambda:us-east-1:000000000000:function:f:live", ""),
        ("lambda", "arn:aws:lambda:us-east-1:000000000000:function:f:a:b", function),
        ("lambda", "f", function),
        ("test", "", "Invalid parameter: Amazon SNS does not support this protocol string: test"),
        (
            "email",
            "",
            "Invalid parameter: Protocol Reason: lambkin delivers to sqs and lambda, and not to email",
        ),
    ] {
        let result = Protocol::parse(protocol).and_then(|protocol| check_endpoint(protocol, endpoint));
        assert_eq!(said(result), wanted, "{protocol} {endpoint}");
    }
}

#[test]
fn subscription_attributes() {
    let table = [
        ("RawMessageDelivery", "true", ""),
        (
            "RawMessageDelivery",
            "test-ValUe",
            "RawMessageDelivery: Invalid value [test-ValUe]. Must be true or false.",
        ),
        ("RawMessageDelivery", "", "RawMessageDelivery: Invalid value []. Must be true or false."),
        ("FilterPolicy", r#"{"a":["b"]}"#, ""),
        ("FilterPolicy", "{}", ""),
        ("FilterPolicyScope", "MessageBody", ""),
        (
            "FilterPolicyScope",
            "RandomValue",
            "FilterPolicyScope: Invalid value [RandomValue]. Please use either MessageBody or MessageAttributes",
        ),
        ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:q"}"#, ""),
        (
            "RedrivePolicy",
            r#"{"deadLetterTargetArn":"fake"}"#,
            "RedrivePolicy: deadLetterTargetArn is an invalid arn",
        ),
        (
            "RedrivePolicy",
            "{invalidjson}",
            "RedrivePolicy: failed to parse JSON. Unexpected character ('i' (code 105)): was expecting double-quote to start \
             field name\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 2]",
        ),
        ("DeliveryPolicy", "{}", "DeliveryPolicy: lambkin delivers to no HTTP endpoints"),
    ];
    for (name, value, wanted) in table {
        for (subscribes, prefix) in
            [(true, "Invalid parameter: Attributes Reason: "), (false, "Invalid parameter: ")]
        {
            let mut attributes = SubscriptionAttributes::default();
            let result = attributes.change([(name, value)], Protocol::Sqs, subscribes);
            let wanted = if wanted.is_empty() { String::new() } else { format!("{prefix}{wanted}") };
            assert_eq!(said(result), wanted, "{name} {value}");
        }
    }
    let mut attributes = SubscriptionAttributes::default();
    assert_eq!(
        said(attributes.change([("x", "y")], Protocol::Sqs, false)),
        "Invalid parameter: AttributeName"
    );
    let nested = ("FilterPolicy", r#"{"a":{"b":["c"]}}"#);
    let refused =
        "Invalid parameter: Filter policy scope MessageAttributes does not support nested filter policy";
    assert_eq!(said(attributes.clone().change([nested], Protocol::Sqs, true)), refused);
    attributes.change([nested, ("FilterPolicyScope", "MessageBody")], Protocol::Sqs, true).unwrap();
    let back = ("FilterPolicyScope", "MessageAttributes");
    assert_eq!(said(attributes.clone().change([back], Protocol::Sqs, false)), refused);
    let raw = ("RawMessageDelivery", "true");
    assert_eq!(
        said(attributes.change([raw], Protocol::Lambda, false)),
        "Invalid parameter: Delivery protocol [lambda] does not support raw message delivery."
    );
}

#[test]
fn topic_attributes() {
    for (name, value, wanted) in [
        ("DisplayName", "Shown", ""),
        ("SignatureVersion", "2", ""),
        ("SignatureVersion", "3", "SignatureVersion: Invalid value [3]. Must be 1 or 2."),
        ("TracingConfig", "PassThrough", ""),
        ("TracingConfig", "Active", "TracingConfig: lambkin passes traces through and records none"),
        ("FifoTopic", "false", ""),
        ("FifoTopic", "true", "FifoTopic: lambkin has no FIFO topics"),
        ("KmsMasterKeyId", "", ""),
        ("KmsMasterKeyId", "alias/aws/sns", "KmsMasterKeyId: lambkin does not encrypt what it keeps"),
        (
            "Policy",
            "{}",
            "Policy: lambkin asks no topic's policy yet: a topic's policy would allow and deny nothing",
        ),
        (
            "SQSFailureFeedbackRoleArn",
            "arn",
            "SQSFailureFeedbackRoleArn: lambkin logs deliveries itself, not with a role",
        ),
        ("Other", "x", "Unknown attribute Other"),
    ] {
        let result = TopicAttributes::default().change(name, value, true);
        let prefix = "Invalid parameter: Attributes Reason: ";
        let wanted = if wanted.is_empty() { String::new() } else { format!("{prefix}{wanted}") };
        assert_eq!(said(result), wanted, "{name} {value}");
    }
    // Recorded: a topic's kind cannot be set later.
    let later = TopicAttributes::default().change("FifoTopic", "false", false);
    assert_eq!(said(later), "Invalid parameter: AttributeName");
}

#[test]
fn message_attributes() {
    let long = "a".repeat(257);
    let table = [
        ("attr1", "String", Some("x"), None, ""),
        ("attr1", "String.Array", Some("[]"), None, ""),
        ("attr1", "Number", Some("-1.5e3"), None, ""),
        ("attr1", "Binary", None, Some("x"), ""),
        (
            "attr1",
            "String",
            Some(""),
            None,
            "The message attribute 'attr1' must contain non-empty message attribute value for message attribute type 'String'.",
        ),
        (
            "attr1",
            "Binary",
            None,
            Some(""),
            "The message attribute 'attr1' must contain non-empty message attribute value for message attribute type 'Binary'.",
        ),
        (
            "attr1",
            "String",
            None,
            Some("x"),
            "The message attribute 'attr1' with type 'String' must use field 'String'.",
        ),
        (
            "attr1",
            "Number",
            None,
            Some("x"),
            "The message attribute 'attr1' with type 'Number' must use field 'String'.",
        ),
        (
            "attr1",
            "Binary",
            Some("x"),
            None,
            "The message attribute 'attr1' with type 'Binary' must use field 'Binary'.",
        ),
        (
            "attr1",
            "InvalidType",
            Some("x"),
            None,
            "The message attribute 'attr1' has an invalid message attribute type, the set of supported type prefixes is Binary, \
             Number, and String.",
        ),
        ("attr1", "Number", Some("x"), None, "Could not cast message attribute 'attr1' value to number."),
        (&long, "String", Some("x"), None, "Length of message attribute name must be less than 256 bytes."),
        (
            "a^b",
            "String",
            Some("x"),
            None,
            "Invalid non-alphanumeric character '#x5E' was found in the message attribute name. Can only include alphanumeric \
             characters, hyphens, underscores, or dots.",
        ),
        (
            ".a",
            "String",
            Some("x"),
            None,
            "Invalid message attribute name starting with character '.' was found.",
        ),
        (
            "a.",
            "String",
            Some("x"),
            None,
            "Invalid message attribute name ending with character '.' was found.",
        ),
        ("a..b", "String", Some("x"), None, "Message attribute name can not have successive '.' character."),
    ];
    for (name, data_type, string, binary, wanted) in table {
        let offered = OfferedAttribute {
            name: name.into(),
            data_type: data_type.into(),
            string: string.map(str::to_owned),
            binary: binary.map(|binary: &str| Bytes::copy_from_slice(binary.as_bytes())),
        };
        assert_eq!(said(message_attribute(offered)), wanted, "{name} {data_type}");
    }
}

#[test]
fn messages() {
    let attribute = |bytes: usize| MessageAttribute {
        name: "abcd".into(),
        data_type: "String".into(),
        value: Bytes::from("x".repeat(bytes)),
    };
    let long = "Invalid parameter: Message too long";
    assert_eq!(said(check_message("", &[])), "Invalid parameter: Empty message");
    assert_eq!(said(check_message(&"a".repeat(MESSAGE_BYTES), &[])), "");
    assert_eq!(said(check_message(&"a".repeat(MESSAGE_BYTES + 1), &[])), long);
    assert_eq!(said(check_message(&"a".repeat(MESSAGE_BYTES - 20), &[attribute(10)])), "");
    assert_eq!(said(check_message(&"a".repeat(MESSAGE_BYTES - 20), &[attribute(11)])), long);
    for (subject, wanted) in [
        ("[Subject] Test subject", ""),
        ("a".repeat(100).as_str(), ""),
        ("", "Invalid parameter: Subject"),
        ("a".repeat(101).as_str(), "Invalid parameter: Subject"),
        ("two\nlines", "Invalid parameter: Subject"),
    ] {
        assert_eq!(said(check_subject(subject)), wanted, "{subject}");
    }
    let failed = "Invalid parameter: Message Structure - JSON message body failed to parse";
    let default = "Invalid parameter: Message Structure - No default entry in JSON message body";
    for (text, wanted) in [
        (r#"{"default":"a"}"#, ""),
        (r#"{"default":"a","default":"b"}"#, ""),
        (r#"{"sqs":"a"}"#, default),
        (r#"{"default":{"object":"test"}}"#, default),
        ("{x}", failed),
        ("[]", failed),
    ] {
        assert_eq!(said(structured(text)), wanted, "{text}");
    }
    let (text, to_sqs, to_lambda) = structured(r#"{"default":"a","sqs":"{\"b\":1}","email":"c"}"#).unwrap();
    let message = Message { text, to_sqs, to_lambda, ..Message::default() };
    assert_eq!((message.text_to(Protocol::Sqs), message.text_to(Protocol::Lambda)), (r#"{"b":1}"#, "a"));
}

#[test]
fn batches() {
    let eleven: Vec<String> = (0..11).map(|id| id.to_string()).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    for (ids, wanted) in [
        (&eleven[..10], None),
        (&eleven[..], Some(SnsError::TooManyEntriesInBatchRequest)),
        (&[][..], Some(SnsError::EmptyBatchRequest)),
        (&["a", "a"][..], Some(SnsError::BatchEntryIdsNotDistinct)),
        (&["a b"][..], Some(SnsError::InvalidBatchEntryId)),
    ] {
        assert_eq!(check_batch(ids).err(), wanted, "{ids:?}");
    }
}

#[test]
fn tags() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let duplicate = check_tags(vec![pair("k1", "v1"), pair("k2", "v2"), pair("k2", "v2")]);
    assert_eq!(said(duplicate), "Invalid parameter: Duplicated keys are not allowed.");
    let many = check_tags((0..51).map(|at| pair(&at.to_string(), "")).collect());
    assert_eq!(many.err(), Some(SnsError::TagLimitExceeded));
    let mut tags = check_tags(vec![pair("k1", "v1")]).unwrap();
    merge_tags(&mut tags, check_tags(vec![pair("k1", "v1b")]).unwrap()).unwrap();
    assert_eq!(tags["k1"], "v1b");
}

/// What a queue and a function get, member by member.
#[test]
fn notifications() {
    let attributes = [
        MessageAttribute { name: "attr1".into(), data_type: "Number".into(), value: Bytes::from("99.12") },
        MessageAttribute {
            name: "attr2".into(),
            data_type: "Binary".into(),
            value: Bytes::from_static(&[2, 3, 4]),
        },
    ];
    let topic = "arn:aws:sns:us-east-1:000000000000:t";
    let mut notification = Notification {
        message_id: "id",
        topic_arn: topic,
        subscription_arn: "arn:aws:sns:us-east-1:000000000000:t:u",
        subject: Some("about"),
        text: "ö§a1\"_!?,. £$-",
        timestamp: "2026-01-02T03:04:05.678Z",
        signature_version: 1,
        signature: "c2ln",
        address: "http://127.0.0.1:4566",
        attributes: &attributes,
    };
    let body = "{\n  \"Type\" : \"Notification\",\n  \"MessageId\" : \"id\",\n  \"TopicArn\" : \"arn:aws:sns:us-east-1:000000000000:t\",\n  \
                \"Subject\" : \"about\",\n  \"Message\" : \"ö§a1\\\"_!?,. £$-\",\n  \"Timestamp\" : \"2026-01-02T03:04:05.678Z\",\n  \
                \"SignatureVersion\" : \"1\",\n  \"Signature\" : \"c2ln\",\n  \
                \"SigningCertURL\" : \"http://127.0.0.1:4566/SimpleNotificationService-unsigned.pem\",\n  \
                \"UnsubscribeURL\" : \"http://127.0.0.1:4566/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:000000000000:t:u\",\n  \
                \"MessageAttributes\" : {\n    \"attr1\" : {\"Type\":\"Number\",\"Value\":\"99.12\"},\n    \
                \"attr2\" : {\"Type\":\"Binary\",\"Value\":\"AgME\"}\n  }\n}";
    assert_eq!(notification.body(), body);
    notification.subject = None;
    notification.attributes = &[];
    let plain: Value = serde_json::from_str(&notification.body()).unwrap();
    assert!(plain.get("Subject").is_none() && plain.get("MessageAttributes").is_none());
    let event: Value = serde_json::from_str(&notification.event()).unwrap();
    assert_eq!(
        event,
        json!({"Records": [{
            "EventSource": "aws:sns",
            "EventVersion": "1.0",
            "EventSubscriptionArn": "arn:aws:sns:us-east-1:000000000000:t:u",
            "Sns": {
                "Type": "Notification",
                "MessageId": "id",
                "TopicArn": topic,
                "Subject": null,
                "Message": "ö§a1\"_!?,. £$-",
                "Timestamp": "2026-01-02T03:04:05.678Z",
                "SignatureVersion": "1",
                "Signature": "c2ln",
                "SigningCertUrl": "http://127.0.0.1:4566/SimpleNotificationService-unsigned.pem",
                "UnsubscribeUrl":
                    "http://127.0.0.1:4566/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:000000000000:t:u",
                "MessageAttributes": {},
            },
        }]})
    );
}

/// Records of format 1, as they are on disk.
#[test]
fn records_of_each_format() {
    let topic = r#"{"key":{"account":"000000000000","region":"us-east-1","name":"t"},"identity":"i","attributes":{"display_name":"d","signature_version":2,"passes_trace":true},"tags":{"k":"v"},"created":1767225600000000,"subscriptions_deleted":3}"#;
    let read: Topic = serde_json::from_str(topic).unwrap();
    assert_eq!(
        (read.arn().as_str(), read.subscriptions_deleted),
        ("arn:aws:sns:us-east-1:000000000000:t", 3)
    );
    assert_eq!(read.attributes(1)["SignatureVersion"], "2");
    assert_eq!(serde_json::to_string(&read).unwrap(), topic);
    let subscription = r#"{"key":{"account":"000000000000","region":"us-east-1","name":"t:u"},"topic":"i","protocol":"sqs","endpoint":"arn:aws:sqs:us-east-1:000000000000:q","attributes":{"filter_policy":"{\"a\":[\"b\"]}","filter_policy_scope":"MessageBody","raw_message_delivery":true,"redrive_policy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:d\"}"},"created":1767225600000000}"#;
    let read: Subscription = serde_json::from_str(subscription).unwrap();
    assert_eq!(read.topic_key().arn("sns"), "arn:aws:sns:us-east-1:000000000000:t");
    assert_eq!(read.attributes.dead_letter_target().unwrap(), "arn:aws:sqs:us-east-1:000000000000:d");
    assert_eq!(read.attributes()["FilterPolicyScope"], "MessageBody");
    assert_eq!(serde_json::to_string(&read).unwrap(), subscription);
}
