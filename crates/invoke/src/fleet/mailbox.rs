//! The way to one environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lambkin_model::provisioned::Initialization;
use tokio::sync::mpsc;

use crate::assignment::Assignment;
use crate::memory::Room;

/// What an environment is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Run this.
    Assign(Box<Assignment>),
    /// Go.
    Retire,
}

/// Where an environment is reached. Its mailbox holds two: it is given one invocation at a time,
/// and at most one retirement follows; more would be a bug and panics.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    pub(crate) sender: mpsc::Sender<Message>,
    /// What its environment counts of the machine's memory.
    pub(crate) room: Arc<Room>,
    /// Why it was started: only what was started to be kept is kept.
    pub(crate) initialization: Initialization,
    /// Whether it is counted among those that go.
    leaving: Arc<AtomicBool>,
}

impl Mailbox {
    pub(crate) const CAPACITY: usize = 2;

    pub(crate) fn new(
        sender: mpsc::Sender<Message>,
        room: Arc<Room>,
        initialization: Initialization,
    ) -> Self {
        Self { sender, room, initialization, leaving: Arc::default() }
    }

    pub(super) fn send(&self, message: Message) {
        if matches!(message, Message::Retire) {
            self.room.leaves();
        }
        match self.sender.try_send(message) {
            Ok(()) => {}
            // The environment's task is gone, as at a shutdown: dropping the message answers it.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                unreachable!("an environment has one invocation at a time")
            }
        }
    }

    /// Those that are kept stay.
    pub(super) fn may_go(&self) -> bool {
        self.initialization == Initialization::OnDemand
    }

    /// Whether it is counted among those that go.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Counts it among those that go; whether it was not yet.
    pub(super) fn leaves(&self) -> bool {
        !self.leaving.swap(true, Ordering::Relaxed)
    }
}
