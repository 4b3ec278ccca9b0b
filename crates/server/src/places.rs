//! Where things are on this machine where the command line does not say.

use std::path::PathBuf;
use std::sync::Arc;

use etcetera::app_strategy::{AppStrategy, AppStrategyArgs};
use lambkin_runtimes::{Runtimes, RuntimesConfig};
use lambkin_store::Unpacker;

use crate::arguments::Sources;

fn platform() -> Result<impl AppStrategy, String> {
    let names = AppStrategyArgs { app_name: "lambkin".into(), ..AppStrategyArgs::default() };
    etcetera::app_strategy::choose_native_strategy(names)
        .map_err(|_| "this user has no home directory: say --data DIR and --runtimes DIR".into())
}

/// The data directory.
pub(crate) fn data(given: Option<PathBuf>) -> Result<PathBuf, String> {
    let directory = match given {
        Some(directory) => directory,
        None => platform()?.data_dir(),
    };
    // Paths are handed to processes that start elsewhere.
    std::path::absolute(&directory).map_err(|error| format!("{}: {error}", directory.display()))
}

/// Where runtimes are cached: where the command line or the platform says.
pub(crate) fn runtimes_root(given: Option<PathBuf>) -> Result<PathBuf, String> {
    let root = match given {
        Some(root) => root,
        None => platform()?.cache_dir().join("runtimes"),
    };
    std::path::absolute(&root).map_err(|error| format!("{}: {error}", root.display()))
}

/// The runtimes.
pub(crate) fn runtimes(sources: Sources) -> Result<Runtimes, String> {
    let root = runtimes_root(sources.runtimes)?;
    let config = RuntimesConfig {
        mirror: sources.node_mirror,
        node_dir: sources.node_dir,
        ..RuntimesConfig::new(root)
    };
    Ok(Runtimes::new(config))
}

/// Who unpacks packages: on Linux a process that can do nothing else.
pub(crate) fn unpacker() -> Option<Arc<dyn Unpacker>> {
    #[cfg(target_os = "linux")]
    return Some(crate::unpacker::itself());
    #[cfg(not(target_os = "linux"))]
    None
}
