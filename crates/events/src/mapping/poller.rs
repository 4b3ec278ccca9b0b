//! The poller of one enabled mapping: gathers batches, one after the other, and runs several at once.
//!
//! A queue of this machine answers at once where it has something, so one receiver feeds all batches. On
//! a FIFO queue nothing more of a group is received while a message of it is held, which is what keeps
//! its order however many batches run.
//!
//! Deliberately not here: when there is a poller (`supervisor`), what happens to a batch (`run`).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_model::function::State;
use lambkin_model::mapping::Mapping;
use lambkin_model::mapping::record::SourceMessage;
use lambkin_model::mapping::scale::Scale;
use lambkin_model::metric::{FunctionMetric, Subject};
use lambkin_model::pattern::Pattern;
use lambkin_model::quota::INVOKE_PAYLOAD_BYTES;
use lambkin_model::record::ResourceKey;
use lambkin_model::time::Moment;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::hold::Hold;
use super::run::{self, Ended};
use super::source::{SourceError, SourceQueue};
use super::{Ports, Problems, queue_key};

/// AWS's long poll.
const LONG_POLL: Duration = Duration::from_secs(20);
/// Most messages of one receive, as SQS has it.
const RECEIVE: usize = 10;
/// How long to wait before looking again for a queue or a function that is not there, or after an error.
const RETRY: Duration = Duration::from_secs(1);

/// What a poller and its batches share.
pub(super) struct Poll {
    pub(super) ports: Ports,
    problems: Arc<Problems>,
    scale: Mutex<Scale>,
    began: Instant,
    /// `true`: nothing is received any more.
    stop: watch::Receiver<bool>,
}

/// A poller, to be run by its task.
pub(super) struct Poller {
    poll: Arc<Poll>,
    mapping: watch::Receiver<Arc<Mapping>>,
    surroundings: watch::Receiver<()>,
    /// The patterns of `filtered`'s filters.
    filters: Vec<Pattern>,
    filtered: Vec<String>,
}

/// What gathering came to.
enum Gathered {
    /// Messages, or none where something changed.
    Batch(Hold),
    Problem(String),
}

impl Poll {
    pub(super) fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    pub(super) async fn stopped(&self) {
        // An error is that nobody could say it any more.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    pub(super) fn throttled(&self) {
        let now = self.now();
        self.scale(|scale| scale.throttled(now));
    }

    /// Counts so many messages, where the mapping has metrics of its own.
    pub(super) fn count(&self, mapping: &Mapping, metric: FunctionMetric, messages: usize) {
        if mapping.settings.event_counts {
            let now = (self.ports.ambient.now)();
            self.ports.metrics.record(now, Subject::Mapping(&mapping.key), &[(metric, messages as f64)]);
        }
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn scale<T>(&self, act: impl FnOnce(&mut Scale) -> T) -> T {
        act(&mut self.scale.lock().expect("no code panics under this lock"))
    }

    /// The queue, where there is sense in receiving from it now.
    fn look(&self, mapping: &Mapping, queue: &ResourceKey) -> Result<SourceQueue, String> {
        self.function(mapping)?;
        let found = self.ports.source.queue(queue);
        found.ok_or_else(|| receive_problem(&SourceError::NoQueue))
    }

    /// Whether the function can be run. While it cannot, receiving would only count messages towards their
    /// dead-letter queue.
    fn function(&self, mapping: &Mapping) -> Result<(), String> {
        let missing = || Err(format!("PROBLEM: Function not found: {}", mapping.function_arn()));
        let Some(head) = self.ports.catalog.head(&mapping.function) else { return missing() };
        let Some(version) = head.record.version(mapping.qualifier.as_deref()) else { return missing() };
        if head.record.reserved_concurrency == Some(0) {
            return Err("PROBLEM: The function's reserved concurrency is 0.".into());
        }
        match head.record.state(version).unwrap_or(&State::Active) {
            State::Active => Ok(()),
            state @ (State::Pending | State::Deactivated) => {
                Err(format!("PROBLEM: The function is currently in the following state: {}", state.as_str()))
            }
            // An update that failed leaves what runs as it is.
            State::Failed { .. } if head.record.serving.is_some() => Ok(()),
            State::Failed { reason, .. } => Err(format!("PROBLEM: {reason}")),
        }
    }
}

impl Poller {
    pub(super) fn new(
        ports: Ports,
        problems: Arc<Problems>,
        mapping: watch::Receiver<Arc<Mapping>>,
        surroundings: watch::Receiver<()>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (scale, began) = (Mutex::default(), Instant::now());
        let poll = Arc::new(Poll { ports, problems, scale, began, stop });
        Self { poll, mapping, surroundings, filters: Vec::new(), filtered: Vec::new() }
    }

