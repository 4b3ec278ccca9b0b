//! Reading `stats`: expressions in which calls are aggregations, `sum(took) / count(*) as mean`, and what groups them.

use super::{Parser, Result};
use crate::insights::expression::Expression;
use crate::insights::query::Command;
use crate::insights::stats::{Aggregate, Kind, Stats};

impl Parser<'_> {
    pub(super) fn stats(&mut self) -> Result<Command> {
        let mut aggregates = Vec::new();
        let mut results: Vec<(Expression, String)> = Vec::new();
        loop {
            self.spaces();
            let begin = self.cursor.clone();
            self.aggregates = Some(Vec::new());
            let read = self.expression(0);
            let made = self.aggregates.take().unwrap_or_default();
            let expression = read?;
            let written = begin.rest()[..begin.rest().len() - self.cursor.rest().len()].trim();
            // A result may be made of those before it alone: `max(a) as most, min(a) as least, most - least`.
            let of_results = || expression.mentions(&|field| results.iter().any(|(_, name)| name == field));
            if made.is_empty() && !of_results() {
                self.cursor = begin;
                return Err(self.error(format!("'{written}' is no aggregation")));
            }
            aggregates.extend(made);
            let result = self.named(expression, written)?;
            results.push(result);
            if !self.comma() {
                break;
            }
        }
        let by = if self.word("by") { self.named_list()? } else { Vec::new() };
        self.shown = by.iter().chain(&results).map(|(_, name)| name.clone()).collect();
        self.only = None;
        Ok(Command::Stats(Stats { aggregates, results, by }))
    }

    /// The rest of an aggregation, whose name and parenthesis were taken; `begin` is where it began.
    pub(super) fn aggregate(&mut self, function: &str, begin: &str, depth: usize) -> Result<Expression> {
        // Of what it aggregates are events: there calls are functions again.
        let outside = self.aggregates.take();
        self.spaces();
        let of = if self.cursor.eat("*") || self.cursor.peek() == Some(')') {
            None
        } else {
            Some(self.expression(depth + 1)?)
        };
        let share = if self.comma() {
            self.spaces();
            let text = self.cursor.take_while(|each| each.is_ascii_digit() || each == '.');
            let share = text.parse::<f64>().ok().filter(|share| (0.0..=100.0).contains(share));
            Some(share.ok_or_else(|| self.error("a percentile from 0 to 100 is expected"))?)
        } else {
            None
        };
        self.expect(")")?;
        let name = begin[..begin.len() - self.cursor.rest().len()].trim().to_owned();
        let Some(kind) = Kind::named(function, share) else {
            return Err(self.error(format!("'{name}' is no aggregation")));
        };
        if of.is_none() && kind != Kind::Count {
            return Err(self.error(format!("'{function}' wants a field")));
        }
        let mut aggregates = outside.unwrap_or_default();
        aggregates.push(Aggregate { kind, of, name: name.clone() });
        self.aggregates = Some(aggregates);
        Ok(Expression::Field(name))
    }
}
