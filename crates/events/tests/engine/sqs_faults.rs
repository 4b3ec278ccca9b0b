//! The SQS-compatible service over queues that fail at random: thousands of steps in paused time, and a
//! ledger of what its client was told.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use lambkin_events::Ambient;
use lambkin_events::sqs::{Ask, Entry, Sqs};
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::Queue;
use lambkin_model::time::Timestamp;
use tokio::time::{Instant, advance};

use crate::faulty_queues::{Chance, FaultyQueues};
use crate::queues::MemoryQueues;
use crate::records::MemoryRecords;

const GROUPS: u64 = 3;
const VISIBILITY: Duration = Duration::from_secs(5);
const RECEIVES: u32 = 3;
const STEPS: usize = 2_000;

thread_local! {
    /// Whose clock is asked. A test has its thread for itself.
    static CLOCK: RefCell<Option<Arc<MemoryQueues>>> = const { RefCell::new(None) };
}

fn now() -> Timestamp {
    CLOCK.with_borrow(|queues| queues.as_ref().unwrap().now())
}

fn uuid() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

fn key(name: &str) -> ResourceKey {
    ResourceKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

struct Held {
    body: String,
    receipt: String,
    until: Instant,
}

/// What its client was told. A message is its body: `group/number`, or a number alone.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// Whose deletion was asked for, whatever became of it.
    tried: BTreeSet<String>,
    seen: BTreeSet<String>,
    /// Those that others of their group were received before: they must have gone to the dead letters.
    passed: BTreeSet<String>,
    held: Vec<Held>,
}

struct World {
    queues: Arc<FaultyQueues>,
    sqs: Sqs,
    chance: Chance,
    numbers: HashMap<u64, u64>,
    last: u64,
    standard: Ledger,
    fifo: Ledger,
}

