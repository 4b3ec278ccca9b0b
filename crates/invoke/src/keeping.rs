//! Environments that a function keeps initialised, whether or not it is invoked: how many are asked
//! for, and why they are not there. The mechanism of provisioned concurrency.
//!
//! Deliberately not here: who asks. Nor permits: an invocation needs its own wherever it runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

/// After a failure this long nothing is started for keeping: an init that fails must not be run
/// over and over.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(10);

/// What is there of the environments that are to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// How many were asked for.
    pub requested: usize,
    /// Those that are initialised, running ones among them; at most `requested`.
    pub allocated: usize,
    /// Those of them that could take an invocation now.
    pub available: usize,
    /// Why the last start failed, until one succeeds.
    pub failure: Option<KeepFailure>,
}

/// Why an environment could not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepFailure {
    /// The function's own init failed: AWS's `FUNCTION_ERROR_INIT_FAILURE`.
    Init,
    /// The platform could not make it.
    Platform(String),
}

/// One function's. Shared by its fleets, of which the last is the one that is kept.
#[derive(Debug)]
pub(crate) struct Keeping {
    requested: AtomicUsize,
    failure: Mutex<Option<(Instant, KeepFailure)>>,
    /// Wakes who starts what is missing.
    wake: Arc<Notify>,
}

impl Keeping {
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        Self { requested: AtomicUsize::new(0), failure: Mutex::default(), wake }
    }

    pub(crate) fn requested(&self) -> usize {
        self.requested.load(Ordering::Relaxed)
    }

    pub(crate) fn request(&self, count: usize) {
        self.requested.store(count, Ordering::Relaxed);
        // Asked anew, it is tried anew.
        self.started(None);
        self.wake.notify_one();
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
