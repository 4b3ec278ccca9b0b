//! CBOR, as Smithy's RPC v2 protocol has it: times are tagged seconds, and what has no length ends with a break.
//!
//! Deliberately not here: which members there are and what they may be (`coerce`, `constraint`).

use std::borrow::Cow;

use ciborium_ll::{Decoder, Encoder, Header, simple};

use super::Fault;
use crate::node::Node;
use crate::service_model::{Kind, ServiceModel, ShapeId};

/// Most values of one document, as of one of JSON.
const MOST_VALUES: usize = 100_000;
/// Most structures, lists and maps within each other.
const DEPTH: usize = 64;
/// The tag of seconds since 1970.
const EPOCH: u64 = 1;

/// Reads a whole document, or says what is wrong with it.
pub(super) fn read<'a>(body: &'a [u8]) -> Result<Node<'a>, String> {
    let mut reader = Reader { decoder: Decoder::from(body), body, values: 0 };
    let node = reader.value(0)?.ok_or("an end without a beginning")?;
    if reader.decoder.offset() == body.len() {
        Ok(node)
    } else {
        Err("something follows the document".into())
    }
}

struct Reader<'a> {
    decoder: Decoder<&'a [u8]>,
    body: &'a [u8],
    values: usize,
}

impl<'a> Reader<'a> {
    /// The next value; `None`: a break.
    fn value(&mut self, depth: usize) -> Result<Option<Node<'a>>, String> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err("too many values".into());
        }
        if depth > DEPTH {
            return Err("too deep".into());
        }
        let header = self.decoder.pull().map_err(|_| "it is no CBOR")?;
        Ok(Some(match header {
            Header::Positive(number) => {
                Node::Integer(i64::try_from(number).map_err(|_| "a number is too large")?)
            }
            Header::Negative(number) => {
                Node::Integer(!i64::try_from(number).map_err(|_| "a number is too small")?)
            }
            Header::Float(number) => Node::Double(number),
            Header::Simple(simple::FALSE) => Node::Boolean(false),
            Header::Simple(simple::TRUE) => Node::Boolean(true),
            Header::Simple(simple::NULL | simple::UNDEFINED) => Node::Null,
            Header::Simple(_) => return Err("a simple value of no meaning".into()),
            Header::Tag(_) => return self.value(depth + 1),
            Header::Break => return Ok(None),
            Header::Text(length) => Node::Text(self.text(length)?),
            Header::Bytes(_) => return Err("bytes where none are expected".into()),
            Header::Array(length) => {
                let mut items = Vec::new();
                while length.is_none_or(|length| items.len() < length) {
                    match self.value(depth + 1)? {
                        Some(item) => items.push(item),
                        None if length.is_none() => break,
                        None => return Err("a list ends early".into()),
                    }
                }
                Node::List(items)
            }
            Header::Map(length) => {
                let mut members = Vec::new();
                while length.is_none_or(|length| members.len() < length) {
                    let name = match self.value(depth + 1)? {
                        Some(Node::Text(name)) => name,
                        None if length.is_none() => break,
                        Some(_) | None => return Err("a name is no text".into()),
                    };
                    let value = self.value(depth + 1)?.ok_or("a name without a value")?;
                    members.push((name, value));
                }
                Node::Map(members)
            }
        }))
    }

    fn text(&mut self, length: Option<usize>) -> Result<Cow<'a, str>, String> {
        if let Some(length) = length {
            // As it stands in the body; nothing is copied.
            let from = self.decoder.offset();
            let bytes = from
                .checked_add(length)
                .and_then(|end| self.body.get(from..end))
                .ok_or("a text is cut off")?;
            let text = std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
            self.skip(Some(length))?;
            return Ok(Cow::Borrowed(text));
        }
        Ok(Cow::Owned(self.skip(None)?))
    }

    /// Goes on behind a text; one without a length is in parts, and is put together.
    fn skip(&mut self, length: Option<usize>) -> Result<String, String> {
        let mut text = String::new();
        let mut segments = self.decoder.text(length);
        let mut buffer = [0; 1024];
        while let Some(mut segment) = segments.pull().map_err(|_| "a text is broken")? {
            while let Some(part) = segment.pull(&mut buffer).map_err(|_| "a text is broken")? {
                if length.is_none() {
                    text.push_str(part);
                }
            }
        }
        Ok(text)
    }
}

/// A document of this shape.
pub(super) fn write(model: &ServiceModel, shape: ShapeId, value: &Node<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Writer(Encoder::from(&mut bytes)).value(model, Some(shape), value);
    bytes
}

/// The document of an error.
pub(super) fn refusal(fault: &Fault) -> Vec<u8> {
    let text = |text: &str| Node::Text(Cow::Owned(text.to_owned()));
    let members = vec![("__type".into(), text(fault.shape)), ("message".into(), text(&fault.message))];
    let mut bytes = Vec::new();
    Writer(Encoder::from(&mut bytes)).value_alone(&Node::Map(members));
    bytes
}

