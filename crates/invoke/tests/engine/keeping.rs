//! Environments that are kept initialised.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use lambkin_invoke::InvokerConfig;
use lambkin_model::catalog::Head;
use lambkin_model::kept::{KeepFailure, Kept, Provisioning as _};
use lambkin_model::metric::FunctionMetric;
use lambkin_model::provisioned::Provisioned;
use lambkin_model::time::Timestamp;
use lambkin_model::version::Version;

use crate::world::{World, key, payload};

fn sandboxes(world: &World) -> usize {
    world.stage.sandboxes.load(Ordering::SeqCst)
}

fn kept(requested: usize, allocated: usize, available: usize) -> Kept {
    Kept { requested, allocated, available, failure: None }
}

#[tokio::test(start_paused = true)]
async fn they_are_initialised_before_anyone_asks() {
    let world = World::new(10, 4);
    world.function_with_init(3, &[("INIT", "sleep 1000")]);
    assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(0, 0, 0));
    world.keep("f", 3);
    world.settle().await;
    assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(3, 0, 0));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(3, 3, 3));
    let begun = tokio::time::Instant::now();
    let running = [world.start("sleep 500;who"), world.start("sleep 500;who")];
    world.settle().await;
    assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(3, 3, 1));
    for one in running {
        assert!(payload(&one.await.unwrap()).ends_with(".1.1"));
    }
    assert!(begun.elapsed() < Duration::from_millis(600), "no init");
    world.settle().await;
    assert_eq!((world.invoker.kept(&key("f"), Version::Latest), sandboxes(&world)), (kept(3, 3, 3), 3));
    world.end(10).await;
}

