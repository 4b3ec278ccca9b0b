//! `kill -9` at any moment: the queues open again, hold every message whose sending was answered, and none whose
//! settlement was.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lambkin_model::queue::{Lease, Message, QueueName, Queues, Receive};
use lambkin_store::{Store, StoreConfig};

use crate::queues::{message, number};
use crate::support::{SOON, runtime};

const DIRECTORY: &str = "LAMBKIN_TEST_QUEUES";
const ROUND: &str = "LAMBKIN_TEST_ROUND";

fn work() -> QueueName {
    QueueName("kill/work".into())
}

fn done() -> QueueName {
    QueueName("kill/done".into())
}

/// Not a test by itself: the process that is killed. It sends, leases, gives back, and settles with a post to
/// another queue, from several tasks, and says `sent 17` and `settled 17` once that was answered.
#[test]
#[ignore = "a helper of the test below"]
fn worker() {
    let (Some(directory), Ok(round)) = (std::env::var_os(DIRECTORY), std::env::var(ROUND)) else { return };
    let round: u32 = round.parse().unwrap();
    let store = Store::open(Path::new(&directory), StoreConfig::default()).unwrap();
    runtime().block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..4 {
            let queues = store.queues();
            tasks.spawn(async move {
                for each in 0.. {
                    let number = round << 20 | task << 18 | each;
                    let lane = (each % 4 == 0).then(|| format!("lane {task}").into());
                    let delay = Duration::from_millis(u64::from(each % 3));
                    queues.send(vec![(work(), Message { lane, delay, ..message(number) })]).await.unwrap();
                    say(&format!("sent {number}"));
                }
            });
        }
        for task in 0..4 {
            let queues = store.queues();
            let lease = if task % 2 == 0 { Lease::Held } else { Lease::For(Duration::from_millis(500)) };
            tasks.spawn(async move {
                loop {
                    let ask = Receive { max: 3, lease, wait: SOON };
                    for received in queues.receive(&work(), ask).await.unwrap() {
                        if received.sequence % 7 == 0 && received.mark == 0 {
                            queues.release(&received.handle, Duration::from_millis(1), 1).await.unwrap();
                            continue;
                        }
                        let post = Message { id: received.id, sent: Some(received.sent), ..message(0) };
                        let settled = vec![(received.handle, vec![(done(), post)])];
                        // A lease may have ended on a busy machine.
                        if queues.settle(settled).await[0].is_ok() {
                            say(&format!("settled {}", number(received.id)));
                        }
                    }
                }
            });
        }
        tasks.join_all().await;
    });
}

fn say(line: &str) {
    // One write a line, unbuffered: what is killed has said what it answered.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@ {line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The helper, killed however the test ends.
struct Worker(Child);

impl Worker {
    fn start(directory: &Path, round: u32) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "queue_kill::worker", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .env(ROUND, round.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every message of a queue.
async fn all(queues: &Arc<impl Queues>, queue: &QueueName) -> BTreeMap<u32, usize> {
    let (mut found, mut after) = (BTreeMap::new(), 0);
    loop {
        let page = queues.peek(queue, after, 1000).await.unwrap();
        let Some(last) = page.last() else { return found };
        after = last.sequence;
        for each in page {
            *found.entry(number(each.id)).or_default() += 1;
        }
    }
}

#[test]
fn every_answered_message_outlives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let (mut sent, mut settled) = (BTreeSet::new(), BTreeSet::new());
    for round in 1..=30 {
        let mut worker = Worker::start(directory.path(), round);
        let mut lines = BufReader::new(worker.0.stdout.take().unwrap()).lines();
        let end = Instant::now() + SOON;
        let before = settled.len();
        let mut hear = |line: std::io::Result<String>| {
            let line = line.unwrap();
            if let Some(number) = line.strip_prefix("@ sent ") {
                sent.insert(number.parse::<u32>().unwrap());
            } else if let Some(number) = line.strip_prefix("@ settled ") {
                assert!(settled.insert(number.parse::<u32>().unwrap()), "it was settled twice");
            }
            settled.len()
        };
        // Each time somewhere else.
        while let Some(line) = lines.next()
            && hear(line) < before + 5 + 7 * round as usize % 60
        {
            assert!(Instant::now() < end, "the worker did not work");
        }
        worker.0.kill().unwrap();
        for line in lines {
            hear(line);
        }
        worker.0.wait().unwrap();

        let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
        let queues = store.queues();
        runtime().block_on(async {
            let (waiting, finished) = (all(&queues, &work()).await, all(&queues, &done()).await);
            for number in &sent {
                let places = waiting.get(number).unwrap_or(&0) + finished.get(number).unwrap_or(&0);
                assert_eq!(places, 1, "round {round}: {number:x} is in one place");
            }
            for number in &settled {
                assert!(finished.contains_key(number), "round {round}: {number:x} was settled");
            }
            for (queue, found) in [(work(), &waiting), (done(), &finished)] {
                let counts = queues.counts(&queue).await.unwrap();
                let total = counts.visible + counts.in_flight + counts.delayed;
                assert_eq!(total, found.len() as u64, "round {round}: {counts:?}");
            }
        });
        assert!(store.close(SOON));
    }
    assert!(settled.len() > 100);
}
