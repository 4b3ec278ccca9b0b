//! Handles of received messages, which any machine knows.

use lambkin_model::queue::{Handle, MessageId, QueueName};

use super::messages::now;

/// A handle is a receipt, a message's id and its queue's name, as far as they fit: the name's hash.
pub(super) fn write(queue: &QueueName, id: MessageId, receipt: u64) -> Handle {
    let mut bytes = receipt.to_be_bytes().to_vec();
    bytes.extend(id.0);
    bytes.extend(digest(queue).to_be_bytes());
    Handle(bytes.into())
}

/// FNV-1a: it has to be the same on every machine, and no more than tell names apart.
fn digest(queue: &QueueName) -> u64 {
    queue
        .0
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What a handle says.
pub(super) struct Told {
    pub(super) id: MessageId,
    pub(super) receipt: u64,
    queue: u64,
}

impl Told {
    /// Whether it may be this queue's.
    pub(super) fn is_of(&self, queue: &QueueName) -> bool {
        digest(queue) == self.queue
    }
}

/// Reads a handle; `None`: it never was one.
pub(super) fn read(handle: &Handle) -> Option<Told> {
    let bytes: &[u8; 32] = (&*handle.0).try_into().ok()?;
    let number = |at: usize| Some(u64::from_be_bytes(bytes[at..at + 8].try_into().ok()?));
    let (receipt, id) = (number(0)?, MessageId(bytes[8..24].try_into().ok()?));
    (receipt != 0).then_some(Told { id, receipt, queue: number(24)? })
}

/// A number that no other receive of any machine has.
pub(super) fn receipt() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(now()) | 1
}
