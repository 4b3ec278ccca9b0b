//! The pool: processes booted before it is known whose they will be.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_invoke::InvokerConfig;

use crate::world::{World, payload};

fn world(warm_pool: usize) -> World {
    let idle_timeout = Duration::from_secs(600);
    World::with(InvokerConfig {
        concurrency: 10,
        inits: 4,
        idle_timeout,
        memory: None,
        warm_pool,
        ..InvokerConfig::default()
    })
}

impl World {
    fn pooled(&self) -> usize {
        self.stage.inits.generic.load(Ordering::SeqCst)
    }

    /// A first invocation of a new function of so many megabytes; which sandbox it ran in.
    async fn cold(&self, name: &str, memory: u32) -> String {
        self.function(name, |version| version.configuration.memory_size = memory);
        payload(&self.start_of(name, "who").await.unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_takes_a_booted_process_and_another_is_booted() {
    let world = world(4);
    assert_eq!(world.cold("a", 128).await, "1.1.1", "nothing was booted yet");
    world.settle().await;
    assert_eq!(world.pooled(), 1, "as many as there were cold starts");
    assert_eq!(world.cold("b", 128).await, "2.1.1", "the second sandbox was booted for nobody");
    world.settle().await;
    assert_eq!((world.pooled(), world.stage.opened.load(Ordering::SeqCst)), (2, 4));
    // It is this function's alone, and like any other.
    assert_eq!(payload(&world.start_of("b", "who").await.unwrap()), "2.1.2");
    assert_eq!(world.cold("a", 128).await, "1.1.2");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn the_process_has_the_functions_variables_and_its_second_run_too() {
    let world = world(1);
    world.cold("a", 128).await;
    world.settle().await;
    world.function("f", |version| {
        version.configuration.variables = Some(BTreeMap::from([("MINE".to_owned(), "m".to_owned())]));
    });
    assert_eq!(world.say("variable MINE").await, "m");
    assert_eq!(world.say("variable AWS_LAMBDA_FUNCTION_NAME").await, "f");
    assert_eq!(world.say("variable _LAMBKIN_GENERIC").await, "");
    assert!(world.say("variable AWS_LAMBDA_RUNTIME_API").await.starts_with("127.0.0.1:"));
    assert_eq!(world.say("who").await, "2.1.5");
    world.run("exit 1").await.unwrap();
    assert_eq!(world.say("who").await, "2.2.1", "the next process starts in the same sandbox");
    assert_eq!(world.say("variable MINE").await, "m");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn its_init_is_reported_as_any_other() {
    let world = world(1);
    world.cold("a", 128).await;
    world.settle().await;
    let before = world.logs.words().len();
    world.function_with_init(3, &[("INIT", "sleep 30;print hello")]);
    assert_eq!(world.say("who").await, "2.1.1");
    assert_eq!(world.logs.words()[before..], ["INIT_START", "hello", "START", "END", "REPORT"]);
    let report = world.logs.lines().into_iter().rfind(|line| line.starts_with("REPORT")).unwrap();
    let init = report.split("Init Duration: ").nth(1).unwrap().split(' ').next().unwrap();
    assert!((30.0..60.0).contains(&init.parse::<f64>().unwrap()), "from its assignment on: {report}");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn what_must_be_there_at_the_start_starts_afresh() {
    let world = world(4);
    world.cold("a", 128).await;
    world.settle().await;
    world.function_with_init(3, &[("NODE_OPTIONS", "--trace-warnings")]);
    assert_eq!(world.say("who").await, "3.1.1");
    assert_eq!(world.cold("other-memory", 256).await, "4.1.1");
    world.settle().await;
    assert_eq!(world.pooled(), 2, "one of each memory size, none with the variable");
    assert_eq!(world.cold("b", 128).await, "2.1.1");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_is_replaced_and_one_that_cannot_be_assigned_is_not_used() {
    let world = world(1);
    world.cold("a", 128).await;
    world.settle().await;
    world.stage.inits.end_generic.notify_one();
    world.settle().await;
    assert_eq!(world.pooled(), 1);
    assert_eq!(world.cold("b", 128).await, "3.1.1");
    world.settle().await;
    world.stage.failing_assigns.store(1, Ordering::SeqCst);
    assert_eq!(world.cold("c", 128).await, "5.1.1", "the fourth could not be used");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_bounded_and_fades() {
    let world = world(3);
    let all: Vec<_> = (0..8)
        .map(|number| {
            let name = format!("f{number}");
            world.function(&name, |_| {});
            world.start_of(&name, "sleep 10;who")
        })
        .collect();
    for one in all {
        one.await.unwrap().unwrap();
    }
    world.settle().await;
    assert_eq!(world.pooled(), 3);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(world.pooled(), 3, "eight were wanted, half of that after a minute");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(world.pooled(), 0);
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_boot_waits_for_every_init_and_is_one_of_them() {
    let world = world(4);
    world.function_with_init(3, &[("INIT", "sleep 5000")]);
    let first = world.start("who");
    world.settle().await;
    assert_eq!(world.cold("b", 128).await, "2.1.1");
    world.settle().await;
    assert_eq!(world.pooled(), 0, "an init is still running");
    first.await.unwrap().unwrap();
    world.settle().await;
    assert_eq!(world.pooled(), 2);
    assert_eq!(world.stage.inits.peak.load(Ordering::SeqCst), 2);
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn without_memory_nothing_is_booted_until_there_is_some() {
    let world = World::with(InvokerConfig {
        concurrency: 10,
        inits: 4,
        idle_timeout: Duration::from_secs(5),
        memory: Some(130 << 20),
        warm_pool: 2,
        ..InvokerConfig::default()
    });
    world.function("a", |version| version.configuration.timeout = 60);
    // It counts 128 MB until it was measured.
    let running = world.start_of("a", "sleep 2000;who");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        (world.pooled(), world.stage.opened.load(Ordering::SeqCst)),
        (0, 1),
        "nothing was booted in vain"
    );
    running.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!((world.pooled(), world.stage.opened.load(Ordering::SeqCst)), (1, 2));
    world.invoker.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_boot_that_fails_is_tried_again_later() {
    let world = world(1);
    world.stage.start_takes.store(10, Ordering::SeqCst);
    world.cold("a", 128).await;
    world.stage.failing_opens.store(1, Ordering::SeqCst);
    world.settle().await;
    assert_eq!(world.pooled(), 0);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(world.pooled(), 1);
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn an_update_of_the_runtime_lets_go_of_the_old_ones() {
    let world = world(1);
    world.cold("a", 128).await;
    world.settle().await;
    assert_eq!(world.pooled(), 1);
    world.runtimes.gone.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(world.pooled(), 0);
    world.runtimes.gone.store(false, Ordering::SeqCst);
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_those_that_wait_and_those_that_boot() {
    for settle in [false, true] {
        let world = world(4);
        world.stage.start_takes.store(100, Ordering::SeqCst);
        world.cold("a", 128).await;
        tokio::time::sleep(Duration::from_millis(if settle { 1000 } else { 50 })).await;
        assert_eq!(world.pooled(), usize::from(settle));
        world.invoker.shutdown(Duration::from_secs(5)).await;
        world.settle().await;
        assert_eq!(world.stage.sandboxes.load(Ordering::SeqCst), 0);
        assert_eq!(world.stage.processes.load(Ordering::SeqCst), 0);
    }
}
