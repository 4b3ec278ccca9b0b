//! Opening and closing a data directory: the lock, what is in the catalog after a restart, what is
//! refused. Records of past formats are in `formats`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{SOON, head, key, runtime, zip_of};
use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead};
use lambkin_model::code::{CodeError, CodeRead, CodeStore};
use lambkin_store::{Faulty, OpenError, Plan, Store, StoreConfig};
use rusqlite::Connection;

fn refusal(directory: &Path) -> String {
    Store::open(directory, StoreConfig::default()).expect_err("it is refused").to_string()
}

#[test]
fn holds_what_was_written_when_it_opens_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let (catalog, zip) = (store.catalog(), zip_of(&[("index.js", b"")]));
    let (kept, code, gone) = runtime().block_on(async {
        let first = catalog.put(None, head("kept", 1)).await.unwrap();
        let kept = catalog.put(Some(first), head("kept", 2)).await.unwrap();
        let gone = catalog.put(None, head("gone", 1)).await.unwrap();
        catalog.delete(gone, key("gone")).await.unwrap();
        (kept, store.code().put(zip.clone()).await.unwrap(), gone)
    });
    drop((catalog, store));
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let catalog = store.catalog();
    let stored = catalog.head(&key("kept")).unwrap();
    assert_eq!((stored.revision, &stored.record), (kept, &head("kept", 2)));
    assert_eq!(catalog.all().len(), 1);
    assert!(store.code().unpacked(code.sha256).is_some());
    runtime().block_on(async {
        assert_eq!(store.code().put(zip).await.unwrap(), code);
        // No revision is given twice, not even those of records that are gone.
        assert!(catalog.put(None, head("gone", 2)).await.unwrap() > gone);
    });
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    assert_eq!(
        refusal(directory.path()),
        format!(
            "{} is in use by another lambkin (process {}); stop it or give this one a directory of its own",
            directory.path().display(),
            std::process::id()
        )
    );
    // The lock goes with the last part that was handed out, not before.
    let catalog = store.catalog();
    drop(store);
    assert!(matches!(Store::open(directory.path(), StoreConfig::default()), Err(OpenError::InUse { .. })));
    drop(catalog);
    Store::open(directory.path(), StoreConfig::default()).unwrap();
}

#[test]
fn refuses_what_it_cannot_read_and_names_it() {
    for (change, expected) in [
        (
            "UPDATE records SET body = CAST('{\"format\":1,\"record\":{}}' AS BLOB) WHERE key LIKE '%/f'",
            "a record that cannot be read, head/000000000000/us-east-1/f: missing field",
        ),
        (
            "UPDATE records SET body = CAST('{\"format\":9}' AS BLOB) WHERE key LIKE '%/f'",
            "head/000000000000/us-east-1/f: record format 9 is newer than this lambkin",
        ),
        (
            "UPDATE records SET key = 'head/000000000000/us-east-1/g'",
            "head/000000000000/us-east-1/g: its content belongs to head/000000000000/us-east-1/f",
        ),
        ("UPDATE records SET key = 'queue/f'", "queue/f: it is of a kind that this lambkin does not know"),
        (
            "PRAGMA user_version = 7",
            "its tables are of version 7, newer than this lambkin, which knows up to 1",
        ),
        ("PRAGMA application_id = 7", "it is a database of another program"),
        ("PRAGMA user_version = 0", "it is a database of another program"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
        runtime().block_on(store.catalog().put(None, head("f", 1))).unwrap();
        drop(store);
        let path = directory.path().join("catalog.sqlite");
        Connection::open(&path).unwrap().execute_batch(change).unwrap();
        let before = fs::read(&path).unwrap();
        let said = refusal(directory.path());
        assert!(said.contains(expected) && said.contains("catalog.sqlite"), "{change}: {said}");
        assert_eq!(fs::read(&path).unwrap(), before, "{change}: a refused catalog is left as it is");
    }
}

#[test]
fn refuses_a_file_that_is_no_catalog() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("catalog.sqlite"), "x".repeat(10_000)).unwrap();
    let said = refusal(directory.path());
    assert!(said.contains("catalog.sqlite cannot be opened: file is not a database"), "{said}");
    let file = directory.path().join("lock");
    assert!(refusal(&file).contains("lock"), "a directory that cannot be made is named");
}

#[test]
fn removes_what_a_killed_put_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let code = directory.path().join("code");
    fs::create_dir_all(code.join(".staging-3/task/deep")).unwrap();
    Store::open(directory.path(), StoreConfig::default()).unwrap();
    assert_eq!(fs::read_dir(code).unwrap().count(), 0);
}

#[test]
fn a_damaged_package_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap().code();
    let zip = zip_of(&[("index.js", b"1")]);
    runtime().block_on(async {
        let code = store.put(zip.clone()).await.unwrap();
        let place = directory.path().join("code").join(code.sha256.hex());
        fs::write(place.join("code.json"), "").unwrap();
        fs::remove_dir_all(place.join("task")).unwrap();
        assert_eq!(store.put(zip).await.unwrap(), code);
        assert_eq!(fs::read(store.unpacked(code.sha256).unwrap().join("index.js")).unwrap(), b"1");
        assert_eq!(fs::read_dir(directory.path().join("code")).unwrap().count(), 1);
    });
}

