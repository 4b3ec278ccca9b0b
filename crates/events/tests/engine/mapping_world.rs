//! A world for mappings: queues of SQS's kind over queues in memory, functions that are scripts, and a
//! catalog that says there are such functions.

mod bodies;
mod function;
mod sqs_world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lambkin_events::Ambient;
use lambkin_events::mapping::{CreateMapping, Mappings, Ports, UpdateMapping};
use lambkin_model::Error;
use lambkin_model::alias::Alias;
use lambkin_model::catalog::Head;
use lambkin_model::code::{Code, CodeSha256};
use lambkin_model::function::{Configuration, FunctionVersion, LastUpdate, State};
use lambkin_model::mapping::{Change, Mapping};
use lambkin_model::metric::NoMetrics;
use lambkin_model::name::{FunctionReference, LATEST};
use lambkin_model::queue::{Message, MessageId, Queues};
use lambkin_model::record::{Records, ResourceKey};
use lambkin_model::runtime::Runtime;
use lambkin_model::time::Timestamp;
use lambkin_model::trace::NoTraces;
use lambkin_model::version::Version;
use tokio::time::Instant;

use self::bodies::Bodies;
pub(crate) use self::function::{Function, Said, throttle};
pub(crate) use self::sqs_world::SqsWorld;
use crate::catalog::Catalog;
use crate::queues::MemoryQueues;
use crate::records::MemoryRecords;

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const REGION: &str = "us-east-1";
/// The functions' timeout, in seconds.
const TIMEOUT: u32 = 30;

/// Everything.
pub(crate) struct World {
    pub(crate) begin: Instant,
    pub(crate) queues: Arc<MemoryQueues>,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) records: Arc<MemoryRecords<Mapping>>,
    pub(crate) functions: Arc<Catalog>,
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
            timeout: TIMEOUT,
            ..Configuration::new(
                Runtime::all().last().unwrap(),
                "arn:aws:iam::000000000000:role/r".into(),
                "index.handler".into(),
            )
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
        let functions = Arc::new(Catalog::default());
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
        functions: &Arc<Catalog>,
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
            catalog: Arc::<Catalog>::clone(functions),
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
