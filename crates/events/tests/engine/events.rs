//! A world of functions, their events, and targets that can be away.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lambkin_events::Ambient;
use lambkin_events::asynchronous::{Asked, Asynchronous};
use lambkin_events::counters::{Counted, Counters};
use lambkin_events::dispatcher::{Config, DELIVERY_AGE, Dispatcher, Ports};
use lambkin_events::outbound::{Carrier, Outbound};
use lambkin_events::target::{Delivery, Target, Undeliverable};
use lambkin_events::targets::Targets;
use lambkin_model::catalog::{CatalogRead as _, Head};
use lambkin_model::code::{Code, CodeSha256};
use lambkin_model::error::ThrottleReason;
use lambkin_model::event_invoke::EventInvokeConfig;
use lambkin_model::figure::Figure;
use lambkin_model::function::{Configuration, FunctionVersion, LastUpdate, State};
use lambkin_model::invocation::{FunctionError, Invocation, Invoke, Outcome, Reply, RequestId, Streamed};
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};
use lambkin_model::queue::{Counts, Message, MessageId, Post, QueueName, Queues};
use lambkin_model::runtime::Runtime;
use lambkin_model::time::Timestamp;
use lambkin_model::trace::{Span, SpanId, Traces};
use lambkin_model::{Error, Pending};
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::queues::MemoryQueues;

thread_local! {
    static BEGIN: Instant = Instant::now();
}

/// The wall clock of paused time: one test, one thread.
fn now() -> Timestamp {
    let passed = BEGIN.with(|begin| begin.elapsed());
    Timestamp(1_767_225_600_000_000 + u64::try_from(passed.as_micros()).unwrap())
}

fn uuid() -> [u8; 16] {
    static LAST: AtomicU64 = AtomicU64::new(1 << 32);
    let mut id = [0; 16];
    id[8..].copy_from_slice(&LAST.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    id
}

pub(crate) fn key(name: &str) -> FunctionKey {
    FunctionKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

fn new_head(name: &str, identity: &str) -> Head {
    let configuration = Configuration::new(
        Runtime::from_name("nodejs22.x").unwrap(),
        "arn:aws:iam::000000000000:role/r".into(),
        "index.handler".into(),
    );
    let latest = FunctionVersion {
        version: LATEST.into(),
        configuration,
        code: Code { sha256: CodeSha256([1; 32]), size: 1, sdk_packages: BTreeSet::new(), directory: None },
        revision_id: "r".into(),
        last_modified: Timestamp(0),
        state: State::Active,
        last_update: Some(LastUpdate::Successful),
    };
    Head::new(key(name), identity.into(), latest)
}

/// What a function does with its n-th attempt of all.
type Behaviour = Arc<dyn Fn(&Invocation, usize) -> Act + Send + Sync>;

#[derive(Clone)]
pub(crate) enum Act {
    Succeed,
    Fail,
    Refuse(Error),
    /// As the other one, after so long.
    After(Duration, Box<Act>),
}

impl Act {
    pub(crate) fn after(self, seconds: f64) -> Self {
        Self::After(Duration::from_secs_f64(seconds), Box::new(self))
    }
}

pub(crate) fn throttle() -> Act {
    Act::Refuse(Error::TooManyRequests { reason: ThrottleReason::ConcurrentInvocationLimitExceeded })
}

#[derive(Default)]
pub(crate) struct Functions {
    behaviours: Mutex<HashMap<FunctionKey, Behaviour>>,
    /// Function, payload, request id and when each attempt began.
    pub(crate) attempts: Mutex<Vec<(String, Bytes, RequestId, Duration)>>,
    /// Most that may run at once, of a function.
    limits: Mutex<HashMap<FunctionKey, usize>>,
    running: Mutex<HashMap<FunctionKey, usize>>,
    pub(crate) most: Mutex<HashMap<FunctionKey, usize>>,
}

struct Running<'f>(&'f Functions, FunctionKey);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap().get_mut(&self.1).unwrap() -= 1;
    }
}

