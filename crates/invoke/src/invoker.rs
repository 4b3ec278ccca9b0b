//! The door: resolve the function, admit the invocation, place it.
//!
//! Deliberately not here: which fleets there are (`fleets`), and how environments start (`starting`).

mod figures;
mod fleets;
mod starting;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};

use lambkin_model::catalog::CatalogRead;
use lambkin_model::code::CodeRead;
use lambkin_model::compile_cache::CompileCaches;
use lambkin_model::concurrency::minimum_unreserved;
use lambkin_model::hot_code::HotCode;
use lambkin_model::invocation::{Invocation, Invoke, Reply, Streamed};
use lambkin_model::kept::{Kept, Provisioning};
use lambkin_model::log::LogSink;
use lambkin_model::metric::{FunctionMetric, Metrics, Subject};
use lambkin_model::name::{FunctionKey, LATEST};
use lambkin_model::provisioned::Initialization;
use lambkin_model::runtime::RuntimeProvider;
use lambkin_model::sandbox::Launcher;
use lambkin_model::services::Services;
use lambkin_model::trace::{Traces, TracingMode};
use lambkin_model::version::Version;
use lambkin_model::{Error, Pending, quota};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Duration;

use crate::assignment::Assignment;
use crate::capture;
use crate::compile_cache::Caches;
use crate::fleet::{Fleet, Placed};
use crate::flow::Bandwidth;
use crate::gate::Gate;
use crate::keeping::Keeping;
use crate::memory::Memory;
use crate::permit::{Permit, Permits};
use crate::pool::{Means, Pool};
use crate::running::LAUNCH_TIMEOUT;
use crate::traced::{self, Traced};
use crate::vigil::Vigil;

use self::fleets::retire_idle;
use self::starting::start_missing;

/// What the operator decided.
#[derive(Debug, Clone, Copy)]
pub struct InvokerConfig {
    /// Concurrent executions of the account; beyond it 429.
    pub concurrency: usize,
    /// Idle environments retire after this time.
    pub idle_timeout: Duration,
    /// Inits that run at once.
    pub inits: usize,
    /// Bytes that all environments together may count; `None` is no bound.
    pub memory: Option<u64>,
    /// Most processes that are booted ahead, for cold starts; 0 boots none.
    pub warm_pool: usize,
    /// Of streamed responses; `None`: as fast as their clients read.
    pub stream_bandwidth: Option<Bandwidth>,
    /// Chance, which chooses between the two versions of a weighted alias: from 0 to below 1.
    pub chance: fn() -> f64,
}

/// 53 random bits, all that a double from 0 to 1 has.
fn chance() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let bits = (uuid::Uuid::new_v4().as_u128() as u64 & ((1 << 53) - 1)) as f64;
    bits / (1_u64 << 53) as f64
}

impl Default for InvokerConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            concurrency: quota::CONCURRENT_EXECUTIONS,
            idle_timeout: Duration::from_secs(600),
            inits: 2 * cores,
            memory: None,
            warm_pool: 0,
            stream_bandwidth: None,
            chance,
        }
    }
}

/// What the data plane stands on.
#[derive(Clone)]
pub struct Ports {
    /// Functions.
    pub catalog: Arc<dyn CatalogRead>,
    /// Their deployment packages.
    pub code: Arc<dyn CodeRead>,
    /// Directories that are code as they are; `None`: there are none.
    pub hot_code: Option<Arc<dyn HotCode>>,
    /// Node.js.
    pub runtimes: Arc<dyn RuntimeProvider>,
    /// Sandboxes.
    pub launcher: Arc<dyn Launcher>,
    /// Where log events go.
    pub logs: Arc<dyn LogSink>,
    /// Who is told what happened.
    pub metrics: Arc<dyn Metrics>,
    /// Who decides about traces and takes spans.
    pub traces: Arc<dyn Traces>,
    /// Compile caches; `None`: there are none.
    pub compile_caches: Option<Arc<dyn CompileCaches>>,
    /// What environments reach of lambkin itself; `None`: nothing.
    pub services: Option<Arc<dyn Services>>,
}

/// The data plane. Cheap to clone.
#[derive(Clone)]
pub struct Invoker(Arc<Core>);

