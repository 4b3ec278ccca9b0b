//! What the processes of the pool have in common with the functions that may take them: everything
//! that a process cannot change about itself once it runs.

use std::path::PathBuf;

use lambkin_model::function::Configuration;
use lambkin_model::runtime::{BOOTSTRAP_FILE, InstalledRuntime, Runtime, RuntimeNeed, RuntimeProvider};
use lambkin_model::sandbox::{CompileCache, Launcher, SandboxSpec, Sources};
use lambkin_model::variables::{generic_variables, is_read_at_start};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    runtime: Runtime,
    /// Of `node`.
    sha256: String,
    node: PathBuf,
    runtime_dir: PathBuf,
    memory_mb: u32,
    ephemeral_mb: u32,
}

impl Kind {
    /// `None` for a function whose processes must be its own from the start.
    pub(crate) fn of(configuration: &Configuration, runtime: &InstalledRuntime) -> Option<Self> {
        let mut names = configuration.variables.iter().flatten().map(|(name, _)| name);
        if names.any(|name| is_read_at_start(name)) {
            return None;
        }
        Some(Self {
            runtime: configuration.runtime,
            sha256: runtime.sha256.clone(),
            node: runtime.node.clone(),
            runtime_dir: runtime.runtime_dir.clone(),
            memory_mb: configuration.memory_size,
            ephemeral_mb: configuration.ephemeral_storage,
        })
    }

    /// What a person tells it by: the runtime, and megabytes of memory.
    pub(super) fn told(&self) -> (&'static str, u32) {
        (self.runtime.name(), self.memory_mb)
    }

    /// Whether its runtime is still what is on this machine.
    pub(crate) fn is_installed(&self, runtimes: &dyn RuntimeProvider) -> bool {
        let need = RuntimeNeed { runtime: self.runtime, sdk_packages: Default::default() };
        runtimes
            .installed(&need)
            .is_some_and(|found| found.sha256 == self.sha256 && found.runtime_dir == self.runtime_dir)
    }

    /// One process, of no function.
    pub(crate) fn specification(&self, launcher: &dyn Launcher, id: &str) -> SandboxSpec {
        let sources = Sources {
            code: None,
            borrowed: false,
            opt: None,
            runtime_dir: self.runtime_dir.clone(),
            modules: PathBuf::new(),
            node: self.node.clone(),
        };
        let layout = launcher.layout(&sources, id);
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut command = vec![text(layout.bin.join("node"))];
        command.extend(self.runtime.node_flags(self.memory_mb, ""));
        command.push(text(layout.runtime_dir.join(BOOTSTRAP_FILE)));
        SandboxSpec {
            id: id.to_owned(),
            sources,
            command,
            variables: generic_variables(self.runtime, &layout),
            runtime_api: self.runtime.has_runtime_api(),
            memory_mb: self.memory_mb,
            ephemeral_mb: self.ephemeral_mb,
            compile_cache: CompileCache::None,
        }
    }
}
