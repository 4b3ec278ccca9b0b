//! One function's events: takes them in batches, runs as many at once as is of use, and decides what
//! becomes of each. There is a worker for every function that has events, waiting ones among them.
//!
//! Deliberately not here: which functions have events (`dispatcher`), and the rules of retries (`model`).

mod ends;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::catalog::{Head, Stored};
use lambkin_model::event_invoke::{Condition, EventInvokeConfig, Progress, RetryPolicy};
use lambkin_model::invocation::RequestId;
use lambkin_model::metric::FunctionMetric;
use lambkin_model::queue::{Handle, Lease, QueueError, QueueName, Receive, Received};
use lambkin_model::time::Timestamp;
use lambkin_model::trace::TraceContext;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, mpsc, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;

use super::attempt::{Tried, attempt, gone, zero_concurrency};
use super::pace::Pace;
use super::settling::Decision;
use super::{Shared, elapsed};
use crate::asynchronous::{dead_letter, identity};
use crate::counters::count;
use crate::destination::Response;
use crate::event::Event;
use crate::spans;

/// How long a worker without events stays.
const QUIET: Duration = Duration::from_secs(5);
/// The same where events wait for their retries.
const WAITING: Duration = Duration::from_secs(60);
/// Most events that one worker holds beyond those that run. It takes more when half of them are left, so that
/// what runs does not wait while the store syncs.
const BATCH: usize = 256;
/// Bytes of events that one worker holds beyond those that run.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
/// What an event is taken to have before one was seen.
const FIRST_SIZE: usize = 256 * 1024;
/// Traced events whose waits are known to be new ones; of others the whole time since they were sent is told.
const WAITS: usize = 1024;
/// Pauses after the queues could not be read.
const PAUSE: Duration = Duration::from_secs(1);
/// An event that cannot be read is looked at again after this time: a newer lambkin may be there by then.
const UNREADABLE: Duration = Duration::from_secs(300);

/// An event that this process has taken.
struct Held {
    received: Received,
    event: Event,
    /// What the door last said, where it was shut.
    refusal: Option<Response>,
}

type Receiving<'q> = Pending<'q, Result<Vec<Received>, QueueError>>;
type Acquiring = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;
type Ended = Result<(task::Id, (Held, Tried)), JoinError>;

