//! One way through a pattern's `$or`s as a tree of names, tried on an event.
//!
//! An event's arrays are taken apart: a name is compared with each element, and two names below one array match
//! only in the same element of it. `exists: false` asks the whole event, as event-ruler does.
//!
//! A dot in a name is as good as a level: `{"a.b": 1}` and `{"a": {"b": 1}}` match the same (recorded from SNS;
//! event-ruler joins names by dots).
//!
//! Deliberately not here: the comparisons themselves.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::map::Entry;
use serde_json::{Map, Value};

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
            let path: Vec<String> = path.iter().flat_map(|name| levels(name)).map(str::to_owned).collect();
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

    /// Whether an event without dots in its names matches.
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

/// Most levels that one name's dots make: trees are walked by recursion, and JSON itself may have 128.
const LEVELS: usize = 8;

fn levels(name: &str) -> impl Iterator<Item = &str> {
    name.splitn(LEVELS, '.')
}

/// An event without dots in its names.
pub(super) fn undotted(event: &Value) -> Cow<'_, Value> {
    if dotted(event) { Cow::Owned(spread(event)) } else { Cow::Borrowed(event) }
}

fn dotted(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('.') || dotted(value)),
        Value::Array(elements) => elements.iter().any(dotted),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn spread(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut all = Map::new();
            for (name, value) in members {
                let mut levels = levels(name).collect::<Vec<_>>().into_iter().rev();
                let last = levels.next().unwrap_or_default();
                let inner = Map::from_iter([(last.to_owned(), spread(value))]);
                merge(
                    &mut all,
                    levels.fold(inner, |inner, level| {
                        Map::from_iter([(level.to_owned(), Value::Object(inner))])
                    }),
                );
            }
            Value::Object(all)
        }
        Value::Array(elements) => Value::Array(elements.iter().map(spread).collect()),
        other => other.clone(),
    }
}

/// What stands at the same name twice and is not two objects is as two elements of an array.
fn merge(into: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match into.entry(name) {
            Entry::Vacant(free) => {
                free.insert(value);
            }
            Entry::Occupied(mut there) => match (there.get_mut(), value) {
                (Value::Object(there), Value::Object(more)) => merge(there, more),
                (there, value) => *there = Value::Array(vec![there.take(), value]),
            },
        }
    }
}
