//! The MD5s by which clients check what SQS got and gave (developer guide, "Calculating the MD5 message
//! digest for message attributes").

use md5::{Digest, Md5};

use super::message::MessageAttribute;

/// Of a body: 32 hexadecimal digits.
#[must_use]
pub fn md5_of_body(body: &str) -> String {
    hex(Md5::digest(body.as_bytes()).as_slice())
}

/// Of message attributes, in order of their names; `None` where there are none.
#[must_use]
pub fn md5_of_attributes(attributes: &[MessageAttribute]) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut sorted: Vec<&MessageAttribute> = attributes.iter().collect();
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    let mut digest = Md5::new();
    let mut field = |bytes: &[u8], before: Option<u8>| {
        if let Some(kind) = before {
            digest.update([kind]);
        }
        digest.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(bytes);
    };
    for attribute in sorted {
        field(attribute.name.as_bytes(), None);
        field(attribute.data_type.as_bytes(), None);
        field(&attribute.value, Some(if attribute.is_binary() { 2 } else { 1 }));
    }
    Some(hex(digest.finalize().as_slice()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, data_type: &str, value: &[u8]) -> MessageAttribute {
        MessageAttribute { name: name.into(), data_type: data_type.into(), value: value.to_vec().into() }
    }

    #[test]
    fn bodies() {
        for (body, digest) in [
            ("msg", "6e2baaf3b97dbeef01c0043275f9a0e7"),
            ("a", "0cc175b9c0f1b6a831c399e269772661"),
            ("test", "098f6bcd4621d373cade4e832627b4f6"),
        ] {
            assert_eq!(md5_of_body(body), digest);
        }
    }

    /// Digests recorded from the service.
    #[test]
    fn attributes() {
        assert_eq!(md5_of_attributes(&[]), None);
        let hello = || attribute("Hello", "String", b"There");
        let general = || attribute("General", "String", b"Kenobi");
        let help = || attribute("Help.Me", "String", b"Me");
        for (attributes, digest) in [
            (vec![hello(), general(), help()], "4c360f3fdafd970e05fae2f149d997f5"),
            (vec![hello(), general()], "fca026605781cb4126a1e9044df24232"),
            (vec![hello()], "a311262e065454b75da111d535b8dacd"),
            (vec![help(), hello()], "83fee93c1bcd8b9a5a923ffacdc636c7"),
            (vec![attribute("Foo", "String", b"Bar")], "ae7155c6026991b6d54b11589678bf9c"),
            (
                vec![attribute(
                    "attr1",
                    "Binary",
                    b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01",
                )],
                "8cbe4db156db8a94db8b801b7addb984",
            ),
        ] {
            assert_eq!(md5_of_attributes(&attributes).as_deref(), Some(digest));
        }
    }
}
