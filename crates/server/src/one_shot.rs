//! `lambkin invoke PATH`: one invocation through the same data plane as a served function's, with
//! a catalog of one function and a log that goes to stderr.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambkin_invoke::{Invoker, InvokerConfig, Ports};
use lambkin_model::Pending;
use lambkin_model::catalog::{CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::code::{Code, CodeRead, CodeSha256, CodeStore as _};
use lambkin_model::function::{Configuration, FunctionVersion, LastUpdate, State};
use lambkin_model::invocation::{Invocation, Invoke as _, RequestId};
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use lambkin_model::name::{DEFAULT_ACCOUNT, FunctionKey, FunctionReference, LATEST};
use lambkin_model::quota;
use lambkin_model::record::ResourceKey;
use lambkin_model::time::Timestamp;
use lambkin_model::version::PublishedVersion;
use lambkin_sandbox::ProcessLauncher;
use lambkin_store::{Store, StoreConfig, sdk_references};

use crate::arguments::Invoke;
use crate::places;

/// What `--context` may say.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Context {
    function_name: Option<String>,
    aws_request_id: Option<uuid::Uuid>,
    #[serde(rename = "memoryLimitInMB")]
    memory_limit_in_mb: Option<u32>,
    timeout: Option<u32>,
    client_context: Option<serde_json::Value>,
}

/// Runs it; the exit code is 1 where the function failed.
pub(crate) async fn invoke(options: Invoke) -> Result<ExitCode, String> {
    let context: Context = match &options.context {
        None => Context::default(),
        Some(text) => serde_json::from_str(text).map_err(|error| format!("--context: {error}"))?,
    };
    let payload = event(&options.event)?;
    let scratch = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    let package = Package::open(&options.path, scratch.path()).await?;
    let role = format!("arn:aws:iam::{DEFAULT_ACCOUNT}:role/lambkin");
    let handler = options.handler.unwrap_or_else(|| format!("{}.handler", package.module));
    let defaults = Configuration::new(options.runtime, role, handler);
    let configuration = Configuration {
        timeout: context.timeout.unwrap_or(defaults.timeout),
        memory_size: context.memory_limit_in_mb.unwrap_or(defaults.memory_size),
        variables: (!options.variables.is_empty()).then(|| options.variables.into_iter().collect()),
        architecture: lambkin_model::runtime::host_architecture().into(),
        ..defaults
    };
    let name = context.function_name.unwrap_or_else(|| package.module.clone());
    let key = FunctionKey { account: DEFAULT_ACCOUNT.into(), region: "us-east-1".into(), name: name.into() };
    let only = Arc::new(Only {
        head: Arc::new(head(key.clone(), configuration, package.code)),
        directory: package.directory,
    });
    let runtimes = Arc::new(places::runtimes(options.sources)?);
    let launcher = ProcessLauncher::start(lambkin_sandbox::Config::new(scratch.path().join("environments")))
        .await
        .map_err(|error| error.to_string())?;
    let ports = Ports {
        catalog: only.clone(),
        code: only,
        hot_code: None,
        runtimes,
        launcher: Arc::new(launcher.clone()),
        logs: Arc::new(Stderr),
        metrics: Arc::new(lambkin_model::metric::NoMetrics),
        traces: Arc::new(lambkin_model::trace::NoTraces),
        compile_caches: None,
        services: None,
    };
    let invoker = Invoker::new(ports, InvokerConfig::default());
    let answered = invoker
        .invoke(Invocation {
            request_id: RequestId(*context.aws_request_id.unwrap_or_else(uuid::Uuid::new_v4).as_bytes()),
            function: FunctionReference { key, qualifier: None },
            payload,
            client_context: context.client_context.map(|value| value.to_string()),
            trace_id: None,
            // So that the answer waits for the last log line.
            log_tail: true,
        })
        .await;
    invoker.shutdown(Duration::from_secs(1)).await;
    launcher.shutdown().await;
    let outcome = answered.map_err(|error| error.to_string())?.outcome;
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(&outcome.payload).and_then(|()| stdout.write_all(b"\n"));
    written.map_err(|error| format!("the result could not be written: {error}"))?;
    Ok(if outcome.error.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn event(given: &str) -> Result<Bytes, String> {
    let mut text = String::new();
    if given == "-" {
        let limit = quota::INVOKE_PAYLOAD_BYTES as u64 + 1;
        std::io::stdin()
            .take(limit)
            .read_to_string(&mut text)
            .map_err(|error| format!("--event -: {error}"))?;
    } else if Path::new(given).is_file() {
        text = std::fs::read_to_string(given).map_err(|error| format!("--event {given}: {error}"))?;
    } else {
        given.clone_into(&mut text);
    }
    if text.len() > quota::INVOKE_PAYLOAD_BYTES {
        return Err("--event: larger than 6 MB".into());
    }
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        return Err(format!("--event: neither a file nor JSON: {error}"));
    }
    Ok(text.into())
}

/// What PATH is, as a directory that a process can have as its task root.
struct Package {
    directory: PathBuf,
    /// Module of the default handler.
    module: String,
    code: Code,
}

impl Package {
    async fn open(path: &Path, scratch: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let path = std::fs::canonicalize(path).map_err(failed)?;
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
            let zip = std::fs::read(&path).map_err(failed)?;
            let store = Store::open(
                &scratch.join("store"),
                StoreConfig { unpacker: places::unpacker(), ..StoreConfig::default() },
            )
            .map_err(|error| error.to_string())?
            .code();
            let code = store.put(zip.into()).await.map_err(|error| format!("{}: {error}", path.display()))?;
            let directory = store.unpacked(code.sha256).ok_or("the package was not unpacked")?;
            return Ok(Self { directory, module: "index".into(), code });
        }
        let (root, module, sources) = if path.is_dir() {
            (path.clone(), "index".to_owned(), Vec::new())
        } else {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let root = path.parent().unwrap_or(Path::new("/")).to_owned();
            (root, stem, std::fs::read(&path).map_err(failed)?)
        };
        // A link, so that what is put beside a task root does not land beside the user's files.
        let directory = scratch.join("code").join("task");
        std::fs::create_dir_all(scratch.join("code")).map_err(failed)?;
        std::os::unix::fs::symlink(&root, &directory).map_err(failed)?;
        let code = Code {
            sha256: CodeSha256::of(&sources),
            size: sources.len() as u64,
            sdk_packages: sdk_references(&sources),
            directory: None,
        };
        Ok(Self { directory, module, code })
    }
}

