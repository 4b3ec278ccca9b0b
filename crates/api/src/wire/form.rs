//! The Query protocol's parameters: `Entry.1.Attribute.2.Name=x`, from a form or an address, as documents
//! of the shapes that they are for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambkin_model::time::Timestamp;
use percent_encoding::percent_decode_str;

use crate::node::Node;
use crate::service_model::{Kind, Location, ServiceModel, ShapeId};

/// Most parameters of one request. One that is meant has some hundreds; a full PutMetricData has thousands.
const PARAMETERS: usize = 50_000;
/// Most entries of one list or map.
const ENTRIES: usize = 10_000;

/// Parameters by name, decoded, in order of names.
pub(super) struct Form<'b>(BTreeMap<Cow<'b, str>, Cow<'b, str>>);

impl<'b> Form<'b> {
    /// Reads them; the first of a name counts.
    pub(super) fn read(texts: &[&'b str]) -> Result<Self, String> {
        let mut form = BTreeMap::new();
        for pair in texts.iter().flat_map(|text| text.split('&')).filter(|pair| !pair.is_empty()) {
            if form.len() == PARAMETERS {
                return Err("too many parameters".into());
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            form.entry(decode(name)?).or_insert(decode(value)?);
        }
        Ok(Self(form))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| &**value)
    }

    /// A whole input.
    pub(super) fn structure<'a>(&self, model: &ServiceModel, id: ShapeId) -> Result<Node<'a>, String> {
        Ok(self.value(model, id, "")?.unwrap_or(Node::Map(Vec::new())))
    }

    /// The value whose parameters begin with `name`; `None`: there are none.
    fn value<'a>(&self, model: &ServiceModel, id: ShapeId, name: &str) -> Result<Option<Node<'a>>, String> {
        let shape = model.shape(id);
        let own = |text: &str| Node::Text(Cow::Owned(text.to_owned()));
        match &shape.kind {
            Kind::Structure(members) => {
                let mut read = Vec::new();
                for member in members.iter().filter(|member| matches!(member.location, Location::Body)) {
                    let name = joined(name, &member.name);
                    if let Some(value) = self.value(model, member.shape, &name)? {
                        read.push((Cow::Owned(member.name.to_string()), value));
                    }
                }
                let given = !read.is_empty() || name.is_empty();
                Ok(given.then_some(Node::Map(read)))
            }
            Kind::List(member) => {
                let wire = shape.wires.names.first().map_or("member", |wire| wire);
                let begin = if shape.wires.flat { sibling(name, wire) } else { joined(name, wire) };
                let mut items = Vec::new();
                for number in 1..=ENTRIES {
                    let Some(item) = self.value(model, *member, &format!("{begin}.{number}"))? else { break };
                    items.push(item);
                }
                // `Name=` is a list of nothing.
                let given = !items.is_empty() || self.text(name).is_some_and(str::is_empty);
                Ok(given.then_some(Node::List(items)))
            }
            Kind::Map { value: member, .. } => {
                let (key, value) = match shape.wires.names.as_slice() {
                    [key, value] => (&**key, &**value),
                    _ => ("key", "value"),
                };
                let begin = match &shape.wires.entry {
                    Some(entry) => sibling(name, entry),
                    None if shape.wires.flat => name.to_owned(),
                    None => joined(name, "entry"),
                };
                let mut entries = Vec::new();
                for number in 1..=ENTRIES {
                    let Some(key) = self.text(&format!("{begin}.{number}.{key}")) else { break };
                    let name = format!("{begin}.{number}.{value}");
                    let value = self.value(model, *member, &name)?.unwrap_or_else(|| own(""));
                    entries.push((Cow::Owned(key.to_owned()), value));
                }
                Ok((!entries.is_empty()).then_some(Node::Map(entries)))
            }
            Kind::Text => Ok(self.text(name).map(own)),
            Kind::Timestamp => match self.text(name) {
                None => Ok(None),
                Some(text) => match Timestamp::parse(text) {
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "microseconds since 1970 fit for two centuries"
                    )]
                    Some(at) => Ok(Some(Node::Double(at.0 as f64 / 1e6))),
                    None => Err(format!("Value {text} for parameter {name} is not a time.")),
                },
            },
            Kind::Blob => match self.text(name) {
                Some(text) if STANDARD.decode(text).is_err() => Err("Invalid base64 text".into()),
                text => Ok(text.map(own)),
            },
            Kind::Integer => match self.text(name) {
                None => Ok(None),
                Some(text) => match text.parse() {
                    Ok(number) => Ok(Some(Node::Integer(number))),
                    Err(_) => Err(format!("Value {text} for parameter {name} is not an integer.")),
                },
            },
            Kind::Double => match self.text(name) {
                None => Ok(None),
                Some(text) => match text.parse() {
                    Ok(number) => Ok(Some(Node::Double(number))),
                    Err(_) => Err(format!("Value {text} for parameter {name} is not a number.")),
                },
            },
            Kind::Boolean => match self.text(name) {
                None => Ok(None),
                Some("true") => Ok(Some(Node::Boolean(true))),
                Some("false") => Ok(Some(Node::Boolean(false))),
                Some(text) => Err(format!("Value {text} for parameter {name} is not a boolean.")),
            },
        }
    }
}

