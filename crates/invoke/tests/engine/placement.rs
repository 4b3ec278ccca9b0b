//! One environment for each concurrent invocation, most recently used first; the limits.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_invoke::InvokerConfig;
use lambkin_model::Error;
use lambkin_model::error::ThrottleReason;
use tokio::time::Instant;

use crate::world::{World, payload};

fn opened(world: &World) -> usize {
    world.stage.opened.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn one_after_another_reuse_one_environment() {
    let world = World::new(10, 4);
    world.function("f", |_| {});
    for expected in ["1.1.1", "1.1.2", "1.1.3"] {
        assert_eq!(world.say("who").await, expected);
    }
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn concurrent_ones_scale_out_and_the_most_recently_used_comes_first() {
    let world = World::new(10, 4);
    world.function("f", |_| {});
    // The first asked for is the last to end.
    let all = ["sleep 300;who", "sleep 200;who", "sleep 100;who"].map(|words| world.start(words));
    let mut last = String::new();
    for (index, one) in all.into_iter().enumerate() {
        let who = payload(&one.await.unwrap());
        if index == 0 {
            last = who.replace(".1.1", ".1.2");
        }
    }
    assert_eq!(opened(&world), 3);
    world.settle().await;
    assert_eq!(world.say("who").await, last);
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_is_a_throttle_and_permits_come_back() {
    let world = World::new(3, 4);
    world.function("f", |_| {});
    let all = ["who", "exit 3", "hang"].map(|words| world.start(words));
    tokio::task::yield_now().await;
    let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
    assert_eq!(world.run("who").await, Err(Error::TooManyRequests { reason }));
    for one in all {
        one.await.unwrap().unwrap();
    }
    world.end(3).await;
}

#[tokio::test(start_paused = true)]
async fn waiting_ones_take_the_first_that_is_free_and_unneeded_starts_are_cancelled() {
    let world = World::new(10, 1);
    world.function_with_init(3, &[("INIT_S2", "sleep 5000")]);
    world.say("who").await;
    let begun = Instant::now();
    let busy = world.start("sleep 100;who");
    tokio::task::yield_now().await;
    // The second environment takes five seconds, and two more wait for their turn behind it.
    let waiting: Vec<_> = (0..3).map(|_| world.start("sleep 10;who")).collect();
    assert_eq!(payload(&busy.await.unwrap()), "1.1.2");
    for (index, one) in waiting.into_iter().enumerate() {
        assert_eq!(payload(&one.await.unwrap()), format!("1.1.{}", index + 3));
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(opened(&world), 2, "the third and the fourth are not made");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_waiting_one_takes_a_new_environment_where_that_is_first() {
    let world = World::new(10, 1);
    world.function_with_init(30, &[("INIT", "sleep 1000")]);
    world.say("who").await;
    let begun = Instant::now();
    let busy = world.start("sleep 20000;who");
    tokio::task::yield_now().await;
    assert_eq!(world.say("who").await, "2.1.1");
    assert!((1000..1100).contains(&begun.elapsed().as_millis()));
    busy.await.unwrap().unwrap();
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn inits_at_once_are_bounded() {
    let world = World::new(20, 3);
    world.function_with_init(3, &[("INIT", "sleep 100")]);
    let begun = Instant::now();
    let all: Vec<_> = (0..12).map(|_| world.start("sleep 1000;who")).collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(world.stage.inits.peak.load(Ordering::SeqCst), 3);
    assert!(begun.elapsed() >= Duration::from_millis(1400), "four rounds of inits");
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn idle_environments_retire_and_used_ones_stay() {
    let idle_timeout = Duration::from_secs(60);
    let world = World::with(InvokerConfig {
        concurrency: 10,
        inits: 4,
        idle_timeout,
        memory: None,
        warm_pool: 0,
        ..InvokerConfig::default()
    });
    world.function("f", |_| {});
    let both = [world.start("sleep 10;who"), world.start("sleep 20;who")];
    for one in both {
        one.await.unwrap().unwrap();
    }
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.say("who").await;
    }
    let sandboxes = || world.stage.sandboxes.load(Ordering::SeqCst);
    assert_eq!(sandboxes(), 1, "the one that was not used went");
    tokio::time::sleep(idle_timeout + Duration::from_secs(20)).await;
    assert_eq!(sandboxes(), 0);
    assert_eq!(world.say("who").await, "3.1.1");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn idle_environments_of_one_function_make_room_for_another() {
    let world = World::new(4, 4);
    for name in ["f", "g"] {
        world.function(name, |_| {});
        let all: Vec<_> = (0..4).map(|_| world.start_of(name, "sleep 10;who")).collect();
        for one in all {
            one.await.unwrap().unwrap();
        }
        world.settle().await;
        assert_eq!(world.stage.sandboxes.load(Ordering::SeqCst), 4, "{name}");
    }
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_loses_no_permit() {
    for (words, patience, case) in [("who", 10, "while it waits"), ("sleep 1000;who", 300, "while it runs")] {
        let world = World::new(1, 1);
        world.function_with_init(3, &[("INIT", "sleep 100")]);
        let caller = world.start(words);
        tokio::time::sleep(Duration::from_millis(patience)).await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(world.say("who").await.starts_with("1.1."), "{case}");
        world.end(1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_started_is_lambkin_s_failure_and_passes() {
    let world = World::new(4, 2);
    world.function("f", |_| {});
    world.stage.failing_opens.store(1, Ordering::SeqCst);
    assert_eq!(world.run("who").await, Err(Error::Service("no room".into())));
    assert_eq!(world.say("who").await, "1.1.1");
    world.say("exit 1").await;
    // The environment's next process cannot be started, and the one after it can.
    world.stage.failing_starts.store(1, Ordering::SeqCst);
    assert_eq!(world.run("who").await, Err(Error::Service("no processes left".into())));
    assert_eq!(world.say("who").await, "1.2.1");
    // Ahead of an invocation: that starts it once more.
    world.catalog.delete("f");
    world.function("f", |_| {});
    world.stage.failing_starts.store(1, Ordering::SeqCst);
    assert_eq!(world.say("who").await, "2.1.1");
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_launcher_that_does_not_answer_is_not_waited_for() {
    let world = World::new(4, 2);
    world.function("f", |_| {});
    world.say("exit 1").await;
    world.stage.start_takes.store(100_000, Ordering::SeqCst);
    let begun = Instant::now();
    assert!(matches!(world.run("who").await, Err(Error::Service(_))));
    assert!(begun.elapsed() < Duration::from_secs(20));
    // A new environment: its opening is not waited for either.
    world.function("g", |_| {});
    assert!(matches!(world.start_of("g", "who").await.unwrap(), Err(Error::Service(_))));
    world.stage.start_takes.store(0, Ordering::SeqCst);
    assert!(payload(&world.start_of("g", "who").await.unwrap()).ends_with(".1.1"));
    assert_eq!(world.say("who").await, "1.2.1");
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn missing_code_is_lambkin_s_failure_and_passes() {
    let world = World::new(4, 2);
    world.function("f", |_| {});
    world.code.missing.store(true, Ordering::SeqCst);
    assert!(matches!(world.run("who").await, Err(Error::Service(_))));
    world.code.missing.store(false, Ordering::SeqCst);
    assert_eq!(world.say("who").await, "1.1.1");
    // A warm function needs no store.
    world.code.missing.store(true, Ordering::SeqCst);
    assert_eq!(world.say("who").await, "1.1.2");
    world.code.missing.store(false, Ordering::SeqCst);
    world.end(4).await;
}
