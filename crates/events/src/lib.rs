//! Everything that moves events: the asynchronous queue and its dispatcher, destinations and dead-letter
//! queues, the SQS- and SNS-compatible services, event source mappings.
//!
//! Deliberately not here: how a function is run (behind the port `Invoke`), where messages are kept
//! (behind the port `Queues`), wire protocols, HTTP.

mod ambient;
pub mod mapping;
pub mod sns;
pub mod sqs;
pub mod target;

pub use ambient::Ambient;
