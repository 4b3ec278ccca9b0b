//! The pattern language of EventBridge, which event source mappings filter by and which SNS's filter policies
//! are written in: parsed once, then tried on JSON. AWS's engine for it is public (event-ruler); what a pattern
//! means and how a bad one is refused follows it.
//!
//! Deliberately not here: what is matched (records of a queue, attributes of a message) and who asks.

mod filter_policy;
mod parse;
mod test;
mod tokens;
mod tree;
mod wildcard;

use serde_json::Value;

use crate::jackson::SOURCE;
pub use filter_policy::{FilterPolicy, Scope, Typed};
use tree::Tree;

/// Most ways through the `$or`s of a pattern, EventBridge's quota.
pub const COMBINATIONS: usize = 1000;

/// Why text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not JSON.
    #[error("failed to parse JSON. {0}")]
    Json(String),
    /// It is JSON that says nothing; the text is AWS's, with the place.
    #[error("{reason}\n at {SOURCE}line: 1, column: {column}]")]
    Syntax {
        /// What is wrong.
        reason: String,
        /// Where reading stopped, from 1, without white space: AWS takes it out first.
        column: usize,
    },
    /// More combinations than allowed.
    #[error("the pattern has more than {limit} combinations")]
    TooComplex {
        /// Most combinations.
        limit: usize,
    },
}

/// A parsed pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// One of them has to match; each is a way through the `$or`s.
    ways: Vec<Tree>,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let rules = parse::rules(text, parse::Dialect::EventBridge, COMBINATIONS)?;
        Ok(Self { ways: rules.iter().map(Tree::of).collect() })
    }

    /// Whether `event` matches. Only an object does.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        let event = tree::undotted(event);
        event.is_object() && self.ways.iter().any(|way| way.matches(&event))
    }
}

#[cfg(test)]
mod tests;
