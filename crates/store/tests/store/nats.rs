//! The stores on NATS JetStream pass the suites that SQLite's pass, and two processes' stores see each other's changes.
//! Each test has a server of its own; without `nats-server` on the machine it says NOT TESTED.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead};
use lambkin_model::queue::{Lease, Message, QueueError, QueueName, Queues, Receive};
use lambkin_store::{Kinds, NatsConfig, NatsStore};

use crate::ports;
use crate::queues::{self, Any, in_lane, message, number};
use crate::records::{self, Sample};
use crate::support::{SOON, head, key, runtime};

/// Killed however the test ends.
struct Server {
    process: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// On a free port, with its files in a directory of its own.
    fn start(directory: &Path, max_payload: &str) -> Option<Self> {
        let config = format!(
            "listen: \"127.0.0.1:-1\"\nmax_payload: {max_payload}\njetstream {{ store_dir: {:?} }}\n",
            directory.join("jetstream")
        );
        std::fs::write(directory.join("nats.conf"), config).unwrap();
        let start = |program: &str| {
            Command::new(program)
                .arg("--config")
                .arg(directory.join("nats.conf"))
                .arg("--ports_file_dir")
                .arg(directory)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
        };
        let named = std::env::var("LAMBKIN_NATS_SERVER").ok();
        // Debian has it where only root's PATH looks.
        let known = named.as_deref().into_iter().chain(["nats-server", "/usr/sbin/nats-server"]);
        let Some(process) = known.map(start).find_map(Result::ok) else {
            eprintln!("NOT TESTED: the stores on NATS; there is no nats-server on this machine");
            return None;
        };
        let ports = directory.join(format!("nats-server_{}.ports", process.id()));
        let mut server = Self { process, url: String::new() };
        let end = Instant::now() + SOON;
        while server.url.is_empty() {
            assert!(Instant::now() < end && server.process.try_wait().unwrap().is_none(), "it did not start");
            let said: Option<serde_json::Value> =
                std::fs::read(&ports).ok().and_then(|text| serde_json::from_slice(&text).ok());
            if let Some(url) = said.as_ref().and_then(|said| said["nats"][0].as_str()) {
                server.url = url.to_owned();
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Some(server)
    }

    async fn store(&self) -> NatsStore {
        self.open().await.unwrap()
    }

    async fn open(&self) -> Result<NatsStore, String> {
        self.with(Kinds::default().with::<Sample>()).await
    }

    async fn with(&self, kinds: Kinds) -> Result<NatsStore, String> {
        let (server, prefix) = (self.url.clone(), "test".into());
        NatsStore::open(NatsConfig { server, prefix, replicas: 1, kinds }).await
    }
}

#[test]
fn nats_records_and_catalog_conform() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(directory.path(), "4MB") else { return };
    runtime().block_on(async {
        let store = server.store().await;
        records::conforms(store.records::<Sample>()).await;
        ports::catalog_conforms(store.catalog()).await;
    });
}

#[test]
fn nats_queues_conform() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(directory.path(), "4MB") else { return };
    runtime().block_on(async {
        let store = server.store().await;
        let queues: Any = store.queues();
        queues::conforms(&queues).await;
    });
}

/// A machine sees what another wrote, by watch, also what was there before it came; one of two writers wins.
#[test]
fn machines_see_each_others_records() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(directory.path(), "4MB") else { return };
    runtime().block_on(async {
        let one = server.store().await;
        let first = one.catalog().put(None, head("f", 1)).await.unwrap();
        let other = server.store().await;
        let seen = other.catalog().head(&key("f")).unwrap();
        assert_eq!((seen.revision, &seen.record), (first, &head("f", 1)));
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        one.catalog().watch(Box::new(move |key| told.send(key.clone()).unwrap()));
        let second = other.catalog().put(Some(first), head("f", 2)).await.unwrap();
        assert_eq!(tokio::time::timeout(SOON, heard.recv()).await.unwrap().unwrap(), key("f"));
        assert_eq!(one.catalog().head(&key("f")).unwrap().revision, second);
        assert_eq!(one.catalog().put(Some(first), head("f", 3)).await, Err(CatalogError::Conflict));
        one.catalog().delete(second, key("f")).await.unwrap();
        // A record of a kind that a machine does not know is not passed over: it does not open.
        records::put_one(&*one.records::<Sample>()).await;
        let refused = server.with(Kinds::default()).await.unwrap_err();
        assert!(refused.contains("of a kind that this lambkin does not know"), "{refused}");
    });
}

