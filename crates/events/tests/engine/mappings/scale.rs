//! How many batches run at once, and how often an idle mapping asks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_model::mapping::Change;

use super::seconds;
use crate::mapping_world::{Said, World};

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
async fn an_idle_mapping_asks_three_times_a_minute() {
    let world = World::new();
    world.map("q", Change::default()).await;
    let before = world.bodies.receives.load(Ordering::Relaxed);
    tokio::time::sleep(seconds(600)).await;
    let asked = world.bodies.receives.load(Ordering::Relaxed) - before;
    assert!((29..=31).contains(&asked), "{asked}");
}
