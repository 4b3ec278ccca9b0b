//! The words and the rules: ARNs, names, configurations, quotas, the lifecycle machine, the
//! placement decision, platform log lines, `Error`, and the ports (traits) that the other rooms
//! implement.
//!
//! Deliberately not here: tokio, HTTP, SQL, libc, any clock. Time is an argument, so every rule
//! can be tried a million times in a test.

pub mod catalog;
pub mod channel;
pub mod code;
pub mod concurrency;
pub mod error;
pub mod event_invoke;
pub mod exit;
pub mod fault;
pub mod function;
pub mod invocation;
pub mod jackson;
pub mod lifecycle;
pub mod log;
pub mod mapping;
pub mod name;
pub mod pattern;
pub mod placement;
pub mod platform_line;
pub mod pool;
pub mod queue;
pub mod quota;
pub mod record;
pub mod runtime;
pub mod sandbox;
pub mod services;
pub mod sns;
pub mod sqs;
pub mod time;
pub mod variables;

pub use error::Error;

/// What an asynchronous port returns. `std` only: the model knows no executor.
pub type Pending<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