impl Invoke for Functions {
    fn invoke(&self, invocation: Invocation) -> Pending<'_, Result<Reply, Error>> {
        Box::pin(async move {
            let key = invocation.function.key.clone();
            let running = {
                let mut running = self.running.lock().unwrap();
                let count = running.entry(key.clone()).or_default();
                if self.limits.lock().unwrap().get(&key).is_some_and(|limit| *count >= *limit) {
                    let reason = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
                    return Err(Error::TooManyRequests { reason });
                }
                *count += 1;
                let mut most = self.most.lock().unwrap();
                let most = most.entry(key.clone()).or_default();
                *most = (*most).max(*count);
                Running(self, key.clone())
            };
            let behaviour = self.behaviours.lock().unwrap().get(&key).cloned();
            let nth = {
                let mut attempts = self.attempts.lock().unwrap();
                let passed = BEGIN.with(|begin| begin.elapsed());
                let payload = invocation.payload.clone();
                attempts.push((key.name.to_string(), payload, invocation.request_id, passed));
                attempts.len()
            };
            let mut act = behaviour.map_or(Act::Succeed, |behaviour| behaviour(&invocation, nth));
            while let Act::After(pause, then) = act {
                tokio::time::sleep(pause).await;
                act = *then;
            }
            drop(running);
            let (error, payload) = match act {
                Act::Succeed | Act::After(..) => (None, Bytes::from_static(b"{\"ok\":true}")),
                Act::Fail => (
                    Some(FunctionError::Unhandled),
                    Bytes::from_static(b"{\"errorType\":\"Error\",\"errorMessage\":\"no\"}"),
                ),
                Act::Refuse(error) => return Err(error),
            };
            let outcome = Outcome { error, payload };
            Ok(Reply { outcome, executed_version: LATEST.into(), log_tail: None, sampled: false })
        })
    }

    fn stream(&self, invocation: Invocation) -> Pending<'_, Result<Streamed, Error>> {
        Box::pin(async { self.invoke(invocation).await.map(Streamed::whole) })
    }
}

/// Queues of a service, one for each ARN, unless they are away.
#[derive(Default)]
pub(crate) struct Letters {
    pub(crate) missing: Mutex<BTreeSet<String>>,
    pub(crate) posted: Mutex<Vec<(String, Delivery)>>,
}

impl Target for Letters {
    fn posts(&self, arn: &str, delivery: &Delivery) -> Result<Vec<Post>, Undeliverable> {
        self.check(arn)?;
        self.posted.lock().unwrap().push((arn.into(), delivery.clone()));
        let message = Message {
            id: MessageId(uuid()),
            lane: None,
            deduplication: None,
            sent: None,
            delay: Duration::ZERO,
            mark: 0,
            content: delivery.body.clone(),
        };
        Ok(vec![(QueueName(format!("sqs/{arn}").into()), message)])
    }

    fn check(&self, arn: &str) -> Result<(), Undeliverable> {
        if self.missing.lock().unwrap().contains(arn) {
            let (code, message) = ("AWS.SimpleQueueService.NonExistentQueue".into(), "gone".into());
            return Err(Undeliverable { target: arn.into(), code, message });
        }
        Ok(())
    }
}

/// Another machine, for the account 111111111111.
#[derive(Default)]
pub(crate) struct Elsewhere {
    pub(crate) away: std::sync::atomic::AtomicBool,
    pub(crate) came: Mutex<Vec<(String, Delivery)>>,
}

pub(crate) struct Courier(Arc<Elsewhere>);

impl Carrier for Courier {
    fn place(&self, arn: &str) -> Option<String> {
        arn.contains(":111111111111:").then(|| "elsewhere.example".to_owned())
    }

    fn carry(&self, arn: String, delivery: Delivery) -> Pending<'static, Result<(), String>> {
        let elsewhere = Arc::clone(&self.0);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            if elsewhere.away.load(Ordering::Relaxed) {
                return Err("it does not answer".into());
            }
            elsewhere.came.lock().unwrap().push((arn, delivery));
            Ok(())
        })
    }
}

pub(crate) const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:letters";
pub(crate) const OTHER: &str = "arn:aws:sqs:us-east-1:000000000000:records";

