//! What fails, is throttled or takes long loses nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lambkin_model::Error;
use lambkin_model::mapping::Change;

use super::{NOW, reporting, seconds};
use crate::mapping_world::{Said, World, throttle};

#[tokio::test(start_paused = true)]
async fn a_failed_batch_comes_back_after_its_visibility_timeout() {
    let world = World::new();
    world
        .function
        .says(|call| (seconds(5), if call.received[0] == "1" { Said::Threw } else { Said::Result("null") }));
    world.map("q", Change::default()).await;
    world.send("q", &["a", "b"]).await;
    world.until_empty("q").await;
    let calls = world.function.calls();
    assert_eq!(world.function.bodies(), [["a", "b"], ["a", "b"]]);
    assert_eq!(calls[1].received, ["2", "2"]);
    assert_eq!(calls[1].at - calls[0].at, 60);
}

#[tokio::test(start_paused = true)]
async fn what_is_reported_comes_back_alone() {
    let world = World::new();
    world
        .function
        .says(|call| (NOW, Said::Report(if call.received[0] == "1" { vec!["b".into()] } else { vec![] })));
    world.map("q", reporting()).await;
    world.send("q", &["a", "b", "c"]).await;
    world.until_calls(1).await;
    world.until("two deleted", || world.function.ended.load(Ordering::Relaxed) == 1).await;
    assert_eq!(world.counts("q").await, (0, 1));
    world.until_empty("q").await;
    assert_eq!(world.function.bodies(), [vec!["a", "b", "c"], vec!["b"]]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_nothing_understandable_fails_the_batch() {
    let world = World::new();
    let first = r#"{"batchItemFailures":[{"foo":"notvalid"}]}"#;
    world.function.says(move |call| (NOW, Said::Result(if call.received[0] == "1" { first } else { "{}" })));
    world.map("q", reporting()).await;
    world.send("q", &["a", "b"]).await;
    world.until_empty("q").await;
    assert_eq!(world.function.bodies(), [["a", "b"], ["a", "b"]]);
}

/// Without `ReportBatchItemFailures` the answer says nothing, whatever it is.
#[tokio::test(start_paused = true)]
async fn reports_that_were_not_asked_for_are_not_read() {
    let world = World::new();
    world.function.says(|_| (NOW, Said::Report(vec!["a".into()])));
    world.map("q", Change::default()).await;
    world.send("q", &["a"]).await;
    world.until_empty("q").await;
    assert_eq!(world.function.calls().len(), 1);
}

/// Its function's timeout was raised after the mapping was made: the function runs for longer than the
/// messages are invisible by the queue.
#[tokio::test(start_paused = true)]
async fn messages_stay_invisible_while_the_function_runs() {
    let world = World::new();
    world.function.says(|call| {
        (seconds(200), if call.received[0] == "1" { Said::Threw } else { Said::Result("null") })
    });
    world.map("q", Change::default()).await;
    world.send("q", &["a"]).await;
    world.until_calls(2).await;
    let calls = world.function.calls();
    // It failed long after its visibility timeout, so that it is visible at once.
    assert!((200..=201).contains(&(calls[1].at - calls[0].at)), "{calls:?}");
    world.until_empty("q").await;
    assert_eq!(world.function.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn throttles_are_waited_out_with_the_messages_at_hand() {
    let world = World::new();
    let begin = world.begin;
    world
        .function
        .says(move |_| (NOW, if begin.elapsed() < seconds(20) { throttle() } else { Said::Result("null") }));
    world.map("q", Change::default()).await;
    world.send("q", &["a"]).await;
    world.until_empty("q").await;
    let calls = world.function.calls();
    assert!(calls.iter().all(|call| call.received == ["1"]), "one receive: {calls:?}");
    assert!((5..15).contains(&calls.len()), "with pauses that grow: {}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn a_throttle_without_end_leaves_messages_to_their_visibility_timeout() {
    let world = World::new();
    world.function.says(|_| (NOW, throttle()));
    world.map("q", Change { batch_size: Some(1), ..Change::default() }).await;
    let many: Vec<String> = (0..12).map(|n| format!("m{n}")).collect();
    world.send("q", &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    tokio::time::sleep(seconds(58)).await;
    let calls = world.function.calls();
    let mut seen: Vec<&String> = calls.iter().flat_map(|call| &call.bodies).collect();
    seen.sort();
    seen.dedup();
    // It takes on little while it is refused.
    assert!((5..10).contains(&seen.len()), "{}", seen.len());
    world
        .until("a second receive", || world.function.calls().iter().any(|call| call.received == ["2"]))
        .await;
    assert_eq!(world.counts("q").await.0 + world.counts("q").await.1, 12, "nothing is lost");
    world.function.says(|_| (NOW, Said::Result("null")));
    world.until_empty("q").await;
}

/// What the platform could not do leaves everything as it is, and is told.
#[tokio::test(start_paused = true)]
async fn platform_errors_lose_nothing() {
    let world = World::new();
    world.function.says(|call| {
        let broken = Said::Platform(Error::Service("no process can be started".into()));
        (NOW, if call.received[0] == "1" { broken } else { Said::Result("null") })
    });
    let mapping = world.map("q", Change::default()).await;
    world.send("q", &["a"]).await;
    world.until("a problem", || world.mappings.problem(&mapping).is_some()).await;
    assert_eq!(world.mappings.problem(&mapping).unwrap(), "PROBLEM: no process can be started");
    world.until_empty("q").await;
    assert_eq!(world.mappings.problem(&mapping), None);
    drop(Arc::clone(&world.mappings));
}
