//! The SQS-compatible service: every promise that needs time or a fault.

mod dead_letters;
mod lives;
mod sending;
mod visibility;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambkin_events::Ambient;
use lambkin_events::sqs::{Ask, Entry, ReceivedMessage, SentMessage, Sqs, SqsError};
use lambkin_events::target::Delivery;
use lambkin_model::queue::Queues;
use lambkin_model::record::{Records, ResourceKey};
use lambkin_model::sqs::Queue;
use lambkin_model::time::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::queues::MemoryQueues;
use crate::records::MemoryRecords;

thread_local! {
    /// Whose clock is asked. A test has its thread for itself.
    static CLOCK: RefCell<Option<Arc<MemoryQueues>>> = const { RefCell::new(None) };
}

fn now() -> Timestamp {
    CLOCK.with_borrow(|queues| queues.as_ref().unwrap().now())
}

fn uuid() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

struct World {
    queues: Arc<MemoryQueues>,
    records: Arc<MemoryRecords<Queue>>,
    sqs: Sqs,
}

impl World {
    fn new() -> Self {
        let queues = MemoryQueues::new();
        CLOCK.set(Some(Arc::clone(&queues)));
        let records = Arc::new(MemoryRecords::default());
        let sqs = service(&queues, &records);
        Self { queues, records, sqs }
    }

    async fn create(&self, name: &str, given: &[(&str, &str)]) -> ResourceKey {
        let key = key(name);
        self.sqs.create_queue(key.clone(), &pairs(given), BTreeMap::new()).await.unwrap();
        key
    }

    async fn send(&self, key: &ResourceKey, body: &str) -> SentMessage {
        self.sqs.send(key, vec![text(body)]).await.remove(0).unwrap()
    }

    async fn send_in(&self, key: &ResourceKey, group: &str, body: &str) -> SentMessage {
        let entry = Entry { group: Some(group.into()), deduplication: Some(body.into()), ..text(body) };
        self.sqs.send(key, vec![entry]).await.remove(0).unwrap()
    }

    async fn receive(&self, key: &ResourceKey) -> Vec<ReceivedMessage> {
        self.sqs.receive(key, ask()).await.unwrap()
    }

    async fn bodies(&self, key: &ResourceKey) -> Vec<String> {
        self.receive(key).await.into_iter().map(|message| message.body).collect()
    }

    async fn delete(&self, key: &ResourceKey, handle: &str) -> Result<(), SqsError> {
        self.sqs.delete(key, vec![handle.to_owned()]).await.remove(0)
    }

    /// Lets the sweeper and move tasks run.
    fn run(&self) -> (oneshot::Sender<()>, JoinHandle<()>) {
        let (stop, stopped) = oneshot::channel();
        let sqs = self.sqs.clone();
        let running = tokio::spawn(async move {
            sqs.run(async {
                let _ = stopped.await;
            })
            .await;
        });
        (stop, running)
    }
}

fn service(queues: &Arc<MemoryQueues>, records: &Arc<MemoryRecords<Queue>>) -> Sqs {
    let queues: Arc<dyn Queues> = queues.clone();
    let records: Arc<dyn Records<Queue>> = records.clone();
    Sqs::new(queues, records, Ambient { now, uuid })
}

fn key(name: &str) -> ResourceKey {
    ResourceKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn text(body: &str) -> Entry {
    Entry { body: body.into(), sender: "000000000000".into(), ..Entry::default() }
}

fn ask() -> Ask {
    Ask { max: 10, visibility: None, wait: Duration::ZERO, attempt: None }
}

fn redrive(dead_letters: &ResourceKey, count: u32) -> String {
    let arn = dead_letters.arn("sqs");
    format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#)
}

const FIFO: (&str, &str) = ("FifoQueue", "true");

fn delivery(body: &str) -> Delivery {
    Delivery {
        body: Bytes::copy_from_slice(body.as_bytes()),
        subject: None,
        attributes: Vec::new(),
        trace_id: None,
        group: None,
        deduplication: None,
        sender: None,
    }
}
