//! The words and the rules: ARNs, names, configurations, quotas, the lifecycle machine, the
//! placement decision, platform log lines, `Error`, and the ports (traits) that the other rooms
//! implement.
//!
//! Deliberately not here: tokio, HTTP, SQL, libc, any clock. Time is an argument, so every rule
//! can be tried a million times in a test.

pub mod alias;
pub mod bucket;
pub mod catalog;
pub mod channel;
pub mod code;
pub mod compile_cache;
pub mod concurrency;
pub mod error;
pub mod event_invoke;
pub mod exit;
pub mod fault;
pub mod figure;
pub mod function;
pub mod hot_code;
pub mod iam;
pub mod invocation;
pub mod jackson;
pub mod kept;
pub mod keys;
pub mod layer;
pub mod lifecycle;
pub mod log;
pub mod mapping;
pub mod metric;
pub mod name;
pub mod pattern;
pub mod placement;
pub mod platform_line;
pub mod policy;
pub mod pool;
pub mod provisioned;
pub mod queue;
pub mod quota;
pub mod record;
pub mod runtime;
pub mod sample_event;
pub mod sandbox;
pub mod scaling;
pub mod services;
pub mod sns;
pub mod sqs;
pub mod tags;
pub mod test_event;
pub mod time;
pub mod trace;
pub mod url;
pub mod variables;
pub mod version;

pub use error::Error;

/// What an asynchronous port returns. `std` only: the model knows no executor.
pub type Pending<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
