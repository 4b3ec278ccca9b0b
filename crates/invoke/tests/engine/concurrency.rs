//! Reserved concurrency: its own pool, and what is left to the others.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_model::Error;
use lambkin_model::error::ThrottleReason;
use lambkin_model::invocation::Reply;
use lambkin_model::metric::FunctionMetric;
use tokio::task::JoinHandle;

use crate::world::{World, payload};

const ACCOUNT: Error = Error::TooManyRequests { reason: ThrottleReason::ConcurrentInvocationLimitExceeded };
const FUNCTION: Error =
    Error::TooManyRequests { reason: ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded };

type Running = JoinHandle<Result<Reply, Error>>;

/// Starts as many, which run until the answer of `ended`.
async fn start(world: &World, name: &str, count: usize) -> Vec<Running> {
    let all = (0..count).map(|_| world.start_of(name, "sleep 1000;who")).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    all
}

async fn ended(all: Vec<Running>) {
    for one in all {
        one.await.unwrap().unwrap();
    }
}

async fn said(world: &World, name: &str) -> Result<(), Error> {
    world.start_of(name, "who").await.unwrap().map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn a_reservation_is_a_bound_and_a_guarantee() {
    let world = World::new(5, 8);
    for name in ["f", "g"] {
        world.function(name, |version| version.configuration.timeout = 60);
    }
    world.reserve("f", Some(2));
    let others = start(&world, "g", 3).await;
    assert_eq!(said(&world, "g").await, Err(ACCOUNT), "two are not theirs");
    let own = start(&world, "f", 2).await;
    assert_eq!(said(&world, "f").await, Err(FUNCTION));
    ended(others).await;
    ended(own).await;
    assert_eq!(said(&world, "f").await, Ok(()));
    world.reserve("f", None);
    world.end(5).await;
}

#[tokio::test(start_paused = true)]
async fn none_reserved_runs_nothing() {
    let world = World::new(4, 4);
    world.function("f", |_| {});
    world.reserve("f", Some(0));
    assert_eq!(said(&world, "f").await, Err(FUNCTION));
    assert_eq!(world.stage.opened.load(Ordering::SeqCst), 0);
    world.reserve("f", None);
    assert_eq!(said(&world, "f").await, Ok(()));
    world.end(4).await;
}

/// What is throttled is no invocation; the answer comes after what is measured of it.
#[tokio::test(start_paused = true)]
async fn runs_and_throttles_are_measured() {
    let world = World::new(4, 4);
    world.function("f", |_| {});
    assert_eq!(said(&world, "f").await, Ok(()));
    assert_eq!(world.metrics.of("f", FunctionMetric::Invocations), (1, 1.0));
    assert_eq!(world.metrics.of("f", FunctionMetric::Errors), (1, 0.0));
    world.reserve("f", Some(0));
    assert_eq!(said(&world, "f").await, Err(FUNCTION));
    assert_eq!(world.metrics.of("f", FunctionMetric::Throttles), (2, 1.0));
    assert_eq!(world.metrics.of("f", FunctionMetric::Invocations), (1, 1.0));
    world.reserve("f", None);
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_acts_on_the_next_invocation_and_retires_nothing() {
    let world = World::new(6, 8);
    for name in ["f", "g"] {
        world.function(name, |version| version.configuration.timeout = 60);
    }
    let running = start(&world, "f", 3).await;
    // What runs already counts.
    world.reserve("f", Some(3));
    assert_eq!(said(&world, "f").await, Err(FUNCTION));
    let others = start(&world, "g", 3).await;
    assert_eq!(said(&world, "g").await, Err(ACCOUNT));
    // Lowered below what runs: it finishes.
    world.reserve("f", Some(1));
    assert_eq!(said(&world, "f").await, Err(FUNCTION));
    assert_eq!(said(&world, "g").await, Err(ACCOUNT), "the account's limit holds until then");
    ended(running).await;
    ended(others).await;
    world.reserve("f", None);
    let used = payload(&world.start("who").await.unwrap());
    assert!(used.ends_with(".1.2"), "in an environment that was there: {used}");
    world.settle().await;
    assert_eq!(world.stage.opened.load(Ordering::SeqCst), 6);
    assert_eq!(world.stage.sandboxes.load(Ordering::SeqCst), 6, "all environments are still there");
    world.end(6).await;
}

#[tokio::test(start_paused = true)]
async fn a_reservation_goes_with_its_function() {
    let world = World::new(3, 4);
    for name in ["f", "g"] {
        world.function(name, |version| version.configuration.timeout = 60);
    }
    world.reserve("f", Some(3));
    assert_eq!(said(&world, "g").await, Err(ACCOUNT));
    let running = start(&world, "f", 2).await;
    world.catalog.delete("f");
    // The two finish, and are the account's now.
    let others = start(&world, "g", 1).await;
    assert_eq!(said(&world, "g").await, Err(ACCOUNT));
    world.function("f", |_| {});
    assert_eq!(said(&world, "f").await, Err(ACCOUNT), "created again it has none");
    ended(running).await;
    ended(others).await;
    world.end(3).await;
}
