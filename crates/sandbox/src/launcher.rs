//! The launcher: makes sandboxes, and owns the task that talks to the spawner.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::sandbox::{LaunchError, Launcher, Layout, Sandbox, SandboxSpec, Sources};
use rustix::process::{Resource, Rlimit};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::SPAWNER_ARGUMENT;
use crate::directory::{self, Base};
use crate::sandbox::ProcessSandbox;
use crate::spawner_process::{SpawnerCommand, SpawnerProcess};
use crate::supervisor::{Requests, Supervisor};
use crate::wire::SpawnMessage;

/// How long a shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// How a [`ProcessLauncher`] starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where environments have their directories. No other launcher may use it at the same time:
    /// what is there at its start is a former one's, and is killed and removed.
    pub directory: PathBuf,
    /// The executable that calls [`crate::run_spawner`].
    pub spawner: PathBuf,
    /// Its arguments.
    pub spawner_arguments: Vec<OsString>,
}

impl Config {
    /// This very executable is the spawner, with [`SPAWNER_ARGUMENT`] as its argument.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, spawner: own_executable(), spawner_arguments: vec![SPAWNER_ARGUMENT.into()] }
    }
}

/// On Linux by the kernel's link, which stays true when the file is replaced by a newer lambkin.
fn own_executable() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") { link } else { std::env::current_exe().unwrap_or(link) }
}

/// Makes sandboxes that are plain processes: own session, own directories, clean environment, and
/// no isolation. Clones are the same launcher; dropping all of them is a shutdown that nobody waits
/// for.
#[derive(Clone)]
pub struct ProcessLauncher(Arc<Shared>);

struct Shared {
    base: Base,
    requests: Arc<Requests>,
    stop: watch::Sender<()>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

impl ProcessLauncher {
    /// Starts the spawner and begins to remove what a former launcher left. Needs a tokio runtime.
    ///
    /// # Errors
    /// The directory cannot be made, or the spawner cannot be started.
    pub async fn start(config: Config) -> Result<Self, LaunchError> {
        let base = Base::open(&config.directory)?;
        raise_open_files();
        let command = SpawnerCommand { program: config.spawner, arguments: config.spawner_arguments };
        let spawner = SpawnerProcess::start(&command)?;
        let (requests, requested) = Requests::new();
        let (stop, stopped) = watch::channel(());
        let supervisor = Supervisor::new(command, base.clone(), spawner);
        let supervisor = Mutex::new(Some(tokio::spawn(supervisor.run(requested, stopped))));
        Ok(Self(Arc::new(Shared { base, requests: Arc::new(requests), stop, supervisor })))
    }

    /// Kills every process, waits until all are gone and their directories removed, and ends the
    /// spawner; gives up after 20 s. Nothing can be started afterwards.
    pub async fn shutdown(&self) {
        let supervisor = self.0.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.0.stop.send_replace(());
        let Some(mut supervisor) = supervisor else { return };
        if tokio::time::timeout(SHUTDOWN, &mut supervisor).await.is_err() {
            tracing::error!("environments were not all gone after {SHUTDOWN:?}");
            supervisor.abort();
        }
    }
}

/// lambkin holds four descriptors for each environment, and systems start programs with a limit of
/// 1,024. The processes get their own limit.
pub(crate) fn raise_open_files() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    // The system may not allow what it says is the maximum (macOS): then it stays as it is.
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// A listener of an environment's own, and its address as `AWS_LAMBDA_RUNTIME_API` has it. Whatever
/// runs on this machine can reach it: process mode isolates nothing.
fn runtime_api() -> io::Result<(OwnedFd, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?.to_string();
    Ok((listener.into(), address))
}

impl Launcher for ProcessLauncher {
    fn layout(&self, sources: &Sources, id: &str) -> Layout {
        self.0.base.layout(sources, id)
    }

    /// A process's directories are its code's own, on the host.
    fn assigns(&self) -> bool {
        false
    }

    /// Whatever runs here can write wherever lambkin can.
    fn has_compile_caches(&self) -> bool {
        false
    }

    fn open(&self, spec: SandboxSpec) -> Pending<'_, Result<Box<dyn Sandbox>, LaunchError>> {
        Box::pin(async move {
            if !directory::is_id(&spec.id) {
                return Err(LaunchError(format!("{:?} is not 32 hex digits", spec.id)));
            }
            let mut variables = spec.variables;
            let runtime_api = if spec.runtime_api {
                let (listener, address) = runtime_api().map_err(|error| {
                    LaunchError(format!("the Runtime API's socket could not be made: {error}"))
                })?;
                variables.insert("AWS_LAMBDA_RUNTIME_API".into(), address);
                Some(listener)
            } else {
                None
            };
            let Some(code) = &spec.sources.code else {
                return Err(LaunchError("plain processes cannot be assigned".into()));
            };
            let message = SpawnMessage::new(&spec.id, code, &spec.command, &variables)?;
            let program = spec.command.into_iter().next().unwrap_or_default();
            let (base, id, sources) = (self.0.base.clone(), spec.id.clone(), spec.sources);
            // Before its directory, so that the directory goes with it whatever happens next.
            let sandbox = ProcessSandbox {
                directory: base.environment(&id),
                id: spec.id,
                program,
                message,
                runtime_api,
                requests: Arc::clone(&self.0.requests),
                close: Some(self.0.requests.reserve_ending()?),
            };
            tokio::task::spawn_blocking(move || base.prepare(&sources, &id)).await.map_err(|error| {
                LaunchError(format!("the environment's directory was not made: {error}"))
            })??;
            Ok(Box::new(sandbox) as Box<dyn Sandbox>)
        })
    }
}
