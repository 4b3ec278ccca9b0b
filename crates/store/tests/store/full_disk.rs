//! A disk that is really full: what is refused leaves nothing behind, and what was kept is there.

use std::path::Path;
use std::process::Command;

use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead};
use lambkin_model::code::{CodeError, CodeRead, CodeStore};
use lambkin_store::{Store, StoreConfig};

use crate::support::{head, key, runtime, zip_of};

const DIRECTORY: &str = "LAMBKIN_TEST_FULL";

/// Not a test by itself: it runs on a small disk of its own.
#[test]
#[ignore = "a helper of the test below"]
fn on_a_small_disk() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let store = Store::open(directory, StoreConfig::default()).unwrap();
    let (catalog, code) = (store.catalog(), store.code());
    runtime().block_on(async {
        let small = code.put(zip_of(&[("index.js", b"1")])).await.unwrap();
        let large = zip_of(&[("a", &vec![0; 3 << 20]), ("large", &vec![0; 40 << 20])]);
        for answer in [code.put(large.clone()).await, code.check(large.clone()).await] {
            let Err(CodeError::Unavailable(reason)) = answer else { panic!("{answer:?}") };
            assert!(reason.contains("No space left on device"), "{reason}");
        }
        let left: Vec<_> = std::fs::read_dir(directory.join("code")).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert!(code.unpacked(small.sha256).is_some());

        let mut written = Vec::new();
        let refused = loop {
            let mut head = head(&format!("f{}", written.len()), 1);
            head.latest.configuration.description = "x".repeat(200_000);
            match catalog.put(None, head.clone()).await {
                Ok(revision) => written.push((revision, head)),
                Err(error) => break error,
            }
        };
        let CatalogError::Unavailable(reason) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("full"), "{reason}");
        // What was written reads; and when there is room again, writing goes on.
        assert_eq!(catalog.all().len(), written.len());
        code.sweep([].into(), std::time::Duration::ZERO).await.unwrap();
        std::fs::remove_file(directory.join("ballast")).unwrap();
        catalog.put(None, head("after", 1)).await.unwrap();
        drop((catalog, code, store));
        let store = Store::open(directory, StoreConfig::default()).unwrap();
        assert_eq!(store.catalog().all().len(), written.len() + 1);
        for (revision, head) in written {
            let stored = store.catalog().head(&head.key).unwrap();
            assert_eq!((stored.revision, &stored.record), (revision, &head));
        }
        assert!(store.catalog().head(&key("after")).is_some());
    });
    println!("@ done");
}

#[test]
fn full_it_refuses_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // A file system of 16 MB in a mount namespace of its own needs no rights.
    let script = "mount -t tmpfs -o size=16m none \"$LAMBKIN_TEST_FULL\" || exit 77
        head -c 4194304 /dev/zero > \"$LAMBKIN_TEST_FULL/ballast\" || exit 77
        exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full_disk::on_a_small_disk", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .output();
    let Ok(output) = output else {
        eprintln!("left out: there is no `unshare` here");
        return;
    };
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) || said.starts_with("unshare:") {
        eprintln!("left out: this machine does not let tests mount: {said}");
        return;
    }
    assert!(output.status.success() && said.contains("@ done"), "{said}");
}
