//! The door: resolve the function, admit the invocation, place it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};

use lambkin_model::catalog::{CatalogRead, Head, Stored};
use lambkin_model::code::CodeRead;
use lambkin_model::concurrency::minimum_unreserved;
use lambkin_model::error::ThrottleReason;
use lambkin_model::function::State;
use lambkin_model::invocation::{Invocation, Invoke, Reply, trace_id};
use lambkin_model::log::LogSink;
use lambkin_model::name::{FunctionKey, LATEST};
use lambkin_model::placement;
use lambkin_model::runtime::RuntimeProvider;
use lambkin_model::sandbox::{LaunchError, Launcher, Sandbox, SandboxSpec};
use lambkin_model::services::{Admission, Services};
use lambkin_model::{Error, Pending, quota};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Duration, Instant};

use crate::assignment::Assignment;
use crate::capture::{self, Capture};
use crate::environment::Environment;
use crate::fleet::{Fleet, Mailbox, Placed};
use crate::gate::Gate;
use crate::keeping::{KeepFailure, Keeping, Kept, RETRY_AFTER};
use crate::launch::{self, Launch};
use crate::memory::{Memory, Room};
use crate::permit::Permits;
use crate::pool::{Assigned, Means, Pool};
use crate::running::LAUNCH_TIMEOUT;
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
    /// Node.js.
    pub runtimes: Arc<dyn RuntimeProvider>,
    /// Sandboxes.
    pub launcher: Arc<dyn Launcher>,
    /// Where log events go.
    pub logs: Arc<dyn LogSink>,
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
    fleets: RwLock<HashMap<FunctionKey, Arc<Fleet>>>,
    /// Of functions that have a fleet or keep environments.
    keepings: Mutex<HashMap<FunctionKey, Arc<Keeping>>>,
    /// Something that is to be kept may be missing.
    missing: Arc<Notify>,
    vigil: Arc<Vigil>,
    /// No fleet is made any more.
    closing: AtomicBool,
    /// `None` once they are being shut down: nothing starts any more.
    tasks: Mutex<Option<Tasks>>,
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
        let core = Arc::new(Core {
            ports,
            config,
            permits: Permits::new(config.concurrency),
            environments: Arc::default(),
            gate,
            pool: Mutex::new(pool),
            memory,
            fleets: RwLock::default(),
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
        keepers.spawn(start_missing(Arc::downgrade(&core), Arc::clone(&core.missing)));
        let tasks = Tasks { environments: JoinSet::new(), keepers, pooling };
        *core.tasks.lock().expect("not poisoned") = Some(tasks);
        Self(core)
    }

    /// Keeps so many environments of the function initialised from now on, invoked or not: those that
    /// end are replaced, none is retired for being idle or for want of memory. A changed function
    /// has its new ones; a deleted one none. Neither permits nor the account's limit are touched.
    pub fn keep(&self, key: &FunctionKey, count: usize) {
        self.0.keeping(key).request(count);
    }

    /// How that goes.
    #[must_use]
    pub fn kept(&self, key: &FunctionKey) -> Kept {
        let fleet = self.0.fleets.read().expect("not poisoned").get(key).cloned();
        if let Some(fleet) = fleet {
            return fleet.kept();
        }
        let keepings = self.0.keepings.lock().expect("not poisoned");
        let keeping = keepings.get(key);
        Kept {
            requested: keeping.map_or(0, |keeping| keeping.requested()),
            allocated: 0,
            available: 0,
            failure: keeping.and_then(|keeping| keeping.failure()),
        }
    }

    /// Retires every environment and waits for them; after `grace` those that still run are killed.
    pub async fn shutdown(&self, grace: Duration) {
        self.0.shutdown(grace).await;
    }
}

impl Invoke for Invoker {
    fn invoke(&self, invocation: Invocation) -> Pending<'_, Result<Reply, Error>> {
        Box::pin(self.0.run(invocation))
    }
}

