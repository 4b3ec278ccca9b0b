//! Bringing a Node.js binary into the cache: the sources in order, each with its reason when it
//! fails, and the error that tells what was tried and what to do.
//!
//! Deliberately not here: the sources themselves (`source/`), and the SDK (`sdk.rs`).

use std::path::{Path, PathBuf};

use lambkin_model::runtime::RuntimeError;

use crate::cache::{Cache, Cached};
use crate::source::npm::Npm;
use crate::source::{Bounds, SourceError, Stop, directory, mirror};
use crate::table::Row;

/// The sources beyond the cache.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) node_dir: Option<PathBuf>,
    pub(crate) mirror: Option<String>,
    pub(crate) npm: Option<Npm>,
    pub(crate) bounds: Bounds,
}

/// One of them.
enum Source<'a> {
    Directory(&'a Path),
    Mirror(&'a str),
    Npm(&'a Npm),
}

impl Sources {
    /// What was asked for explicitly comes first, then npm, then nodejs.org unless a mirror stands
    /// in for it.
    fn in_order(&self) -> Vec<Source<'_>> {
        let mut order = Vec::new();
        order.extend(self.node_dir.as_deref().map(Source::Directory));
        order.extend(self.mirror.as_deref().map(Source::Mirror));
        order.extend(self.npm.as_ref().map(Source::Npm));
        if self.mirror.is_none() {
            order.push(Source::Mirror(mirror::NODEJS_ORG));
        }
        order
    }
}

impl Source<'_> {
    fn fetch(&self, row: &Row, to: &Path, bounds: Bounds, stop: &Stop) -> Result<(), SourceError> {
        match self {
            Self::Directory(path) => directory::fetch(path, row, to, bounds, stop),
            Self::Mirror(base) => mirror::fetch(base, row, to, bounds, stop),
            Self::Npm(npm) => npm.fetch(row, to, bounds, stop),
        }
    }

    fn name(&self, row: &Row) -> String {
        match self {
            Self::Directory(path) => format!("the directory {}", path.display()),
            Self::Mirror(base) => format!("the distribution at {}", mirror::shown(base)),
            Self::Npm(npm) => format!("`{} pack {}@{}`", npm.program.display(), row.package, row.version),
        }
    }
}

/// Makes sure that the cache holds the build. Blocks; has its own deadlines.
///
/// # Errors
/// [`RuntimeError::Unavailable`] with every source and its reason.
pub(crate) fn ensure(cache: &Cache, sources: &Sources, row: &Row, stop: &Stop) -> Result<(), RuntimeError> {
    // Before the lock: what is there needs no write, so that a read-only cache serves.
    if matches!(cache.check(row), Cached::Good) {
        return Ok(());
    }
    let mut tried = Vec::new();
    let result = fetch(cache, sources, row, stop, &mut tried);
    result.map_err(|error| {
        if let Some(error) = error {
            tried.push(format!("the cache {}: {error}", cache.root().display()));
        }
        unavailable(cache, row, &tried)
    })
}

/// `Err(None)`: every reason is in `tried`.
fn fetch(
    cache: &Cache,
    sources: &Sources,
    row: &Row,
    stop: &Stop,
    tried: &mut Vec<String>,
) -> Result<(), Option<SourceError>> {
    let _lock = cache.lock(&format!("node-{}-{}", row.version, row.platform), stop)?;
    match cache.check(row) {
        Cached::Good => return Ok(()),
        Cached::Absent => {}
        Cached::Bad(why) => {
            let path = cache.node(row);
            tracing::warn!(path = %path.display(), "the cached Node.js binary {why}; it is fetched anew");
            tried.push(format!("the cache: {} {why}", path.display()));
        }
    }
    let staging =
        cache.staging().map_err(|error| SourceError::io("its directory for temporary files", error))?;
    for (index, source) in sources.in_order().into_iter().enumerate() {
        stop.check()?;
        let file = staging.path().join(format!("node-{index}"));
        match source.fetch(row, &file, sources.bounds, stop) {
            Ok(()) => {
                cache
                    .adopt(row, &file)
                    .map_err(|error| SourceError::io("moving the binary into it", error))?;
                tracing::info!(runtime = %row.runtime, version = row.version, "Node.js installed from {}", source.name(row));
                return Ok(());
            }
            Err(error) => {
                tracing::debug!("{}: {error}", source.name(row));
                tried.push(format!("{}: {error}", source.name(row)));
            }
        }
    }
    Err(None)
}

fn unavailable(cache: &Cache, row: &Row, tried: &[String]) -> RuntimeError {
    let Row { runtime, version, platform, .. } = row;
    RuntimeError::Unavailable(format!(
        "Node.js {version} for {runtime} on {platform} could not be fetched. Tried: {}. What to do: install npm \
         (its registry and proxy settings are used), or give a mirror of nodejs.org/dist with --node-mirror URL, or a \
         directory of node binaries with --node-dir DIR, or run `lambkin runtimes install {runtime}` on a machine with a \
         network and copy its cache directory to {}.",
        tried.join("; "),
        cache.root().display(),
    ))
}