#[test]
fn closed_it_reads_and_does_not_write() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let catalog = store.catalog();
    runtime().block_on(async {
        let revision = catalog.put(None, head("f", 1)).await.unwrap();
        // Writes in the queue are finished; every answer is true of the disk.
        let writes: Vec<_> = (0..500)
            .map(|index| {
                let catalog = Arc::clone(&catalog);
                tokio::spawn(async move { (index, catalog.put(None, head(&format!("q{index}"), 1)).await) })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(tokio::task::block_in_place(|| store.close(SOON)));
        let closed = CatalogError::Unavailable("the store is closed".into());
        for write in writes {
            let (index, answer) = write.await.unwrap();
            let there = catalog.head(&key(&format!("q{index}"))).map(|head| head.revision);
            assert_eq!(answer.clone().ok(), there);
            assert!(answer.is_ok() || answer == Err(closed.clone()));
        }
        assert_eq!(catalog.put(Some(revision), head("f", 2)).await, Err(closed.clone()));
        assert_eq!(catalog.delete(revision, key("f")).await, Err(closed));
        assert_eq!(catalog.head(&key("f")).unwrap().record, head("f", 1));
        let put = store.code().put(zip_of(&[("a", b"")])).await;
        assert_eq!(put, Err(CodeError::Unavailable("the store is closed".into())));
        assert!(store.close(SOON));
    });
}

#[test]
fn queued_writes_share_syncs() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let catalog = store.catalog();
    // More than the queue holds: the rest waits for room, and none fails.
    runtime().block_on(async {
        let writes: Vec<_> = (0..3000)
            .map(|index| {
                let catalog = Arc::clone(&catalog);
                tokio::spawn(async move { catalog.put(None, head(&format!("f{index}"), 1)).await })
            })
            .collect();
        for write in writes {
            write.await.unwrap().unwrap();
        }
    });
    assert_eq!(catalog.all().len(), 3000);
}

#[test]
fn a_write_that_nobody_waits_for_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = Store::open(directory.path(), StoreConfig::default()).unwrap().catalog();
    runtime().block_on(async {
        let first = tokio::time::timeout(Duration::ZERO, catalog.put(None, head("a", 1))).await;
        // A later write answers after all before it.
        catalog.put(None, head("b", 1)).await.unwrap();
        assert_eq!(catalog.all().len(), 2, "{first:?}");
    });
}

#[test]
fn faults_come_by_plan() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let catalog = Faulty::new(store.catalog());
    let code = Faulty::new(store.code());
    runtime().block_on(async {
        for (plan, expected) in [
            (Plan::Sound, "++++"),
            (Plan::Nth(2), "+u++"),
            (Plan::RaceAtNth(3), "++c+"),
            (Plan::Every, "uuuu"),
            (Plan::NoSpace, "uuuu"),
            (Plan::CloseAfter(1), "+uuu"),
        ] {
            catalog.set(plan);
            let mut went = String::new();
            for index in 0..4 {
                went.push(match catalog.put(None, head(&format!("{plan:?}-{index}"), 1)).await {
                    Ok(_) => '+',
                    Err(CatalogError::Conflict) => 'c',
                    Err(CatalogError::Unavailable(_)) => 'u',
                });
            }
            assert_eq!(went, expected, "{plan:?}");
        }
        catalog.set(Plan::NoSpace);
        let head = catalog.all()[0].clone();
        assert_eq!(catalog.delete(head.revision, head.record.key.clone()).await, Ok(()));
        code.set(Plan::NoSpace);
        let zip = zip_of(&[("a", b"")]);
        let full = Err(CodeError::Unavailable("No space left on device (os error 28)".into()));
        assert_eq!(code.put(zip.clone()).await, full);
        assert_eq!(code.sweep([].into(), Duration::ZERO).await, Ok(0));
        code.set(Plan::Sound);
        assert!(code.put(zip).await.is_ok());
    });
}

/// Run with `--run-ignored only`, in release.
#[test]
#[ignore = "measures, and holds nothing"]
fn measure_code() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap().code();
    let names: Vec<String> =
        (0..5000).map(|index| format!("node_modules/p{}/f{index}.js", index % 300)).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &[b'x'; 4000][..])).collect();
    runtime().block_on(async {
        for (what, zip) in [("one file", zip_of(&[("index.js", b"1")])), ("5,000 files", zip_of(&many))] {
            for put in ["put", "put again"] {
                let begin = Instant::now();
                store.put(zip.clone()).await.unwrap();
                println!("{put} of {what}: {:?}", begin.elapsed());
            }
        }
    });
}

/// Run with `--run-ignored only`, in release.
#[test]
#[ignore = "measures, and holds nothing"]
fn measure_catalog() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let catalog = store.catalog();
    runtime().block_on(async {
        let begin = Instant::now();
        for index in 0..100 {
            catalog.put(None, head(&format!("s{index}"), 1)).await.unwrap();
        }
        println!("one write after another: {:?} each", begin.elapsed() / 100);
        let begin = Instant::now();
        let writes: Vec<_> = (0..900)
            .map(|index| {
                let catalog = Arc::clone(&catalog);
                tokio::spawn(async move { catalog.put(None, head(&format!("f{index}"), 1)).await })
            })
            .collect();
        for write in writes {
            write.await.unwrap().unwrap();
        }
        println!("900 writes at once: {:?} together", begin.elapsed());
    });
    let begin = Instant::now();
    let wanted = key("f500");
    for _ in 0..1_000_000 {
        std::hint::black_box(catalog.head(&wanted));
    }
    println!("head among 1,000: {:?}", begin.elapsed() / 1_000_000);
    drop((catalog, store));
    for _ in 0..3 {
        let begin = Instant::now();
        let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
        println!("opening 1,000 heads: {:?}", begin.elapsed());
        drop(store);
    }
}
