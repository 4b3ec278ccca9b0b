//! The grammar of most services: `1 validation error detected: Value 'x' at 'y' failed to satisfy constraint: …`.

use std::borrow::Cow;
use std::fmt::Write;

use lambkin_model::Error;

use super::{Broken, Constraint, Step, Violation, check_types, violations};
use crate::node::Node;
use crate::service_model::{Kind, Operation, ServiceModel, Shape, ShapeId};

/// Characters of a value that a message repeats. AWS repeats all; a body may have 70 MB.
const REPEATED_CHARS: usize = 16_384;

/// Checks the input: first every type, then every constraint.
pub(crate) fn check(model: &ServiceModel, operation: &Operation, input: &Node<'_>) -> Result<(), Error> {
    let Some(shape) = operation.input else { return Ok(()) };
    check_types(model, model.shape(shape), input)?;
    let found = violations(model, operation, input);
    let mut text = match found.len() {
        0 => return Ok(()),
        1 => "1 validation error detected: ".to_owned(),
        more => format!("{more} validation errors detected: "),
    };
    for (index, Violation { path, broken }) in found.iter().enumerate() {
        let (value, constraint) = said(model, broken);
        let (separator, path) = (if index == 0 { "" } else { "; " }, place(path));
        write!(text, "{separator}{value} at '{path}' failed to satisfy constraint: {constraint}")
            .expect("a String takes all");
    }
    Err(Error::Validation(text))
}

/// AWS's spelling of a place: `functionName`, `kMSKeyArn`, `tags.1.member.key`, `messageAttributes.a.member.dataType`.
fn place(path: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Member(member) => {
                let mut letters = member.name.chars();
                out.extend((!out.is_empty()).then_some('.'));
                out.extend(letters.next().map(|first| first.to_ascii_lowercase()));
                out.push_str(letters.as_str());
            }
            Step::Item(index) => write!(out, ".{}.member", index + 1).expect("a String takes all"),
            Step::Entry(key) => write!(out, ".{key}.member").expect("a String takes all"),
        }
    }
    out
}

/// The value as it is repeated, and the constraint.
fn said(model: &ServiceModel, broken: &Broken<'_>) -> (String, String) {
    match broken {
        Broken::Missing => ("Value null".into(), "Member must not be null".into()),
        Broken::Constraint(constraint, shape, value) => (shown(shape, value), worded(*constraint, shape)),
        // One violation for the list, naming everything its members must be.
        Broken::Items(shape, value) => {
            let Kind::List(member) = shape.kind else { unreachable!("items are a list's") };
            (shown(shape, value), format!("Member must satisfy constraint: [{}]", all(model.shape(member))))
        }
        Broken::Keys(shape, value) => {
            let (key, member) = parts(shape);
            let text = format!("Map keys must satisfy constraint: [{}]", all(model.shape(key)));
            (shown(shape, &as_read(model.shape(member), value)), text)
        }
        Broken::Values(shape, value) => {
            let member = model.shape(parts(shape).1);
            let text = format!("Map value must satisfy constraint: [{}]", all(member));
            (shown(shape, &as_read(member, value)), text)
        }
    }
}

fn parts(shape: &Shape) -> (ShapeId, ShapeId) {
    let Kind::Map { key, value } = shape.kind else { unreachable!("keys and values are a map's") };
    (key, value)
}

/// A map as what it is to be: of doubles `{2=2.0}`.
#[expect(clippy::cast_precision_loss, reason = "it is only shown")]
fn as_read<'a>(member: &Shape, value: &'a Node<'a>) -> Cow<'a, Node<'a>> {
    let (Kind::Double, Node::Map(entries)) = (&member.kind, value) else { return Cow::Borrowed(value) };
    let read = |value: &Node<'a>| match value {
        Node::Integer(number) => Node::Double(*number as f64),
        Node::Null | Node::Boolean(_) | Node::Double(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => {
            value.clone()
        }
    };
    Cow::Owned(Node::Map(entries.iter().map(|(key, value)| (key.clone(), read(value))).collect()))
}

/// `Value 'x'`, or only `Value` where it is secret.
fn shown(shape: &Shape, value: &Node<'_>) -> String {
    if shape.sensitive {
        return "Value".into();
    }
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(REPEATED_CHARS) {
        text.truncate(end);
    }
    format!("Value '{text}'")
}

/// Every constraint of the shape, as AWS lists them for members of lists and maps.
fn all(shape: &Shape) -> String {
    let known = [
        (Constraint::Max, shape.max.is_some()),
        (Constraint::Min, shape.min.is_some()),
        (Constraint::Enum, !shape.values.is_empty()),
        (Constraint::Pattern, shape.pattern.is_some()),
    ];
    let known = known.into_iter().filter(|(_, has)| *has).map(|(constraint, _)| worded(constraint, shape));
    known.chain(["Member must not be null".into()]).collect::<Vec<_>>().join(", ")
}

fn worded(constraint: Constraint, shape: &Shape) -> String {
    match constraint {
        Constraint::Enum => format!("Member must satisfy enum value set: [{}]", shape.values.join(", ")),
        Constraint::Pattern => {
            let pattern = shape.pattern.as_ref().map_or("", |pattern| pattern.text());
            format!("Member must satisfy regular expression pattern: {pattern}")
        }
        Constraint::Max => bound(shape, "less", shape.max.unwrap_or_default()),
        Constraint::Min => bound(shape, "greater", shape.min.unwrap_or_default()),
    }
}

fn bound(shape: &Shape, side: &str, bound: f64) -> String {
    match shape.kind {
        Kind::Double => format!("Member must have value {side} than or equal to {bound:?}"),
        Kind::Integer => format!("Member must have value {side} than or equal to {bound}"),
        Kind::Text
        | Kind::Blob
        | Kind::Boolean
        | Kind::Timestamp
        | Kind::List(_)
        | Kind::Map { .. }
        | Kind::Structure(_) => format!("Member must have length {side} than or equal to {bound}"),
    }
}
