//! Mappings are made, changed, switched off and on, deleted, and outlive a crash.

use std::sync::atomic::Ordering;

use lambkin_events::mapping::UpdateMapping;
use lambkin_model::Error;
use lambkin_model::function::State;
use lambkin_model::mapping::Change;
use lambkin_model::record::Records;

use super::{NOW, seconds};
use crate::mapping_world::{ACCOUNT, REGION, Said, World, head, key, reference};

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
