//! Which constraints of the service model an operation's input breaks (aws-behaviour 4, 37, 38, 43, 44). Clients that
//! check by themselves see little of it; raw ones do. Each service words it in its own grammar: most in `coral`'s.
//!
//! Deliberately not here: rules that are no constraints of the model; they are the services' own.

mod cloudwatch;
mod coral;
mod sqs;
#[cfg(test)]
mod tests;

use lambkin_model::Error;

pub(crate) use self::cloudwatch::check as check_cloudwatch;
pub(crate) use self::coral::check;
pub(crate) use self::sqs::check as check_sqs;

use crate::node::Node;
use crate::service_model::{Kind, Member, Operation, ServiceModel, Shape, ShapeId};

/// Most violations that an answer names. AWS names all; a body of a megabyte may have a million.
const MOST: usize = 1_000;

/// A constraint that is broken, and where.
struct Violation<'a> {
    path: Vec<Step<'a>>,
    broken: Broken<'a>,
}

/// One step from an input down to a value.
#[derive(Clone, Copy)]
enum Step<'a> {
    Member(&'a Member),
    /// Of a list, from 0.
    Item(usize),
    /// Of a map, by its key.
    Entry(&'a str),
}

/// What is wrong, with the value that is and its shape.
enum Broken<'a> {
    Missing,
    Constraint(Constraint, &'a Shape, &'a Node<'a>),
    /// Items of the list, which are no structures.
    Items(&'a Shape, &'a Node<'a>),
    /// Keys of the map.
    Keys(&'a Shape, &'a Node<'a>),
    /// Values of the map, which are no structures.
    Values(&'a Shape, &'a Node<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Constraint {
    Enum,
    Pattern,
    Max,
    Min,
}

/// Everything that an input, a map by member name, breaks.
fn violations<'a>(
    model: &'a ServiceModel,
    operation: &'a Operation,
    input: &'a Node<'_>,
) -> Vec<Violation<'a>> {
    let mut walk = Walk { model, path: Vec::new(), found: Vec::new() };
    walk.structure(model.members(operation), input);
    walk.found
}

struct Walk<'a> {
    model: &'a ServiceModel,
    path: Vec<Step<'a>>,
    found: Vec<Violation<'a>>,
}

impl<'a> Walk<'a> {
    fn add(&mut self, broken: Broken<'a>) {
        if self.found.len() < MOST {
            self.found.push(Violation { path: self.path.clone(), broken });
        }
    }

    fn below(&mut self, step: Step<'a>, walk: impl FnOnce(&mut Self)) {
        self.path.push(step);
        walk(self);
        self.path.pop();
    }

    fn structure(&mut self, members: &'a [Member], value: &'a Node<'_>) {
        for member in members {
            self.below(Step::Member(member), |walk| match value.get(&member.name) {
                Some(value) => walk.value(member.shape, value),
                None if member.required => walk.add(Broken::Missing),
                None => {}
            });
        }
    }

    fn value(&mut self, id: ShapeId, value: &'a Node<'_>) {
        let shape = self.model.shape(id);
        for constraint in broken(shape, value) {
            self.add(Broken::Constraint(constraint, shape, value));
        }
        match (&shape.kind, value) {
            (Kind::Structure(members), Node::Map(_)) => self.structure(members, value),
            (Kind::List(member), Node::List(items)) => {
                let inner = self.model.shape(*member);
                if let Kind::Structure(members) = &inner.kind {
                    for (index, item) in items.iter().enumerate() {
                        self.below(Step::Item(index), |walk| walk.structure(members, item));
                    }
                } else if items.iter().any(|item| is_broken(inner, item)) {
                    self.add(Broken::Items(shape, value));
                }
            }
            (Kind::Map { key, value: member }, Node::Map(entries)) => {
                let (key, inner) = (self.model.shape(*key), self.model.shape(*member));
                if entries.iter().any(|(name, _)| is_broken(key, &Node::Text(name.as_ref().into()))) {
                    self.add(Broken::Keys(shape, value));
                }
                if let Kind::Structure(members) = &inner.kind {
                    for (name, item) in entries {
                        self.below(Step::Entry(name), |walk| walk.structure(members, item));
                    }
                } else if entries.iter().any(|(_, item)| is_broken(inner, item)) {
                    self.add(Broken::Values(shape, value));
                }
            }
            (
                Kind::Text
                | Kind::Integer
                | Kind::Double
                | Kind::Boolean
                | Kind::Blob
                | Kind::Timestamp
                | Kind::List(_)
                | Kind::Map { .. }
                | Kind::Structure(_),
                _,
            ) => {}
        }
    }
}

/// Whether an item, a key or a value breaks anything.
fn is_broken(shape: &Shape, value: &Node<'_>) -> bool {
    *value == Node::Null || !broken(shape, value).is_empty()
}

/// The constraints of the shape that the value itself breaks, in AWS's order.
fn broken(shape: &Shape, value: &Node<'_>) -> Vec<Constraint> {
    let mut out = Vec::new();
    if let Node::Text(text) = value {
        if !shape.values.is_empty() && !shape.values.iter().any(|allowed| **allowed == **text) {
            out.push(Constraint::Enum);
        }
        if shape.pattern.as_ref().is_some_and(|pattern| !pattern.matches(text)) {
            out.push(Constraint::Pattern);
        }
    }
    if let Some(size) = size(value) {
        if shape.max.is_some_and(|max| size > max) {
            out.push(Constraint::Max);
        }
        if shape.min.is_some_and(|min| size < min) {
            out.push(Constraint::Min);
        }
    }
    out
}

/// What bounds are applied to: a number, or a length in Java's characters.
#[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^52")]
fn size(value: &Node<'_>) -> Option<f64> {
    match value {
        Node::Null | Node::Boolean(_) => None,
        Node::Integer(value) => Some(*value as f64),
        Node::Double(value) => Some(*value),
        Node::Text(text) if text.is_ascii() => Some(text.len() as f64),
        Node::Text(text) => Some(text.encode_utf16().count() as f64),
        Node::List(items) => Some(items.len() as f64),
        Node::Map(entries) => Some(entries.len() as f64),
    }
}

/// A member of the wrong JSON type is no violation but a body that cannot be read.
fn check_types(model: &ServiceModel, shape: &Shape, value: &Node<'_>) -> Result<(), Error> {
    let wrong = |wanted: &str| {
        Err(Error::Serialization(format!("{} can not be converted to {wanted}", kind_of(value))))
    };
    match (&shape.kind, value) {
        (_, Node::Null)
        | (Kind::Text | Kind::Blob, Node::Text(_))
        | (Kind::Integer | Kind::Double | Kind::Timestamp, Node::Integer(_) | Node::Double(_))
        | (Kind::Boolean, Node::Boolean(_)) => Ok(()),
        (Kind::List(member), Node::List(items)) => {
            items.iter().try_for_each(|item| check_types(model, model.shape(*member), item))
        }
        (Kind::Map { value: member, .. }, Node::Map(entries)) => {
            entries.iter().try_for_each(|(_, value)| check_types(model, model.shape(*member), value))
        }
        (Kind::Structure(members), Node::Map(_)) => members.iter().try_for_each(|member| {
            value
                .get(&member.name)
                .map_or(Ok(()), |value| check_types(model, model.shape(member.shape), value))
        }),
        (_, Node::Map(_)) => {
            Err(Error::Serialization("Start of structure or map found where not expected.".into()))
        }
        (_, Node::List(_)) => Err(Error::Serialization("Start of list found where not expected".into())),
        (Kind::Text, _) => wrong("a String"),
        (Kind::Blob, _) => wrong("a Blob"),
        (Kind::Integer, _) => wrong("an Integer"),
        (Kind::Double, _) => wrong("a Double"),
        (Kind::Timestamp, _) => wrong("a Timestamp"),
        (Kind::Boolean, _) => wrong("a Boolean"),
        (Kind::List(_), _) => Err(Error::Serialization("Expected list or null".into())),
        (Kind::Map { .. }, _) => Err(Error::Serialization("Expected map or null".into())),
        (Kind::Structure(_), _) => Err(Error::Serialization("Expected structure or null".into())),
    }
}

fn kind_of(value: &Node<'_>) -> &'static str {
    match value {
        Node::Null => "NULL_VALUE",
        Node::Boolean(true) => "TRUE_VALUE",
        Node::Boolean(false) => "FALSE_VALUE",
        Node::Integer(_) => "NUMBER_VALUE",
        Node::Double(_) => "DECIMAL_VALUE",
        Node::Text(_) => "STRING_VALUE",
        Node::List(_) => "LIST_VALUE",
        Node::Map(_) => "MAP_VALUE",
    }
}
