//! What happened to events since lambkin started, by function: for people (`lambkin events`) and for the
//! exporter of metrics.
//!
//! Deliberately not here: what waits now, which the queues know.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use lambkin_model::metric::{FunctionMetric, Metrics, NoMetrics, Subject};
use lambkin_model::name::{FunctionKey, FunctionReference};
use lambkin_model::time::Timestamp;
use serde::Serialize;

/// Of everything.
pub struct Counters {
    /// Bounded by the functions that had events.
    functions: RwLock<HashMap<FunctionKey, Arc<FunctionCounters>>>,
    /// Deliveries to elsewhere.
    pub outbound: OutboundCounters,
    metrics: Arc<dyn Metrics>,
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(Arc::new(NoMetrics))
    }
}

/// Of one function.
#[derive(Debug, Default)]
pub struct FunctionCounters {
    /// Events that were taken (202).
    pub received: AtomicU64,
    /// Attempts that are running now.
    pub running: AtomicU64,
    /// Events that succeeded.
    pub succeeded: AtomicU64,
    /// Attempts that are tried again later.
    pub retried: AtomicU64,
    /// Attempts that found no concurrency.
    pub throttled: AtomicU64,
    /// Events that ended without success: AWS's `AsyncEventsDropped`.
    pub dropped: AtomicU64,
    /// Those of them that went to a dead-letter queue.
    pub dead_lettered: AtomicU64,
    /// Records that went to destinations.
    pub recorded: AtomicU64,
    /// Those of the dropped that went in circles: AWS's `RecursiveInvocationsDropped`.
    pub recursive: AtomicU64,
    /// Dead letters and records that wait for their target to come back.
    pub undelivered: AtomicU64,
    /// Those that were given up: AWS's `DestinationDeliveryFailures` and `DeadLetterErrors` together.
    pub delivery_failures: AtomicU64,
}

/// Of deliveries to services elsewhere, of all places together.
#[derive(Debug, Default)]
pub struct OutboundCounters {
    /// Those that were taken.
    pub sent: AtomicU64,
    /// Tries that are repeated.
    pub retried: AtomicU64,
    /// Those that were given up.
    pub given_up: AtomicU64,
}

/// The same at one moment, and those that wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "as OutboundCounters")]
pub struct OutboundCounted {
    /// Not sent yet, or to be tried again.
    pub waiting: u64,
    pub sent: u64,
    pub retried: u64,
    pub given_up: u64,
}

impl OutboundCounters {
    /// At this moment, while so many wait.
    #[must_use]
    pub fn counted(&self, waiting: u64) -> OutboundCounted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OutboundCounted {
            waiting,
            sent: read(&self.sent),
            retried: read(&self.retried),
            given_up: read(&self.given_up),
        }
    }
}

/// [`FunctionCounters`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "as FunctionCounters")]
pub struct Counted {
    pub received: u64,
    pub running: u64,
    pub succeeded: u64,
    pub retried: u64,
    pub throttled: u64,
    pub dropped: u64,
    pub dead_lettered: u64,
    pub recorded: u64,
    pub recursive: u64,
    pub undelivered: u64,
    pub delivery_failures: u64,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One less.
pub(crate) fn uncount(counter: &AtomicU64) {
    // Never below zero: what waited since before the start was not counted.
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1));
}

impl Counters {
    /// What is a metric of AWS's is told to these.
    #[must_use]
    pub fn new(metrics: Arc<dyn Metrics>) -> Self {
        Self { functions: RwLock::default(), outbound: OutboundCounters::default(), metrics }
    }

    /// Measures something of a function's events.
    pub(crate) fn measure(&self, at: Timestamp, of: &FunctionReference, metric: FunctionMetric, value: f64) {
        let subject = Subject::Function { key: &of.key, qualifier: of.qualifier.as_deref(), version: None };
        self.metrics.record(at, subject, &[(metric, value)]);
    }

    /// The function's.
    pub fn of(&self, key: &FunctionKey) -> Arc<FunctionCounters> {
        if let Some(found) = self.functions.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Arc::clone(found);
        }
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(functions.entry(key.clone()).or_default())
    }

    /// All of them, in order of functions.
    #[must_use]
    pub fn all(&self) -> Vec<(FunctionKey, Counted)> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            functions.iter().map(|(key, counters)| (key.clone(), counters.counted())).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

impl FunctionCounters {
    /// At this moment.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            received: read(&self.received),
            running: read(&self.running),
            succeeded: read(&self.succeeded),
            retried: read(&self.retried),
            throttled: read(&self.throttled),
            dropped: read(&self.dropped),
            dead_lettered: read(&self.dead_lettered),
            recorded: read(&self.recorded),
            recursive: read(&self.recursive),
            undelivered: read(&self.undelivered),
            delivery_failures: read(&self.delivery_failures),
        }
    }
}
