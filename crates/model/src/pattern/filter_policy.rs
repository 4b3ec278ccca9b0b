//! Filter policies of SNS subscriptions: patterns with limits of their own, tried on a message's attributes or
//! on its body.
//!
//! Deliberately not here: subscriptions; how SNS words a refusal (`model::sns`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::parse::{Dialect, Rule, rules};
use super::tree::Tree;
use super::{Pattern, PatternError};

/// Most combinations of values, over all ways through the `$or`s (SNS's documentation).
const COMBINATIONS: usize = 150;
/// Most members of a policy itself; those below them do not count.
const KEYS: usize = 5;
/// Longest policy, in bytes: 256 KB.
const BYTES: usize = 262_144;

/// What a policy is tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Scope {
    /// The message's attributes.
    #[default]
    MessageAttributes,
    /// The message itself, which has to be a JSON object.
    MessageBody,
}

/// A message attribute as a policy sees it.
#[derive(Debug, Clone, Copy)]
pub struct Typed<'a> {
    /// Its name.
    pub name: &'a str,
    /// `String`, `String.Array`, `Number`, others.
    pub data_type: &'a str,
    /// Its text; empty for binary ones.
    pub text: &'a str,
}

/// A parsed filter policy.
#[derive(Debug, Clone)]
pub struct FilterPolicy {
    pattern: Pattern,
    scope: Scope,
}

impl FilterPolicy {
    /// Reads a policy. The errors are what SNS says behind `Invalid parameter: `; `prefix` is what it puts
    /// before texts about the policy itself.
    pub fn parse(text: &str, scope: Scope, prefix: &str) -> Result<Self, String> {
        let refused = |reason: &str| Err(format!("{prefix}FilterPolicy: {reason}"));
        if text.len() > BYTES {
            return refused("Filter policy is too large");
        }
        let rules = match rules(text, Dialect::Sns, COMBINATIONS) {
            Ok(rules) => rules,
            Err(PatternError::TooComplex { .. }) => return refused("Filter policy is too complex"),
            Err(error @ (PatternError::Json(_) | PatternError::Syntax { .. })) => {
                return refused(&error.to_string());
            }
        };
        let nested = rules.iter().flatten().any(|(path, _)| path.len() > 1);
        if nested && scope == Scope::MessageAttributes {
            return Err("Filter policy scope MessageAttributes does not support nested filter policy".into());
        }
        let keys = serde_json::from_str::<Map<String, Value>>(text).map_or(0, |members| members.len());
        if keys > KEYS {
            return refused("Filter policy can not have more than 5 keys");
        }
        if rules.iter().map(combinations).fold(0, usize::saturating_add) > COMBINATIONS {
            return refused("Filter policy is too complex");
        }
        Ok(Self { pattern: Pattern { ways: rules.iter().map(Tree::of).collect() }, scope })
    }

    /// Whether a message passes.
    #[must_use]
    pub fn matches<'a>(&self, attributes: impl IntoIterator<Item = Typed<'a>>, body: &[u8]) -> bool {
        match self.scope {
            Scope::MessageAttributes => {
                let event = attributes.into_iter().filter_map(member).collect::<Map<_, _>>();
                self.pattern.matches(&Value::Object(event))
            }
            Scope::MessageBody => {
                serde_json::from_slice(body).is_ok_and(|event: Value| self.pattern.matches(&event))
            }
        }
    }
}

/// Each list's values times its depth, multiplied: three values of `a.b` and two of `c` make 3 × 2 × 2 × 1.
fn combinations(rule: &Rule) -> usize {
    let each =
        |product: usize, values: usize, depth: usize| product.saturating_mul(values.saturating_mul(depth));
    rule.iter().fold(1, |product, (path, tests)| each(product, tests.len(), path.len()))
}

/// An attribute as a member of an event; binary ones are none, as is a broken array.
fn member(attribute: Typed<'_>) -> Option<(String, Value)> {
    let value = match attribute.data_type {
        "Number" => Value::Number(serde_json::from_str(attribute.text.trim()).ok()?),
        "String.Array" | "Number.Array" => {
            serde_json::from_str(attribute.text).ok().filter(Value::is_array)?
        }
        other if other == "Binary" || other.starts_with("Binary.") => return None,
        _ => Value::String(attribute.text.to_owned()),
    };
    Some((attribute.name.to_owned(), value))
}
