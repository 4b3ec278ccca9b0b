//! Node.js's compile cache: which environment makes it, which have it, and that no event gets into it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use lambkin_invoke::InvokerConfig;
use lambkin_model::compile_cache::{CacheFile, CacheOwner, CompileCaches, MOST_FILES};
use lambkin_model::runtime::Runtime;
use lambkin_model::sandbox::CompileCache;

use crate::world::World;

/// The port, in memory.
#[derive(Default)]
pub struct Caches {
    kept: Mutex<HashMap<CacheOwner, Vec<CacheFile>>>,
}

impl Caches {
    /// All files there are, as `name=content`.
    fn files(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let text = |file: &CacheFile| format!("{}={}", file.name, String::from_utf8_lossy(&file.content));
        kept.values().flatten().map(text).collect()
    }

    fn lose(&self) {
        self.kept.lock().unwrap().clear();
    }
}

fn place(owner: &CacheOwner) -> PathBuf {
    format!("/caches/{}/{}", owner.identity, owner.launch[0]).into()
}

impl CompileCaches for Caches {
    fn find(&self, owner: &CacheOwner) -> Option<PathBuf> {
        self.kept.lock().unwrap().contains_key(owner).then(|| place(owner))
    }

    fn keep(&self, owner: &CacheOwner, files: &[CacheFile]) -> Option<PathBuf> {
        self.kept.lock().unwrap().insert(owner.clone(), files.to_vec());
        Some(place(owner))
    }

    fn retain(&self, identity: &str, version: &str, launch: Option<[u8; 32]>) {
        let over = |owner: &CacheOwner| {
            owner.identity == identity && owner.version == version && Some(owner.launch) != launch
        };
        self.kept.lock().unwrap().retain(|owner, _| !over(owner));
    }

    fn sweep(&self, identities: &HashSet<String>) {
        self.kept.lock().unwrap().retain(|owner, _| identities.contains(&owner.identity));
    }
}

const HEAVY: &str = "loaded 50000";
const MAKES: &str = "loaded 50000;cache v22/1 code";

impl World {
    /// One whose environments are gone by the next invocation.
    fn of_cold_starts(warm_pool: usize, init: &str) -> Self {
        let idle_timeout = Duration::from_millis(100);
        let world = Self::with(InvokerConfig {
            concurrency: 10,
            inits: 4,
            idle_timeout,
            memory: None,
            warm_pool,
            ..InvokerConfig::default()
        });
        world.function_with_init(3, &[("INIT", init)]);
        world
    }

    /// A cold start of `f`, and what it had of a cache.
    async fn cold_start(&self) -> CompileCache {
        self.run("who").await.unwrap();
        self.settle().await;
        self.stage.compile_caches.lock().unwrap().last().unwrap().clone()
    }

    async fn cold_starts(&self, count: usize) -> Vec<CompileCache> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.cold_start().await);
        }
        all
    }
}

fn is_kept(cache: &CompileCache) -> bool {
    matches!(cache, CompileCache::Kept(_))
}

#[tokio::test(start_paused = true)]
async fn a_heavy_function_has_one_from_its_third_start_on() {
    for warm_pool in [0, 2] {
        let world = World::of_cold_starts(warm_pool, MAKES);
        let all = world.cold_starts(4).await;
        assert_eq!(all[..2], [CompileCache::None, CompileCache::Empty], "pool of {warm_pool}");
        assert!(is_kept(&all[2]) && all[2] == all[3], "{all:?}");
        assert_eq!(world.caches.files(), ["v22/1=code"], "a reader's own files are not taken");
        world.end(10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn others_have_none() {
    for (init, variables) in [
        ("loaded 39999;cache v22/1 code", ("A", "1")),
        ("cache v22/1 code", ("A", "1")),
        (MAKES, ("NODE_COMPILE_CACHE", "/tmp/mine")),
        (MAKES, ("NODE_DISABLE_COMPILE_CACHE", "1")),
    ] {
        let world = World::of_cold_starts(0, init);
        world.function_with_init(3, &[("INIT", init), variables]);
        assert_eq!(world.cold_starts(3).await, vec![CompileCache::None; 3], "{init} {variables:?}");
        world.end(10).await;
    }
    let world = World::of_cold_starts(0, MAKES);
    world.function("f", |version| version.configuration.runtime = Runtime::from_name("nodejs18.x").unwrap());
    assert_eq!(world.cold_starts(3).await, vec![CompileCache::None; 3], "Node.js 18 has no such cache");
}

#[tokio::test(start_paused = true)]
async fn no_event_gets_into_it() {
    let world = World::of_cold_starts(0, MAKES);
    world.cold_start().await;
    world.run("cache v22/1 evil;cache v22/2 evil;respond 1").await.unwrap();
    world.settle().await;
    assert_eq!(world.caches.files(), ["v22/1=code"]);
    world.end(10).await;

    // What the init of a second process reads may be what an event left in `/tmp`.
    let world = World::of_cold_starts(0, "");
    world.function_with_init(3, &[("INIT_1", HEAVY), ("INIT_2", MAKES)]);
    world.cold_start().await;
    world.run("exit 1").await.unwrap();
    assert_eq!(world.say("who").await, "2.2.1", "the second process of the sandbox");
    world.settle().await;
    assert_eq!(world.stage.compile_caches.lock().unwrap()[1], CompileCache::Empty);
    assert_eq!(world.caches.files(), Vec::<String>::new());
    assert_eq!(world.cold_start().await, CompileCache::None, "it is not tried again");
    world.end(10).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_against_the_rules_is_none() {
    let many = (0..=MOST_FILES).map(|number| format!("cache v/{number} x")).collect::<Vec<_>>().join(";");
    let large = (0..3).map(|n| format!("cache v/{n} {}", "x".repeat(3 << 20))).collect::<Vec<_>>().join(";");
    for words in ["cache ../x code", "cache v22/1 code;cache /etc/x code", &many, &large] {
        let world = World::of_cold_starts(0, &format!("{HEAVY};{words}"));
        let all = world.cold_starts(3).await;
        assert_eq!(all, [CompileCache::None, CompileCache::Empty, CompileCache::None]);
        assert_eq!(world.caches.files(), Vec::<String>::new());
        world.end(10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_launch_has_its_own() {
    let world = World::of_cold_starts(0, MAKES);
    assert!(is_kept(&world.cold_starts(3).await[2]));
    world.function("f", |version| version.configuration.memory_size = 256);
    world.settle().await;
    assert_eq!(world.caches.files(), Vec::<String>::new(), "it went with its launch");
    let all = world.cold_starts(3).await;
    assert_eq!(all[..2], [CompileCache::None, CompileCache::Empty]);
    assert!(is_kept(&all[2]));
    world.caches.lose();
    assert_eq!(world.cold_start().await, CompileCache::None, "what is lost is made anew");
    world.catalog.delete("f");
    world.settle().await;
    assert_eq!(world.caches.files(), Vec::<String>::new());
}