impl Core {
    async fn shutdown(&self, grace: Duration) {
        {
            let mut fleets = self.fleets.write().expect("not poisoned");
            self.closing.store(true, Ordering::Release);
            for (_, fleet) in fleets.drain() {
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

    async fn run(self: &Arc<Self>, mut invocation: Invocation) -> Result<Reply, Error> {
        let (head, fleet) = self.resolve(&invocation).await?;
        let permit = fleet.executions.acquire();
        let permit = permit.map_err(|reason| Error::TooManyRequests { reason })?;
        invocation.trace_id.get_or_insert_with(new_trace_id);
        let timeout = u64::from(head.record.invocable().configuration.timeout) * 1_000_000;
        let (assignment, answer) = Assignment::new(invocation, timeout, permit);
        self.place(fleet, assignment).await?;
        self.vigil.extend();
        // An environment always answers; only its abort at the end of a shutdown drops the sender.
        let answered = answer.await.unwrap_or_else(|_| Err(shutting_down()));
        self.vigil.extend();
        answered
    }

    async fn resolve(
        self: &Arc<Self>,
        invocation: &Invocation,
    ) -> Result<(Arc<Stored<Head>>, Arc<Fleet>), Error> {
        let reference = &invocation.function;
        let qualifier = reference.qualifier.as_deref().unwrap_or(LATEST);
        // Invoke's 404 names the qualifier in any case (aws-behaviour 8).
        let not_found = || Error::FunctionNotFound { arn: reference.key.qualified_arn(qualifier) };
        let head = self.ports.catalog.head(&reference.key).ok_or_else(not_found)?;
        if qualifier != LATEST {
            return Err(not_found());
        }
        match &head.record.latest.state {
            State::Active => {}
            State::Pending => {
                return Err(Error::ResourceConflict(
                    "The operation cannot be performed at this time. The function is currently in the following state: Pending"
                        .into(),
                ));
            }
            State::Failed { reason, .. } => return Err(Error::InvalidRuntime(reason.clone())),
        }
        let fleet = self.fleet(&head).await?;
        Ok((head, fleet))
    }

    /// The environments that fit this head: the ones there are, unless what their processes see has
    /// changed.
    async fn fleet(self: &Arc<Self>, head: &Arc<Stored<Head>>) -> Result<Arc<Fleet>, Error> {
        let key = &head.record.key;
        let current = self.fleets.read().expect("not poisoned").get(key).cloned();
        if let Some(fleet) = current
            && fleet.revision.load(Ordering::Acquire) == head.revision.0
        {
            return Ok(fleet);
        }
        let need = launch::need(head.record.invocable());
        let runtime = match self.ports.runtimes.installed(&need) {
            Some(runtime) => runtime,
            None => {
                let ensured = self.ports.runtimes.ensure(need).await;
                ensured.map_err(|error| Error::InvalidRuntime(error.to_string()))?
            }
        };
        let launch = Launch::new(&head.record, runtime, &*self.ports.code)?;
        let fleet = self.fit(head, launch)?;
        // What changed since the head was read was told when this fleet was not there yet.
        self.changed(key);
        Ok(fleet)
    }

    fn fit(&self, head: &Stored<Head>, launch: Launch) -> Result<Arc<Fleet>, Error> {
        let key = &head.record.key;
        let mut fleets = self.fleets.write().expect("not poisoned");
        if self.closing.load(Ordering::Acquire) {
            return Err(shutting_down());
        }
        if let Some(fleet) = fleets.get(key) {
            // Another request was faster, perhaps with a newer head.
            if fleet.launch.digest == launch.digest
                || fleet.revision.load(Ordering::Acquire) > head.revision.0
            {
                fleet.revision.fetch_max(head.revision.0, Ordering::AcqRel);
                return Ok(Arc::clone(fleet));
            }
            fleet.retire();
        }
        let (executions, total) = (self.permits.function(key), Arc::clone(&self.environments));
        let fleet = Arc::new(Fleet::new(launch, executions, self.keeping(key), head.revision.0, total));
        fleets.insert(key.clone(), Arc::clone(&fleet));
        Ok(fleet)
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
                    self.start(fleet);
                    return Ok(());
                }
                // The function changed between resolving and placing: once more with what it is now.
                Placed::Retired(back) => {
                    fleet = self.resolve(&back.invocation).await?.1;
                    assignment = back;
                }
            }
        }
    }

    fn start(self: &Arc<Self>, fleet: Arc<Fleet>) {
        if self.environments.load(Ordering::Acquire) > self.config.concurrency {
            self.make_room(1, 0);
        }
        let mut tasks = self.tasks.lock().expect("not poisoned");
        match &mut *tasks {
            Some(Tasks { environments, .. }) => {
                while environments.try_join_next().is_some() {}
                environments.spawn(Arc::clone(self).environment(fleet));
            }
            None => {
                if let Some(assignment) = fleet.start_failed() {
                    assignment.answer(Err(shutting_down()));
                }
            }
        }
    }

