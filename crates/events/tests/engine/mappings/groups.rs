//! FIFO queues: the order within a group.

use std::sync::atomic::Ordering;

use lambkin_model::mapping::Change;

use super::{NOW, reporting, seconds};
use crate::mapping_world::{Said, World};

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
