//! Messages as they are published: their text, subject and attributes.
//!
//! Deliberately not here: what subscribers get ([`super::notification`]).

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{BATCH_ENTRIES, MESSAGE_BYTES, Protocol, SUBJECT_CHARACTERS, SnsError};
use crate::pattern::Typed;
use crate::sqs::MessageAttribute;

/// A message attribute as a filter policy sees it.
#[must_use]
pub fn typed(attribute: &MessageAttribute) -> Typed<'_> {
    let text =
        if attribute.is_binary() { "" } else { std::str::from_utf8(&attribute.value).unwrap_or_default() };
    Typed { name: &attribute.name, data_type: &attribute.data_type, text }
}

/// A message attribute as a request has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfferedAttribute {
    /// Its name.
    pub name: String,
    /// `DataType`.
    pub data_type: String,
    /// `StringValue`.
    pub string: Option<String>,
    /// `BinaryValue`, decoded.
    pub binary: Option<Bytes>,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// What it says to all whose protocol has no text of its own.
    pub text: String,
    /// `MessageStructure=json`: what it says to queues.
    pub to_sqs: Option<String>,
    /// `MessageStructure=json`: what it says to functions.
    pub to_lambda: Option<String>,
    /// Its subject.
    pub subject: Option<String>,
    /// Its attributes.
    pub attributes: Vec<MessageAttribute>,
    /// `MessageGroupId`, for a queue's fairness.
    pub group: Option<Arc<str>>,
    /// `X-Amzn-Trace-Id`.
    pub trace_id: Option<String>,
}

impl Message {
    /// What it says to a protocol.
    #[must_use]
    pub fn text_to(&self, protocol: Protocol) -> &str {
        let own = match protocol {
            Protocol::Sqs => &self.to_sqs,
            Protocol::Lambda => &self.to_lambda,
        };
        own.as_deref().unwrap_or(&self.text)
    }

    /// What counts against the limit, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let attribute = |each: &MessageAttribute| each.name.len() + each.data_type.len() + each.value.len();
        self.text.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }
}

/// Checks a message's text, before it is taken apart.
pub fn check_message(text: &str, attributes: &[MessageAttribute]) -> Result<(), SnsError> {
    let attribute = |each: &MessageAttribute| each.name.len() + each.data_type.len() + each.value.len();
    if text.is_empty() {
        return Err(SnsError::parameter("Empty message"));
    }
    if text.len() + attributes.iter().map(attribute).sum::<usize>() > MESSAGE_BYTES {
        return Err(SnsError::parameter("Message too long"));
    }
    Ok(())
}

/// Checks a subject: text of one line.
pub fn check_subject(subject: &str) -> Result<(), SnsError> {
    let fine = (1..=SUBJECT_CHARACTERS).contains(&subject.chars().count())
        && !subject.chars().any(char::is_control)
        && !subject.starts_with(' ');
    if fine { Ok(()) } else { Err(SnsError::parameter("Subject")) }
}

/// Checks a message group id.
pub fn check_group(group: &str) -> Result<(), SnsError> {
    let fine = (1..=128).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_graphic());
    if fine { Ok(()) } else { Err(SnsError::parameter("MessageGroupId")) }
}

/// Takes a message of `MessageStructure=json` apart: the text for all, for queues, for functions.
pub fn structured(text: &str) -> Result<(String, Option<String>, Option<String>), SnsError> {
    let Ok(Value::Object(mut texts)) = serde_json::from_str::<Value>(text) else {
        return Err(SnsError::parameter("Message Structure - JSON message body failed to parse"));
    };
    fn take(texts: &mut Map<String, Value>, name: &str) -> Option<String> {
        match texts.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }
    let Some(text) = take(&mut texts, "default") else {
        return Err(SnsError::parameter("Message Structure - No default entry in JSON message body"));
    };
    Ok((text, take(&mut texts, "sqs"), take(&mut texts, "lambda")))
}

/// Checks an attribute.
pub fn message_attribute(offered: OfferedAttribute) -> Result<MessageAttribute, SnsError> {
    let OfferedAttribute { name, data_type, string, binary } = offered;
    let wrong = |text: String| Err(SnsError::InvalidParameterValue(text));
    check_attribute_name(&name)?;
    let kind = data_type.split('.').next().unwrap_or_default();
    if !matches!(kind, "String" | "Number" | "Binary") || data_type.ends_with('.') || data_type.len() > 256 {
        return wrong(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes is \
             Binary, Number, and String."
        ));
    }
    let value = match (kind, string, binary) {
        ("Binary", Some(_), None) => {
            return wrong(format!(
                "The message attribute '{name}' with type '{data_type}' must use field 'Binary'."
            ));
        }
        ("String" | "Number", None, Some(_)) => {
            return wrong(format!(
                "The message attribute '{name}' with type '{data_type}' must use field 'String'."
            ));
        }
        ("Binary", _, binary) => binary.unwrap_or_default(),
        (_, string, _) => Bytes::from(string.unwrap_or_default()),
    };
    if value.is_empty() {
        return wrong(format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute type \
             '{data_type}'."
        ));
    }
    let number = || std::str::from_utf8(&value).is_ok_and(|text| text.trim().parse::<f64>().is_ok());
    if data_type == "Number" && !number() {
        return wrong(format!("Could not cast message attribute '{name}' value to number."));
    }
    Ok(MessageAttribute { name, data_type, value })
}

fn check_attribute_name(name: &str) -> Result<(), SnsError> {
    let wrong = |text: String| Err(SnsError::InvalidParameterValue(text));
    if name.len() > 256 {
        return wrong("Length of message attribute name must be less than 256 bytes.".into());
    }
    let other = |character: &char| !(character.is_ascii_alphanumeric() || "-_.".contains(*character));
    if let Some(character) = name.chars().find(other) {
        return wrong(format!(
            "Invalid non-alphanumeric character '#x{:X}' was found in the message attribute name. Can only include \
             alphanumeric characters, hyphens, underscores, or dots.",
            u32::from(character)
        ));
    }
    if name.starts_with('.') {
        return wrong("Invalid message attribute name starting with character '.' was found.".into());
    }
    if name.ends_with('.') {
        return wrong("Invalid message attribute name ending with character '.' was found.".into());
    }
    if name.contains("..") {
        return wrong("Message attribute name can not have successive '.' character.".into());
    }
    if name.is_empty() {
        return wrong("Length of message attribute name must be greater than 0 bytes.".into());
    }
    Ok(())
}

/// Checks a batch's ids.
pub fn check_batch(ids: &[&str]) -> Result<(), SnsError> {
    let fine = |id: &&str| {
        (1..=80).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if ids.is_empty() {
        return Err(SnsError::EmptyBatchRequest);
    }
    if ids.len() > BATCH_ENTRIES {
        return Err(SnsError::TooManyEntriesInBatchRequest);
    }
    if !ids.iter().all(fine) {
        return Err(SnsError::InvalidBatchEntryId);
    }
    let distinct: HashSet<_> = ids.iter().collect();
    if distinct.len() < ids.len() { Err(SnsError::BatchEntryIdsNotDistinct) } else { Ok(()) }
}
