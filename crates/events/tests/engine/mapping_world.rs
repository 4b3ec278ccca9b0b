//! A world for mappings: queues of SQS's kind over queues in memory, functions that are scripts, and a
//! catalog that says there are such functions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lambkin_events::Ambient;
use lambkin_events::mapping::source::{Source, SourceError, SourceQueue, SqsSource};
use lambkin_events::mapping::{CreateMapping, Mappings, Ports, UpdateMapping};
use lambkin_events::sqs::{Ask, Entry, Sqs};
use lambkin_model::alias::Alias;
use lambkin_model::catalog::{CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::code::{Code, CodeSha256};
use lambkin_model::error::ThrottleReason;
use lambkin_model::function::{Configuration, FunctionVersion, LastUpdate, LoggingConfig, State};
use lambkin_model::invocation::{FunctionError, Invocation, Invoke, Outcome, Reply, Streamed};
use lambkin_model::mapping::record::SourceMessage;
use lambkin_model::mapping::{Change, Mapping};
use lambkin_model::metric::NoMetrics;
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};
use lambkin_model::queue::{Handle, Lease, Message, MessageId, QueueName, Queues, Receive};
use lambkin_model::record::{RecordWatcher, Records, ResourceKey};
use lambkin_model::runtime::Runtime;
use lambkin_model::sqs::Queue;
use lambkin_model::time::Timestamp;
use lambkin_model::trace::NoTraces;
use lambkin_model::version::{PublishedVersion, Version};
use lambkin_model::{Error, Pending};
use tokio::time::Instant;

use crate::queues::MemoryQueues;
use crate::records::MemoryRecords;

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const REGION: &str = "us-east-1";
/// The functions' timeout, in seconds.
const TIMEOUT: u32 = 30;

/// What a script says to one event.
pub(crate) enum Said {
    /// A result.
    Result(&'static str),
    /// A result that reports these bodies' messages.
    Report(Vec<String>),
    /// It threw.
    Threw,
    /// The platform said it.
    Platform(Error),
}

pub(crate) fn throttle() -> Said {
    Said::Platform(Error::TooManyRequests {
        reason: ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded,
    })
}

/// One event that the function got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Seconds since the world began.
    pub(crate) at: u64,
    /// The messages' bodies.
    pub(crate) bodies: Vec<String>,
    /// How often each was received.
    pub(crate) received: Vec<String>,
    pub(crate) function: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) bytes: usize,
}

type Script = Box<dyn Fn(&Call) -> (Duration, Said) + Send + Sync>;

/// The function.
pub(crate) struct Function {
    begin: Instant,
    script: Mutex<Arc<Script>>,
    calls: Mutex<Vec<Call>>,
    running: AtomicU64,
    pub(crate) most: AtomicU64,
    /// Calls that came to their end.
    pub(crate) ended: AtomicU64,
}

