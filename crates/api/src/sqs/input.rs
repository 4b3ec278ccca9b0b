//! What SQS's operations read of their input.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambkin_events::sqs::{Entry, SqsError};
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::MessageAttribute;

use crate::api::Call;
use crate::node::Node;
use crate::trace;
use crate::wire::queue_path;

/// An input, or an entry of a batch, with the call it came by.
pub(super) struct Input<'i> {
    pub(super) node: &'i Node<'i>,
    pub(super) call: &'i Call<'i>,
}

impl<'i> Input<'i> {
    pub(super) fn text(&self, name: &str) -> Option<&'i str> {
        self.node.text(name)
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.node.integer(name)
    }

    /// A member that the model requires.
    pub(super) fn wanted(&self, name: &str) -> &'i str {
        self.text(name).unwrap_or_default()
    }

    /// A received message, and for how many seconds nobody else gets it.
    pub(super) fn visibility(&self) -> (String, i64) {
        let seconds = self.integer("VisibilityTimeout").unwrap_or_default();
        (self.wanted("ReceiptHandle").to_owned(), seconds)
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.node.list(name).unwrap_or_default()
    }

    /// A map of texts, in its order.
    pub(super) fn pairs(&self, name: &str) -> Vec<(String, String)> {
        self.node.texts(name).unwrap_or_default()
    }

    /// A queue of the caller's account and region.
    pub(super) fn key(&self, name: &str) -> ResourceKey {
        ResourceKey {
            account: self.call.account.into(),
            region: (&*self.call.region).into(),
            name: name.into(),
        }
    }

    /// The queue of `QueueUrl`. Its host may be any of lambkin's, and is not looked at.
    pub(super) fn queue(&self) -> Result<ResourceKey, SqsError> {
        let url = self.wanted("QueueUrl");
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("", |slash| &rest[slash..]),
            None => url,
        };
        match queue_path(path) {
            Some((account, name)) => Ok(ResourceKey { account: account.into(), ..self.key(name) }),
            // A name alone is what clients without an address of the queue send.
            None if !url.is_empty() && !url.contains('/') => Ok(self.key(url)),
            None => Err(SqsError::InvalidAddress(url.to_owned())),
        }
    }

    /// A batch's entries by their ids.
    pub(super) fn entries(&self) -> Vec<(&'i str, Input<'i>)> {
        let Some(Node::List(items)) = self.node.get("Entries") else { return Vec::new() };
        let entry =
            |node: &'i Node<'i>| (node.text("Id").unwrap_or_default(), Input { node, call: self.call });
        items.iter().map(entry).collect()
    }

    /// A message to send. One without a body is refused where it is looked at.
    pub(super) fn entry(&self) -> Result<Entry, SqsError> {
        Ok(Entry {
            body: self.text("MessageBody").unwrap_or_default().to_owned(),
            attributes: self.attributes("MessageAttributes", "(user)")?,
            system_attributes: self.attributes("MessageSystemAttributes", "system")?,
            delay: self.integer("DelaySeconds"),
            group: self.text("MessageGroupId").map(str::to_owned),
            deduplication: self.text("MessageDeduplicationId").map(str::to_owned),
            sender: self.call.sender(),
            trace_id: trace::given(&self.call.parts.headers).map(str::to_owned),
        })
    }

    fn attributes(&self, name: &str, kind: &str) -> Result<Vec<MessageAttribute>, SqsError> {
        let Some(Node::Map(given)) = self.node.get(name) else { return Ok(Vec::new()) };
        given.iter().map(|(name, value)| attribute(name, value, kind)).collect()
    }
}

fn attribute(name: &str, value: &Node<'_>, kind: &str) -> Result<MessageAttribute, SqsError> {
    let wrong = |text: String| Err(SqsError::InvalidParameterValue(text));
    let data_type = value.text("DataType").unwrap_or_default();
    let (string, binary) = (value.text("StringValue"), value.text("BinaryValue"));
    for lists in ["StringListValues", "BinaryListValues"] {
        if value.get(lists).is_some() {
            return Err(SqsError::UnsupportedOperation(
                "Message attribute lists in query string are not supported.".into(),
            ));
        }
    }
    if string.is_some() && binary.is_some() {
        return wrong(format!("Message {kind} attribute '{name}' must have a single value."));
    }
    let is_binary = data_type.starts_with("Binary");
    if is_binary && string.is_some() {
        return wrong(format!(
            "Message {kind} attribute '{name}' with type 'Binary' must use field 'Binary'."
        ));
    }
    if !is_binary && binary.is_some() && !data_type.is_empty() {
        return wrong(format!(
            "Message {kind} attribute '{name}' with type '{data_type}' must use field 'String'."
        ));
    }
    let value = match binary {
        Some(base64) => STANDARD.decode(base64).unwrap_or_default().into(),
        None => string.unwrap_or_default().to_owned().into(),
    };
    Ok(MessageAttribute { name: name.to_owned(), data_type: data_type.to_owned(), value })
}
