//! What the tests stand on: a launcher in a directory of its own, and waiting for what `/proc` says.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use lambkin_model::sandbox::{LaunchError, Launcher as _, Process, Sandbox, SandboxSpec, Sources};
use lambkin_sandbox::{Config, ProcessLauncher};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

/// No wait of a test takes longer, unless it failed.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Bed {
    pub(crate) directory: Directory,
    pub(crate) launcher: ProcessLauncher,
}

/// One that is removed at the end, or another's.
pub(crate) enum Directory {
    Own(TempDir),
    Given(PathBuf),
}

impl Directory {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(directory) => directory.path(),
            Self::Given(directory) => directory,
        }
    }
}

impl Bed {
    pub(crate) async fn new() -> Self {
        Self::in_directory(Directory::Own(tempfile::tempdir().expect("a temporary directory"))).await
    }

    pub(crate) async fn at(directory: &Path) -> Self {
        Self::in_directory(Directory::Given(directory.to_owned())).await
    }

    async fn in_directory(directory: Directory) -> Self {
        fs::create_dir_all(directory.path().join("code/task")).expect("a task root");
        let launcher = ProcessLauncher::start(Config::new(directory.path().join("environments"))).await;
        Self { directory, launcher: launcher.expect("a launcher") }
    }

    pub(crate) fn sources(&self) -> Sources {
        let at = |name: &str| self.directory.path().join(name);
        Sources {
            code: Some(at("code/task")),
            runtime_dir: at("runtime"),
            modules: at("runtime/node_modules"),
            node: at("runtime/bin/node"),
        }
    }

    pub(crate) fn spec(&self, command: &[&str]) -> SandboxSpec {
        let id = fresh_id();
        let layout = self.launcher.layout(&self.sources(), &id);
        let tmp = layout.tmp.expect("a directory for temporary files");
        let variables = BTreeMap::from([
            ("AWS_LAMBDA_LOG_STREAM_NAME".to_owned(), format!("2026/01/31/[$LATEST]{id}")),
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("TMPDIR".to_owned(), tmp.to_string_lossy().into_owned()),
            ("ID".to_owned(), id.clone()),
        ]);
        let command = command.iter().map(|&word| word.to_owned()).collect();
        SandboxSpec {
            id,
            sources: self.sources(),
            command,
            variables,
            runtime_api: false,
            memory_mb: 128,
            ephemeral_mb: 512,
        }
    }

    pub(crate) async fn open(&self, spec: &SandboxSpec) -> Box<dyn Sandbox> {
        within(self.launcher.open(spec.clone())).await.expect("a sandbox")
    }

    /// A sandbox, its id and its first process, which is a shell with this script.
    pub(crate) async fn shell(&self, script: &str) -> (Box<dyn Sandbox>, String, Process) {
        let spec = self.spec(&["/bin/sh", "-c", script]);
        let mut sandbox = self.open(&spec).await;
        let process = within(sandbox.start()).await.expect("a process");
        (sandbox, spec.id, process)
    }

    pub(crate) async fn refusal(&self, spec: SandboxSpec) -> LaunchError {
        let mut sandbox = self.open(&spec).await;
        within(sandbox.start()).await.err().expect("a refusal")
    }

    pub(crate) fn environment(&self, id: &str) -> PathBuf {
        self.directory.path().join("environments").join(id)
    }
}

/// Two threads, as lambkin has more than one.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test);
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

/// Waits for a condition that nothing announces.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// 32 decimal digits, so that it is a fraction of `sleep`'s seconds too.
pub(crate) fn fresh_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").subsec_nanos();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:012}{time:010}{next:010}", std::process::id())
}

/// All that a process writes until everybody has closed it.
pub(crate) async fn read(output: OwnedFd) -> String {
    let mut output = pipe::Receiver::from_owned_fd(output).expect("a non-blocking pipe");
    let mut text = String::new();
    within(output.read_to_string(&mut text)).await.expect("UTF-8");
    text
}

pub(crate) fn stream(channel: OwnedFd) -> UnixStream {
    UnixStream::from_std(channel.into()).expect("a non-blocking socket")
}

/// Processes that have this text in their command line or their variables, and have not ended.
pub(crate) fn with_text(text: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let own = std::process::id().cast_signed();
    pids.filter(|pid| *pid != own)
        .filter(|pid| is_alive(*pid) && (has(*pid, "cmdline", text) || has(*pid, "environ", text)))
        .collect()
}

fn has(pid: i32, file: &str, text: &str) -> bool {
    fs::read(format!("/proc/{pid}/{file}"))
        .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// A field of `/proc/PID/stat`, counted from 1 after the program's name: 1 is the state, 2 the
/// parent, 4 the session.
pub(crate) fn stat(pid: i32, field: usize) -> Option<String> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit_once(") ")?.1.split(' ').nth(field - 1).map(str::to_owned)
}

pub(crate) fn is_alive(pid: i32) -> bool {
    stat(pid, 1).is_some_and(|state| state != "Z" && state != "X")
}

pub(crate) fn parent(pid: i32) -> Option<i32> {
    stat(pid, 2)?.parse().ok()
}
