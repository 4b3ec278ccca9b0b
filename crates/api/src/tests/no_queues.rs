//! Queues that take nothing, and their records in memory: for what the edge does with requests and errors.
//! What queues do is the business of the engine's tests and of the clients' ring.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_events::asynchronous::Asynchronous;
use lambkin_events::mapping::source::SqsSource;
use lambkin_events::mapping::{Mappings, Ports};
use lambkin_events::sns::Sns;
use lambkin_events::sqs::Sqs;
use lambkin_events::targets::Targets;
use lambkin_events::{Ambient, Events};
use lambkin_model::Pending;
use lambkin_model::catalog::{CatalogError, CatalogRead, Revision, Stored};
use lambkin_model::invocation::Invoke;
use lambkin_model::metric::NoMetrics;
use lambkin_model::queue::{
    Arrivals, Counts, Handle, Peeked, Post, QueueError, QueueName, Queues, Receive, Received, Sent,
};
use lambkin_model::quota;
use lambkin_model::record::{Record, RecordWatcher, Records, ResourceKey};
use lambkin_model::sqs::Queue;
use lambkin_model::time::Timestamp;
use lambkin_model::trace::{NoTraces, Traces};

/// Refuses what is sent until it is told to take it.
pub(super) struct NoQueues {
    pub(super) sent: Mutex<Vec<Post>>,
    pub(super) refuses: Mutex<Option<QueueError>>,
}

impl Default for NoQueues {
    fn default() -> Self {
        let closed = QueueError::Unavailable("the store is closed".into());
        Self { sent: Mutex::default(), refuses: Mutex::new(Some(closed)) }
    }
}

fn closed<T: Send + 'static>() -> Pending<'static, Result<T, QueueError>> {
    Box::pin(async { Err(QueueError::Unavailable("the store is closed".into())) })
}

impl Queues for NoQueues {
    fn send(&self, posts: Vec<Post>) -> Pending<'_, Result<Vec<Sent>, QueueError>> {
        let refusal = self.refuses.lock().unwrap().clone();
        let sents = posts.iter().map(|(_, message)| Sent { id: message.id, sequence: 1, duplicate: false });
        let sents = sents.collect();
        self.sent.lock().unwrap().extend(posts);
        Box::pin(async move { refusal.map_or(Ok(sents), Err) })
    }

    fn receive(&self, _: &QueueName, _: Receive) -> Pending<'_, Result<Vec<Received>, QueueError>> {
        closed()
    }

    fn extend(&self, _: &Handle, _: Duration) -> Pending<'_, Result<(), QueueError>> {
        closed()
    }

    fn release(&self, _: &Handle, _: Duration, _: u32) -> Pending<'_, Result<(), QueueError>> {
        closed()
    }

    fn settle(&self, settled: Vec<(Handle, Vec<Post>)>) -> Pending<'_, Vec<Result<(), QueueError>>> {
        Box::pin(async move { settled.iter().map(|_| Err(QueueError::Stale)).collect() })
    }

    fn peek(&self, _: &QueueName, _: u64, _: usize) -> Pending<'_, Result<Vec<Peeked>, QueueError>> {
        closed()
    }

    fn counts(&self, _: &QueueName) -> Pending<'_, Result<Counts, QueueError>> {
        closed()
    }

    fn counts_of_all(&self, _: &str) -> Pending<'_, Result<Vec<(QueueName, Counts)>, QueueError>> {
        closed()
    }

    fn names(&self, _: &str) -> Pending<'_, Result<Vec<QueueName>, QueueError>> {
        closed()
    }

    fn purge(&self, _: &QueueName) -> Pending<'_, Result<(), QueueError>> {
        closed()
    }

    fn expire(&self, _: &QueueName, _: Timestamp) -> Pending<'_, Result<u64, QueueError>> {
        closed()
    }

    fn watch(&self, _: &str, _: Arrivals) {}
}

