//! The port of compile caches on files: `<identity>/<version>/<launch>/…`, readable by whoever it is mounted
//! for. A cache is made whole in a staging directory and appears by one rename.
//!
//! Nothing is synced: Node.js has a checksum on each file, and a cache that is lost costs milliseconds.
//! Deliberately not here: whose caches are wanted, and when.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use lambkin_model::compile_cache::{CacheFile, CacheOwner, CompileCaches, is_name};

use crate::OpenError;
use crate::directory_lock::DirectoryLock;

/// Bytes of all caches together: some hundreds of large functions.
const MOST_BYTES: u64 = 256 << 20;

const STAGING: &str = ".staging";

/// Compile caches as files.
#[derive(Debug)]
pub struct FileCompileCaches {
    directory: PathBuf,
    most_bytes: u64,
    /// Held while one appears or goes.
    shelf: Mutex<Shelf>,
    _lock: Arc<DirectoryLock>,
}

#[derive(Debug, Default)]
struct Shelf {
    there: HashMap<CacheOwner, There>,
    uses: u64,
}

#[derive(Debug, Clone, Copy)]
struct There {
    bytes: u64,
    /// Larger is later.
    used: u64,
}

impl FileCompileCaches {
    pub(crate) fn open(directory: &Path, lock: Arc<DirectoryLock>) -> Result<Self, OpenError> {
        Self::with_limit(directory, lock, MOST_BYTES)
    }

    fn with_limit(directory: &Path, lock: Arc<DirectoryLock>, most_bytes: u64) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io { path: directory.to_owned(), source };
        // Its data directory is its owner's alone; from there on everyone may read, in a mount.
        self::directory(directory).map_err(failed)?;
        remove(&directory.join(STAGING));
        let mut found = find_all(directory).map_err(failed)?;
        found.sort_by_key(|(_, _, made)| *made);
        let there =
            found.into_iter().zip(1..).map(|((owner, bytes, _), used)| (owner, There { bytes, used }));
        let there: HashMap<_, _> = there.collect();
        let shelf = Mutex::new(Shelf { uses: there.len() as u64, there });
        Ok(Self { directory: directory.to_owned(), most_bytes, shelf, _lock: lock })
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, owner: &CacheOwner) -> PathBuf {
        self.directory.join(&owner.identity).join(&owner.version).join(hex(&owner.launch))
    }

    fn write(&self, owner: &CacheOwner, files: &[CacheFile]) -> io::Result<()> {
        let staging = self.directory.join(STAGING);
        remove(&staging);
        directory(&staging)?;
        for file in files {
            if !is_name(&file.name) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let path = staging.join(&file.name);
            directory(path.parent().unwrap_or(&staging))?;
            let mut new = OpenOptions::new().write(true).create_new(true).open(&path)?;
            new.set_permissions(Permissions::from_mode(0o644))?;
            new.write_all(&file.content)?;
        }
        let place = self.place(owner);
        directory(place.parent().unwrap_or(&self.directory))?;
        remove(&place);
        fs::rename(&staging, &place)
    }

    /// With the directories above it that are empty now.
    fn remove(&self, shelf: &mut Shelf, owner: &CacheOwner) {
        shelf.there.remove(owner);
        let place = self.place(owner);
        remove(&place);
        for above in place.ancestors().skip(1).take(2) {
            // Fails where others are there.
            let _ = fs::remove_dir(above);
        }
    }

    fn remove_where(&self, is_over: impl Fn(&CacheOwner) -> bool) {
        let mut shelf = self.shelf();
        let over: Vec<_> = shelf.there.keys().filter(|owner| is_over(owner)).cloned().collect();
        for owner in over {
            self.remove(&mut shelf, &owner);
        }
    }
}

impl CompileCaches for FileCompileCaches {
    fn find(&self, owner: &CacheOwner) -> Option<PathBuf> {
        let mut shelf = self.shelf();
        shelf.uses += 1;
        let used = shelf.uses;
        shelf.there.get_mut(owner)?.used = used;
        Some(self.place(owner))
    }

    fn keep(&self, owner: &CacheOwner, files: &[CacheFile]) -> Option<PathBuf> {
        let bytes: u64 = files.iter().map(|file| file.content.len() as u64).sum();
        if bytes > self.most_bytes || !is_part(&owner.identity) || !is_part(&owner.version) {
            return None;
        }
        self.retain(&owner.identity, &owner.version, None);
        let mut shelf = self.shelf();
        while shelf.there.values().map(|there| there.bytes).sum::<u64>() + bytes > self.most_bytes {
            let oldest = shelf.there.iter().min_by_key(|(_, there)| there.used);
            let oldest = oldest.map(|(owner, _)| owner.clone())?;
            self.remove(&mut shelf, &oldest);
        }
        if let Err(error) = self.write(owner, files) {
            tracing::warn!(%error, "a compile cache could not be written");
            remove(&self.directory.join(STAGING));
            return None;
        }
        shelf.uses += 1;
        let used = shelf.uses;
        shelf.there.insert(owner.clone(), There { bytes, used });
        Some(self.place(owner))
    }

