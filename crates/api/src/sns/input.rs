//! What SNS's operations read of their input.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lambkin_events::sns::SnsError;
use lambkin_model::record::ResourceKey;
use lambkin_model::sns::{
    Message, OfferedAttribute, check_group, check_message, check_subject, message_attribute, structured,
    subscription_key, topic_key,
};

use crate::api::Call;
use crate::node::Node;
use crate::trace;

/// An input, or an entry of a batch, with the call it came by.
pub(super) struct Input<'i> {
    pub(super) node: &'i Node<'i>,
    pub(super) call: &'i Call<'i>,
}

impl<'i> Input<'i> {
    pub(super) fn text(&self, name: &str) -> Option<&'i str> {
        self.node.text(name)
    }

    pub(super) fn need(&self, name: &str) -> Result<&'i str, SnsError> {
        self.text(name).ok_or_else(|| missing(name))
    }

    pub(super) fn token(&self) -> Option<&'i str> {
        self.text("NextToken").filter(|token| !token.is_empty())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let Some(Node::List(items)) = self.node.get(name) else { return Vec::new() };
        items
            .iter()
            .filter_map(|item| if let Node::Text(text) = item { Some(text.to_string()) } else { None })
            .collect()
    }

    /// A map of texts, in its order.
    pub(super) fn pairs(&self, name: &str) -> Vec<(String, String)> {
        self.node.texts(name).unwrap_or_default()
    }

    pub(super) fn tags(&self) -> Result<Vec<(String, String)>, SnsError> {
        let Some(Node::List(items)) = self.node.get("Tags") else { return Ok(Vec::new()) };
        let tag = |(index, item): (usize, &Node<'_>)| {
            let member = |name| item.text(name).map(str::to_owned);
            let at = |name| missing(&format!("tags.{}.member.{name}", index + 1));
            Ok((member("Key").ok_or_else(|| at("key"))?, member("Value").ok_or_else(|| at("value"))?))
        };
        items.iter().enumerate().map(tag).collect()
    }

    /// A topic of the caller's account and region.
    pub(super) fn key(&self, name: &str) -> ResourceKey {
        let region = (&*self.call.region).into();
        ResourceKey { account: self.call.account.into(), region, name: name.into() }
    }

    /// The topic whose ARN a parameter is.
    pub(super) fn topic(&self, parameter: &str) -> Result<ResourceKey, SnsError> {
        topic_key(parameter, self.need(parameter)?, &self.call.region)
    }

    pub(super) fn subscription(&self) -> Result<ResourceKey, SnsError> {
        subscription_key(self.need("SubscriptionArn")?, &self.call.region)
    }

    /// A batch's entries by their ids.
    pub(super) fn entries(&self, name: &str) -> Result<Vec<(&'i str, Input<'i>)>, SnsError> {
        let Some(Node::List(items)) = self.node.get(name) else { return Ok(Vec::new()) };
        let entry = |(index, node): (usize, &'i Node<'i>)| {
            let id = node.text("Id");
            let id =
                id.ok_or_else(|| missing(&format!("publishBatchRequestEntries.{}.member.id", index + 1)))?;
            Ok((id, Input { node, call: self.call }))
        };
        items.iter().enumerate().map(entry).collect()
    }

    /// The caller's trace id, which goes with the message.
    fn trace_id(&self) -> Option<String> {
        trace::given(&self.call.parts.headers).map(str::to_owned)
    }

    /// A message to publish. The inner error is the message's own: in a batch the others are published.
    /// `place` is where the request has its attributes.
    pub(super) fn message(&self, place: &str) -> Result<Result<Message, SnsError>, SnsError> {
        let mut message = Message {
            text: self.need("Message")?.to_owned(),
            subject: self.text("Subject").map(str::to_owned),
            group: self.text("MessageGroupId").map(Into::into),
            trace_id: self.trace_id(),
            ..Message::default()
        };
        if let Some(Node::Map(given)) = self.node.get("MessageAttributes") {
            for (name, value) in given {
                let binary = value.text("BinaryValue");
                let offered = OfferedAttribute {
                    name: name.to_string(),
                    data_type: value.text("DataType").map(str::to_owned),
                    string: value.text("StringValue").map(str::to_owned),
                    binary: binary.map(|base64| Bytes::from(STANDARD.decode(base64).unwrap_or_default())),
                };
                message.attributes.push(message_attribute(offered, place)?);
            }
        }
        if self.text("MessageDeduplicationId").is_some() {
            let reason = "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is \
                          not valid for this topic type";
            return Err(SnsError::parameter(reason));
        }
        let checked = check_message(&message.text, &message.attributes)
            .and_then(|()| message.subject.as_deref().map_or(Ok(()), check_subject))
            .and_then(|()| message.group.as_deref().map_or(Ok(()), check_group));
        if let Err(error) = checked {
            return Ok(Err(error));
        }
        match self.text("MessageStructure") {
            None | Some("") => {}
            Some("json") => {
                (message.text, message.to_sqs, message.to_lambda) = structured(&message.text)?;
            }
            Some(_) => return Err(SnsError::parameter("MessageStructure")),
        }
        Ok(Ok(message))
    }
}

/// A member that the model requires, as AWS names it.
fn missing(member: &str) -> SnsError {
    let mut letters = member.chars();
    let first = letters.next().map_or_else(String::new, |first| first.to_lowercase().to_string());
    SnsError::Validation(format!(
        "1 validation error detected: Value null at '{first}{}' failed to satisfy constraint: Member must not be null",
        letters.as_str()
    ))
}
