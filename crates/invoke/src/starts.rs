//! How environments began, counted by function: what was ready for them.
//!
//! Deliberately not here: what is made ahead, and how much of it (`pool`; shells are the sandbox's).

use std::sync::atomic::{AtomicU64, Ordering};

use lambkin_model::provisioned::Initialization;

/// What was ready when an environment was to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// Nothing.
    Nothing,
    /// A sandbox without a process.
    Sandbox,
    /// A booted process, in its sandbox.
    Process,
}

impl Level {
    pub(crate) const ALL: [Self; 3] = [Self::Nothing, Self::Sandbox, Self::Process];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "L0",
            Self::Sandbox => "L1",
            Self::Process => "L2",
        }
    }
}

/// A function's, since lambkin started or the function was made.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    /// Starts that an invocation waited for, by level.
    cold: [AtomicU64; 3],
    /// Invocations that found an environment of theirs.
    warm: AtomicU64,
    /// Starts ahead of invocations.
    provisioned: AtomicU64,
}

impl Starts {
    pub(crate) fn started(&self, level: Level, initialization: Initialization) {
        match initialization {
            Initialization::OnDemand => count(&self.cold[level as usize]),
            Initialization::Provisioned => count(&self.provisioned),
        }
    }

    pub(crate) fn warm(&self) {
        count(&self.warm);
    }

    pub(crate) fn counted(&self) -> Started {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Started {
            cold: Level::ALL.map(|level| (level, read(&self.cold[level as usize]))),
            warm: read(&self.warm),
            provisioned: read(&self.provisioned),
        }
    }
}

/// [`Starts`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Started {
    pub(crate) cold: [(Level, u64); 3],
    pub(crate) warm: u64,
    pub(crate) provisioned: u64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
