//! What an engine may not find out by itself, so that its tests decide it: the time and chance.

use lambkin_model::time::Timestamp;

/// Clock and random numbers, handed in.
#[derive(Clone, Copy)]
pub struct Ambient {
    /// The wall clock.
    pub now: fn() -> Timestamp,
    /// A new random UUID.
    pub uuid: fn() -> [u8; 16],
}
