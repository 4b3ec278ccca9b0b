//! What the tests stand on: a launcher in a directory of its own, and waiting for what `/proc` says.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::sandboxes::{Place, fresh_id};
use crate::waiting::within;
use lambkin_model::sandbox::{
    CompileCache, LaunchError, Launcher as _, Process, Sandbox, SandboxSpec, Sources,
};
use lambkin_sandbox::{Config, ProcessLauncher};
use tokio::net::UnixStream;

pub(crate) struct Bed {
    pub(crate) directory: Place,
    pub(crate) launcher: ProcessLauncher,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        Self::in_directory(Place::Own(tempfile::tempdir().expect("a temporary directory"))).await
    }

    pub(crate) async fn at(directory: &Path) -> Self {
        Self::in_directory(Place::Given(directory.to_owned())).await
    }

    async fn in_directory(directory: Place) -> Self {
        fs::create_dir_all(directory.path().join("code/task")).expect("a task root");
        let launcher = ProcessLauncher::start(Config::new(directory.path().join("environments"))).await;
        Self { directory, launcher: launcher.expect("a launcher") }
    }

    pub(crate) fn sources(&self) -> Sources {
        let at = |name: &str| self.directory.path().join(name);
        Sources {
            code: Some(at("code/task")),
            borrowed: false,
            opt: None,
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
            compile_cache: CompileCache::None,
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
