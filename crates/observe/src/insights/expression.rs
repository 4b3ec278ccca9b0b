//! What commands compute: comparisons, arithmetic, fields, functions.

use std::cmp::Ordering;

use regex::bytes::Regex;

use super::function::Function;
use super::row::Row;
use super::value::Value;
use crate::need::Need;

#[derive(Debug)]
pub(super) enum Expression {
    Constant(Value),
    Field(String),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Like(Box<Expression>, Regex),
    /// A text that has this one in it.
    Has(Box<Expression>, String),
    In(Box<Expression>, Vec<Expression>),
    Arithmetic(Arithmetic, Box<Expression>, Box<Expression>),
    Call(Function, Vec<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

impl Expression {
    pub(super) fn value(&self, row: &Row<'_>) -> Value {
        match self {
            Self::Constant(value) => value.clone(),
            Self::Field(name) => row.get(name),
            Self::Not(inner) => Value::Truth(!inner.value(row).is_true()),
            Self::And(all) => Value::Truth(all.iter().all(|each| each.value(row).is_true())),
            Self::Or(any) => Value::Truth(any.iter().any(|each| each.value(row).is_true())),
            Self::Compare(comparison, left, right) => {
                Value::Truth(compare(*comparison, &left.value(row), &right.value(row)))
            }
            Self::Like(text, regex) => {
                Value::Truth(text.value(row).text().is_some_and(|text| regex.is_match(text.as_bytes())))
            }
            Self::Has(text, part) => {
                Value::Truth(text.value(row).text().is_some_and(|text| text.contains(part.as_str())))
            }
            Self::In(value, all) => {
                let value = value.value(row);
                Value::Truth(all.iter().any(|each| compare(Comparison::Equal, &value, &each.value(row))))
            }
            Self::Arithmetic(operation, left, right) => {
                let (Some(left), Some(right)) = (left.value(row).number(), right.value(row).number()) else {
                    return Value::Nothing;
                };
                let result = match operation {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide => left / right,
                    Arithmetic::Remainder => left % right,
                    Arithmetic::Power => left.powf(right),
                };
                if result.is_finite() { Value::Number(result) } else { Value::Nothing }
            }
            Self::Call(function, arguments) => {
                let arguments: Vec<Value> = arguments.iter().map(|each| each.value(row)).collect();
                function.call(&arguments)
            }
        }
    }

    /// Whether it has a field that is one of these.
    pub(super) fn mentions(&self, one: &dyn Fn(&str) -> bool) -> bool {
        let in_any = |all: &[Self]| all.iter().any(|each| each.mentions(one));
        match self {
            Self::Constant(_) => false,
            Self::Field(name) => one(name),
            Self::Not(of) | Self::Like(of, _) | Self::Has(of, _) => of.mentions(one),
            Self::And(all) | Self::Or(all) | Self::Call(_, all) => in_any(all),
            Self::Compare(_, left, right) | Self::Arithmetic(_, left, right) => {
                left.mentions(one) || right.mentions(one)
            }
            Self::In(of, all) => of.mentions(one) || in_any(all),
        }
    }

    /// What events must have where this must be true of them.
    pub(super) fn need(&self) -> Need {
        match self {
            Self::And(all) => Need::all(all.iter().map(Self::need)),
            Self::Or(any) => Need::any(any.iter().map(Self::need)),
            Self::Compare(Comparison::Equal, left, right) => match (&**left, &**right) {
                (Self::Field(name), Self::Constant(Value::Text(text))) if text.parse::<f64>().is_err() => {
                    match name.as_str() {
                        "@requestId" => Need::words(text.as_bytes()),
                        _ if name.starts_with('@') => Need::Nothing,
                        _ => Need::words(text.as_bytes()).unescaped(),
                    }
                }
                _ => Need::Nothing,
            },
            Self::Constant(_)
            | Self::Field(_)
            | Self::Not(_)
            | Self::Compare(..)
            | Self::Like(..)
            | Self::Has(..)
            | Self::In(..)
            | Self::Arithmetic(..)
            | Self::Call(..) => Need::Nothing,
        }
    }
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> bool {
    if *left == Value::Nothing || *right == Value::Nothing {
        return comparison == Comparison::Unequal && left != right;
    }
    let truth = |value: &Value| match value {
        Value::Truth(value) => Value::Text(if *value { "true" } else { "false" }.into()),
        other => other.clone(),
    };
    let order = match (left, right) {
        (Value::Truth(_), Value::Text(_)) | (Value::Text(_), Value::Truth(_)) => {
            truth(left).order(&truth(right))
        }
        (Value::Truth(one), Value::Number(_)) => Value::Number(f64::from(u8::from(*one))).order(right),
        (Value::Number(_), Value::Truth(two)) => left.order(&Value::Number(f64::from(u8::from(*two)))),
        (one, two) => one.order(two),
    };
    match comparison {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::Unequal => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
    }
}
