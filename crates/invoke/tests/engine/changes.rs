//! What a change of the function means for its environments.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_model::Error;
use lambkin_model::code::CodeSha256;
use lambkin_model::function::{FunctionVersion, State};
use lambkin_model::runtime::Runtime;
use tokio::time::Instant;

use crate::world::{World, payload};

fn sandboxes(world: &World) -> usize {
    world.stage.sandboxes.load(Ordering::SeqCst)
}

type Change = fn(&mut FunctionVersion);

/// Change → whether processes see it.
const CHANGES: [(&str, Change, bool); 8] = [
    ("code", |version| version.code.sha256 = CodeSha256([2; 32]), true),
    ("variables", |version| version.configuration.variables = Some(BTreeMap::new()), true),
    ("memory", |version| version.configuration.memory_size = 256, true),
    ("handler", |version| version.configuration.handler = "other.handler".into(), true),
    ("description", |version| version.configuration.description = "other".into(), false),
    ("timeout", |version| version.configuration.timeout = 900, false),
    ("revision", |version| version.revision_id = "other".into(), false),
    ("nothing", |_| {}, false),
];

#[tokio::test(start_paused = true)]
async fn only_what_a_process_sees_retires_its_environment() {
    for (what, change, seen) in CHANGES {
        let world = World::new(4, 2);
        world.function("f", |_| {});
        assert_eq!(world.say("who").await, "1.1.1");
        world.settle().await;
        world.function("f", change);
        world.settle().await;
        assert_eq!(sandboxes(&world), usize::from(!seen), "{what}: an idle one goes at once, or stays");
        assert_eq!(world.say("who").await, if seen { "2.1.1" } else { "1.1.2" }, "{what}");
        world.end(4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_runs_finishes_on_the_old_and_what_comes_starts_on_the_new() {
    let world = World::new(4, 2);
    world.function_with_init(3, &[("WHICH", "old")]);
    let running = world.start("sleep 1000;variable WHICH");
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.function_with_init(3, &[("WHICH", "new")]);
    assert_eq!(world.say("variable WHICH").await, "new");
    assert_eq!(payload(&running.await.unwrap()), "old");
    world.settle().await;
    assert_eq!(sandboxes(&world), 1, "the old one went after its invocation");
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn what_waited_when_the_function_changed_is_answered() {
    let world = World::new(8, 1);
    world.function_with_init(3, &[("INIT", "sleep 200")]);
    let waiting: Vec<_> = (0..4).map(|_| world.start("sleep 50;who")).collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.function_with_init(3, &[("INIT", "sleep 100")]);
    for one in waiting {
        one.await.unwrap().unwrap();
    }
    world.settle().await;
    assert_eq!(sandboxes(&world), 0, "the old ones went");
    world.end(8).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_timeout_counts_from_the_next_invocation_on() {
    let world = World::new(4, 2);
    world.function("f", |version| version.configuration.timeout = 2);
    let running = world.start("hang");
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.function("f", |version| version.configuration.timeout = 1);
    assert!(payload(&running.await.unwrap()).contains("after 2.00 seconds"));
    let begun = Instant::now();
    assert!(world.say("hang").await.contains("after 1.00 seconds"));
    assert!(begun.elapsed() < Duration::from_millis(1100));
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_deleted_and_created_again_is_another_one() {
    let world = World::new(4, 2);
    world.function("f", |_| {});
    assert_eq!(world.say("who").await, "1.1.1");
    let running = world.start("sleep 500;who");
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.catalog.delete("f");
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST".to_owned();
    assert_eq!(world.run("who").await, Err(Error::FunctionNotFound { arn }));
    world.function("f", |_| {});
    assert_eq!(world.say("who").await, "2.1.1");
    assert_eq!(payload(&running.await.unwrap()), "1.1.2", "what runs finishes");
    world.settle().await;
    assert_eq!(sandboxes(&world), 1);
    world.end(4).await;
}

/// Its runtime is fetched for ten milliseconds before its first environment is made.
#[tokio::test(start_paused = true)]
async fn a_change_while_an_invocation_is_being_placed_is_not_missed() {
    let slow = |version: &mut FunctionVersion| {
        version.configuration.runtime = Runtime::from_name("nodejs20.x").unwrap();
    };
    let world = World::new(4, 2);
    world.function("f", slow);
    let deleted = world.start("who");
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.catalog.delete("f");
    assert!(matches!(deleted.await.unwrap(), Err(Error::FunctionNotFound { .. })));
    world.settle().await;
    assert_eq!(sandboxes(&world), 0);

    world.function("f", slow);
    let changed = world.start("variable WHICH");
    tokio::time::sleep(Duration::from_millis(5)).await;
    world.function_with_init(3, &[("WHICH", "new")]);
    assert_eq!(payload(&changed.await.unwrap()), "new");
    assert_eq!(sandboxes(&world), 1);
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_that_is_not_active_runs_nothing() {
    let world = World::new(4, 2);
    world.function("f", |version| version.state = State::Pending);
    assert!(matches!(world.run("who").await, Err(Error::ResourceConflict(_))));
    let failed = || State::Failed { code: "InvalidRuntime".into(), reason: "no such build".into() };
    world.function("f", |version| version.state = failed());
    assert_eq!(world.run("who").await, Err(Error::InvalidRuntime("no such build".into())));
    world.function("f", |version| version.state = State::Active);
    assert_eq!(world.say("who").await, "1.1.1");
    world.end(4).await;
}
