//! A query that was read: its commands, one after the other.

use regex::bytes::Regex;

use super::expression::Expression;
use super::stats::Stats;
use crate::need::Need;

/// Results of a query that says no limit, and the most of one that does.
pub(super) const LIMIT: usize = 10_000;

/// A query that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MalformedQuery {
    pub message: String,
    /// In characters, from 0.
    pub at: usize,
}

/// A query that was read.
#[derive(Debug)]
pub(crate) struct Query {
    pub(super) commands: Vec<Command>,
    /// What is shown; empty: what is usual.
    pub(super) shown: Vec<String>,
    pub(super) limit: usize,
}

#[derive(Debug)]
pub(super) enum Command {
    /// Computed fields with their names.
    Fields(Vec<(Expression, String)>),
    Filter(Expression),
    Parse {
        from: Expression,
        with: Regex,
        names: Vec<String>,
    },
    Stats(Stats),
    /// By these, each descending or not.
    Sort(Vec<(Expression, bool)>),
    Dedup(Vec<Expression>),
    Limit(usize),
}

impl Query {
    /// What events must have to come through the first filters.
    pub(crate) fn need(&self) -> Need {
        let filters = self.commands.iter().map_while(|command| match command {
            Command::Filter(condition) => Some(condition.need()),
            Command::Fields(_) | Command::Sort(_) => Some(Need::Nothing),
            Command::Parse { .. } | Command::Stats(_) | Command::Dedup(_) | Command::Limit(_) => None,
        });
        // A field that was computed has a name that events may have too.
        let computed = self.commands.iter().any(|command| match command {
            Command::Fields(fields) => fields
                .iter()
                .any(|(expression, name)| !matches!(expression, Expression::Field(field) if field == name)),
            Command::Filter(_)
            | Command::Parse { .. }
            | Command::Stats(_)
            | Command::Sort(_)
            | Command::Dedup(_)
            | Command::Limit(_) => false,
        });
        if computed { Need::Nothing } else { Need::all(filters) }
    }
}
