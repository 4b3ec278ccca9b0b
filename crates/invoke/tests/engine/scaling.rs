//! Environments of a published version within its scaling: as many are kept as its minimum, and there are never more than its
//! maximum.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_invoke::InvokerConfig;
use lambkin_model::Error;
use lambkin_model::error::ThrottleReason;
use lambkin_model::kept::{KeepFailure, Kept, Provisioning as _};
use lambkin_model::metric::FunctionMetric;
use lambkin_model::provisioned::Provisioned;
use lambkin_model::scaling::{Scaling, ScalingConfig};
use lambkin_model::time::Timestamp;
use lambkin_model::version::Version;
use tokio::task::JoinHandle;

use crate::world::{World, key, payload};

type Run = JoinHandle<Result<lambkin_model::invocation::Reply, Error>>;

/// The function `f` with version 1.
fn published() -> World {
    let world = World::new(10, 4);
    world.function("f", |version| version.configuration.timeout = 60);
    assert_eq!(world.catalog.publish("f"), 1);
    world
}

async fn scale(world: &World, min: Option<u32>, max: Option<u32>) {
    world.catalog.change("f", |head| {
        let config = ScalingConfig { min, max };
        head.scaling.insert(1, Scaling { config, last_modified: Timestamp(1) });
    });
    world.settle().await;
}

fn start(world: &World, words: &'static str) -> Run {
    world.start_by("f", Some("1"), words)
}

/// How many of version 1 are kept, initialised, and there at all.
fn there(world: &World) -> (usize, usize, usize) {
    let kept = world.invoker.kept(&key("f"), Version::Published(1));
    let environments = world.invoker.environments(&key("f"), Version::Published(1));
    (kept.requested, kept.allocated, environments)
}

fn sandboxes(world: &World) -> usize {
    world.stage.sandboxes.load(Ordering::SeqCst)
}

fn is_throttled(result: Result<lambkin_model::invocation::Reply, Error>) -> bool {
    let reason = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
    matches!(result, Err(Error::TooManyRequests { reason: said }) if said == reason)
}

