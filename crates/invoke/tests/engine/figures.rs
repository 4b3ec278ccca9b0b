//! Figures: what is there is counted where it is, and nothing twice, whatever becomes of functions and environments.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_invoke::InvokerConfig;
use lambkin_model::figure::{Figure, FigureKind, FigureValue, Figures as _};

use crate::world::{World, payload};

const MB: u64 = 1 << 20;

fn world(warm_pool: usize, memory: Option<u64>) -> World {
    World::with(InvokerConfig {
        concurrency: 20,
        inits: 8,
        idle_timeout: Duration::from_secs(600),
        memory,
        warm_pool,
        ..InvokerConfig::default()
    })
}

/// By name and what its labels say, without the function's region and account.
fn seen(world: &World) -> BTreeMap<String, u64> {
    let figures = world.invoker.figures();
    let mut seen = BTreeMap::new();
    for Figure { name, labels, value, .. } in figures {
        let FigureValue::Whole(value) = value else { panic!("{name} is a count") };
        let labels = labels.iter().map(|(_, label)| label.rsplit(':').next().unwrap_or_default());
        let name = name.trim_start_matches("lambkin_").trim_end_matches("_total");
        let full = [name].into_iter().chain(labels).collect::<Vec<_>>().join(" ");
        assert_eq!(seen.insert(full.clone(), value), None, "{full} comes once");
    }
    seen
}

impl World {
    fn figure(&self, name: &str) -> Option<u64> {
        seen(self).get(name).copied()
    }

    /// Starting, idle, busy, leaving.
    fn census(&self, name: &str) -> [u64; 4] {
        let seen = seen(self);
        ["starting", "idle", "busy", "leaving"]
            .map(|state| seen.get(&format!("environments {name} {state}")).copied().unwrap_or(0))
    }

    /// L0, L1, L2, and L3.
    fn starts(&self, name: &str) -> [u64; 4] {
        let seen = seen(self);
        let cold = |level: &str| seen[&format!("cold_starts {name} {level}")];
        [cold("L0"), cold("L1"), cold("L2"), seen[&format!("warm_starts {name}")]]
    }
}

#[tokio::test(start_paused = true)]
async fn environments_are_counted_by_what_they_do() {
    let world = world(0, Some(1000 * MB));
    world.function_with_init(60, &[("INIT", "sleep 500")]);
    assert_eq!(world.census("f"), [0, 0, 0, 0]);
    let two = [world.start("sleep 1000;who"), world.start("sleep 2000;who")];
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((world.census("f"), world.figure("inits_running")), ([2, 0, 0, 0], Some(2)));
    assert_eq!(world.figure("environments_memory_bytes f"), Some(256 * MB), "nothing was measured yet");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.census("f"), [0, 0, 2, 0]);
    assert_eq!((world.figure("concurrent_executions f"), world.figure("inits_running")), (Some(2), Some(0)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.census("f"), [0, 1, 1, 0]);
    // Changed, the idle one goes at once, the other after its invocation.
    world.function("f", |version| version.configuration.memory_size = 256);
    world.settle().await;
    assert_eq!(world.census("f"), [0, 0, 1, 0], "what still runs is counted, though no new one goes there");
    for one in two {
        one.await.unwrap().unwrap();
    }
    world.settle().await;
    assert_eq!((world.census("f"), world.figure("environments_memory_bytes f")), ([0, 0, 0, 0], Some(0)));
    world.say("who").await;
    assert_eq!((world.census("f"), world.starts("f")), ([0, 1, 0, 0], [3, 0, 0, 0]));
    assert_eq!(world.figure("environments_memory_bytes f"), world.figure("memory_used_bytes"));
    assert_eq!(world.figure("environments_memory_bytes f"), Some(50 * MB), "what it was measured to use");
    assert_eq!(world.figure("memory_limit_bytes"), Some(1000 * MB));
    world.catalog.delete("f");
    world.settle().await;
    assert_eq!((world.census("f"), world.figure("warm_starts f")), ([0, 0, 0, 0], None), "it is no function");
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn one_whose_process_is_killed_is_starting_until_it_has_another() {
    let world = world(0, None);
    world.function("f", |version| version.configuration.timeout = 1);
    world.stage.kill_takes.store(1000, Ordering::SeqCst);
    let running = world.start("sleep 5000");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(world.census("f"), [1, 0, 0, 0]);
    running.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.census("f"), [0, 1, 0, 0]);
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn starts_are_counted_by_what_was_ready() {
    let world = world(2, None);
    for name in ["a", "b", "c"] {
        world.function(name, |_| {});
    }
    world.stage.ready.store(1, Ordering::SeqCst);
    let say = async |name: &str| payload(&world.start_of(name, "who").await.unwrap());
    say("a").await;
    say("a").await;
    say("a").await;
    assert_eq!(world.starts("a"), [0, 1, 0, 2], "a jail was ready");
    assert_eq!(world.figure("pool_misses nodejs22.x 128"), Some(1));
    world.settle().await;
    assert_eq!(world.figure("pool_processes nodejs22.x 128"), Some(1));
    assert_eq!(world.figure("pool_memory_bytes"), Some(16 * MB));
    say("b").await;
    assert_eq!(world.starts("b"), [0, 0, 1, 0], "a process was ready");
    world.settle().await;
    assert_eq!(world.figure("pool_processes nodejs22.x 128"), Some(2));
    // What the pool gave could not be used, and no jail was ready.
    world.stage.failing_assigns.store(1, Ordering::SeqCst);
    say("c").await;
    assert_eq!(world.starts("c"), [1, 0, 0, 0], "nothing was");
    assert_eq!(world.figure("pool_hits nodejs22.x 128"), Some(2));
    // A kind that nobody has asked for yet.
    world.function("a", |version| version.configuration.memory_size = 512);
    say("a").await;
    assert_eq!(world.figure("pool_misses nodejs22.x 512"), Some(1));
    assert_eq!((world.starts("a"), world.figure("pool_limit")), ([1, 1, 0, 2], Some(2)));
    world.end(20).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_no_cold_start() {
    let world = world(0, None);
    world.function("f", |_| {});
    world.keep("f", 2);
    world.settle().await;
    assert_eq!(
        (world.figure("provisioned_concurrency f"), world.figure("provisioned_starts f")),
        (Some(2), Some(2))
    );
    assert_eq!(world.figure("concurrency_unreserved"), Some(18));
    world.say("who").await;
    assert_eq!((world.starts("f"), world.census("f")), ([0, 0, 0, 1], [0, 2, 0, 0]));
    world.keep("f", 0);
    world.settle().await;
    assert_eq!(world.census("f"), [0, 0, 0, 0]);
    world.end(20).await;
}

/// What exporters rely on.
#[tokio::test(start_paused = true)]
async fn names_are_consistent() {
    let world = world(2, Some(4000 * MB));
    for name in ["a", "b"] {
        world.function(name, |_| {});
        world.keep(name, 1);
        world.start_of(name, "who").await.unwrap().unwrap();
    }
    let mut families = BTreeMap::new();
    for figure in world.invoker.figures() {
        let names: Vec<_> = figure.labels.iter().map(|(name, _)| *name).collect();
        let family = (figure.kind == FigureKind::Counter, figure.help, names);
        assert_eq!(*families.entry(figure.name).or_insert_with(|| family.clone()), family);
        assert_eq!(figure.name.ends_with("_total"), figure.kind == FigureKind::Counter, "{figure:?}");
        assert!(figure.help.ends_with('.') && figure.name.starts_with("lambkin_"), "{figure:?}");
    }
    world.end(20).await;
}
