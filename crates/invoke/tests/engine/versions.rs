//! Versions and aliases: which fleet an invocation goes to, and what retires one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lambkin_invoke::InvokerConfig;
use lambkin_model::Error;
use lambkin_model::alias::{Additional, Alias, Weight};
use lambkin_model::code::CodeSha256;
use lambkin_model::function::State;
use lambkin_model::invocation::Reply;
use lambkin_model::kept::Provisioning as _;
use lambkin_model::provisioned::Provisioned;
use lambkin_model::time::Timestamp;
use lambkin_model::version::Version;

use crate::world::{World, key, payload};

fn sandboxes(world: &World) -> usize {
    world.stage.sandboxes.load(Ordering::SeqCst)
}

fn alias(version: Version, second: Option<(u64, f64)>) -> Alias {
    let additional = second.map(|(number, share)| Additional {
        version: Version::Published(number),
        weight: Weight::new(share).unwrap(),
    });
    Alias { version, additional, description: String::new(), revision_id: "r".into() }
}

/// Points `live` at a version.
fn point(world: &World, alias: Alias) {
    world.catalog.change("f", |head| {
        head.aliases.insert("live".into(), alias);
    });
}

/// Which version ran, and where.
async fn who(world: &World, qualifier: &str) -> String {
    let answer = world.start_by("f", Some(qualifier), "who").await.unwrap();
    match &answer {
        Ok(Reply { executed_version, .. }) => format!("{executed_version} {}", payload(&answer)),
        Err(error) => error.to_string(),
    }
}

/// A function with versions 1 and 2, and a `$LATEST` that is neither.
fn published() -> World {
    let world = World::new(10, 4);
    publish(&world);
    world
}

