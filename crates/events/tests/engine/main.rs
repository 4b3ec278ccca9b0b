//! Tests of the engine: everything that moves events, over queues and records in memory, in paused time.

mod catalog;
mod dispatch_faults;
mod dispatching;
mod events;
mod faulty_queues;
mod mapping_world;
mod mappings;
mod queues;
mod records;
mod sns;
mod sqs;
mod sqs_faults;
