//! The conformance suite of the records port, against each store there is, and what a file with several kinds
//! of records does when it opens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead, Revision};
use lambkin_model::record::{Record, Records, ResourceKey};
use lambkin_store::{Faulty, Kinds, OpenError, Plan, Store, StoreConfig};
use proptest::prelude::*;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::support::{SOON, head, key, runtime};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    key: ResourceKey,
    mark: u64,
    /// Since format 2.
    #[serde(default)]
    note: Option<String>,
}

impl Record for Sample {
    const KIND: &'static str = "sample";
    const FORMAT: u32 = 2;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Other(ResourceKey);

impl Record for Other {
    const KIND: &'static str = "other";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.0
    }
}

fn place(account: &str, region: &str, name: &str) -> ResourceKey {
    ResourceKey { account: account.into(), region: region.into(), name: name.into() }
}

fn named(name: &str) -> ResourceKey {
    place("000000000000", "us-east-1", name)
}

fn sample(name: &str, mark: u64) -> Sample {
    Sample { key: named(name), mark, note: None }
}

fn config() -> StoreConfig {
    StoreConfig { kinds: Kinds::default().with::<Sample>().with::<Other>(), ..StoreConfig::default() }
}

/// Writes are compare-and-set by key, and no revision is given twice.
async fn compares_and_sets(records: &impl Records<Sample>) {
    assert_eq!(records.get(&named("r")), None);
    let first = records.put(None, sample("r", 1)).await.unwrap();
    assert_eq!(records.put(None, sample("r", 2)).await, Err(CatalogError::Conflict));
    let second = records.put(Some(first), sample("r", 2)).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(records.put(Some(first), sample("r", 3)).await, Err(CatalogError::Conflict));
    assert_eq!(records.delete(first, named("r")).await, Err(CatalogError::Conflict));
    let stored = records.get(&named("r")).unwrap();
    assert_eq!((stored.revision, &stored.record), (second, &sample("r", 2)));
    records.delete(second, named("r")).await.unwrap();
    assert_eq!(records.get(&named("r")), None);
    assert_eq!(records.delete(second, named("r")).await, Err(CatalogError::Conflict));
    assert_eq!(records.put(Some(second), sample("r", 3)).await, Err(CatalogError::Conflict));
    let again = records.put(None, sample("r", 4)).await.unwrap();
    assert!(![first, second].contains(&again));
    records.delete(again, named("r")).await.unwrap();
}

/// Of many writers that read the same revision, one is first.
async fn lets_one_of_many_win(records: &Arc<impl Records<Sample> + 'static>) {
    let mut revision = records.put(None, sample("race", 0)).await.unwrap();
    for round in 0..5 {
        let mut writes = tokio::task::JoinSet::new();
        for writer in 0..16 {
            let records = Arc::clone(records);
            writes
                .spawn(async move { records.put(Some(revision), sample("race", round * 16 + writer)).await });
        }
        let won: Vec<Revision> = writes.join_all().await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1);
        revision = won[0];
    }
    records.delete(revision, named("race")).await.unwrap();
}

/// Lists are by account and region, in order of names, in pages.
async fn lists_in_order(records: &impl Records<Sample>) {
    let mut keys: Vec<_> = ["b", "a", "A", "c-1", "c", "c_1", "orders.fifo"].map(named).into();
    keys.push(place("000000000001", "us-east-1", "b"));
    keys.push(place("000000000000", "eu-west-1", "b"));
    keys.push(place("000000000000", "us-east-2", "b"));
    for key in &keys {
        records.put(None, Sample { key: key.clone(), mark: 0, note: None }).await.unwrap();
    }
    let names = |after: Option<&str>, limit: usize| {
        let records = records.list("000000000000", "us-east-1", after, limit);
        records.iter().map(|stored| stored.record.key.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 100), ["A", "a", "b", "c", "c-1", "c_1", "orders.fifo"]);
    assert_eq!(names(None, 2), ["A", "a"]);
    assert_eq!(names(Some("a"), 2), ["b", "c"]);
    assert_eq!(names(Some("aa"), 1), ["b"]);
    assert_eq!(names(Some("orders.fifo"), 2), [""; 0]);
    assert_eq!(names(None, 0), [""; 0]);
    assert_eq!(records.list("000000000000", "eu-west-1", None, 9).len(), 1);
    assert_eq!(records.list("000000000009", "us-east-1", None, 9).len(), 0);
    let all: Vec<_> = records.all().iter().map(|stored| stored.record.key.clone()).collect();
    keys.sort();
    assert_eq!(all, keys);
    for stored in records.all() {
        records.delete(stored.revision, stored.record.key.clone()).await.unwrap();
    }
    assert_eq!(records.all(), []);
}

