//! The SQS-compatible service: queues and their messages over the ports `Queues` and `Records`. Leases are
//! durable (`Lease::For`), and a message that goes to its dead-letter queue is deleted and sent in one step.
//!
//! Deliberately not here: protocols (`api`), the rules of attributes and messages (`model::sqs`).
//!
//! A queue of a deleted one's name can be created at once, where AWS wants a minute between: a queue's
//! identity is new at each creation, so that nothing of the former one can come up.

mod attempts;
mod envelope;
mod in_flight;
mod moving;
mod queues;
mod receiving;
mod sending;
mod settling;
mod sweeper;
mod target;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lambkin_model::catalog::Stored;
use lambkin_model::queue::{QueueError, Queues};
use lambkin_model::record::{Records, ResourceKey};
pub use lambkin_model::sqs::SqsError;
use lambkin_model::sqs::{MoveTask, Queue};
use lambkin_model::time::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::Ambient;
use attempts::Attempts;
use in_flight::InFlight;

pub use moving::MoveListing;
pub use queues::Page;
pub use receiving::{Ask, ReceivedMessage, check_visibility};
pub use sending::{Entry, SentMessage};

/// The service. Clones are the same.
#[derive(Clone)]
pub struct Sqs(Arc<Shared>);

struct Shared {
    store: Arc<dyn Queues>,
    records: Arc<dyn Records<Queue>>,
    ambient: Ambient,
    /// By identity, when each queue was purged last; at most a minute back.
    purged: Mutex<HashMap<String, Timestamp>>,
    in_flight: InFlight,
    attempts: Attempts,
    /// By a task's id, what it has moved in this process.
    moved: Mutex<HashMap<String, u64>>,
    /// To [`Sqs::run`]. As many as may be active; a full channel is that limit.
    moves: mpsc::Sender<(ResourceKey, MoveTask)>,
    begun: Mutex<Option<mpsc::Receiver<(ResourceKey, MoveTask)>>>,
    /// Long polls end when it is true.
    closing: watch::Sender<bool>,
}

impl Sqs {
    /// The service over these ports. [`Sqs::run`] must run beside it.
    #[must_use]
    pub fn new(store: Arc<dyn Queues>, records: Arc<dyn Records<Queue>>, ambient: Ambient) -> Self {
        let (moves, begun) = mpsc::channel(MoveTask::ACTIVE);
        Self(Arc::new(Shared {
            store,
            records,
            ambient,
            purged: Mutex::default(),
            in_flight: InFlight::default(),
            attempts: Attempts::default(),
            moved: Mutex::default(),
            moves,
            begun: Mutex::new(Some(begun)),
            closing: watch::channel(false).0,
        }))
    }

    /// A queue's record, where there is such a queue.
    #[must_use]
    pub fn queue(&self, key: &ResourceKey) -> Option<Arc<Stored<Queue>>> {
        self.0.records.get(key)
    }

    /// Ends long polls, which answer with nothing; later ones do not wait. For a shutdown.
    pub fn close(&self) {
        self.0.closing.send_replace(true);
    }

    fn require(&self, key: &ResourceKey) -> Result<Arc<Stored<Queue>>, SqsError> {
        self.queue(key).ok_or(SqsError::QueueDoesNotExist)
    }

    fn now(&self) -> Timestamp {
        (self.0.ambient.now)()
    }
}

/// What a store's failure is to a client.
fn unavailable(error: &QueueError) -> SqsError {
    match error {
        QueueError::Full(why) | QueueError::Unavailable(why) => SqsError::Unavailable(why.clone()),
        QueueError::Stale | QueueError::TooLarge { .. } => SqsError::Unavailable(error.to_string()),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A queue's identity as bytes; queues made by this service have UUIDs.
fn identity(queue: &Queue) -> [u8; 16] {
    uuid::Uuid::parse_str(&queue.identity).map_or([0; 16], uuid::Uuid::into_bytes)
}