/// Messages go to one machine each, lanes in their order; a handle is good on every machine; what a machine that died
/// held comes to another.
#[test]
fn machines_share_queues() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(directory.path(), "4MB") else { return };
    let queue = QueueName("test/shared".into());
    runtime().block_on(async {
        let one = server.store().await;
        let other = server.store().await;
        let posts = (0..40).map(|number| {
            let lane = (number % 2 == 0).then_some(if number % 4 == 0 { "a" } else { "b" });
            (queue.clone(), lane.map_or_else(|| message(number), |lane| in_lane(number, lane)))
        });
        one.queues().send(posts.collect()).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for store in [&one, &other] {
            let (queues, queue) = (store.queues(), queue.clone());
            tasks.spawn(async move {
                let mut seen = Vec::new();
                loop {
                    let lease = Lease::For(Duration::from_secs(60));
                    let ask = Receive { max: 2, lease, wait: Duration::from_millis(500) };
                    let taken = queues.receive(&queue, ask).await.unwrap();
                    if taken.is_empty() {
                        return seen;
                    }
                    for each in taken {
                        seen.push((each.lane.clone(), number(each.id), Instant::now()));
                        assert_eq!(queues.settle(vec![(each.handle, vec![])]).await, [Ok(())]);
                    }
                }
            });
        }
        let mut seen: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(seen.len(), 40);
        assert_eq!(seen.iter().map(|(_, number, _)| *number).collect::<HashSet<_>>().len(), 40);
        seen.sort_by_key(|(_, _, when)| *when);
        for lane in ["a", "b"] {
            let order: Vec<_> =
                seen.iter().filter(|(of, ..)| of.as_deref() == Some(lane)).map(|each| each.1).collect();
            assert!(order.is_sorted() && order.len() == 10, "{lane}: {order:?}");
        }
        // Settled by another than who received it, with a post that another settlement repeats.
        one.queues().send(vec![(queue.clone(), message(50))]).await.unwrap();
        let ask = Receive { max: 1, lease: Lease::For(Duration::from_secs(60)), wait: SOON };
        let received = one.queues().receive(&queue, ask).await.unwrap().remove(0);
        let dead = QueueName("test/dead".into());
        let post = Message { id: received.id, ..message(50) };
        other.queues().send(vec![(dead.clone(), post.clone())]).await.unwrap();
        let settled = vec![(received.handle.clone(), vec![(dead.clone(), post)])];
        assert_eq!(other.queues().settle(settled.clone()).await, [Ok(())]);
        assert_eq!(one.queues().settle(settled).await, [Err(QueueError::Stale)]);
        let letters = other.queues().peek(&dead, 0, 9).await.unwrap();
        assert_eq!(letters.len(), 1, "the same id is there once");
        // Held, and its holder goes away.
        one.queues().send(vec![(queue.clone(), message(60))]).await.unwrap();
        let ask = Receive { lease: Lease::Held, ..ask };
        assert_eq!(one.queues().receive(&queue, ask).await.unwrap().len(), 1);
        assert_eq!(
            other
                .queues()
                .receive(&queue, Receive { wait: Duration::from_millis(300), ..ask })
                .await
                .unwrap(),
            []
        );
        drop(one);
        assert_eq!(number(other.queues().receive(&queue, ask).await.unwrap()[0].id), 60);
    });
}

/// A held message stays held for longer than the lease behind it.
#[test]
fn what_is_held_stays_held() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(directory.path(), "4MB") else { return };
    let queue = QueueName("test/held".into());
    runtime().block_on(async {
        let (one, other) = (server.store().await, server.store().await);
        one.queues().send(vec![(queue.clone(), message(1))]).await.unwrap();
        let ask = Receive { max: 1, lease: Lease::Held, wait: SOON };
        let held = one.queues().receive(&queue, ask).await.unwrap().remove(0);
        let ask = Receive { wait: Duration::from_secs(12), ..ask };
        assert_eq!(other.queues().receive(&queue, ask).await.unwrap(), []);
        assert_eq!(one.queues().settle(vec![(held.handle, vec![])]).await, [Ok(())]);
    });
}

/// What is there when a store opens is what was there; a server that takes too little is refused.
#[test]
fn opens_with_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(directory.path(), "4MB") else { return };
    let queue = QueueName("test/again".into());
    runtime().block_on(async {
        let store = server.store().await;
        let delayed = Message { delay: Duration::from_secs(60), ..message(3) };
        let text = |number| Message { deduplication: Some("t".into()), ..message(number) };
        let posts = [message(1), message(2), delayed, text(4)];
        store.queues().send(posts.map(|message| (queue.clone(), message)).into()).await.unwrap();
        let ask = Receive { max: 1, lease: Lease::For(Duration::from_secs(60)), wait: SOON };
        let leased = store.queues().receive(&queue, ask).await.unwrap().remove(0);
        drop(store);
        let store = server.store().await;
        let counts = store.queues().counts(&queue).await.unwrap();
        assert_eq!((counts.visible, counts.in_flight, counts.delayed), (2, 1, 1));
        assert!(store.queues().send(vec![(queue.clone(), text(5))]).await.unwrap()[0].duplicate);
        assert_eq!(store.queues().settle(vec![(leased.handle, vec![])]).await, [Ok(())]);
    });
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), "1MB").unwrap();
    let refused = runtime().block_on(server.open()).unwrap_err();
    assert!(refused.contains("its max_payload must be 4 MB"), "{refused}");
}
