//! CloudWatch's embedded metric format: log events that say metrics, and how these come into the metric store.
//!
//! The rules are those of AWS's specification ("CloudWatch embedded metric format", 2024) and of PutMetricData; where both leave
//! something open, what AWS's own clients send counts. Deliberately not here: where events are written, what is kept of metrics.

mod document;
mod extractor;
mod reading;
mod target;

pub(crate) use extractor::{Errors, Extractor};