/// Two changes at once: whichever look at the head the first has had when the second comes, the second counts.
#[tokio::test(start_paused = true)]
async fn the_last_of_two_changes_at_once_counts() {
    let keep = |head: &mut Head, requested| {
        let last_modified = Timestamp(u64::from(requested));
        head.provisioned.insert("1".into(), Provisioned { requested, last_modified });
    };
    for looks in 0..3 {
        let world = World::new(10, 4);
        world.function("f", |_| {});
        world.catalog.publish("f");
        world.catalog.change("f", |head| keep(head, 1));
        world.settle().await;
        let catalog = Arc::clone(&world.catalog);
        let (sender, other) = mpsc::channel();
        world.catalog.change("f", |head| {
            keep(head, 2);
            world.catalog.after_looks(looks, move |_| {
                let (begun, done) = mpsc::channel();
                let change = std::thread::spawn(move || {
                    catalog.change("f", |head| keep(head, 5));
                    begun.send(())
                });
                // Where it has to wait for the first, the first must not wait for it.
                let _ = done.recv_timeout(Duration::from_millis(100));
                sender.send(change).unwrap();
            });
        });
        other.recv_timeout(Duration::from_secs(10)).expect("it looks").join().unwrap().ok();
        world.settle().await;
        assert_eq!(world.invoker.kept(&key("f"), Version::Published(1)).requested, 5, "after {looks} looks");
        world.catalog.change("f", |head| head.provisioned.clear());
        world.end(10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn they_do_not_retire_and_those_beyond_them_do() {
    let idle_timeout = Duration::from_secs(60);
    let world = World::with(InvokerConfig {
        concurrency: 10,
        inits: 4,
        idle_timeout,
        memory: None,
        warm_pool: 0,
        ..InvokerConfig::default()
    });
    world.function("f", |version| version.configuration.timeout = 60);
    world.keep("f", 2);
    world.settle().await;
    let all: Vec<_> = (0..4).map(|_| world.start("sleep 100;who")).collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(sandboxes(&world), 4);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!((sandboxes(&world), world.invoker.kept(&key("f"), Version::Latest)), (2, kept(2, 2, 2)));
    world.keep("f", 1);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(sandboxes(&world), 1);
    world.keep("f", 0);
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!((sandboxes(&world), world.invoker.kept(&key("f"), Version::Latest)), (0, kept(0, 0, 0)));
    assert_eq!(world.stage.opened.load(Ordering::SeqCst), 4, "none was retired and replaced");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn those_that_end_are_replaced() {
    // In its handler; after its result; while nobody looks.
    for words in ["exit 1", "respond x;exit 1", "respond x;ready;sleep 50;exit 1", "hang"] {
        let world = World::new(10, 4);
        world.function("f", |_| {});
        world.keep("f", 2);
        world.settle().await;
        let used = world.run(words).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(2, 2, 2), "{words}: {used:?}");
        assert_eq!((sandboxes(&world), world.stage.opened.load(Ordering::SeqCst)), (2, 3), "{words}");
        // Both have their process: no init is left to an invocation.
        let both = [world.start("sleep 10;who"), world.start("sleep 10;who")];
        for one in both {
            let who = payload(&one.await.unwrap());
            assert!(who.contains(".1."), "{words}: {who}");
        }
        world.end(10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_function_keeps_its_new_ones_and_a_deleted_one_none() {
    let world = World::new(10, 4);
    world.function_with_init(3, &[("WHICH", "old")]);
    world.keep("f", 2);
    world.settle().await;
    world.function_with_init(3, &[("WHICH", "new")]);
    world.settle().await;
    assert_eq!((sandboxes(&world), world.invoker.kept(&key("f"), Version::Latest)), (2, kept(2, 2, 2)));
    assert_eq!(world.stage.opened.load(Ordering::SeqCst), 4);
    assert_eq!(world.say("variable WHICH").await, "new");
    world.function("f", |version| version.configuration.description = "other".into());
    world.settle().await;
    assert_eq!(world.stage.opened.load(Ordering::SeqCst), 4, "what no process sees replaces nothing");
    world.catalog.delete("f");
    world.settle().await;
    assert_eq!((sandboxes(&world), world.invoker.kept(&key("f"), Version::Latest)), (0, kept(0, 0, 0)));
    world.function("f", |_| {});
    world.settle().await;
    assert_eq!(sandboxes(&world), 0, "another function keeps nothing");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_init_is_said_and_tried_again_from_time_to_time() {
    let world = World::new(10, 4);
    world.function_with_init(3, &[("INIT", "initerror {};exit 1")]);
    world.keep("f", 2);
    world.settle().await;
    let failed = |failure| Kept { failure: Some(failure), ..kept(2, 0, 0) };
    assert_eq!(
        (world.invoker.kept(&key("f"), Version::Latest), sandboxes(&world)),
        (failed(KeepFailure::Init), 0)
    );
    let opened = world.stage.opened.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let more = world.stage.opened.load(Ordering::SeqCst) - opened;
    assert!((6..=14).contains(&more), "two each ten seconds: {more}");
    world.function("f", |version| version.configuration.variables = Some(BTreeMap::new()));
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(2, 2, 2));

    world.function("g", |_| {});
    world.stage.failing_opens.store(1, Ordering::SeqCst);
    world.keep("g", 1);
    world.settle().await;
    let failure = Some(KeepFailure::Platform("no room".into()));
    assert_eq!(world.invoker.kept(&key("g"), Version::Latest), Kept { failure, ..kept(1, 0, 0) });
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!(world.invoker.kept(&key("g"), Version::Latest), kept(1, 1, 1));
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn they_make_no_room_for_others() {
    let memory = Some(300 << 20);
    let idle_timeout = Duration::from_secs(600);
    let world = World::with(InvokerConfig {
        concurrency: 10,
        inits: 4,
        idle_timeout,
        memory,
        warm_pool: 0,
        ..InvokerConfig::default()
    });
    for name in ["f", "g"] {
        world.function(name, |version| version.configuration.timeout = 60);
    }
    world.keep("f", 2);
    world.settle().await;
    assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(2, 2, 2));
    // Never measured, they count 128 each.
    assert!(world.start_of("g", "who").await.unwrap().is_err());
    assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(2, 2, 2));
    world.keep("f", 1);
    assert!(world.start_of("g", "who").await.unwrap().is_ok());
    world.settle().await;
    assert_eq!((sandboxes(&world), world.invoker.kept(&key("f"), Version::Latest)), (2, kept(1, 1, 1)));
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_that_becomes_active_later_has_its_own_then() {
    use lambkin_model::function::State;
    let world = World::new(10, 4);
    world.function("f", |version| version.state = State::Pending);
    world.keep("f", 1);
    world.settle().await;
    assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(1, 0, 0));
    world.function("f", |version| version.state = State::Active);
    world.settle().await;
    assert_eq!(world.invoker.kept(&key("f"), Version::Latest), kept(1, 1, 1));
    world.end(10).await;
}

/// AWS's metrics of provisioned concurrency: how many run at once, which of the runs they had, and which went elsewhere.
#[tokio::test(start_paused = true)]
async fn what_is_kept_is_measured_with_each_invocation() {
    use FunctionMetric::{
        ProvisionedConcurrencyInvocations as Invocations,
        ProvisionedConcurrencySpilloverInvocations as Spillover,
        ProvisionedConcurrencyUtilization as Utilization, ProvisionedConcurrentExecutions as Executions,
    };
    let world = World::new(10, 4);
    world.function("f", |version| version.configuration.timeout = 60);
    world.say("who").await;
    let measured = |metric| world.metrics.of("f", metric);
    for metric in [Invocations, Spillover, Utilization, Executions] {
        assert_eq!(measured(metric), (0, 0.0), "nothing is kept");
    }
    world.keep("f", 2);
    world.settle().await;
    let all: Vec<_> = (0..3).map(|_| world.start("sleep 1000;who")).collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!((measured(Invocations), measured(Spillover)), ((2, 2.0), (1, 1.0)));
    // One, two, and two while the third runs beside them.
    assert_eq!((measured(Executions), measured(Utilization)), ((3, 5.0), (3, 2.5)));
    world.say("who").await;
    assert_eq!((measured(Invocations), measured(Executions)), ((3, 3.0), (4, 6.0)), "the others have ended");
    // One that crashes has ended too.
    world.run("exit 1").await.unwrap();
    world.settle().await;
    world.say("who").await;
    assert_eq!(measured(Executions), (6, 8.0));
    world.end(10).await;
}