struct Writer<'w>(Encoder<&'w mut Vec<u8>>);

impl Writer<'_> {
    fn push(&mut self, header: Header) {
        self.0.push(header).expect("a vector takes all");
    }

    fn text(&mut self, text: &str) {
        self.0.text(text, None).expect("a vector takes all");
    }

    fn value_alone(&mut self, value: &Node<'_>) {
        match value {
            Node::Null => self.push(Header::Simple(simple::NULL)),
            Node::Boolean(true) => self.push(Header::Simple(simple::TRUE)),
            Node::Boolean(false) => self.push(Header::Simple(simple::FALSE)),
            Node::Integer(number) => self.push(match u64::try_from(*number) {
                Ok(number) => Header::Positive(number),
                Err(_) => Header::Negative(number.unsigned_abs() - 1),
            }),
            Node::Double(number) => self.push(Header::Float(*number)),
            Node::Text(text) => self.text(text),
            Node::List(items) => {
                self.push(Header::Array(Some(items.len())));
                items.iter().for_each(|item| self.value_alone(item));
            }
            Node::Map(members) => {
                self.push(Header::Map(Some(members.len())));
                for (name, value) in members {
                    self.text(name);
                    self.value_alone(value);
                }
            }
        }
    }

    fn value(&mut self, model: &ServiceModel, shape: Option<ShapeId>, value: &Node<'_>) {
        let kind = shape.map(|shape| &model.shape(shape).kind);
        match (kind, value) {
            (Some(Kind::Timestamp), Node::Integer(_) | Node::Double(_)) => {
                self.push(Header::Tag(EPOCH));
                self.value_alone(value);
            }
            #[expect(clippy::cast_precision_loss, reason = "it is to be a double")]
            (Some(Kind::Double), Node::Integer(number)) => self.push(Header::Float(*number as f64)),
            (Some(Kind::List(member)), Node::List(items)) => {
                self.push(Header::Array(Some(items.len())));
                items.iter().for_each(|item| self.value(model, Some(*member), item));
            }
            (Some(Kind::Map { value: member, .. }), Node::Map(entries)) => {
                self.push(Header::Map(Some(entries.len())));
                for (name, value) in entries {
                    self.text(name);
                    self.value(model, Some(*member), value);
                }
            }
            (Some(Kind::Structure(members)), Node::Map(given)) => {
                self.push(Header::Map(Some(given.len())));
                for (name, value) in given {
                    self.text(name);
                    let member = members.iter().find(|member| *member.name == **name);
                    self.value(model, member.map(|member| member.shape), value);
                }
            }
            (_, value) => self.value_alone(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_model::CLOUDWATCH;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// Examples of RFC 8949, appendix A.
    #[test]
    fn reads_what_there_is() {
        for (hex, json) in [
            ("00", "0"),
            ("1903e8", "1000"),
            ("20", "-1"),
            ("3903e7", "-1000"),
            ("f93c00", "1.0"),
            ("fb3ff199999999999a", "1.1"),
            ("f4", "false"),
            ("f6", "null"),
            ("c11a514b67b0", "1363896240"),
            ("c1fb41d452d9ec200000", "1363896240.5"),
            ("6161", r#""a""#),
            ("7f657374726561646d696e67ff", r#""streaming""#),
            ("80", "[]"),
            ("83010203", "[1,2,3]"),
            ("9f018202039f0405ffff", "[1,[2,3],[4,5]]"),
            ("a26161016162820203", r#"{"a":1,"b":[2,3]}"#),
            ("bf61610161629f0203ffff", r#"{"a":1,"b":[2,3]}"#),
        ] {
            assert_eq!(serde_json::to_string(&read(&bytes(hex)).unwrap()).unwrap(), json, "{hex}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for hex in [
            "",
            "ff",
            "6261",
            "61ff",
            "8201",
            "820102ff00",
            "a101",
            "a1616101 00",
            "1bffffffffffffffff",
            "4101",
            "9bffffffffffffffff",
            "7bffffffffffffffff61",
        ] {
            assert!(read(&bytes(hex)).is_err(), "{hex}");
        }
        assert!(read(&vec![0x81; 100_000]).is_err());
        assert!(read(&vec![0xc1; 100_000]).is_err());
        let mut many = vec![0x9f];
        many.extend(vec![0; MOST_VALUES]);
        many.push(0xff);
        assert_eq!(read(&many), Err("too many values".into()));
    }

    #[test]
    fn writes_by_shape() {
        let output = CLOUDWATCH.operation("GetMetricStatistics").unwrap().output.unwrap();
        let node = Node::read(br#"{"Label":"m","Datapoints":[{"Timestamp":60,"Sum":2}]}"#).unwrap();
        let expected = "a2 65 4c6162656c 616d 6a 44617461706f696e7473 81 a2 69 54696d657374616d70 c1 183c 63 53756d f94000";
        assert_eq!(write(&CLOUDWATCH, output, &node), bytes(expected));
    }
}
