//! A jail launcher in a directory of its own, and functions that are this very program.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use lambkin_model::sandbox::{
    CompileCache, LaunchError, Launcher as _, Layout, Process, Sandbox, SandboxSpec, Sources,
};
use lambkin_sandbox::{Config, JailConfig, JailLauncher, Network, Subnet};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use crate::PROBE;
use crate::waiting::within;

pub(crate) struct Bed {
    directory: TempDir,
    pub(crate) launcher: JailLauncher,
}

impl Bed {
    /// `None`, and said, where no jail can be made.
    pub(crate) async fn new() -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        match Self::with(directory, |config| config).await {
            Ok(bed) => Some(bed),
            Err(error) => {
                println!("NOT TESTED: {error}");
                None
            }
        }
    }

    pub(crate) async fn with(
        directory: TempDir,
        set: impl FnOnce(JailConfig) -> JailConfig,
    ) -> Result<Self, LaunchError> {
        std::fs::create_dir_all(directory.path().join("code")).expect("a task root");
        std::fs::create_dir_all(directory.path().join("runtime/node_modules")).expect("a runtime");
        copy_self(directory.path());
        let launcher = within(JailLauncher::start(set(config(directory.path())))).await?;
        Ok(Self { directory, launcher })
    }

    /// For another one, when this one is shut down.
    pub(crate) fn into_directory(self) -> TempDir {
        self.directory
    }

    pub(crate) async fn open(&self, number: u8, tries: &[String]) -> Box<dyn Sandbox> {
        self.try_open(number, tries).await.expect("a jail")
    }

    pub(crate) async fn try_open(
        &self,
        number: u8,
        tries: &[String],
    ) -> Result<Box<dyn Sandbox>, LaunchError> {
        let at = |name: &str| self.directory.path().join(name);
        let mut command = vec!["/var/lang/bin/node".to_owned(), PROBE.to_owned()];
        command.extend_from_slice(tries);
        let spec = SandboxSpec {
            id: format!("{number:032x}"),
            sources: Sources {
                code: Some(at("code")),
                borrowed: false,
                opt: None,
                runtime_dir: at("runtime"),
                modules: at("runtime/node_modules"),
                node: at("program"),
            },
            command,
            variables: BTreeMap::new(),
            runtime_api: true,
            memory_mb: 128,
            ephemeral_mb: 512,
            compile_cache: CompileCache::None,
        };
        within(self.launcher.open(spec)).await
    }

    pub(crate) fn layout(&self) -> Layout {
        let nowhere = Path::new("/").to_owned();
        let sources = Sources {
            code: Some(nowhere.clone()),
            borrowed: false,
            opt: None,
            runtime_dir: nowhere.clone(),
            modules: nowhere.clone(),
            node: nowhere,
        };
        self.launcher.layout(&sources, "")
    }

    /// What the function prints, line by line.
    pub(crate) async fn said(&self, sandbox: &mut dyn Sandbox) -> Vec<String> {
        let process = within(sandbox.start()).await.expect("a process");
        let Process { output, exit, .. } = process;
        let mut text = String::new();
        let mut output = pipe::Receiver::from_owned_fd(output).expect("a pipe");
        within(output.read_to_string(&mut text)).await.expect("text");
        within(exit).await;
        text.lines().map(str::to_owned).collect()
    }
}

pub(crate) fn config(directory: &Path) -> JailConfig {
    JailConfig::new(Config::new(directory.join("environments"))).expect("a directory")
}

/// With the network that is tested.
pub(crate) fn nat(config: JailConfig) -> JailConfig {
    JailConfig { network: Network::Nat { allow: allowed() }, ..config }
}

pub(crate) fn allowed() -> Vec<Subnet> {
    ["10.8.0.0/16", "169.254.0.0/16"].map(|subnet| subnet.parse().expect("a subnet")).into()
}

/// Where every user may start it.
pub(crate) fn copy_self(directory: &Path) {
    let program = directory.join("program");
    std::fs::copy("/proc/self/exe", &program).expect("a copy");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}
