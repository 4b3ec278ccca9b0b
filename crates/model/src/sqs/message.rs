//! What a message may be: its characters, its size, its attributes, and the rules of batches.
//!
//! Deliberately not here: what depends on the state of a queue.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{BATCH_ENTRIES, MESSAGE_BYTES, SqsError};

/// A message attribute, as SQS and SNS have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageAttribute {
    /// Its name.
    pub name: String,
    /// `String`, `Number`, `Binary`, each perhaps with a `.label`.
    pub data_type: String,
    /// Text of strings and numbers, bytes of binary ones.
    pub value: Bytes,
}

impl MessageAttribute {
    /// Whether its value is bytes.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.data_type.starts_with("Binary")
    }
}

/// Most attributes of a message.
const ATTRIBUTES: usize = 10;
/// Longest name and longest type of an attribute, in bytes.
const NAME_BYTES: usize = 256;

/// Bytes that count: the body and all of its attributes; not system attributes.
#[must_use]
pub fn size(body: &str, attributes: &[MessageAttribute]) -> usize {
    let attribute = |each: &MessageAttribute| each.name.len() + each.data_type.len() + each.value.len();
    body.len() + attributes.iter().map(attribute).sum::<usize>()
}

/// Checks a body: it is there, it fits with its attributes into `limit` bytes, and all of its characters
/// are XML's.
pub fn check_body(body: &str, attributes: &[MessageAttribute], limit: u32) -> Result<(), SqsError> {
    if size(body, attributes) > limit as usize {
        return Err(SqsError::InvalidParameterValue(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
        )));
    }
    match body.chars().find(|character| !is_allowed(*character)) {
        None => Ok(()),
        Some(character) => Err(SqsError::InvalidMessageContents(format!(
            "Invalid binary character '#x{:X}' was found in the message body, the set of allowed characters is #x9 | #xA | #xD \
             | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF].",
            u32::from(character)
        ))),
    }
}

/// <https://www.w3.org/TR/REC-xml/#charsets>; surrogates are no characters.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Checks a message's own attributes.
pub fn check_message_attributes(attributes: &[MessageAttribute]) -> Result<(), SqsError> {
    if attributes.len() > ATTRIBUTES {
        return wrong(format!(
            "Number of message attributes [{}] exceeds the allowed maximum [{ATTRIBUTES}].",
            attributes.len()
        ));
    }
    attributes.iter().try_for_each(|attribute| {
        check_attribute_name(&attribute.name)?;
        check_attribute(attribute, "(user)")
    })
}

/// Checks system attributes: there is only `AWSTraceHeader`.
pub fn check_system_attributes(attributes: &[MessageAttribute]) -> Result<(), SqsError> {
    attributes.iter().try_for_each(|attribute| {
        if attribute.name != "AWSTraceHeader" {
            return wrong(format!("Message system attribute name '{}' is invalid.", attribute.name));
        }
        check_attribute(attribute, "system")?;
        if attribute.data_type != "String" {
            return wrong("The type of message system attribute 'AWSTraceHeader' is invalid. You must use only the following supported type prefixes: String.".into());
        }
        Ok(())
    })
}

fn check_attribute_name(name: &str) -> Result<(), SqsError> {
    if name.is_empty() {
        return wrong("The request must contain non-empty message (user) attribute names.".into());
    }
    if name.len() > NAME_BYTES {
        return wrong(format!("Message (user) attribute name must be shorter than {NAME_BYTES} bytes."));
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("aws.") || lower.starts_with("amazon.") {
        return wrong(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon'. These strings are reserved for internal \
             use."
                .into(),
        );
    }
    for (broken, how) in [
        (name.starts_with('.'), "begin with character '.'"),
        (name.ends_with('.'), "end with character '.'"),
        (name.contains(".."), "have successive '.' characters"),
    ] {
        if broken {
            return wrong(format!("Message (user) attribute name must not {how}."));
        }
    }
    let allowed = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.');
    if let Some(character) = name.chars().find(|character| !allowed(*character)) {
        return wrong(format!(
            "Invalid non-alphanumeric character '#x{:X}' was found in the message (user) attribute name. Can only include \
             alphanumeric characters, hyphens, underscores, or dots.",
            u32::from(character)
        ));
    }
    Ok(())
}

fn check_attribute(attribute: &MessageAttribute, kind: &str) -> Result<(), SqsError> {
    let MessageAttribute { name, data_type, value } = attribute;
    if data_type.is_empty() {
        return wrong(format!(
            "The message {kind} attribute '{name}' must contain a non-empty message attribute type."
        ));
    }
    if data_type.len() > NAME_BYTES {
        return wrong(format!("Message {kind} attribute type must be shorter than {NAME_BYTES} bytes."));
    }
    let base = data_type.split('.').next().unwrap_or_default();
    if !matches!(base, "String" | "Number" | "Binary") {
        return wrong(format!(
            "The type of message {kind} attribute '{name}' is invalid. You must use only the following supported type prefixes: \
             Binary, Number, String."
        ));
    }
    if value.is_empty() {
        return wrong(format!(
            "Message {kind} attribute '{name}' must contain a non-empty value of type '{data_type}'."
        ));
    }
    if base == "Binary" {
        return Ok(());
    }
    let text = std::str::from_utf8(value).unwrap_or_default();
    if base == "Number" && !is_number(text) {
        return wrong(format!("Can't cast the value of message {kind} attribute '{name}' to a number."));
    }
    match text.chars().find(|character| !is_allowed(*character)) {
        None => Ok(()),
        Some(character) => wrong(format!(
            "Invalid binary character '#x{:X}' was found in the message {kind} attribute '{name}' value, the set of allowed \
             characters is #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF]",
            u32::from(character)
        )),
    }
}

/// A decimal number of any length, as Java's `BigDecimal` reads it.
fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let unsigned = |text: &str| text.strip_prefix(['-', '+']).unwrap_or(text).to_owned();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = unsigned(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((&mantissa, ""));
    let exponent = exponent.map(unsigned);
    digits(whole)
        && digits(fraction)
        && whole.len() + fraction.len() > 0
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(&exponent))
}

