//! The catalog's content in memory: what reads answer from, and who is told of changes. One snapshot for
//! each kind of record.
//!
//! Deliberately not here: the disk. The writer puts a change here once it is on disk, and before
//! its write answers.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use lambkin_model::catalog::{Revision, Stored};

use crate::kind::Kind;

type StoredOf<K> = Arc<Stored<<K as Kind>::Record>>;
type Watcher<K> = Box<dyn Fn(&<K as Kind>::Key) + Send + Sync>;

pub(crate) struct Snapshot<K: Kind> {
    records: RwLock<Content<K>>,
    watchers: Mutex<Vec<Arc<Watcher<K>>>>,
}

/// The same records twice: a key has three texts, and in a tree of a hundred thousand a look-up compares dozens of
/// them, most of which no cache has.
struct Content<K: Kind> {
    /// For look-ups.
    by_key: HashMap<K::Key, StoredOf<K>>,
    /// For lists: keys order by account, region, name.
    in_order: BTreeMap<K::Key, StoredOf<K>>,
}

impl<K: Kind> Default for Content<K> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), in_order: BTreeMap::new() }
    }
}

impl<K: Kind> Content<K> {
    fn insert(&mut self, key: K::Key, stored: StoredOf<K>) {
        self.by_key.insert(key.clone(), Arc::clone(&stored));
        self.in_order.insert(key, stored);
    }

    fn remove(&mut self, key: &K::Key) {
        self.by_key.remove(key);
        self.in_order.remove(key);
    }
}

impl<K: Kind> fmt::Debug for Snapshot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("kind", &K::KIND).finish_non_exhaustive()
    }
}

impl<K: Kind> Default for Snapshot<K> {
    fn default() -> Self {
        Self { records: RwLock::default(), watchers: Mutex::default() }
    }
}

impl<K: Kind> Snapshot<K> {
    pub(crate) fn get(&self, key: &K::Key) -> Option<Arc<Stored<K::Record>>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).by_key.get(key).cloned()
    }

    pub(crate) fn list(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<K::Record>>> {
        let from = match after {
            Some(after) => Bound::Excluded(K::of_parts(account, region, after)),
            None => Bound::Included(K::of_parts(account, region, "")),
        };
        self.records
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .in_order
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| K::parts(key)[..2] == [account, region])
            .take(limit)
            .map(|(_, record)| Arc::clone(record))
            .collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Stored<K::Record>>> {
        self.records.read().unwrap_or_else(PoisonError::into_inner).in_order.values().cloned().collect()
    }

    pub(crate) fn watch(&self, watcher: Watcher<K>) {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(watcher));
    }

    fn tell(&self, key: &K::Key) {
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for watcher in watchers {
            watcher(key);
        }
    }
}

/// What opening the file needs of a snapshot of any kind.
pub(crate) trait AnySnapshot: Any + Send + Sync {
    /// The first part of its keys.
    fn kind(&self) -> &'static str;

    /// Takes a record in as it stands in the file; says what is wrong with it.
    fn load(&self, key: &str, revision: Revision, body: &[u8]) -> Result<(), String>;

    /// Takes in what another machine changed, `None` where the record went, and tells the watchers.
    #[cfg(feature = "nats")]
    fn follow(&self, key: &str, revision: Revision, body: Option<&[u8]>) -> Result<(), String>;
}

impl<K: Kind> AnySnapshot for Snapshot<K> {
    fn kind(&self) -> &'static str {
        K::KIND
    }

    fn load(&self, key: &str, revision: Revision, body: &[u8]) -> Result<(), String> {
        let record = K::decode(body)?;
        let own = K::key(&record).clone();
        if K::text_key(&own) != key {
            return Err(format!("its content belongs to {}", K::text_key(&own)));
        }
        let stored = Arc::new(Stored { revision, record });
        self.records.write().unwrap_or_else(PoisonError::into_inner).insert(own, stored);
        Ok(())
    }

    #[cfg(feature = "nats")]
    fn follow(&self, key: &str, revision: Revision, body: Option<&[u8]>) -> Result<(), String> {
        let mut parts = key.splitn(4, '/').skip(1);
        let (Some(account), Some(region), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("it is no key of a record".into());
        };
        let own = K::of_parts(account, region, name);
        match body {
            Some(body) => self.load(key, revision, body)?,
            None => {
                self.records.write().unwrap_or_else(PoisonError::into_inner).remove(&own);
            }
        }
        self.tell(&own);
        Ok(())
    }
}

/// A change on its way to the snapshot of its kind, whichever that is.
pub(crate) trait Entry: Send {
    /// It is on disk: the snapshot gets it.
    fn enter(&mut self, revision: Revision);

    /// Tells the watchers, who may read the snapshot.
    fn tell(&self);
}

pub(crate) struct EntryOf<K: Kind> {
    pub snapshot: Arc<Snapshot<K>>,
    pub key: K::Key,
    /// `None` where the record goes.
    pub record: Option<K::Record>,
}

impl<K: Kind> Entry for EntryOf<K> {
    fn enter(&mut self, revision: Revision) {
        let mut records = self.snapshot.records.write().unwrap_or_else(PoisonError::into_inner);
        match self.record.take() {
            Some(record) => records.insert(self.key.clone(), Arc::new(Stored { revision, record })),
            None => records.remove(&self.key),
        }
    }

    fn tell(&self) {
        self.snapshot.tell(&self.key);
    }
}