pub(super) struct MemoryRecords<R: Record> {
    records: Mutex<BTreeMap<ResourceKey, Arc<Stored<R>>>>,
    watchers: Mutex<Vec<RecordWatcher>>,
}

impl<R: Record> MemoryRecords<R> {
    pub(super) fn empty() -> Arc<Self> {
        Arc::new(Self { records: Mutex::default(), watchers: Mutex::default() })
    }

    fn tell(&self, key: &ResourceKey) {
        self.watchers.lock().unwrap().iter().for_each(|watcher| watcher(key));
    }
}

impl<R: Record> Records<R> for MemoryRecords<R> {
    fn get(&self, key: &ResourceKey) -> Option<Arc<Stored<R>>> {
        self.records.lock().unwrap().get(key).cloned()
    }

    fn list(&self, account: &str, region: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stored<R>>> {
        let records = self.records.lock().unwrap();
        let here = records.iter().filter(|(key, _)| {
            &*key.account == account && &*key.region == region && after.is_none_or(|after| &*key.name > after)
        });
        here.take(limit).map(|(_, record)| Arc::clone(record)).collect()
    }

    fn all(&self) -> Vec<Arc<Stored<R>>> {
        self.records.lock().unwrap().values().cloned().collect()
    }

    fn watch(&self, watcher: RecordWatcher) {
        self.watchers.lock().unwrap().push(watcher);
    }

    fn put(&self, expected: Option<Revision>, record: R) -> Pending<'_, Result<Revision, CatalogError>> {
        let key = record.key().clone();
        let mut records = self.records.lock().unwrap();
        let now = records.get(record.key()).map(|stored| stored.revision);
        let next = Revision(now.map_or(1, |now| now.0 + 1));
        let put = now == expected;
        if put {
            records.insert(key.clone(), Arc::new(Stored { revision: next, record }));
        }
        drop(records);
        self.tell(&key);
        Box::pin(async move { if put { Ok(next) } else { Err(CatalogError::Conflict) } })
    }

    fn delete(&self, _: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        self.records.lock().unwrap().remove(&key);
        self.tell(&key);
        Box::pin(async { Ok(()) })
    }
}

/// Services without a store, for these functions.
pub(super) fn events(
    store: &Arc<NoQueues>,
    catalog: Arc<dyn CatalogRead>,
    invoke: Arc<dyn Invoke>,
) -> Events {
    let ambient =
        Ambient { now: || Timestamp(1_767_225_600_000_000), uuid: || uuid::Uuid::new_v4().into_bytes() };
    let queues: Arc<MemoryRecords<Queue>> = MemoryRecords::empty();
    let sqs = Sqs::new(store.clone(), Arc::<MemoryRecords<Queue>>::clone(&queues), ambient);
    let source = Arc::new(SqsSource::new(sqs.clone(), queues));
    // Nobody polls: they stay in the states that the operations leave them in.
    let records = MemoryRecords::empty();
    let traces: Arc<dyn Traces> = Arc::new(NoTraces);
    let ports = Ports {
        records,
        catalog: Arc::clone(&catalog),
        source,
        invoke,
        traces: Arc::clone(&traces),
        metrics: Arc::new(NoMetrics),
        ambient,
    };
    let mappings = Mappings::new(ports);
    let asynchronous = Asynchronous::new(
        store.clone(),
        catalog,
        Arc::default(),
        traces,
        ambient,
        quota::EVENT_PAYLOAD_BYTES,
    );
    let own =
        || Targets::new().with("sqs", Arc::new(sqs.clone())).with("lambda", Arc::new(asynchronous.clone()));
    let (topics, subscriptions) = (MemoryRecords::empty(), MemoryRecords::empty());
    let address = "http://localhost:4566".to_owned();
    let sns = Sns::new(store.clone(), topics, subscriptions, Arc::new(own()), address, ambient);
    let targets = own().with("sns", Arc::new(sns.clone()));
    Events { asynchronous, targets: Arc::new(targets), sns, sqs, mappings }
}
