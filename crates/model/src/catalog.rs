//! The catalog: a small revisioned record store with single-key compare-and-set. One *head* record
//! per account, region and function; its rules live in `control`, its bytes in `store`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Pending;
use crate::event_invoke::EventInvokeConfig;
use crate::function::FunctionVersion;
use crate::name::FunctionKey;

/// The store's own revision of a record: it changes with every write. Not AWS's `RevisionId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Head record of a function, format 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which function.
    pub key: FunctionKey,
    /// UUID, new at each creation: a function deleted and created again is another one.
    pub identity: String,
    /// `$LATEST`.
    pub latest: FunctionVersion,
    /// What invocations of `$LATEST` run while its update is in progress or has failed; `None`
    /// where that is `latest` itself.
    pub serving: Option<Box<FunctionVersion>>,
    /// Aliases by name, each with the version it names.
    pub aliases: BTreeMap<String, String>,
    /// Number that the next published version gets.
    pub next_version: u64,
    /// The function's tags.
    pub tags: BTreeMap<String, String>,
    /// AWS's `ReservedConcurrentExecutions`, of all versions together. Since format 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_concurrency: Option<u32>,
    /// How asynchronous invocations are treated, by qualifier (`$LATEST`, a version, an alias). Since format 3.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub event_invoke: BTreeMap<String, EventInvokeConfig>,
    /// AWS's `RecursiveLoop` is `Allow`: the function may invoke itself by way of others. Since format 3.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recursion_allowed: bool,
}

/// A record as it is written: its format number beside its content.
#[derive(Serialize, Deserialize)]
struct Written<T> {
    format: u32,
    record: T,
}

const FORMAT: u32 = 3;

impl Head {
    /// The version that an invocation of `$LATEST` runs now.
    #[must_use]
    pub fn invocable(&self) -> &FunctionVersion {
        self.serving.as_deref().unwrap_or(&self.latest)
    }

    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&Written { format: self.format(), record: self })
            .expect("a head has only string keys")
    }

    /// The oldest format that can say it, so that an older lambkin refuses only what it would lose.
    fn format(&self) -> u32 {
        let mut versions = std::iter::once(&self.latest).chain(self.serving.as_deref());
        let dead_letter = versions.any(|version| version.configuration.dead_letter.is_some());
        if dead_letter || self.recursion_allowed || !self.event_invoke.is_empty() {
            FORMAT
        } else if self.reserved_concurrency.is_some() {
            2
        } else {
            1
        }
    }

    /// Reads a record of any format there has been; says what is wrong with another.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let format: Format = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match format.format {
            1 | 2 | FORMAT => serde_json::from_slice::<Written<Self>>(bytes)
                .map(|written| written.record)
                .map_err(|error| error.to_string()),
            newer => {
                Err(format!("record format {newer} is newer than this lambkin, which reads up to {FORMAT}"))
            }
        }
    }
}

/// A record with the revision it was read at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    /// For the next compare-and-set.
    pub revision: Revision,
    /// The record.
    pub record: T,
}

/// Why a write did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The record is not at the expected revision.
    #[error("the record was changed by another request")]
    Conflict,
    /// The store is closed or its disk is full; nothing was changed.
    #[error("{0}")]
    Unavailable(String),
}

/// Called after a head changed or went, with its key. It must not block.
pub type Watcher = Box<dyn Fn(&FunctionKey) + Send + Sync>;

/// The read side: synchronous and local, it answers even when the store is down.
pub trait CatalogRead: Send + Sync {
    /// A function's head.
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>>;

    /// Heads of an account and region in order of names, after `after`, at most `limit`.
    fn heads(&self, account: &str, region: &str, after: Option<&str>, limit: usize)
    -> Vec<Arc<Stored<Head>>>;

    /// Every head, whatever its account and region, in no order.
    fn all(&self) -> Vec<Arc<Stored<Head>>>;

    /// Tells `watcher` of every change from now on.
    fn watch(&self, watcher: Watcher);
}

/// The write side. A write answers once it is on disk and the local snapshot holds it.
pub trait Catalog: CatalogRead {
    /// Writes a head where its revision is still `expected` (`None`: where there is none yet).
    fn put(&self, expected: Option<Revision>, head: Head) -> Pending<'_, Result<Revision, CatalogError>>;

    /// Removes a head where its revision is still `expected`.
    fn delete(&self, expected: Revision, key: FunctionKey) -> Pending<'_, Result<(), CatalogError>>;
}
