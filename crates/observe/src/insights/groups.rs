//! The groups of a `stats`: what their events have come to so far, and the row that each becomes.

use std::collections::HashMap;

use super::expression::Expression;
use super::held::Held;
use super::row::Row;
use super::stats::{Gathered, Stats};
use super::value::Value;

/// Groups of a `stats`.
const GROUPS: usize = 100_000;

pub(super) struct Groups<'q> {
    stats: &'q Stats,
    groups: HashMap<Vec<String>, (Vec<Value>, Vec<Gathered>)>,
}

impl<'q> Groups<'q> {
    pub(super) fn of(stats: &'q Stats) -> Self {
        Self { stats, groups: HashMap::new() }
    }

    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<(), &'static str> {
        let values: Vec<Value> = self.stats.by.iter().map(|(expression, _)| expression.value(row)).collect();
        let key: Vec<String> = values.iter().map(|value| value.text().unwrap_or_default()).collect();
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&key) {
            return Err("stats has more than 100,000 groups");
        }
        let aggregates = &self.stats.aggregates;
        let (_, gathered) = self.groups.entry(key).or_insert_with(|| (values, nothing(self.stats)));
        for (aggregate, gathered) in aggregates.iter().zip(gathered) {
            if !aggregate.add(gathered, row) {
                return Err("count_distinct has more than 100,000 values");
            }
        }
        Ok(())
    }

    pub(super) fn rows(mut self) -> Vec<Held> {
        let Stats { aggregates, results, by } = self.stats;
        if self.groups.is_empty() && by.is_empty() && aggregates.iter().all(|each| each.of.is_none()) {
            // A count of nothing is zero.
            self.groups.insert(Vec::new(), (Vec::new(), nothing(self.stats)));
        }
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_by(|(one, _), (two, _)| one.cmp(two));
        let row = |(values, gathered): (Vec<Value>, Vec<Gathered>)| {
            let mut row = Row::again(None, Vec::new());
            for ((_, name), value) in by.iter().zip(values) {
                row.set(name, value);
            }
            for (aggregate, gathered) in aggregates.iter().zip(&gathered) {
                row.set(&aggregate.name, aggregate.result(gathered));
            }
            for (expression, name) in results {
                if !matches!(expression, Expression::Field(field) if field == name) {
                    let value = expression.value(&row);
                    row.set(name, value);
                }
            }
            Held::of(&row)
        };
        groups.into_iter().map(|(_, group)| row(group)).collect()
    }
}

fn nothing(stats: &Stats) -> Vec<Gathered> {
    stats.aggregates.iter().map(|_| Gathered::default()).collect()
}
