//! Where runtimes come from: the pinned table of Node.js binaries, their sources and the cache, the
//! AWS SDK for JavaScript beside them, and the bootstrap, bundled into this crate at build time.
//!
//! [`Runtimes`] implements the port [`RuntimeProvider`]. What it hands out has been checked against
//! the pinned SHA-256 by this very process. Deliberately not here: starting processes of a runtime
//! (`sandbox`, `invoke`), what the bootstrap does (`runtimes/node/`), and the command line.

mod bootstrap;
mod ca_bundle;
mod cache;
mod fetch;
mod flight;
mod progress;
mod sdk;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use lambkin_model::Pending;
use lambkin_model::runtime::{InstalledRuntime, Runtime, RuntimeError, RuntimeNeed, RuntimeProvider};

use crate::cache::Cache;
use crate::fetch::Sources;
use crate::flight::Flights;
use crate::sdk::Line;
use crate::source::npm::Npm;
use crate::source::{Bounds, Stop};
use crate::table::{Platform, Row, Table};

/// How to find runtimes.
#[derive(Debug, Clone)]
pub struct RuntimesConfig {
    /// The cache directory, `--runtimes DIR`. Made where it is missing; processes may share it.
    pub root: PathBuf,
    /// A mirror of nodejs.org's distribution, `--node-mirror URL`: it has
    /// `URL/v<version>/node-v<version>-<platform>.tar.gz` and stands in for nodejs.org.
    pub mirror: Option<String>,
    /// A directory of `node` binaries, `--node-dir DIR`: `DIR/<version>/bin/node`,
    /// `DIR/node-v<version>`, `DIR/node-v<version>-<platform>/bin/node` or
    /// `DIR/<version>-<platform>/bin/node`.
    pub node_dir: Option<PathBuf>,
    /// The npm client, a path or a name in `PATH`; `None` does without.
    pub npm: Option<PathBuf>,
}

impl RuntimesConfig {
    /// The cache directory and the machine's own npm, nothing else.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, mirror: None, node_dir: None, npm: Some("npm".into()) }
    }
}

/// The runtimes of this machine. Dropping it stops the fetches under way.
pub struct Runtimes {
    inner: Arc<Inner>,
    nodes: Flights<Runtime, Result<(), RuntimeError>>,
    sdks: Flights<(&'static Line, BTreeSet<String>), Result<(), RuntimeError>>,
}

struct Inner {
    table: Table,
    platform: Option<Platform>,
    cache: Cache,
    sources: Sources,
    stop: Stop,
}

/// A runtime as `lambkin runtimes list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRuntime {
    /// The runtime.
    pub runtime: Runtime,
    /// Its build for this platform, if there is one.
    pub build: Option<ListedBuild>,
}

/// A pinned build for this platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBuild {
    /// Node.js's full version, `22.1.0`.
    pub version: String,
    /// The pinned lower-case hex SHA-256 of the executable.
    pub sha256: String,
    /// Where the executable is, or would be.
    pub path: PathBuf,
    /// Size of the executable in bytes, where it is in the cache. Listing does not verify it.
    pub installed: Option<u64>,
}

impl Runtimes {
    /// The runtimes of the pinned table for this machine. Touches nothing yet.
    #[must_use]
    pub fn new(config: RuntimesConfig) -> Self {
        Self::with_table(config, Table::pinned(), Platform::current(), Bounds::default())
    }

    fn with_table(config: RuntimesConfig, table: Table, platform: Option<Platform>, bounds: Bounds) -> Self {
        let RuntimesConfig { root, mirror, node_dir, npm } = config;
        // npm runs in a directory of its own, and so does whoever uses the paths.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let root = absolute(root);
        let is_name = |program: &PathBuf| program.components().count() == 1;
        let npm = npm.map(|program| if is_name(&program) { program } else { absolute(program) });
        let npm = npm.map(|program| Npm { program });
        let inner = Inner {
            table,
            platform,
            cache: Cache::new(root),
            sources: Sources { node_dir, mirror, npm, bounds },
            stop: Stop::default(),
        };
        Self { inner: Arc::new(inner), nodes: Flights::new(), sdks: Flights::new() }
    }

