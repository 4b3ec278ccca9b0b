//! The plain-process launcher: each sandbox is a directory with a `tmp`, and processes started in it
//! by the spawner. No isolation: functions run as lambkin's user and see the host.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::{LaunchError, Launcher, Layout, Process, Sandbox, SandboxSpec, Sources};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::process::PlainProcess;
use crate::wire::Spawn;

/// Bytes that the kernel queues in the channel: a payload passes in few pieces. The kernel's own
/// limit may be lower, and is then kept.
const CHANNEL_BYTES: usize = 1024 * 1024;

/// How long removing the last directories may take at a shutdown.
const CLEAN_TIMEOUT: Duration = Duration::from_secs(5);

/// How processes are launched.
#[derive(Debug, Clone)]
pub struct Config {
    /// Directory of the sandboxes' directories; what is in it from a former run is removed.
    pub directory: PathBuf,
    /// Program that is the spawner when started with [`SPAWNER_ARGUMENT`](crate::SPAWNER_ARGUMENT);
    /// by default this very program.
    pub spawner: PathBuf,
}

impl Config {
    /// With this very program as spawner.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        // By the kernel's link: it leads to the running program even where its file was replaced.
        Self { directory, spawner: "/proc/self/exe".into() }
    }
}

/// The plain-process launcher. Cheap to clone.
#[derive(Clone)]
pub struct ProcessLauncher(Arc<Inner>);

struct Inner {
    config: Config,
    connection: Mutex<Arc<Connection>>,
    /// Removals of directories under way.
    cleaning: Mutex<JoinSet<()>>,
}

impl ProcessLauncher {
    /// Starts the spawner. Needs a tokio runtime.
    pub async fn start(config: Config) -> Result<Self, LaunchError> {
        let directory = config.directory.clone();
        let prepared = tokio::task::spawn_blocking(move || prepare(&directory)).await;
        let failed = |error: io::Error| LaunchError(format!("{}: {error}", config.directory.display()));
        prepared.map_err(|error| LaunchError(error.to_string()))?.map_err(failed)?;
        let connection = Connection::start(&config.spawner)
            .map_err(|error| LaunchError(format!("the spawner cannot be started: {error}")))?;
        Ok(Self(Arc::new(Inner { config, connection: Mutex::new(Arc::new(connection)), cleaning: Mutex::default() })))
    }

    /// Kills what still runs, removes the sandboxes' directories and ends the spawner.
    pub async fn shutdown(&self) {
        let connection = Arc::clone(&self.0.connection.lock().expect("no code panics under this lock"));
        connection.close().await;
        let mut cleaning = std::mem::take(&mut *self.0.cleaning.lock().expect("no code panics under this lock"));
        let all = async { while cleaning.join_next().await.is_some() {} };
        if tokio::time::timeout(CLEAN_TIMEOUT, all).await.is_err() {
            tracing::warn!("directories of environments are left; the next start removes them");
        }
    }
}

impl Inner {
    /// The spawner that there is, or a new one where that has ended.
    fn connection(&self) -> Result<Arc<Connection>, LaunchError> {
        let mut connection = self.connection.lock().expect("no code panics under this lock");
        if connection.is_closed() {
            let again = Connection::start(&self.config.spawner)
                .map_err(|error| LaunchError(format!("the spawner cannot be started again: {error}")))?;
            *connection = Arc::new(again);
        }
        Ok(Arc::clone(&connection))
    }

    fn place(&self, id: &str) -> PathBuf {
        self.config.directory.join(id)
    }
}

fn prepare(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    std::fs::create_dir_all(directory.join("opt"))
}

impl Launcher for ProcessLauncher {
    fn layout(&self, sources: &Sources, id: &str) -> Layout {
        Layout {
            task_root: sources.code.clone(),
            runtime_dir: sources.runtime_dir.clone(),
            bin: sources.node.parent().unwrap_or(Path::new("/")).to_owned(),
            opt: self.0.config.directory.join("opt"),
            tmp: Some(self.0.place(id).join("tmp")),
        }
    }