/// Whether a text may be a message group's or a deduplication id: 1 to 128 letters, digits and punctuation.
#[must_use]
pub fn is_group(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The deduplication id of a message that has none of its own: its body's SHA-256, not its attributes'.
#[must_use]
pub fn content_deduplication(body: &str) -> String {
    use std::fmt::Write;
    let digest = Sha256::digest(body.as_bytes());
    digest.as_slice().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a receive that asks for these names gets this attribute: `All`, `.*`, a name, or `prefix.*`.
#[must_use]
pub fn selects(asked: &[String], name: &str) -> bool {
    asked.iter().any(|asked| match asked.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => asked == "All" || asked == name,
    })
}

/// Checks how many entries a batch has; `entry` is what they are called.
pub fn check_batch(entries: usize, entry: &'static str) -> Result<(), SqsError> {
    match entries {
        0 => Err(SqsError::EmptyBatchRequest(entry)),
        1..=BATCH_ENTRIES => Ok(()),
        more => Err(SqsError::TooManyEntriesInBatchRequest(more)),
    }
}

/// Checks the ids of a batch's entries.
pub fn check_batch_ids(ids: &[&str]) -> Result<(), SqsError> {
    let fine = |id: &str| {
        (1..=80).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if !ids.iter().all(|id| fine(id)) {
        return Err(SqsError::InvalidBatchEntryId);
    }
    match ids.iter().enumerate().find(|(index, id)| ids[..*index].contains(id)) {
        None => Ok(()),
        Some((_, id)) => Err(SqsError::BatchEntryIdsNotDistinct((*id).to_owned())),
    }
}

/// Checks the size of a batch, whatever the queue's own limit is.
pub fn check_batch_size(bytes: usize) -> Result<(), SqsError> {
    if bytes > MESSAGE_BYTES { Err(SqsError::BatchRequestTooLong(bytes)) } else { Ok(()) }
}

fn wrong(text: String) -> Result<(), SqsError> {
    Err(SqsError::InvalidParameterValue(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, data_type: &str, value: &str) -> MessageAttribute {
        MessageAttribute { name: name.into(), data_type: data_type.into(), value: value.to_owned().into() }
    }

    #[test]
    fn bodies() {
        assert_eq!(check_body("a\tb\r\nc\u{fffd}\u{10000}", &[], 1024), Ok(()));
        for (body, character) in
            [("\0", "#x0"), ("a\u{b}", "#xB"), ("\u{ffff}", "#xFFFF"), ("\u{1f}", "#x1F")]
        {
            let said = check_body(body, &[], 1024).unwrap_err();
            assert!(matches!(said, SqsError::InvalidMessageContents(_)));
            let start = format!("Invalid binary character '{character}' was found in the message body");
            assert!(said.to_string().starts_with(&start), "{said}");
        }
        let more = attribute("n", "String", "v");
        assert_eq!(check_body(&"b".repeat(1016), std::slice::from_ref(&more), 1024), Ok(()));
        assert_eq!(
            check_body(&"b".repeat(1017), &[more], 1024).unwrap_err().to_string(),
            "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."
        );
    }

    #[test]
    fn attributes() {
        for good in [
            attribute("a", "String", "x"),
            attribute("a.b-c_D9", "Number.int", "-12.50e+3"),
            attribute("a", "Number", "12345678901234567890123456789012345678"),
            attribute("a", "Number", ".5"),
            attribute("a", "Binary.png", "\0"),
            attribute("awsome", "String", "x"),
        ] {
            assert_eq!(check_message_attributes(std::slice::from_ref(&good)), Ok(()), "{good:?}");
        }
        for (name, data_type, value, words) in [
            ("", "String", "x", "The request must contain non-empty message (user) attribute names."),
            ("aws.x", "String", "x", "These strings are reserved for internal use."),
            ("Amazon.x", "String", "x", "These strings are reserved for internal use."),
            (".a", "String", "x", "Message (user) attribute name must not begin with character '.'."),
            ("a.", "String", "x", "Message (user) attribute name must not end with character '.'."),
            ("a..b", "String", "x", "Message (user) attribute name must not have successive '.' characters."),
            ("a b", "String", "x", "Invalid non-alphanumeric character '#x20' was found"),
            (
                "a",
                "",
                "x",
                "The message (user) attribute 'a' must contain a non-empty message attribute type.",
            ),
            (
                "a",
                "Text",
                "x",
                "The type of message (user) attribute 'a' is invalid. You must use only the following",
            ),
            // Recorded: test_send_message_with_empty_string_attribute.
            (
                "ErrorDetails",
                "String",
                "",
                "Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'.",
            ),
            ("a", "Number", "1x", "Can't cast the value of message (user) attribute 'a' to a number."),
            ("a", "Number", "1e", "Can't cast"),
            ("a", "Number", ".", "Can't cast"),
            ("a", "String", "\u{1}", "Invalid binary character '#x1'"),
        ] {
            let said = check_message_attributes(&[attribute(name, data_type, value)]).unwrap_err();
            assert!(said.to_string().contains(words), "{said}");
        }
        let eleven: Vec<_> = (0..11).map(|n| attribute(&format!("a{n}"), "String", "x")).collect();
        assert_eq!(
            check_message_attributes(&eleven).unwrap_err().to_string(),
            "Number of message attributes [11] exceeds the allowed maximum [10]."
        );
    }

    #[test]
    fn system_attributes() {
        let trace = attribute("AWSTraceHeader", "String", "Root=1-5759e988-bd862e3fe1be46a994272793");
        assert_eq!(check_system_attributes(&[trace]), Ok(()));
        assert!(check_system_attributes(&[attribute("AWSTraceHeader", "Number", "1")]).is_err());
        assert_eq!(
            check_system_attributes(&[attribute("Other", "String", "1")]).unwrap_err().to_string(),
            "Message system attribute name 'Other' is invalid."
        );
    }

    #[test]
    fn groups() {
        let long = "g".repeat(128);
        for (text, fine) in [
            ("g", true),
            ("a-b.c!\"#$%&'()*+,/:;<=>?@[\\]^_`{|}~", true),
            (&*long, true),
            (&*format!("{long}g"), false),
            ("", false),
            (" ", false),
            ("é", false),
        ] {
            assert_eq!(is_group(text), fine, "{text}");
        }
        assert_eq!(
            content_deduplication("a"),
            "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
        );
    }

    /// Recorded: test_receive_message_message_attribute_names_filters.
    #[test]
    fn selections() {
        let names = ["General", "Hello", "Help.Me"];
        for (asked, got) in [
            (vec![], vec![]),
            (vec!["All"], names.to_vec()),
            (vec![".*"], names.to_vec()),
            (vec!["Foo"], vec![]),
            (vec!["Hello", "General"], vec!["General", "Hello"]),
            (vec!["Hello", "Foo"], vec!["Hello"]),
            (vec!["Hel.*"], vec!["Hello", "Help.Me"]),
            (vec!["Help.*"], vec!["Help.Me"]),
            (vec!["AWS."], vec![]),
            (vec!["..foo"], vec![]),
        ] {
            let asked: Vec<String> = asked.into_iter().map(str::to_owned).collect();
            let selected: Vec<_> = names.into_iter().filter(|name| selects(&asked, name)).collect();
            assert_eq!(selected, got, "{asked:?}");
        }
    }

    #[test]
    fn batches() {
        assert_eq!(check_batch(10, "Entry"), Ok(()));
        assert_eq!(
            check_batch(0, "SendMessageBatchRequestEntry").unwrap_err().to_string(),
            "There should be at least one SendMessageBatchRequestEntry in the request."
        );
        assert_eq!(
            check_batch(20, "Entry").unwrap_err().to_string(),
            "Maximum number of entries per request are 10. You have sent 20."
        );
        assert_eq!(check_batch_ids(&["a-1", "b_2"]), Ok(()));
        for id in ["", "invalid:id", "é", &"i".repeat(81)] {
            assert_eq!(check_batch_ids(&["a", id]), Err(SqsError::InvalidBatchEntryId), "{id}");
        }
        let repeated = SqsError::BatchEntryIdsNotDistinct("id_2".into());
        assert_eq!(check_batch_ids(&["id_1", "id_2", "id_2", "id_1"]), Err(repeated));
        assert_eq!(check_batch_size(MESSAGE_BYTES), Ok(()));
        assert!(check_batch_size(MESSAGE_BYTES + 1).is_err());
    }
}
