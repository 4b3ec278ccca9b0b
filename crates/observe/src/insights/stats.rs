//! Aggregations: what a group of events has come to so far, in bounded memory. Percentiles are counted in steps of one
//! percent of the value, so they are that exact.

use std::collections::{BTreeMap, HashSet};

use super::expression::Expression;
use super::row::Row;
use super::value::Value;

/// Distinct values that are counted exactly; beyond, the query fails.
const DISTINCT: usize = 100_000;
/// Values in a step are within this factor.
const STEP: f64 = 1.01;

#[derive(Debug)]
pub(super) struct Aggregate {
    pub(super) kind: Kind,
    /// `None`: all events.
    pub(super) of: Option<Expression>,
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Count,
    Distinct,
    Sum,
    Average,
    Least,
    Greatest,
    Deviation,
    Percentile(f64),
    /// The value of the first event, of the last one.
    Earliest,
    Latest,
}

/// A state of one aggregation.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    count: u64,
    sum: f64,
    squares: f64,
    extreme: Option<Value>,
    at: f64,
    distinct: HashSet<String>,
    /// Steps below zero, at it and above it, by their number.
    steps: BTreeMap<i32, u64>,
}

impl Aggregate {
    /// `false`: there is no room for what this would keep.
    pub(super) fn add(&self, gathered: &mut Gathered, row: &Row<'_>) -> bool {
        let value = match &self.of {
            None => Value::Truth(true),
            Some(of) => of.value(row),
        };
        if value == Value::Nothing {
            return true;
        }
        match self.kind {
            Kind::Count => gathered.count += 1,
            Kind::Distinct => {
                gathered.distinct.extend(value.text());
                return gathered.distinct.len() <= DISTINCT;
            }
            Kind::Least | Kind::Greatest => {
                let further = gathered.extreme.as_ref().is_none_or(|extreme| {
                    let order = value.order(extreme);
                    if self.kind == Kind::Least { order.is_lt() } else { order.is_gt() }
                });
                if further {
                    gathered.extreme = Some(value);
                }
            }
            Kind::Earliest | Kind::Latest => {
                let at = row.get("@timestamp").number().unwrap_or(0.0);
                let further = gathered.extreme.is_none()
                    || (if self.kind == Kind::Earliest { at < gathered.at } else { at >= gathered.at });
                if further {
                    gathered.extreme = Some(value);
                    gathered.at = at;
                }
            }
            Kind::Sum | Kind::Average | Kind::Deviation | Kind::Percentile(_) => {
                let Some(number) = value.number() else { return true };
                gathered.count += 1;
                gathered.sum += number;
                gathered.squares += number * number;
                if matches!(self.kind, Kind::Percentile(_)) {
                    *gathered.steps.entry(step(number)).or_default() += 1;
                }
            }
        }
        true
    }

    pub(super) fn result(&self, gathered: &Gathered) -> Value {
        let count = gathered.count as f64;
        match self.kind {
            Kind::Count => Value::Number(count),
            Kind::Distinct => Value::Number(gathered.distinct.len() as f64),
            Kind::Least | Kind::Greatest | Kind::Earliest | Kind::Latest => {
                gathered.extreme.clone().unwrap_or(Value::Nothing)
            }
            _ if gathered.count == 0 => Value::Nothing,
            Kind::Sum => Value::Number(gathered.sum),
            Kind::Average => Value::Number(gathered.sum / count),
            Kind::Deviation => {
                let mean = gathered.sum / count;
                Value::Number((gathered.squares / count - mean * mean).max(0.0).sqrt())
            }
            Kind::Percentile(share) => {
                let rank = ((share / 100.0 * count).ceil().max(1.0)) as u64;
                let mut below = 0;
                let found = gathered.steps.iter().find(|(_, count)| {
                    below += **count;
                    below >= rank
                });
                found.map_or(Value::Nothing, |(step, _)| Value::Number(middle(*step)))
            }
        }
    }
}

/// Which step a number is in. Numbers below a millionth are zero.
fn step(number: f64) -> i32 {
    const OFFSET: f64 = 2000.0;
    if number.abs() < 1e-6 {
        return 0;
    }
    let step = (number.abs().ln() / STEP.ln()).round() + OFFSET;
    (if number < 0.0 { -step } else { step }) as i32
}

fn middle(step: i32) -> f64 {
    if step == 0 {
        return 0.0;
    }
    let value = STEP.powf(f64::from(step.abs()) - 2000.0);
    if step < 0 { -value } else { value }
}
