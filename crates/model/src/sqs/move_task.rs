//! Message move tasks: from a dead-letter queue to where its messages came from, or to another queue. A task
//! stands in the record of its source queue, so that a restart finds it.
//!
//! Deliberately not here: moving.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A task, running or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveTask {
    /// UUID.
    pub id: String,
    /// Where to; `None`: each message to the queue it came from.
    pub destination: Option<String>,
    /// Most messages a second; `None`: as fast as it goes.
    pub rate: Option<u32>,
    /// When it began.
    pub started: Timestamp,
    /// Messages that were there when it began.
    pub to_move: u64,
    /// Messages it has moved; while it runs, as of the last time it was written down.
    pub moved: u64,
    /// How it stands.
    pub status: MoveStatus,
    /// Why it failed.
    pub failure: Option<String>,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveStatus {
    /// It moves messages.
    Running,
    /// Nothing is left to move.
    Completed,
    /// It was told to end.
    Cancelling,
    /// It was told to, and has ended.
    Cancelled,
    /// It could not go on.
    Failed,
}

impl MoveStatus {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Cancelling => "CANCELLING",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
        }
    }
}

impl MoveTask {
    /// Tasks of a queue that are remembered: as many as one `ListMessageMoveTasks` may ask for.
    pub const KEPT: usize = 10;
    /// Most tasks of an account that run at once.
    pub const ACTIVE: usize = 100;
    /// Most messages a second that may be asked for.
    pub const RATE: i64 = 500;

    /// Whether it still has something to do.
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self.status {
            MoveStatus::Running | MoveStatus::Cancelling => true,
            MoveStatus::Completed | MoveStatus::Cancelled | MoveStatus::Failed => false,
        }
    }
}