impl World {
    async fn new(seed: u64) -> Self {
        let memory = MemoryQueues::new();
        CLOCK.set(Some(Arc::clone(&memory)));
        let queues = FaultyQueues::new(memory, seed, 20);
        let records = Arc::new(MemoryRecords::<Queue>::default());
        let sqs = Sqs::new(queues.clone(), records, Ambient { now, uuid });
        for (name, dead, fifo) in [("q", "q-dead", false), ("f.fifo", "f-dead.fifo", true)] {
            let visibility = ("VisibilityTimeout".to_owned(), VISIBILITY.as_secs().to_string());
            let mut attributes = vec![visibility];
            if fifo {
                attributes.push(("FifoQueue".to_owned(), "true".to_owned()));
            }
            sqs.create_queue(key(dead), &attributes, BTreeMap::new()).await.unwrap();
            let arn = key(dead).arn("sqs");
            let redrive = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{RECEIVES}}}"#);
            attributes.push(("RedrivePolicy".to_owned(), redrive));
            sqs.create_queue(key(name), &attributes, BTreeMap::new()).await.unwrap();
        }
        let (standard, fifo) = (Ledger::default(), Ledger::default());
        Self { queues, sqs, chance: Chance::new(seed + 1), numbers: HashMap::new(), last: 0, standard, fifo }
    }

    fn ledger(&mut self, name: &str) -> &mut Ledger {
        if name == "q" { &mut self.standard } else { &mut self.fifo }
    }

    async fn send(&mut self) {
        let count = 1 + self.chance.below(10);
        let entries: Vec<Entry> = (0..count)
            .map(|_| {
                self.last += 1;
                Entry { body: self.last.to_string(), sender: "me".into(), ..Entry::default() }
            })
            .collect();
        let sent = self.sqs.send(&key("q"), entries.clone()).await;
        let acknowledged = entries.into_iter().zip(sent).filter(|(_, sent)| sent.is_ok());
        self.standard.acknowledged.extend(acknowledged.map(|(entry, _)| entry.body));
    }

    /// Again, until it is acknowledged: its deduplication id keeps that from being two messages.
    async fn send_in_order(&mut self) {
        let group = self.chance.below(GROUPS);
        let number = self.numbers.entry(group).or_default();
        let body = format!("{group}/{number}");
        *number += 1;
        let entry = Entry {
            body: body.clone(),
            group: Some(group.to_string()),
            deduplication: Some(body.clone()),
            sender: "me".into(),
            ..Entry::default()
        };
        while self.sqs.send(&key("f.fifo"), vec![entry.clone()]).await.remove(0).is_err() {}
        self.fifo.acknowledged.insert(body);
    }

    async fn receive(&mut self, name: &str) {
        let max = usize::try_from(1 + self.chance.below(10)).unwrap();
        let ask = Ask { max, visibility: None, wait: Duration::ZERO, attempt: None };
        let Ok(messages) = self.sqs.receive(&key(name), ask).await else { return };
        let until = Instant::now() + VISIBILITY;
        let ledger = self.ledger(name);
        let bodies: Vec<String> = messages.iter().map(|message| message.body.clone()).collect();
        for (place, message) in messages.into_iter().enumerate() {
            let body = message.body;
            assert!(!ledger.deleted.contains(&body), "{body} came back after it was deleted");
            assert!(message.received <= RECEIVES, "{body} was received {} times", message.received);
            if let Some((group, number)) = body.split_once('/') {
                let before = (0..number.parse().unwrap()).map(|number: u64| format!("{group}/{number}"));
                let before =
                    before.filter(|each| !ledger.tried.contains(each) && !bodies[..place].contains(each));
                ledger.passed.extend(before);
            }
            ledger.seen.insert(body.clone());
            ledger.held.push(Held { body, receipt: message.receipt, until });
        }
    }

    /// Deletes a part of what is still its own, gives a part back, and forgets the rest.
    async fn delete(&mut self, name: &str) {
        let sqs = self.sqs.clone();
        let (delete, release) = (self.chance.percent(70), self.chance.percent(30));
        let count = usize::try_from(self.chance.below(11)).unwrap();
        let ledger = self.ledger(name);
        ledger.held.retain(|held| held.until > Instant::now());
        let chosen: Vec<Held> = ledger.held.drain(..count.min(ledger.held.len())).collect();
        if delete {
            ledger.tried.extend(chosen.iter().map(|held| held.body.clone()));
            let receipts = chosen.iter().map(|held| held.receipt.clone()).collect();
            let results = sqs.delete(&key(name), receipts).await;
            let done = chosen.iter().zip(results).filter(|(_, result)| result.is_ok());
            ledger.deleted.extend(done.map(|(held, _)| held.body.clone()));
        } else if release {
            let changes = chosen.into_iter().map(|held| (held.receipt, 0)).collect();
            // Refused or not, the message comes again.
            let _ = sqs.change_visibility(&key(name), changes).await;
        }
    }

    async fn step(&mut self) {
        match self.chance.below(10) {
            0 | 1 => self.send().await,
            2 => self.send_in_order().await,
            3 | 4 => self.receive("q").await,
            5 => self.receive("f.fifo").await,
            6 | 7 => self.delete("q").await,
            8 => self.delete("f.fifo").await,
            _ => advance(Duration::from_millis(self.chance.below(2_000))).await,
        }
    }

    /// All that is in a queue, deleted.
    async fn drain(&self, name: &str) -> Vec<String> {
        let mut bodies = Vec::new();
        let ask = Ask { max: 10, visibility: None, wait: Duration::ZERO, attempt: None };
        loop {
            let messages = self.sqs.receive(&key(name), ask.clone()).await.unwrap();
            if messages.is_empty() {
                return bodies;
            }
            let receipts = messages.iter().map(|message| message.receipt.clone()).collect();
            assert!(self.sqs.delete(&key(name), receipts).await.iter().all(Result::is_ok));
            bodies.extend(messages.into_iter().map(|message| message.body));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_no_acknowledged_message_is_lost_doubled_or_back() {
    for seed in 0..20 {
        let mut world = World::new(seed).await;
        for _ in 0..STEPS {
            world.step().await;
        }
        assert!(world.queues.heal() > STEPS / 20, "hardly anything failed");
        advance(VISIBILITY * 2).await;
        for (name, dead) in [("q", "q-dead"), ("f.fifo", "f-dead.fifo")] {
            let mut left = world.drain(name).await;
            let letters = world.drain(dead).await;
            let ledger = world.ledger(name);
            assert!(!letters.is_empty() && !ledger.deleted.is_empty(), "seed {seed}: nothing was tried");
            if name == "f.fifo" {
                let sorted = |group: u64| {
                    let of = left.iter().filter_map(|body| body.strip_prefix(&format!("{group}/")));
                    of.map(|number| number.parse::<u64>().unwrap()).is_sorted()
                };
                assert!((0..GROUPS).all(sorted), "seed {seed}: {left:?}");
                let passed: Vec<_> = ledger.passed.iter().filter(|body| !letters.contains(body)).collect();
                assert!(passed.is_empty(), "seed {seed}: received before {passed:?}");
            }
            left.extend(letters);
            let there: BTreeSet<String> = left.iter().cloned().collect();
            assert_eq!(there.len(), left.len(), "seed {seed}, {name}: a message is there twice");
            let back: Vec<_> = there.intersection(&ledger.deleted).collect();
            assert!(back.is_empty(), "seed {seed}, {name}: deleted and there: {back:?}");
            let lost: Vec<_> = ledger
                .acknowledged
                .iter()
                .filter(|body| !there.contains(*body) && !ledger.tried.contains(*body))
                .collect();
            assert!(lost.is_empty(), "seed {seed}, {name}: lost {lost:?}");
        }
    }
}
