//! What an environment of one function version is made of, worked out once: directories, flags,
//! variables, and the digest of everything its process sees.

use std::fmt;
use std::sync::Arc;

use lambkin_model::Error;
use lambkin_model::catalog::Head;
use lambkin_model::code::CodeRead;
use lambkin_model::function::{Configuration, FunctionVersion};
use lambkin_model::hot_code::Watched;
use lambkin_model::layer;
use lambkin_model::log::LogStreamName;
use lambkin_model::name::FunctionKey;
use lambkin_model::platform_line::{Speaker, SystemLevel};
use lambkin_model::provisioned::Initialization;
use lambkin_model::runtime::{BOOTSTRAP_FILE, InstalledRuntime, host_architecture};
use lambkin_model::sandbox::{CompileCache, Launcher, Layout, SandboxSpec, Sources};
use lambkin_model::services::{Admission, Caller, Credentials};
use lambkin_model::time::Timestamp;
use lambkin_model::trace::TracingMode;
use lambkin_model::variables::{self, Subject};

use crate::pool::Kind;

/// Runs an `AWS_LAMBDA_EXEC_WRAPPER` with the runtime's command line, with the words and exit codes
/// of AWS's own bootstrap (node-runtime §8.4).
const WRAPPER_SCRIPT: &str = r#"if [ ! -f "$0" ]; then echo "$0: does not exist"; exit 127; fi
if [ ! -x "$0" ]; then echo "$0: is not an executable"; exit 126; fi
exec "$0" "$@""#;

/// A recipe for environments.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) key: FunctionKey,
    /// Of the function, new at each creation.
    pub(crate) identity: String,
    pub(crate) version: FunctionVersion,
    runtime: InstalledRuntime,
    sources: Sources,
    /// `$LATEST` or a number, as answers carry it.
    pub(crate) executed_version: Arc<str>,
    /// Of everything the process sees that is the same in all environments.
    pub(crate) digest: [u8; 32],
    hot: Option<Hot>,
}

/// A directory that is the code, as it was when environments began to be made of it.
#[derive(Clone)]
pub(crate) struct Hot {
    watched: Watched,
    mark: u64,
}

impl Hot {
    pub(crate) fn new(watched: Watched) -> Self {
        let mark = watched.changes.mark();
        Self { watched, mark }
    }
}

impl fmt::Debug for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hot").field(&self.watched.directory).field(&self.mark).finish()
    }
}

impl Launch {
    /// For a version of a function.
    pub(crate) fn new(
        head: &Head,
        version: &FunctionVersion,
        runtime: InstalledRuntime,
        code: &dyn CodeRead,
        hot: Option<Hot>,
    ) -> Result<Self, Error> {
        let version = version.clone();
        let unpacked = |what, sha256| {
            code.unpacked(sha256)
                .ok_or_else(|| Error::Service(format!("the {what} of {} is not in the code store", head.key)))
        };
        let stack = layer::stack(&version.configuration.layers);
        let sources = Sources {
            code: Some(match &hot {
                Some(hot) => hot.watched.directory.clone(),
                None => unpacked("deployment package", version.code.sha256)?,
            }),
            borrowed: hot.is_some(),
            opt: stack.map(|stack| unpacked("content of the layers", stack)).transpose()?,
            runtime_dir: runtime.runtime_dir.clone(),
            modules: runtime.modules.clone(),
            node: runtime.node.clone(),
        };
        let digest = digest(&head.identity, &version, &runtime, &sources, hot.as_ref().map(|hot| hot.mark));
        let executed_version = version.version.as_str().into();
        let identity = head.identity.clone();
        let key = head.key.clone();
        Ok(Self { key, identity, version, runtime, sources, executed_version, digest, hot })
    }

    /// Its code is a directory in which something has changed.
    pub(crate) fn is_stale(&self) -> bool {
        self.hot.as_ref().is_some_and(|hot| hot.watched.changes.mark() != hot.mark)
    }

    /// Its code is a directory in which something may change.
    pub(crate) fn is_hot(&self) -> bool {
        self.hot.is_some()
    }

    /// Megabytes, seconds, handler …
    pub(crate) fn configuration(&self) -> &Configuration {
        &self.version.configuration
    }

