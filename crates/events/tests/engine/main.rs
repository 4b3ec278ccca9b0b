//! Tests of the engine: everything that moves events, over queues and records in memory, in paused time.

#[expect(dead_code, reason = "the first tests use a part of it")]
mod queues;
mod records;
