//! The Query protocol's documents: answers by their output's shape, and errors.

use std::fmt::Write;

use lambkin_model::invocation::RequestId;
use lambkin_model::time::Timestamp;

use super::{Fault, Service, Which};
use crate::node::Node;
use crate::service_model::{Kind, Operation, ServiceModel, ShapeId};

const HEAD: &str = r#"<?xml version="1.0"?>"#;

/// The answer of an operation.
pub(super) fn answer(
    model: &ServiceModel,
    namespace: &str,
    operation: &Operation,
    output: Option<&Node<'_>>,
    request_id: RequestId,
) -> Vec<u8> {
    let name = &operation.name;
    let mut xml = format!(r#"{HEAD}<{name}Response xmlns="{namespace}">"#);
    if let Some(shape) = operation.output {
        let _ = write!(xml, "<{name}Result>");
        if let Some(output) = output {
            members(&mut xml, model, shape, output);
        }
        let _ = write!(xml, "</{name}Result>");
    }
    let _ = write!(
        xml,
        "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
    );
    xml.into_bytes()
}

/// The answer of one that failed.
pub(super) fn refusal(service: &Service, fault: &Fault, request_id: RequestId) -> Vec<u8> {
    let blame = if fault.sender { "Sender" } else { "Receiver" };
    let namespace = service.namespace();
    // Empty, where there is one.
    let detail = match service.which {
        Which::Sqs => "<Detail/>",
        Which::CloudWatch | Which::Iam | Which::Logs | Which::Sns | Which::Sts => "",
    };
    let mut xml = format!(
        r#"{HEAD}<ErrorResponse xmlns="{namespace}"><Error><Type>{blame}</Type><Code>{}</Code><Message>"#,
        fault.code
    );
    escape(&mut xml, &fault.message);
    let _ = write!(xml, "</Message>{detail}</Error><RequestId>{request_id}</RequestId></ErrorResponse>");
    xml.into_bytes()
}

/// An error of a service that is not here, in the Query protocol.
pub(super) fn refusal_of(fault: &Fault, request_id: RequestId) -> Vec<u8> {
    let blame = if fault.sender { "Sender" } else { "Receiver" };
    let error = format!("<Type>{blame}</Type>{}", error(fault));
    format!("{HEAD}<ErrorResponse><Error>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>")
        .into_bytes()
}

/// The same in EC2's words.
pub(super) fn refusal_of_ec2(fault: &Fault, request_id: RequestId) -> Vec<u8> {
    let error = error(fault);
    format!(
        "{HEAD}<Response><Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    )
    .into_bytes()
}

/// And in S3's.
pub(super) fn refusal_of_s3(fault: &Fault, request_id: RequestId) -> Vec<u8> {
    let error = error(fault);
    format!("{HEAD}<Error>{error}<RequestId>{request_id}</RequestId></Error>").into_bytes()
}

fn error(fault: &Fault) -> String {
    let mut xml = format!("<Code>{}</Code><Message>", fault.code);
    escape(&mut xml, &fault.message);
    xml.push_str("</Message>");
    xml
}

/// The members of a structure.
fn members(xml: &mut String, model: &ServiceModel, id: ShapeId, value: &Node<'_>) {
    let (Kind::Structure(members), Node::Map(given)) = (&model.shape(id).kind, value) else { return };
    for (name, value) in given {
        if let Some(member) = members.iter().find(|member| *member.name == **name) {
            element(xml, model, member.shape, name, value);
        }
    }
}

/// One value under its name; a flat list or map is several, under names of their own.
fn element(xml: &mut String, model: &ServiceModel, id: ShapeId, name: &str, value: &Node<'_>) {
    let shape = model.shape(id);
    let wires = &shape.wires;
    match (&shape.kind, value) {
        (Kind::List(member), Node::List(items)) => {
            let wire = wires.names.first().map_or("member", |wire| wire);
            around(xml, name, !wires.flat, |xml| {
                for item in items {
                    element(xml, model, *member, wire, item);
                }
            });
        }
        (Kind::Map { key, value: member }, Node::Map(entries)) => {
            let (key_wire, value_wire) = match wires.names.as_slice() {
                [key, value] => (&**key, &**value),
                _ => ("key", "value"),
            };
            let entry = wires.entry.as_deref().unwrap_or(if wires.flat { name } else { "entry" });
            around(xml, name, !wires.flat, |xml| {
                for (name, value) in entries {
                    around(xml, entry, true, |xml| {
                        element(xml, model, *key, key_wire, &Node::Text(name.as_ref().into()));
                        element(xml, model, *member, value_wire, value);
                    });
                }
            });
        }
        (Kind::Structure(_), Node::Map(_)) => {
            around(xml, name, true, |xml| members(xml, model, id, value));
        }
        (_, Node::Null) => {}
        (Kind::Timestamp, Node::Integer(seconds)) => {
            let micros = u64::try_from(*seconds).unwrap_or(0).saturating_mul(1_000_000);
            around(xml, name, true, |xml| xml.push_str(&Timestamp(micros).iso()));
        }
        (_, value) => around(xml, name, true, |xml| match value {
            Node::Text(text) => escape(xml, text),
            Node::Integer(number) => {
                let _ = write!(xml, "{number}");
            }
            Node::Double(number) => {
                let _ = write!(xml, "{number}");
            }
            Node::Boolean(value) => {
                let _ = write!(xml, "{value}");
            }
            Node::Null | Node::List(_) | Node::Map(_) => {}
        }),
    }
}

fn around(xml: &mut String, name: &str, tagged: bool, inside: impl FnOnce(&mut String)) {
    if tagged {
        let _ = write!(xml, "<{name}>");
    }
    inside(xml);
    if tagged {
        let _ = write!(xml, "</{name}>");
    }
}

/// Text as XML: parsers turn a bare carriage return into a line feed, so it is written as AWS does. What no document may
/// have, in whatever way it is written, becomes the sign for characters that cannot be shown.
fn escape(xml: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#xD;"),
            '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}' => {
                xml.push(char::REPLACEMENT_CHARACTER);
            }
            other => xml.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_model::SQS;

    fn written(operation: &str, json: &str) -> String {
        let output = Node::read(json.as_bytes()).unwrap();
        let operation = SQS.operation(operation).unwrap();
        let xml = answer(&SQS, "ns", operation, Some(&output), RequestId([0; 16]));
        let xml = String::from_utf8(xml).unwrap();
        let begin = format!(r#"{HEAD}<{0}Response xmlns="ns">"#, operation.name);
        let end = format!(
            "<ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata></{}Response>",
            operation.name
        );
        xml.strip_prefix(&begin).and_then(|xml| xml.strip_suffix(&end)).unwrap().to_owned()
    }

    #[test]
    fn what_xml_cannot_have_is_replaced() {
        let mut xml = String::new();
        escape(&mut xml, "a\0\u{1}\t\n\u{B}\u{1F}\u{7F}\u{FFFD}\u{FFFE}\u{FFFF}b");
        assert_eq!(xml, "a\u{FFFD}\u{FFFD}\t\n\u{FFFD}\u{FFFD}\u{7F}\u{FFFD}\u{FFFD}\u{FFFD}b");
    }

    #[test]
    fn answers() {
        for (operation, json, expected) in [
            ("DeleteMessage", "{}", ""),
            ("ListQueues", "{}", "<ListQueuesResult></ListQueuesResult>"),
            (
                "ListQueues",
                r#"{"QueueUrls":["a","b"],"NextToken":"t"}"#,
                "<ListQueuesResult><QueueUrl>a</QueueUrl><QueueUrl>b</QueueUrl><NextToken>t</NextToken></ListQueuesResult>",
            ),
            (
                "GetQueueAttributes",
                r#"{"Attributes":{"DelaySeconds":"5"}}"#,
                "<GetQueueAttributesResult><Attribute><Name>DelaySeconds</Name><Value>5</Value></Attribute></GetQueueAttributesResult>",
            ),
            (
                "ReceiveMessage",
                r#"{"Messages":[{"Body":"<a&\r\n\"b\">","Attributes":{"SenderId":"1"},"MessageAttributes":{"n":{"StringValue":"v","DataType":"String"}}}]}"#,
                "<ReceiveMessageResult><Message><Body>&lt;a&amp;&#xD;\n&quot;b&quot;&gt;</Body><Attribute><Name>SenderId</Name><Value>1</Value></Attribute>\
                 <MessageAttribute><Name>n</Name><Value><StringValue>v</StringValue><DataType>String</DataType></Value></MessageAttribute></Message></ReceiveMessageResult>",
            ),
            (
                "DeleteMessageBatch",
                r#"{"Successful":[{"Id":"1"}],"Failed":[{"Id":"2","SenderFault":true}]}"#,
                "<DeleteMessageBatchResult><DeleteMessageBatchResultEntry><Id>1</Id></DeleteMessageBatchResultEntry>\
                 <BatchResultErrorEntry><Id>2</Id><SenderFault>true</SenderFault></BatchResultErrorEntry></DeleteMessageBatchResult>",
            ),
        ] {
            assert_eq!(written(operation, json), expected);
        }
    }
}
