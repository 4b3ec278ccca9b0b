//! Everything that moves events: the asynchronous queue and its dispatcher, destinations and dead-letter
//! queues, the SQS- and SNS-compatible services, event source mappings.
//!
//! Deliberately not here: how a function is run (behind the port `Invoke`), where messages are kept
//! (behind the port `Queues`), wire protocols, HTTP.

mod ambient;
pub mod asynchronous;
pub mod counters;
pub mod deliveries;
pub mod destination;
pub mod dispatcher;
pub mod event;
mod figures;
pub mod mapping;
pub mod outbound;
pub mod recursion;
pub mod sns;
mod spans;
pub mod sqs;
pub mod target;
pub mod targets;

pub use ambient::Ambient;

/// The services that move events, as the edge sees them.
#[derive(Clone)]
pub struct Events {
    /// Asynchronous invocation.
    pub asynchronous: asynchronous::Asynchronous,
    /// What configurations may name.
    pub targets: std::sync::Arc<targets::Targets>,
    /// Topics.
    pub sns: sns::Sns,
    /// Queues.
    pub sqs: sqs::Sqs,
    /// Functions that are fed from queues.
    pub mappings: std::sync::Arc<mapping::Mappings>,
}
