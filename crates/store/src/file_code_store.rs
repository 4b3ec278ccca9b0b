//! The code store port on files: `<sha256>/package.zip`, `<sha256>/task/` (its files) and
//! `<sha256>/code.json` (what `put` answered). A package is made whole in a staging directory,
//! synced, and appears by one rename, so that what is there is complete. A stack of packages is one without a zip file.
//!
//! Deliberately not here: unpacking (`package`), laying packages over each other (`package_stack`), removing
//! (`code_sweep`), who refers to a package.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lambkin_model::Pending;
use lambkin_model::code::{Code, CodeError, CodeRead, CodeSha256, CodeStore, Contents};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::OpenError;
use crate::directory_lock::DirectoryLock;
use crate::package::{Limits, unpack};
use crate::package_stack;
use crate::unpacker::{Unpacker, unpack_by};

/// Packages that are unpacked at once. More only compete for the disk and for memory; later ones
/// wait, at most `TURN`, and are then answered `Unavailable`.
const UNPACKS: usize = 2;
const TURN: Duration = Duration::from_secs(60);
/// Up to here each file is synced by itself. Beyond, one sync of the whole file system is cheaper.
const SYNCED_ONE_BY_ONE: usize = 32;

const STAGING: &str = ".staging-";
/// Where its files are.
const TASK: &str = "task";

/// Deployment packages as files.
#[derive(Debug)]
pub struct FileCodeStore {
    shelf: Arc<Shelf>,
}

/// What the blocking tasks share.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) directory: PathBuf,
    /// Who unpacks; `None`: this process itself.
    unpacker: Option<Arc<dyn Unpacker>>,
    unpacks: Arc<Semaphore>,
    closed: AtomicBool,
    staged: AtomicU64,
    /// Since when `sweep` sees a package unreferenced. Held while a package appears or goes, so
    /// that `put` never answers with one that a sweep is taking away.
    pub(crate) unreferenced: Mutex<HashMap<CodeSha256, Instant>>,
    _lock: Arc<DirectoryLock>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    record: Code,
    /// Bytes of its files. Older lambkins did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unzipped: Option<u64>,
}

const FORMAT: u32 = 1;

impl FileCodeStore {
    pub(crate) fn open(
        directory: &Path,
        lock: Arc<DirectoryLock>,
        unpacker: Option<Arc<dyn Unpacker>>,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_string_lossy().starts_with(STAGING) {
                fs::remove_dir_all(entry.path())
                    .map_err(|source| OpenError::Io { path: entry.path(), source })?;
            }
        }
        Ok(Self {
            shelf: Arc::new(Shelf {
                directory: directory.to_owned(),
                unpacker,
                unpacks: Arc::new(Semaphore::new(UNPACKS)),
                closed: AtomicBool::new(false),
                staged: AtomicU64::new(0),
                unreferenced: Mutex::default(),
                _lock: lock,
            }),
        })
    }

    pub(crate) fn close(&self) {
        self.shelf.closed.store(true, Ordering::Relaxed);
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, CodeError> {
        let unpacks = Arc::clone(&self.shelf.unpacks);
        if let Ok(permit) = Arc::clone(&unpacks).try_acquire_owned() {
            return Ok(permit);
        }
        tokio::time::timeout(TURN, unpacks.acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| CodeError::Unavailable("the code store is busy with other packages".into()))
    }

    /// Runs what blocks on a thread for that. It goes on where the caller stops waiting, and
    /// `permit` with it.
    async fn blocking<T: Send + 'static>(
        &self,
        permit: Option<OwnedSemaphorePermit>,
        run: impl FnOnce(&Shelf) -> Result<T, CodeError> + Send + 'static,
    ) -> Result<T, CodeError> {
        let shelf = Arc::clone(&self.shelf);
        if shelf.closed.load(Ordering::Relaxed) {
            return Err(CodeError::Unavailable("the store is closed".into()));
        }
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            run(&shelf)
        })
        .await
        .map_err(|error| CodeError::Unavailable(format!("the code store failed: {error}")))?
    }
}

