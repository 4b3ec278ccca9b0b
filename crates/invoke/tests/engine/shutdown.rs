//! The end of the data plane: what runs gets its grace, nothing is left.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_model::Error;
use tokio::time::Instant;

use crate::world::{World, payload};

fn left(world: &World) -> (usize, usize) {
    (world.stage.sandboxes.load(Ordering::SeqCst), world.stage.processes.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn what_ends_within_the_grace_is_answered_and_the_rest_is_killed() {
    let world = World::new(8, 2);
    world.function_with_init(900, &[("INIT_S4", "hang")]);
    let (short, tail) = (world.start("sleep 500;who"), world.start("print kept;sleep 600;who"));
    let long = world.start("print of the killed;hang");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waiting = world.start("who");
    let begun = Instant::now();
    let invoker = world.invoker.clone();
    let shutdown = tokio::spawn(async move { invoker.shutdown(Duration::from_secs(2)).await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(matches!(world.run("who").await, Err(Error::Service(_))), "no new ones");
    shutdown.await.unwrap();
    assert!((2000..2100).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert!(payload(&short.await.unwrap()).contains(".1.1"));
    assert!(payload(&tail.await.unwrap()).contains(".1.1"));
    assert!(matches!(long.await.unwrap(), Err(Error::Service(_))));
    // The one that waited took what became free first.
    assert!(payload(&waiting.await.unwrap()).contains(".1.2"));
    assert!(world.logs.lines().contains(&"of the killed".to_owned()), "its log is not lost");
    world.settle().await;
    assert_eq!(left(&world), (0, 0));
    assert!(matches!(world.run("who").await, Err(Error::Service(_))));
    world.settle().await;
    assert_eq!(left(&world), (0, 0), "nothing starts afterwards");
}

#[tokio::test(start_paused = true)]
async fn with_nothing_running_it_is_over_at_once_and_twice_is_once() {
    let world = World::new(8, 2);
    world.function("f", |_| {});
    world.say("who").await;
    world.settle().await;
    let begun = Instant::now();
    world.invoker.shutdown(Duration::from_secs(60)).await;
    world.invoker.shutdown(Duration::from_secs(60)).await;
    assert!(begun.elapsed() < Duration::from_millis(100));
    world.settle().await;
    assert_eq!(left(&world), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_invocation_that_was_being_placed_starts_nothing() {
    let world = World::new(8, 2);
    // Its runtime is fetched for ten milliseconds before it is placed.
    world.function("f", |version| {
        version.configuration.runtime = lambkin_model::runtime::Runtime::from_name("nodejs20.x").unwrap();
    });
    let placing = world.start("who");
    tokio::task::yield_now().await;
    world.invoker.shutdown(Duration::from_secs(1)).await;
    assert!(matches!(placing.await.unwrap(), Err(Error::Service(_))));
    world.settle().await;
    assert_eq!(left(&world), (0, 0));
}
