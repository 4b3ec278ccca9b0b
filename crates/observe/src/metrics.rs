//! Metrics: what functions did, what clients put, what log lines in the embedded metric format say; kept by the minute for
//! fifteen days, and CloudWatch's rules over them.
//!
//! Deliberately not here: what is measured of functions and when (whoever runs them, by the port `Metrics`), HTTP.

pub mod cloudwatch;
mod file;
mod metric_store;
mod pending;
mod series;
mod statistics;

pub use metric_store::{MetricConfig, MetricStore};
pub use series::Series;
pub use statistics::Statistics;