impl Function {
    fn new(begin: Instant) -> Self {
        Self {
            begin,
            script: Mutex::new(Arc::new(Box::new(|_| (Duration::ZERO, Said::Result("null"))))),
            calls: Mutex::default(),
            running: AtomicU64::new(0),
            most: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    pub(crate) fn says(&self, script: impl Fn(&Call) -> (Duration, Said) + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(Box::new(script));
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Bodies of each call.
    pub(crate) fn bodies(&self) -> Vec<Vec<String>> {
        self.calls().into_iter().map(|call| call.bodies).collect()
    }
}

impl Invoke for Function {
    fn invoke(&self, invocation: Invocation) -> Pending<'_, Result<Reply, Error>> {
        Box::pin(async move {
            let event: serde_json::Value = serde_json::from_slice(&invocation.payload).unwrap();
            let records = event["Records"].as_array().unwrap();
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let call = Call {
                at: self.begin.elapsed().as_secs(),
                bodies: records.iter().map(|record| text(&record["body"])).collect(),
                received: records
                    .iter()
                    .map(|record| text(&record["attributes"]["ApproximateReceiveCount"]))
                    .collect(),
                function: invocation.function.arn(),
                trace_id: invocation.trace_id,
                bytes: invocation.payload.len(),
            };
            let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(running, Ordering::Relaxed);
            self.calls.lock().unwrap().push(call.clone());
            let script = Arc::clone(&*self.script.lock().unwrap());
            let (time, said) = script(&call);
            tokio::time::sleep(time).await;
            self.running.fetch_sub(1, Ordering::Relaxed);
            self.ended.fetch_add(1, Ordering::Relaxed);
            let reply = |error, payload: String| {
                Ok(Reply {
                    outcome: Outcome { error, payload: payload.into() },
                    executed_version: LATEST.into(),
                    log_tail: None,
                    sampled: false,
                })
            };
            match said {
                Said::Result(text) => reply(None, text.into()),
                Said::Report(bodies) => {
                    let id = |record: &serde_json::Value| serde_json::json!({ "itemIdentifier": record["messageId"] });
                    let named = |record: &&serde_json::Value| bodies.contains(&text(&record["body"]));
                    let failures: Vec<_> = records.iter().filter(named).map(id).collect();
                    reply(None, serde_json::json!({ "batchItemFailures": failures }).to_string())
                }
                Said::Threw => reply(Some(FunctionError::Unhandled), r#"{"errorType":"Error"}"#.into()),
                Said::Platform(error) => Err(error),
            }
        })
    }

    fn stream(&self, invocation: Invocation) -> Pending<'_, Result<Streamed, Error>> {
        Box::pin(async { self.invoke(invocation).await.map(Streamed::whole) })
    }
}

/// Functions that are there.
#[derive(Default)]
pub(crate) struct Functions {
    heads: Mutex<HashMap<FunctionKey, Arc<Stored<Head>>>>,
    watchers: Mutex<Vec<Watcher>>,
}

impl Functions {
    pub(crate) fn put(&self, head: Head) {
        let key = head.key.clone();
        let stored = Arc::new(Stored { revision: Revision(1), record: head });
        self.heads.lock().unwrap().insert(key.clone(), stored);
        self.tell(&key);
    }

    pub(crate) fn remove(&self, key: &FunctionKey) {
        self.heads.lock().unwrap().remove(key);
        self.tell(key);
    }

    fn tell(&self, key: &FunctionKey) {
        for watcher in &*self.watchers.lock().unwrap() {
            watcher(key);
        }
    }
}

impl CatalogRead for Functions {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        self.heads.lock().unwrap().get(key).cloned()
    }

    fn heads(&self, _: &str, _: &str, _: Option<&str>, _: usize) -> Vec<Arc<Stored<Head>>> {
        self.all()
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.heads.lock().unwrap().values().cloned().collect()
    }

    fn version(&self, _: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>> {
        None
    }

    fn watch(&self, watcher: Watcher) {
        self.watchers.lock().unwrap().push(watcher);
    }
}

/// Queues with a visibility timeout, whose messages are their bodies.
pub(crate) struct Bodies {
    queues: Arc<MemoryQueues>,
    known: Mutex<BTreeMap<ResourceKey, SourceQueue>>,
    watchers: Mutex<Vec<RecordWatcher>>,
    handles: Mutex<HashMap<String, Handle>>,
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

    fn name(&self, key: &ResourceKey) -> Option<QueueName> {
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

/// Everything.
pub(crate) struct World {
    pub(crate) begin: Instant,
    pub(crate) queues: Arc<MemoryQueues>,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) records: Arc<MemoryRecords<Mapping>>,
    pub(crate) functions: Arc<Functions>,
    pub(crate) function: Arc<Function>,
    pub(crate) mappings: Arc<Mappings>,
}

pub(crate) fn key(name: &str) -> ResourceKey {
    ResourceKey { account: ACCOUNT.into(), region: REGION.into(), name: name.into() }
}

pub(crate) fn reference(name: &str) -> FunctionReference {
    FunctionReference::parse(name, None, ACCOUNT, REGION).unwrap()
}

pub(crate) fn head(name: &str) -> Head {
    let latest = FunctionVersion {
        version: LATEST.into(),
        configuration: Configuration {
            runtime: Runtime::all().last().unwrap(),
            role: "arn:aws:iam::000000000000:role/r".into(),
            handler: "index.handler".into(),
            description: String::new(),
            timeout: TIMEOUT,
            memory_size: 128,
            variables: None,
            architecture: "x86_64".into(),
            logging: LoggingConfig::default(),
            ephemeral_storage: 512,
            dead_letter: None,
            layers: Vec::new(),
            tracing: lambkin_model::trace::TracingMode::PassThrough,
        },
        code: Code { sha256: CodeSha256([7; 32]), size: 276, sdk_packages: BTreeSet::new(), directory: None },
        revision_id: "7f2c9d6a-0b3e-4e58-8f0d-5d1f3b2a9c40".into(),
        last_modified: Timestamp(0),
        state: State::Active,
        last_update: Some(LastUpdate::Successful),
    };
    let live = Alias {
        version: Version::Latest,
        additional: None,
        description: String::new(),
        revision_id: "3b1f0c52-8a44-4e0e-9d7b-6a4f2c1e5d90".into(),
    };
    let identity = "2d9c1a0e-55a7-4d2a-9b1c-0a4d6f5e7b21".into();
    Head { aliases: [("live".to_owned(), live)].into(), ..Head::new(reference(name).key, identity, latest) }
}

impl World {
    /// With a function `f` that says `null` at once, the queue `q` and the FIFO queue `q.fifo`, both with a
    /// visibility timeout of 60 seconds.
    pub(crate) fn new() -> Self {
        let begin = Instant::now();
        let queues = MemoryQueues::new();
        let bodies = Arc::new(Bodies {
            queues: Arc::clone(&queues),
            known: Mutex::default(),
            watchers: Mutex::default(),
            handles: Mutex::default(),
            receives: AtomicU64::new(0),
            slow: AtomicU64::new(0),
        });
        let function = Arc::new(Function::new(begin));
        let functions = Arc::new(Functions::default());
        let records = Arc::new(MemoryRecords::default());
        bodies.create(&key("q"), 60);
        bodies.create(&key("q.fifo"), 60);
        functions.put(head("f"));
        let mappings = Mappings::new(Self::ports(&records, &functions, &bodies, &function));
        mappings.start();
        Self { begin, queues, bodies, records, functions, function, mappings }
    }

    fn ports(
        records: &Arc<MemoryRecords<Mapping>>,
        functions: &Arc<Functions>,
        bodies: &Arc<Bodies>,
        function: &Arc<Function>,
    ) -> Ports {
        fn uuid() -> [u8; 16] {
            static LAST: AtomicU64 = AtomicU64::new(0);
            let mut uuid = [0; 16];
            uuid[8..].copy_from_slice(&LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            uuid
        }
        Ports {
            records: Arc::<MemoryRecords<Mapping>>::clone(records),
            catalog: Arc::<Functions>::clone(functions),
            source: Arc::<Bodies>::clone(bodies),
            invoke: Arc::<Function>::clone(function),
            traces: Arc::new(NoTraces),
            metrics: Arc::new(NoMetrics),
            ambient: Ambient { now: || Timestamp(1_767_225_600_000_000), uuid },
        }
    }

    /// The same world with a new process: mappings begin again over the same records.
    pub(crate) fn restart(&mut self) {
        self.mappings =
            Mappings::new(Self::ports(&self.records, &self.functions, &self.bodies, &self.function));
        self.mappings.start();
    }

    pub(crate) async fn send(&self, queue: &str, messages: &[&str]) {
        let name = self.bodies.name(&key(queue)).unwrap();
        let post = |body: &&str| {
            // A message's group is what stands before the dash.
            let lane = queue.ends_with(".fifo").then(|| Arc::from(body.split('-').next().unwrap()));
            let id = MessageId(uuid_of(body));
            let content = Bytes::copy_from_slice(body.as_bytes());
            let message = Message {
                id,
                lane,
                deduplication: None,
                sent: None,
                delay: Duration::ZERO,
                mark: 0,
                content,
            };
            (name.clone(), message)
        };
        self.queues.send(messages.iter().map(post).collect()).await.unwrap();
    }

    /// A mapping of `f` to this queue; answers once it is enabled.
    pub(crate) async fn map(&self, queue: &str, change: Change) -> ResourceKey {
        let request = self.request(queue, change);
        let mapping = self.mappings.create(ACCOUNT, REGION, request).await.unwrap();
        self.until_state(&mapping.key, "Enabled").await;
        mapping.key
    }

    pub(crate) fn request(&self, queue: &str, change: Change) -> CreateMapping {
        let source = Some(key(queue).arn("sqs"));
        CreateMapping { function: reference("f"), source, enabled: true, change, tags: BTreeMap::new() }
    }

    pub(crate) async fn update(
        &self,
        mapping: &ResourceKey,
        update: UpdateMapping,
    ) -> Result<Mapping, Error> {
        self.mappings.update(mapping, update).await
    }

    pub(crate) fn state(&self, mapping: &ResourceKey) -> &'static str {
        self.records.get(mapping).map_or("gone", |stored| stored.record.state.as_str())
    }

    pub(crate) async fn until_state(&self, mapping: &ResourceKey, state: &str) {
        self.until(state, || self.state(mapping) == state).await;
    }

    /// Waits for a condition, in the paused time of up to an hour.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(3600);
        while !condition() {
            assert!(Instant::now() < end, "never: {what}; {:?}", self.function.calls());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn until_calls(&self, count: usize) {
        self.until(&format!("{count} calls"), || self.function.calls().len() >= count).await;
    }

    /// How many messages are in a queue: to be received, and in flight.
    pub(crate) async fn counts(&self, queue: &str) -> (u64, u64) {
        let counts = self.queues.counts(&self.bodies.name(&key(queue)).unwrap()).await.unwrap();
        (counts.visible, counts.in_flight)
    }

    pub(crate) async fn until_empty(&self, queue: &str) {
        let end = Instant::now() + Duration::from_secs(3600);
        while self.counts(queue).await != (0, 0) {
            assert!(Instant::now() < end, "{queue} is never empty; {:?}", self.function.calls());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn uuid_of(body: &str) -> [u8; 16] {
    let mut uuid = [0; 16];
    for (at, byte) in body.bytes().enumerate() {
        uuid[at % 16] ^= byte;
    }
    uuid
}

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
        let functions = Arc::new(Functions::default());
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
