//! What is wrong with a text that is not JSON, in the words of the parser AWS uses (Jackson;
//! aws-behaviour 18). Only run once a text is known to be no JSON.
//!
//! Positions: an unexpected character is reported at its own column, everything else one after
//! what was read. Columns count bytes, as Jackson's parser of UTF-8 does.

use std::fmt::Display;

/// Where AWS would show what it read.
pub(crate) const SOURCE: &str =
    "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); ";
const TOKENS: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
/// Jackson's own limits.
const MOST_DEPTH: usize = 1000;
const TOKEN_CHARS: usize = 256;

/// Says why `text` is not JSON; `None` where nothing is wrong with its grammar.
#[must_use]
pub fn complaint(text: &[u8]) -> Option<String> {
    let mut parser = Parser { text, at: 0, line: 1, row_start: 0, open: Vec::new() };
    parser.document().err()
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    row_start: usize,
    /// The open objects and arrays, with where they began.
    open: Vec<Open>,
}

struct Open {
    object: bool,
    start: String,
}

impl Open {
    fn name(&self) -> &'static str {
        if self.object { "Object" } else { "Array" }
    }
}

type Parsed = Result<(), String>;

impl Parser<'_> {
    fn document(&mut self) -> Parsed {
        if self.space().is_none() {
            return Err(self.here("No content to map due to end-of-input"));
        }
        self.value()?;
        while let Some(open) = self.open.last() {
            let (object, name, start) = (open.object, open.name(), open.start.clone());
            let Some(byte) = self.space() else {
                return Err(self.here(format!(
                    "Unexpected end-of-input: expected close marker for {name} (start marker at {start})"
                )));
            };
            match byte {
                b',' => {
                    self.at += 1;
                    if object { self.member()? } else { self.needed_value()? }
                }
                b'}' | b']' => self.close()?,
                other => {
                    return Err(
                        self.unexpected(other, &format!("was expecting comma to separate {name} entries"))
                    );
                }
            }
        }
        match self.space() {
            None => Ok(()),
            Some(byte) => {
                self.value().and(Err(self.unexpected(byte, "Expected space separating root-level values")))
            }
        }
    }

    /// A value that must be there.
    fn needed_value(&mut self) -> Parsed {
        if self.space().is_none() {
            let name = self.open.last().map_or("Object", Open::name);
            return Err(self.here(format!("Unexpected end-of-input within/between {name} entries")));
        }
        self.value()
    }

    fn value(&mut self) -> Parsed {
        let byte = self.text[self.at];
        match byte {
            b'{' | b'[' => {
                if self.open.len() == MOST_DEPTH {
                    let depth = MOST_DEPTH + 1;
                    return Err(self.here(format!(
                        "Document nesting depth ({depth}) exceeds the maximum allowed ({MOST_DEPTH}, from `StreamReadConstraints.getMaxNestingDepth()`)"
                    )));
                }
                let start = self.location(self.at);
                self.at += 1;
                self.open.push(Open { object: byte == b'{', start });
                match self.space() {
                    Some(b'}' | b']') => self.close(),
                    Some(_) if byte == b'{' => self.member(),
                    Some(_) => self.value(),
                    None => Ok(()),
                }
            }
            b'"' => {
                self.at += 1;
                self.string("was expecting closing quote for a string value")
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            // Jackson takes the raw byte for a character here.
            other if is_identifier_start(char::from(other)) => {
                self.at += 1;
                Err(self.token(char::from(other).to_string()))
            }
            other => Err(self.unexpected(other, &format!("expected a valid value {TOKENS}"))),
        }
    }

    fn member(&mut self) -> Parsed {
        match self.space() {
            Some(b'"') => {}
            Some(other) => {
                return Err(self.unexpected(other, "was expecting double-quote to start field name"));
            }
            None => return Err(self.here("Unexpected end-of-input within/between Object entries")),
        }
        self.at += 1;
        self.string("in field name")?;
        match self.space() {
            Some(b':') => {}
            Some(other) => {
                return Err(self.unexpected(other, "was expecting a colon to separate field name and value"));
            }
            None => return Err(self.here("Unexpected end-of-input within/between Object entries")),
        }
        self.at += 1;
        self.needed_value()
    }

    fn close(&mut self) -> Parsed {
        let byte = self.text[self.at];
        let open = self.open.pop().expect("called inside of one");
        let expected = if open.object { '}' } else { ']' };
        if char::from(byte) != expected {
            return Err(self.at_char(format!(
                "Unexpected close marker '{}': expected '{expected}' (for {} starting at {})",
                char::from(byte),
                open.name(),
                open.start
            )));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self, end_of_input: &str) -> Parsed {
        loop {
            let Some(&byte) = self.text.get(self.at) else {
                let separator = if end_of_input.starts_with("in ") { "" } else { ":" };
                return Err(self.here(format!("Unexpected end-of-input{separator} {end_of_input}")));
            };
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => self.escape()?,
                0..=31 => {
                    return Err(self.at_char(format!(
                        "Illegal unquoted character ({}): has to be escaped using backslash to be included in string value",
                        described(char::from(byte))
                    )));
                }
                _ => {
                    self.character()?;
                }
            }
        }
    }

    fn escape(&mut self) -> Parsed {
        self.at += 1;
        let Some(&byte) = self.text.get(self.at) else {
            return Err(self.here("Unexpected end-of-input in character escape sequence"));
        };
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    match self.text.get(self.at) {
                        Some(digit) if digit.is_ascii_hexdigit() => self.at += 1,
                        Some(&other) => {
                            return Err(
                                self.unexpected(other, "expected a hex-digit for character escape sequence")
                            );
                        }
                        None => return Err(self.here("Unexpected end-of-input in character escape sequence")),
                    }
                }
                Ok(())
            }
            other => {
                Err(self.here(format!("Unrecognized character escape {}", described(char::from(other)))))
            }
        }
    }

    fn number(&mut self) -> Parsed {
        if self.text[self.at] == b'-' {
            self.at += 1;
            self.digit("expected digit (0-9) to follow minus sign, for valid numeric value")?;
        }
        let leading_zero = self.text[self.at] == b'0';
        self.at += 1;
        if leading_zero && self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Err(self.at_char("Invalid numeric value: Leading zeroes not allowed"));
        }
        self.digits();
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digit("Decimal point not followed by a digit")?;
            self.digits();
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digit("Exponent indicator not followed by a digit")?;
            self.digits();
        }
        match self.text.get(self.at) {
            Some(&byte) if self.open.is_empty() && !byte.is_ascii_whitespace() => {
                Err(self.unexpected(byte, "Expected space separating root-level values"))
            }
            _ => Ok(()),
        }
    }

    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn digit(&mut self, expected: &str) -> Parsed {
        match self.text.get(self.at) {
            Some(byte) if byte.is_ascii_digit() => Ok(()),
            Some(&byte) => {
                let what = described(char::from(byte));
                Err(self.at_char(format!("Unexpected character ({what}) in numeric value: {expected}")))
            }
            None => Err(self.here(format!("Unexpected end-of-input in numeric value: {expected}"))),
        }
    }

    fn word(&mut self, word: &str) -> Parsed {
        let same = word.bytes().zip(&self.text[self.at..]).take_while(|(a, b)| a == *b).count();
        self.at += same;
        let goes_on = match std::str::from_utf8(&self.text[self.at..]) {
            Ok(rest) => rest.chars().next().is_some_and(is_identifier_part),
            Err(_) => self.text.get(self.at).is_some_and(|byte| byte.is_ascii_alphanumeric()),
        };
        if same == word.len() && !goes_on { Ok(()) } else { Err(self.token(word[..same].to_owned())) }
    }

    /// A word that is none of JSON's, read to its end.
    fn token(&mut self, mut token: String) -> String {
        while self.at < self.text.len() {
            match self.character() {
                Err(complaint) => return complaint,
                Ok(other) if !is_identifier_part(other) => break,
                Ok(other) => token.push(other),
            }
            if token.chars().count() >= TOKEN_CHARS {
                token.push_str("...");
                break;
            }
        }
        self.here(format!("Unrecognized token '{token}': was expecting {TOKENS}"))
    }

    /// The next character, decoded.
    fn character(&mut self) -> Result<char, String> {
        let first = self.text[self.at];
        self.at += 1;
        let (more, mut code) = match first {
            0..=0x7F => return Ok(char::from(first)),
            0xC0..=0xDF => (1, u32::from(first & 0x1F)),
            0xE0..=0xEF => (2, u32::from(first & 0x0F)),
            0xF0..=0xF7 => (3, u32::from(first & 0x07)),
            _ => return Err(self.here(format!("Invalid UTF-8 start byte 0x{first:x}"))),
        };
        for _ in 0..more {
            match self.text.get(self.at) {
                Some(byte) if byte & 0xC0 == 0x80 => code = code << 6 | u32::from(byte & 0x3F),
                Some(byte) => {
                    self.at += 1;
                    return Err(self.here(format!("Invalid UTF-8 middle byte 0x{byte:x}")));
                }
                None => return Err(self.here("Unexpected end-of-input")),
            }
            self.at += 1;
        }
        char::from_u32(code).ok_or_else(|| self.here(format!("Invalid UTF-8 start byte 0x{first:x}")))
    }

    /// Past white space: the byte that follows.
    fn space(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    self.row_start = self.at;
                }
                other => return Some(other),
            }
        }
        None
    }

    fn unexpected(&self, byte: u8, expected: &str) -> String {
        self.at_char(format!("Unexpected character ({}): {expected}", described(char::from(byte))))
    }

    fn location(&self, at: usize) -> String {
        format!("{SOURCE}line: {}, column: {}]", self.line, at.saturating_sub(self.row_start) + 1)
    }

    /// At the character that is about to be read.
    fn at_char(&self, what: impl Display) -> String {
        format!("{what}\n at {}", self.location(self.at))
    }

    /// After what was read.
    fn here(&self, what: impl Display) -> String {
        format!("{what}\n at {}", self.location(self.at))
    }
}