pub(crate) struct World {
    pub(crate) queues: Arc<MemoryQueues>,
    /// The queues as lambkin sees them.
    port: Arc<dyn Queues>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) functions: Arc<Functions>,
    pub(crate) letters: Arc<Letters>,
    pub(crate) asynchronous: Asynchronous,
    pub(crate) traces: Arc<Told>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) elsewhere: Arc<Elsewhere>,
    carrier: Arc<Courier>,
    config: Config,
    dispatcher: Option<Dispatcher>,
    sent: AtomicU64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(100)
    }

    /// With so many slots.
    pub(crate) fn with(concurrency: usize) -> Self {
        let queues = MemoryQueues::new();
        Self::built(queues.clone(), queues, concurrency)
    }

    /// Over a port with these queues behind it.
    pub(crate) fn over(queues: Arc<MemoryQueues>, port: Arc<dyn Queues>) -> Self {
        Self::built(queues, port, 100)
    }

    fn built(queues: Arc<MemoryQueues>, port: Arc<dyn Queues>, concurrency: usize) -> Self {
        BEGIN.with(|_| {});
        let (catalog, counters) = (Arc::new(Catalog::default()), Arc::new(Counters::default()));
        let (ambient, traces) = (Ambient { now, uuid }, Arc::<Told>::default());
        let asynchronous = Asynchronous::new(
            port.clone(),
            catalog.clone(),
            counters.clone(),
            traces.clone(),
            ambient,
            1024 * 1024,
        );
        let elsewhere = Arc::new(Elsewhere::default());
        Self {
            carrier: Arc::new(Courier(Arc::clone(&elsewhere))),
            elsewhere,
            queues,
            port,
            catalog,
            functions: Arc::default(),
            letters: Arc::default(),
            asynchronous,
            traces,
            counters,
            config: Config { concurrency, retry_scale: 1.0, delivery_age: DELIVERY_AGE },
            dispatcher: None,
            sent: AtomicU64::new(1),
        }
    }

    pub(crate) fn start(&mut self) {
        let targets = Targets::new()
            .with("sqs", self.letters.clone())
            .with("lambda", Arc::new(self.asynchronous.clone()))
            .with_external(Arc::new(Outbound::new(self.carrier.clone(), Ambient { now, uuid })));
        let ports = Ports {
            queues: self.port.clone(),
            invoke: self.functions.clone(),
            catalog: self.catalog.clone(),
            targets: Arc::new(targets),
            counters: self.counters.clone(),
            carrier: Some(self.carrier.clone()),
            traces: self.traces.clone(),
            ambient: Ambient { now, uuid },
        };
        self.dispatcher = Some(Dispatcher::start(ports, self.config));
    }

    /// Stops it.
    pub(crate) async fn stop(&mut self, grace: f64) {
        let dispatcher = self.dispatcher.take().unwrap();
        dispatcher.shutdown(Duration::from_secs_f64(grace)).await;
    }

    /// A function, made or changed.
    pub(crate) fn function(&self, name: &str, change: impl FnOnce(&mut Head)) {
        let mut head = match self.catalog.head(&key(name)) {
            Some(head) => head.record.clone(),
            None => new_head(name, &format!("identity-of-{name}")),
        };
        change(&mut head);
        self.catalog.put(head);
    }

    pub(crate) fn behaves(
        &self,
        name: &str,
        act: impl Fn(&Invocation, usize) -> Act + Send + Sync + 'static,
    ) {
        self.functions.behaviours.lock().unwrap().insert(key(name), Arc::new(act));
    }

    pub(crate) fn limit(&self, name: &str, limit: usize) {
        self.functions.limits.lock().unwrap().insert(key(name), limit);
    }

    pub(crate) fn delete(&self, name: &str) {
        self.catalog.remove(&key(name));
    }

    pub(crate) fn asked(&self, name: &str) -> Asked {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.sent.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Asked {
            request_id: RequestId(id),
            function: FunctionReference { key: key(name), qualifier: None },
            payload: Bytes::from_static(b"{\"k\":1}"),
            trace_id: Some("Root=1-a".into()),
        }
    }

    pub(crate) async fn send(&self, name: &str) -> RequestId {
        let asked = self.asked(name);
        let id = asked.request_id;
        self.asynchronous.send(asked).await.unwrap();
        id
    }

    pub(crate) async fn counts(&self, name: &str) -> Counts {
        let name = QueueName(format!("async/identity-of-{name}").into());
        self.queues.counts(&name).await.unwrap()
    }

    pub(crate) fn counted(&self, name: &str) -> Counted {
        self.counters.of(&key(name)).counted()
    }

    /// Seconds from the beginning at which its attempts began.
    pub(crate) fn attempts(&self, name: &str) -> Vec<f64> {
        let attempts = self.functions.attempts.lock().unwrap();
        let of = attempts.iter().filter(|(function, ..)| function == name);
        of.map(|(.., at)| (at.as_secs_f64() * 10.0).round() / 10.0).collect()
    }

    /// Waits until the condition holds, in paused time.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(7 * 3600);
        while !condition(self) {
            assert!(Instant::now() < end, "{what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Letters as ARN and body.
    pub(crate) fn letters(&self) -> Vec<(String, String)> {
        let posted = self.letters.posted.lock().unwrap();
        posted
            .iter()
            .map(|(arn, letter)| (arn.clone(), String::from_utf8(letter.body.to_vec()).unwrap()))
            .collect()
    }
}

pub(crate) fn configured(head: &mut Head, change: impl FnOnce(&mut EventInvokeConfig)) {
    change(head.event_invoke.entry(LATEST.into()).or_default());
}

/// Spans, as they are told.
#[derive(Default)]
pub(crate) struct Told(pub(crate) Mutex<Vec<Span>>, AtomicU64);

impl Traces for Told {
    fn records(&self) -> bool {
        true
    }

    fn samples(&self, _: &FunctionKey) -> bool {
        true
    }

    fn span_id(&self) -> SpanId {
        SpanId((self.1.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes())
    }

    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }

    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}