/// A watcher hears of each change once it can be read, and before the write answers.
async fn tells_watchers(records: &Arc<impl Records<Sample> + 'static>) {
    type Heard = Vec<(ResourceKey, Option<u64>)>;
    let heard: Arc<Mutex<Heard>> = Arc::default();
    let (reader, to) = (Arc::downgrade(records), Arc::clone(&heard));
    records.watch(Box::new(move |key| {
        let mark = reader.upgrade().and_then(|records| records.get(key)).map(|stored| stored.record.mark);
        to.lock().unwrap().push((key.clone(), mark));
    }));
    let take = || std::mem::take(&mut *heard.lock().unwrap());
    let first = records.put(None, sample("w", 1)).await.unwrap();
    assert_eq!(take(), [(named("w"), Some(1))]);
    let second = records.put(Some(first), sample("w", 2)).await.unwrap();
    assert_eq!(take(), [(named("w"), Some(2))]);
    assert!(records.put(None, sample("w", 3)).await.is_err());
    assert_eq!(take(), []);
    records.delete(second, named("w")).await.unwrap();
    assert_eq!(take(), [(named("w"), None)]);
}

/// One record more.
#[cfg(feature = "nats")]
pub(crate) async fn put_one(records: &impl Records<Sample>) {
    records.put(None, sample("one", 1)).await.unwrap();
}

/// What any store of records must do.
pub(crate) async fn conforms(records: Arc<impl Records<Sample> + 'static>) {
    compares_and_sets(&*records).await;
    lets_one_of_many_win(&records).await;
    lists_in_order(&*records).await;
    tells_watchers(&records).await;
}

#[test]
fn sqlite_records_conform() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), config()).unwrap();
    runtime().block_on(conforms(store.records::<Sample>()));
}

#[test]
fn faulty_records_conform_without_faults_and_fail_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), config()).unwrap();
    let faulty = Arc::new(Faulty::new(store.records::<Sample>()));
    runtime().block_on(async {
        conforms(Arc::clone(&faulty)).await;
        let there = faulty.put(None, sample("there", 1)).await.unwrap();
        faulty.set(Plan::Every);
        assert!(matches!(faulty.put(None, sample("f", 1)).await, Err(CatalogError::Unavailable(_))));
        assert!(matches!(faulty.delete(there, named("there")).await, Err(CatalogError::Unavailable(_))));
        faulty.set(Plan::RaceAtNth(1));
        assert_eq!(faulty.put(None, sample("f", 1)).await, Err(CatalogError::Conflict));
        faulty.set(Plan::NoSpace);
        assert!(faulty.put(None, sample("f", 1)).await.is_err());
        faulty.delete(there, named("there")).await.unwrap();
        assert_eq!(faulty.all(), []);
    });
}

/// Kinds share the file and its revisions, not their names; all are there when it opens again.
#[test]
fn kinds_are_apart_and_outlive_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), config()).unwrap();
    let noted = Sample { note: Some("n".into()), ..sample("same", 7) };
    runtime().block_on(async {
        let a = store.catalog().put(None, head("same", 1)).await.unwrap();
        let b = store.records().put(None, noted.clone()).await.unwrap();
        let c = store.records().put(None, Other(named("same"))).await.unwrap();
        assert!(a < b && b < c);
    });
    drop(store);
    let store = Store::open(directory.path(), config()).unwrap();
    assert_eq!(store.records::<Sample>().get(&named("same")).unwrap().record, noted);
    assert_eq!(store.records::<Other>().all().len(), 1);
    assert_eq!(store.catalog().head(&key("same")).unwrap().record, head("same", 1));
    assert!(store.close(SOON));
    let late = runtime().block_on(store.records().put(None, sample("late", 1)));
    assert_eq!(late, Err(CatalogError::Unavailable("the store is closed".into())));
    assert_eq!(store.records::<Sample>().all().len(), 1);
}

