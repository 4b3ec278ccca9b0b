//! Queues of SQS's kind over queues in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_events::mapping::source::{Source, SourceError, SourceQueue};
use lambkin_model::Pending;
use lambkin_model::mapping::record::SourceMessage;
use lambkin_model::queue::{Handle, Lease, QueueName, Queues, Receive};
use lambkin_model::record::{RecordWatcher, ResourceKey};

use crate::queues::MemoryQueues;

/// Queues with a visibility timeout, whose messages are their bodies.
pub(crate) struct Bodies {
    pub(super) queues: Arc<MemoryQueues>,
    pub(super) known: Mutex<BTreeMap<ResourceKey, SourceQueue>>,
    pub(super) watchers: Mutex<Vec<RecordWatcher>>,
    pub(super) handles: Mutex<HashMap<String, Handle>>,
    pub(crate) receives: AtomicU64,
    /// Changes of visibility take so many seconds.
    pub(crate) slow: AtomicU64,
}

impl Bodies {
    pub(crate) fn create(&self, key: &ResourceKey, visibility: u64) {
        static CREATED: AtomicU64 = AtomicU64::new(0);
        let identity = format!("{}", CREATED.fetch_add(1, Ordering::Relaxed));
        let queue = SourceQueue { identity, visibility: Duration::from_secs(visibility) };
        self.known.lock().unwrap().insert(key.clone(), queue);
        self.tell(key);
    }

    pub(crate) fn remove(&self, key: &ResourceKey) {
        self.known.lock().unwrap().remove(key);
        self.tell(key);
    }

    fn tell(&self, key: &ResourceKey) {
        for watcher in &*self.watchers.lock().unwrap() {
            watcher(key);
        }
    }

    pub(super) fn name(&self, key: &ResourceKey) -> Option<QueueName> {
        self.queue(key).map(|queue| QueueName(queue.identity.into()))
    }

    fn handle(&self, text: &str) -> Handle {
        self.handles.lock().unwrap()[text].clone()
    }
}

impl Source for Bodies {
    fn queue(&self, queue: &ResourceKey) -> Option<SourceQueue> {
        self.known.lock().unwrap().get(queue).cloned()
    }

    fn watch(&self, watcher: RecordWatcher) {
        self.watchers.lock().unwrap().push(watcher);
    }

    fn receive(
        &self,
        queue: &ResourceKey,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> Pending<'_, Result<Vec<SourceMessage>, SourceError>> {
        let name = self.name(queue);
        let fifo = queue.name.ends_with(".fifo");
        self.receives.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let name = name.ok_or(SourceError::NoQueue)?;
            let ask = Receive { max, lease: Lease::For(visibility), wait };
            let received = self.queues.receive(&name, ask).await.unwrap();
            let message = |each: lambkin_model::queue::Received| {
                let receipt_handle = format!("{:?}", each.handle.0);
                self.handles.lock().unwrap().insert(receipt_handle.clone(), each.handle);
                let body = String::from_utf8(each.content.to_vec()).unwrap();
                let mut attributes = BTreeMap::new();
                attributes.insert("ApproximateReceiveCount".to_owned(), each.received.to_string());
                if let Some(trace) = body.strip_prefix("traced ") {
                    attributes.insert("AWSTraceHeader".to_owned(), trace.to_owned());
                }
                SourceMessage {
                    id: format!("id-{}", each.sequence),
                    receipt_handle,
                    body,
                    md5_of_body: String::new(),
                    attributes,
                    message_attributes: BTreeMap::new(),
                    md5_of_message_attributes: None,
                    group: each.lane.filter(|_| fifo).map(|lane| lane.to_string()),
                }
            };
            Ok(received.into_iter().map(message).collect())
        })
    }

    fn delete(&self, _: &ResourceKey, handles: Vec<String>) -> Pending<'_, Vec<Result<(), SourceError>>> {
        let settled = handles.iter().map(|text| (self.handle(text), Vec::new())).collect();
        Box::pin(async move {
            let answers = self.queues.settle(settled).await;
            answers.into_iter().map(|answer| answer.map_err(|_| SourceError::NoQueue)).collect()
        })
    }

    fn change_visibility(
        &self,
        _: &ResourceKey,
        handles: Vec<(String, Duration)>,
    ) -> Pending<'_, Vec<Result<(), SourceError>>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(self.slow.load(Ordering::Relaxed))).await;
            let mut answers = Vec::new();
            for (text, lease) in handles {
                let answer = self.queues.extend(&self.handle(&text), lease).await;
                answers.push(answer.map_err(|_| SourceError::NoQueue));
            }
            answers
        })
    }
}
