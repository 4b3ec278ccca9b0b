//! The dispatcher: finds the functions that have events, and has a worker run each one's. All workers share
//! a bounded number of slots and take turns for them, so that a backlog of a million delays another function's
//! event by a few invocations.
//!
//! Deliberately not here: an engine. Events go through the same door as synchronous calls.

mod attempt;
mod pace;
mod settling;
mod worker;

use std::collections::{HashMap, hash_map};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::catalog::CatalogRead;
use lambkin_model::invocation::Invoke;
use lambkin_model::queue::{QueueName, Queues};
use lambkin_model::time::Timestamp;
use lambkin_model::trace::Traces;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::Ambient;
use crate::counters::{Counters, FunctionCounters};
use crate::deliveries;
use crate::event::{Event, PREFIX};
use crate::outbound::{self, Carrier};
use crate::targets::Targets;
use settling::CAPACITY;
pub(crate) use settling::{Decision, Settlement};
use worker::Worker;

/// Workers that may hold more than one event: 2 MiB each.
const PREFETCHING: usize = 32;
/// Between two tries to learn what a former process left.
const PAUSE: Duration = Duration::from_secs(1);

/// What the operator decided.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Events that run at once, of all functions together.
    pub concurrency: usize,
    /// Factor of the pauses between attempts; 1 is AWS's.
    pub retry_scale: f64,
    /// How long a dead letter or record waits for a target that is not there.
    pub delivery_age: Duration,
}

/// Six hours, as long as AWS keeps an event.
pub const DELIVERY_AGE: Duration = Duration::from_secs(21_600);

/// What the dispatcher stands on. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// Where events are.
    pub queues: Arc<dyn Queues>,
    /// The door.
    pub invoke: Arc<dyn Invoke>,
    /// Functions and how their events are treated.
    pub catalog: Arc<dyn CatalogRead>,
    /// Where dead letters and records go.
    pub targets: Arc<Targets>,
    /// What happened.
    pub counters: Arc<Counters>,
    /// Who brings deliveries elsewhere, where the operator wants that.
    pub carrier: Option<Arc<dyn Carrier>>,
    /// Who follows traces.
    pub traces: Arc<dyn Traces>,
    /// The clock.
    pub ambient: Ambient,
}

struct Shared {
    ports: Ports,
    config: Config,
    slots: Arc<Semaphore>,
    prefetch: Arc<Semaphore>,
    roster: Arc<Roster>,
    /// Counts changes of functions.
    changes: watch::Sender<u64>,
}

impl Shared {
    fn counters(&self, event: &Event) -> Arc<FunctionCounters> {
        self.ports.counters.of(&event.function.key)
    }
}

/// The functions that have a worker. Bounded by the functions that have events.
#[derive(Default)]
pub(crate) struct Roster {
    /// Whether something arrived since the worker last looked.
    working: Mutex<HashMap<QueueName, bool>>,
    /// Queues that need a worker. At most one entry for each of `working`.
    fresh: Mutex<Vec<QueueName>>,
    pub(crate) changed: Notify,
}