    /// Every runtime, oldest first, with its build for this platform. Blocks on a few `stat` calls.
    #[must_use]
    pub fn list(&self) -> Vec<ListedRuntime> {
        let listed = |row: &Row| {
            let path = self.inner.cache.node(row);
            let installed =
                std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file).map(|meta| meta.len());
            ListedBuild { version: row.version.clone(), sha256: row.sha256.clone(), path, installed }
        };
        Runtime::all()
            .map(|runtime| ListedRuntime {
                runtime,
                build: self.inner.table.row(runtime, self.inner.platform).map(listed),
            })
            .collect()
    }

    /// Fetches a runtime without the SDK, if it is not there.
    ///
    /// # Errors
    /// As [`RuntimeProvider::ensure`].
    pub async fn install(&self, runtime: Runtime) -> Result<InstalledRuntime, RuntimeError> {
        self.ensure(RuntimeNeed { runtime, sdk_packages: BTreeSet::new() }).await
    }

    /// Takes a runtime out of the cache; `false` where it was not there. Environments that run keep
    /// their binary. The SDK stays, other runtimes share it.
    ///
    /// # Errors
    /// [`RuntimeError::NoBuild`], or [`RuntimeError::Unavailable`] where the cache cannot be changed.
    pub async fn remove(&self, runtime: Runtime) -> Result<bool, RuntimeError> {
        let row = self.inner.row(runtime)?.clone();
        let inner = Arc::clone(&self.inner);
        let removed = tokio::task::spawn_blocking(move || {
            let lock = inner.cache.lock(&format!("node-{}-{}", row.version, row.platform), &inner.stop);
            let _lock = lock.map_err(|error| error.to_string())?;
            inner.cache.remove(&row).map_err(|error| error.to_string())
        })
        .await;
        removed
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|error| RuntimeError::Unavailable(format!("{runtime} could not be removed: {error}")))
    }

    /// Installs the SDK beside a runtime, for `--with-sdk`: `aws-sdk`, or of v3 the commonly used
    /// clients with `lib-dynamodb`, `lib-storage`, `credential-providers` and
    /// `s3-request-presigner`. Runtimes of one generation mostly share it.
    ///
    /// # Errors
    /// [`RuntimeError::Unavailable`] where there is no npm or npm cannot do it.
    pub async fn install_sdk(&self, runtime: Runtime) -> Result<(), RuntimeError> {
        let line = sdk::line(runtime);
        self.sdk(line, line.common()).await
    }

    async fn node(&self, runtime: Runtime) -> Result<(), RuntimeError> {
        let row = self.inner.row(runtime)?;
        if self.inner.cache.is_verified(row) {
            return Ok(());
        }
        let (inner, row) = (Arc::clone(&self.inner), row.clone());
        let work = move || fetch::ensure(&inner.cache, &inner.sources, &row, &inner.stop);
        self.nodes.join(runtime, work).await.unwrap_or_else(|| Err(interrupted(runtime)))
    }

    async fn sdk(&self, line: &'static Line, packages: BTreeSet<String>) -> Result<(), RuntimeError> {
        let missing = line.missing(&self.inner.cache, &packages);
        if missing.is_empty() {
            return Ok(());
        }
        let inner = Arc::clone(&self.inner);
        let key = (line, missing.clone());
        let work =
            move || sdk::install(&inner.cache, inner.sources.npm.as_ref(), line, &missing, &inner.stop);
        self.sdks.join(key, work).await.unwrap_or_else(|| Err(interrupted(line.directory)))
    }
}

impl Drop for Runtimes {
    fn drop(&mut self) {
        self.inner.stop.stop();
    }
}

fn interrupted(what: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::Unavailable(format!("the fetch of {what} was interrupted; lambkin's log may say more"))
}

impl Inner {
    fn row(&self, runtime: Runtime) -> Result<&Row, RuntimeError> {
        self.table.build(runtime, self.platform)
    }

    fn hand_out(&self, row: &Row) -> std::io::Result<InstalledRuntime> {
        Ok(InstalledRuntime {
            version: row.version.clone(),
            sha256: row.sha256.clone(),
            node: self.cache.node(row),
            runtime_dir: bootstrap::place(&self.cache, row.runtime)?,
            modules: sdk::line(row.runtime).modules(&self.cache),
        })
    }
}

impl RuntimeProvider for Runtimes {
    fn check_platform(&self, runtime: Runtime) -> Result<(), RuntimeError> {
        self.inner.row(runtime).map(|_| ())
    }

    /// `None` also for a binary that this process has not hashed yet: that takes too long here, and
    /// `ensure` does it without fetching anything.
    fn installed(&self, need: &RuntimeNeed) -> Option<InstalledRuntime> {
        let row = self.inner.row(need.runtime).ok()?;
        let line = sdk::line(need.runtime);
        if !self.inner.cache.is_verified(row)
            || !line.missing(&self.inner.cache, &need.sdk_packages).is_empty()
        {
            return None;
        }
        self.inner.hand_out(row).ok()
    }

    fn ensure(&self, need: RuntimeNeed) -> Pending<'_, Result<InstalledRuntime, RuntimeError>> {
        Box::pin(async move {
            let row = self.inner.row(need.runtime)?;
            let line = sdk::line(need.runtime);
            // Both to their end: the binary counts, and its error says more than the SDK's.
            let (node, sdk) = tokio::join!(self.node(need.runtime), self.sdk(line, need.sdk_packages));
            node.and(sdk)?;
            self.inner.hand_out(row).map_err(|error| {
                let root = self.inner.cache.root().display();
                RuntimeError::Unavailable(format!(
                    "the bootstrap of {} could not be written to {root}: {error}",
                    need.runtime
                ))
            })
        })
    }
}