/// `'x' (code 120)`.
fn described(character: char) -> String {
    let code = u32::from(character);
    match character {
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => format!("(CTRL-CHAR, code {code})"),
        '\u{100}'.. => format!("'{character}' (code {code} / 0x{code:x})"),
        _ => format!("'{character}' (code {code})"),
    }
}

fn is_identifier_start(character: char) -> bool {
    character.is_alphabetic() || matches!(character, '$' | '_' | '\u{a2}'..='\u{a5}')
}

fn is_identifier_part(character: char) -> bool {
    is_identifier_start(character) || character.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_it_as_recorded() {
        for (text, what, column) in [
            // Recorded (aws-behaviour 18).
            (
                &b"\xba\x87"[..],
                "Invalid UTF-8 start byte 0x87".to_owned(),
                3,
            ),
            (b"\x99", format!("Unexpected character ((CTRL-CHAR, code 153)): expected a valid value {TOKENS}"), 1),
            // Imitated.
            (b"hello", format!("Unrecognized token 'hello': was expecting {TOKENS}"), 6),
            (b"hello world", format!("Unrecognized token 'hello': was expecting {TOKENS}"), 7),
            (b"tru", format!("Unrecognized token 'tru': was expecting {TOKENS}"), 4),
            (b"0D", "Unexpected character ('D' (code 68)): Expected space separating root-level values".into(), 2),
            (b"{\"a\":1,}", "Unexpected character ('}' (code 125)): was expecting double-quote to start field name".into(), 8),
            (b"{a:1}", "Unexpected character ('a' (code 97)): was expecting double-quote to start field name".into(), 2),
            (b"{\"a\" 1}", "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value".into(), 6),
            (b"[1 2]", "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries".into(), 4),
            (b"[1,]", format!("Unexpected character (']' (code 93)): expected a valid value {TOKENS}"), 4),
            (b"\"a", "Unexpected end-of-input: was expecting closing quote for a string value".into(), 3),
            (b"{\"a", "Unexpected end-of-input in field name".into(), 4),
            (b"--", "Unexpected character ('-' (code 45)) in numeric value: expected digit (0-9) to follow minus sign, for valid numeric value".into(), 2),
            (b"01", "Invalid numeric value: Leading zeroes not allowed".into(), 2),
            (b"\"\n\"", "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be included in string value".into(), 2),
            (b"\"\\x\"", "Unrecognized character escape 'x' (code 120)".into(), 4),
            (b"\"\xff\"", "Invalid UTF-8 start byte 0xff".into(), 3),
            (b"  ", "No content to map due to end-of-input".into(), 3),
        ] {
            let text_shown = String::from_utf8_lossy(text);
            assert_eq!(complaint(text).unwrap(), format!("{what}\n at {SOURCE}line: 1, column: {column}]"), "{text_shown}");
        }
    }

    #[test]
    fn ends_with_a_complaint_whatever_comes() {
        assert!(complaint(&b"[".repeat(5000)).unwrap().starts_with("Document nesting depth (1001)"));
        assert!(
            complaint(b"{\"a\":[1,2").unwrap().contains("expected close marker for Array (start marker at")
        );
        assert!(
            complaint(b"[1}")
                .unwrap()
                .contains("Unexpected close marker '}': expected ']' (for Array starting at")
        );
        assert!(complaint(b"{}\n x").unwrap().ends_with("line: 2, column: 3]"));
        // Texts of three of these bytes: what serde_json refuses is complained about, and nothing else.
        let bytes = b"{}[],:\"\\-0.e 1tn\xc3\x28\n";
        for a in bytes {
            for b in bytes {
                for c in bytes {
                    let text = [*a, *b, *c];
                    let refused = std::str::from_utf8(&text)
                        .map_or(true, |text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_err());
                    assert_eq!(complaint(&text).is_some(), refused, "{}", text.escape_ascii());
                }
            }
        }
    }
}
