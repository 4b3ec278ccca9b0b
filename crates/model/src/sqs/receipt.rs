//! Receipt handles: which queue's message was received, when and how often, and the store's own handle.
//! Opaque to clients; whoever makes one up names no message.
//!
//! Deliberately not here: whether one is still good, which the store knows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::queue::Handle;
use crate::time::Timestamp;

/// What a receipt handle says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// UUID of the queue.
    pub queue: [u8; 16],
    /// The message's place in it.
    pub sequence: u64,
    /// How often it was received, this time included.
    pub received: u32,
    /// When it was received.
    pub at: Timestamp,
    /// The store's.
    pub handle: Handle,
}

const FORMAT: u8 = 1;
const FIXED: usize = 1 + 16 + 8 + 4 + 8;

impl Receipt {
    /// The text that clients keep.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(FIXED + self.handle.0.len());
        bytes.push(FORMAT);
        bytes.extend(self.queue);
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.received.to_be_bytes());
        bytes.extend(self.at.0.to_be_bytes());
        bytes.extend(&self.handle.0);
        STANDARD.encode(bytes)
    }

    /// Reads one; `None`: it never was one.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let (format, rest) = bytes.split_first()?;
        if *format != FORMAT {
            return None;
        }
        let (queue, rest) = rest.split_first_chunk::<16>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (received, rest) = rest.split_first_chunk::<4>()?;
        let (at, handle) = rest.split_first_chunk::<8>()?;
        Some(Self {
            queue: *queue,
            sequence: u64::from_be_bytes(*sequence),
            received: u32::from_be_bytes(*received),
            at: Timestamp(u64::from_be_bytes(*at)),
            handle: Handle(Bytes::copy_from_slice(handle)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        let receipt = Receipt {
            queue: [7; 16],
            sequence: 9,
            received: 2,
            at: Timestamp(1_767_225_600_000_000),
            handle: Handle(Bytes::from_static(b"of the store")),
        };
        assert_eq!(Receipt::decode(&receipt.encode()), Some(receipt.clone()));
        for text in ["", "fake-receipt-handle-1", "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", "Ag=="] {
            assert_eq!(Receipt::decode(text), None, "{text}");
        }
    }
}