/// A record is never dropped: what cannot be read or is of an unknown kind is named and nothing opens.
#[test]
fn refuses_what_it_cannot_read() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), config()).unwrap();
    runtime().block_on(store.records().put(None, sample("s", 1))).unwrap();
    drop(store);
    let refused = Store::open(
        directory.path(),
        StoreConfig { kinds: Kinds::default().with::<Other>(), ..StoreConfig::default() },
    )
    .unwrap_err();
    let OpenError::Record { key, reason, .. } = refused else { panic!("{refused}") };
    assert_eq!(key, "sample/000000000000/us-east-1/s");
    assert_eq!(reason, "it is of a kind that this lambkin does not know");
    // Format 1 had no note; format 3 is not known yet.
    let rewrite = |body: &str| {
        let file = Connection::open(directory.path().join("catalog.sqlite")).unwrap();
        file.execute("UPDATE records SET body = CAST(?1 AS BLOB)", [body]).unwrap();
    };
    let key = r#"{"account":"000000000000","region":"us-east-1","name":"s"}"#;
    rewrite(&format!(r#"{{"format":1,"record":{{"key":{key},"mark":5}}}}"#));
    let store = Store::open(directory.path(), config()).unwrap();
    assert_eq!(store.records::<Sample>().get(&named("s")).unwrap().record, sample("s", 5));
    drop(store);
    for (body, said) in [
        (r#"{"format":3}"#.into(), "record format 3 is newer than this lambkin, which reads up to 2"),
        (r#"{"format":2,"record":{}}"#.into(), "missing field"),
        (
            format!(r#"{{"format":2,"record":{{"key":{},"mark":5}}}}"#, key.replace("\"s\"", "\"t\"")),
            "its content belongs to sample/000000000000/us-east-1/t",
        ),
    ] {
        rewrite(&body);
        let refused = Store::open(directory.path(), config()).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
#[should_panic(expected = "two kinds of records called sample")]
fn a_kind_is_registered_once() {
    let _ = Kinds::default().with::<Sample>().with::<Sample>();
}

#[derive(Debug, Clone)]
enum Step {
    /// A name; whether the revision said is the one that is there.
    Put(usize, bool),
    Delete(usize, bool),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let write = (0..4_usize, prop::bool::weighted(0.8));
    prop_oneof![
        6 => write.clone().prop_map(|(name, current)| Step::Put(name, current)),
        3 => write.prop_map(|(name, current)| Step::Delete(name, current)),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_walk_leaves_what_the_model_says(steps in prop::collection::vec(step(), 1..40)) {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path(), config()).unwrap();
        let mut model: BTreeMap<String, (Revision, Sample)> = BTreeMap::new();
        for (mark, step) in (0..).zip(steps) {
            let records = store.records::<Sample>();
            match step {
                Step::Put(name, current) => {
                    let record = sample(&format!("n{name}"), mark);
                    let there = model.get(&*record.key.name).map(|(revision, _)| *revision);
                    let said = if current { there } else { Some(Revision(0)) };
                    match runtime().block_on(records.put(said, record.clone())) {
                        Ok(revision) => {
                            prop_assert!(current);
                            model.insert(record.key.name.to_string(), (revision, record));
                        }
                        Err(error) => prop_assert_eq!((error, current), (CatalogError::Conflict, false)),
                    }
                }
                Step::Delete(name, current) => {
                    let name = format!("n{name}");
                    let there = model.get(&name).map(|(revision, _)| *revision);
                    let said = there.filter(|_| current).unwrap_or(Revision(0));
                    let deleted = runtime().block_on(records.delete(said, named(&name)));
                    prop_assert_eq!(deleted.is_ok(), current && there.is_some());
                    if deleted.is_ok() {
                        model.remove(&name);
                    }
                }
                Step::Restart => {
                    drop((records, store));
                    store = Store::open(directory.path(), config()).unwrap();
                }
            }
            let found: Vec<_> = store.records::<Sample>().all();
            let found: Vec<_> = found.iter().map(|stored| (stored.revision, stored.record.clone())).collect();
            prop_assert_eq!(found, model.values().cloned().collect::<Vec<_>>());
        }
    }
}
