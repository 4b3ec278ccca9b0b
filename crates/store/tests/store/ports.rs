//! The conformance suite of the store's ports: what any store behind them must do. It runs against
//! each there is.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{head, key, runtime, zip_of};
use bytes::Bytes;
use lambkin_model::catalog::{Catalog, CatalogError, Revision};
use lambkin_model::code::{CodeError, CodeSha256, CodeStore, Contents};
use lambkin_model::name::FunctionKey;
use lambkin_model::version::PublishedVersion;
use lambkin_store::{Faulty, Store, StoreConfig};

/// Writes are compare-and-set by key.
async fn catalog_compares_and_sets(catalog: &impl Catalog) {
    assert_eq!(catalog.head(&key("f")), None);
    let first = catalog.put(None, head("f", 1)).await.unwrap();
    assert_eq!(catalog.put(None, head("f", 2)).await, Err(CatalogError::Conflict));
    assert_eq!(catalog.head(&key("f")).unwrap().record, head("f", 1));
    let second = catalog.put(Some(first), head("f", 2)).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(catalog.put(Some(first), head("f", 3)).await, Err(CatalogError::Conflict));
    assert_eq!(catalog.delete(first, key("f")).await, Err(CatalogError::Conflict));
    let stored = catalog.head(&key("f")).unwrap();
    assert_eq!((stored.revision, &stored.record), (second, &head("f", 2)));
    catalog.delete(second, key("f")).await.unwrap();
    assert_eq!(catalog.head(&key("f")), None);
    assert_eq!(catalog.delete(second, key("f")).await, Err(CatalogError::Conflict));
    assert_eq!(catalog.put(Some(second), head("f", 3)).await, Err(CatalogError::Conflict));
    // Created again it is another record: nobody who read the old one writes over it.
    let again = catalog.put(None, head("f", 4)).await.unwrap();
    assert!(![first, second].contains(&again));
    catalog.delete(again, key("f")).await.unwrap();
}

/// Of many writers that read the same revision, one is first.
async fn catalog_lets_one_of_many_win(catalog: &Arc<impl Catalog + 'static>) {
    let mut revision = catalog.put(None, head("race", 0)).await.unwrap();
    for round in 0..5 {
        let writes: Vec<_> = (0..16)
            .map(|writer| {
                let catalog = Arc::clone(catalog);
                tokio::spawn(
                    async move { catalog.put(Some(revision), head("race", round * 16 + writer)).await },
                )
            })
            .collect();
        let mut won: Vec<Revision> = Vec::new();
        for write in writes {
            match write.await.unwrap() {
                Ok(revision) => won.push(revision),
                Err(error) => assert_eq!(error, CatalogError::Conflict),
            }
        }
        assert_eq!(won.len(), 1);
        revision = won[0];
        assert_eq!(catalog.head(&key("race")).unwrap().revision, revision);
    }
    catalog.delete(revision, key("race")).await.unwrap();
}

/// Lists are by account and region, in order of names, in pages.
async fn catalog_lists_in_order(catalog: &impl Catalog) {
    let elsewhere = |account: &str, region: &str| {
        let mut head = head("b", 0);
        head.key.account = account.into();
        head.key.region = region.into();
        head
    };
    let mut written = Vec::new();
    for head in [
        head("b", 0),
        head("a", 0),
        head("A", 0),
        head("c-1", 0),
        head("c", 0),
        head("c_1", 0),
        elsewhere("000000000001", "us-east-1"),
        elsewhere("000000000000", "eu-west-1"),
        elsewhere("000000000000", "us-east-2"),
    ] {
        let key = head.key.clone();
        written.push((catalog.put(None, head).await.unwrap(), key));
    }
    let names = |after: Option<&str>, limit: usize| {
        let heads = catalog.heads("000000000000", "us-east-1", after, limit);
        heads.iter().map(|head| head.record.key.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 100), ["A", "a", "b", "c", "c-1", "c_1"]);
    assert_eq!(names(None, 2), ["A", "a"]);
    assert_eq!(names(Some("a"), 2), ["b", "c"]);
    assert_eq!(names(Some("aa"), 1), ["b"]);
    assert_eq!(names(Some("c_1"), 2), [""; 0]);
    assert_eq!(names(None, 0), [""; 0]);
    assert_eq!(catalog.heads("000000000000", "eu-west-1", None, 9).len(), 1);
    assert_eq!(catalog.heads("000000000009", "us-east-1", None, 9).len(), 0);
    assert_eq!(catalog.all().len(), 9);
    for (revision, key) in written {
        catalog.delete(revision, key).await.unwrap();
    }
    assert_eq!(catalog.all().len(), 0);
}

