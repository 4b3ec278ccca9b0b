//! Where things are on this machine where the command line does not say.

use std::path::PathBuf;

use directories::ProjectDirs;
use lambkin_runtimes::{Runtimes, RuntimesConfig};

use crate::arguments::Sources;

fn platform() -> Result<ProjectDirs, String> {
    ProjectDirs::from("", "", "lambkin")
        .ok_or_else(|| "this user has no home directory: say --data DIR and --runtimes DIR".into())
}

/// The data directory.
pub(crate) fn data(given: Option<PathBuf>) -> Result<PathBuf, String> {
    let directory = match given {
        Some(directory) => directory,
        None => platform()?.data_dir().to_owned(),
    };
    // Paths are handed to processes that start elsewhere.
    std::path::absolute(&directory).map_err(|error| format!("{}: {error}", directory.display()))
}

/// The runtimes, cached where the command line or the platform says.
pub(crate) fn runtimes(sources: Sources) -> Result<Runtimes, String> {
    let root = match sources.runtimes {
        Some(root) => root,
        None => platform()?.cache_dir().join("runtimes"),
    };
    let root = std::path::absolute(&root).map_err(|error| format!("{}: {error}", root.display()))?;
    let config = RuntimesConfig {
        mirror: sources.node_mirror,
        node_dir: sources.node_dir,
        ..RuntimesConfig::new(root)
    };
    Ok(Runtimes::new(config))
}
