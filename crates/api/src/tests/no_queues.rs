//! Queues that take nothing, and their records in memory: for what the edge does with requests and errors.
//! What queues do is the business of the engine's tests and of the clients' ring.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_events::mapping::source::SqsSource;
use lambkin_events::mapping::{Mappings, Ports};
use lambkin_events::sqs::Sqs;
use lambkin_events::{Ambient, Events};
use lambkin_model::Pending;
use lambkin_model::catalog::{CatalogError, CatalogRead, Revision, Stored};
use lambkin_model::invocation::Invoke;
use lambkin_model::queue::{
    Arrivals, Counts, Handle, Peeked, Post, QueueError, QueueName, Queues, Receive, Received, Sent,
};
use lambkin_model::record::{Record, RecordWatcher, Records, ResourceKey};
use lambkin_model::sqs::Queue;
use lambkin_model::time::Timestamp;

struct NoQueues;

fn closed<T: Send + 'static>() -> Pending<'static, Result<T, QueueError>> {
    Box::pin(async { Err(QueueError::Unavailable("the store is closed".into())) })
}

impl Queues for NoQueues {
    fn send(&self, _: Vec<Post>) -> Pending<'_, Result<Vec<Sent>, QueueError>> {
        closed()
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

struct MemoryRecords<R: Record>(Mutex<BTreeMap<ResourceKey, Arc<Stored<R>>>>);

impl<R: Record> Records<R> for MemoryRecords<R> {
    fn get(&self, key: &ResourceKey) -> Option<Arc<Stored<R>>> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn list(&self, account: &str, region: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stored<R>>> {
        let records = self.0.lock().unwrap();
        let here = records.iter().filter(|(key, _)| {
            &*key.account == account && &*key.region == region && after.is_none_or(|after| &*key.name > after)
        });
        here.take(limit).map(|(_, record)| Arc::clone(record)).collect()
    }

    fn all(&self) -> Vec<Arc<Stored<R>>> {
        self.0.lock().unwrap().values().cloned().collect()
    }

    fn watch(&self, _: RecordWatcher) {}

    fn put(&self, expected: Option<Revision>, record: R) -> Pending<'_, Result<Revision, CatalogError>> {
        let mut records = self.0.lock().unwrap();
        let now = records.get(record.key()).map(|stored| stored.revision);
        let next = Revision(now.map_or(1, |now| now.0 + 1));
        let put = now == expected;
        if put {
            records.insert(record.key().clone(), Arc::new(Stored { revision: next, record }));
        }
        Box::pin(async move { if put { Ok(next) } else { Err(CatalogError::Conflict) } })
    }

    fn delete(&self, _: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        self.0.lock().unwrap().remove(&key);
        Box::pin(async { Ok(()) })
    }
}

/// Services without a store, for these functions.
pub(super) fn events(catalog: Arc<dyn CatalogRead>, invoke: Arc<dyn Invoke>) -> Events {
    let ambient =
        Ambient { now: || Timestamp(1_767_225_600_000_000), uuid: || uuid::Uuid::new_v4().into_bytes() };
    let queues: Arc<MemoryRecords<Queue>> = Arc::new(MemoryRecords(Mutex::default()));
    let sqs = Sqs::new(Arc::new(NoQueues), Arc::<MemoryRecords<Queue>>::clone(&queues), ambient);
    let source = Arc::new(SqsSource::new(sqs.clone(), queues));
    let records = Arc::new(MemoryRecords(Mutex::default()));
    // Nobody polls: they stay in the states that the operations leave them in.
    let mappings = Mappings::new(Ports { records, catalog, source, invoke, ambient });
    Events { sqs, mappings }
}