impl Roster {
    /// Something was sent to this queue.
    pub(crate) fn arrive(&self, queue: &QueueName) {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(arrived) = working.get_mut(queue) {
            *arrived = true;
            return;
        }
        working.insert(queue.clone(), false);
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).push(queue.clone());
        self.changed.notify_one();
    }

    /// Whether something arrived since this was last asked.
    pub(crate) fn arrived(&self, queue: &QueueName) -> bool {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        working.get_mut(queue).is_some_and(std::mem::take)
    }

    /// Its worker goes, unless something has arrived.
    pub(crate) fn leave(&self, queue: &QueueName) -> bool {
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        match working.entry(queue.clone()) {
            hash_map::Entry::Occupied(mut entry) if *entry.get() => {
                entry.insert(false);
                false
            }
            hash_map::Entry::Occupied(entry) => {
                entry.remove();
                true
            }
            hash_map::Entry::Vacant(_) => true,
        }
    }

    /// Those that need a worker.
    pub(crate) fn take(&self) -> Vec<QueueName> {
        std::mem::take(&mut *self.fresh.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running dispatcher.
pub struct Dispatcher {
    stop: watch::Sender<bool>,
    tasks: Mutex<Option<Tasks>>,
}

struct Tasks {
    workers: JoinHandle<()>,
    settling: JoinHandle<()>,
    delivering: JoinHandle<()>,
    carrying: JoinHandle<()>,
    abandon: oneshot::Sender<()>,
}

impl Dispatcher {
    /// Takes up what there is, and what comes. Needs a tokio runtime.
    #[must_use]
    pub fn start(ports: Ports, config: Config) -> Self {
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(config.concurrency.clamp(1, Semaphore::MAX_PERMITS))),
            prefetch: Arc::new(Semaphore::new(PREFETCHING)),
            roster: Arc::default(),
            changes: watch::Sender::new(0),
            ports,
            config,
        });
        let roster = Arc::clone(&shared.roster);
        shared.ports.queues.watch(PREFIX, Box::new(move |queue| roster.arrive(queue)));
        let changes = shared.changes.clone();
        shared.ports.catalog.watch(Box::new(move |_| changes.send_modify(|count| *count += 1)));
        let (decide, decisions) = mpsc::channel(CAPACITY);
        let (abandon, abandoned) = oneshot::channel();
        let settling = tokio::spawn(settling::settle(shared.ports.clone(), decisions, abandoned));
        let delivering =
            tokio::spawn(deliveries::deliver(shared.ports.clone(), config, decide.clone(), stopped.clone()));
        let ports = shared.ports.clone();
        let (stopping, carried) = (stopped.clone(), decide.clone());
        let carrying = tokio::spawn(async move {
            if let Some(carrier) = ports.carrier.clone() {
                outbound::run(carrier, ports, config, carried, stopping).await;
            }
        });
        let workers = tokio::spawn(supervise(shared, decide, stopped));
        let tasks = Tasks { workers, settling, delivering, carrying, abandon };
        Self { stop, tasks: Mutex::new(Some(tasks)) }
    }

    /// Takes nothing more, and waits at most so long for what runs. The rest stays on disk; what is cut off
    /// runs again.
    pub async fn shutdown(&self, grace: Duration) {
        self.stop.send_replace(true);
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Tasks { mut workers, mut settling, mut delivering, mut carrying, abandon }) = tasks else {
            return;
        };
        let all = async {
            for task in [&mut workers, &mut delivering, &mut carrying, &mut settling] {
                if let Err(error) = task.await {
                    tracing::error!(%error, "a part of the dispatcher had failed");
                }
            }
        };
        if tokio::time::timeout(grace, all).await.is_ok() {
            return;
        }
        tracing::warn!("events that still run are cut off; they will run again");
        let _ = abandon.send(());
        // A task that has ended cannot be awaited again; aborting it does nothing.
        for task in [workers, delivering, carrying, settling] {
            task.abort();
        }
    }
}

async fn supervise(shared: Arc<Shared>, decide: mpsc::Sender<Decision>, mut stop: watch::Receiver<bool>) {
    let mut workers = JoinSet::new();
    let mut known = false;
    while !*stop.borrow() {
        if !known {
            // What a former process left. Arrivals are told from before this on.
            match shared.ports.queues.names(PREFIX).await {
                Ok(names) => {
                    known = true;
                    names.iter().for_each(|name| shared.roster.arrive(name));
                }
                Err(error) => tracing::error!(%error, "the queues of events cannot be listed"),
            }
        }
        for queue in shared.roster.take() {
            let worker = Worker::new(Arc::clone(&shared), queue, decide.clone(), stop.clone());
            workers.spawn(worker.run());
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = shared.roster.changed.notified() => {}
            Some(ended) = workers.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a worker failed; its function's events wait for the next start");
                }
            }
            () = tokio::time::sleep(PAUSE), if !known => {}
        }
    }
    // Nobody else decides: the settling ends with the last of them.
    drop(decide);
    while workers.join_next().await.is_some() {}
}

/// From one time to another; nothing where the clock went back.
pub(crate) fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_micros(to.0.saturating_sub(from.0))
}
