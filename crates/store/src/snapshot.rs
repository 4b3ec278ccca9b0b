//! The catalog's content in memory: what reads answer from, and who is told of changes.
//!
//! Deliberately not here: the disk. The writer puts a change here once it is on disk, and before
//! its write answers.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use lambkin_model::catalog::{Head, Stored, Watcher};
use lambkin_model::name::FunctionKey;

/// A change that is on disk: the key and its record, or that there is none any more.
pub(crate) struct Changed {
    pub key: FunctionKey,
    pub head: Option<Arc<Stored<Head>>>,
}

#[derive(Default)]
pub(crate) struct Snapshot {
    /// `FunctionKey` orders by account, region, name: one map serves look-ups and lists.
    heads: RwLock<BTreeMap<FunctionKey, Arc<Stored<Head>>>>,
    watchers: Mutex<Vec<Arc<Watcher>>>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn new(heads: BTreeMap<FunctionKey, Arc<Stored<Head>>>) -> Self {
        Self { heads: RwLock::new(heads), watchers: Mutex::default() }
    }

    pub(crate) fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        self.heads.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    pub(crate) fn heads(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Head>>> {
        let from = FunctionKey {
            account: account.into(),
            region: region.into(),
            name: after.unwrap_or_default().into(),
        };
        // No function's name is empty, so that excluding it excludes nothing.
        let range = (Bound::Excluded(&from), Bound::Unbounded);
        self.heads
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .range::<FunctionKey, _>(range)
            .take_while(|(key, _)| &*key.account == account && &*key.region == region)
            .take(limit)
            .map(|(_, head)| Arc::clone(head))
            .collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.heads.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn watch(&self, watcher: Watcher) {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(watcher));
    }

    /// Takes the changes in and then tells the watchers, who may read the snapshot.
    pub(crate) fn apply(&self, changes: &[Changed]) {
        if changes.is_empty() {
            return;
        }
        {
            let mut heads = self.heads.write().unwrap_or_else(PoisonError::into_inner);
            for change in changes {
                match &change.head {
                    Some(head) => heads.insert(change.key.clone(), Arc::clone(head)),
                    None => heads.remove(&change.key),
                };
            }
        }
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for change in changes {
            for watcher in &watchers {
                watcher(&change.key);
            }
        }
    }
}
