//! Metrics: what functions did, what clients put, what log lines in the embedded metric format say; kept by the minute for
//! fifteen days, some by the second for three hours, and CloudWatch's rules over them.
//!
//! Deliberately not here: what is measured of functions and when (whoever runs them, by the port `Metrics`), HTTP.

mod archive;
pub mod cloudwatch;
mod file;
mod metric_store;
mod pending;
mod resolution;
mod series;
mod statistics;

pub use metric_store::{MetricConfig, MetricStore};
pub(crate) use resolution::At;
pub use resolution::StorageResolution;
pub use series::Series;
pub use statistics::Statistics;
