//! lambkin's side of the spawner: one task owns the socket, hands requests over and routes replies
//! to those who wait, starts another spawner when one dies, and removes what environments leave.
//!
//! Deliberately not here: what a sandbox is (`sandbox`); nothing here waits for a process.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::LaunchError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::directory::{self, Base};
use crate::spawner_process::{SpawnerCommand, SpawnerProcess};
use crate::tree;
use crate::wire::{self, Reply};

/// How long processes of a dead spawner may take to die.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Starts that wait to be taken up. When full, further starts wait, up to their own limit.
const LAUNCHES: usize = 64;

/// Two for each sandbox, its end and that of its process, reserved when they begin. When full, no
/// further sandbox opens: sixteen times AWS's default concurrency.
const ENDINGS: usize = 32_768;

/// Messages that wait for the socket. When so many do, starts are left in their channel; kills, of
/// which each process has one, are not.
const OUTBOX: usize = 64;

/// A start.
pub(crate) struct Launch {
    pub(crate) run: u64,
    /// Id of the environment: marks all its processes. The one before must have ended.
    pub(crate) environment: String,
    /// For messages: program and working directory.
    pub(crate) program: String,
    pub(crate) message: Vec<u8>,
    pub(crate) channel: OwnedFd,
    pub(crate) output: OwnedFd,
    /// Dropped where nobody waits any more: the process is killed then.
    pub(crate) answer: oneshot::Sender<Result<Option<OwnedFd>, LaunchError>>,
    pub(crate) exit: oneshot::Sender<ExitStatus>,
}

/// The end of something, which must never be refused: room for it is reserved when it begins.
pub(crate) enum Ending {
    Kill { run: u64 },
    Close { environment: String, directory: PathBuf },
}

/// The ways to the supervisor.
pub(crate) struct Requests {
    runs: AtomicU64,
    launches: mpsc::Sender<Launch>,
    endings: mpsc::Sender<Ending>,
}

/// The supervisor's end of them.
pub(crate) struct Requested {
    launches: mpsc::Receiver<Launch>,
    endings: mpsc::Receiver<Ending>,
}

impl Requests {
    pub(crate) fn new() -> (Self, Requested) {
        let (launches, launched) = mpsc::channel(LAUNCHES);
        let (endings, ended) = mpsc::channel(ENDINGS);
        (
            Self { runs: AtomicU64::new(0), launches, endings },
            Requested { launches: launched, endings: ended },
        )
    }

    pub(crate) fn next_run(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives the process's open status where the system has such a thing.
    pub(crate) async fn launch(
        &self,
        launch: Launch,
        answered: oneshot::Receiver<Result<Option<OwnedFd>, LaunchError>>,
    ) -> Result<Option<OwnedFd>, LaunchError> {
        self.launches.send(launch).await.map_err(|_| shut_down())?;
        answered.await.map_err(|_| shut_down())?
    }

    pub(crate) fn reserve_ending(&self) -> Result<OwnedPermit<Ending>, LaunchError> {
        self.endings.clone().try_reserve_owned().map_err(|error| match error {
            TrySendError::Full(_) => LaunchError(format!("more than {} environments are open", ENDINGS / 2)),
            TrySendError::Closed(_) => shut_down(),
        })
    }
}

fn shut_down() -> LaunchError {
    LaunchError("the launcher is shut down".into())
}

struct Run {
    environment: String,
    program: String,
    /// Until it was started.
    answer: Option<oneshot::Sender<Result<Option<OwnedFd>, LaunchError>>>,
    exit: oneshot::Sender<ExitStatus>,
    /// Removed after its end: its sandbox was dropped.
    directory: Option<PathBuf>,
}

struct Outgoing {
    /// The run that it starts, if it does.
    starts: Option<u64>,
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

pub(crate) struct Supervisor {
    command: SpawnerCommand,
    base: Base,
    spawner: Option<SpawnerProcess>,
    runs: HashMap<u64, Run>,
    outbox: VecDeque<Outgoing>,
    /// Directories to remove, one blocking job at a time for all that have come up.
    doomed: Vec<PathBuf>,
    jobs: JoinSet<()>,
}

enum Event {
    Received(io::Result<Option<(Reply, Option<OwnedFd>)>>),
    Sent(io::Result<()>),
}

impl Supervisor {
    /// Begins to remove environments whose lambkin is gone.
    pub(crate) fn new(command: SpawnerCommand, base: Base, spawner: SpawnerProcess) -> Self {
        let mut jobs = JoinSet::new();
        let leftovers = base.environments();
        if !leftovers.is_empty() {
            jobs.spawn_blocking(move || {
                // Where the spawner was killed too, processes may live that were not its children.
                let markers: Vec<_> = leftovers.iter().filter_map(|path| directory::id_of(path)).collect();
                tree::kill_marked(&markers, KILL_PATIENCE);
                leftovers.iter().for_each(|path| directory::remove(path));
            });
        }
        let (runs, outbox, doomed) = Default::default();
        Self { command, base, spawner: Some(spawner), runs, outbox, doomed, jobs }
    }

