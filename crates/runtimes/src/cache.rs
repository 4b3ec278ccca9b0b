//! The cache directory: its layout, the check of the binaries in it, and the locks by which several
//! lambkin processes share it. Everything appears in it by a rename from `tmp/` in the same root.
//!
//! A binary is hashed at its first use in this process and again whenever its file has changed
//! since; in between a look at the file's identity is enough.
//!
//! Deliberately not here: where binaries come from (`fetch.rs`) and the SDK's own layout (`sdk.rs`).

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::source::{SourceError, Stop};
use crate::table::Row;

/// How long another lambkin process may hold a lock: longer than its own deadlines add up to.
const LOCK_PATIENCE: Duration = Duration::from_secs(40 * 60);
/// flock has no timed form; this is how often it is asked.
const LOCK_POLL: Duration = Duration::from_millis(50);
/// What is older than this in `tmp/` was left behind by a killed process.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// What a hash was computed of: a file that has changed in any of these is hashed again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        Ok(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// What the cache holds in a binary's place.
#[derive(Debug)]
pub(crate) enum Cached {
    /// The pinned binary.
    Good,
    /// Nothing.
    Absent,
    /// Something else, or something unreadable; the text says what.
    Bad(String),
}

/// The cache directory.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
    verified: Mutex<HashMap<PathBuf, Identity>>,
}

impl Cache {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, verified: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a build's executable is kept.
    pub(crate) fn node(&self, row: &Row) -> PathBuf {
        self.build(row).join("bin/node")
    }

    fn build(&self, row: &Row) -> PathBuf {
        self.root.join("node").join(format!("{}-{}", row.version, row.platform))
    }

    /// Whether this process has hashed the executable as it is now. Never reads the file.
    pub(crate) fn is_verified(&self, row: &Row) -> bool {
        let path = self.node(row);
        let Ok(identity) = Identity::of(&path) else { return false };
        self.verified.lock().is_ok_and(|known| known.get(&path) == Some(&identity))
    }

    /// Looks at the executable and, unless this process has done so already, hashes it. Blocks.
    pub(crate) fn check(&self, row: &Row) -> Cached {
        if self.is_verified(row) {
            return Cached::Good;
        }
        let path = self.node(row);
        let found = match hash_file(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Cached::Absent,
            Err(error) => return Cached::Bad(format!("cannot be read: {error}")),
        };
        let (identity, hash, mode) = found;
        if hash != row.sha256 {
            return Cached::Bad(format!("has SHA-256 {hash}, not the pinned {}", row.sha256));
        }
        if mode & 0o111 == 0 {
            // A copied cache may have lost its modes. Changing the mode changes the identity.
            if let Err(error) = fs::set_permissions(&path, fs::Permissions::from_mode(0o755)) {
                return Cached::Bad(format!("is not executable: {error}"));
            }
            self.remember(path);
        } else {
            self.remember_as(path, identity);
        }
        Cached::Good
    }

    /// Moves a verified executable from `tmp/` to its place, over whatever was there.
    pub(crate) fn adopt(&self, row: &Row, executable: &Path) -> io::Result<()> {
        let place = self.node(row);
        fs::create_dir_all(self.build(row).join("bin"))?;
        fs::set_permissions(executable, fs::Permissions::from_mode(0o755))?;
        fs::rename(executable, &place)?;
        self.remember(place);
        Ok(())
    }

    /// Takes a build out of the cache; `false` where there was none. What runs keeps running.
    pub(crate) fn remove(&self, row: &Row) -> io::Result<bool> {
        let build = self.build(row);
        if let Ok(mut known) = self.verified.lock() {
            known.remove(&self.node(row));
        }
        let grave = self.staging()?;
        match fs::rename(&build, grave.path().join("removed")) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn remember(&self, path: PathBuf) {
        if let Ok(identity) = Identity::of(&path) {
            self.remember_as(path, identity);
        }
    }

    fn remember_as(&self, path: PathBuf, identity: Identity) {
        if let Ok(mut known) = self.verified.lock() {
            known.insert(path, identity);
        }
    }

    /// A fresh directory on the cache's file system, gone when dropped.
    pub(crate) fn staging(&self) -> io::Result<TempDir> {
        let tmp = self.root.join("tmp");
        fs::create_dir_all(&tmp)?;
        sweep(&tmp);
        tempfile::Builder::new().prefix("staging-").tempdir_in(tmp)
    }

    /// The lock of this name, held until the file is dropped or the process ends. Blocks.
    ///
    /// # Errors
    /// I/O, the stop, or another process that holds it for too long.
    pub(crate) fn lock(&self, name: &str, stop: &Stop) -> Result<File, SourceError> {
        let locks = self.root.join("locks");
        let path = locks.join(format!("{name}.lock"));
        let io = |error| SourceError::io(format!("the lock {}", path.display()), error);
        fs::create_dir_all(&locks).map_err(io)?;
        let file = File::options().create(true).append(true).open(&path).map_err(io)?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(io(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            stop.check()?;
            if Instant::now() >= deadline {
                return Err(SourceError::Failed(format!(
                    "another process has held {} for {} s",
                    path.display(),
                    LOCK_PATIENCE.as_secs()
                )));
            }
            if !told {
                tracing::info!(lock = name, "waiting for another lambkin process that fetches the same");
                told = true;
            }
            std::thread::sleep(LOCK_POLL);
        }
    }
}

/// Removes what killed processes have left behind. Nothing depends on it.
fn sweep(tmp: &Path) {
    let Ok(entries) = fs::read_dir(tmp) else { return };
    for entry in entries.flatten() {
        let age =
            entry.metadata().and_then(|meta| meta.modified()).map(|at| SystemTime::now().duration_since(at));
        if matches!(age, Ok(Ok(age)) if age > STALE) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn hash_file(path: &Path) -> io::Result<(Identity, String, u32)> {
    // Identity first: a file that changes while it is read is then hashed again next time.
    let identity = Identity::of(path)?;
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((identity, hex(hash), mode));
        }
        hash.update(&buffer[..read]);
    }
}

/// Lower-case hex of a finished hash.
pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lower-case hex SHA-256 of some bytes.
pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hex(hash)
}
