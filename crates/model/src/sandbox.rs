//! The port to the jail: one sandbox holds one environment's process, and its `/tmp` outlives it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::Pending;
use crate::exit::ExitStatus;

/// Where the function finds its directories, as its process sees them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Layout {
    /// `/var/task`.
    pub task_root: PathBuf,
    /// `/var/runtime`.
    pub runtime_dir: PathBuf,
    /// `/var/runtime/node_modules`: the AWS SDK.
    pub modules: PathBuf,
    /// Directory of `node`, for `PATH`.
    pub bin: PathBuf,
    /// `/opt`.
    pub opt: PathBuf,
    /// `Some` where `/tmp` is another path: `TMPDIR` then says so.
    pub tmp: Option<PathBuf>,
    /// Where its processes reach lambkin's services by a listener of their own; `None`: at lambkin's
    /// own address.
    pub services: Option<SocketAddr>,
}

impl Layout {
    /// A path as functions write it (`/var/task/…`, `/var/runtime/…`, `/opt/…`), as their process finds
    /// it; any other is as it was.
    #[must_use]
    pub fn inside(&self, path: &str) -> String {
        let directories =
            [("/var/task/", &self.task_root), ("/var/runtime/", &self.runtime_dir), ("/opt/", &self.opt)];
        let found =
            directories.iter().find_map(|(prefix, directory)| Some((path.strip_prefix(prefix)?, directory)));
        match found {
            Some((rest, directory)) => directory.join(rest).to_string_lossy().into_owned(),
            None => path.to_owned(),
        }
    }
}

/// Where the directories come from on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sources {
    /// The unpacked deployment package. `None` where the sandbox is to be assigned later; then there
    /// are no `modules` before that either.
    pub code: Option<PathBuf>,
    /// The code is somebody's own directory: nothing is put beside it.
    pub borrowed: bool,
    /// What is in `/opt`; `None` where the function has no layers.
    pub opt: Option<PathBuf>,
    /// Directory of the bootstrap. Its empty `node_modules` is where the SDK belongs.
    pub runtime_dir: PathBuf,
    /// `node_modules` with the AWS SDK, or a link to it; not there where none was installed.
    pub modules: PathBuf,
    /// The `node` executable.
    pub node: PathBuf,
}

/// What a sandbox is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSpec {
    /// 32 hex digits, unique: names its directory and its log stream.
    pub id: String,
    /// What is mounted.
    pub sources: Sources,
    /// Command line: the program, as the process sees it, and its arguments.
    pub command: Vec<String>,
    /// All that the process's environment has, but for `AWS_LAMBDA_RUNTIME_API`: the launcher adds
    /// it, because only it knows the address.
    pub variables: BTreeMap<String, String>,
    /// Whether there is a Runtime API: AWS has it since nodejs10.x (node-runtime §8.1).
    pub runtime_api: bool,
    /// Megabytes of memory.
    pub memory_mb: u32,
    /// Megabytes of `/tmp`.
    pub ephemeral_mb: u32,
    /// What is in the process's directory for Node.js's compile cache.
    pub compile_cache: CompileCache,
}

/// What a process finds in `cache/compile` beside the directory of `node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompileCache {
    /// Nothing.
    None,
    /// A directory that it may write, empty and bounded, which goes with the sandbox.
    Empty,
    /// What is in this directory of the host, to read.
    Kept(PathBuf),
}

/// Why no process could be started. Never the function's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LaunchError(pub String);

/// Port: makes sandboxes.
pub trait Launcher: Send + Sync {
    /// Where a sandbox with these sources and this id shows its directories.
    fn layout(&self, sources: &Sources, id: &str) -> Layout;

    /// Whether it makes sandboxes without code, for [`Sandbox::assign`].
    fn assigns(&self) -> bool;

    /// Whether its sandboxes keep a [`CompileCache`] apart from what may not write it.
    fn has_compile_caches(&self) -> bool;

    /// Makes a sandbox; no process runs in it yet.
    fn open(&self, spec: SandboxSpec) -> Pending<'_, Result<Box<dyn Sandbox>, LaunchError>>;
}

/// One sandbox. Dropping it kills its process and removes its directories in the background.
pub trait Sandbox: Send {
    /// Whether it was made of one that had been made ahead.
    fn was_ready(&self) -> bool;

    /// The listening TCP socket, non-blocking, at the address in the processes' variable
    /// `AWS_LAMBDA_RUNTIME_API`: the same one over all starts. Can be taken once; `None` afterwards,
    /// and where the sandbox was made without.
    fn runtime_api(&mut self) -> Option<OwnedFd>;

    /// The listening TCP socket, non-blocking, at [`Layout::services`]: the same one over all starts. Can
    /// be taken once; `None` afterwards, and where there is none.
    fn services(&mut self) -> Option<OwnedFd>;

    /// Starts the process. At most one runs: the last one's end was seen before.
    fn start(&mut self) -> Pending<'_, Result<Process, LaunchError>>;

    /// Makes a sandbox without code this environment's, also while a process runs in it: code and
    /// modules are there afterwards, and the next start is the specification's. Runtime, memory,
    /// `/tmp` and Runtime API must be those it was opened with. Answers all variables that the
    /// process is to have.
    ///
    /// Once, and before any function's code ran in it. Where it fails, the sandbox is good for nothing.
    fn assign(&mut self, spec: SandboxSpec) -> Pending<'_, Result<BTreeMap<String, String>, LaunchError>>;
}

/// A started process.
pub struct Process {
    /// lambkin's end of the channel (`docs/channel.md`), non-blocking.
    pub channel: OwnedFd,
    /// The reading end of its standard output and error, non-blocking.
    pub output: OwnedFd,
    /// Answers when it, and all that it started, has ended.
    pub exit: Pending<'static, ExitStatus>,
    /// What can be done to it meanwhile.
    pub control: Box<dyn ProcessControl>,
}

/// Control over a running process.
pub trait ProcessControl: Send + Sync {
    /// Kills it and all that it started. Its `exit` answers afterwards.
    fn kill(&self);

    /// Stops it from running between invocations.
    fn freeze(&self);

    /// Lets it run again.
    fn thaw(&self);

    /// Most memory it has used so far, in bytes, measured; `None` where it is gone.
    fn peak_memory(&self) -> Option<u64>;
}