fn joined(name: &str, member: &str) -> String {
    if name.is_empty() { member.to_owned() } else { format!("{name}.{member}") }
}

/// `member` in place of the last part of `name`.
fn sibling(name: &str, member: &str) -> String {
    name.rsplit_once('.').map_or_else(|| member.to_owned(), |(before, _)| format!("{before}.{member}"))
}

/// A form's text: `+` is a space.
fn decode(text: &str) -> Result<Cow<'_, str>, String> {
    let wrong = |_| "a parameter is not UTF-8".to_owned();
    if text.contains('+') {
        let text = text.replace('+', " ");
        return percent_decode_str(&text)
            .decode_utf8()
            .map(|text| Cow::Owned(text.into_owned()))
            .map_err(wrong);
    }
    percent_decode_str(text).decode_utf8().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_model::SQS;

    #[test]
    fn reads_sqs_parameters() {
        for (operation, form, expected) in [
            (
                "SendMessage",
                "QueueUrl=http%3A%2F%2Fh%2F0%2Fq&MessageBody=a+b%2B&DelaySeconds=3&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=String&MessageAttribute.1.Value.StringValue=v&Action=x",
                r#"{"QueueUrl":"http://h/0/q","MessageBody":"a b+","DelaySeconds":3,"MessageAttributes":{"n":{"StringValue":"v","DataType":"String"}}}"#,
            ),
            (
                "SendMessageBatch",
                "SendMessageBatchRequestEntry.1.Id=1&SendMessageBatchRequestEntry.2.Id=2&SendMessageBatchRequestEntry.2.MessageSystemAttribute.1.Name=AWSTraceHeader&SendMessageBatchRequestEntry.2.MessageSystemAttribute.1.Value.StringValue=t",
                r#"{"Entries":[{"Id":"1"},{"Id":"2","MessageSystemAttributes":{"AWSTraceHeader":{"StringValue":"t"}}}]}"#,
            ),
            (
                "CreateQueue",
                "QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Tag.1.Key=k&Tag.1.Value=",
                r#"{"QueueName":"q","Attributes":{"DelaySeconds":"5"},"tags":{"k":""}}"#,
            ),
            (
                "ReceiveMessage",
                "AttributeName.1=All&MessageAttributeName.1=a.*&MessageAttributeName.2=b&WaitTimeSeconds=20",
                r#"{"AttributeNames":["All"],"MessageAttributeNames":["a.*","b"],"WaitTimeSeconds":20}"#,
            ),
        ] {
            let input = SQS.operation(operation).unwrap().input.unwrap();
            let node = Form::read(&["", form]).unwrap().structure(&SQS, input).unwrap();
            assert_eq!(serde_json::to_string(&node).unwrap(), expected);
        }
    }

    #[test]
    fn is_bounded_and_strict() {
        let many: Vec<String> = (0..=PARAMETERS).map(|n| format!("p{n}=")).collect();
        assert!(Form::read(&[&many.join("&")]).is_err());
        assert!(Form::read(&["a=%ff"]).is_err());
        let input = SQS.operation("ReceiveMessage").unwrap().input.unwrap();
        let read = |form: &'static str| Form::read(&[form]).unwrap().structure(&SQS, input);
        assert!(read("MaxNumberOfMessages=ten").is_err());
        assert_eq!(read("AttributeName.2=All").unwrap(), Node::Map(vec![]), "a list begins with its first");
    }
}
