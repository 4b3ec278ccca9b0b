//! The name of a group or stream as one safe component of a path. Names come from configurations
//! and are hostile: they may go up, hold any byte, and be longer than a file name can be.
//!
//! Deliberately not here: names that differ in case only. On a disk that ignores case they share a
//! directory, and streams stay apart by their hex digits.

use sha2::{Digest, Sha256};

/// Longest encoded name: 255, less the longest suffix that a file gets.
const LONGEST: usize = 240;
/// Of a longer name this much is kept for the reader's eye; `~` and 32 hex digits of its hash follow.
const KEPT: usize = 200;

/// Encodes a name: letters, digits and `._-[]$` stay, other bytes are `%XX`.
pub(crate) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len() + 16);
    for (index, byte) in name.bytes().enumerate() {
        // A leading dot would be hidden, or be `.` or `..`.
        let plain = byte.is_ascii_alphanumeric() || b"_-[]$".contains(&byte) || (byte == b'.' && index > 0);
        if plain {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    if encoded.len() > LONGEST {
        encoded.truncate(KEPT);
        encoded.push('~');
        for byte in &Sha256::digest(name)[..16] {
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    } else if encoded.is_empty() {
        // The only name that would be no component; a lone `%` is no other name's code.
        encoded.push('%');
    }
    encoded
}

/// Whether the name was too long for a file name, so that it cannot be read back from it.
pub(crate) fn is_shortened(encoded: &str) -> bool {
    encoded.contains('~')
}

/// The name that was encoded; `None` where it was shortened, or is none of ours.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    if is_shortened(encoded) {
        return None;
    }
    if encoded == "%" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_readable_and_safe() {
        for (name, expected) in [
            ("/aws/lambda/hello", "%2Faws%2Flambda%2Fhello"),
            ("2026/01/02/[$LATEST]0a1b", "2026%2F01%2F02%2F[$LATEST]0a1b"),
            ("..", "%2E."),
            (".", "%2E"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("a.b", "a.b"),
            ("~", "%7E"),
            ("", "%"),
            ("%", "%25"),
            ("a\0b", "a%00b"),
        ] {
            assert_eq!(encode(name), expected);
            assert_eq!(decode(expected).as_deref(), Some(name));
        }
    }

    proptest! {
        #[test]
        fn any_name_is_one_component_and_comes_back(name in "(?s).{0,300}") {
            let encoded = encode(&name);
            prop_assert!(!encoded.is_empty() && encoded.len() <= LONGEST);
            prop_assert!(!encoded.contains('/') && !encoded.contains('\0') && !encoded.starts_with('.'));
            if is_shortened(&encoded) {
                prop_assert_eq!(decode(&encoded), None);
            } else {
                prop_assert_eq!(decode(&encoded), Some(name));
            }
        }

        #[test]
        fn long_names_stay_apart(start in "[a-z/]{260,300}", one in "[a-z]{4}", other in "[a-z]{4}") {
            prop_assume!(one != other);
            prop_assert_ne!(encode(&format!("{start}{one}")), encode(&format!("{start}{other}")));
        }
    }
}