impl CodeRead for FileCodeStore {
    fn unpacked(&self, sha256: CodeSha256) -> Option<PathBuf> {
        Some(self.shelf.place(sha256).join(TASK)).filter(|path| path.is_dir())
    }
}

impl CodeStore for FileCodeStore {
    fn put(&self, zip: Bytes) -> Pending<'_, Result<Code, CodeError>> {
        Box::pin(async move {
            let permit = self.turn().await?;
            self.blocking(Some(permit), move |shelf| shelf.put(&zip)).await
        })
    }

    fn check(&self, zip: Bytes) -> Pending<'_, Result<(Code, Contents), CodeError>> {
        Box::pin(async move {
            let permit = self.turn().await?;
            self.blocking(Some(permit), move |shelf| {
                let (staging, staged) = shelf.stage(&zip, CodeSha256::of(&zip))?;
                let contents = package_stack::contents(&staging.path.join(TASK), Some(staged.unzipped));
                Ok((staged.code, contents.map_err(unavailable)?))
            })
            .await
        })
    }

    fn contents(&self, sha256: CodeSha256) -> Pending<'_, Result<Contents, CodeError>> {
        Box::pin(self.blocking(None, move |shelf| {
            let unzipped = shelf.written(sha256).and_then(|written| written.unzipped);
            package_stack::contents(&shelf.place(sha256).join(TASK), unzipped).map_err(unavailable)
        }))
    }

    fn stack(&self, packages: Vec<CodeSha256>) -> Pending<'_, Result<(), CodeError>> {
        Box::pin(async move {
            let Some(sha256) = CodeSha256::of_stack(&packages) else { return Ok(()) };
            let permit = self.turn().await?;
            self.blocking(Some(permit), move |shelf| {
                shelf.keep(sha256, || shelf.stage_stack(&packages, sha256)).map(drop)
            })
            .await
        })
    }

    fn zip(&self, sha256: CodeSha256) -> Option<PathBuf> {
        Some(self.shelf.place(sha256).join("package.zip")).filter(|path| path.is_file())
    }

    fn sweep(&self, keep: HashSet<CodeSha256>, grace: Duration) -> Pending<'_, Result<usize, CodeError>> {
        Box::pin(self.blocking(None, move |shelf| shelf.sweep(&keep, grace)))
    }
}

impl Shelf {
    pub(crate) fn place(&self, sha256: CodeSha256) -> PathBuf {
        self.directory.join(sha256.hex())
    }

    fn put(&self, zip: &Bytes) -> Result<Code, CodeError> {
        let sha256 = CodeSha256::of(zip);
        self.keep(sha256, || self.stage(zip, sha256))
    }

    /// Makes what is not there yet appear.
    fn keep(
        &self,
        sha256: CodeSha256,
        stage: impl FnOnce() -> Result<(Staging, Staged), CodeError>,
    ) -> Result<Code, CodeError> {
        {
            let mut unreferenced = self.unreferenced.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(code) = self.kept(sha256) {
                unreferenced.remove(&sha256);
                return Ok(code);
            }
        }
        let (staging, staged) = stage()?;
        staging.sync(staged.made).map_err(unavailable)?;
        let mut unreferenced = self.unreferenced.lock().unwrap_or_else(PoisonError::into_inner);
        unreferenced.remove(&sha256);
        // Another `put` of the same package may have been faster.
        if let Some(code) = self.kept(sha256) {
            return Ok(code);
        }
        let place = self.place(sha256);
        if place.exists() {
            // Not by us, or damaged since: it is in the way, and what it holds cannot be told.
            tracing::warn!("{} is damaged and made again", place.display());
            let away = Staging { path: self.staging_path() };
            fs::rename(&place, &away.path).map_err(unavailable)?;
        }
        fs::rename(&staging.path, &place).map_err(unavailable)?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(unavailable)?;
        Ok(staged.code)
    }

