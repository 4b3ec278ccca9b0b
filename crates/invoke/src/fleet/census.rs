//! How many environments a fleet has, and in which state each is.

use std::collections::VecDeque;
use std::ops::AddAssign;

use lambkin_model::provisioned::Initialization;
use tokio::time::Instant;

use super::Mailbox;
use crate::assignment::Assignment;

/// How many environments of a fleet are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// They start, or their process is being replaced.
    pub(crate) starting: usize,
    /// They wait for an invocation.
    pub(crate) idle: usize,
    /// They run one.
    pub(crate) busy: usize,
    /// They end.
    pub(crate) leaving: usize,
    /// Bytes that all of them count.
    pub(crate) memory: u64,
}

impl AddAssign for Census {
    fn add_assign(&mut self, other: Self) {
        self.starting += other.starting;
        self.idle += other.idle;
        self.busy += other.busy;
        self.leaving += other.leaving;
        self.memory += other.memory;
    }
}

/// What a fleet has; behind its lock.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Most recently used last.
    pub(super) idle: Vec<(Mailbox, Instant)>,
    /// Bounded by the permits: each waiting invocation holds one.
    pub(super) waiting: VecDeque<Box<Assignment>>,
    pub(super) starting: usize,
    /// Environments, from when they are to start until they are gone.
    pub(super) live: usize,
    /// Those of them that were told to go, or go by themselves.
    pub(super) leaving: usize,
    /// Environments that are kept, starting ones among them, but not those that were told to go.
    pub(super) kept: usize,
    /// Those of them that have not started yet.
    pub(super) kept_starting: usize,
    pub(super) retired: bool,
}

impl State {
    /// An environment was told to go, or is gone.
    pub(super) fn left(&mut self, mailbox: &Mailbox) {
        if mailbox.initialization == Initialization::Provisioned {
            self.kept = self.kept.saturating_sub(1);
        }
    }

    /// An environment goes.
    pub(super) fn leaves(&mut self, mailbox: &Mailbox) {
        if mailbox.leaves() {
            self.leaving += 1;
        }
    }

    /// Kept environments that are more than `requested`.
    pub(super) fn surplus(&self, requested: usize) -> usize {
        self.kept.saturating_sub(requested)
    }

    /// Environments that were not told to go.
    pub(super) fn staying(&self) -> usize {
        self.live.saturating_sub(self.leaving)
    }

    /// Where an idle environment is that may go, the least recently used first.
    pub(super) fn spare(&self) -> Option<usize> {
        self.idle.iter().position(|(mailbox, _)| mailbox.may_go())
    }
}
