//! The dispatcher over queues that fail at random, or have no room: thousands of events in paused time, and a
//! ledger of which were accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use lambkin_events::asynchronous::Asked;
use lambkin_model::invocation::RequestId;
use lambkin_model::queue::{QueueName, Queues};
use serde_json::Value;

use crate::events::{Act, OTHER, QUEUE, World, configured, throttle};
use crate::faulty_queues::{Chance, FaultyQueues};
use crate::queues::MemoryQueues;

const EVENTS: u64 = 400;
const FUNCTIONS: [&str; 4] = ["plain", "dead", "both", "chained"];

/// What an event's function does with it, by its number: the same at each attempt, but for throttles.
fn act(payload: &Bytes, nth: usize) -> Act {
    let event: Value = serde_json::from_slice(payload).unwrap();
    // A record of the chain.
    let Some(id) = event["id"].as_u64() else { return Act::Succeed };
    match (id % 10, nth % 7) {
        (_, 3) => throttle(),
        (0..=2, _) => Act::Fail,
        (3, _) => Act::Succeed.after(1.0),
        (4, _) => Act::Fail.after(0.5),
        _ => Act::Succeed,
    }
}

fn fails(id: u64) -> bool {
    matches!(id % 10, 0..=2 | 4)
}

fn functions(world: &World) {
    for name in FUNCTIONS {
        world.function(name, |head| match name {
            "dead" => head.latest.configuration.dead_letter = Some(QUEUE.into()),
            "both" => configured(head, |config| {
                config.on_success = Some(OTHER.into());
                config.on_failure = Some(QUEUE.into());
            }),
            "chained" => configured(head, |config| {
                config.on_success = Some("arn:aws:lambda:us-east-1:000000000000:function:plain".into());
            }),
            _ => {}
        });
        world.behaves(name, |invocation, nth| act(&invocation.payload, nth));
    }
}

/// Events that are in a target's queue, and how often.
async fn letters(queues: &MemoryQueues, arn: &str) -> BTreeMap<u64, usize> {
    let there = queues.peek(&QueueName(format!("sqs/{arn}").into()), 0, usize::MAX).await.unwrap();
    let mut found = BTreeMap::new();
    for letter in there {
        let body: Value = serde_json::from_slice(&letter.content).unwrap();
        let event = if body["requestPayload"].is_null() { &body } else { &body["requestPayload"] };
        *found.entry(event["id"].as_u64().unwrap()).or_default() += 1;
    }
    found
}

fn event(function: &str, id: u64) -> Asked {
    let mut request = [0; 16];
    request[..8].copy_from_slice(&id.to_be_bytes());
    Asked {
        request_id: RequestId(request),
        function: lambkin_model::name::FunctionReference {
            key: crate::events::key(function),
            qualifier: None,
        },
        payload: format!("{{\"id\":{id}}}").into(),
        trace_id: None,
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_every_accepted_event_runs_and_its_letter_comes_once() {
    for seed in 0..10 {
        let memory = MemoryQueues::new();
        let queues = FaultyQueues::new(memory.clone(), seed, 20);
        let mut world = World::over(memory.clone(), queues.clone());
        functions(&world);
        world.start();
        let mut chance = Chance::new(seed + 1);
        let mut accepted: BTreeMap<u64, &str> = BTreeMap::new();
        for id in 0..EVENTS {
            let function = FUNCTIONS[usize::try_from(chance.below(4)).unwrap()];
            if world.asynchronous.send(event(function, id)).await.is_ok() {
                accepted.insert(id, function);
            }
            tokio::time::sleep(Duration::from_millis(chance.below(500))).await;
        }
        // Among the faults the retries begin; without them all comes to its end.
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(queues.heal() > 100, "hardly anything failed");
        let end = tokio::time::Instant::now() + Duration::from_secs(6 * 3600);
        while !memory.names("async/").await.unwrap().is_empty() {
            assert!(tokio::time::Instant::now() < end, "seed {seed}: events are left");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        world.stop(10.0).await;
        let ran: BTreeSet<u64> = world
            .functions
            .attempts
            .lock()
            .unwrap()
            .iter()
            .filter_map(|(_, payload, ..)| serde_json::from_slice::<Value>(payload).unwrap()["id"].as_u64())
            .collect();
        let never: Vec<_> = accepted.keys().filter(|id| !ran.contains(id)).collect();
        assert!(never.is_empty(), "seed {seed}: accepted and never run: {never:?}");
        let (failed, succeeded) = (letters(&memory, QUEUE).await, letters(&memory, OTHER).await);
        for (id, function) in accepted {
            let expected = match function {
                "dead" => (usize::from(fails(id)), 0),
                "both" => (usize::from(fails(id)), usize::from(!fails(id))),
                _ => (0, 0),
            };
            let of = |letters: &BTreeMap<u64, usize>| letters.get(&id).copied().unwrap_or(0);
            assert_eq!((of(&failed), of(&succeeded)), expected, "seed {seed}: letters of {id} of {function}");
        }
        let chained = world.functions.attempts.lock().unwrap();
        let chained =
            chained.iter().filter(|(_, payload, ..)| payload.windows(14).any(|at| at == b"requestPayload"));
        assert!(chained.count() > 10, "seed {seed}: the chain was not tried");
    }
}

/// Dead letters need room, and the end of other events makes it: were the one to wait for the other, a full disk
/// would stay full.
#[tokio::test(start_paused = true)]
async fn without_room_for_dead_letters_other_events_still_end() {
    let memory = MemoryQueues::new();
    let queues = FaultyQueues::new(memory.clone(), 0, 0);
    let mut world = World::over(memory.clone(), queues.clone());
    world.function("dead", |head| {
        head.latest.configuration.dead_letter = Some(QUEUE.into());
        configured(head, |config| config.maximum_retry_attempts = Some(0));
    });
    world.behaves("dead", |_, _| Act::Fail);
    world.function("plain", |_| {});
    for id in 0..20 {
        world.asynchronous.send(event("dead", id)).await.unwrap();
    }
    for id in 20..2_000 {
        world.asynchronous.send(event("plain", id)).await.unwrap();
    }
    queues.room(false);
    world.start();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(world.counts("plain").await.oldest, None, "events that need no room end");
    let counts = world.counts("dead").await;
    assert_eq!(counts.visible + counts.in_flight + counts.delayed, 20, "those that do are kept");
    queues.room(true);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(letters(&memory, QUEUE).await.len(), 20);
    assert_eq!(world.counts("dead").await.oldest, None);
    world.stop(10.0).await;
}