    /// Polls until it is stopped, and until then what runs has ended.
    pub(super) async fn run(mut self) {
        // At most as many as the scale allows.
        let mut batches: JoinSet<Ended> = JoinSet::new();
        let poll = Arc::clone(&self.poll);
        // The last receive had something, so there may be more.
        let mut more = false;
        while !poll.stopping() {
            let mapping = Arc::clone(&self.mapping.borrow_and_update());
            let maximum = mapping.settings.maximum_concurrency;
            if batches.len() >= poll.scale(|scale| scale.limit(maximum)) {
                self.wait_for_room(&mut batches, more, maximum).await;
                continue;
            }
            let gathered = {
                let gathering = self.gather(&mapping);
                tokio::pin!(gathering);
                loop {
                    tokio::select! {
                        gathered = &mut gathering => break gathered,
                        Some(ended) = batches.join_next() => note(&poll, &mapping, ended.ok()),
                    }
                }
            };
            match gathered {
                Gathered::Batch(hold) => {
                    more = !hold.messages.is_empty();
                    if more {
                        batches.spawn(run::run(Arc::clone(&poll), mapping, hold));
                    } else {
                        poll.scale(Scale::empty);
                    }
                }
                Gathered::Problem(problem) => {
                    more = false;
                    poll.problems.set(&mapping.key, Some(problem));
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        () = poll.stopped() => {}
                    }
                }
            }
        }
        let mapping = Arc::clone(&self.mapping.borrow());
        while let Some(ended) = batches.join_next().await {
            note(&poll, &mapping, ended.ok());
        }
        poll.problems.set(&mapping.key, None);
    }

