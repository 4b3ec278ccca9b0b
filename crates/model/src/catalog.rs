//! The catalog: a small revisioned record store with single-key compare-and-set. One *head* record
//! per account, region and function, and one for the body of each published version; the rules live in
//! `control`, the bytes in `store`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Pending;
use crate::alias::Alias;
use crate::event_invoke::EventInvokeConfig;
use crate::function::{FunctionVersion, LastUpdate, State};
use crate::name::FunctionKey;
use crate::policy::Document;
use crate::provisioned::Provisioned;
use crate::record::ResourceKey;
use crate::scaling::Scaling;
use crate::url::FunctionUrl;
use crate::version::{Published, PublishedVersion, Version, record_key};

/// The store's own revision of a record: it changes with every write. Not AWS's `RevisionId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Head record of a function, format 5.
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
    /// Aliases by name.
    pub aliases: BTreeMap<String, Alias>,
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
    /// Who may use the function, by qualifier; the unqualified function's own under `$LATEST`. Since format 4.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, ResourcePolicy>,
    /// Published versions by number; their bodies are records of their own. Since format 4.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<u64, Published>,
    /// Provisioned concurrency by qualifier (a version, an alias). Since format 4.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provisioned: BTreeMap<String, Provisioned>,
    /// Function URLs, by alias; the function's own under `$LATEST`. One outlives its alias, as on AWS. Since format 4.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub urls: BTreeMap<String, FunctionUrl>,
    /// Scaling of published versions by number. Since format 5.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scaling: BTreeMap<u64, Scaling>,
}

/// A resource's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourcePolicy {
    /// What it says.
    pub document: Document,
    /// UUID; changes with every change.
    pub revision_id: String,
}

/// A record as it is written: its format number beside its content.
#[derive(Serialize, Deserialize)]
struct Written<T> {
    format: u32,
    record: T,
}

const FORMAT: u32 = 5;

impl Head {
    /// Of a function that has nothing but `$LATEST`.
    #[must_use]
    pub fn new(key: FunctionKey, identity: String, latest: FunctionVersion) -> Self {
        Self {
            key,
            identity,
            latest,
            serving: None,
            aliases: BTreeMap::new(),
            next_version: 1,
            tags: BTreeMap::new(),
            reserved_concurrency: None,
            event_invoke: BTreeMap::new(),
            recursion_allowed: false,
            policies: BTreeMap::new(),
            versions: BTreeMap::new(),
            provisioned: BTreeMap::new(),
            urls: BTreeMap::new(),
            scaling: BTreeMap::new(),
        }
    }

    /// The version that an invocation by this qualifier runs, where there is one; no qualifier is `$LATEST`.
    /// `chance` is asked as [`Alias::pick`] says.
    pub fn resolve(&self, qualifier: Option<&str>, chance: impl FnOnce() -> f64) -> Option<Version> {
        let Some(qualifier) = qualifier else { return Some(Version::Latest) };
        let version = match self.aliases.get(qualifier) {
            Some(alias) => alias.pick(chance),
            None => Version::parse(qualifier)?,
        };
        self.state(version).map(|_| version)
    }

    /// The version that a qualifier stands for where it is looked at: of a weighted alias the first.
    #[must_use]
    pub fn version(&self, qualifier: Option<&str>) -> Option<Version> {
        // No share is above 1.
        self.resolve(qualifier, || 1.0)
    }

    /// Whether it can be invoked; `None`: there is no such version.
    #[must_use]
    pub fn state(&self, version: Version) -> Option<&State> {
        match version {
            Version::Latest => Some(&self.latest.state),
            Version::Published(number) => {
                let state = &self.versions.get(&number)?.state;
                let off = *state == State::Active && self.scaling(version).deactivates();
                Some(if off { &State::Deactivated } else { state })
            }
        }
    }

    /// Whether `$LATEST` is on its way from a change: nothing else changes it until that has ended.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.latest.state == State::Pending || self.latest.last_update == Some(LastUpdate::InProgress)
    }

    /// The key of a published version's record.
    #[must_use]
    pub fn record_key(&self, number: u64) -> Option<ResourceKey> {
        self.versions.get(&number).map(|published| record_key(&self.key, &published.id))
    }

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
        let newer = |version: &FunctionVersion| {
            let configuration = &version.configuration;
            !configuration.layers.is_empty()
                || !configuration.tracing.is_pass_through()
                || version.code.directory.is_some()
        };
        let newer = versions.clone().any(newer);
        let dead_letter = versions.any(|version| version.configuration.dead_letter.is_some());
        if !self.scaling.is_empty() {
            FORMAT
        } else if newer
            || !self.policies.is_empty()
            || !self.versions.is_empty()
            || !self.provisioned.is_empty()
            || !self.urls.is_empty()
            || !self.aliases.values().all(Alias::is_old)
        {
            4
        } else if dead_letter || self.recursion_allowed || !self.event_invoke.is_empty() {
            3
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
            1..=FORMAT => serde_json::from_slice::<Written<Self>>(bytes)
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

/// What a version is, wherever it is kept.
#[derive(Debug, Clone)]
pub enum Body {
    /// `$LATEST`, in its head.
    Latest(Arc<Stored<Head>>),
    /// A published one, in its own record.
    Published(Arc<Stored<PublishedVersion>>),
}

impl std::ops::Deref for Body {
    type Target = FunctionVersion;

    fn deref(&self) -> &FunctionVersion {
        match self {
            Self::Latest(head) => &head.record.latest,
            Self::Published(published) => &published.record.version,
        }
    }
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

    /// The body of a published version, by the key that its head has.
    fn version(&self, key: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>>;

    /// What a version of a function is; `None` where there is none.
    fn body(&self, head: &Arc<Stored<Head>>, version: Version) -> Option<Body> {
        match version {
            Version::Latest => Some(Body::Latest(Arc::clone(head))),
            Version::Published(number) => {
                let key = head.record.record_key(number)?;
                self.version(&key).map(Body::Published)
            }
        }
    }

    /// Tells `watcher` of every change of a head from now on.
    fn watch(&self, watcher: Watcher);
}

/// The write side. A write answers once it is on disk and the local snapshot holds it.
pub trait Catalog: CatalogRead {
    /// Writes a head where its revision is still `expected` (`None`: where there is none yet).
    fn put(&self, expected: Option<Revision>, head: Head) -> Pending<'_, Result<Revision, CatalogError>>;

    /// Removes a head where its revision is still `expected`.
    fn delete(&self, expected: Revision, key: FunctionKey) -> Pending<'_, Result<(), CatalogError>>;

    /// Writes a version's body where there is none of its key: bodies never change.
    fn put_version(&self, version: PublishedVersion) -> Pending<'_, Result<Revision, CatalogError>>;

    /// Removes a version's body.
    fn delete_version(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>>;

    /// Every body, those among them that no head names (any more).
    fn versions(&self) -> Vec<Arc<Stored<PublishedVersion>>>;
}
