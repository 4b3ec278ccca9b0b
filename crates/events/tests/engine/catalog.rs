//! The catalog of all worlds: says that there are such functions, none of which has versions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use lambkin_model::catalog::{CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::name::FunctionKey;
use lambkin_model::record::ResourceKey;
use lambkin_model::version::PublishedVersion;

/// Functions that are there.
#[derive(Default)]
pub(crate) struct Catalog {
    heads: Mutex<HashMap<FunctionKey, Arc<Stored<Head>>>>,
    watchers: Mutex<Vec<Watcher>>,
}

impl Catalog {
    pub(crate) fn put(&self, head: Head) {
        let key = head.key.clone();
        let stored = Arc::new(Stored { revision: Revision(1), record: head });
        self.heads.lock().unwrap().insert(key.clone(), stored);
        self.tell(&key);
    }

    pub(crate) fn remove(&self, key: &FunctionKey) {
        self.heads.lock().unwrap().remove(key);
        self.tell(key);
    }

    fn tell(&self, key: &FunctionKey) {
        for watcher in &*self.watchers.lock().unwrap() {
            watcher(key);
        }
    }
}

impl CatalogRead for Catalog {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        self.heads.lock().unwrap().get(key).cloned()
    }

    fn heads(&self, _: &str, _: &str, _: Option<&str>, _: usize) -> Vec<Arc<Stored<Head>>> {
        self.all()
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.heads.lock().unwrap().values().cloned().collect()
    }

    fn version(&self, _: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>> {
        None
    }

    fn watch(&self, watcher: Watcher) {
        self.watchers.lock().unwrap().push(watcher);
    }
}