struct Core {
    ports: Ports,
    config: InvokerConfig,
    permits: Permits,
    /// Environments, starting ones among them.
    environments: Arc<AtomicUsize>,
    gate: Arc<Gate>,
    /// Where the launcher has none, or the operator wants none, there is none.
    pool: Mutex<Option<Pool>>,
    memory: Arc<Memory>,
    /// Where the launcher has none, there are none.
    caches: Option<Caches>,
    fleets: RwLock<HashMap<FunctionKey, Fleets>>,
    /// Fleets that take no invocations any more, as long as an environment of theirs is there.
    retired: Mutex<Vec<Weak<Fleet>>>,
    /// Of versions that have a fleet or keep environments.
    keepings: Mutex<HashMap<FunctionKey, BTreeMap<Version, Arc<Keeping>>>>,
    /// Something that is to be kept may be missing.
    missing: Arc<Notify>,
    vigil: Arc<Vigil>,
    /// No fleet is made any more.
    closing: AtomicBool,
    /// `None` once they are being shut down: nothing starts any more.
    tasks: Mutex<Option<Tasks>>,
}

/// An invocation on its way, and where its answer comes.
type Assigning<T> = (Box<Assignment>, oneshot::Receiver<Result<T, Error>>);

/// A function's, by version: aliases share the fleet of the version they go to.
type Fleets = BTreeMap<Version, Arc<Fleet>>;

/// What an invocation was resolved to.
struct Resolved {
    /// Seconds.
    timeout: u32,
    tracing: TracingMode,
    fleet: Arc<Fleet>,
}

struct Tasks {
    /// One for each environment.
    environments: JoinSet<()>,
    /// Those that never end by themselves: idle environments retire, the event loop stays awake.
    keepers: JoinSet<()>,
    /// The pool's, where there is one.
    pooling: Option<JoinHandle<()>>,
}

impl Invoker {
    /// Over these ports; it watches the catalog from now on. Needs a tokio runtime.
    #[must_use]
    pub fn new(ports: Ports, config: InvokerConfig) -> Self {
        let gate = Arc::new(Gate::new(config.inits));
        let memory = Arc::new(Memory::new(config.memory));
        let means = Means {
            launcher: Arc::clone(&ports.launcher),
            runtimes: Arc::clone(&ports.runtimes),
            gate: Arc::clone(&gate),
            memory: Arc::clone(&memory),
            size: config.warm_pool,
        };
        let pool = (config.warm_pool > 0 && ports.launcher.assigns()).then(|| Pool::new(means));
        let (pool, pooling) = pool.map(|(pool, keep)| (pool, tokio::spawn(keep))).unzip();
        let port = ports.compile_caches.clone().filter(|_| ports.launcher.has_compile_caches());
        let caches = port.map(|port| Caches::new(port, Arc::clone(&ports.catalog)));
        let (caches, caching) = caches.unzip();
        let core = Arc::new(Core {
            ports,
            config,
            permits: Permits::new(config.concurrency),
            environments: Arc::default(),
            gate,
            pool: Mutex::new(pool),
            memory,
            caches,
            fleets: RwLock::default(),
            retired: Mutex::default(),
            keepings: Mutex::default(),
            missing: Arc::default(),
            vigil: Arc::new(Vigil::new()),
            closing: AtomicBool::new(false),
            tasks: Mutex::default(),
        });
        let watching = Arc::downgrade(&core);
        core.ports.catalog.watch(Box::new(move |key| {
            if let Some(core) = watching.upgrade() {
                core.changed(key);
            }
        }));
        for head in core.ports.catalog.all() {
            core.changed(&head.record.key);
        }
        let (left, minimum) = (core.permits.unreserved(), minimum_unreserved(config.concurrency));
        if left < minimum {
            tracing::warn!(left, minimum, "more concurrency is reserved than the account's limit allows");
        }
        let mut keepers = JoinSet::new();
        keepers.spawn(retire_idle(Arc::downgrade(&core), config.idle_timeout));
        keepers.spawn(Arc::clone(&core.vigil).keep());
        keepers.extend(caching);
        keepers.spawn(start_missing(Arc::downgrade(&core), Arc::clone(&core.missing)));
        let tasks = Tasks { environments: JoinSet::new(), keepers, pooling };
        *core.tasks.lock().expect("not poisoned") = Some(tasks);
        Self(core)
    }

