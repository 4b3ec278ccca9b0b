//! Environments of a version that are kept initialised, whether or not it is invoked: how many are asked
//! for, why they are not there, and how many environments there may be in all.
//!
//! Deliberately not here: who asks (`model::kept`). Nor permits: an invocation needs its own wherever it runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use lambkin_model::kept::{Keep, KeepFailure};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

/// After a failure this long nothing is started for keeping: an init that fails must not be run
/// over and over.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(10);

/// One version's. Shared by its fleets, of which the last is the one that is kept.
#[derive(Debug)]
pub(crate) struct Keeping {
    asked: Mutex<Keep>,
    /// As `asked` says it.
    requested: AtomicUsize,
    provisioned: AtomicUsize,
    most: AtomicUsize,
    /// Kept environments that run an invocation.
    busy: AtomicUsize,
    failure: Mutex<Option<(Instant, KeepFailure)>>,
    /// Wakes who starts what is missing.
    wake: Arc<Notify>,
}

/// An invocation in a kept environment.
#[derive(Debug)]
pub(crate) struct KeptRun {
    keeping: Arc<Keeping>,
    /// It began as one of those that are provisioned, which come before those that a minimum keeps.
    pub(crate) is_provisioned: bool,
}

impl Drop for KeptRun {
    fn drop(&mut self) {
        self.keeping.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Keeping {
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        let (requested, provisioned, busy) = Default::default();
        let (most, asked, failure) = (AtomicUsize::new(usize::MAX), Mutex::default(), Mutex::default());
        Self { asked, requested, provisioned, most, busy, failure, wake }
    }

    /// A kept environment runs an invocation, until this is dropped.
    pub(crate) fn run(self: &Arc<Self>) -> KeptRun {
        let before = self.busy.fetch_add(1, Ordering::Relaxed);
        KeptRun { keeping: Arc::clone(self), is_provisioned: before < self.provisioned() }
    }

    /// Provisioned environments that run one now.
    pub(crate) fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed).min(self.provisioned())
    }

    /// How many are to be kept.
    pub(crate) fn requested(&self) -> usize {
        self.requested.load(Ordering::Relaxed)
    }

    /// Those of them that are provisioned.
    pub(crate) fn provisioned(&self) -> usize {
        self.provisioned.load(Ordering::Relaxed)
    }

    /// Most environments of the version, kept or not.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// What the head says now; `None`: nothing.
    pub(crate) fn request(&self, keep: Option<&Keep>) {
        let keep = keep.copied().unwrap_or_default();
        self.requested.store(keep.count() as usize, Ordering::Relaxed);
        self.provisioned.store(keep.provisioned as usize, Ordering::Relaxed);
        self.most.store(keep.max.map_or(usize::MAX, |max| max as usize), Ordering::Relaxed);
        let before = {
            let mut asked = self.asked.lock().expect("no code panics under this lock");
            std::mem::replace(&mut *asked, keep)
        };
        // Asked anew, it is tried anew.
        if before != keep {
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
        *self.last_failure() = failure;
    }

    /// Why what is asked for is not there.
    pub(crate) fn failure(&self) -> Option<KeepFailure> {
        let last = self.last_failure().as_ref().map(|(_, failure)| failure.clone());
        last.or_else(|| self.asked.lock().expect("no code panics under this lock").shortage())
    }

    /// The last failure is long enough ago.
    pub(crate) fn may_start(&self) -> bool {
        self.last_failure().as_ref().is_none_or(|(at, _)| at.elapsed() >= RETRY_AFTER)
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<(Instant, KeepFailure)>> {
        self.failure.lock().expect("no code panics under this lock")
    }
}
