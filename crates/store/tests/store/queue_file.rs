//! What the queues on SQLite promise beyond their port: what is there after a restart, when the disk is full or
//! fails, what a purge and a drained backlog leave, and who waits at a closed store.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lambkin_model::queue::{Lease, Message, Post, QueueError, QueueName, Queues, Receive};
use lambkin_store::{OpenError, QueueConfig, SqliteQueues, Store, StoreConfig};
use rusqlite::Connection;

use crate::queues::{in_lane, message, number};
use crate::support::{SOON, runtime};

const NOW: Duration = Duration::ZERO;
const LONG: Lease = Lease::For(Duration::from_secs(600));

fn open(directory: &Path) -> Store {
    Store::open(directory, StoreConfig::default()).unwrap()
}

fn bounded(directory: &Path, queues: QueueConfig) -> Store {
    Store::open(directory, StoreConfig { queues, ..StoreConfig::default() }).unwrap()
}

fn queue() -> QueueName {
    QueueName("test/file".into())
}

fn large(number: u32, length: usize) -> Post {
    (queue(), Message { content: Bytes::from(vec![7; length]), ..message(number) })
}

async fn take(queues: &SqliteQueues, max: usize, lease: Lease) -> Vec<u32> {
    let received = queues.receive(&queue(), Receive { max, lease, wait: NOW }).await.unwrap();
    received.iter().map(|each| number(each.id)).collect()
}

/// Held messages are there again at once, leased ones when their lease ends, delayed ones after their delay;
/// handles of leases, deduplication and places go on.
#[test]
fn opens_with_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let of = |number: u32| (queue(), message(number));
    let repeated = |number: u32| {
        (
            queue(),
            Message { deduplication: Some("text".into()), delay: Duration::from_secs(60), ..message(number) },
        )
    };
    let (leased, first) = runtime().block_on(async {
        let queues = store.queues();
        let sent = queues.send(vec![of(0), of(1), of(2), of(3), repeated(4)]).await.unwrap();
        queues.send(vec![(queue(), in_lane(5, "a")), (queue(), in_lane(6, "a"))]).await.unwrap();
        assert_eq!(take(&queues, 1, Lease::Held).await, [0]);
        let ask = Receive { max: 1, lease: LONG, wait: NOW };
        let leased = queues.receive(&queue(), ask).await.unwrap().remove(0);
        let ask = Receive { lease: Lease::For(Duration::from_millis(700)), ..ask };
        assert_eq!(number(queues.receive(&queue(), ask).await.unwrap()[0].id), 2);
        (leased, sent[0])
    });
    let begun = Instant::now();
    assert!(store.close(SOON));
    drop(store);
    let store = open(directory.path());
    runtime().block_on(async {
        let queues = store.queues();
        let counts = queues.counts(&queue()).await.unwrap();
        assert_eq!((counts.visible + counts.in_flight, counts.delayed), (6, 1));
        assert_eq!(take(&queues, 1, LONG).await, [0]);
        assert_eq!(take(&queues, 1, LONG).await, [3]);
        assert_eq!(take(&queues, 9, LONG).await, [5, 6]);
        let again = queues.send(vec![repeated(7), of(8)]).await.unwrap();
        assert!(again[0].duplicate && again[1].sequence > first.sequence + 6);
        assert_eq!(take(&queues, 1, LONG).await, [8]);
        let ask = Receive { max: 9, lease: LONG, wait: SOON };
        let late = queues.receive(&queue(), ask).await.unwrap();
        assert_eq!((number(late[0].id), late[0].received), (2, 2));
        assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
        assert_eq!(queues.settle(vec![(leased.handle, vec![])]).await, [Ok(())]);
    });
}

/// Leases are not synced, and so a power cut may take them. Who has such a handle still has the message, until it is
/// somebody else's: a deletion that answers well and deletes nothing would bring it back.
#[test]
fn a_handle_outlives_the_lease_that_a_power_cut_took() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let ask = Receive { max: 1, lease: LONG, wait: NOW };
    let files = || ["queues.sqlite", "queues.sqlite-wal"].map(|name| directory.path().join(name));
    let handles = runtime().block_on(async {
        let queues = store.queues();
        let messages = (0..4).map(|number| (queue(), in_lane(number, &number.to_string())));
        queues.send(messages.collect()).await.unwrap();
        // On disk are the messages, and nothing that follows.
        let before = files().map(|file| std::fs::read(file).unwrap());
        let mut handles = Vec::new();
        for _ in 0..4 {
            handles.push(queues.receive(&queue(), ask).await.unwrap().remove(0).handle);
        }
        assert!(store.close(SOON));
        for (file, content) in files().iter().zip(before) {
            std::fs::write(file, content).unwrap();
        }
        handles
    });
    drop(store);
    let store = open(directory.path());
    runtime().block_on(async {
        let queues = store.queues();
        assert_eq!(take(&queues, 1, LONG).await, [0], "the lease is lost");
        let settled = handles.iter().take(2).map(|handle| (handle.clone(), vec![])).collect();
        assert_eq!(
            queues.settle(settled).await,
            [Err(QueueError::Stale), Ok(())],
            "another has the first one"
        );
        queues.extend(&handles[2], Duration::from_secs(60)).await.unwrap();
        assert_eq!(take(&queues, 9, LONG).await, [3], "gone, and leased again");
        assert_eq!(queues.settle(vec![(handles[2].clone(), vec![])]).await, [Ok(())]);
        let counts = queues.counts(&queue()).await.unwrap();
        assert_eq!((counts.visible, counts.in_flight, counts.delayed), (0, 2, 0));
    });
}

