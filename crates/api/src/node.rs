//! A JSON document that borrows its text from the body it was read from: a 50 MB package in
//! base64 is not copied before it is decoded, and members keep their order for messages.
//!
//! Deliberately not here: payloads of invocations, which are checked and never read.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The member of this name; `null` counts as absent, as it does for AWS.
    pub(crate) fn get(&self, name: &str) -> Option<&Node<'a>> {
        let Self::Map(members) = self else { return None };
        members
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
            .filter(|value| **value != Self::Null)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Self::Text(text) => Some(text),
            Self::Null
            | Self::Boolean(_)
            | Self::Integer(_)
            | Self::Double(_)
            | Self::List(_)
            | Self::Map(_) => None,
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Self::Integer(value) => Some(*value),
            // AWS drops the fraction.
            #[expect(clippy::cast_possible_truncation, reason = "saturates")]
            Self::Double(value) => Some(*value as i64),
            Self::Null | Self::Boolean(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    pub(crate) fn boolean(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Self::Boolean(true)))
    }

    /// A member that is a list, as texts.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        match self.get(name)? {
            Node::List(items) => Some(items.iter().map(Node::to_string).collect()),
            Node::Null
            | Node::Boolean(_)
            | Node::Integer(_)
            | Node::Double(_)
            | Node::Text(_)
            | Node::Map(_) => None,
        }
    }

    /// A map of strings.
    pub(crate) fn texts<C: FromIterator<(String, String)>>(&self, name: &str) -> Option<C> {
        let Self::Map(members) = self.get(name)? else { return None };
        let text = |(key, value): &(Cow<'a, str>, Node<'a>)| match value {
            Node::Text(text) => Some((key.clone().into_owned(), text.clone().into_owned())),
            Node::Null
            | Node::Boolean(_)
            | Node::Integer(_)
            | Node::Double(_)
            | Node::List(_)
            | Node::Map(_) => None,
        };
        Some(members.iter().filter_map(text).collect())
    }

    /// A map of numbers; empty where there is none.
    pub(crate) fn doubles<C: FromIterator<(String, f64)> + Default>(&self, name: &str) -> C {
        let Some(Self::Map(members)) = self.get(name) else { return C::default() };
        #[expect(clippy::cast_precision_loss, reason = "what is so large is out of every bound")]
        let double = |(key, value): &(Cow<'a, str>, Node<'a>)| match value {
            Node::Integer(value) => Some((key.clone().into_owned(), *value as f64)),
            Node::Double(value) => Some((key.clone().into_owned(), *value)),
            Node::Null | Node::Boolean(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => None,
        };
        members.iter().filter_map(double).collect()
    }

    /// Nothing is asked for: `null`, `false`, `""`, `[]`, `{}`, or a structure of such.
    pub(crate) fn is_neutral(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(value) => !value,
            Self::Integer(_) | Self::Double(_) => false,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(members) => members.iter().all(|(_, value)| value.is_neutral()),
        }
    }
}

/// A structure of these members, or a map of these entries.
pub(crate) fn map<K: Into<Cow<'static, str>>>(
    members: impl IntoIterator<Item = (K, Node<'static>)>,
) -> Node<'static> {
    Node::Map(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

pub(crate) fn text(text: impl Into<Cow<'static, str>>) -> Node<'static> {
    Node::Text(text.into())
}

/// As JSON.
impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Double(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(members) => serializer.collect_map(members.iter().map(|(key, value)| (key, value))),
        }
    }
}

/// As Java prints it, which is how AWS's messages repeat a value: `[a, b]`, `{2=2.0}`.
impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Map(members) => {
                f.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    write!(f, "{}{key}={value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Most values of one document: what its nodes may take beyond the body itself. A request that
/// is meant has some dozens.
const MOST_VALUES: u32 = 100_000;

impl<'a> Node<'a> {
    /// Reads a whole document.
    pub(crate) fn read(body: &'a [u8]) -> serde_json::Result<Self> {
        let count = Cell::new(0);
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let node = Seed(&count).deserialize(&mut deserializer)?;
        deserializer.end().map(|()| node)
    }
}

/// Counts the values of a document while it is read.
#[derive(Clone, Copy)]
struct Seed<'c>(&'c Cell<u32>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        self.0.set(self.0.get() + 1);
        if self.0.get() > MOST_VALUES {
            return Err(D::Error::custom("too many values"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node<'de>, E> {
        Ok(Node::Double(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = access.next_key()? {
            members.push((name, access.next_value_seed(self)?));
        }
        Ok(Node::Map(members))
    }
}

/// A member's name. `Cow` itself would always be read as owned.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_java_does() {
        for (json, printed) in [
            (r#"["a","b"]"#, "[a, b]"),
            (r#"{"2":2.0}"#, "{2=2.0}"),
            (r#"{"b":1,"a":[{"x":null}]}"#, "{b=1, a=[{x=null}]}"),
            ("true", "true"),
            ("9223372036854775807", "9223372036854775807"),
        ] {
            assert_eq!(Node::read(json.as_bytes()).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn borrows_text() {
        let body = br#"{"ZipFile":"UEsDBA=="}"#;
        let node = Node::read(body).unwrap();
        assert!(matches!(node.get("ZipFile"), Some(Node::Text(Cow::Borrowed(_)))));
    }

    #[test]
    fn is_bounded() {
        let body = format!("[{}0]", "0,".repeat(MOST_VALUES as usize));
        assert!(Node::read(body.as_bytes()).unwrap_err().to_string().contains("too many values"));
    }

    #[test]
    fn neutral_values_ask_for_nothing() {
        for (json, neutral) in [
            ("null", true),
            ("[]", true),
            (r#"{"TargetArn":""}"#, true),
            (r#"{"SubnetIds":[],"SecurityGroupIds":[]}"#, true),
            (r#"{"SubnetIds":["subnet-1"]}"#, false),
            ("false", true),
            ("true", false),
        ] {
            assert_eq!(Node::read(json.as_bytes()).unwrap().is_neutral(), neutral, "{json}");
        }
    }
}