/// A watcher hears of each change once it can be read, and before the write answers.
async fn catalog_tells_watchers(catalog: &Arc<impl Catalog + 'static>) {
    type Heard = Vec<(FunctionKey, Option<u64>)>;
    let heard: Arc<Mutex<Heard>> = Arc::default();
    let reader = Arc::downgrade(catalog);
    let to = Arc::clone(&heard);
    catalog.watch(Box::new(move |key| {
        let mark =
            reader.upgrade().and_then(|catalog| catalog.head(key)).map(|head| head.record.next_version);
        to.lock().unwrap().push((key.clone(), mark));
    }));
    let take = || std::mem::take(&mut *heard.lock().unwrap());
    let first = catalog.put(None, head("w", 1)).await.unwrap();
    assert_eq!(take(), [(key("w"), Some(1))]);
    let second = catalog.put(Some(first), head("w", 2)).await.unwrap();
    assert_eq!(take(), [(key("w"), Some(2))]);
    assert!(catalog.put(None, head("w", 3)).await.is_err());
    assert_eq!(take(), []);
    catalog.delete(second, key("w")).await.unwrap();
    assert_eq!(take(), [(key("w"), None)]);
}

/// A version's body is written once, read by its key, and not told to watchers: the head that names it is.
async fn catalog_keeps_versions(catalog: &impl Catalog) {
    let body = |id: &str| {
        let head = head("v", 1);
        PublishedVersion::new(&head.key, &head.latest, 7, id.into(), Some("its own".into()))
    };
    let told = Arc::new(Mutex::new(0));
    let telling = Arc::clone(&told);
    catalog.watch(Box::new(move |_| *telling.lock().unwrap() += 1));
    let (one, other) = (body("one"), body("other"));
    assert_eq!(catalog.version(&one.key), None);
    let revision = catalog.put_version(one.clone()).await.unwrap();
    let again = PublishedVersion { description_of_latest: None, ..one.clone() };
    assert_eq!(catalog.put_version(again).await, Err(CatalogError::Conflict));
    assert_eq!(catalog.version(&one.key).unwrap().record, one);
    let second = catalog.put_version(other.clone()).await.unwrap();
    assert_eq!(catalog.versions().len(), 2);
    assert_eq!(catalog.delete_version(second, one.key.clone()).await, Err(CatalogError::Conflict));
    catalog.delete_version(revision, one.key.clone()).await.unwrap();
    catalog.delete_version(second, other.key.clone()).await.unwrap();
    assert_eq!((catalog.versions().len(), *told.lock().unwrap()), (0, 0));
}

/// What any catalog must do.
pub(crate) async fn catalog_conforms(catalog: Arc<impl Catalog + 'static>) {
    catalog_compares_and_sets(&*catalog).await;
    catalog_lets_one_of_many_win(&catalog).await;
    catalog_lists_in_order(&*catalog).await;
    catalog_tells_watchers(&catalog).await;
    catalog_keeps_versions(&*catalog).await;
}

async fn code_store_keeps(store: &impl CodeStore) {
    let zip = zip_of(&[("index.js", b"require('aws-sdk')"), ("lib/a.mjs", b"import '@aws-sdk/client-s3'")]);
    let sha256 = CodeSha256::of(&zip);
    let checked = store.check(zip.clone()).await.unwrap();
    assert_eq!(store.unpacked(sha256), None);
    assert_eq!(store.zip(sha256), None);
    let code = store.put(zip.clone()).await.unwrap();
    let contents = Contents { unzipped: 45, extensions: false };
    assert_eq!(checked, (code.clone(), contents));
    assert_eq!(store.contents(sha256).await.unwrap(), contents);
    assert_eq!((code.sha256, code.size), (sha256, zip.len() as u64));
    assert_eq!(
        code.sdk_packages.iter().map(String::as_str).collect::<Vec<_>>(),
        ["@aws-sdk/client-s3", "aws-sdk"]
    );
    // Again it is the same package at the same place.
    let task = store.unpacked(sha256).unwrap();
    assert_eq!(store.put(zip.clone()).await.unwrap(), code);
    assert_eq!(store.unpacked(sha256).unwrap(), task);
    assert_eq!(std::fs::read(task.join("lib/a.mjs")).unwrap(), b"import '@aws-sdk/client-s3'");
    assert_eq!(std::fs::read(store.zip(sha256).unwrap()).unwrap(), zip);
}

