//! What happened: the log events of functions, taken off the invoke path and kept by account, region, group and stream,
//! compressed and indexed, and CloudWatch Logs' languages over them; metrics, by the minute; and spans,
//! on their way to a collector.
//!
//! Deliberately not here: what a log line says (`model`), the functions it comes from, HTTP.

mod emf;
mod insights;
mod log_counts;
mod log_queue;
mod log_store;
mod log_writer;
pub mod logs;
pub mod metrics;
mod need;
mod pattern;
pub mod queries;
mod store;
pub mod traces;
mod word;

pub use log_store::{Config, LogStore, OpenError, Read, StreamInfo, Undrained};
pub use pattern::{PATTERN_CHARS, Pattern, PatternError};
pub use store::group::{GroupKey, Settings};
pub use store::search::{Found, Page, Position};