    /// Until `stop` is sent or its sender is gone; then takes everything down.
    pub(crate) async fn run(mut self, requested: Requested, mut stop: watch::Receiver<()>) {
        let Requested { mut launches, mut endings } = requested;
        loop {
            self.start_job();
            tokio::select! {
                event = exchange(self.spawner.as_ref(), self.outbox.front()) => self.handle(event).await,
                Some(launch) = launches.recv(), if self.outbox.len() < OUTBOX => self.launch(launch),
                Some(ending) = endings.recv() => self.end(ending),
                Some(_) = self.jobs.join_next(), if !self.jobs.is_empty() => {}
                _ = stop.changed() => break,
            }
        }
        drop(launches);
        self.close(endings).await;
    }

    fn launch(&mut self, launch: Launch) {
        if launch.answer.is_closed() {
            return;
        }
        if let Err(error) = self.prepare(&launch) {
            // Nobody may wait any more.
            let _ = launch.answer.send(Err(error));
            return;
        }
        let descriptors = vec![launch.channel, launch.output];
        self.outbox.push_back(Outgoing { starts: Some(launch.run), bytes: launch.message, descriptors });
        let (answer, exit) = (Some(launch.answer), launch.exit);
        self.runs.insert(
            launch.run,
            Run { environment: launch.environment, program: launch.program, answer, exit, directory: None },
        );
    }

    /// Sees that there is a spawner and nothing else in the sandbox.
    fn prepare(&mut self, launch: &Launch) -> Result<(), LaunchError> {
        if self.run_of(&launch.environment).is_some() {
            return Err(LaunchError("the environment's last process has not ended".into()));
        }
        if self.spawner.is_none() {
            self.spawner = Some(SpawnerProcess::start(&self.command)?);
        }
        Ok(())
    }

    fn run_of(&self, environment: &str) -> Option<u64> {
        self.runs.iter().find(|(_, run)| run.environment == environment).map(|(number, _)| *number)
    }

    fn end(&mut self, ending: Ending) {
        match ending {
            Ending::Kill { run } => self.kill(run),
            Ending::Close { environment, directory } => match self.run_of(&environment) {
                Some(run) => {
                    self.kill(run);
                    self.runs.entry(run).and_modify(|run| run.directory = Some(directory));
                }
                None => self.doomed.push(directory),
            },
        }
    }

    fn kill(&mut self, run: u64) {
        if self.runs.contains_key(&run) {
            self.outbox.push_back(Outgoing {
                starts: None,
                bytes: wire::kill_message(run),
                descriptors: Vec::new(),
            });
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Sent(Ok(())) => drop(self.outbox.pop_front()),
            Event::Received(Ok(Some((reply, descriptor)))) => self.reply(reply, descriptor),
            Event::Received(Ok(None)) => self.lost("its socket closed").await,
            Event::Received(Err(error)) => self.lost(&error.to_string()).await,
            Event::Sent(Err(error)) => match self.outbox.front().and_then(|outgoing| outgoing.starts) {
                // Too large for this system's sockets, or too many descriptors under way: that is
                // not the end of the others. A spawner that is gone says so at the next receive.
                Some(run) => {
                    self.outbox.pop_front();
                    self.not_started(
                        run,
                        format!("the spawner could not be told to start a process: {error}"),
                    );
                }
                None => self.lost(&error.to_string()).await,
            },
        }
    }