pub(super) struct Worker {
    shared: Arc<Shared>,
    queue: QueueName,
    decisions: mpsc::Sender<Decision>,
    stop: watch::Receiver<bool>,
    changes: watch::Receiver<u64>,
    /// At most `BATCH`, and those that the door sent back.
    buffer: VecDeque<Held>,
    /// The right to hold more than one.
    prefetch: Option<OwnedSemaphorePermit>,
    /// Bytes of the largest event of the last batch.
    size: usize,
    running: JoinSet<(Held, Tried)>,
    /// To give back what a panic took along.
    handles: HashMap<task::Id, (Handle, Progress)>,
    /// When traced events began to wait for their next attempt; at most `WAITS`.
    waits: HashMap<RequestId, Timestamp>,
    pace: Pace,
    told_of_deletion: bool,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        queue: QueueName,
        decisions: mpsc::Sender<Decision>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let pace = Pace::new(Instant::now(), shared.config.concurrency);
        let changes = shared.changes.subscribe();
        let (buffer, handles, waits) = Default::default();
        let running = JoinSet::new();
        Self {
            shared,
            queue,
            decisions,
            stop,
            changes,
            buffer,
            prefetch: None,
            size: FIRST_SIZE,
            running,
            handles,
            waits,
            pace,
            told_of_deletion: false,
        }
    }

    /// Until the function has no more events, or lambkin stops: what runs then is waited for.
    pub(super) async fn run(mut self) {
        let queues = Arc::clone(&self.shared.ports.queues);
        let mut receiving: Option<Receiving<'_>> = None;
        let mut acquiring: Option<Acquiring> = None;
        let mut wait = QUIET;
        while !*self.stop.borrow() {
            while self.may_start()
                && let Ok(slot) = Arc::clone(&self.shared.slots).try_acquire_owned()
            {
                self.start(slot).await;
            }
            if !self.may_start() {
                acquiring = None;
            } else if acquiring.is_none() {
                acquiring = Some(Box::pin(Arc::clone(&self.shared.slots).acquire_owned()));
            }
            let paused = self.pace.paused(Instant::now());
            if paused.is_some() {
                self.sweep().await;
            }
            if receiving.is_none() && self.wants_more(paused.is_some()) {
                let ask = Receive { max: self.batch(), lease: Lease::Held, wait };
                receiving = Some(queues.receive(&self.queue, ask));
            }
            let wake = paused.map(|resume| self.first_expiry().map_or(resume, |expiry| expiry.min(resume)));
            tokio::select! {
                biased;
                _ = self.stop.changed() => {}
                received = ready(&mut receiving) => {
                    receiving = None;
                    match received {
                        Ok(batch) if batch.is_empty() => match self.rest().await {
                            Some(next) => wait = next,
                            None => return,
                        },
                        Ok(batch) => {
                            wait = QUIET;
                            self.take(batch).await;
                        }
                        Err(error) => {
                            tracing::error!(%error, queue = %self.queue, "events cannot be read; they stay where they are");
                            tokio::time::sleep(PAUSE).await;
                        }
                    }
                }
                slot = ready(&mut acquiring) => {
                    acquiring = None;
                    // The semaphore is never closed.
                    if let Ok(slot) = slot {
                        self.start(slot).await;
                    }
                }
                Some(ended) = self.running.join_next_with_id(), if !self.running.is_empty() => {
                    self.ended(ended).await;
                }
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)),
                    if wake.is_some() && !self.buffer.is_empty() => {}
                Ok(()) = self.changes.changed(), if paused.is_some() => self.pace.resume(),
            }
        }
        drop(receiving);
        // What was taken and not begun is on disk as it was.
        self.buffer.clear();
        while let Some(ended) = self.running.join_next_with_id().await {
            self.ended(ended).await;
        }
    }

    fn may_start(&self) -> bool {
        !self.buffer.is_empty()
            && self.running.len() < self.pace.window()
            && self.pace.paused(Instant::now()).is_none()
    }

    fn wants_more(&self, paused: bool) -> bool {
        self.buffer.is_empty() || (!paused && self.buffer.len() < self.most() / 2)
    }

    /// How many it may hold: one, or what fits where there is room for batches.
    fn most(&self) -> usize {
        match self.prefetch {
            Some(_) => (BATCH_BYTES / self.size.max(1)).clamp(1, BATCH),
            None => 1,
        }
    }

    /// How many to take.
    fn batch(&mut self) -> usize {
        if self.prefetch.is_none() {
            self.prefetch = Arc::clone(&self.shared.prefetch).try_acquire_owned().ok();
        }
        self.most().saturating_sub(self.buffer.len()).max(1)
    }

    /// Nothing came for a while. How long to wait for more, or `None`: the worker is not needed any more.
    async fn rest(&mut self) -> Option<Duration> {
        self.prefetch = None;
        if !self.running.is_empty() || !self.buffer.is_empty() {
            return Some(QUIET);
        }
        if self.shared.roster.arrived(&self.queue) {
            return Some(QUIET);
        }
        match self.shared.ports.queues.counts(&self.queue).await {
            Ok(counts) if counts.visible == 0 && counts.in_flight == 0 && counts.delayed == 0 => {
                // What arrived since then is seen by the roster.
                if self.shared.roster.leave(&self.queue) { None } else { Some(QUIET) }
            }
            Ok(_) => Some(WAITING),
            Err(error) => {
                tracing::warn!(%error, queue = %self.queue, "the backlog cannot be counted");
                Some(WAITING)
            }
        }
    }

    async fn take(&mut self, batch: Vec<Received>) {
        self.size = batch.iter().map(|received| received.content.len()).max().unwrap_or_default();
        for received in batch {
            match Event::decode(&received.content) {
                Ok(event) => self.buffer.push_back(Held { received, event, refusal: None }),
                Err(reason) => {
                    tracing::error!(queue = %self.queue, reason, "an event cannot be read; it stays where it is");
                    self.decide(Decision::Release(received.handle, UNREADABLE, received.mark)).await;
                }
            }
        }
    }

    /// The function, where it is still the one that the events were sent to.
    fn head(&self, event: &Event) -> Option<Arc<Stored<Head>>> {
        let head = self.shared.ports.catalog.head(&event.function.key)?;
        (head.record.identity == identity(&self.queue)).then_some(head)
    }

    /// Of the version that the event's qualifier stands for. Where there is none any more, what was there when the
    /// event was taken.
    fn dead_letter(&self, event: &Event, head: &Arc<Stored<Head>>) -> Option<String> {
        match head.record.version(event.function.qualifier.as_deref()) {
            Some(version) => dead_letter(&*self.shared.ports.catalog, head, version),
            None => event.dead_letter.clone(),
        }
    }

    fn policy(&self, config: Option<&EventInvokeConfig>) -> RetryPolicy {
        RetryPolicy::new(config, self.shared.config.retry_scale)
    }

    async fn start(&mut self, slot: OwnedSemaphorePermit) {
        let Some(held) = self.buffer.pop_front() else { return };
        if self.buffer.is_empty() && self.running.len() + 1 < self.pace.window() {
            self.pace.starved();
        }
        let Some(head) = self.head(&held.event) else {
            if !self.told_of_deletion {
                self.told_of_deletion = true;
                tracing::warn!(function = %held.event.function.key, "the function was deleted; its events end as failed");
            }
            let tried = gone(&held.event);
            return self.over(held, None, tried, Condition::RetriesExhausted).await;
        };
        let config = head.record.event_invoke.get(held.event.qualifier());
        let policy = self.policy(config);
        if policy.is_too_old(self.age(&held)) {
            return self.expired(held, &head).await;
        }
        if head.record.reserved_concurrency == Some(0) {
            let wanted = config.is_some_and(|config| config.on_failure.is_some())
                || self.dead_letter(&held.event, &head).is_some();
            if wanted {
                let condition = Condition::ZeroReservedConcurrency;
                return self.over(held, Some(&head), zero_concurrency(), condition).await;
            }
            // AWS would drop it. Here it waits, as it may be run after all before it is too old.
            count(&self.shared.counters(&held.event).throttled);
            self.pace.refused(Instant::now(), |refusals| policy.hold(refusals));
            self.buffer.push_front(held);
            return;
        }
        count(&self.shared.counters(&held.event).running);
        self.measure(&held.event, FunctionMetric::AsyncEventAge, self.age(&held).as_secs_f64() * 1000.0);
        self.tell_wait(&held);
        let invoke = Arc::clone(&self.shared.ports.invoke);
        let given = (held.received.handle.clone(), Progress::of(held.received.mark));
        let running = self.running.spawn(async move {
            let tried = attempt(&*invoke, &held.event).await;
            drop(slot);
            (held, tried)
        });
        self.handles.insert(running.id(), given);
    }

    /// Where its trace is recorded: until when it waited.
    fn tell_wait(&mut self, held: &Held) {
        let Held { received, event, .. } = held;
        let ports = &self.shared.ports;
        if !ports.traces.records() {
            return;
        }
        let from = self.waits.remove(&event.request_id).unwrap_or(received.sent);
        let attempt = u32::from(Progress::of(received.mark).errors) + 1;
        let time = (from, (ports.ambient.now)());
        spans::waited(
            &*ports.traces,
            event.trace_id.as_deref(),
            &event.function,
            event.request_id,
            attempt,
            time,
        );
    }

    fn begin_wait(&mut self, event: &Event) {
        let ports = &self.shared.ports;
        if ports.traces.records()
            && self.waits.len() < WAITS
            && event.trace_id.as_deref().and_then(TraceContext::recorded).is_some()
        {
            self.waits.insert(event.request_id, (ports.ambient.now)());
        }
    }

    fn age(&self, held: &Held) -> Duration {
        elapsed(held.received.sent, (self.shared.ports.ambient.now)())
    }

    async fn decide(&self, decision: Decision) {
        // It has gone only where a shutdown's grace is over: the event runs again then.
        if self.decisions.send(decision).await.is_err() {
            tracing::warn!(queue = %self.queue, "an event's end came too late to be written; it will run again");
        }
    }
}

/// The future there is; for ever where there is none.
async fn ready<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
