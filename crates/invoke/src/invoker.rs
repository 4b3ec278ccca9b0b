//! The door: resolve the function, admit the invocation, place it.

mod figures;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};

use lambkin_model::catalog::{CatalogRead, Head, Stored};
use lambkin_model::code::CodeRead;
use lambkin_model::compile_cache::CompileCaches;
use lambkin_model::concurrency::minimum_unreserved;
use lambkin_model::error::ThrottleReason;
use lambkin_model::function::State;
use lambkin_model::hot_code::HotCode;
use lambkin_model::invocation::{Invocation, Invoke, Reply, Streamed};
use lambkin_model::log::LogSink;
use lambkin_model::metric::{FunctionMetric, Metrics, Subject};
use lambkin_model::name::{FunctionKey, LATEST};
use lambkin_model::placement;
use lambkin_model::provisioned::{Initialization, KeepFailure, Kept, Provisioning};
use lambkin_model::runtime::RuntimeProvider;
use lambkin_model::sandbox::{LaunchError, Launcher, Sandbox, SandboxSpec};
use lambkin_model::services::{Admission, Services};
use lambkin_model::trace::{Traces, TracingMode};
use lambkin_model::version::Version;
use lambkin_model::{Error, Pending, quota};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Duration, Instant};

use crate::assignment::Assignment;
use crate::capture::{self, Capture};
use crate::compile_cache::{Caches, Caching};
use crate::environment::Environment;
use crate::fleet::{Fleet, Mailbox, Placed};
use crate::flow::Bandwidth;
use crate::gate::Gate;
use crate::keeping::{Keeping, RETRY_AFTER};
use crate::launch::{self, Hot, Launch};
use crate::memory::{Memory, Room};
use crate::permit::{Claims, Permit, Permits};
use crate::pool::{Assigned, Means, Pool};
use crate::running::LAUNCH_TIMEOUT;
use crate::starts::Level;
use crate::traced::{self, Told, Traced};
use crate::vigil::Vigil;