    fn retain(&self, identity: &str, version: &str, launch: Option<[u8; 32]>) {
        self.remove_where(|owner| {
            owner.identity == identity && owner.version == version && Some(owner.launch) != launch
        });
    }

    fn sweep(&self, identities: &HashSet<String>) {
        self.remove_where(|owner| !identities.contains(&owner.identity));
    }
}

/// Whether it can be a directory's name.
fn is_part(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'$');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(allowed)
}

fn hex(launch: &[u8; 32]) -> String {
    launch.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut launch = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in launch.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(launch)
}

/// The umask is the user's; what functions see is not. Those above it are lambkin's own.
fn directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn remove(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("{} was not removed: {error}", path.display());
        }
        Ok(()) | Err(_) => {}
    }
}

/// Every cache, its bytes, and when it was made. What is none, lambkin has not put there: it stays.
fn find_all(directory: &Path) -> io::Result<Vec<(CacheOwner, u64, SystemTime)>> {
    let mut found = Vec::new();
    for (identity, path) in directories(directory)? {
        for (version, path) in directories(&path)? {
            for (launch, path) in directories(&path)? {
                let Some(launch) = from_hex(&launch) else { continue };
                let owner = CacheOwner { identity: identity.clone(), version: version.clone(), launch };
                let mut bytes = 0;
                for (_, path) in directories(&path)? {
                    for file in fs::read_dir(path)? {
                        bytes += file?.metadata()?.len();
                    }
                }
                found.push((owner, bytes, fs::metadata(&path)?.modified()?));
            }
        }
    }
    Ok(found)
}

fn directories(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use lambkin_model::compile_cache::{CacheFile, CacheOwner, CompileCaches as _};

    use super::FileCompileCaches;
    use crate::directory_lock::DirectoryLock;

    fn open(directory: &Path) -> FileCompileCaches {
        let lock = Arc::new(DirectoryLock::take(directory).unwrap());
        FileCompileCaches::with_limit(&directory.join("compile-caches"), lock, 1000).unwrap()
    }

    fn owner(identity: &str, version: &str, launch: u8) -> CacheOwner {
        CacheOwner { identity: identity.into(), version: version.into(), launch: [launch; 32] }
    }

    fn files(bytes: usize) -> Vec<CacheFile> {
        let file = |name: &str, bytes| CacheFile { name: name.into(), content: vec![b'x'; bytes].into() };
        vec![file("v22/1", bytes - 1), file("v22/2", 1)]
    }

    #[test]
    fn caches_outlive_lambkin_and_not_their_launch() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (owner("f", "$LATEST", 1), owner("f", "$LATEST", 2));
        let (one, other) = (owner("f", "1", 3), owner("g", "$LATEST", 1));
        {
            let caches = open(directory.path());
            assert_eq!(caches.find(&old), None);
            let kept = caches.keep(&old, &files(10)).unwrap();
            assert_eq!(caches.find(&old), Some(kept.clone()));
            assert_eq!(fs::read(kept.join("v22/2")).unwrap(), b"x");
            for owner in [&one, &other, &new] {
                caches.keep(owner, &files(10)).unwrap();
            }
            assert_eq!(caches.find(&old), None, "a newer one of the same version takes its place");
            assert!(!kept.exists());
        }
        let caches = open(directory.path());
        for owner in [&new, &one, &other] {
            assert!(caches.find(owner).is_some_and(|place| place.is_dir()), "{owner:?}");
        }
        caches.retain("f", "$LATEST", Some(new.launch));
        assert!(caches.find(&new).is_some());
        caches.retain("f", "$LATEST", None);
        assert_eq!((caches.find(&new), caches.find(&one).is_some()), (None, true));
        caches.sweep(&HashSet::from(["g".to_owned()]));
        assert_eq!((caches.find(&one), caches.find(&other).is_some()), (None, true));
        let left: Vec<_> = fs::read_dir(directory.path().join("compile-caches")).unwrap().collect();
        assert_eq!(left.len(), 1, "no empty directories are left: {left:?}");
    }

    #[test]
    fn all_together_are_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let caches = open(directory.path());
        assert_eq!(caches.keep(&owner("f", "1", 0), &files(1001)), None);
        for launch in 1..=3 {
            caches.keep(&owner(&format!("f{launch}"), "1", launch), &files(300)).unwrap();
        }
        assert!(caches.find(&owner("f1", "1", 1)).is_some(), "it is used again");
        caches.keep(&owner("f4", "1", 4), &files(300)).unwrap();
        let there = [1, 2, 3, 4].map(|n| caches.find(&owner(&format!("f{n}"), "1", n)).is_some());
        assert_eq!(there, [true, false, true, true], "the one that was not used for longest went");
    }

    #[test]
    fn names_lead_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let caches = open(directory.path());
        for (identity, name) in
            [("f", "../../../x/y"), ("f", "a"), ("..", "a/b"), ("a/b", "a/b"), ("", "a/b")]
        {
            let file = CacheFile { name: name.into(), content: "x".into() };
            assert_eq!(caches.keep(&owner(identity, "1", 1), &[file]), None, "{identity} {name}");
        }
        let left: Vec<_> = fs::read_dir(directory.path().join("compile-caches")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