fn publish(world: &World) {
    for code in [1, 2, 3] {
        world.function("f", |version| version.code.sha256 = CodeSha256([code; 32]));
        if code < 3 {
            assert_eq!(world.catalog.publish("f"), u64::from(code));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_version_has_its_fleet_and_aliases_share_it() {
    let world = published();
    point(&world, alias(Version::Published(1), None));
    assert_eq!(who(&world, "1").await, "1 1.1.1");
    assert_eq!(who(&world, "2").await, "2 2.1.1");
    assert_eq!(who(&world, "$LATEST").await, "$LATEST 3.1.1");
    assert_eq!(who(&world, "live").await, "1 1.1.2");
    // Moved, it goes to the other version at once, and the first one's environments stay.
    point(&world, alias(Version::Published(2), None));
    assert_eq!(who(&world, "live").await, "2 2.1.2");
    assert_eq!(who(&world, "1").await, "1 1.1.3");
    point(&world, alias(Version::Latest, None));
    assert_eq!(who(&world, "live").await, "$LATEST 3.1.2");
    assert_eq!(sandboxes(&world), 3);
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_weighted_alias_goes_by_chance() {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // 0, 0.1, 0.2 … 0.9, and again.
    fn chance() -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "below ten")]
        let step = (NEXT.fetch_add(1, Ordering::SeqCst) % 10) as f64;
        step / 10.0
    }
    let world = World::with(InvokerConfig { concurrency: 10, inits: 4, chance, ..InvokerConfig::default() });
    publish(&world);
    point(&world, alias(Version::Published(1), Some((2, 0.3))));
    let mut ran = String::new();
    for _ in 0..20 {
        ran.push_str(&who(&world, "live").await[..1]);
    }
    assert_eq!(ran, "22211111112221111111");
    assert_eq!(sandboxes(&world), 2, "one each");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn only_what_is_gone_is_retired() {
    let world = published();
    for qualifier in ["1", "2", "$LATEST"] {
        who(&world, qualifier).await;
    }
    // A change of `$LATEST` is none of the others'.
    world.function("f", |version| version.code.sha256 = CodeSha256([4; 32]));
    world.settle().await;
    assert_eq!(sandboxes(&world), 2);
    assert_eq!(who(&world, "1").await, "1 1.1.2");
    let running = world.start_by("f", Some("2"), "sleep 500;who");
    world.settle().await;
    world.catalog.change("f", |head| {
        head.versions.remove(&2);
    });
    assert_eq!(payload(&running.await.unwrap()), "2.1.2", "what runs finishes");
    world.settle().await;
    assert_eq!(sandboxes(&world), 1);
    assert_eq!(who(&world, "2").await, format!("Function not found: {}:2", key("f").arn()));
    world.catalog.delete("f");
    world.settle().await;
    assert_eq!(sandboxes(&world), 0);
    // Created again, its version 1 is another.
    publish(&world);
    assert_eq!(who(&world, "1").await, "1 4.1.1");
    world.end(10).await;
}

/// An alias always leads somewhere: an invocation that was on its way to the version that it left goes to the new one.
#[tokio::test(start_paused = true)]
async fn a_version_that_goes_while_it_is_looked_up() {
    let world = published();
    point(&world, alias(Version::Published(1), None));
    world.catalog.before_body(|catalog| {
        catalog.change("f", |head| {
            head.aliases.insert("live".into(), alias(Version::Published(2), None));
        });
        catalog.delete_version("f", 1);
    });
    assert_eq!(who(&world, "live").await, "2 1.1.1");
    world.catalog.before_body(|catalog| catalog.delete("f"));
    // A new launch looks the body up.
    world.catalog.change("f", |head| {
        head.aliases.insert("live".into(), alias(Version::Latest, None));
    });
    world.catalog.publish("f");
    assert_eq!(who(&world, "3").await, format!("Function not found: {}:3", key("f").arn()));
    world.settle().await;
    assert_eq!(sandboxes(&world), 0);
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_not_ready_is_refused_and_its_own_timeout_holds() {
    let world = published();
    world.function("f", |version| version.configuration.timeout = 1);
    assert_eq!(world.catalog.publish("f"), 3);
    world.function("f", |version| version.configuration.timeout = 60);
    let state = |world: &World, state: State| {
        world.catalog.change("f", |head| head.versions.get_mut(&3).unwrap().state = state);
    };
    state(&world, State::Pending);
    assert!(matches!(world.start_by("f", Some("3"), "who").await.unwrap(), Err(Error::ResourceConflict(_))));
    state(&world, State::Failed { code: "c".into(), reason: "why".into() });
    let refused = world.start_by("f", Some("3"), "who").await.unwrap();
    assert_eq!(refused.unwrap_err(), Error::InvalidRuntime("why".into()));
    state(&world, State::Active);
    let late = payload(&world.start_by("f", Some("3"), "sleep 2000;who").await.unwrap());
    assert!(late.contains("timed out after 1.00 seconds"), "{late}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(world.start_by("f", Some("$LATEST"), "sleep 2000;who").await.unwrap().is_ok());
    world.end(10).await;
}

/// What is provisioned for an alias is its version's, and follows it; of two versions each has its share.
#[tokio::test(start_paused = true)]
async fn what_is_provisioned_for_an_alias_follows_it() {
    let world = published();
    point(&world, alias(Version::Published(1), None));
    world.catalog.change("f", |head| {
        head.provisioned.insert("live".into(), Provisioned { requested: 4, last_modified: Timestamp(1) });
    });
    let kept = |number| world.invoker.kept(&key("f"), Version::Published(number)).allocated;
    world.settle().await;
    assert_eq!((kept(1), kept(2), sandboxes(&world)), (4, 0, 4));
    point(&world, alias(Version::Published(1), Some((2, 0.25))));
    world.settle().await;
    assert_eq!((kept(1), kept(2), sandboxes(&world)), (3, 1, 4));
    point(&world, alias(Version::Published(2), None));
    world.settle().await;
    assert_eq!((kept(1), kept(2), sandboxes(&world)), (0, 4, 4));
    // Two that were busy when fewer were asked for go when they become free.
    let two =
        [world.start_by("f", Some("2"), "sleep 100;who"), world.start_by("f", Some("2"), "sleep 100;who")];
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.catalog.change("f", |head| head.provisioned.clear());
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!((kept(2), sandboxes(&world)), (0, 2));
    for one in two {
        assert!(one.await.unwrap().is_ok());
    }
    world.settle().await;
    assert_eq!(sandboxes(&world), 0);
    world.end(10).await;
}