    /// The answer of the `put` that kept the package.
    fn kept(&self, sha256: CodeSha256) -> Option<Code> {
        self.written(sha256).map(|written| written.record)
    }

    fn written(&self, sha256: CodeSha256) -> Option<Written> {
        let bytes = fs::read(self.place(sha256).join("code.json")).ok()?;
        let written: Written = serde_json::from_slice(&bytes).ok()?;
        (written.format == FORMAT && written.record.sha256 == sha256).then_some(written)
    }

    pub(crate) fn staging_path(&self) -> PathBuf {
        self.directory.join(format!("{STAGING}{}", self.staged.fetch_add(1, Ordering::Relaxed)))
    }

    /// Makes the package in a directory of its own, which goes when it is not renamed.
    fn stage(&self, zip: &Bytes, sha256: CodeSha256) -> Result<(Staging, Staged), CodeError> {
        let (staging, root) = self.staging()?;
        let package = staging.path.join("package.zip");
        fs::write(&package, zip).map_err(unavailable)?;
        let unpacked = match &self.unpacker {
            Some(unpacker) => unpack_by(&**unpacker, &package, &staging.path.join(TASK))?,
            None => unpack(zip, root, Limits::default())?,
        };
        let code =
            Code { sha256, size: zip.len() as u64, sdk_packages: unpacked.sdk_packages, directory: None };
        let staged = Staged { code, made: unpacked.made, unzipped: unpacked.written };
        staged.write(&staging)?;
        Ok((staging, staged))
    }

    /// The same of a stack of packages that are kept.
    fn stage_stack(
        &self,
        packages: &[CodeSha256],
        sha256: CodeSha256,
    ) -> Result<(Staging, Staged), CodeError> {
        let open = |package: &CodeSha256| File::open(self.place(*package).join(TASK)).map(OwnedFd::from);
        let packages = packages.iter().map(open).collect::<Result<Vec<_>, _>>().map_err(unavailable)?;
        let (staging, root) = self.staging()?;
        let made = package_stack::lay(&packages, &root)?;
        let code = Code { sha256, size: 0, sdk_packages: BTreeSet::new(), directory: None };
        let staged = Staged { code, made, unzipped: 0 };
        staged.write(&staging)?;
        Ok((staging, staged))
    }

    /// An empty directory for files, in one of its own.
    fn staging(&self) -> Result<(Staging, OwnedFd), CodeError> {
        let staging = Staging { path: self.staging_path() };
        let task = staging.path.join(TASK);
        fs::create_dir_all(&task).map_err(unavailable)?;
        let root = File::open(&task).map_err(unavailable)?;
        rustix::fs::fchmod(&root, rustix::fs::Mode::from_raw_mode(0o755))
            .map_err(|error| unavailable(error.into()))?;
        Ok((staging, root.into()))
    }
}

struct Staged {
    code: Code,
    made: usize,
    unzipped: u64,
}

impl Staged {
    fn write(&self, staging: &Staging) -> Result<(), CodeError> {
        let written = Written { format: FORMAT, record: self.code.clone(), unzipped: Some(self.unzipped) };
        let written = serde_json::to_vec(&written).map_err(|error| unavailable(error.into()))?;
        fs::write(staging.path.join("code.json"), written).map_err(unavailable)
    }
}

struct Staging {
    path: PathBuf,
}

impl Staging {
    fn sync(&self, made: usize) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if made > SYNCED_ONE_BY_ONE {
            return Ok(rustix::fs::syncfs(File::open(&self.path)?)?);
        }
        let _ = made;
        sync_tree(&self.path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After the rename there is nothing here any more.
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("{} was not removed ({error}); the next start does", self.path.display());
        }
    }
}

fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(directory)?.sync_all()
}

pub(crate) fn unavailable(error: io::Error) -> CodeError {
    CodeError::Unavailable(format!("the code store cannot be written: {error}"))
}
