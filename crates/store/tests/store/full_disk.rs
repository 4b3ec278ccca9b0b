//! A disk that is really full: what is refused leaves nothing behind, and what was kept is there.

use std::path::Path;
use std::process::Command;

use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead};
use lambkin_model::code::{CodeError, CodeRead, CodeStore};
use lambkin_model::queue::{Lease, Message, QueueError, QueueName, Queues, Receive};
use lambkin_store::{QueueConfig, Store, StoreConfig};

use crate::queues::{message, number};
use crate::support::{SOON, head, key, runtime, zip_of};

const DIRECTORY: &str = "LAMBKIN_TEST_FULL";

/// Not a test by itself: it runs on a small disk of its own.
#[test]
#[ignore = "a helper of the test below"]
fn on_a_small_disk() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let store = Store::open(directory, StoreConfig::default()).unwrap();
    let (catalog, code) = (store.catalog(), store.code());
    runtime().block_on(async {
        let small = code.put(zip_of(&[("index.js", b"1")])).await.unwrap();
        let large = zip_of(&[("a", &vec![0; 3 << 20]), ("large", &vec![0; 40 << 20])]);
        for answer in [code.put(large.clone()).await, code.check(large.clone()).await.map(|(code, _)| code)] {
            let Err(CodeError::Unavailable(reason)) = answer else { panic!("{answer:?}") };
            assert!(reason.contains("No space left on device"), "{reason}");
        }
        let left: Vec<_> = std::fs::read_dir(directory.join("code")).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert!(code.unpacked(small.sha256).is_some());

        let mut written = Vec::new();
        let refused = loop {
            let mut head = head(&format!("f{}", written.len()), 1);
            head.latest.configuration.description = "x".repeat(200_000);
            match catalog.put(None, head.clone()).await {
                Ok(revision) => written.push((revision, head)),
                Err(error) => break error,
            }
        };
        let CatalogError::Unavailable(reason) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("full"), "{reason}");
        // What was written reads; and when there is room again, writing goes on.
        assert_eq!(catalog.all().len(), written.len());
        code.sweep([].into(), std::time::Duration::ZERO).await.unwrap();
        std::fs::remove_file(directory.join("ballast")).unwrap();
        catalog.put(None, head("after", 1)).await.unwrap();
        drop((catalog, code, store));
        let store = Store::open(directory, StoreConfig::default()).unwrap();
        assert_eq!(store.catalog().all().len(), written.len() + 1);
        for (revision, head) in written {
            let stored = store.catalog().head(&head.key).unwrap();
            assert_eq!((stored.revision, &stored.record), (revision, &head));
        }
        assert!(store.catalog().head(&key("after")).is_some());
    });
    println!("@ done");
}

/// Not a test by itself, as the one above.
#[test]
#[ignore = "a helper of the test below"]
fn queues_on_a_small_disk() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let open = || {
        // The disk has to be found full by SQLite itself.
        let queues = QueueConfig { max_bytes: None, free_floor: 0 };
        Store::open(directory, StoreConfig { queues, ..StoreConfig::default() }).unwrap()
    };
    let store = open();
    let queues = store.queues();
    let queue = QueueName("test/full".into());
    let large = |number| (queue.clone(), Message { content: vec![7; 100_000].into(), ..message(number) });
    let found = async |store: &Store| -> Vec<u32> {
        let peeked = store.queues().peek(&queue, 0, 1000).await.unwrap();
        peeked.iter().map(|each| number(each.id)).collect()
    };
    runtime().block_on(async {
        let mut sent = 0;
        let refused = loop {
            match queues.send(vec![large(sent), large(sent + 1)]).await {
                Ok(_) => sent += 2,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, QueueError::Full(_)) && sent > 10, "{sent}: {refused:?}");
        assert_eq!(found(&store).await, (0..sent).collect::<Vec<_>>());
        // What is held before is held afterwards.
        let ask = Receive { max: 1, lease: Lease::Held, wait: SOON };
        let first = queues.receive(&queue, ask).await.unwrap().remove(0);
        assert!(queues.send(vec![large(sent)]).await.is_err());
        // When there is room again, it goes on.
        std::fs::remove_file(directory.join("ballast")).unwrap();
        let end = std::time::Instant::now() + SOON;
        while let Err(error) = queues.send(vec![(queue.clone(), message(sent))]).await {
            assert!(std::time::Instant::now() < end, "{error}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(queues.settle(vec![(first.handle, vec![])]).await, [Ok(())]);
        drop((queues, store));
        assert_eq!(found(&open()).await, (1..=sent).collect::<Vec<_>>());
    });
    println!("@ done");
}

#[test]
fn full_it_refuses_and_loses_nothing() {
    alone("full_disk::on_a_small_disk", 4 << 20);
}

#[test]
fn full_the_queues_refuse_and_lose_nothing() {
    // What is in the write-ahead log needs as much room in the file when there is room again.
    alone("full_disk::queues_on_a_small_disk", 9 << 20);
}

/// Runs a helper on a small disk that has a ballast of so many bytes.
fn alone(helper: &str, ballast: usize) {
    let directory = tempfile::tempdir().unwrap();
    // A file system of 16 MB in a mount namespace of its own needs no rights.
    let script = "mount -t tmpfs -o size=16m none \"$LAMBKIN_TEST_FULL\" || exit 77
        head -c \"$LAMBKIN_TEST_BALLAST\" /dev/zero > \"$LAMBKIN_TEST_FULL/ballast\" || exit 77
        exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", helper, "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .env("LAMBKIN_TEST_BALLAST", ballast.to_string())
        .output();
    let Ok(output) = output else {
        eprintln!("left out: there is no `unshare` here");
        return;
    };
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) || said.starts_with("unshare:") {
        eprintln!("left out: this machine does not let tests mount: {said}");
        return;
    }
    assert!(output.status.success() && said.contains("@ done"), "{said}");
}
