//! One way through a pattern's `$or`s as a tree of names, tried on an event.
//!
//! An event's arrays are taken apart: a name is compared with each element, and two names below one array match
//! only in the same element of it. `exists: false` asks the whole event, as event-ruler does.
//!
//! Deliberately not here: the comparisons themselves.

use std::sync::Arc;

use serde_json::Value;

use super::parse::Rule;
use super::test::Test;

/// What is asked of one place of an event.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    /// Names from the event's root to here.
    path: Arc<[String]>,
    /// One of them has to pass, where there are any.
    tests: Option<Arc<[Test]>>,
    /// All of them have to match.
    members: Vec<(String, Tree)>,
}

impl Tree {
    pub(super) fn of(rule: &Rule) -> Self {
        let mut tree = Self::default();
        for (path, tests) in rule {
            let mut at = &mut tree;
            for (depth, name) in path.iter().enumerate() {
                let index = at.members.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                    let member = Self { path: path[..=depth].into(), ..Self::default() };
                    at.members.push((name.clone(), member));
                    at.members.len() - 1
                });
                at = &mut at.members[index].1;
            }
            at.tests = Some(Arc::clone(tests));
        }
        tree
    }

    pub(super) fn matches(&self, event: &Value) -> bool {
        self.holds(event, Some(event))
    }

    fn holds(&self, event: &Value, here: Option<&Value>) -> bool {
        if let Some(Value::Array(elements)) = here {
            return match elements.as_slice() {
                [] => self.holds(event, None),
                elements => elements.iter().any(|element| self.holds(event, Some(element))),
            };
        }
        let leaf = here.filter(|value| !value.is_object());
        let passes = |test: &Test| match test {
            Test::Absent => absent(event, &self.path),
            test => leaf.is_some_and(|leaf| test.passes(leaf)),
        };
        self.tests.as_ref().is_none_or(|tests| tests.iter().any(passes))
            && self
                .members
                .iter()
                .all(|(name, member)| member.holds(event, here.and_then(|value| value.get(name.as_str()))))
    }
}

/// Whether no leaf is at `path`.
fn absent(value: &Value, path: &[String]) -> bool {
    match (value, path) {
        (Value::Array(elements), path) => elements.iter().all(|element| absent(element, path)),
        (Value::Object(members), [name, rest @ ..]) => {
            members.get(name).is_none_or(|member| absent(member, rest))
        }
        (Value::Object(_), []) => true,
        (_, []) => false,
        (_, [..]) => true,
    }
}