fn head(key: FunctionKey, configuration: Configuration, code: Code) -> Stored<Head> {
    let latest = FunctionVersion {
        version: LATEST.into(),
        configuration,
        code,
        revision_id: String::new(),
        last_modified: Timestamp::default(),
        state: State::Active,
        last_update: Some(LastUpdate::Successful),
    };
    let record = Head::new(key, String::new(), latest);
    Stored { revision: Revision(1), record }
}

/// The catalog and the code of one function.
struct Only {
    head: Arc<Stored<Head>>,
    directory: PathBuf,
}

impl CatalogRead for Only {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        (*key == self.head.record.key).then(|| Arc::clone(&self.head))
    }

    fn heads(&self, _: &str, _: &str, _: Option<&str>, _: usize) -> Vec<Arc<Stored<Head>>> {
        self.all()
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        vec![Arc::clone(&self.head)]
    }

    fn version(&self, _: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>> {
        None
    }

    /// It never changes.
    fn watch(&self, _: Watcher) {}
}

impl CodeRead for Only {
    fn unpacked(&self, _: CodeSha256) -> Option<PathBuf> {
        Some(self.directory.clone())
    }
}

/// Log events for a person.
struct Stderr;

impl LogSink for Stderr {
    fn append(&self, _: &Arc<LogStreamName>, events: Vec<LogEvent>) -> Option<Pending<'static, ()>> {
        let mut stderr = std::io::stderr().lock();
        for event in events {
            // Without a stderr there is nobody to tell.
            let _ = stderr.write_all(&event.message).and_then(|()| stderr.write_all(b"\n"));
        }
        None
    }
}
