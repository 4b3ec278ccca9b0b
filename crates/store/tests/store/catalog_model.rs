//! The catalog against a map in memory: any walk of writes, some of them stale, with restarts in
//! between, leaves both with the same content.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead, Head, Revision};
use lambkin_store::{SqliteCatalog, Store, StoreConfig};
use proptest::prelude::*;

use crate::support::{SOON, head, key, runtime};

const NAMES: [&str; 4] = ["a", "b", "b-1", "c"];

/// What a write says it read.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Nothing,
    Current,
    Stale,
}

#[derive(Debug, Clone)]
enum Step {
    Put(usize, Expected),
    Delete(usize, Expected),
    /// Writes to several names at once, which share a transaction or not.
    Together(Vec<(usize, Expected)>),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let expected =
        prop_oneof![1 => Just(Expected::Nothing), 3 => Just(Expected::Current), 1 => Just(Expected::Stale)];
    let write = (0..NAMES.len(), expected);
    prop_oneof![
        6 => write.clone().prop_map(|(name, expected)| Step::Put(name, expected)),
        3 => write.clone().prop_map(|(name, expected)| Step::Delete(name, expected)),
        2 => prop::collection::vec(write, 1..8).prop_map(Step::Together),
        1 => Just(Step::Restart),
    ]
}

#[derive(Default)]
struct Model {
    heads: BTreeMap<&'static str, (Revision, Head)>,
    past: Vec<Revision>,
    mark: u64,
}

impl Model {
    fn expected(&self, name: &str, expected: Expected) -> Option<Revision> {
        match expected {
            Expected::Nothing => None,
            Expected::Current => self.heads.get(name).map(|(revision, _)| *revision),
            Expected::Stale => Some(self.past.first().copied().unwrap_or(Revision(77))),
        }
    }

    fn holds(&self, name: &str, expected: Option<Revision>) -> bool {
        self.heads.get(name).map(|(revision, _)| *revision) == expected
    }

    fn put(&mut self, name: &'static str, head: Head, answer: Result<Revision, CatalogError>, allowed: bool) {
        match answer {
            Ok(revision) => {
                assert!(allowed && !self.past.contains(&revision), "{name}: {revision:?} is new");
                self.past.push(revision);
                self.heads.insert(name, (revision, head));
            }
            Err(error) => assert_eq!((error, allowed), (CatalogError::Conflict, false), "{name}"),
        }
    }

    fn same(&self, catalog: &SqliteCatalog) {
        let heads = catalog.heads(&key("a").account, "us-east-1", None, 100);
        let found: Vec<_> =
            heads.iter().map(|head| (&*head.record.key.name, (head.revision, head.record.clone()))).collect();
        let expected: Vec<_> = self.heads.iter().map(|(name, content)| (*name, content.clone())).collect();
        assert_eq!(found, expected);
        assert_eq!(catalog.all().len(), expected.len());
    }
}

async fn walk(directory: &std::path::Path, steps: Vec<Step>) {
    let mut store = Store::open(directory, StoreConfig::default()).unwrap();
    let mut model = Model::default();
    for step in steps {
        let catalog = store.catalog();
        match step {
            Step::Put(name, expected) => together(&catalog, &mut model, vec![(name, expected)]).await,
            Step::Together(writes) => together(&catalog, &mut model, writes).await,
            Step::Delete(name, expected) => {
                let name = NAMES[name];
                if let Some(expected) = model.expected(name, expected) {
                    let allowed = model.holds(name, Some(expected));
                    let answer = catalog.delete(expected, key(name)).await;
                    assert_eq!(answer, if allowed { Ok(()) } else { Err(CatalogError::Conflict) });
                    if allowed {
                        model.heads.remove(name);
                    }
                }
            }
            Step::Restart => {
                drop(catalog);
                drop(store);
                store = Store::open(directory, StoreConfig::default()).unwrap();
            }
        }
        model.same(&store.catalog());
    }
    assert!(store.close(SOON));
}

/// Writes go into the queue in this order, and so into the file.
async fn together(catalog: &Arc<SqliteCatalog>, model: &mut Model, writes: Vec<(usize, Expected)>) {
    let mut answers = tokio::task::JoinSet::new();
    let mut heads = Vec::new();
    for (name, expected) in writes {
        let name = NAMES[name];
        model.mark += 1;
        let head = head(name, model.mark);
        let expected = model.expected(name, expected);
        let index = heads.len();
        heads.push((name, expected, head.clone()));
        let catalog = Arc::clone(catalog);
        answers.spawn(async move { (index, catalog.put(expected, head).await) });
    }
    let mut answers = answers.join_all().await;
    // On one thread, tasks run in the order they were spawned in; answers come in any.
    answers.sort_by_key(|(index, _)| *index);
    for ((_, answer), (name, expected, head)) in answers.into_iter().zip(heads) {
        let allowed = model.holds(name, expected);
        model.put(name, head, answer, allowed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_walk_leaves_what_the_model_says(steps in prop::collection::vec(step(), 1..30)) {
        let directory = tempfile::tempdir().unwrap();
        let one_thread = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        one_thread.block_on(walk(directory.path(), steps));
    }
}

/// The same by many threads at once: what was answered is what is there, also after a restart.
#[test]
fn writers_on_many_threads_agree() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let won = runtime().block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let catalog = store.catalog();
            tasks.spawn(async move {
                let mut won = 0;
                for round in 0..40 {
                    let name = NAMES[(writer + round) % NAMES.len()];
                    let (expected, mark) = catalog
                        .head(&key(name))
                        .map_or((None, 0), |head| (Some(head.revision), head.record.next_version));
                    won += u64::from(catalog.put(expected, head(name, mark + 1)).await.is_ok());
                }
                won
            });
        }
        tasks.join_all().await.iter().sum::<u64>()
    });
    let sum = |store: &Store| store.catalog().all().iter().map(|head| head.record.next_version).sum::<u64>();
    assert_eq!(sum(&store), won, "each write that won counted one");
    drop(store);
    assert_eq!(sum(&Store::open(directory.path(), StoreConfig::default()).unwrap()), won);
}
