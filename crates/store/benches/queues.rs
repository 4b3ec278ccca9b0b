//! The queues' speed against raw SQLite with the same sync setting, and what a long backlog costs, in one run:
//! `cargo bench -p lambkin-store`. Judges nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lambkin_model::queue::{Lease, Message, MessageId, QueueName, Queues, Receive};
use lambkin_store::{SqliteQueues, Store, StoreConfig};
use rusqlite::{Connection, params};

const BODY: usize = 1024;
const LEASE: Lease = Lease::For(Duration::from_secs(60));

fn name(text: &str) -> QueueName {
    QueueName(text.into())
}

fn post(queue: &QueueName, number: u64) -> (QueueName, Message) {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let message = Message {
        id: MessageId(id),
        lane: None,
        deduplication: None,
        sent: None,
        delay: Duration::ZERO,
        mark: 0,
        content: Bytes::from(vec![b'x'; BODY]),
    };
    (queue.clone(), message)
}

/// Sends `count` messages by `senders` at once, `batch` at a time; messages a second.
async fn send(queues: &Arc<SqliteQueues>, queue: &QueueName, senders: u64, batch: u64, count: u64) -> f64 {
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..senders {
        let (queues, queue) = (Arc::clone(queues), queue.clone());
        tasks.spawn(async move {
            for round in 0..count / senders / batch {
                let posts = (0..batch).map(|number| post(&queue, round * batch + number)).collect();
                queues.send(posts).await.expect("room");
            }
        });
    }
    tasks.join_all().await;
    count as f64 / begun.elapsed().as_secs_f64()
}

/// Receives and settles `count` messages; messages a second.
async fn drain(
    queues: &Arc<SqliteQueues>,
    queue: &QueueName,
    takers: u64,
    max: usize,
    lease: Lease,
    count: u64,
) -> f64 {
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..takers {
        let (queues, queue) = (Arc::clone(queues), queue.clone());
        tasks.spawn(async move {
            let mut left = count / takers;
            while left > 0 {
                let ask = Receive {
                    max: max.min(usize::try_from(left).unwrap()),
                    lease,
                    wait: Duration::from_secs(5),
                };
                let received = queues.receive(&queue, ask).await.expect("messages");
                assert!(!received.is_empty());
                left -= received.len() as u64;
                let settled = received.into_iter().map(|received| (received.handle, vec![])).collect();
                assert!(queues.settle(settled).await.into_iter().all(|settled| settled.is_ok()));
            }
        });
    }
    tasks.join_all().await;
    (count / takers * takers) as f64 / begun.elapsed().as_secs_f64()
}

