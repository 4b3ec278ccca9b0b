//! Memory admission. Every process of the fake launcher is measured to use 50 MB; a function has
//! 128 MB unless said.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_invoke::InvokerConfig;
use lambkin_model::Error;
use lambkin_model::error::ThrottleReason;
use tokio::time::Instant;

use crate::world::{World, payload};

fn world(megabytes: u64) -> World {
    with_pool(megabytes, 0)
}

fn with_pool(megabytes: u64, warm_pool: usize) -> World {
    let world = World::with(InvokerConfig {
        concurrency: 20,
        inits: 8,
        idle_timeout: Duration::from_secs(600),
        memory: Some(megabytes << 20),
        warm_pool,
        ..InvokerConfig::default()
    });
    for name in ["f", "g"] {
        world.function(name, |version| version.configuration.timeout = 60);
    }
    world
}

fn sandboxes(world: &World) -> usize {
    world.stage.sandboxes.load(Ordering::SeqCst)
}

/// So many idle environments of a function.
async fn idle(world: &World, name: &str, count: usize) {
    let all: Vec<_> = (0..count).map(|_| world.start_of(name, "sleep 1000;who")).collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_waits_for_room() {
    let world = world(300);
    let begun = Instant::now();
    let all: Vec<_> = (0..3).map(|_| world.start("sleep 1000;who")).collect();
    world.settle().await;
    assert_eq!(sandboxes(&world), 2, "three times 128 is more than 300");
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert!((2000..2300).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    // The two that were measured count 50 each: there is room for one more that was not.
    idle(&world, "f", 3).await;
    assert_eq!(sandboxes(&world), 3);
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn idle_environments_make_room_the_oldest_first() {
    let world = world(300);
    idle(&world, "f", 2).await;
    idle(&world, "f", 1).await;
    assert_eq!(sandboxes(&world), 2);
    // 100 idle and 128 new fit; another 128 is 56 too many, so both must go.
    let first = world.start_of("g", "sleep 1000;who");
    world.settle().await;
    assert_eq!(sandboxes(&world), 3, "nothing goes without need");
    let second = world.start_of("g", "sleep 100;who");
    world.settle().await;
    assert_eq!(sandboxes(&world), 2);
    assert!(second.is_finished());
    for one in [first, second] {
        one.await.unwrap().unwrap();
    }
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn the_one_idle_longest_goes_and_no_more_than_needed() {
    let world = world(200);
    for name in ["f", "g", "f", "h"] {
        world.function(name, |_| {});
        // 50 of f, 50 of g, 128 new of h.
        assert!(world.start_of(name, "who").await.unwrap().is_ok());
        world.settle().await;
    }
    assert_eq!(sandboxes(&world), 2);
    assert_eq!(world.say("who").await, "1.1.3", "f was used after g");
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_becomes_idle_makes_room_for_one_that_waits() {
    // Measured for the first time, which gives some back, or not.
    for before in [0, 1] {
        let world = world(150);
        idle(&world, "f", before).await;
        let running = world.start("sleep 1000;who");
        world.settle().await;
        let begun = Instant::now();
        let waiting = world.start_of("g", "who");
        assert_eq!(payload(&running.await.unwrap()), format!("1.1.{}", before + 1));
        assert_eq!(payload(&waiting.await.unwrap()), "2.1.1");
        assert!(begun.elapsed() < Duration::from_secs(1));
        world.settle().await;
        assert_eq!(sandboxes(&world), 1);
        world.end(20).await;
    }
}

#[tokio::test(start_paused = true)]
async fn idle_ones_do_not_go_in_vain() {
    let world = world(300);
    idle(&world, "f", 1).await;
    world.function("big", |version| {
        version.configuration.memory_size = 250;
        version.configuration.timeout = 60;
    });
    let big = world.start_of("big", "sleep 20000;who");
    world.settle().await;
    // 50 idle and 250 fill it. Without the idle one there would still be no room for 128.
    let refused = world.start_of("g", "who");
    world.settle().await;
    assert_eq!(sandboxes(&world), 2);
    assert!(refused.await.unwrap().is_err());
    assert_eq!(world.say("who").await, "1.1.2", "it is still there");
    big.await.unwrap().unwrap();
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_bounded_and_ends_in_a_throttle() {
    let world = world(130);
    let running = world.start("sleep 30000;who");
    world.settle().await;
    let begun = Instant::now();
    let both = [world.start_of("g", "who"), world.start_of("g", "who")];
    let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
    for one in both {
        assert_eq!(one.await.unwrap(), Err(Error::TooManyRequests { reason }));
    }
    assert!((10_000..10_100).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    running.await.unwrap().unwrap();
    assert_eq!(payload(&world.start_of("g", "who").await.unwrap()), "2.1.1");
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_room_takes_an_environment_that_becomes_free() {
    let world = world(130);
    let running = world.start("sleep 1000;who");
    world.settle().await;
    let waiting: Vec<_> = (0..3).map(|_| world.start("who")).collect();
    running.await.unwrap().unwrap();
    for (index, one) in waiting.into_iter().enumerate() {
        assert_eq!(payload(&one.await.unwrap()), format!("1.1.{}", index + 2));
    }
    world.settle().await;
    assert_eq!(world.stage.opened.load(Ordering::SeqCst), 1);
    // What is not wanted any more holds nobody up.
    assert_eq!(payload(&world.start_of("g", "who").await.unwrap()), "2.1.1");
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_larger_than_all_there_is_runs_alone() {
    let world = world(300);
    world.function("big", |version| {
        version.configuration.memory_size = 10_240;
        version.configuration.timeout = 60;
    });
    idle(&world, "f", 2).await;
    let big = world.start_of("big", "sleep 1000;who");
    world.settle().await;
    assert_eq!(sandboxes(&world), 1);
    let other = world.start("sleep 10;who");
    assert_eq!(payload(&big.await.unwrap()), "3.1.1");
    assert_eq!(payload(&other.await.unwrap()), "4.1.1");
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_have_their_turns_in_order() {
    let world = world(200);
    world.function("big", |version| {
        version.configuration.memory_size = 200;
        version.configuration.timeout = 60;
    });
    let running = world.start("sleep 1000;who");
    world.settle().await;
    // It needs everything, and small ones that would fit come after it.
    let big = world.start_of("big", "sleep 1000;who");
    world.settle().await;
    let small = world.start_of("g", "sleep 10;who");
    running.await.unwrap().unwrap();
    assert_eq!(payload(&big.await.unwrap()), "2.1.1");
    assert_eq!(payload(&small.await.unwrap()), "3.1.1");
    world.end(20).await;
}

/// A booted process of the pool counts 16 MB.
#[tokio::test(start_paused = true)]
async fn booted_processes_go_after_idle_environments_and_only_where_that_helps() {
    let world = with_pool(300, 2);
    let booted = || world.stage.inits.generic.load(Ordering::SeqCst);
    let sized = |name: &str, megabytes: u32| {
        world.function(name, |version| {
            version.configuration.memory_size = megabytes;
            version.configuration.timeout = 60;
        });
    };
    for name in ["a", "b"] {
        sized(name, 128);
        assert!(world.start_of(name, "who").await.unwrap().is_ok());
        world.settle().await;
    }
    assert_eq!((sandboxes(&world), booted()), (4, 2));
    // 32 and 260 fit without the two that are idle.
    sized("large", 260);
    let large = world.start_of("large", "sleep 20000;who");
    world.settle().await;
    assert_eq!(booted(), 2, "idle environments go first");
    // In 40 there is none for 128, with or without the pool.
    let refused = world.start_of("f", "who");
    world.settle().await;
    assert_eq!(booted(), 2, "none goes in vain");
    assert!(refused.await.unwrap().is_err());
    // For 20 there is, once one of them is gone.
    sized("small", 20);
    let begun = Instant::now();
    assert!(world.start_of("small", "who").await.unwrap().is_ok());
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(booted(), 1, "no more than needed");
    assert!(large.await.unwrap().is_ok());
    world.end(20).await;
}