    fn reply(&mut self, reply: Reply, status: Option<OwnedFd>) {
        match reply {
            Reply::Spawned { run: number, pid } => {
                let Some(run) = self.runs.get_mut(&number) else { return };
                tracing::debug!(pid, environment = run.environment, "process started");
                if run.answer.take().is_some_and(|answer| answer.send(Ok(status)).is_err()) {
                    // Who asked for it has stopped waiting.
                    self.kill(number);
                }
            }
            Reply::Failed { run, step, errno } => {
                let program = self.runs.get(&run).map_or("the program", |run| &run.program);
                let text = step.failure(program, errno);
                self.not_started(run, text);
            }
            Reply::Exited { run, status } => {
                let Some(run) = self.runs.remove(&run) else { return };
                tracing::debug!(?status, environment = run.environment, "process ended");
                // Nobody may wait for it.
                let _ = run.exit.send(status);
                self.doomed.extend(run.directory);
            }
        }
    }

    fn not_started(&mut self, run: u64, text: String) {
        let Some(run) = self.runs.remove(&run) else { return };
        if let Some(answer) = run.answer {
            // Nobody may wait any more.
            let _ = answer.send(Err(LaunchError(text)));
        }
        self.doomed.extend(run.directory);
    }

    /// The spawner has died. Its processes die with it; another one starts with the next launch.
    async fn lost(&mut self, why: &str) {
        tracing::error!("the spawner is gone ({why}); all environments' processes end with it");
        if let Some(spawner) = self.spawner.take() {
            spawner.finish(KILL_PATIENCE).await;
        }
        // Leaders die by themselves, what they started does not.
        self.kill_what_is_left().await;
        self.forget_runs();
    }

    async fn kill_what_is_left(&mut self) {
        let markers: Vec<_> = self.runs.values().map(|run| run.environment.clone()).collect();
        let gone = tokio::task::spawn_blocking(move || tree::kill_marked(&markers, KILL_PATIENCE)).await;
        if !gone.unwrap_or(false) {
            tracing::error!("processes of functions are still there after {KILL_PATIENCE:?}");
        }
    }

    fn forget_runs(&mut self) {
        self.outbox.clear();
        for (_, run) in self.runs.drain() {
            match run.answer {
                Some(answer) => {
                    drop(answer.send(Err(LaunchError("the spawner died during the start".into()))))
                }
                None => drop(run.exit.send(ExitStatus::Signal(libc::SIGKILL))),
            }
            self.doomed.extend(run.directory);
        }
    }

    fn start_job(&mut self) {
        if self.jobs.is_empty() && !self.doomed.is_empty() {
            let doomed = std::mem::take(&mut self.doomed);
            self.jobs.spawn_blocking(move || doomed.iter().for_each(|path| directory::remove(path)));
        }
    }

    async fn close(mut self, mut endings: mpsc::Receiver<Ending>) {
        // The spawner takes everything with it when its socket closes.
        if let Some(spawner) = self.spawner.take()
            && !spawner.finish(KILL_PATIENCE).await
        {
            self.kill_what_is_left().await;
        }
        self.forget_runs();
        endings.close();
        // Also those whose sandbox is still to be dropped.
        self.doomed = self.base.environments();
        loop {
            self.start_job();
            if self.jobs.join_next().await.is_none() {
                return;
            }
        }
    }
}

/// Waits for a reply, or for the first outgoing message to be taken. Waiting to send never keeps
/// replies from being read: a spawner that waits to reply would wait for ever. Loses nothing when
/// dropped.
async fn exchange(spawner: Option<&SpawnerProcess>, outgoing: Option<&Outgoing>) -> Event {
    let Some(spawner) = spawner else { return std::future::pending().await };
    let send = async {
        let Some(outgoing) = outgoing else { return std::future::pending().await };
        let descriptors: Vec<_> = outgoing.descriptors.iter().map(OwnedFd::as_fd).collect();
        spawner.send(&outgoing.bytes, &descriptors).await
    };
    tokio::select! {
        received = spawner.receive() => Event::Received(received),
        sent = send => Event::Sent(sent),
    }
}