/// The operator's cap: what is beyond it is refused, settling goes on, and what is settled makes room.
#[test]
fn refuses_what_is_beyond_its_cap() {
    let directory = tempfile::tempdir().unwrap();
    let cap = 4 << 20;
    let store = bounded(directory.path(), QueueConfig { max_bytes: Some(cap), ..QueueConfig::default() });
    let queues = store.queues();
    runtime().block_on(async {
        let mut sent = 0;
        let refused = loop {
            match queues.send(vec![large(sent, 100_000)]).await {
                Ok(_) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(refused, QueueError::Full(format!("the backlog has reached its cap of {cap} bytes")));
        assert!((30..45).contains(&sent), "{sent}");
        // At once they are refused together.
        let both = vec![(queue(), message(1)), large(2, 1_000_000)];
        assert!(matches!(queues.send(both).await, Err(QueueError::Full(_))));
        let ask = Receive { max: 20, lease: Lease::Held, wait: NOW };
        let mut taken = queues.receive(&queue(), ask).await.unwrap();
        assert_eq!(taken.len(), 20);
        // To be sent elsewhere instead, as a dead letter, there is room.
        let last = taken.pop().unwrap();
        let letter = (QueueName("test/dead".into()), Message { content: last.content, ..message(0) });
        assert_eq!(queues.settle(vec![(last.handle, vec![letter])]).await, [Ok(())]);
        let settled = taken.into_iter().map(|each| (each.handle, vec![])).collect();
        assert!(queues.settle(settled).await.iter().all(Result::is_ok));
        queues.send(vec![large(99, 100_000)]).await.unwrap();
    });
}

/// A disk that is fuller than the floor is left what settling needs.
#[test]
fn leaves_a_floor_of_free_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    runtime().block_on(store.queues().send(vec![large(1, 10)])).unwrap();
    drop(store);
    let store = bounded(directory.path(), QueueConfig { max_bytes: None, free_floor: u64::MAX });
    let queues = store.queues();
    runtime().block_on(async {
        let refused = queues.send(vec![large(2, 10)]).await.unwrap_err();
        assert_eq!(refused, QueueError::Full(format!("the disk has less than {} bytes free", u64::MAX)));
        let ask = Receive { max: 9, lease: LONG, wait: NOW };
        let taken = queues.receive(&queue(), ask).await.unwrap().remove(0);
        assert_eq!(queues.settle(vec![(taken.handle, vec![])]).await, [Ok(())]);
    });
}

/// After an error that is not known to pass, nothing is done any more, and whoever waits hears of it.
#[test]
fn a_failed_disk_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let queues = store.queues();
    runtime().block_on(async {
        queues.send(vec![large(1, 10)]).await.unwrap();
        let other = QueueName("test/other".into());
        let mut waiting = queues.receive(&other, Receive { max: 1, lease: LONG, wait: SOON });
        // Polled once, it is on its way.
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
        let table = Connection::open(directory.path().join("queues.sqlite")).unwrap();
        table.execute_batch("ALTER TABLE content RENAME TO gone").unwrap();
        let said = |error: QueueError| {
            let QueueError::Unavailable(reason) = error else { panic!("{error:?}") };
            assert!(
                reason.contains("disk failed") && reason.contains("until lambkin starts again"),
                "{reason}"
            );
        };
        said(queues.send(vec![large(2, 10)]).await.unwrap_err());
        table.execute_batch("ALTER TABLE gone RENAME TO content").unwrap();
        said(queues.send(vec![large(3, 10)]).await.unwrap_err());
        said(queues.counts(&queue()).await.unwrap_err());
        said(waiting.await.unwrap_err());
    });
    assert!(store.close(SOON));
    drop((queues, store));
    let store = open(directory.path());
    assert_eq!(runtime().block_on(take(&store.queues(), 9, LONG)), [1]);
}