    async fn environment(self: Arc<Self>, fleet: Arc<Fleet>) {
        let Some(room) = self.room(&fleet).await else { return };
        let gate = self.gate.turn().await;
        // While this waited for its turn, another environment may have become free.
        if !fleet.still_wanted() {
            return;
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        let launcher = &self.ports.launcher;
        let admission = self.ports.services.as_ref().map(|services| services.admit(fleet.launch.caller()));
        let (spec, stream) = fleet.launch.environment(&**launcher, &id, capture::now(), admission.as_deref());
        let (mut sandbox, booted) = match self.open(&fleet.launch, spec).await {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(function = %fleet.launch.key, %error, "an environment could not be made");
                fleet.keeping.started(Some(KeepFailure::Platform(error.to_string())));
                if let Some(assignment) = fleet.start_failed() {
                    assignment.answer(Err(Error::Service(error.to_string())));
                }
                return;
            }
        };
        let capture = Capture::new(Arc::clone(&self.ports.logs), stream);
        drop(self);
        let (sender, messages) = mpsc::channel(Mailbox::CAPACITY);
        let serving = sandbox.services().zip(admission.as_deref()).map(|(listener, at)| serve(listener, at));
        let mailbox = Mailbox { sender, room: Arc::new(room) };
        Environment::new(fleet, mailbox, messages, sandbox, capture, booted, gate).live().await;
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
    async fn room(&self, fleet: &Fleet) -> Option<Room> {
        let size = fleet.launch.memory();
        if let Some(room) = self.memory.room_now(size) {
            return Some(room);
        }
        let wait = async {
            let turn = self.memory.turn().await?;
            loop {
                // Meanwhile another environment of the fleet may have become free.
                if !fleet.still_wanted() {
                    return None;
                }
                match turn.room(&self.memory, size) {
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
        fleet.keeping.started(Some(KeepFailure::Platform("no memory for another environment".into())));
        if let Some(assignment) = fleet.start_failed() {
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
        let reserved = || Some(self.ports.catalog.head(key)?.record.reserved_concurrency);
        self.permits.changed(key, reserved);
        let head = self.ports.catalog.head(key);
        let keeping = match head {
            Some(_) => self.keepings.lock().expect("not poisoned").get(key).cloned(),
            None => self.keepings.lock().expect("not poisoned").remove(key),
        };
        if let Some(keeping) = keeping {
            keeping.stir();
        }
        let mut fleets = self.fleets.write().expect("not poisoned");
        let Some(fleet) = fleets.get(key) else { return };
        let fits = head.is_some_and(|head| {
            head.record.identity == fleet.launch.identity
                && launch::same_process(head.record.invocable(), &fleet.launch.version)
        });
        if !fits && let Some(fleet) = fleets.remove(key) {
            fleet.retire();
        }
    }

    fn keeping(&self, key: &FunctionKey) -> Arc<Keeping> {
        let mut keepings = self.keepings.lock().expect("not poisoned");
        let keeping = keepings.entry(key.clone());
        Arc::clone(keeping.or_insert_with(|| Arc::new(Keeping::new(Arc::clone(&self.missing)))))
    }

    /// Starts what is missing of a function's kept environments.
    async fn tend(self: &Arc<Self>, key: &FunctionKey, keeping: &Keeping) {
        let Some(head) = self.ports.catalog.head(key) else { return };
        if head.record.latest.state != State::Active {
            return;
        }
        match self.fleet(&head).await {
            Ok(fleet) => (0..fleet.begin_missing()).for_each(|_| self.start(Arc::clone(&fleet))),
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

fn shutting_down() -> Error {
    Error::Service("lambkin is shutting down".into())
}

async fn retire_idle(core: Weak<Core>, limit: Duration) {
    let mut beat =
        tokio::time::interval((limit / 4).clamp(Duration::from_millis(50), Duration::from_secs(5)));
    loop {
        beat.tick().await;
        let Some(core) = core.upgrade() else { return };
        for fleet in core.fleets.read().expect("not poisoned").values() {
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
        let wanted: Vec<(FunctionKey, Arc<Keeping>)> = {
            let keepings = core.keepings.lock().expect("not poisoned");
            let wanted = keepings.iter().filter(|(_, keeping)| keeping.requested() > 0);
            wanted.map(|(key, keeping)| (key.clone(), Arc::clone(keeping))).collect()
        };
        for (key, keeping) in wanted {
            core.tend(&key, &keeping).await;
        }
    }
}

fn new_trace_id() -> String {
    let random = || uuid::Uuid::new_v4().into_bytes();
    trace_id(capture::now().0 / 1_000_000, random(), random())
}
