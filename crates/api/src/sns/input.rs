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

    /// A member that the model requires.
    pub(super) fn wanted(&self, name: &str) -> &'i str {
        self.text(name).unwrap_or_default()
    }

    pub(super) fn token(&self) -> Option<&'i str> {
        self.text("NextToken").filter(|token| !token.is_empty())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.node.list(name).unwrap_or_default()
    }

    /// A map of texts, in its order.
    pub(super) fn pairs(&self, name: &str) -> Vec<(String, String)> {
        self.node.texts(name).unwrap_or_default()
    }

    pub(super) fn tags(&self) -> Vec<(String, String)> {
        let Some(Node::List(items)) = self.node.get("Tags") else { return Vec::new() };
        let member = |item: &Node<'_>, name| item.text(name).unwrap_or_default().to_owned();
        items.iter().map(|item| (member(item, "Key"), member(item, "Value"))).collect()
    }

    /// A topic of the caller's account and region.
    pub(super) fn key(&self, name: &str) -> ResourceKey {
        let region = (&*self.call.region).into();
        ResourceKey { account: self.call.account.into(), region, name: name.into() }
    }

    /// The topic whose ARN a parameter is.
    pub(super) fn topic(&self, parameter: &str) -> Result<ResourceKey, SnsError> {
        topic_key(parameter, self.wanted(parameter), &self.call.region)
    }

    pub(super) fn subscription(&self) -> Result<ResourceKey, SnsError> {
        subscription_key(self.wanted("SubscriptionArn"), &self.call.region)
    }

    /// A batch's entries by their ids.
    pub(super) fn entries(&self) -> Vec<(&'i str, Input<'i>)> {
        let Some(Node::List(items)) = self.node.get("PublishBatchRequestEntries") else { return Vec::new() };
        let entry =
            |node: &'i Node<'i>| (node.text("Id").unwrap_or_default(), Input { node, call: self.call });
        items.iter().map(entry).collect()
    }

    /// The caller's trace id, which goes with the message.
    fn trace_id(&self) -> Option<String> {
        trace::given(&self.call.parts.headers).map(str::to_owned)
    }

    /// A message to publish. The inner error is the message's own: in a batch the others are published.
    pub(super) fn message(&self) -> Result<Result<Message, SnsError>, SnsError> {
        let mut message = Message {
            text: self.wanted("Message").to_owned(),
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
                    data_type: value.text("DataType").unwrap_or_default().to_owned(),
                    string: value.text("StringValue").map(str::to_owned),
                    binary: binary.map(|base64| Bytes::from(STANDARD.decode(base64).unwrap_or_default())),
                };
                message.attributes.push(message_attribute(offered)?);
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