/// A transaction that another program holds up passes: the others are done once it is gone, and nothing is half done.
#[test]
fn what_passes_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let queues = store.queues();
    runtime().block_on(async {
        queues.send(vec![large(1, 10)]).await.unwrap();
        assert_eq!(take(&queues, 1, Lease::Held).await, [1]);
        let other = Connection::open(directory.path().join("queues.sqlite")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        // SQLite waits 5 seconds and gives up.
        let refused = queues.send(vec![large(2, 10)]).await.unwrap_err();
        assert!(
            matches!(&refused, QueueError::Unavailable(reason) if reason.contains("locked")),
            "{refused:?}"
        );
        other.execute_batch("ROLLBACK").unwrap();
        let counts = queues.counts(&queue()).await.unwrap();
        assert_eq!((counts.visible, counts.in_flight), (0, 1), "what is held stays held");
        queues.send(vec![large(3, 10)]).await.unwrap();
        assert_eq!(take(&queues, 9, LONG).await, [3]);
    });
}

/// A purge is answered at once however much there is, does not hold others up, and gives the disk back; so does
/// a backlog that is drained.
#[test]
fn gives_disk_back() {
    const COUNT: u32 = 40_000;
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let queues = store.queues();
    let size = || {
        let path = directory.path().join("queues.sqlite");
        std::fs::metadata(path).map_or(0, |file| file.len())
    };
    let fill = async || {
        for first in (0..COUNT).step_by(500) {
            queues.send((first..first + 500).map(|number| large(number, 1000)).collect()).await.unwrap();
        }
    };
    let until_small = async || {
        let end = Instant::now() + SOON;
        while size() > 8 << 20 {
            assert!(Instant::now() < end, "it has {} bytes", size());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    runtime().block_on(async {
        fill().await;
        queues.purge(&queue()).await.unwrap();
        assert_eq!(queues.names("test/").await.unwrap(), []);
        queues.send(vec![large(1, 10)]).await.unwrap();
        assert_eq!(take(&queues, 9, LONG).await, [1]);
        until_small().await;
        fill().await;
        assert!(size() > 16 << 20);
        loop {
            let ask = Receive { max: 1000, lease: Lease::Held, wait: NOW };
            let taken = queues.receive(&queue(), ask).await.unwrap();
            if taken.is_empty() {
                break;
            }
            let settled = taken.into_iter().map(|each| (each.handle, vec![])).collect();
            assert!(queues.settle(settled).await.iter().all(Result::is_ok));
        }
        until_small().await;
    });
}

/// A purge that a restart interrupts goes on, and its queue's name is free meanwhile.
#[test]
fn an_interrupted_purge_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    runtime().block_on(async {
        let queues = store.queues();
        queues.send((0..5000).map(|number| large(number, 10)).collect()).await.unwrap();
        queues.purge(&queue()).await.unwrap();
        queues.send(vec![large(7, 10)]).await.unwrap();
    });
    drop(store);
    let store = open(directory.path());
    assert_eq!(runtime().block_on(take(&store.queues(), 9, Lease::Held)), [7]);
    let rows = Connection::open(directory.path().join("queues.sqlite")).unwrap();
    let end = Instant::now() + SOON;
    while rows.query_row("SELECT count(*) FROM content", [], |row| row.get::<_, i64>(0)).unwrap() > 1 {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Closed, it answers those that wait and those that come.
#[test]
fn closed_it_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let queues = store.queues();
    runtime().block_on(async {
        let ask = Receive { max: 1, lease: LONG, wait: SOON };
        let mut waiting = queues.receive(&queue(), ask);
        // Polled once, it is on its way.
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
        queues.send(vec![(QueueName("test/other".into()), message(1))]).await.unwrap();
        assert!(store.close(SOON));
        let closed = QueueError::Unavailable("the store is closed".into());
        assert_eq!(waiting.await, Err(closed.clone()));
        assert_eq!(queues.send(vec![large(1, 10)]).await, Err(closed));
    });
}

/// A file that is none of ours is refused and left as it is.
#[test]
fn refuses_a_foreign_file() {
    for (change, expected) in [
        (
            "PRAGMA user_version = 7",
            "its tables are of version 7, newer than this lambkin, which knows up to 1",
        ),
        ("PRAGMA application_id = 7", "it is a database of another program"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        drop(open(directory.path()));
        let path = directory.path().join("queues.sqlite");
        Connection::open(&path).unwrap().execute_batch(change).unwrap();
        let before = std::fs::read(&path).unwrap();
        let refused = Store::open(directory.path(), StoreConfig::default()).unwrap_err();
        assert!(matches!(&refused, OpenError::Queues { reason, .. } if reason == expected), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