/// Send, receive, delete, `batch` at a time, by one client; messages a second.
async fn cycle(queues: &Arc<SqliteQueues>, queue: &QueueName, batch: u64, for_so_long: Duration) -> f64 {
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < for_so_long {
        send(queues, queue, 1, batch, batch).await;
        drain(queues, queue, 1, usize::try_from(batch).unwrap(), LEASE, batch).await;
        done += batch;
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

/// The same rows written and deleted in raw SQLite: one transaction writes a batch, another deletes it.
fn raw(connection: &mut Connection, batch: i64, for_so_long: Duration) -> f64 {
    let (begun, mut done, mut id) = (Instant::now(), 0, 0);
    let body = vec![b'x'; BODY];
    while begun.elapsed() < for_so_long {
        let transaction = connection.transaction().unwrap();
        for number in 0..batch {
            let mut insert = transaction.prepare_cached("INSERT INTO message VALUES (?1, ?2)").unwrap();
            insert.execute(params![id + number, body]).unwrap();
        }
        transaction.commit().unwrap();
        let transaction = connection.transaction().unwrap();
        for number in 0..batch {
            let mut delete = transaction.prepare_cached("DELETE FROM message WHERE id = ?1").unwrap();
            delete.execute([id + number]).unwrap();
        }
        transaction.commit().unwrap();
        id += batch;
        done += batch;
    }
    done as f64 / begun.elapsed().as_secs_f64()
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let place = std::env::var_os("LAMBKIN_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let backlog: u64 = std::env::var("LAMBKIN_BENCH_BACKLOG").map_or(1_000_000, |text| text.parse().unwrap());
    let directory = tempfile::tempdir_in(place).unwrap();
    let store = Store::open(&directory.path().join("store"), StoreConfig::default()).unwrap();
    let queues = store.queues();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut connection = Connection::open(directory.path().join("raw.sqlite")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.execute_batch("CREATE TABLE message (id INTEGER PRIMARY KEY, body BLOB NOT NULL)").unwrap();

    let q = name("bench/cycle");
    let round = Duration::from_millis(700);
    // Both logs have their length: a sync of one that grows costs several times one that is written over.
    runtime.block_on(cycle(&queues, &q, 1_000, 3 * round));
    raw(&mut connection, 1_000, 3 * round);
    let mut rates = [const { Vec::new() }; 4];
    for _ in 0..5 {
        rates[0].push(runtime.block_on(cycle(&queues, &q, 1, round)));
        rates[1].push(runtime.block_on(cycle(&queues, &q, 10, round)));
        rates[2].push(raw(&mut connection, 1, round));
        rates[3].push(raw(&mut connection, 10, round));
    }
    let [single, ten, raw_single, raw_ten] = rates.map(median);
    println!("send+receive+delete of 1 KB, one client, messages/s:");
    println!("  single       {single:8.0}   raw SQLite {raw_single:8.0}   {:.2}x", single / raw_single);
    println!("  batch of 10  {ten:8.0}   raw SQLite {raw_ten:8.0}   {:.2}x", ten / raw_ten);
    println!("  batch of 10 against single: {:.1}x", ten / single);

    runtime.block_on(async {
        let q = name("bench/sends");
        println!("sends, 16 senders, 1 KB, one at a time: {:.0}/s", send(&queues, &q, 16, 1, 32_000).await);
        println!(
            "held receive + settle, 1 taker, 10 at a time: {:.0}/s",
            drain(&queues, &q, 1, 10, Lease::Held, 4_000).await
        );
        println!(
            "held receive + settle, 1 taker, 100 at a time: {:.0}/s",
            drain(&queues, &q, 1, 100, Lease::Held, 14_000).await
        );
        println!(
            "held receive + settle, 16 takers, 10 at a time: {:.0}/s",
            drain(&queues, &q, 16, 10, Lease::Held, 13_920).await
        );
        queues.purge(&q).await.unwrap();
    });

    // A short and a long backlog, turn about, so that a noisy machine disturbs both.
    let (short, long) = (name("bench/short"), name("bench/long"));
    runtime.block_on(async {
        let before = resident_kib();
        send(&queues, &short, 1, 100, 1_000).await;
        let begun = Instant::now();
        send(&queues, &long, 4, 100, backlog).await;
        println!(
            "backlog of {backlog} in {:.1} s; RSS grew by {} KiB",
            begun.elapsed().as_secs_f64(),
            resident_kib().saturating_sub(before)
        );
        let mut costs = [const { Vec::new() }; 4];
        for _ in 0..30 {
            for (at, queue) in [(0, &short), (1, &long)] {
                let rate = send(&queues, queue, 4, 10, 800).await;
                costs[at].push(1e6 / rate);
                let rate = drain(&queues, queue, 4, 10, LEASE, 800).await;
                costs[at + 2].push(1e6 / rate);
            }
        }
        let [send_short, send_long, take_short, take_long] = costs.map(median);
        println!("µs a message, batches of 10 by 4 clients, backlog 1,000 against {backlog}:");
        println!("  send            {send_short:6.1} {send_long:6.1}  {:.2}x", send_long / send_short);
        println!("  receive+delete  {take_short:6.1} {take_long:6.1}  {:.2}x", take_long / take_short);
        println!(
            "drain, held, 100 at a time: {:.0}/s",
            drain(&queues, &long, 2, 100, Lease::Held, backlog / 4).await
        );
        println!("RSS grew by {} KiB", resident_kib().saturating_sub(before));
        let begun = Instant::now();
        println!("counts of it: {:?} in {:?}", queues.counts(&long).await.unwrap().visible, begun.elapsed());
        let size = |file: &str| {
            std::fs::metadata(directory.path().join("store").join(file)).map_or(0, |file| file.len())
        };
        println!(
            "queues.sqlite {} MiB, WAL {} MiB",
            size("queues.sqlite") >> 20,
            size("queues.sqlite-wal") >> 20
        );
    });
    drop(queues);
    assert!(store.close(Duration::from_secs(60)));
    drop(store);
    let begun = Instant::now();
    let store = Store::open(&directory.path().join("store"), StoreConfig::default()).unwrap();
    println!("opened again in {:?}", begun.elapsed());
    runtime.block_on(async {
        let queues = store.queues();
        let begun = Instant::now();
        queues.purge(&long).await.unwrap();
        println!("purge answered in {:?}", begun.elapsed());
        let mut slowest = Duration::ZERO;
        let size =
            || std::fs::metadata(directory.path().join("store/queues.sqlite")).map_or(0, |file| file.len());
        while size() > 64 << 20 && begun.elapsed() < Duration::from_secs(120) {
            let sending = Instant::now();
            send(&queues, &short, 1, 1, 1).await;
            slowest = slowest.max(sending.elapsed());
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        println!(
            "purged: file {} MiB after {:?}; slowest send meanwhile {slowest:?}",
            size() >> 20,
            begun.elapsed()
        );
    });
}
