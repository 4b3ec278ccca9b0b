//! Every byte between lambkin and its clients: AWS Lambda's REST-JSON API of 2015-03-31 and SQS's JSON
//! and Query protocols of 2012-11-05, for unmodified AWS clients, and `/_lambkin/…` beside them.
//!
//! Deliberately not here: what operations mean (`control`, `events`), running functions (behind the port
//! `Invoke`), verifying signatures, TLS.

mod api;
mod body;
mod callers;
mod code_link;
mod concurrency;
mod constraint;
mod document;
mod error_table;
mod event_invoke;
mod functions;
mod gate;
mod input;
mod invoke;
mod mappings;
mod node;
mod pattern;
mod queues_page;
mod refused;
mod reply;
mod route;
mod server;
mod service_model;
mod sns;
mod sns_error_table;
mod sqs;
mod sqs_error_table;
mod stalled;
#[cfg(test)]
mod tests;
mod wire;

use lambkin_model::jackson;

pub use api::{Api, ApiConfig};
pub use callers::Callers;
pub use server::serve;
