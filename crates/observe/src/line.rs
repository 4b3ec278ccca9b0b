//! A log event as one line of JSON, `{"timestamp":<ms>,"message":"..."}`, written by hand: this
//! runs for every line that every function says.
//!
//! Deliberately not here: files.

use std::io::Write;

use bytes::Bytes;
use lambkin_model::log::LogEvent;
use lambkin_model::time::Timestamp;
use serde::Deserialize;

/// Appends the event's line, with its newline.
pub(crate) fn write(line: &mut Vec<u8>, millis: u64, message: &[u8]) {
    line.extend_from_slice(b"{\"timestamp\":");
    // Into memory, which does not fail.
    let _ = write!(line, "{millis}");
    line.extend_from_slice(b",\"message\":\"");
    escape(line, message);
    line.extend_from_slice(b"\"}\n");
}

/// Escapes what JSON wants escaped and nothing else. UTF-8 passes through.
fn escape(line: &mut Vec<u8>, message: &[u8]) {
    let mut rest = message;
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\') {
        line.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => line.extend_from_slice(b"\\\""),
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            control => {
                let _ = write!(line, "\\u{control:04x}");
            }
        }
        rest = &rest[at + 1..];
    }
    line.extend_from_slice(rest);
}

/// Reads a line back; `None` for one that is torn (lambkin or the machine died while it was written).
pub(crate) fn read(line: &[u8]) -> Option<LogEvent> {
    #[derive(Deserialize)]
    struct Line {
        timestamp: u64,
        message: String,
    }
    // A message is valid UTF-8 by the port's word; where it is not, the line still reads.
    let text = String::from_utf8_lossy(line);
    let line: Line = serde_json::from_str(&text).ok()?;
    Some(LogEvent { at: Timestamp(line.timestamp.saturating_mul(1000)), message: Bytes::from(line.message) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_json_that_a_person_can_read() {
        let mut line = Vec::new();
        write(&mut line, 1_767_323_045_678, "START \"a\\b\"\tgrüße\n\u{1}\r".as_bytes());
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"timestamp\":1767323045678,\"message\":\"START \\\"a\\\\b\\\"\\tgrüße\\n\\u0001\\r\"}\n"
        );
    }

    #[test]
    fn torn_lines_are_none() {
        assert_eq!(read(b"{\"timestamp\":12,\"mess"), None);
        assert_eq!(read(b""), None);
    }

    proptest! {
        #[test]
        fn any_message_comes_back(message in "(?s).{0,80}", millis in 0_u64..4_102_444_800_000) {
            let mut line = Vec::new();
            write(&mut line, millis, message.as_bytes());
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let event = read(line.trim_ascii_end()).unwrap();
            prop_assert_eq!(event.message, message.as_bytes());
            prop_assert_eq!(event.at.millis(), millis);
        }
    }
}