    fn open(&self, spec: SandboxSpec) -> Pending<'_, Result<Box<dyn Sandbox>, LaunchError>> {
        Box::pin(async move {
            let place = self.0.place(&spec.id);
            let sources = spec.sources.clone();
            let made = tokio::task::spawn_blocking(move || {
                link_sdk(&sources);
                std::fs::create_dir_all(place.join("tmp"))
            });
            let made = made.await.map_err(|error| LaunchError(error.to_string()))?;
            made.map_err(|error| LaunchError(format!("{}: {error}", self.0.place(&spec.id).display())))?;
            Ok(Box::new(PlainSandbox { launcher: Arc::clone(&self.0), spec, last: None }) as Box<dyn Sandbox>)
        })
    }
}

/// ES modules do not look into `NODE_PATH`: for them the SDK is where Node.js looks by itself, in a
/// `node_modules` above the task root. Where it cannot be put there, `require` still finds it.
fn link_sdk(sources: &Sources) {
    let Some(above) = sources.code.parent() else { return };
    let (link, target) = (above.join("node_modules"), sources.runtime_dir.join("node_modules"));
    if std::fs::read_link(&link).is_ok_and(|current| current == target) {
        return;
    }
    let staged = above.join(format!(".node_modules-{}", std::process::id()));
    if std::os::unix::fs::symlink(&target, &staged).is_ok() {
        let _ = std::fs::rename(&staged, &link);
    }
}

struct PlainSandbox {
    launcher: Arc<Inner>,
    spec: SandboxSpec,
    /// The process that was started last.
    last: Option<(Arc<Connection>, u64)>,
}

impl Sandbox for PlainSandbox {
    fn start(&mut self) -> Pending<'_, Result<Process, LaunchError>> {
        Box::pin(async move {
            let connection = self.launcher.connection()?;
            let ends = Ends::new().map_err(|error| LaunchError(format!("no descriptors for a process: {error}")))?;
            let spawn = Spawn {
                id: 0,
                marker: self.spec.id.clone(),
                command: self.spec.command.clone(),
                variables: self.spec.variables.clone(),
                directory: self.spec.sources.code.to_string_lossy().into_owned(),
            };
            let (id, pid, exit) = connection.spawn(spawn, ends.theirs).await?;
            self.last = Some((Arc::clone(&connection), id));
            let [channel, output] = ends.ours;
            Ok(Process {
                channel,
                output,
                exit: Box::pin(ended(exit)),
                control: Box::new(PlainProcess::new(connection, id, pid)),
            })
        })
    }
}

async fn ended(exit: oneshot::Receiver<ExitStatus>) -> ExitStatus {
    exit.await.unwrap_or(ExitStatus::Signal(9))
}

impl Drop for PlainSandbox {
    fn drop(&mut self) {
        // It has ended already, unless its environment was cut off in the middle.
        if let Some((connection, id)) = &self.last {
            connection.kill(*id);
        }
        let place = self.launcher.place(&self.spec.id);
        let mut cleaning = self.launcher.cleaning.lock().expect("no code panics under this lock");
        while cleaning.try_join_next().is_some() {}
        cleaning.spawn_blocking(move || {
            if let Err(error) = std::fs::remove_dir_all(&place) {
                tracing::debug!(directory = %place.display(), %error, "an environment's directory is left behind");
            }
        });
    }
}

/// Both ends of a process's channel and output.
struct Ends {
    ours: [OwnedFd; 2],
    theirs: [OwnedFd; 2],
}

impl Ends {
    fn new() -> io::Result<Self> {
        let (channel, their_channel) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        for end in [&channel, &their_channel] {
            rustix::net::sockopt::set_socket_send_buffer_size(end, CHANNEL_BYTES)?;
        }
        let (output, their_output) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        for ours in [&channel, &output] {
            rustix::io::ioctl_fionbio(ours, true)?;
        }
        Ok(Self { ours: [channel, output], theirs: [their_channel, their_output] })
    }
}
