//! Hot code: directories that are functions' code as they are, for development. A change of a file is a change of the code.
//!
//! Deliberately not here: who may make a directory a function's code (the operator, by its roots), and what a change does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Pending;

/// The bucket whose keys are such directories.
pub const HOT_RELOAD: &str = "hot-reload";

/// Tells whether something changed.
pub trait Changes: Send + Sync {
    /// Another number after each change. Never one that there was before.
    fn mark(&self) -> u64;
}

/// A directory that is watched for as long as this is held.
#[derive(Clone)]
pub struct Watched {
    /// Where it is, without links.
    pub directory: PathBuf,
    /// What happens below it.
    pub changes: Arc<dyn Changes>,
}

/// Port: directories of hot code.
pub trait HotCode: Send + Sync {
    /// Where a directory is, without links, and the packages of the AWS SDK that what is in it refers to; or why it
    /// cannot be code.
    fn look(&self, directory: PathBuf) -> Pending<'_, Result<(PathBuf, BTreeSet<String>), String>>;

    /// Watches it, or says why that cannot be.
    fn watch(&self, directory: PathBuf) -> Pending<'_, Result<Watched, String>>;
}
