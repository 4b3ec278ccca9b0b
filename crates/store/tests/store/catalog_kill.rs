//! `kill -9` at any moment: the catalog opens again and holds every write that was answered.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lambkin_model::catalog::{Catalog, CatalogRead};
use lambkin_model::code::{CodeRead, CodeStore};
use lambkin_store::{Store, StoreConfig};

use crate::support::{SOON, head, key, runtime, zip_of};

const DIRECTORY: &str = "LAMBKIN_TEST_WRITER";
const FUNCTIONS: u64 = 40;

/// Not a test by itself: the process that is killed. It writes without end from several tasks and
/// says each answered write, `f3 17`, and each kept package, `code 17`, on standard output.
#[test]
#[ignore = "a helper of the test below"]
fn writer() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = Store::open(Path::new(&directory), StoreConfig::default()).unwrap();
    runtime().block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8 {
            let catalog = store.catalog();
            tasks.spawn(async move {
                for round in 0.. {
                    let name = format!("f{}", (task + 8 * round) % FUNCTIONS);
                    let (expected, mark) = catalog
                        .head(&key(&name))
                        .map_or((None, 0), |head| (Some(head.revision), head.record.next_version));
                    catalog.put(expected, head(&name, mark + 1)).await.unwrap();
                    say(&format!("{name} {}", mark + 1));
                }
            });
        }
        let code = store.code();
        tasks.spawn(async move {
            for round in 0_u64.. {
                code.put(package(round)).await.unwrap();
                say(&format!("code {round}"));
            }
        });
        tasks.join_all().await;
    });
}

fn say(line: &str) {
    // One write a line, unbuffered: what is killed has said what it answered.
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@ {line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn package(round: u64) -> bytes::Bytes {
    zip_of(&[("index.js", round.to_string().as_bytes()), ("lib/a.js", b"")])
}

/// The helper, killed however the test ends.
struct Writer(Child);

impl Writer {
    fn start(directory: &Path) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "catalog_kill::writer", "--ignored", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_answered_write_outlives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut answered: HashMap<String, u64> = HashMap::new();
    for round in 0_u64..40 {
        let mut writer = Writer::start(directory.path());
        let mut lines = BufReader::new(writer.0.stdout.take().unwrap()).lines();
        // It is killed after its first answer and some time that differs by round: in the middle of
        // whatever it does then.
        let wait = Duration::from_micros(200 + round * round * 977 % 60_000);
        let mut kill_at = None;
        for line in &mut lines {
            let line = line.unwrap();
            let Some((name, mark)) = line.strip_prefix("@ ").and_then(|line| line.split_once(' ')) else {
                continue;
            };
            let mark: u64 = mark.parse().unwrap();
            // Marks of one function grow; packages begin anew with each process.
            let last = answered.entry(name.to_owned()).or_default();
            *last = mark.max(*last);
            if Instant::now() >= *kill_at.get_or_insert_with(|| Instant::now() + wait) {
                // What it had said before it died is still in the pipe, and is read below.
                writer.0.kill().unwrap();
            }
        }
        assert!(kill_at.is_some(), "round {round}: the writer did not write");
        writer.0.wait().unwrap();

        let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
        for (name, mark) in &answered {
            if name == "code" {
                for round in 0..=*mark {
                    let sha256 = lambkin_model::code::CodeSha256::of(&package(round));
                    let task = store.code().unpacked(sha256).unwrap();
                    assert_eq!(std::fs::read(task.join("index.js")).unwrap(), round.to_string().as_bytes());
                }
            } else {
                let stored = store.catalog().head(&key(name)).unwrap();
                assert!(stored.record.next_version >= *mark, "round {round}: {name} is at {mark}");
            }
        }
        assert!(store.close(SOON));
    }
    assert!(answered.len() > 1);
}
