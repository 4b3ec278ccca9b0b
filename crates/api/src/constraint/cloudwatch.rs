//! CloudWatch's own grammar: `The parameter MetricData.member.1.MetricName is required.`, a line for each violation.
//! Recorded: what is missing or empty, too long, too many, not of an enum. The words of the rest are the same grammar's.

use std::fmt::Write;

use lambkin_observe::metrics::cloudwatch::MetricsError;

use super::{Broken, Constraint, Step, Violation, broken, violations};
use crate::node::Node;
use crate::service_model::{Kind, Operation, ServiceModel, Shape};

/// A violation in words.
enum Said {
    Missing(String),
    Invalid(String),
}

/// Checks the input. What is missing is said first, as AWS has a code for it.
pub(crate) fn check(
    model: &ServiceModel,
    operation: &Operation,
    input: &Node<'_>,
) -> Result<(), MetricsError> {
    let said =
        violations(model, operation, input).iter().flat_map(|each| said(model, each)).collect::<Vec<_>>();
    let mut missing = Vec::new();
    let mut invalid = Vec::new();
    for said in said {
        match said {
            Said::Missing(line) => missing.push(line),
            Said::Invalid(line) => invalid.push(line),
        }
    }
    let lines = if missing.is_empty() { &invalid } else { &missing };
    if lines.is_empty() {
        return Ok(());
    }
    let text = lines.join("\n");
    Err(match &*operation.name {
        // The model gives it neither of the codes.
        "GetMetricData" => MetricsError::Validation(text),
        // Nor this one the code of what is missing.
        "ListMetrics" => MetricsError::InvalidValue(text),
        _ if missing.is_empty() => MetricsError::InvalidValue(text),
        _ => MetricsError::Missing(text),
    })
}

fn said(model: &ServiceModel, violation: &Violation<'_>) -> Vec<Said> {
    let Violation { path, broken } = violation;
    let place = place(path);
    let each = |place: String, shape: &Shape, value: &Node<'_>| -> Vec<Said> {
        if *value == Node::Null {
            return vec![required(&place)];
        }
        let constraints = self::broken(shape, value).into_iter();
        constraints.map(|constraint| worded(&place, true, constraint, shape, value)).collect()
    };
    match broken {
        Broken::Missing => vec![required(&place)],
        Broken::Constraint(constraint, shape, value) => {
            let wanted = matches!(path.last(), Some(Step::Member(member)) if member.required);
            vec![worded(&place, wanted, *constraint, shape, value)]
        }
        Broken::Items(shape, value) => {
            let (Kind::List(member), Node::List(items)) = (&shape.kind, value) else { return Vec::new() };
            let member = model.shape(*member);
            let items = items.iter().enumerate();
            items
                .flat_map(|(index, item)| each(format!("{place}.member.{}", index + 1), member, item))
                .collect()
        }
        Broken::Keys(shape, value) => {
            let (Kind::Map { key, .. }, Node::Map(entries)) = (&shape.kind, value) else { return Vec::new() };
            let key = model.shape(*key);
            let keys = entries.iter().enumerate();
            let said = |(index, (name, _)): (usize, &(std::borrow::Cow<'_, str>, Node<'_>))| {
                each(format!("{place}.entry.{}.key", index + 1), key, &Node::Text(name.as_ref().into()))
            };
            keys.flat_map(said).collect()
        }
        Broken::Values(shape, value) => {
            let (Kind::Map { value: member, .. }, Node::Map(entries)) = (&shape.kind, value) else {
                return Vec::new();
            };
            let member = model.shape(*member);
            let values = entries.iter().enumerate();
            values
                .flat_map(|(index, (_, item))| {
                    each(format!("{place}.entry.{}.value", index + 1), member, item)
                })
                .collect()
        }
    }
}

fn required(place: &str) -> Said {
    Said::Missing(format!("The parameter {place} is required."))
}

/// `wanted`: nothing is no value of it.
fn worded(place: &str, wanted: bool, constraint: Constraint, shape: &Shape, value: &Node<'_>) -> Said {
    let collection = matches!(shape.kind, Kind::List(_) | Kind::Map { .. });
    let number = matches!(shape.kind, Kind::Integer | Kind::Double);
    let empty = matches!(value, Node::Text(text) if text.is_empty())
        || matches!(value, Node::List(items) if items.is_empty())
        || matches!(value, Node::Map(entries) if entries.is_empty());
    let (max, min) = (shape.max.unwrap_or_default(), shape.min.unwrap_or_default());
    Said::Invalid(match constraint {
        Constraint::Enum => {
            format!("The parameter {place} must be a value in the set [ {} ].", shape.values.join(", "))
        }
        Constraint::Pattern => format!("The value {value} for parameter {place} is invalid."),
        Constraint::Max if collection => {
            format!("The collection {place} must not have a size greater than {max}.")
        }
        Constraint::Max if number => format!("The parameter {place} must be less than or equal to {max}."),
        Constraint::Max => format!("The parameter {place} must be shorter than {} characters.", max + 1.0),
        Constraint::Min if number => format!("The parameter {place} must be greater than or equal to {min}."),
        Constraint::Min if empty && (wanted || collection) => return required(place),
        Constraint::Min if collection => {
            format!("The collection {place} must not have a size less than {min}.")
        }
        Constraint::Min => format!("The parameter {place} must be longer than {} characters.", min - 1.0),
    })
}

/// As the Query protocol writes it, which is the service's own: `MetricData.member.1.Dimensions.member.2.Name`.
fn place(path: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Member(member) => {
                out.extend((!out.is_empty()).then_some('.'));
                out.push_str(&member.name);
            }
            Step::Item(index) => write!(out, ".member.{}", index + 1).expect("a String takes all"),
            Step::Entry(key) => write!(out, ".entry.{key}").expect("a String takes all"),
        }
    }
    out
}
