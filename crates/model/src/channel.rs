//! The frames between lambkin and the bootstrap (`docs/channel.md`): their kinds and their bounds.
//! Reading and writing them is `invoke`'s.

use crate::quota;

/// Bytes of a frame before its body: `u32` length and `u8` kind.
pub const HEADER_BYTES: usize = 5;

/// Kinds of the frames towards the process: an invocation, and a generic process's variables.
pub const INVOKE: u8 = 0x01;
/// See [`INVOKE`].
pub const ASSIGN: u8 = 0x02;

/// What a frame from the process says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A generic process waits for its variables.
    Booted,
    /// "next": the process waits for an invocation.
    Ready,
    /// The invocation's result.
    Response,
    /// The invocation failed.
    Error,
    /// Init failed.
    InitError,
    /// One log event.
    Log,
    /// How long the handler took to load.
    Loaded,
    /// One file of the compile cache that init was asked for.
    CompileCache,
}

impl FrameKind {
    /// The kind with this number; `None` is a broken channel.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x10 => Self::Booted,
            0x11 => Self::Ready,
            0x12 => Self::Response,
            0x13 => Self::Error,
            0x14 => Self::InitError,
            0x15 => Self::Log,
            0x19 => Self::Loaded,
            0x1a => Self::CompileCache,
            _ => return None,
        })
    }

    /// Most bytes of a body that are kept; the rest of a larger one is read and thrown away.
    #[must_use]
    pub fn body_limit(self) -> usize {
        match self {
            Self::Booted | Self::Ready => 0,
            Self::Loaded => 4,
            Self::Log => quota::LOG_EVENT_BYTES + 10,
            Self::Response | Self::Error | Self::InitError | Self::CompileCache => quota::RESPONSE_BYTES,
        }
    }
}
