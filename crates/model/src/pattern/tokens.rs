//! JSON's tokens, one by one, with the place where AWS's reader stands after each: its refusals name it.
//! What is read here has been through `serde_json` before, so it is JSON without white space.
//!
//! Deliberately not here: what the tokens mean.

use super::PatternError;

/// A token. The text of strings is without escapes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Name(String),
    Text(String),
    /// A number, and how it was written.
    Number(serde_json::Number, String),
    True,
    False,
    Null,
}

impl Token {
    /// As a refusal quotes it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::ObjectStart => "{".into(),
            Self::ObjectEnd => "}".into(),
            Self::ArrayStart => "[".into(),
            Self::ArrayEnd => "]".into(),
            Self::Name(text) | Self::Text(text) | Self::Number(_, text) => text.clone(),
            Self::True => "true".into(),
            Self::False => "false".into(),
            Self::Null => "null".into(),
        }
    }
}

/// Reads tokens.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// Where AWS's reader stands: it reads strings late, and the token behind a name early.
    place: usize,
    /// The value behind the name that was given last, and where it ended.
    ahead: Option<Token>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, place: 0, ahead: None }
    }

    /// The next token; `None` behind the last.
    pub(super) fn next(&mut self) -> Option<Token> {
        if let Some(ahead) = self.ahead.take() {
            return Some(ahead);
        }
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b',')) {
            self.at += 1;
        }
        let token = self.read()?;
        if let (Token::Text(name), Some(b':')) = (&token, bytes.get(self.at)) {
            let name = name.clone();
            self.at += 1;
            self.ahead = self.read();
            return Some(Token::Name(name));
        }
        Some(token)
    }

    /// AWS's reader has asked for a string's text, so it stands behind it.
    pub(super) fn finish(&mut self) {
        self.place = self.at;
    }

    /// A refusal, here.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> PatternError {
        PatternError::Syntax {
            reason: reason.into(),
            column: self.text[..self.place].encode_utf16().count() + 1,
        }
    }

    fn read(&mut self) -> Option<Token> {
        let rest = &self.text[self.at..];
        let (token, length) = match rest.as_bytes().first()? {
            b'{' => (Token::ObjectStart, 1),
            b'}' => (Token::ObjectEnd, 1),
            b'[' => (Token::ArrayStart, 1),
            b']' => (Token::ArrayEnd, 1),
            b't' => (Token::True, 4),
            b'f' => (Token::False, 5),
            b'n' => (Token::Null, 4),
            b'"' => {
                let length = string_length(rest);
                let text = serde_json::from_str(&rest[..length]).ok()?;
                self.place = self.at + 1;
                self.at += length;
                return Some(Token::Text(text));
            }
            _ => {
                let length = rest.find([',', ']', '}']).unwrap_or(rest.len());
                let written = &rest[..length];
                (Token::Number(serde_json::from_str(written).ok()?, written.to_owned()), length)
            }
        };
        self.at += length;
        self.place = self.at;
        Some(token)
    }
}

/// Bytes of the string that `text` begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
