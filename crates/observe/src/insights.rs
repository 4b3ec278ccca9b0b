//! CloudWatch Logs Insights' query language: `fields`, `filter`, `parse`, `stats … by`, `sort`, `limit`, `display`,
//! `dedup`, over the events of some groups. A query runs in bounded memory: it fails where it would keep more.
//!
//! Deliberately not here: who runs queries and keeps their results (`queries`), the wire.

mod expression;
mod function;
mod groups;
mod held;
mod parse;
mod period;
mod pipeline;
mod query;
mod row;
mod stats;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use pipeline::Run;
pub(crate) use query::Query;
pub(crate) use row::Source;
