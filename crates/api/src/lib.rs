//! Every byte between lambkin and its clients: AWS Lambda's REST-JSON API of 2015-03-31, and the JSON
//! and Query protocols of SQS, SNS and CloudWatch Logs, for unmodified AWS clients, and `/_lambkin/…` beside them.
//!
//! Deliberately not here: what operations mean (`control`, `events`, `observe`), and running functions (behind the port
//! `Invoke`).

mod access;
mod aliases;
mod api;
mod body;
mod callers;
mod cloudwatch;
mod cloudwatch_error_table;
mod code_link;
mod coding;
mod concurrency;
mod console;
mod constraint;
mod coverage;
mod document;
mod error_table;
mod event_invoke;
mod figures_page;
mod functions;
mod gate;
mod iam;
mod iam_error_table;
mod input;
mod invoke;
mod invoke_stream;
mod layers;
mod logs;
mod logs_error_table;
mod mappings;
mod node;
mod operations;
mod own;
mod own_path;
mod page;
mod pattern;
mod permissions;
mod prometheus;
mod provisioned;
mod queues_page;
mod refused;
mod reply;
mod route;
mod runtime_management;
mod scaling;
mod server;
mod service;
mod service_model;
mod signature;
mod sns;
mod sns_error_table;
mod sqs;
mod sqs_error_table;
mod stalled;
mod sts;
mod tags;
#[cfg(test)]
mod tests;
mod tls;
mod trace;
mod turns;
mod url_configs;
mod urls;
mod versions;
mod wire;

use lambkin_model::jackson;

pub use api::{Api, ApiConfig, Rooms};
pub use callers::Callers;
pub use console::is_built as has_console;
pub use coverage::coverage;
pub use own::{Look, Machine, Own};
pub use server::{serve, serve_metrics, serve_tls, serve_urls};
pub use tls::Tls;