    /// Waits for a batch to end, or for the scale to grow.
    async fn wait_for_room(&mut self, batches: &mut JoinSet<Ended>, more: bool, maximum: Option<u32>) {
        let poll = Arc::clone(&self.poll);
        let mapping = Arc::clone(&self.mapping.borrow());
        let now = poll.now();
        let grows = if more { poll.scale(|scale| scale.wait(now, maximum)) } else { None };
        let room = async {
            match grows {
                Some(at) => tokio::time::sleep(at.since(now)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(ended) = batches.join_next() => note(&poll, &mapping, ended.ok()),
            () = room => {}
            () = changed(&mut self.mapping) => {}
            () = poll.stopped() => {}
        }
    }

    /// A batch: until it is full, or its window is over, or something changed and there is nothing yet.
    async fn gather(&mut self, mapping: &Mapping) -> Gathered {
        let poll = Arc::clone(&self.poll);
        if self.filtered != mapping.settings.filters {
            match super::filters(&mapping.settings.filters) {
                Ok(filters) => self.filters = filters,
                Err(error) => return Gathered::Problem(format!("PROBLEM: {error}")),
            }
            self.filtered.clone_from(&mapping.settings.filters);
        }
        let queue = queue_key(mapping);
        self.surroundings.mark_unchanged();
        let found = match poll.look(mapping, &queue) {
            Ok(found) => found,
            Err(problem) => return Gathered::Problem(problem),
        };
        let size = mapping.settings.batch_size as usize;
        let mut hold = Hold::new(Arc::clone(&poll.ports.source), queue.clone(), found.visibility);
        let mut window: Option<Instant> = None;
        loop {
            let wait = window.map_or(LONG_POLL, |end| end.saturating_duration_since(Instant::now()));
            let asked = Instant::now();
            let (room, lease) = (RECEIVE.min(size - hold.messages.len()), hold.lease());
            let receiving = poll.ports.source.receive(&queue, room, lease, wait.min(LONG_POLL));
            tokio::pin!(receiving);
            let received = loop {
                tokio::select! {
                    received = &mut receiving => break received,
                    never = hold.keep() => match never {},
                    // What is gathered goes to the function: it was received for it.
                    () = poll.stopped() => return Gathered::Batch(hold),
                    () = changed(&mut self.mapping), if window.is_none() => return Gathered::Batch(hold),
                    () = changed(&mut self.surroundings), if window.is_none() => {
                        match poll.look(mapping, &queue) {
                            Ok(now) if now == found => {}
                            Ok(_) => return Gathered::Batch(hold),
                            Err(problem) => return Gathered::Problem(problem),
                        }
                    }
                }
            };
            let messages = match received {
                Ok(messages) => messages,
                // What is there already is processed first.
                Err(_) if window.is_some() => return Gathered::Batch(hold),
                Err(error) => return Gathered::Problem(receive_problem(&error)),
            };
            poll.problems.set(&mapping.key, None);
            // None is a value too: that it polls at all.
            poll.count(mapping, FunctionMetric::PolledEventCount, messages.len());
            // Long polls end without a message. One that ends early is of a queue that does not wait just now.
            if messages.is_empty() && window.is_none() {
                tokio::select! {
                    () = tokio::time::sleep_until(asked + RETRY) => {}
                    () = poll.stopped() => {}
                }
                return Gathered::Batch(hold);
            }
            let before = hold.messages.len();
            let mut dropped = Vec::new();
            for message in messages {
                if matches(&self.filters, mapping, &message) {
                    hold.take(message, mapping, Instant::now());
                } else {
                    dropped.push(message.receipt_handle);
                }
            }
            if !self.filters.is_empty() {
                poll.count(mapping, FunctionMetric::FilteredOutEventCount, dropped.len());
            }
            discard(&poll, &queue, dropped).await;
            if window.is_none() && hold.messages.len() > before {
                window = Some(Instant::now() + mapping.settings.window());
            }
            let full = hold.messages.len() >= size || hold.bytes >= INVOKE_PAYLOAD_BYTES;
            if full || window.is_some_and(|end| Instant::now() >= end) {
                return Gathered::Batch(hold);
            }
        }
    }
}

/// Waits for a change; for ever where nobody can make one any more.
async fn changed<T>(value: &mut watch::Receiver<T>) {
    if value.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn matches(filters: &[Pattern], mapping: &Mapping, message: &SourceMessage) -> bool {
    if filters.is_empty() {
        return true;
    }
    let event = message.filtered(&mapping.source, &mapping.key.region);
    filters.iter().any(|filter| filter.matches(&event))
}

/// What no filter matches is deleted, as AWS does.
async fn discard(poll: &Poll, queue: &ResourceKey, handles: Vec<String>) {
    if handles.is_empty() {
        return;
    }
    for answer in poll.ports.source.delete(queue, handles).await {
        if let Err(error) = answer {
            tracing::warn!(%queue, %error, "a message that no filter matches was not deleted");
        }
    }
}

fn receive_problem(error: &SourceError) -> String {
    format!("PROBLEM: Error occurred while ReceiveMessage. {error}")
}

/// What a batch's end means for the next ones; `None`: it panicked.
fn note(poll: &Poll, mapping: &Mapping, ended: Option<Ended>) {
    let now = poll.now();
    match ended {
        Some(Ended::Processed) => {
            poll.scale(Scale::succeeded);
            poll.problems.set(&mapping.key, None);
        }
        // As AWS says: a function that reports its failures is not slowed down by them.
        Some(Ended::Failed) if mapping.settings.report_failures => {}
        Some(Ended::Failed) => poll.scale(|scale| scale.failed(now)),
        Some(Ended::Throttled) => {}
        Some(Ended::Broken(problem)) => {
            poll.scale(|scale| scale.failed(now));
            poll.problems.set(&mapping.key, Some(problem));
        }
        None => {
            tracing::error!(mapping = %mapping.key.name, "a batch panicked; its messages come back");
            poll.scale(|scale| scale.failed(now));
        }
    }
}
