//! Stops what runs in a jail beside its JavaScript (timers' threads, workers, children) when its
//! environment has been idle for a moment, so that back-to-back invocations never pay for it.
//!
//! The JavaScript itself stops at once: between invocations the bootstrap waits in a read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::shell::Shell;
use crate::cgroup::Limits;

/// One process of a jail, frozen or not.
pub(super) struct Frozen {
    shell: Arc<Shell>,
    run: u64,
    /// What the function may use once its init is over.
    limits: Limits,
    state: Mutex<State>,
    /// It goes on after it was frozen.
    thawed: Notify,
    queue: Arc<Queue>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    /// It is in the queue, whatever its phase is.
    queued: bool,
    /// Its limits are in force: its init is over.
    limited: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Running,
    /// Idle; frozen at this time.
    Soon(Instant),
    Frozen,
    /// Its process has ended, or is to: init must not be frozen by it any more.
    Over,
}

/// Those that are to be frozen, about in the order of their times.
struct Queue {
    after: Duration,
    waiting: Mutex<VecDeque<(Instant, Weak<Frozen>)>>,
    more: Notify,
}

/// Freezes environments after they have been idle for a time. Cheap to clone.
#[derive(Clone)]
pub(super) struct Freezer(Arc<Queue>);

impl Freezer {
    pub(super) fn new(after: Duration) -> Self {
        Self(Arc::new(Queue { after, waiting: Mutex::default(), more: Notify::new() }))
    }

    pub(super) fn adopt(&self, shell: &Arc<Shell>, run: u64, limits: Limits) -> Arc<Frozen> {
        Arc::new(Frozen {
            shell: Arc::clone(shell),
            run,
            limits,
            state: Mutex::default(),
            thawed: Notify::new(),
            queue: Arc::clone(&self.0),
        })
    }

    /// Never ends by itself.
    pub(super) async fn keep(self) {
        loop {
            match self.0.next() {
                None => self.0.more.notified().await,
                Some((at, _)) if at > Instant::now() => tokio::time::sleep_until(at.into()).await,
                Some((_, frozen)) => {
                    self.0.lock().pop_front();
                    if let Some(frozen) = frozen.upgrade() {
                        frozen.due();
                    }
                }
            }
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Weak<Frozen>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<(Instant, Weak<Frozen>)> {
        self.lock().front().cloned()
    }

    fn push(&self, at: Instant, frozen: Weak<Frozen>) {
        let mut waiting = self.lock();
        waiting.push_back((at, frozen));
        if waiting.len() == 1 {
            self.more.notify_one();
        }
    }
}

impl Frozen {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its environment is idle from now on.
    pub(super) fn freeze_soon(self: &Arc<Self>) {
        let at = Instant::now() + self.queue.after;
        let mut state = self.lock();
        if state.phase == Phase::Over {
            return;
        }
        if !state.limited {
            state.limited = true;
            self.shell.limit_from_now_on(&self.limits);
        }
        state.phase = Phase::Soon(at);
        if !state.queued {
            state.queued = true;
            self.queue.push(at, Arc::downgrade(self));
        }
    }

    /// It may run again when this returns.
    pub(super) fn thaw(&self) {
        self.leave(Phase::Running);
    }

    /// It has ended or is to end, and is never frozen again: the next run in this jail may have begun.
    pub(super) fn over(&self) {
        self.leave(Phase::Over);
    }

    fn leave(&self, to: Phase) {
        let mut state = self.lock();
        match state.phase {
            Phase::Frozen => {
                self.shell.thaw(self.run);
                self.thawed.notify_one();
            }
            Phase::Running | Phase::Soon(_) => {}
            Phase::Over => return,
        }
        state.phase = to;
    }

    /// Answers as soon as it is not frozen.
    pub(super) async fn thawed(&self) {
        while self.lock().phase == Phase::Frozen {
            self.thawed.notified().await;
        }
    }

    /// The time is over that it was queued for.
    fn due(self: &Arc<Self>) {
        let mut state = self.lock();
        match state.phase {
            Phase::Soon(at) if at > Instant::now() => self.queue.push(at, Arc::downgrade(self)),
            Phase::Soon(_) => {
                state.queued = false;
                state.phase = Phase::Frozen;
                self.shell.freeze(self.run);
            }
            Phase::Running | Phase::Frozen | Phase::Over => state.queued = false,
        }
    }
}
