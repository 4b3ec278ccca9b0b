//! CloudWatch Logs' filter patterns: which messages one matches. Terms (`ERROR -"not this"`, `?A ?B`), a regular
//! expression (`%4\d\d%`), a condition on JSON (`{ $.code = 4* && $.user EXISTS }`), or fields between spaces
//! (`[ip, ..., status = 5*, bytes > 1000]`).
//!
//! A term matches whole words: `ERROR` is in `[ERROR]` and not in `ERRORS`; a regular expression matches anywhere.
//! Deliberately not here: where messages come from, the query language of Insights.

pub(crate) mod condition;
pub(crate) mod cursor;
mod delimited;
mod json;
mod terms;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::need::Need;
use crate::store::search::Filter;
use cursor::Cursor;

/// Longest pattern, in characters.
pub const PATTERN_CHARS: usize = 1024;
/// Most regular expressions of a pattern.
const REGEXES: usize = 2;

/// What is wrong with a pattern, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// Character of the pattern, from 1.
    pub position: usize,
    /// What is wrong there.
    pub reason: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invalid filter pattern: {} at position {}", self.reason, self.position)
    }
}

impl std::error::Error for PatternError {}

/// A filter pattern that was read.
#[derive(Debug)]
pub struct Pattern {
    kind: Kind,
    need: Need,
}

#[derive(Debug)]
enum Kind {
    All,
    Terms(terms::Terms),
    Json(json::Condition),
    Delimited(delimited::Fields),
}

impl Pattern {
    /// Reads a pattern; an empty one matches everything.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut cursor = Cursor::new(text);
        cursor.skip_spaces();
        let kind = match cursor.peek() {
            None => Kind::All,
            Some('{') => Kind::Json(json::parse(&mut cursor)?),
            Some('[') => Kind::Delimited(delimited::parse(&mut cursor)?),
            Some(_) => Kind::Terms(terms::parse(&mut cursor)?),
        };
        cursor.skip_spaces();
        if let Some(more) = cursor.peek() {
            return Err(cursor.error(format!("'{more}' after the end")));
        }
        let need = match &kind {
            Kind::All => Need::Nothing,
            Kind::Terms(terms) => terms.need(),
            Kind::Json(condition) => condition.need().unescaped(),
            Kind::Delimited(fields) => fields.need(),
        };
        Ok(Self { kind, need })
    }

    /// Whether the message is one of the pattern's.
    #[must_use]
    pub fn matches(&self, message: &[u8]) -> bool {
        match &self.kind {
            Kind::All => true,
            Kind::Terms(terms) => terms.matches(message),
            Kind::Json(condition) => condition.matches(message),
            Kind::Delimited(fields) => fields.matches(message),
        }
    }
}

impl Filter for Pattern {
    fn need(&self) -> &Need {
        &self.need
    }

    fn may_match(&self, messages: &[u8]) -> bool {
        match &self.kind {
            Kind::Terms(terms) => terms.may_match(messages),
            Kind::All | Kind::Json(_) | Kind::Delimited(_) => true,
        }
    }

    fn matches(&self, message: &[u8]) -> bool {
        Self::matches(self, message)
    }
}
