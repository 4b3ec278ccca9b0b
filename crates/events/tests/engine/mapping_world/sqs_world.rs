//! A world whose queues are the SQS-compatible service's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lambkin_events::Ambient;
use lambkin_events::mapping::source::SqsSource;
use lambkin_events::mapping::{CreateMapping, Mappings, Ports};
use lambkin_events::sqs::{Ask, Entry, Sqs};
use lambkin_model::mapping::{Change, Mapping};
use lambkin_model::metric::NoMetrics;
use lambkin_model::queue::Queues;
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::Queue;
use lambkin_model::trace::NoTraces;
use tokio::time::Instant;

use super::{ACCOUNT, Function, REGION, head, key, reference};
use crate::catalog::Catalog;
use crate::queues::MemoryQueues;
use crate::records::MemoryRecords;

thread_local! {
    /// Whose clock is asked. A test has its thread for itself.
    static CLOCK: std::cell::RefCell<Option<Arc<MemoryQueues>>> = const { std::cell::RefCell::new(None) };
}

/// A mapping of `f` to one queue of the SQS-compatible service, and a queue `dead`.
pub(crate) struct SqsWorld {
    queue: ResourceKey,
    sqs: Sqs,
    pub(crate) function: Arc<Function>,
    mappings: Arc<Mappings>,
    queues: Arc<MemoryQueues>,
}

impl SqsWorld {
    pub(crate) async fn new(attributes: &[(&str, &str)], queue: &str) -> Self {
        let begin = Instant::now();
        let queues = MemoryQueues::new();
        CLOCK.set(Some(Arc::clone(&queues)));
        let now = || CLOCK.with_borrow(|queues| queues.as_ref().unwrap().now());
        let ambient = Ambient { now, uuid: || uuid::Uuid::new_v4().into_bytes() };
        let records: Arc<MemoryRecords<Queue>> = Arc::default();
        let sqs = Sqs::new(
            Arc::<MemoryQueues>::clone(&queues),
            Arc::<MemoryRecords<Queue>>::clone(&records),
            ambient,
        );
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        sqs.create_queue(key("dead"), &[], BTreeMap::new()).await.unwrap();
        sqs.create_queue(key(queue), &attributes.collect::<Vec<_>>(), BTreeMap::new()).await.unwrap();
        let function = Arc::new(Function::new(begin));
        let functions = Arc::new(Catalog::default());
        functions.put(head("f"));
        let mappings = Mappings::new(Ports {
            records: Arc::<MemoryRecords<Mapping>>::default(),
            catalog: functions,
            source: Arc::new(SqsSource::new(sqs.clone(), records)),
            invoke: Arc::<Function>::clone(&function),
            traces: Arc::new(NoTraces),
            metrics: Arc::new(NoMetrics),
            ambient,
        });
        mappings.start();
        Self { queue: key(queue), sqs, function, mappings, queues }
    }

    pub(crate) async fn map(&self, change: Change) {
        let source = Some(self.queue.arn("sqs"));
        let request =
            CreateMapping { function: reference("f"), source, enabled: true, change, tags: BTreeMap::new() };
        self.mappings.create(ACCOUNT, REGION, request).await.unwrap();
    }

    pub(crate) async fn send(&self, bodies: &[&str]) {
        let fifo = self.queue.name.ends_with(".fifo");
        let entry = |body: &&str| Entry {
            body: (*body).to_owned(),
            sender: ACCOUNT.into(),
            group: fifo.then(|| body.split('-').next().unwrap().to_owned()),
            deduplication: fifo.then(|| (*body).to_owned()),
            ..Entry::default()
        };
        for sent in self.sqs.send(&self.queue, bodies.iter().map(entry).collect()).await {
            sent.unwrap();
        }
    }

    pub(crate) async fn receive(&self, queue: &str) -> Vec<String> {
        let ask = Ask { max: 10, visibility: None, wait: Duration::ZERO, attempt: None };
        let received = self.sqs.receive(&key(queue), ask).await.unwrap();
        received.into_iter().map(|message| message.body).collect()
    }

    pub(crate) async fn until_empty(&self) {
        let name = self.sqs.queue(&self.queue).unwrap().record.store_name();
        let end = Instant::now() + Duration::from_secs(3600);
        loop {
            let counts = self.queues.counts(&name).await.unwrap();
            if counts.visible + counts.in_flight == 0 {
                return;
            }
            assert!(Instant::now() < end, "it is never empty; {:?}", self.function.calls());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