/// A stack has its packages' files, is kept as they are, and does without them.
async fn code_store_stacks(store: &impl CodeStore) {
    let (one, two) = (zip_of(&[("a", b"1"), ("d/1", b"1")]), zip_of(&[("a", b"2"), ("extensions/2", b"2")]));
    let one = store.put(one).await.unwrap().sha256;
    let two = store.put(two).await.unwrap().sha256;
    let stack = CodeSha256::of_stack(&[one, two]).unwrap();
    assert_eq!(store.unpacked(stack), None);
    for _ in 0..2 {
        store.stack(vec![one, two]).await.unwrap();
    }
    store.stack(vec![two, one]).await.unwrap();
    let read = |stack, file| std::fs::read_to_string(store.unpacked(stack).unwrap().join(file)).unwrap();
    assert_eq!((read(stack, "a").as_str(), read(stack, "d/1").as_str()), ("2", "1"));
    let turned = CodeSha256::of_stack(&[two, one]).unwrap();
    assert_eq!(read(turned, "a"), "1");
    assert_eq!(store.zip(stack), None);
    // Of one it is that one, of none nothing.
    assert_eq!((CodeSha256::of_stack(&[one]), CodeSha256::of_stack(&[])), (Some(one), None));
    store.stack(vec![one]).await.unwrap();
    store.stack(vec![]).await.unwrap();
    store.sweep(HashSet::from([stack]), Duration::ZERO).await.unwrap();
    assert_eq!((store.unpacked(one), store.unpacked(turned)), (None, None));
    assert_eq!((read(stack, "a").as_str(), read(stack, "d/1").as_str()), ("2", "1"));
    assert!(matches!(store.stack(vec![one, two, one]).await, Err(CodeError::Unavailable(_))));
    assert!(matches!(store.contents(one).await, Err(CodeError::Unavailable(_))));
}

async fn code_store_refuses(store: &impl CodeStore) {
    for bad in [Bytes::new(), Bytes::from_static(b"not a zip"), zip_of(&[]), zip_of(&[("../a", b"")])] {
        assert!(matches!(store.check(bad.clone()).await, Err(CodeError::Unusable(_))));
        assert!(matches!(store.put(bad.clone()).await, Err(CodeError::Unusable(_))));
        assert_eq!(store.unpacked(CodeSha256::of(&bad)), None);
        assert_eq!(store.zip(CodeSha256::of(&bad)), None);
    }
}

async fn code_store_takes_one_package_many_times_at_once(store: &Arc<impl CodeStore + 'static>) {
    let files: Vec<(String, Vec<u8>)> =
        (0..50).map(|index| (format!("d{index}/f"), vec![0; 10_000])).collect();
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let zip = zip_of(&files);
    let puts: Vec<_> = (0..8)
        .map(|_| {
            let (store, zip) = (Arc::clone(store), zip.clone());
            tokio::spawn(async move { store.put(zip).await })
        })
        .collect();
    for put in puts {
        let code = put.await.unwrap().unwrap();
        assert_eq!(std::fs::read_dir(store.unpacked(code.sha256).unwrap()).unwrap().count(), 50);
    }
}

async fn code_store_sweeps(store: &impl CodeStore) {
    const NONE: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(3600);
    let (kept, loose) = (zip_of(&[("k", b"")]), zip_of(&[("l", b"")]));
    let kept = store.put(kept).await.unwrap().sha256;
    let again = loose.clone();
    let loose = store.put(loose).await.unwrap().sha256;
    let keep = HashSet::from([kept]);
    assert!(store.sweep(keep.clone(), NONE).await.unwrap() >= 1);
    assert_eq!((store.unpacked(loose), store.zip(loose)), (None, None));
    assert!(store.unpacked(kept).is_some());
    assert_eq!(store.sweep(keep.clone(), NONE).await, Ok(0));
    // Within the grace it stays; the grace runs from when it was first seen unreferenced,
    assert_eq!(store.put(again.clone()).await.unwrap().sha256, loose);
    assert_eq!(store.sweep(keep.clone(), LONG).await, Ok(0));
    assert_eq!(store.sweep(keep.clone(), LONG).await, Ok(0));
    tokio::time::sleep(Duration::from_millis(30)).await;
    // and begins anew when it is kept or put again.
    store.put(again).await.unwrap();
    assert_eq!(store.sweep(keep.clone(), Duration::from_millis(30)).await, Ok(0));
    assert!(store.unpacked(loose).is_some());
    tokio::time::sleep(Duration::from_millis(31)).await;
    assert_eq!(store.sweep(keep, Duration::from_millis(30)).await, Ok(1));
    assert_eq!(store.unpacked(loose), None);
}

async fn code_store_conforms(store: Arc<impl CodeStore + 'static>) {
    code_store_keeps(&*store).await;
    code_store_stacks(&*store).await;
    code_store_refuses(&*store).await;
    code_store_takes_one_package_many_times_at_once(&store).await;
    code_store_sweeps(&*store).await;
}

#[test]
fn sqlite_catalog_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    runtime().block_on(catalog_conforms(store.catalog()));
}

#[test]
fn faulty_catalog_without_faults_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    runtime().block_on(catalog_conforms(Arc::new(Faulty::new(store.catalog()))));
}

#[test]
fn file_code_store_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    runtime().block_on(code_store_conforms(store.code()));
}

#[test]
fn faulty_code_store_without_faults_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    runtime().block_on(code_store_conforms(Arc::new(Faulty::new(store.code()))));
}
