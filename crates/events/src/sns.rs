//! The SNS-compatible service: topics, subscriptions and publishing over the ports `Queues` and `Records`. A
//! message goes to all its subscribers in one write, before its publisher is answered: each is sent, or none.
//!
//! Deliberately not here: protocols (`api`), the rules of attributes, messages and filters (`model::sns`,
//! `model::pattern`), and what a queue or a function does with what is sent to it (its `Target`).

mod fan_out;
mod publishing;
mod subscriptions;
mod target;
mod topics;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambkin_model::catalog::{CatalogError, Stored};
use lambkin_model::queue::{QueueError, Queues};
use lambkin_model::record::{Records, ResourceKey};
pub use lambkin_model::sns::SnsError;
use lambkin_model::sns::{Subscription, Topic};
use lambkin_model::time::Timestamp;

use crate::Ambient;
use crate::target::Target;
use fan_out::FanOuts;

pub use publishing::Published;

/// Most tries of a change that others come between.
const TRIES: usize = 16;

/// The service. Clones are the same.
#[derive(Clone)]
pub struct Sns(Arc<Shared>);

struct Shared {
    queues: Arc<dyn Queues>,
    topics: Arc<dyn Records<Topic>>,
    subscriptions: Arc<dyn Records<Subscription>>,
    /// Queues and functions.
    targets: Arc<dyn Target>,
    /// `http://127.0.0.1:4566`.
    address: String,
    ambient: Ambient,
    fan_outs: Arc<Mutex<FanOuts>>,
    /// Notifications that nobody took, not even a dead-letter queue.
    undelivered: AtomicU64,
}

/// Some of a list, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// In order of names.
    pub items: Vec<T>,
    /// For the next page; `None`: this was the last.
    pub next: Option<String>,
}

impl Sns {
    /// The service over these ports. `targets` take what is delivered; `address` is where clients reach lambkin.
    #[must_use]
    pub fn new(
        queues: Arc<dyn Queues>,
        topics: Arc<dyn Records<Topic>>,
        subscriptions: Arc<dyn Records<Subscription>>,
        targets: Arc<dyn Target>,
        address: String,
        ambient: Ambient,
    ) -> Self {
        let fan_outs = Arc::<Mutex<FanOuts>>::default();
        let known = Arc::clone(&fan_outs);
        topics.watch(Box::new(move |key| locked(&known).forget(key)));
        let known = Arc::clone(&fan_outs);
        subscriptions.watch(Box::new(move |key| locked(&known).forget(&Subscription::topic_of(key))));
        Self(Arc::new(Shared {
            queues,
            topics,
            subscriptions,
            targets,
            address,
            ambient,
            fan_outs,
            undelivered: AtomicU64::new(0),
        }))
    }

    /// A topic's record, where there is such a topic.
    #[must_use]
    pub fn topic(&self, key: &ResourceKey) -> Option<Arc<Stored<Topic>>> {
        self.0.topics.get(key)
    }

    /// Notifications since the start that nobody took: their target was missing or refused them, and so did
    /// the subscription's dead-letter queue, where it has one.
    #[must_use]
    pub fn undelivered(&self) -> u64 {
        self.0.undelivered.load(Ordering::Relaxed)
    }

    fn require(&self, key: &ResourceKey) -> Result<Arc<Stored<Topic>>, SnsError> {
        self.topic(key).ok_or(SnsError::TopicNotFound)
    }

    fn now(&self) -> Timestamp {
        (self.0.ambient.now)()
    }

    fn uuid(&self) -> String {
        uuid::Uuid::from_bytes((self.0.ambient.uuid)()).to_string()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a queue store's failure is to a client.
fn unsent(error: QueueError) -> SnsError {
    match error {
        QueueError::Full(_) => SnsError::Throttled,
        QueueError::Unavailable(why) => SnsError::Internal(why),
        QueueError::Stale | QueueError::TooLarge { .. } => SnsError::Internal(error.to_string()),
    }
}

/// What a catalog's failure is; `None`: try again.
fn unwritten(error: CatalogError) -> Option<SnsError> {
    match error {
        CatalogError::Conflict => None,
        CatalogError::Unavailable(why) => Some(SnsError::Internal(why)),
    }
}

/// Cuts a page of `limit` out of records that were asked for one more.
fn page<T>(mut items: Vec<T>, limit: usize, name: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| more);
    let next = last.map(|last| URL_SAFE_NO_PAD.encode(name(last)));
    Page { items, next }
}

/// The name that a token of [`page`] goes on behind.
fn resume(token: Option<&str>) -> Result<Option<String>, SnsError> {
    let refused = || SnsError::parameter("NextToken Reason: An error occurred while parsing the token");
    let Some(token) = token else { return Ok(None) };
    let name = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
    String::from_utf8(name).map(Some).map_err(|_| refused())
}
