//! Tests of the engine: everything that moves events, over queues and records in memory, in paused time.

mod queues;
mod records;
mod sns;
mod sqs;