    /// The function's memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        u64::from(self.configuration().memory_size) << 20
    }

    /// As which it calls lambkin's own services.
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            function: self.key.clone(),
            version: self.version.version.clone(),
            role: self.configuration().role.clone(),
        }
    }

    /// Which processes that were booted ahead can become this function's.
    pub(crate) fn kind(&self) -> Option<Kind> {
        // The dynamic linker forgets a directory that is not there when the process starts.
        let libraries = self.sources.opt.as_ref().is_some_and(|opt| opt.join("lib").is_dir());
        Kind::of(self.configuration(), &self.runtime).filter(|_| !libraries)
    }

    /// One environment: `id` is 32 hex digits.
    pub(crate) fn environment(
        &self,
        launcher: &dyn Launcher,
        id: &str,
        now: Timestamp,
        admission: Option<&dyn Admission>,
        compile_cache: CompileCache,
        initialization: Initialization,
    ) -> (SandboxSpec, LogStreamName) {
        let configuration = self.configuration();
        let layout = launcher.layout(&self.sources, id);
        let shared = configuration.logging.group.is_some();
        let stream = LogStreamName::stream_for(now, shared, &self.key.name, &self.version.version, id);
        let nowhere = Credentials::nowhere();
        let own = layout.services.map(|address| format!("http://{address}"));
        let variables = variables::variables(&Subject {
            key: &self.key,
            version: &self.version.version,
            configuration,
            layout: &layout,
            log_stream: &stream,
            credentials: admission.map_or(&nowhere, Admission::credentials),
            services: admission.map(|admission| own.as_deref().unwrap_or(admission.endpoint())),
            initialization,
        });
        let spec = SandboxSpec {
            id: id.to_owned(),
            sources: self.sources.clone(),
            command: command(configuration, &layout),
            variables,
            runtime_api: configuration.runtime.has_runtime_api(),
            memory_mb: configuration.memory_size,
            ephemeral_mb: configuration.ephemeral_storage,
            compile_cache,
        };
        let name = LogStreamName {
            account: self.key.account.clone(),
            region: self.key.region.clone(),
            group: configuration.logging.group_or_default(&self.key.name).into(),
            stream: stream.into(),
        };
        (spec, name)
    }

    pub(crate) fn speaker(&self, initialization: Initialization) -> Speaker {
        let configuration = self.configuration();
        Speaker {
            runtime: configuration.runtime,
            node_version: self.runtime.version.clone(),
            region: self.key.region.to_string(),
            foreign_architecture: Some(&configuration.architecture)
                .filter(|asked| *asked != host_architecture())
                .cloned(),
            function: self.key.name.to_string(),
            version: self.version.version.clone(),
            memory_mb: configuration.memory_size,
            format: configuration.logging.format,
            level: SystemLevel::from_setting(configuration.logging.system_level.as_deref()),
            initialization,
        }
    }
}

fn command(configuration: &Configuration, layout: &Layout) -> Vec<String> {
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let variable =
        |name: &str| configuration.variables.as_ref().and_then(|all| all.get(name)).map(String::as_str);
    let mut command = vec![text(layout.bin.join("node"))];
    let options = variable("NODE_OPTIONS").unwrap_or_default();
    command.extend(configuration.runtime.node_flags(configuration.memory_size, options));
    command.push(text(layout.runtime_dir.join(BOOTSTRAP_FILE)));
    match variable("AWS_LAMBDA_EXEC_WRAPPER") {
        // AWS reads it from nodejs10.x on.
        Some(wrapper) if !wrapper.is_empty() && configuration.runtime.major() >= 10 => {
            let wrapper = layout.inside(wrapper);
            let mut wrapped = vec!["/bin/sh".into(), "-c".into(), WRAPPER_SCRIPT.into(), wrapper];
            wrapped.append(&mut command);
            wrapped
        }
        Some(_) | None => command,
    }
}

/// The part of a configuration that the process sees: changing the rest retires nothing.
fn seen(configuration: &Configuration) -> Configuration {
    let mut seen = configuration.clone();
    seen.description = String::new();
    seen.timeout = 0;
    seen.dead_letter = None;
    seen.tracing = TracingMode::PassThrough;
    // Another version of a layer may have the same content.
    seen.layers.iter_mut().for_each(|layer| layer.arn = String::new());
    seen
}

/// Whether processes of these two versions of a function would be the same.
pub(crate) fn same_process(a: &FunctionVersion, b: &FunctionVersion) -> bool {
    a.version == b.version && a.code == b.code && seen(&a.configuration) == seen(&b.configuration)
}

fn digest(
    identity: &str,
    version: &FunctionVersion,
    runtime: &InstalledRuntime,
    sources: &Sources,
    mark: Option<u64>,
) -> [u8; 32] {
    use sha2::Digest;
    let mut hash = sha2::Sha256::new();
    for part in [
        identity.as_bytes(),
        version.version.as_bytes(),
        &version.code.sha256.0,
        runtime.sha256.as_bytes(),
        sources.runtime_dir.as_os_str().as_encoded_bytes(),
        &mark.unwrap_or_default().to_le_bytes(),
        &serde_json::to_vec(&seen(&version.configuration)).expect("a configuration has only string keys"),
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