/// How long a start waits for memory. AWS's machines are never full; a caller gets the answer that it
/// would get there for too many at once, which every SDK tries again.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);

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
            match head.record.state(version).ok_or_else(not_found)? {
                State::Active => {}
                State::Pending => {
                    return Err(Error::ResourceConflict(
                        "The operation cannot be performed at this time. The function is currently in the following state: Pending"
                            .into(),
                    ));
                }
                State::Failed { reason, .. } => return Err(Error::InvalidRuntime(reason.clone())),
            }
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

    /// The fleet of a version, whatever head it was last seen to fit.
    fn current(&self, key: &FunctionKey, version: Version) -> Option<Arc<Fleet>> {
        let fleets = self.fleets.read().expect("not poisoned");
        fleets.get(key)?.get(&version).cloned()
    }

    /// The environments of a version that fit this head: the ones there are, unless what their processes
    /// see has changed, as only `$LATEST` can. `None`: the version has gone since.
    async fn fleet(
        self: &Arc<Self>,
        head: &Arc<Stored<Head>>,
        version: Version,
    ) -> Result<Option<Arc<Fleet>>, Error> {
        let key = &head.record.key;
        if let Some(fleet) = self.current(key, version) {
            let fits = match version {
                Version::Latest => fleet.revision.load(Ordering::Acquire) == head.revision.0,
                Version::Published(_) => fleet.launch.identity == head.record.identity,
            };
            if fits && !fleet.launch.is_stale() {
                return Ok(Some(fleet));
            }
        }
        let Some(body) = self.ports.catalog.body(head, version) else { return Ok(None) };
        let body = match version {
            Version::Latest => head.record.invocable(),
            Version::Published(_) => &*body,
        };
        let need = body.need();
        let runtime = match self.ports.runtimes.installed(&need) {
            Some(runtime) => runtime,
            None => {
                let ensured = self.ports.runtimes.ensure(need).await;
                ensured.map_err(|error| Error::InvalidRuntime(error.to_string()))?
            }
        };
        let hot = match &body.code.directory {
            Some(directory) => Some(self.hot(directory).await?),
            None => None,
        };
        let launch = Launch::new(&head.record, body, runtime, &*self.ports.code, hot)?;
        let fleet = self.fit(head, version, launch)?;
        // What changed since the head was read was told when this fleet was not there yet.
        self.changed(key);
        Ok(Some(fleet))
    }

    /// Watches a directory before anything is read of it.
    async fn hot(&self, directory: &str) -> Result<Hot, Error> {
        let hot_code = self.ports.hot_code.as_ref().ok_or_else(|| {
            Error::Service(format!(
                "{directory} is no function's code any more: lambkin was started without --hot-reload."
            ))
        })?;
        hot_code.watch(directory.into()).await.map(Hot::new).map_err(Error::Service)
    }

    fn fit(&self, head: &Stored<Head>, version: Version, launch: Launch) -> Result<Arc<Fleet>, Error> {
        let key = &head.record.key;
        let mut fleets = self.fleets.write().expect("not poisoned");
        if self.closing.load(Ordering::Acquire) {
            return Err(shutting_down());
        }
        if let Some(fleet) = fleets.get(key).and_then(|fleets| fleets.get(&version)) {
            // Another request was faster, perhaps with a newer head.
            if fleet.launch.digest == launch.digest
                || fleet.revision.load(Ordering::Acquire) > head.revision.0
            {
                fleet.revision.fetch_max(head.revision.0, Ordering::AcqRel);
                return Ok(Arc::clone(fleet));
            }
            self.retire(fleet);
        }
        // A cache is of code that stays.
        let caching = Caching::new(&launch, self.caches.clone().filter(|_| !launch.is_hot()));
        let (executions, total) = (self.permits.version(key, version), Arc::clone(&self.environments));
        let keeping = self.keeping(key, version);
        let fleet = Arc::new(Fleet::new(launch, executions, keeping, caching, head.revision.0, total));
        fleets.entry(key.clone()).or_default().insert(version, Arc::clone(&fleet));
        Ok(fleet)
    }

    /// It is no function's any more.
    fn retire(&self, fleet: &Arc<Fleet>) {
        fleet.retire();
        fleet.caching.end();
        let mut retired = self.retired.lock().expect("not poisoned");
        retired.retain(|fleet| fleet.strong_count() > 0);
        retired.push(Arc::downgrade(fleet));
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

    fn start(self: &Arc<Self>, fleet: Arc<Fleet>, initialization: Initialization) {
        if self.environments.load(Ordering::Acquire) > self.config.concurrency {
            self.make_room(1, 0);
        }
        let mut tasks = self.tasks.lock().expect("not poisoned");
        match &mut *tasks {
            Some(Tasks { environments, .. }) => {
                while environments.try_join_next().is_some() {}
                environments.spawn(Arc::clone(self).environment(fleet, initialization));
            }
            None => {
                if let Some(assignment) = fleet.start_failed(initialization) {
                    assignment.answer(Err(shutting_down()));
                }
            }
        }
    }

    async fn environment(self: Arc<Self>, fleet: Arc<Fleet>, initialization: Initialization) {
        let Some(room) = self.room(&fleet, initialization).await else { return };
        let gate = self.gate.turn().await;
        // While this waited for its turn, another environment may have become free.
        if !fleet.still_wanted(initialization) {
            return;
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let launcher = &self.ports.launcher;
        let admission = self.ports.services.as_ref().map(|services| services.admit(fleet.launch.caller()));
        let (compile_cache, share) = fleet.caching.start();
        let (now, admission_now) = (capture::now(), admission.as_deref());
        let launch = &fleet.launch;
        let (spec, stream) =
            launch.environment(&**launcher, &id, now, admission_now, compile_cache, initialization);
        let (mut sandbox, booted) = match self.open(&fleet.launch, spec).await {
            Ok((sandbox, booted)) => {
                let level = match &booted {
                    Some(_) => Level::Process,
                    None if sandbox.was_ready() => Level::Sandbox,
                    None => Level::Nothing,
                };
                fleet.executions.started(level, initialization);
                (sandbox, booted)
            }
            Err(error) => {
                tracing::error!(function = %fleet.launch.key, %error, "an environment could not be made");
                if initialization == Initialization::Provisioned {
                    fleet.keeping.started(Some(KeepFailure::Platform(error.to_string())));
                }
                if let Some(assignment) = fleet.start_failed(initialization) {
                    assignment.answer(Err(Error::Service(error.to_string())));
                }
                return;
            }
        };
        let capture = Capture::new(Arc::clone(&self.ports.logs), stream);
        let (metrics, traces) = (Arc::clone(&self.ports.metrics), Arc::clone(&self.ports.traces));
        drop(self);
        let (sender, messages) = mpsc::channel(Mailbox::CAPACITY);
        let serving = sandbox.services().zip(admission.as_deref()).map(|(listener, at)| serve(listener, at));
        let mailbox = Mailbox::new(sender, Arc::new(room), initialization);
        let told = Told { metrics, traces };
        Environment::new(fleet, mailbox, messages, sandbox, capture, told, booted, share, gate).live().await;
        if let Some((end, mut serving)) = serving {
            drop(end);
            while serving.join_next().await.is_some() {}
        }
    }

    /// A sandbox with a process that was booted ahead, or one without a process.
    async fn open(
        &self,
        launch: &Launch,
        spec: SandboxSpec,
    ) -> Result<(Box<dyn Sandbox>, Option<Assigned>), LaunchError> {
        let pool = self.pool.lock().expect("not poisoned").clone();
        if let (Some(pool), Some(kind)) = (pool, launch.kind())
            && let Some(booted) = pool.take(kind).await
        {
            match booted.assign(spec.clone()).await {
                Ok((sandbox, booted)) => {
                    tracing::debug!(function = %launch.key, "took a process that was booted ahead");
                    return Ok((sandbox, Some(booted)));
                }
                Err(error) => tracing::warn!(%error, "a process that was booted ahead could not be used"),
            }
        }
        let opened = tokio::time::timeout(LAUNCH_TIMEOUT, self.ports.launcher.open(spec)).await;
        let too_long = || Err(LaunchError("making its sandbox took too long".into()));
        Ok((opened.unwrap_or_else(|_| too_long())?, None))
    }

    /// Memory for one more environment of the fleet. Where there is none in time, and where it is not
    /// wanted any more, the start is over.
    async fn room(&self, fleet: &Fleet, initialization: Initialization) -> Option<Room> {
        let size = fleet.launch.memory();
        if let Some(room) = self.memory.room_now(size, &fleet.memory) {
            return Some(room);
        }
        let wait = async {
            let turn = self.memory.turn().await?;
            loop {
                // Meanwhile another environment of the fleet may have become free.
                if !fleet.still_wanted(initialization) {
                    return None;
                }
                match turn.room(&self.memory, size, &fleet.memory) {
                    Ok(room) => return Some(room),
                    Err(short) => self.make_room(0, short),
                }
                turn.changed().await;
            }
        };
        if let Ok(room) = tokio::time::timeout(ROOM_TIMEOUT, wait).await {
            return room;
        }
        tracing::warn!(function = %fleet.launch.key, "no memory for another environment in time");
        if initialization == Initialization::Provisioned {
            fleet.keeping.started(Some(KeepFailure::Platform("no memory for another environment".into())));
        }
        if let Some(assignment) = fleet.start_failed(initialization) {
            let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
            assignment.answer(Err(Error::TooManyRequests { reason }));
        }
        None
    }

    /// As many environments as executions at the most, and as much memory as there is: those that
    /// were idle longest make room.
    fn make_room(&self, excess: usize, short: u64) {
        let fleets = self.fleets.read().expect("not poisoned");
        let mut idle: Vec<(Instant, u64, &Arc<Fleet>)> = fleets
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(|fleet| fleet.idle().into_iter().map(move |(since, bytes)| (since, bytes, fleet)))
            .collect();
        idle.sort_by_key(|(since, _, _)| *since);
        let count = placement::retire(idle.iter().map(|(_, bytes, _)| *bytes), excess, short);
        for (_, _, fleet) in &idle[..count] {
            fleet.retire_oldest();
        }
    }

    /// A head changed or went. What changes nothing for a process retires nothing: that is seen
    /// when the next invocation comes.
    fn changed(&self, key: &FunctionKey) {
        let claims = || {
            let head = &self.ports.catalog.head(key)?.record;
            let kept = head.kept().into_iter();
            let provisioned = kept.map(|(version, each)| (version, each.requested as usize)).collect();
            Some(Claims { reserved: head.reserved_concurrency.map(|count| count as usize), provisioned })
        };
        self.permits.changed(key, claims);
        let head = self.ports.catalog.head(key);
        let has = |version: Version| head.as_ref().is_some_and(|head| head.record.state(version).is_some());
        // What is provisioned is kept: it is there after a restart too.
        let kept = head.as_ref().map(|head| head.record.kept()).unwrap_or_default();
        for version in kept.keys() {
            self.keeping(key, *version);
        }
        {
            let mut keepings = self.keepings.lock().expect("not poisoned");
            if let Some(of_function) = keepings.get_mut(key) {
                of_function.retain(|version, _| has(*version));
                of_function.iter().for_each(|(version, keeping)| keeping.request(kept.get(version)));
                if of_function.is_empty() {
                    keepings.remove(key);
                }
            }
        }
        if let (None, Some(caches)) = (&head, &self.caches) {
            caches.sweep();
        }
        let mut fleets = self.fleets.write().expect("not poisoned");
        let Some(of_function) = fleets.get_mut(key) else { return };
        of_function.retain(|version, fleet| {
            let fits = head.as_ref().is_some_and(|head| {
                head.record.identity == fleet.launch.identity
                    && match version {
                        Version::Latest => {
                            launch::same_process(head.record.invocable(), &fleet.launch.version)
                        }
                        // Numbers are never given twice.
                        Version::Published(_) => head.record.state(*version).is_some(),
                    }
            });
            if fits {
                fleet.trim();
            } else {
                self.retire(fleet);
            }
            fits
        });
        if of_function.is_empty() {
            fleets.remove(key);
        }
    }

    fn keeping(&self, key: &FunctionKey, version: Version) -> Arc<Keeping> {
        let mut keepings = self.keepings.lock().expect("not poisoned");
        let keeping = keepings.entry(key.clone()).or_default().entry(version);
        Arc::clone(keeping.or_insert_with(|| Arc::new(Keeping::new(Arc::clone(&self.missing)))))
    }

    /// Starts what is missing of a version's kept environments.
    async fn tend(self: &Arc<Self>, key: &FunctionKey, version: Version, keeping: &Keeping) {
        let Some(head) = self.ports.catalog.head(key) else { return };
        if head.record.state(version) != Some(&State::Active) {
            return;
        }
        match self.fleet(&head, version).await {
            Ok(Some(fleet)) => (0..fleet.begin_missing())
                .for_each(|_| self.start(Arc::clone(&fleet), Initialization::Provisioned)),
            // Its end is told.
            Ok(None) => {}
            Err(error) => keeping.started(Some(KeepFailure::Platform(error.to_string()))),
        }
    }
}

/// lambkin's services for one environment, by one task, until the sender is dropped.
fn serve(listener: OwnedFd, admission: &dyn Admission) -> (oneshot::Sender<Infallible>, JoinSet<()>) {
    let (end, ended) = oneshot::channel();
    let mut serving = JoinSet::new();
    serving.spawn(admission.serve(listener, Box::pin(async { drop(ended.await) })));
    (end, serving)
}

pub(crate) fn shutting_down() -> Error {
    Error::Service("lambkin is shutting down".into())
}

async fn retire_idle(core: Weak<Core>, limit: Duration) {
    let mut beat =
        tokio::time::interval((limit / 4).clamp(Duration::from_millis(50), Duration::from_secs(5)));
    loop {
        beat.tick().await;
        let Some(core) = core.upgrade() else { return };
        for fleet in core.fleets.read().expect("not poisoned").values().flat_map(BTreeMap::values) {
            fleet.retire_idle(limit);
        }
    }
}

/// Looks where something happened, and after failures from time to time.
async fn start_missing(core: Weak<Core>, missing: Arc<Notify>) {
    loop {
        // Elapsed or woken: there is something to look at either way.
        let _ = tokio::time::timeout(RETRY_AFTER, missing.notified()).await;
        let Some(core) = core.upgrade() else { return };
        let wanted: Vec<(FunctionKey, Version, Arc<Keeping>)> = {
            let keepings = core.keepings.lock().expect("not poisoned");
            let all = keepings.iter().flat_map(|(key, all)| all.iter().map(move |each| (key, each)));
            let wanted = all.filter(|(_, (_, keeping))| keeping.requested() > 0);
            wanted.map(|(key, (version, keeping))| (key.clone(), *version, Arc::clone(keeping))).collect()
        };
        for (key, version, keeping) in wanted {
            core.tend(&key, version, &keeping).await;
        }
    }
}
