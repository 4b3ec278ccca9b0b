//! Records: what the catalog keeps beside functions' heads, by kind, account, region and name, each
//! with a revision of its own for compare-and-set.
//!
//! Deliberately not here: what a kind's records say, and where they are kept.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Pending;
use crate::catalog::{CatalogError, Revision, Stored};

/// Which resource of a kind. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceKey {
    /// Twelve digits.
    pub account: Arc<str>,
    /// `us-east-1`.
    pub region: Arc<str>,
    /// The resource's name, or its UUID where it has none.
    pub name: Arc<str>,
}

impl ResourceKey {
    /// The ARN of a resource that its service names by name alone, as SQS and SNS do.
    #[must_use]
    pub fn arn(&self, service: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{}", self.region, self.account, self.name)
    }
}

/// Account, region and name, with a slash between: no slash is in any of them.
impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.account, self.region, self.name)
    }
}

/// A kind of record. Its serde form is what is on disk: a test decodes a kept fixture of each format.
pub trait Record: Clone + fmt::Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// The kind, first part of its keys: `queue`.
    const KIND: &'static str;
    /// The newest format; older ones are read by serde's defaults.
    const FORMAT: u32;

    /// Which resource it is.
    fn key(&self) -> &ResourceKey;
}

/// Called after a record changed or went, with its key. It must not block.
pub type RecordWatcher = Box<dyn Fn(&ResourceKey) + Send + Sync>;

/// Port: the records of one kind. Reads are synchronous and local; a write answers once it is on disk and
/// reads see it.
pub trait Records<R: Record>: Send + Sync {
    /// One record.
    fn get(&self, key: &ResourceKey) -> Option<Arc<Stored<R>>>;

    /// Records of an account and region in order of names, after `after`, at most `limit`.
    fn list(&self, account: &str, region: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stored<R>>>;

    /// Every record of the kind, in order of keys.
    fn all(&self) -> Vec<Arc<Stored<R>>>;

    /// Tells `watcher` of every change from now on.
    fn watch(&self, watcher: RecordWatcher);

    /// Writes a record where its revision is still `expected` (`None`: where there is none yet).
    fn put(&self, expected: Option<Revision>, record: R) -> Pending<'_, Result<Revision, CatalogError>>;

    /// Removes a record where its revision is still `expected`.
    fn delete(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>>;
}
