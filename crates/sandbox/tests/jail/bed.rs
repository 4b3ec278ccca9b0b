//! What the attacks stand on: jails in a directory of their own with this program as the function's,
//! and waiting for what `/proc` says.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use lambkin_model::sandbox::{CompileCache, Launcher, Process, Sandbox, SandboxSpec, Sources};
use lambkin_sandbox::{Config, JailConfig, JailLauncher, ProcessLauncher};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use crate::acts::ACT;
use crate::processes;
use crate::sandboxes::{Place, fresh_id};
use crate::waiting::within;

/// Megabytes of the jails' `/tmp`, and of their memory.
pub(crate) const TMP_MB: u32 = 16;
pub(crate) const MEMORY_MB: u32 = 64;

/// This program, as a function sees it.
pub(crate) const PROGRAM: &str = "/var/task/probe";

/// Names a directory with a setuid copy of this program.
pub(crate) const SETUID: &str = "LAMBKIN_TEST_SETUID";

pub(crate) struct Bed {
    pub(crate) directory: Place,
    pub(crate) jails: JailLauncher,
}

impl Bed {
    pub(crate) async fn new() -> Self {
        let directory = directory();
        put_program(&directory.path().join("code"));
        Self::start(Place::Own(directory)).await
    }

    /// In a directory that another bed has made.
    pub(crate) async fn at(directory: &Path) -> Self {
        Self::start(Place::Given(directory.to_owned())).await
    }

    async fn start(directory: Place) -> Self {
        put_sources(directory.path());
        let jails = JailLauncher::start(config(directory.path())).await.expect("jails");
        Self { directory, jails }
    }

    /// Why something is not enforced by the kernel here.
    pub(crate) fn lacks(&self, what: &str) -> Option<String> {
        let findings = self.jails.findings();
        let finding = findings.into_iter().find(|finding| finding.what == what).expect("a finding");
        finding.found.err().map(|why| format!("{what}: {why}"))
    }

    /// A function whose program is this one in one of its acts.
    pub(crate) fn spec(&self, act: &[&str]) -> SandboxSpec {
        let command = [PROGRAM, ACT].iter().chain(act);
        spec(self.directory.path(), command.map(|&word| word.to_owned()).collect())
    }

    pub(crate) async fn open(&self, spec: SandboxSpec) -> Box<dyn Sandbox> {
        within(self.jails.open(spec)).await.expect("a sandbox")
    }

    pub(crate) async fn act(&self, act: &[&str]) -> (Box<dyn Sandbox>, Process) {
        let mut sandbox = self.open(self.spec(act)).await;
        let process = within(sandbox.start()).await.expect("a process");
        (sandbox, process)
    }

    pub(crate) async fn end(self) {
        within(self.jails.shutdown()).await;
        let tag = config(self.directory.path()).tag;
        assert_eq!(processes::groups(&tag), Vec::<PathBuf>::new(), "no group is left");
    }
}

pub(crate) fn config(directory: &Path) -> JailConfig {
    let config = JailConfig::new(Config::new(directory.join("jails"))).expect("a directory");
    JailConfig { shells: 1, ..config }
}

pub(crate) fn spec(directory: &Path, command: Vec<String>) -> SandboxSpec {
    let at = |name: &str| directory.join(name);
    let sources = Sources {
        code: Some(at("code")),
        borrowed: false,
        opt: None,
        runtime_dir: at("runtime"),
        modules: at("runtime/node_modules"),
        node: at("bin/node"),
    };
    let variables = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    SandboxSpec {
        id: fresh_id(),
        sources,
        command,
        variables,
        memory_mb: MEMORY_MB,
        ephemeral_mb: TMP_MB,
        compile_cache: CompileCache::None,
        runtime_api: false,
    }
}

/// The same as a plain process: what a function could do without a jail.
pub(crate) struct Outside {
    directory: TempDir,
    pub(crate) processes: ProcessLauncher,
}

impl Outside {
    pub(crate) async fn new() -> Self {
        let directory = directory();
        put_sources(directory.path());
        let processes = ProcessLauncher::start(Config::new(directory.path().join("environments"))).await;
        Self { directory, processes: processes.expect("processes") }
    }

    pub(crate) fn spec(&self, act: &[&str]) -> SandboxSpec {
        let program = std::env::current_exe().expect("this program").to_string_lossy().into_owned();
        let command = [program, ACT.to_owned()].into_iter().chain(act.iter().map(|&word| word.to_owned()));
        let mut spec = spec(self.directory.path(), command.collect());
        let tmp = self.processes.layout(&spec.sources, &spec.id).tmp.expect("a directory");
        spec.variables.insert("TMPDIR".into(), tmp.to_string_lossy().into_owned());
        spec
    }

    pub(crate) async fn act(&self, act: &[&str]) -> (Box<dyn Sandbox>, Process) {
        self.start(self.spec(act)).await
    }

    pub(crate) async fn start(&self, spec: SandboxSpec) -> (Box<dyn Sandbox>, Process) {
        let mut sandbox = within(self.processes.open(spec)).await.expect("a sandbox");
        let process = within(sandbox.start()).await.expect("a process");
        (sandbox, process)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn end(self) {
        within(self.processes.shutdown()).await;
    }
}

/// Everybody may read it: functions' users do.
pub(crate) fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    directory
}

/// What every sandbox has besides code.
fn put_sources(directory: &Path) {
    for name in ["code", "runtime", "bin"] {
        fs::create_dir_all(directory.join(name)).expect("a directory");
    }
    fs::write(directory.join("bin/node"), "").expect("a file");
}

/// This program, as a deployment package.
pub(crate) fn put_program(code: &Path) {
    fs::create_dir_all(code).expect("a directory");
    fs::copy("/proc/self/exe", code.join("probe")).expect("a copy of this program");
}

/// A program that would make root of whoever runs it.
pub(crate) struct Setuid(TempDir);

impl Setuid {
    /// `None` where this user is not root.
    pub(crate) fn make() -> Option<Self> {
        if !crate::report::is_root() {
            return None;
        }
        let directory = directory();
        let program = directory.path().join("probe");
        put_program(directory.path());
        chown(&program, Some(0), Some(0)).expect("an owner");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).expect("permissions");
        Some(Self(directory))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// What an act says outside of any jail.
pub(crate) fn outside(act: &[&str]) -> String {
    let output = Command::new("/proc/self/exe").arg(ACT).args(act).output().expect("this program");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Its next line; the rest is lost.
pub(crate) async fn line(output: &mut pipe::Receiver) -> String {
    let mut line = Vec::new();
    loop {
        match within(output.read_u8()).await {
            Ok(b'\n') => return String::from_utf8(line).expect("UTF-8"),
            Ok(byte) => line.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&line)),
        }
    }
}

pub(crate) fn pipe(output: OwnedFd) -> pipe::Receiver {
    pipe::Receiver::from_owned_fd(output).expect("a non-blocking pipe")
}
