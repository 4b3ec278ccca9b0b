//! Test events: what a person saved to try a function with, as AWS's console does. One record for each function.
//!
//! Deliberately not here: sample events, from which they are made (`sample_event`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::record::{Record, ResourceKey};

/// Most events of one function; AWS's console keeps as many for each user.
pub const EVENTS: usize = 10;
/// Most bytes of an event.
pub const EVENT_BYTES: usize = 256 * 1024;
/// Longest name.
const NAME_BYTES: usize = 64;

/// A function's test events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestEvents {
    /// The function's account, region and name.
    pub key: ResourceKey,
    /// The function's identity: one that is created again under this name has none of these.
    pub identity: String,
    /// JSON texts by name, as they were typed.
    pub events: BTreeMap<String, String>,
}

impl Record for TestEvents {
    const KIND: &'static str = "test-events";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl TestEvents {
    /// Adds or replaces an event.
    pub fn save(&mut self, name: &str, text: String) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::InvalidParameterValue(message));
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(plain) {
            return wrong(format!("The name of a test event has 1 to {NAME_BYTES} of [a-zA-Z0-9-_.]."));
        }
        if text.len() > EVENT_BYTES {
            return wrong(format!("A test event has at most {EVENT_BYTES} bytes."));
        }
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            return wrong(format!("A test event is JSON: {error}"));
        }
        if self.events.len() >= EVENTS && !self.events.contains_key(name) {
            return wrong(format!("A function has at most {EVENTS} test events."));
        }
        self.events.insert(name.to_owned(), text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_saved() {
        let key = ResourceKey { account: "0".into(), region: "r".into(), name: "f".into() };
        let mut saved = TestEvents { key, identity: "i".into(), events: BTreeMap::new() };
        let long = "a".repeat(NAME_BYTES + 1);
        let large = format!("\"{}\"", "a".repeat(EVENT_BYTES));
        for (name, text, taken) in [
            ("a", "{}", true),
            ("A-z_0.9", " [1, 2] ", true),
            ("", "{}", false),
            ("a/b", "{}", false),
            ("ä", "{}", false),
            (&long, "{}", false),
            ("b", "{", false),
            ("b", "", false),
            ("b", &large, false),
        ] {
            assert_eq!(saved.save(name, text.to_owned()).is_ok(), taken, "{name} {text:.20}");
        }
        for index in saved.events.len()..EVENTS {
            saved.save(&index.to_string(), "1".into()).unwrap();
        }
        assert!(saved.save("more", "1".into()).is_err(), "there are {EVENTS}");
        saved.save("a", "2".into()).unwrap();
        assert_eq!(saved.events["a"], "2");
    }

    #[test]
    fn format_1_is_read() {
        let kept = r#"{"key":{"account":"000000000000","region":"us-east-1","name":"hello"},
            "identity":"7c2b","events":{"greeting":"{\"name\": \"you\"}"}}"#;
        let read: TestEvents = serde_json::from_str(kept).unwrap();
        assert_eq!(read.events["greeting"], r#"{"name": "you"}"#);
        assert_eq!(TestEvents::FORMAT, 1);
    }
}
