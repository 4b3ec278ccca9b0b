//! How messages are gathered, and what the function gets.

use std::sync::atomic::Ordering;

use lambkin_events::recursion::mark;
use lambkin_model::mapping::Change;

use super::seconds;
use crate::mapping_world::{World, head, reference};

#[tokio::test(start_paused = true)]
async fn a_processed_batch_is_deleted() {
    let world = World::new();
    world.map("q", Change::default()).await;
    world.send("q", &["a", "b", "c"]).await;
    world.until_empty("q").await;
    assert_eq!(world.function.bodies(), [["a", "b", "c"]]);
    assert_eq!(world.function.calls()[0].function, "arn:aws:lambda:us-east-1:000000000000:function:f");
}

#[tokio::test(start_paused = true)]
async fn batches_have_at_most_their_size() {
    let world = World::new();
    world.map("q", Change { batch_size: Some(4), ..Change::default() }).await;
    world.send("q", &["a", "b", "c", "d", "e", "f"]).await;
    world.until_empty("q").await;
    assert_eq!(world.function.bodies(), [vec!["a", "b", "c", "d"], vec!["e", "f"]]);
}

#[tokio::test(start_paused = true)]
async fn a_window_gathers_until_it_is_over_or_the_batch_is_full() {
    let world = World::new();
    let change = Change { batch_size: Some(12), batching_window: Some(30), ..Change::default() };
    world.map("q", change).await;
    let begin = world.begin.elapsed().as_secs();
    world.send("q", &["a"]).await;
    tokio::time::sleep(seconds(20)).await;
    world.send("q", &["b"]).await;
    world.until_calls(1).await;
    assert_eq!(world.function.bodies(), [["a", "b"]]);
    assert_eq!(world.function.calls()[0].at, begin + 30);
    let many: Vec<String> = (0..12).map(|n| format!("m{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    world.send("q", &many).await;
    world.until_calls(2).await;
    let last = &world.function.calls()[1];
    assert!(last.at <= begin + 31, "{last:?}");
    assert_eq!(last.bodies, many);
}

/// The window is five times the visibility timeout: what is gathered stays invisible all the time.
#[tokio::test(start_paused = true)]
async fn what_is_gathered_is_received_once() {
    let world = World::new();
    world.map("q", Change { batching_window: Some(300), ..Change::default() }).await;
    world.send("q", &["a"]).await;
    world.until_empty("q").await;
    let calls = world.function.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (&calls[0].bodies[..], &calls[0].received[..]),
        (&["a".to_owned()][..], &["1".to_owned()][..])
    );
    assert!(calls[0].at >= 300);
}

/// The store is so slow that a message becomes visible before its lease is extended: it stands in the batch once,
/// and by the handle that is good.
#[tokio::test(start_paused = true)]
async fn a_message_that_slipped_is_taken_again() {
    let world = World::new();
    world.bodies.slow.store(40, Ordering::Relaxed);
    world.map("q", Change { batching_window: Some(100), ..Change::default() }).await;
    world.send("q", &["a", "b"]).await;
    world.until_empty("q").await;
    let calls = world.function.calls();
    assert_eq!((calls.len(), &calls[0].bodies[..]), (1, &["a".to_owned(), "b".into()][..]), "{calls:?}");
    assert_eq!(calls[0].received, ["2", "2"]);
}

#[tokio::test(start_paused = true)]
async fn events_have_at_most_six_megabytes() {
    let world = World::new();
    world.map("q", Change::default()).await;
    let megabyte: Vec<String> = (0..10).map(|n| format!("{n}{}", "x".repeat(1024 * 1024 - 1))).collect();
    let megabyte: Vec<&str> = megabyte.iter().map(String::as_str).collect();
    world.send("q", &megabyte).await;
    world.until_empty("q").await;
    let calls = world.function.calls();
    assert_eq!(calls.iter().map(|call| call.bodies.len()).collect::<Vec<_>>(), [5, 5]);
    assert!(calls.iter().all(|call| call.bytes <= 6 * 1024 * 1024));
}

#[tokio::test(start_paused = true)]
async fn no_filters_match_deletes() {
    let world = World::new();
    let filters = vec![r#"{"body":{"kind":["order"]}}"#.to_owned(), r#"{"body":["plain"]}"#.to_owned()];
    world.map("q", Change { filters: Some(filters), ..Change::default() }).await;
    let messages =
        [r#"{"kind":"order"}"#, r#"{"kind":"other"}"#, "text", "plain", r#"{"kind":["x","order"]}"#];
    world.send("q", &messages).await;
    world.until_empty("q").await;
    assert_eq!(world.function.bodies(), [[messages[0], messages[3], messages[4]]]);
}

#[tokio::test(start_paused = true)]
async fn the_trace_goes_on() {
    let world = World::new();
    let mark = mark(&reference("f").key);
    let more = format!("traced Root=1-c;Lineage=1:{mark:08x}:3");
    world.map("q", Change::default()).await;
    world.send("q", &["a", "traced Root=1-b", "traced Root=1-d", &more]).await;
    world.until_empty("q").await;
    world.send("q", &["a", "traced Root=1-b", "traced Root=1-d"]).await;
    world.until_empty("q").await;
    let traces: Vec<_> = world.function.calls().into_iter().map(|call| call.trace_id.unwrap()).collect();
    assert_eq!(traces, [more.strip_prefix("traced ").unwrap(), "Root=1-b"]);
    // Where there is none, one begins: its passages are counted from the first.
    world.send("q", &["a"]).await;
    world.until_empty("q").await;
    assert!(world.function.calls()[2].trace_id.as_ref().unwrap().starts_with("Root=1-6955b900-"));
}

/// The seventeenth passage is stopped, alone of its batch; where the function allows it, it is not.
#[tokio::test(start_paused = true)]
async fn what_goes_in_circles_is_left_in_its_queue() {
    let world = World::new();
    let mark = mark(&reference("f").key);
    let circling = format!("traced Root=1-c;Lineage=1:{mark:08x}:15");
    let last = format!("traced Root=1-c;Lineage=1:{mark:08x}:14");
    world.map("q", Change::default()).await;
    world.send("q", &["a", &circling, &last]).await;
    world.until_calls(1).await;
    tokio::time::sleep(seconds(200)).await;
    assert_eq!(world.function.bodies(), [["a", &last]]);
    assert_eq!(world.counts("q").await.0 + world.counts("q").await.1, 1);
    let mut allowed = head("f");
    allowed.recursion_allowed = true;
    world.functions.put(allowed);
    world.until_empty("q").await;
    assert_eq!(world.function.bodies()[1], [circling]);
}
