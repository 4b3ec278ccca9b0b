//! Records in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lambkin_model::Pending;
use lambkin_model::catalog::{CatalogError, Revision, Stored};
use lambkin_model::record::{Record, RecordWatcher, Records, ResourceKey};

type Kept<R> = BTreeMap<ResourceKey, Arc<Stored<R>>>;

/// The records of one kind.
pub(crate) struct MemoryRecords<R: Record> {
    /// The last revision, and what there is.
    state: Mutex<(u64, Kept<R>)>,
    watchers: Mutex<Vec<Arc<RecordWatcher>>>,
}

impl<R: Record> Default for MemoryRecords<R> {
    fn default() -> Self {
        Self { state: Mutex::new((0, BTreeMap::new())), watchers: Mutex::default() }
    }
}

impl<R: Record> MemoryRecords<R> {
    fn change(
        &self,
        key: &ResourceKey,
        expected: Option<Revision>,
        record: Option<R>,
    ) -> Result<Revision, CatalogError> {
        let revision = {
            let mut state = self.state.lock().unwrap();
            if state.1.get(key).map(|stored| stored.revision) != expected {
                return Err(CatalogError::Conflict);
            }
            state.0 += 1;
            let revision = Revision(state.0);
            match record {
                Some(record) => state.1.insert(key.clone(), Arc::new(Stored { revision, record })),
                None => state.1.remove(key),
            };
            revision
        };
        let watchers = self.watchers.lock().unwrap().clone();
        watchers.iter().for_each(|watcher| watcher(key));
        Ok(revision)
    }
}

impl<R: Record> Records<R> for MemoryRecords<R> {
    fn get(&self, key: &ResourceKey) -> Option<Arc<Stored<R>>> {
        self.state.lock().unwrap().1.get(key).cloned()
    }

    fn list(&self, account: &str, region: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stored<R>>> {
        let state = self.state.lock().unwrap();
        let here = state.1.iter().filter(|(key, _)| {
            &*key.account == account && &*key.region == region && after.is_none_or(|after| &*key.name > after)
        });
        here.take(limit).map(|(_, stored)| Arc::clone(stored)).collect()
    }

    fn all(&self) -> Vec<Arc<Stored<R>>> {
        self.state.lock().unwrap().1.values().cloned().collect()
    }

    fn watch(&self, watcher: RecordWatcher) {
        self.watchers.lock().unwrap().push(Arc::new(watcher));
    }

    fn put(&self, expected: Option<Revision>, record: R) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(async move { self.change(&record.key().clone(), expected, Some(record)) })
    }

    fn delete(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(async move { self.change(&key, Some(expected), None).map(|_| ()) })
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Sample(ResourceKey);

    impl Record for Sample {
        const KIND: &'static str = "sample";
        const FORMAT: u32 = 1;

        fn key(&self) -> &ResourceKey {
            &self.0
        }
    }

    #[tokio::test]
    async fn compare_and_set() {
        let records = MemoryRecords::default();
        let key = ResourceKey { account: "0".into(), region: "r".into(), name: "n".into() };
        records.watch(Box::new(|key| assert_eq!(&*key.name, "n")));
        let revision = records.put(None, Sample(key.clone())).await.unwrap();
        assert_eq!(records.put(None, Sample(key.clone())).await, Err(CatalogError::Conflict));
        assert_eq!(records.get(&key).unwrap().revision, revision);
        assert_eq!((records.all().len(), records.list("0", "r", None, 9).len()), (1, 1));
        records.delete(revision, key.clone()).await.unwrap();
        assert!(records.get(&key).is_none());
    }
}
