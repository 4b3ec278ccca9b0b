//! How many inits run at once. Whoever has a turn may start a process; boots ahead of demand take one
//! only where nobody else has one, so that they never hold up an invocation.

use std::sync::Arc;

use lambkin_model::time::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::capture;

pub(crate) struct Gate {
    inits: usize,
    turns: Arc<Semaphore>,
    /// A turn ended.
    ended: Notify,
}

/// One of the inits that may run at once.
pub(crate) struct Turn {
    gate: Arc<Gate>,
    permit: Option<OwnedSemaphorePermit>,
    /// When it came.
    pub(crate) at: Timestamp,
}

impl Gate {
    pub(crate) fn new(inits: usize) -> Self {
        Self { inits, turns: Arc::new(Semaphore::new(inits)), ended: Notify::new() }
    }

    /// In the order of asking. The one who has it ends it: its wait is bounded by theirs.
    pub(crate) async fn turn(self: &Arc<Self>) -> Turn {
        // It is never closed.
        let permit = Arc::clone(&self.turns).acquire_owned().await.ok();
        Turn { gate: Arc::clone(self), permit, at: capture::now() }
    }

    /// Those that run now, and most of them.
    pub(crate) fn running(&self) -> (usize, usize) {
        (self.inits.saturating_sub(self.turns.available_permits()), self.inits)
    }

    /// Where nobody has one.
    pub(crate) fn turn_if_idle(self: &Arc<Self>) -> Option<Turn> {
        if self.turns.available_permits() < self.inits {
            return None;
        }
        let permit = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        Some(Turn { gate: Arc::clone(self), permit: Some(permit), at: capture::now() })
    }

    /// Answers after a turn ended, also where that was before. For one to wait.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.gate.ended.notify_one();
    }
}
