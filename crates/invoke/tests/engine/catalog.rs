//! A catalog in memory, in which another client does something at the worst moment where a test wants it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use lambkin_model::catalog::{CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::function::State;
use lambkin_model::name::FunctionKey;
use lambkin_model::record::ResourceKey;
use lambkin_model::version::{Published, PublishedVersion};

use crate::world::key;

#[derive(Default)]
pub struct Catalog {
    heads: Mutex<HashMap<FunctionKey, Arc<Stored<Head>>>>,
    versions: Mutex<HashMap<ResourceKey, Arc<Stored<PublishedVersion>>>>,
    watchers: RwLock<Vec<Watcher>>,
    revision: AtomicU64,
    meanwhile: Mutex<Option<Meanwhile>>,
    /// After how many more looks at a head.
    after_look: Mutex<Option<(usize, Meanwhile)>>,
}

/// What another client does meanwhile.
type Meanwhile = Box<dyn FnOnce(&Catalog) + Send>;

impl Catalog {
    pub fn put(&self, head: Head) {
        let key = head.key.clone();
        let revision = Revision(self.revision.fetch_add(1, Ordering::Relaxed) + 1);
        self.heads.lock().unwrap().insert(key.clone(), Arc::new(Stored { revision, record: head }));
        self.tell(&key);
    }

    /// Publishes `$LATEST` as it is; its number.
    pub fn publish(&self, name: &str) -> u64 {
        let mut head = self.head(&key(name)).unwrap().record.clone();
        let number = head.next_version;
        let id = format!("{} {number}", head.identity);
        let body = PublishedVersion::new(&head.key, &head.latest, number, id.clone(), None);
        head.next_version += 1;
        head.versions.insert(number, Published { id: id.into(), state: State::Active });
        let stored = Arc::new(Stored { revision: Revision(1), record: body });
        self.versions.lock().unwrap().insert(stored.record.key.clone(), stored);
        self.put(head);
        number
    }

    /// Changes a head.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Head)) {
        let mut head = self.head(&key(name)).unwrap().record.clone();
        change(&mut head);
        self.put(head);
    }

    /// Does it right before a version's body is looked up.
    pub fn before_body(&self, meanwhile: impl FnOnce(&Self) + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(meanwhile));
    }

    /// Does it once as many looks at a head as `looks`, and one, were had, right before the last of them is answered.
    pub fn after_looks(&self, looks: usize, meanwhile: impl FnOnce(&Self) + Send + 'static) {
        *self.after_look.lock().unwrap() = Some((looks, Box::new(meanwhile)));
    }

    /// Removes a version, its body too.
    pub fn delete_version(&self, name: &str, number: u64) {
        let body = self.head(&key(name)).unwrap().record.record_key(number).unwrap();
        self.change(name, |head| drop(head.versions.remove(&number)));
        self.versions.lock().unwrap().remove(&body);
    }

    pub fn delete(&self, name: &str) {
        self.heads.lock().unwrap().remove(&key(name));
        self.tell(&key(name));
    }

    fn tell(&self, key: &FunctionKey) {
        for watcher in &*self.watchers.read().unwrap() {
            watcher(key);
        }
    }
}

impl CatalogRead for Catalog {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        let found = self.heads.lock().unwrap().get(key).cloned();
        let due = {
            let mut waiting = self.after_look.lock().unwrap();
            match &mut *waiting {
                Some((looks @ 1.., _)) => {
                    *looks -= 1;
                    None
                }
                Some((0, _)) | None => waiting.take(),
            }
        };
        if let Some((_, meanwhile)) = due {
            meanwhile(self);
        }
        found
    }

    fn heads(&self, _: &str, _: &str, _: Option<&str>, _: usize) -> Vec<Arc<Stored<Head>>> {
        unreachable!("the data plane lists nothing")
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.heads.lock().unwrap().values().cloned().collect()
    }

    fn version(&self, key: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile(self);
        }
        self.versions.lock().unwrap().get(key).cloned()
    }

    fn watch(&self, watcher: Watcher) {
        self.watchers.write().unwrap().push(watcher);
    }
}
