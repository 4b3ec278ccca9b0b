//! Reading a text character by character, knowing where one is. For filter patterns, queries and metric math.

use super::PatternError;
use super::condition::compile;

#[derive(Clone)]
pub(crate) struct Cursor<'t> {
    text: &'t str,
    /// In bytes.
    at: usize,
    regexes: usize,
}

impl<'t> Cursor<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, regexes: 0 }
    }

    pub(crate) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    pub(crate) fn skip_spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    pub(crate) fn take_while(&mut self, of: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|each| !of(each)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Takes this text where it stands here.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    /// Takes this word, in any case, where it stands here and ends.
    pub(crate) fn eat_word(&mut self, word: &str) -> bool {
        let rest = self.rest().as_bytes();
        let there = rest.len() >= word.len()
            && rest[..word.len()].eq_ignore_ascii_case(word.as_bytes())
            && !rest.get(word.len()).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_');
        if there {
            self.at += word.len();
        }
        there
    }

    pub(crate) fn expect(&mut self, text: &str) -> Result<(), PatternError> {
        if self.eat(text) { Ok(()) } else { Err(self.error(format!("'{text}' is expected"))) }
    }

    pub(crate) fn error(&self, reason: impl Into<String>) -> PatternError {
        PatternError { position: self.text[..self.at].chars().count() + 1, reason: reason.into() }
    }

    /// The rest of a text in quotes, whose opening one was taken; a backslash takes the next character as it is.
    pub(crate) fn quoted(&mut self, quote: char) -> Result<String, PatternError> {
        let begin = self.clone();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(begin.error(format!("the closing {quote} is missing"))),
                Some('\\') => text.extend(self.next()),
                Some(end) if end == quote => return Ok(text),
                Some(other) => text.push(other),
            }
        }
    }

    /// A filter pattern's regular expression, whose opening `%` was taken.
    pub(crate) fn regex(&mut self) -> Result<regex::bytes::Regex, PatternError> {
        let begin = self.clone();
        let mut text = String::new();
        loop {
            let here = self.clone();
            match self.next() {
                None => return Err(begin.error("the closing % is missing")),
                Some('%') => break,
                Some('\\') => {
                    text.push('\\');
                    let escaped = self.next().ok_or_else(|| begin.error("the closing % is missing"))?;
                    text.push(escaped);
                }
                Some(other) if other.is_ascii_alphanumeric() || ":_#=@/;,-^$?[]{}|*+.".contains(other) => {
                    text.push(other);
                }
                Some(other) => {
                    return Err(here.error(format!("'{other}' is not supported in a regular expression")));
                }
            }
        }
        self.regexes += 1;
        if self.regexes > super::REGEXES {
            return Err(begin.error("there are more than two regular expressions"));
        }
        compile(&text, false).map_err(|reason| begin.error(reason))
    }
}
