//! Aggregations: what a group of events has come to so far, in bounded memory. Percentiles of few values are exact; those
//! of more are counted in steps of one percent of the value, so they are that exact.

use std::collections::{BTreeMap, HashSet};

use super::expression::Expression;
use super::row::Row;
use super::value::Value;

/// Distinct values that are counted exactly; beyond, the query fails.
const DISTINCT: usize = 100_000;
/// Values whose percentiles are exact.
const EXACT: usize = 32;
/// Values in a step are within this factor.
const STEP: f64 = 1.01;

/// A `stats` command.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) aggregates: Vec<Aggregate>,
    /// What is made of the aggregations' results, each under its name.
    pub(super) results: Vec<(Expression, String)>,
    pub(super) by: Vec<(Expression, String)>,
}

#[derive(Debug)]
pub(super) struct Aggregate {
    pub(super) kind: Kind,
    /// `None`: all events.
    pub(super) of: Option<Expression>,
    /// As it was written: results find it by that.
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

impl Kind {
    /// An aggregation by its name, with a percentile where it has one.
    pub(super) fn named(name: &str, share: Option<f64>) -> Option<Self> {
        Some(match (name.to_lowercase().as_str(), share) {
            ("count", None) => Self::Count,
            ("count_distinct", None) => Self::Distinct,
            ("sum", None) => Self::Sum,
            ("avg", None) => Self::Average,
            ("min" | "sortsfirst", None) => Self::Least,
            ("max" | "sortslast", None) => Self::Greatest,
            ("stddev", None) => Self::Deviation,
            ("median", None) => Self::Percentile(50.0),
            ("pct" | "percentile", Some(share)) => Self::Percentile(share),
            ("earliest", None) => Self::Earliest,
            ("latest", None) => Self::Latest,
            _ => return None,
        })
    }

    pub(super) fn is_name(name: &str) -> bool {
        Self::named(name, None).or(Self::named(name, Some(50.0))).is_some()
    }
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
    /// Of percentiles: all values, as long as they are few.
    values: Vec<f64>,
    /// All values, in steps below zero, at it and above it, by their number.
    steps: BTreeMap<i32, u64>,
    least: f64,
    greatest: f64,
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
                    gathered.rank(number);
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
                Value::Number(gathered.ranked((share / 100.0 * count).ceil().max(1.0) as u64))
            }
        }
    }
}

impl Gathered {
    fn rank(&mut self, number: f64) {
        if self.count == 1 {
            (self.least, self.greatest) = (number, number);
        }
        (self.least, self.greatest) = (self.least.min(number), self.greatest.max(number));
        if self.steps.is_empty() && self.values.len() < EXACT {
            self.values.push(number);
            return;
        }
        for value in std::mem::take(&mut self.values).into_iter().chain([number]) {
            *self.steps.entry(step(value)).or_default() += 1;
        }
    }

    /// The value of a rank, from 1.
    fn ranked(&self, rank: u64) -> f64 {
        if self.steps.is_empty() {
            let mut values = self.values.clone();
            values.sort_by(f64::total_cmp);
            return values.get(rank as usize - 1).or(values.last()).copied().unwrap_or(0.0);
        }
        let mut below = 0;
        let found = self.steps.iter().find(|(_, count)| {
            below += **count;
            below >= rank
        });
        found.map_or(self.greatest, |(step, _)| middle(*step).clamp(self.least, self.greatest))
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
