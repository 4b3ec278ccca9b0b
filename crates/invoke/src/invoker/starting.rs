//! How an environment starts: memory for it, its turn, its sandbox, and from then on its own task.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use lambkin_model::Error;
use lambkin_model::error::ThrottleReason;
use lambkin_model::function::State;
use lambkin_model::kept::KeepFailure;
use lambkin_model::name::FunctionKey;
use lambkin_model::placement;
use lambkin_model::provisioned::Initialization;
use lambkin_model::sandbox::{LaunchError, Sandbox, SandboxSpec};
use lambkin_model::services::Admission;
use lambkin_model::version::Version;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use super::{Core, Tasks, shutting_down};
use crate::capture::{self, Capture};
use crate::environment::Environment;
use crate::fleet::{Fleet, Mailbox};
use crate::keeping::{Keeping, RETRY_AFTER};
use crate::launch::Launch;
use crate::memory::Room;
use crate::pool::Assigned;
use crate::running::LAUNCH_TIMEOUT;
use crate::starts::Level;
use crate::traced::Told;

/// How long a start waits for memory. AWS's machines are never full; a caller gets the answer that it
/// would get there for too many at once, which every SDK tries again.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);

impl Core {
    pub(super) fn start(self: &Arc<Self>, fleet: Arc<Fleet>, initialization: Initialization) {
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
            fleet.keeping.started(Some(KeepFailure::Capacity("no memory for another environment".into())));
        }
        if let Some(assignment) = fleet.start_failed(initialization) {
            let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
            assignment.answer(Err(Error::TooManyRequests { reason }));
        }
        None
    }

    /// As many environments as executions at the most, and as much memory as there is: those that
    /// were idle longest make room, and where they are not enough, processes that nobody has yet.
    fn make_room(&self, excess: usize, short: u64) {
        let fleets = self.fleets.read().expect("not poisoned");
        let mut idle: Vec<(Instant, u64, &Arc<Fleet>)> = fleets
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(|fleet| fleet.idle().into_iter().map(move |(since, bytes)| (since, bytes, fleet)))
            .collect();
        idle.sort_by_key(|(since, _, _)| *since);
        let all: u64 = idle.iter().map(|(_, bytes, _)| bytes).sum();
        let missing = short.saturating_sub(all);
        let is_given = missing > 0
            && self.pool.lock().expect("not poisoned").as_ref().is_some_and(|pool| pool.make_room(missing));
        let short = if is_given { short - missing } else { short };
        let count = placement::retire(idle.iter().map(|(_, bytes, _)| *bytes), excess, short);
        for (_, _, fleet) in &idle[..count] {
            fleet.retire_oldest();
        }
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

/// Looks where something happened, and after failures from time to time.
pub(super) async fn start_missing(core: Weak<Core>, missing: Arc<Notify>) {
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