#[tokio::test(start_paused = true)]
async fn a_minimum_is_initialised_before_anyone_asks_and_stays() {
    let world = World::with(InvokerConfig {
        concurrency: 10,
        inits: 4,
        idle_timeout: Duration::from_secs(60),
        ..InvokerConfig::default()
    });
    world.function_with_init(60, &[("INIT", "sleep 1000")]);
    world.catalog.publish("f");
    scale(&world, Some(2), None).await;
    assert_eq!(there(&world), (2, 0, 2), "they are on their way");
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!((there(&world), sandboxes(&world)), ((2, 2, 2), 2));
    let begun = tokio::time::Instant::now();
    assert!(payload(&start(&world, "sleep 10;who").await.unwrap()).ends_with(".1.1"));
    assert!(begun.elapsed() < Duration::from_millis(500), "no init");
    // Nothing of it is provisioned: it is measured as nothing that is.
    assert_eq!(world.metrics.of("f:1", FunctionMetric::ProvisionedConcurrencyInvocations), (0, 0.0));
    // Beyond it they come and go.
    let all: Vec<_> = (0..3).map(|_| start(&world, "sleep 10;who")).collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(there(&world), (2, 2, 3));
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!((there(&world), sandboxes(&world)), ((2, 2, 2), 2));
    scale(&world, Some(0), None).await;
    assert_eq!((there(&world), sandboxes(&world)), ((0, 0, 0), 0));
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn provisioned_ones_count_for_the_minimum() {
    let world = published();
    scale(&world, Some(2), None).await;
    let provision = |requested| {
        world.catalog.change("f", |head| {
            head.provisioned.insert("1".into(), Provisioned { requested, last_modified: Timestamp(1) });
        });
    };
    for (requested, kept) in [(1, 2), (3, 3), (2, 2)] {
        provision(requested);
        world.settle().await;
        assert_eq!((there(&world), sandboxes(&world)), ((kept, kept, kept), kept), "{requested}");
    }
    provision(1);
    world.settle().await;
    // One of two that run is the provisioned one, the other went beyond it.
    let both = [start(&world, "sleep 10;who"), start(&world, "sleep 10;who")];
    for one in both {
        one.await.unwrap().unwrap();
    }
    let measured = |metric| world.metrics.of("f:1", metric);
    assert_eq!(measured(FunctionMetric::ProvisionedConcurrencyInvocations), (1, 1.0));
    assert_eq!(measured(FunctionMetric::ProvisionedConcurrencySpilloverInvocations), (1, 1.0));
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn beyond_a_maximum_is_throttled() {
    let world = published();
    scale(&world, None, Some(2)).await;
    let running = [start(&world, "sleep 1000;who"), start(&world, "sleep 1000;who")];
    world.settle().await;
    assert!(is_throttled(start(&world, "who").await.unwrap()));
    assert!(world.start("who").await.unwrap().is_ok(), "$LATEST has no part in it");
    assert_eq!(there(&world), (0, 0, 2));
    for one in running {
        one.await.unwrap().unwrap();
    }
    assert!(start(&world, "who").await.unwrap().is_ok());
    assert_eq!(world.metrics.of("f:1", FunctionMetric::Throttles).1, 1.0);
    // Raised while two run.
    let mut running = vec![start(&world, "sleep 5000;who"), start(&world, "sleep 5000;who")];
    world.settle().await;
    scale(&world, None, Some(3)).await;
    running.push(start(&world, "sleep 5000;who"));
    world.settle().await;
    assert_eq!(there(&world), (0, 0, 3));
    // Lowered while three run: they end as they began.
    scale(&world, None, Some(1)).await;
    assert!(is_throttled(start(&world, "who").await.unwrap()));
    assert_eq!(there(&world), (0, 0, 3));
    for one in running {
        assert!(one.await.unwrap().is_ok());
    }
    world.settle().await;
    assert_eq!(there(&world), (0, 0, 1));
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_lowered_maximum_retires_those_that_are_idle() {
    let world = published();
    let all: Vec<_> = (0..4).map(|_| start(&world, "sleep 10;who")).collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(there(&world), (0, 0, 4));
    scale(&world, None, Some(3)).await;
    assert_eq!((there(&world), sandboxes(&world)), ((0, 0, 3), 3));
    // What is to be kept begins in place of those that came by themselves.
    scale(&world, Some(2), Some(2)).await;
    assert_eq!((there(&world), sandboxes(&world)), ((2, 2, 2), 2));
    // One of those runs: it is waited for, and there is never one too many.
    scale(&world, Some(0), Some(1)).await;
    let one = start(&world, "sleep 1000;who");
    world.settle().await;
    let opened = world.stage.opened.load(Ordering::SeqCst);
    scale(&world, Some(1), Some(1)).await;
    assert_eq!((there(&world), world.stage.opened.load(Ordering::SeqCst)), ((1, 0, 1), opened));
    one.await.unwrap().unwrap();
    world.settle().await;
    assert_eq!((there(&world), world.stage.opened.load(Ordering::SeqCst)), ((1, 1, 1), opened + 1));
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_maximum_of_none_deactivates() {
    let world = published();
    scale(&world, Some(1), Some(2)).await;
    let running = start(&world, "sleep 1000;who");
    tokio::time::sleep(Duration::from_millis(20)).await;
    scale(&world, Some(0), Some(0)).await;
    assert_eq!(there(&world), (0, 0, 1), "it is deactivating");
    let refused = start(&world, "who").await.unwrap().unwrap_err();
    let said = "The operation cannot be performed at this time. The function is currently in the following state: Deactivated";
    assert_eq!(refused, Error::ResourceConflict(said.into()));
    assert!(running.await.unwrap().is_ok());
    world.settle().await;
    assert_eq!((there(&world), sandboxes(&world)), ((0, 0, 0), 0));
    scale(&world, Some(1), Some(2)).await;
    assert_eq!(there(&world), (1, 1, 1));
    assert!(start(&world, "who").await.unwrap().is_ok());
    world.catalog.delete_version("f", 1);
    world.settle().await;
    assert_eq!((there(&world), sandboxes(&world)), ((0, 0, 0), 0));
    world.end(10).await;
}

/// An alias that moves takes what is provisioned along, to a version that may have less.
#[tokio::test(start_paused = true)]
async fn what_is_provisioned_beyond_the_maximum_is_said() {
    let world = published();
    world.catalog.change("f", |head| {
        head.provisioned.insert("1".into(), Provisioned { requested: 3, last_modified: Timestamp(1) });
    });
    scale(&world, None, Some(2)).await;
    let failure = Some(KeepFailure::Capacity("the version's MaxExecutionEnvironments is 2".into()));
    let kept = world.invoker.kept(&key("f"), Version::Published(1));
    assert_eq!(kept, Kept { requested: 2, allocated: 2, available: 2, failure });
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_minimum_that_memory_has_no_room_for_is_said() {
    let memory = Some(300 << 20);
    let world = World::with(InvokerConfig { concurrency: 10, inits: 4, memory, ..InvokerConfig::default() });
    world.function("f", |_| {});
    world.catalog.publish("f");
    scale(&world, Some(3), None).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let kept = world.invoker.kept(&key("f"), Version::Published(1));
    // Never measured, they count 128 each.
    let failure = Some(KeepFailure::Capacity("no memory for another environment".into()));
    assert_eq!(kept, Kept { requested: 3, allocated: 2, available: 2, failure });
    scale(&world, Some(2), None).await;
    let kept = world.invoker.kept(&key("f"), Version::Published(1));
    assert_eq!(kept, Kept { requested: 2, allocated: 2, available: 2, failure: None });
    world.end(10).await;
}