    /// Environments now, starting ones among them, and the bytes of memory that they count.
    #[must_use]
    pub fn load(&self) -> (usize, u64) {
        (self.0.environments.load(Ordering::Relaxed), self.0.memory.used())
    }

    /// What tells `Ports::metrics` how many ran at once since it was last called. It keeps nothing alive.
    pub fn sampler(&self) -> impl Fn() + Send + 'static {
        let core = Arc::downgrade(&self.0);
        move || {
            if let Some(core) = core.upgrade() {
                core.sample();
            }
        }
    }

    /// Retires every environment and waits for them; after `grace` those that still run are killed.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.shutdown(grace).await;
    }
}

impl Provisioning for Invoker {
    fn kept(&self, key: &FunctionKey, version: Version) -> Kept {
        if let Some(fleet) = self.0.current(key, version) {
            return fleet.kept();
        }
        let keepings = self.0.keepings.lock().expect("not poisoned");
        let keeping = keepings.get(key).and_then(|keepings| keepings.get(&version));
        Kept {
            requested: keeping.map_or(0, |keeping| keeping.requested()),
            allocated: 0,
            available: 0,
            failure: keeping.and_then(|keeping| keeping.failure()),
        }
    }

    fn environments(&self, key: &FunctionKey, version: Version) -> usize {
        self.0.current(key, version).map_or(0, |fleet| fleet.staying())
    }
}

impl Invoke for Invoker {
    fn invoke(&self, invocation: Invocation) -> Pending<'_, Result<Reply, Error>> {
        Box::pin(self.0.run(invocation))
    }

    fn stream(&self, invocation: Invocation) -> Pending<'_, Result<Streamed, Error>> {
        Box::pin(self.0.run_streamed(invocation))
    }
}

impl Core {
    async fn shutdown(&self, grace: Duration) {
        {
            let mut fleets = self.fleets.write().expect("not poisoned");
            self.closing.store(true, Ordering::Release);
            for fleet in fleets.drain().flat_map(|(_, fleets)| fleets.into_values()) {
                fleet.retire();
            }
        }
        let Some(tasks) = self.tasks.lock().expect("not poisoned").take() else { return };
        let Tasks { mut environments, mut keepers, pooling } = tasks;
        keepers.shutdown().await;
        // Its task ends with it, and with all that were booted.
        drop(self.pool.lock().expect("not poisoned").take());
        let all = async { while environments.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            environments.shutdown().await;
        }
        if let Some(mut pooling) = pooling {
            // It ends when nobody can ask it any more, as by now.
            if tokio::time::timeout(LAUNCH_TIMEOUT, &mut pooling).await.is_err() {
                pooling.abort();
            }
        }
    }

    /// The account's permits are those of all regions: each that has some shows them all.
    fn sample(&self) {
        let ((running, unreserved), functions) = self.permits.peaks();
        let claimed = unreserved + self.config.concurrency.saturating_sub(self.permits.unreserved());
        let now = capture::now();
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let value = |metric: FunctionMetric, count: usize| (metric, count as f64);
        let mut regions: Vec<(&str, &str)> = Vec::new();
        for (key, peak) in &functions {
            let of = Subject::Function { key, qualifier: None, version: None };
            self.ports.metrics.record(now, of, &[value(FunctionMetric::ConcurrentExecutions, *peak)]);
            let region = (&*key.account, &*key.region);
            if !regions.contains(&region) {
                regions.push(region);
            }
        }
        for (account, region) in regions {
            let values = [
                value(FunctionMetric::ConcurrentExecutions, running),
                value(FunctionMetric::UnreservedConcurrentExecutions, unreserved),
                value(FunctionMetric::ClaimedAccountConcurrency, claimed),
            ];
            self.ports.metrics.record(now, Subject::Account { account, region }, &values);
        }
    }

    async fn run(self: &Arc<Self>, invocation: Invocation) -> Result<Reply, Error> {
        self.assign(invocation, Assignment::whole).await
    }

