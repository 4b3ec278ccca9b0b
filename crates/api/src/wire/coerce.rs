//! A JSON body as its shape wants it: members that the model does not have go, as do nulls; numbers and
//! booleans become texts where a text is wanted, as SQS does; what cannot become is AWS's complaint.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::node::Node;
use crate::service_model::{Kind, ServiceModel, ShapeId};

/// Reads a value of this shape, or says what is wrong with it.
pub(super) fn coerce<'a>(model: &ServiceModel, id: ShapeId, value: Node<'a>) -> Result<Node<'a>, String> {
    let shape = model.shape(id);
    match (&shape.kind, value) {
        (Kind::Structure(members), Node::Map(given)) => {
            let mut read = Vec::with_capacity(given.len());
            for (name, value) in given {
                let Some(member) = members.iter().find(|member| *member.name == *name) else { continue };
                if value != Node::Null {
                    read.push((name, coerce(model, member.shape, value)?));
                }
            }
            Ok(Node::Map(read))
        }
        (Kind::Map { value: member, .. }, Node::Map(given)) => {
            let given = given.into_iter().filter(|(_, value)| *value != Node::Null);
            let read = given.map(|(name, value)| Ok((name, coerce(model, *member, value)?)));
            read.collect::<Result<_, String>>().map(Node::Map)
        }
        (Kind::List(member), Node::List(items)) => {
            let read = items.into_iter().map(|item| coerce(model, *member, item));
            read.collect::<Result<_, String>>().map(Node::List)
        }
        (Kind::Text, Node::Text(text)) => Ok(Node::Text(text)),
        (Kind::Text, value @ (Node::Integer(_) | Node::Double(_) | Node::Boolean(_))) => {
            Ok(Node::Text(value.to_string().into()))
        }
        (Kind::Blob, Node::Text(text)) => match STANDARD.decode(&*text) {
            Ok(_) => Ok(Node::Text(text)),
            Err(_) => Err("Invalid base64 text".into()),
        },
        (Kind::Integer, Node::Integer(value)) => Ok(Node::Integer(value)),
        // As AWS's JSON has what JSON has no word for.
        (Kind::Double, Node::Text(text)) if matches!(&*text, "NaN" | "Infinity" | "-Infinity") => {
            Ok(Node::Double(text.parse().unwrap_or(f64::NAN)))
        }
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and AWS drops the fraction")]
        (Kind::Integer, Node::Double(value)) => Ok(Node::Integer(value as i64)),
        (Kind::Double | Kind::Timestamp, value @ (Node::Integer(_) | Node::Double(_)))
        | (Kind::Boolean, value @ Node::Boolean(_)) => Ok(value),
        (_, Node::Map(_)) => Err("Start of structure or map found where not expected.".into()),
        (_, Node::List(_)) => Err("Start of list found where not expected".into()),
        (kind, value) => {
            let from = match value {
                Node::Boolean(true) => "TRUE_VALUE",
                Node::Boolean(false) => "FALSE_VALUE",
                Node::Integer(_) => "NUMBER_VALUE",
                Node::Double(_) => "DECIMAL_VALUE",
                Node::Null => "NULL_VALUE",
                Node::Text(_) | Node::List(_) | Node::Map(_) => "STRING_VALUE",
            };
            Err(match kind {
                Kind::Text => format!("{from} can not be converted to a String"),
                Kind::Integer => format!("{from} can not be converted to an Integer"),
                Kind::Double => format!("{from} can not be converted to a Double"),
                Kind::Boolean => format!("{from} can not be converted to a Boolean"),
                Kind::Blob => format!("{from} can not be converted to a Blob"),
                Kind::Timestamp => format!("{from} can not be converted to a Timestamp"),
                Kind::List(_) => "Expected list or null".into(),
                Kind::Map { .. } => "Expected map or null".into(),
                Kind::Structure(_) => "Expected structure or null".into(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_model::SQS;

    #[test]
    fn takes_what_sqs_takes() {
        let operation = SQS.operation("SendMessageBatch").unwrap();
        let read = |json: &str| {
            let node = Node::read(json.as_bytes()).unwrap();
            coerce(&SQS, operation.input.unwrap(), node).map(|node| serde_json::to_string(&node).unwrap())
        };
        for (json, expected) in [
            (
                r#"{"Entries":[{"Id":5,"MessageBody":false}],"Other":1,"QueueUrl":null}"#,
                Ok(r#"{"Entries":[{"Id":"5","MessageBody":"false"}]}"#),
            ),
            (r#"{"Entries":[{"DelaySeconds":1.9}]}"#, Ok(r#"{"Entries":[{"DelaySeconds":1}]}"#)),
            (
                r#"{"Entries":[{"MessageBody":{}}]}"#,
                Err("Start of structure or map found where not expected."),
            ),
            (r#"{"Entries":[{"DelaySeconds":[]}]}"#, Err("Start of list found where not expected")),
            (r#"{"Entries":[{"DelaySeconds":"x"}]}"#, Err("STRING_VALUE can not be converted to an Integer")),
            (r#"{"Entries":7}"#, Err("Expected list or null")),
            (r#"{"Entries":[{"MessageAttributes":{"a":{"BinaryValue":"?"}}}]}"#, Err("Invalid base64 text")),
            (r#"[]"#, Err("Start of list found where not expected")),
        ] {
            assert_eq!(read(json).as_deref().map_err(String::as_str), expected, "{json}");
        }
    }
}
