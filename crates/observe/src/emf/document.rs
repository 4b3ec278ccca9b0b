//! Which log events are documents of the format, and what is at their root.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Longest field that Lambda writes before what a function says.
const FIELD: usize = 64;

/// Looks at events. Its search is made once.
pub(super) struct Finder {
    aws: memmem::Finder<'static>,
    metrics: memmem::Finder<'static>,
}

/// An event of the format.
pub(super) enum Found<'a> {
    /// Whatever it says.
    Document(Document<'a>),
    /// It is no JSON object, though it names both members of the format.
    Broken,
}

/// The metadata, and all members of the root.
pub(super) struct Document<'a> {
    pub(super) timestamp: Option<Value>,
    pub(super) directives: Value,
    pub(super) root: Root<'a>,
}

impl Finder {
    pub(super) fn new() -> Self {
        Self { aws: memmem::Finder::new(b"\"_aws\""), metrics: memmem::Finder::new(b"\"CloudWatchMetrics\"") }
    }

    /// `None` for all other events: of most their last byte says it, of most others one search.
    pub(super) fn find<'a>(&self, message: &'a [u8]) -> Option<Found<'a>> {
        let json = object(message)?;
        self.aws.find(json)?;
        self.metrics.find(json)?;
        let Ok(mut root) = std::str::from_utf8(json)
            .map_err(drop)
            .and_then(|text| serde_json::from_str::<Root<'_>>(text).map_err(drop))
        else {
            return Some(Found::Broken);
        };
        // Both may also be inside of something, as in a record of Lambda's JSON log format.
        let metadata = root.0.remove("_aws")?;
        let mut metadata = match serde_json::from_str(metadata.get()) {
            Ok(Value::Object(metadata)) => metadata,
            Ok(_) => return None,
            // Too deep, or a number that is none.
            Err(_) => return Some(Found::Broken),
        };
        let directives = metadata.swap_remove("CloudWatchMetrics")?;
        Some(Found::Document(Document { timestamp: metadata.swap_remove("Timestamp"), directives, root }))
    }
}

/// What may be a JSON object: a whole event, or what comes after what Lambda writes before it.
fn object(message: &[u8]) -> Option<&[u8]> {
    let message = message.trim_ascii_end();
    if message.last() != Some(&b'}') {
        return None;
    }
    let message = message.trim_ascii_start();
    if message.starts_with(b"{") { Some(message) } else { after_metadata(message) }
}

/// In text, `console.log` writes time, request and, from nodejs10.x on, level before the message. AWS's specification: "a valid
/// embedded metric format document after this metadata is considered valid".
fn after_metadata(line: &[u8]) -> Option<&[u8]> {
    let (time, rest) = field(line)?;
    let is_time = time.len() == 24
        && time[10] == b'T'
        && time[23] == b'Z'
        && time.iter().all(|byte| byte.is_ascii_digit() || b"-T:.Z".contains(byte));
    let (request, rest) = field(rest).filter(|_| is_time)?;
    if !request.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-') {
        return None;
    }
    let json = match field(rest) {
        Some((level, json)) if level.iter().all(u8::is_ascii_uppercase) => json,
        _ => rest,
    }
    .trim_ascii_start();
    json.starts_with(b"{").then_some(json)
}

/// What is before the next tab and after it.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\t', &line[..line.len().min(FIELD)]).filter(|end| *end > 0)?;
    Some((&line[..end], &line[end + 1..]))
}

/// The members of a JSON object as they are written; of two of one name the last, as in JavaScript.
pub(super) struct Root<'a>(HashMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Root<'a> {
    pub(super) fn member(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name).copied()
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Root<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = HashMap<Cow<'de, str>, &'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = HashMap::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.insert(name, value);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Self)
    }
}