    async fn run_streamed(self: &Arc<Self>, invocation: Invocation) -> Result<Streamed, Error> {
        let bandwidth = self.config.stream_bandwidth;
        self.assign(invocation, |invocation, timeout, traced, permit| {
            Assignment::streamed(invocation, timeout, traced, permit, bandwidth)
        })
        .await
    }

    async fn assign<T>(
        self: &Arc<Self>,
        invocation: Invocation,
        assignment: impl FnOnce(Invocation, u64, Option<Traced>, Permit) -> Assigning<T>,
    ) -> Result<T, Error> {
        let function = invocation.function.clone();
        let result = self.admit(invocation, assignment).await;
        if matches!(result, Err(Error::TooManyRequests { .. })) {
            let qualifier = function.qualifier.as_deref();
            let of = Subject::Function { key: &function.key, qualifier, version: None };
            self.ports.metrics.record(capture::now(), of, &[(FunctionMetric::Throttles, 1.0)]);
        }
        result
    }

    async fn admit<T>(
        self: &Arc<Self>,
        mut invocation: Invocation,
        assignment: impl FnOnce(Invocation, u64, Option<Traced>, Permit) -> Assigning<T>,
    ) -> Result<T, Error> {
        let Resolved { timeout, tracing, fleet } = self.resolve(&invocation).await?;
        let permit = fleet.executions.acquire();
        let permit = permit.map_err(|reason| Error::TooManyRequests { reason })?;
        let traced = traced::admit(&*self.ports.traces, &mut invocation, tracing);
        let (assignment, answer) = assignment(invocation, u64::from(timeout) * 1_000_000, traced, permit);
        self.place(fleet, assignment).await?;
        self.vigil.extend();
        // An environment always answers; only its abort at the end of a shutdown drops the sender.
        let answered = answer.await.unwrap_or_else(|_| Err(shutting_down()));
        self.vigil.extend();
        answered
    }

    async fn resolve(self: &Arc<Self>, invocation: &Invocation) -> Result<Resolved, Error> {
        let reference = &invocation.function;
        let qualifier = reference.qualifier.as_deref();
        // Invoke's 404 names the qualifier in any case (aws-behaviour 8).
        let not_found =
            || Error::FunctionNotFound { arn: reference.key.qualified_arn(qualifier.unwrap_or(LATEST)) };
        let (head, version, fleet) = loop {
            let head = self.ports.catalog.head(&reference.key).ok_or_else(not_found)?;
            let version = head.record.resolve(qualifier, self.config.chance).ok_or_else(not_found)?;
            head.record.state(version).ok_or_else(not_found)?.check_invocable()?;
            if let Some(fleet) = self.fleet(&head, version).await? {
                break (head, version, fleet);
            }
            // Deleted between the two looks; an alias leads elsewhere by now. Without a change it would be lost.
            let now = self.ports.catalog.head(&reference.key);
            if now.is_some_and(|now| now.revision == head.revision) {
                return Err(Error::Service(format!(
                    "version {version} of {} is not in the catalog",
                    reference.key
                )));
            }
        };
        let configuration = match version {
            // These can change without a change of the process.
            Version::Latest => &head.record.invocable().configuration,
            Version::Published(_) => fleet.launch.configuration(),
        };
        let (timeout, tracing) = (configuration.timeout, configuration.tracing);
        Ok(Resolved { timeout, tracing, fleet })
    }

    async fn place(
        self: &Arc<Self>,
        mut fleet: Arc<Fleet>,
        mut assignment: Box<Assignment>,
    ) -> Result<(), Error> {
        loop {
            match fleet.place(assignment) {
                Placed::Done => return Ok(()),
                Placed::Start => {
                    self.start(fleet, Initialization::OnDemand);
                    return Ok(());
                }
                // The function changed between resolving and placing: once more with what it is now.
                Placed::Retired(back) => {
                    fleet = self.resolve(&back.invocation).await?.fleet;
                    assignment = back;
                }
            }
        }
    }
}

pub(crate) fn shutting_down() -> Error {
    Error::Service("lambkin is shutting down".into())
}
