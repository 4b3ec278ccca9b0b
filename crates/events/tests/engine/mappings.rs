//! Event source mappings: what comes from a queue reaches the function, and what the function says becomes of
//! the messages.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_events::mapping::UpdateMapping;
use lambkin_events::recursion::mark;
use lambkin_model::Error;
use lambkin_model::function::State;
use lambkin_model::mapping::Change;
use lambkin_model::record::Records;

use crate::mapping_world::{ACCOUNT, REGION, Said, World, head, key, reference, throttle};

const NOW: Duration = Duration::ZERO;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn reporting() -> Change {
    Change { report_failures: Some(true), ..Change::default() }
}

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
async fn at_most_the_maximum_runs_at_once() {
    let world = World::new();
    world.function.says(|_| (seconds(10), Said::Result("null")));
    let change = Change { batch_size: Some(1), maximum_concurrency: Some(Some(3)), ..Change::default() };
    world.map("q", change).await;
    let many: Vec<String> = (0..30).map(|n| format!("m{n}")).collect();
    let begin = world.begin.elapsed().as_secs();
    world.send("q", &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.until_empty("q").await;
    assert_eq!(world.function.most.load(Ordering::Relaxed), 3);
    assert!((100..102).contains(&(world.begin.elapsed().as_secs() - begin)), "and not fewer");
}

#[tokio::test(start_paused = true)]
async fn it_begins_with_five_and_takes_more_while_messages_wait() {
    let world = World::new();
    world.function.says(|_| (seconds(25), Said::Result("null")));
    world.map("q", Change { batch_size: Some(1), ..Change::default() }).await;
    let many: Vec<String> = (0..200).map(|n| format!("m{n}")).collect();
    world.send("q", &many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.until_calls(5).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.function.calls().len(), 5);
    tokio::time::sleep(seconds(10)).await;
    let calls = world.function.calls().len();
    assert!((50..=60).contains(&calls), "five more a second: {calls}");
    world.until_empty("q").await;
}

#[tokio::test(start_paused = true)]
async fn groups_keep_their_order_and_run_side_by_side() {
    let world = World::new();
    world.function.says(|_| (seconds(5), Said::Result("null")));
    world.map("q.fifo", Change { batch_size: Some(2), ..Change::default() }).await;
    world.send("q.fifo", &["a-1", "a-2", "a-3", "a-4", "a-5", "b-1", "b-2", "c-1"]).await;
    world.until_empty("q.fifo").await;
    let bodies = world.function.bodies();
    for group in ["a", "b", "c"] {
        let order: Vec<&String> = bodies.iter().flatten().filter(|body| body.starts_with(group)).collect();
        assert!(order.is_sorted(), "{bodies:?}");
    }
    assert!(world.function.most.load(Ordering::Relaxed) >= 2);
    // A group's batches follow each other.
    let times: Vec<u64> = world
        .function
        .calls()
        .iter()
        .filter(|call| call.bodies[0].starts_with('a'))
        .map(|call| call.at)
        .collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 5), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_group_passes_its_failed_message() {
    let world = World::new();
    world.function.says(|call| {
        let failing = call.bodies.iter().zip(&call.received);
        let failing = failing.filter(|(body, received)| *body == "a-2" && *received == "1");
        (NOW, Said::Report(failing.map(|(body, _)| body.clone()).collect()))
    });
    world.map("q.fifo", reporting()).await;
    world.send("q.fifo", &["a-1", "a-2", "b-1", "a-3"]).await;
    world.until_calls(1).await;
    world.send("q.fifo", &["a-4", "b-2"]).await;
    world.until_empty("q.fifo").await;
    let bodies: Vec<String> = world.function.bodies().into_iter().flatten().collect();
    let of = |group: &str| {
        bodies.iter().filter(|body| body.starts_with(group)).map(String::as_str).collect::<Vec<_>>()
    };
    assert_eq!(of("a"), ["a-1", "a-2", "a-3", "a-2", "a-3", "a-4"]);
    assert_eq!(of("b"), ["b-1", "b-2"], "the other group did not wait");
    let calls = world.function.calls();
    let b2 = calls.iter().find(|call| call.bodies.contains(&"b-2".to_owned())).unwrap();
    assert!(b2.at < 5, "{calls:?}");
}

/// The batch of one group is cut because it is too large for one event, and its first part fails.
#[tokio::test(start_paused = true)]
async fn a_cut_batch_stops_at_its_failure() {
    let world = World::new();
    world.function.says(|call| {
        let fails = call.bodies[0].starts_with("a-0") && call.received[0] == "1";
        (NOW, if fails { Said::Threw } else { Said::Result("null") })
    });
    world.map("q.fifo", Change::default()).await;
    let large: Vec<String> = (0..10).map(|n| format!("a-{n}{}", "x".repeat(1024 * 1024 - 3))).collect();
    world.send("q.fifo", &large.iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.until_empty("q.fifo").await;
    let firsts: Vec<String> =
        world.function.calls().iter().map(|call| call.bodies[0][..3].to_owned()).collect();
    assert_eq!(firsts, ["a-0", "a-0", "a-5"]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_function_costs_its_messages_nothing() {
    let world = World::new();
    let mapping = world.map("q", Change::default()).await;
    world.functions.remove(&reference("f").key);
    tokio::time::sleep(seconds(1)).await;
    world.send("q", &["a"]).await;
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(world.counts("q").await, (1, 0));
    assert_eq!(world.state(&mapping), "Enabled");
    let problem = world.mappings.problem(&mapping).unwrap();
    assert_eq!(problem, "PROBLEM: Function not found: arn:aws:lambda:us-east-1:000000000000:function:f");
    // One of the same name that is being made is waited for.
    let mut made = head("f");
    made.latest.state = State::Pending;
    world.functions.put(made);
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(world.counts("q").await, (1, 0));
    world.functions.put(head("f"));
    world.until_empty("q").await;
    assert_eq!(world.function.calls()[0].received, ["1"]);
    world.until("no problem", || world.mappings.problem(&mapping).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_queue_is_told_and_comes_back() {
    let world = World::new();
    let mapping = world.map("q", Change::default()).await;
    tokio::time::sleep(seconds(5)).await;
    world.bodies.remove(&key("q"));
    world.until("a problem", || world.mappings.problem(&mapping).is_some()).await;
    assert_eq!(
        world.mappings.problem(&mapping).unwrap(),
        "PROBLEM: Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. \
         SQS Error Message: The specified queue does not exist."
    );
    world.bodies.create(&key("q"), 60);
    world.send("q", &["a"]).await;
    let begin = world.begin.elapsed().as_secs();
    world.until_empty("q").await;
    assert!(world.begin.elapsed().as_secs() - begin <= 2);
    assert_eq!((world.state(&mapping), world.mappings.problem(&mapping)), ("Enabled", None));
    // Deleted and made again between two looks: the long poll of the former one is not waited for.
    world.bodies.remove(&key("q"));
    world.bodies.create(&key("q"), 60);
    world.send("q", &["b"]).await;
    world.until_empty("q").await;
    assert!(world.begin.elapsed().as_secs() - begin <= 5);
}

#[tokio::test(start_paused = true)]
async fn disabling_lets_what_runs_finish() {
    let world = World::new();
    world.function.says(|_| (seconds(20), Said::Result("null")));
    let mapping = world.map("q", Change::default()).await;
    world.send("q", &["a"]).await;
    world.until_calls(1).await;
    let disable = UpdateMapping { enabled: Some(false), ..UpdateMapping::default() };
    let answer = world.update(&mapping, disable).await.unwrap();
    assert_eq!(answer.state.as_str(), "Disabling");
    tokio::time::sleep(seconds(1)).await;
    world.send("q", &["b"]).await;
    assert_eq!(
        world.update(&mapping, UpdateMapping::default()).await,
        Err(Error::ResourceInUse("Cannot update the event source mapping because it is in use.".into()))
    );
    world.until_state(&mapping, "Disabled").await;
    assert_eq!(world.function.ended.load(Ordering::Relaxed), 1);
    tokio::time::sleep(seconds(100)).await;
    assert_eq!(world.counts("q").await, (1, 0), "a is done, b waits");
    let enable = UpdateMapping { enabled: Some(true), ..UpdateMapping::default() };
    assert_eq!(world.update(&mapping, enable).await.unwrap().state.as_str(), "Enabling");
    world.until_empty("q").await;
    assert_eq!(
        (world.function.bodies(), world.state(&mapping)),
        (vec![vec!["a".to_owned()], vec!["b".into()]], "Enabled")
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_gathered_is_processed_when_it_is_disabled() {
    let world = World::new();
    let mapping = world.map("q", Change { batching_window: Some(300), ..Change::default() }).await;
    world.send("q", &["a"]).await;
    tokio::time::sleep(seconds(5)).await;
    assert_eq!(world.counts("q").await, (0, 1));
    world.update(&mapping, UpdateMapping { enabled: Some(false), ..UpdateMapping::default() }).await.unwrap();
    world.until_state(&mapping, "Disabled").await;
    assert_eq!((world.function.calls().len(), world.counts("q").await), (1, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn deleting_lets_what_runs_finish() {
    let world = World::new();
    world.function.says(|_| (seconds(20), Said::Result("null")));
    let mapping = world.map("q", Change::default()).await;
    world.send("q", &["a"]).await;
    world.until_calls(1).await;
    assert_eq!(world.mappings.delete(&mapping).await.unwrap().state.as_str(), "Deleting");
    // The supervisor hears of it, and stops the poller.
    tokio::time::sleep(seconds(1)).await;
    world.send("q", &["b"]).await;
    assert_eq!(
        world.mappings.delete(&mapping).await,
        Err(Error::ResourceInUse("Cannot delete the event source mapping because it is in use.".into()))
    );
    world.until_state(&mapping, "gone").await;
    assert_eq!((world.function.ended.load(Ordering::Relaxed), world.counts("q").await), (1, (1, 0)));
    assert_eq!(
        world.mappings.get(&mapping).unwrap_err(),
        Error::ResourceNotFound("The resource you requested does not exist.".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_acts_on_the_next_batch() {
    let world = World::new();
    world.functions.put(head("g"));
    let mapping = world.map("q", Change::default()).await;
    let change = Change { batch_size: Some(1), ..Change::default() };
    let update = UpdateMapping { function: Some(reference("g:live")), change, ..UpdateMapping::default() };
    let answer = world.update(&mapping, update).await.unwrap();
    assert_eq!(
        (answer.state.as_str(), &*answer.function_arn()),
        ("Updating", "arn:aws:lambda:us-east-1:000000000000:function:g:live")
    );
    world.until_state(&mapping, "Enabled").await;
    world.send("q", &["a", "b"]).await;
    world.until_empty("q").await;
    assert_eq!(world.function.bodies(), [["a"], ["b"]]);
    assert!(world.function.calls().iter().all(|call| call.function.ends_with(":function:g:live")));
}

/// Operations right after another wait for the few milliseconds in which AWS would refuse them.
#[tokio::test(start_paused = true)]
async fn operations_wait_for_each_other() {
    let world = World::new();
    let mapping =
        world.mappings.create(ACCOUNT, REGION, world.request("q", Change::default())).await.unwrap();
    assert_eq!(mapping.state.as_str(), "Creating");
    let update = UpdateMapping { enabled: Some(false), ..UpdateMapping::default() };
    assert_eq!(world.update(&mapping.key, update).await.unwrap().state.as_str(), "Disabling");
    world.until_state(&mapping.key, "Disabled").await;
    world.update(&mapping.key, UpdateMapping::default()).await.unwrap();
    assert_eq!(world.mappings.delete(&mapping.key).await.unwrap().state.as_str(), "Deleting");
}

#[tokio::test(start_paused = true)]
async fn refusals() {
    let world = World::new();
    let invalid = |text: &str| Err(Error::InvalidParameterValue(text.into()));
    let create = |queue: &str, function: &str, change: Change| {
        let mut request = world.request(queue, change);
        request.function = reference(function);
        world.mappings.create(ACCOUNT, REGION, request)
    };
    world.bodies.create(&key("short"), 29);
    let filter = |text: &str| Change { filters: Some(vec![text.to_owned()]), ..Change::default() };
    for (queue, function, change, expected) in [
        ("q", "nobody", Change::default(), "Function does not exist"),
        ("q", "f:nobody", Change::default(), "Function does not exist"),
        (
            "nothing",
            "f",
            Change::default(),
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. \
             SQS Error Message: The specified queue does not exist.",
        ),
        (
            "short",
            "f",
            Change::default(),
            "Queue visibility timeout: 29 seconds is less than Function timeout: 30 seconds",
        ),
        ("q", "f", filter("{\"a\""), "Invalid filter pattern definition."),
        ("q", "f", filter("{\"a\":1}"), "Invalid filter pattern definition."),
        ("q", "f", filter(""), "Invalid filter pattern definition."),
    ] {
        assert_eq!(create(queue, function, change).await, invalid(expected));
    }
    let first = world.map("q", Change::default()).await;
    let duplicate = create("q", "f", Change::default()).await;
    assert!(matches!(duplicate, Err(Error::ResourceConflict(text)) if text.ends_with(&*first.name)));
    // With a qualifier it is another function.
    let second = create("q", "f:$LATEST", Change::default()).await.unwrap();
    assert!(second.function_arn().ends_with(":f:$LATEST"));
    // One of two at once wins.
    let (one, two) =
        tokio::join!(create("q.fifo", "f", Change::default()), create("q.fifo", "f", Change::default()));
    assert!(one.is_ok() != two.is_ok());
    // What rests may be changed though its function is gone; it cannot be woken.
    world.functions.remove(&reference("f").key);
    world.update(&first, UpdateMapping { enabled: Some(false), ..UpdateMapping::default() }).await.unwrap();
    world.until_state(&first, "Disabled").await;
    let wake = UpdateMapping { enabled: Some(true), ..UpdateMapping::default() };
    assert_eq!(world.update(&first, wake).await, invalid("Function does not exist"));
}

#[tokio::test(start_paused = true)]
async fn lists() {
    let world = World::new();
    world.functions.put(head("g"));
    let mut request = world.request("q", Change::default());
    let first = world.mappings.create(ACCOUNT, REGION, request.clone()).await.unwrap();
    request.function = reference("g");
    let second = world.mappings.create(ACCOUNT, REGION, request).await.unwrap();
    let third =
        world.mappings.create(ACCOUNT, REGION, world.request("q.fifo", Change::default())).await.unwrap();
    let (q, f) = (key("q").arn("sqs"), reference("f"));
    for (source, function, after, limit, expected) in [
        (None, None, None, 9, vec![&first, &second, &third]),
        (None, None, None, 2, vec![&first, &second]),
        (None, None, Some(&*second.key.name), 9, vec![&third]),
        (Some(&*q), None, None, 9, vec![&first, &second]),
        (None, Some(&f), None, 9, vec![&first, &third]),
        (Some(&*q), Some(&f), None, 9, vec![&first]),
    ] {
        let listed = world.mappings.list(ACCOUNT, REGION, source, function, after, limit);
        let listed: Vec<_> = listed.iter().map(|stored| &stored.record.key).collect();
        assert_eq!(listed, expected.iter().map(|mapping| &mapping.key).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was() {
    let mut world = World::new();
    world.function.says(|_| (seconds(40), Said::Result("null")));
    let mapping = world.map("q", Change::default()).await;
    world.send("q", &["a"]).await;
    world.until_calls(1).await;
    world.mappings.shutdown(seconds(5)).await;
    assert_eq!((world.function.ended.load(Ordering::Relaxed), world.state(&mapping)), (0, "Enabled"));
    world.function.says(|_| (NOW, Said::Result("null")));
    world.restart();
    world.until_empty("q").await;
    let calls = world.function.calls();
    assert_eq!(calls.iter().map(|call| &*call.received[0]).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(calls[1].at - calls[0].at, 60, "by its visibility timeout");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_what_runs() {
    let world = World::new();
    world.function.says(|_| (seconds(10), Said::Result("null")));
    world.map("q", Change::default()).await;
    world.send("q", &["a"]).await;
    world.until_calls(1).await;
    world.send("q", &["b"]).await;
    world.mappings.shutdown(seconds(30)).await;
    let ended = world.function.ended.load(Ordering::Relaxed);
    assert_eq!(world.counts("q").await.0 + world.counts("q").await.1 + ended, 2);
    assert!(ended >= 1);
}

/// The record says what is to be done, whoever was interrupted doing it.
#[tokio::test(start_paused = true)]
async fn transitions_are_taken_up_after_a_crash() {
    use lambkin_model::mapping::State as Mapped;
    for (state, enabled, expected) in [
        (Mapped::Creating, true, "Enabled"),
        (Mapped::Enabling, true, "Enabled"),
        (Mapped::Updating, true, "Enabled"),
        (Mapped::Updating, false, "Disabled"),
        (Mapped::Disabling, false, "Disabled"),
        (Mapped::Deleting, true, "gone"),
    ] {
        let mut world = World::new();
        let mapping = world.map("q", Change::default()).await;
        world.mappings.shutdown(seconds(1)).await;
        let stored = world.records.get(&mapping).unwrap();
        let mut record = stored.record.clone();
        (record.state, record.enabled) = (state, enabled);
        world.records.put(Some(stored.revision), record).await.unwrap();
        world.restart();
        world.until_state(&mapping, expected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_mapping_asks_three_times_a_minute() {
    let world = World::new();
    world.map("q", Change::default()).await;
    let before = world.bodies.receives.load(Ordering::Relaxed);
    tokio::time::sleep(seconds(600)).await;
    let asked = world.bodies.receives.load(Ordering::Relaxed) - before;
    assert!((29..=31).contains(&asked), "{asked}");
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

/// Over the SQS-compatible service itself: FIFO receipt handles that expire, redrive, message ids.
mod over_sqs {
    use super::*;
    use crate::mapping_world::SqsWorld;

    /// The visibility timeout is shorter than the function runs, so that the messages' leases are extended,
    /// and the handles have to stay good.
    #[tokio::test(start_paused = true)]
    async fn fifo_messages_stay_invisible_while_the_function_runs() {
        let world = SqsWorld::new(&[("FifoQueue", "true"), ("VisibilityTimeout", "30")], "q.fifo").await;
        world.function.says(|call| {
            let failing = call.bodies.iter().zip(&call.received).filter(|(body, _)| *body == "a-2");
            let failing = failing.filter(|(_, received)| *received == "1").map(|(body, _)| body.clone());
            (seconds(100), Said::Report(failing.collect()))
        });
        world.send(&["a-1", "a-2", "a-3", "b-1"]).await;
        world.map(reporting()).await;
        tokio::time::sleep(seconds(1)).await;
        world.send(&["a-4"]).await;
        world.until_empty().await;
        assert_eq!(world.function.bodies(), [vec!["a-1", "a-2", "a-3", "b-1"], vec!["a-2", "a-3", "a-4"]],);
        assert_eq!(world.function.calls()[1].received, ["2", "2", "1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_too_often_is_a_dead_letter() {
        let redrive =
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":3}"#;
        let world = SqsWorld::new(&[("RedrivePolicy", redrive)], "q").await;
        world.function.says(|call| {
            let bad = call.bodies.iter().filter(|body| body.starts_with("bad")).cloned();
            (seconds(1), Said::Report(bad.collect()))
        });
        world.map(reporting()).await;
        world.send(&["good-1", "bad-1", "good-2"]).await;
        world.until_empty().await;
        let bodies = world.function.bodies();
        assert_eq!(bodies.iter().flatten().filter(|body| *body == "bad-1").count(), 3, "{bodies:?}");
        assert_eq!(bodies.iter().flatten().count(), 5);
        assert_eq!(world.receive("dead").await, ["bad-1"]);
    }
}
