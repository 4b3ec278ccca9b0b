//! Environments of a version that are kept initialised, whether or not it is invoked: how many are asked
//! for, and why they are not there.
//!
//! Deliberately not here: what provisioned concurrency is (`model::provisioned`). Nor permits: an invocation needs its
//! own wherever it runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lambkin_model::provisioned::{KeepFailure, Provisioned};
use lambkin_model::time::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

/// After a failure this long nothing is started for keeping: an init that fails must not be run
/// over and over.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(10);

/// One version's. Shared by its fleets, of which the last is the one that is kept.
#[derive(Debug)]
pub(crate) struct Keeping {
    requested: AtomicUsize,
    /// Kept environments that run an invocation.
    busy: AtomicUsize,
    /// When a caller last asked.
    asked: Mutex<Timestamp>,
    failure: Mutex<Option<(Instant, KeepFailure)>>,
    /// Wakes who starts what is missing.
    wake: Arc<Notify>,
}

/// An invocation in a kept environment.
#[derive(Debug)]
pub(crate) struct KeptRun(Arc<Keeping>);

impl Drop for KeptRun {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Keeping {
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        let (requested, busy) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { requested, busy, asked: Mutex::default(), failure: Mutex::default(), wake }
    }

    /// A kept environment runs an invocation, until this is dropped.
    pub(crate) fn run(self: &Arc<Self>) -> KeptRun {
        self.busy.fetch_add(1, Ordering::Relaxed);
        KeptRun(Arc::clone(self))
    }

    /// Kept environments that run one now, at most as many as were asked for.
    pub(crate) fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed).min(self.requested())
    }

    pub(crate) fn requested(&self) -> usize {
        self.requested.load(Ordering::Relaxed)
    }

    /// What the head says now; `None`: nothing.
    pub(crate) fn request(&self, provisioned: Option<&Provisioned>) {
        let count = provisioned.map_or(0, |provisioned| provisioned.requested as usize);
        let asked = provisioned.map_or(Timestamp(0), |provisioned| provisioned.last_modified);
        let before = self.requested.swap(count, Ordering::Relaxed);
        let again = {
            let mut last = self.asked.lock().expect("no code panics under this lock");
            std::mem::replace(&mut *last, asked) != asked
        };
        // Asked anew, it is tried anew.
        if count != before || again {
            self.started(None);
        }
        self.stir();
    }

    /// Something is missing, perhaps.
    pub(crate) fn stir(&self) {
        if self.requested() > 0 {
            self.wake.notify_one();
        }
    }

    /// How a start went.
    pub(crate) fn started(&self, failure: Option<KeepFailure>) {
        let failure = failure.map(|failure| (Instant::now(), failure));
        *self.failure.lock().expect("no code panics under this lock") = failure;
    }

    pub(crate) fn failure(&self) -> Option<KeepFailure> {
        let failure = self.failure.lock().expect("no code panics under this lock");
        failure.as_ref().map(|(_, failure)| failure.clone())
    }

    /// The last failure is long enough ago.
    pub(crate) fn may_start(&self) -> bool {
        let failure = self.failure.lock().expect("no code panics under this lock");
        failure.as_ref().is_none_or(|(at, _)| at.elapsed() >= RETRY_AFTER)
    }
}
