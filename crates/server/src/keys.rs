//! Where access keys are kept: `keys.json` in the data directory, readable by its owner alone. A command writes
//! it, a server that runs looks at each request whether it is another file now. Secrets stand in it in clear,
//! for who verifies a signature must make it again.
//!
//! Deliberately not here: what keys mean.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lambkin_model::keys::{Key, KeyRing, Keys};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::role_credentials::private;

const NAME: &str = "keys.json";
/// Of keys of the server's own account, and of files that have others too, which a former lambkin would take for its owner's.
const FORMAT: u32 = 1;
const FORMAT_WITH_ACCOUNTS: u32 = 2;

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    keys: Vec<Key>,
}

/// The keys of a data directory, for a server.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    /// A lock for the length of a look, or of a read when there is something new.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What was read last.
    file: Option<Fingerprint>,
    /// What could not be read, and was said to be so.
    refused: Option<Fingerprint>,
    ring: Option<Arc<KeyRing>>,
}

/// By which one file is told from the next, which is always another one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Fingerprint {
    inode: (u64, u64),
    modified: (i64, i64),
    /// Also when its mode or its owner changed.
    changed: (i64, i64),
    owner: (u32, u32),
    length: u64,
}

impl KeyFile {
    /// Of a data directory; a file that cannot be read is an error here, and none at all is no keys.
    pub(crate) fn open(data: &Path) -> Result<Self, String> {
        let path = data.join(NAME);
        let file = fingerprint(&path);
        let ring = match file {
            Some(_) => Some(Arc::new(read(&path)?.into_iter().collect())),
            None => None,
        };
        Ok(Self { path, known: Mutex::new(Known { file, refused: None, ring }) })
    }
}

impl Keys for KeyFile {
    fn ring(&self) -> Option<Arc<KeyRing>> {
        let file = fingerprint(&self.path);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if file != known.file {
            match file.map(|_| read(&self.path)) {
                Some(Ok(keys)) => {
                    tracing::info!(keys = keys.len(), "access keys read");
                    known.file = file;
                    known.ring = Some(Arc::new(keys.into_iter().collect()));
                }
                // What was good stays good; nothing becomes good, and where there were no keys nothing is any more. It is tried
                // again at the next request: who mends the file may not change what it says.
                Some(Err(error)) => {
                    if known.refused != file {
                        tracing::error!(%error, "access keys cannot be read; the former stay");
                        known.refused = file;
                    }
                    known.ring.get_or_insert_default();
                }
                None => {
                    known.file = None;
                    tracing::warn!(file = %self.path.display(), "access keys are gone; until a restart no request is taken");
                    known.ring = Some(Arc::default());
                }
            }
        }
        known.ring.clone()
    }
}

fn fingerprint(path: &Path) -> Option<Fingerprint> {
    match fs::metadata(path) {
        Ok(found) => Some(Fingerprint {
            inode: (found.dev(), found.ino()),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            owner: (found.uid(), found.mode()),
            length: found.len(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        // There, and nothing can be said of it.
        Err(_) => Some(Fingerprint::default()),
    }
}

/// The keys of a file; none where there is no file.
fn read(path: &Path) -> Result<Vec<Key>, String> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = private(path)?;
    // serde's message could repeat a secret.
    let written: Written = serde_json::from_str(&text).map_err(|error| {
        format!("{}: not a file of keys (line {}, column {})", path.display(), error.line(), error.column())
    })?;
    if written.format > FORMAT_WITH_ACCOUNTS {
        return Err(format!("{}: its format {} is newer than this lambkin", path.display(), written.format));
    }
    Ok(written.keys)
}

/// The keys of a data directory.
pub(crate) fn all(data: &Path) -> Result<Vec<Key>, String> {
    read(&data.join(NAME))
}

/// Changes the keys of a data directory: one change after the other, each whole or not at all.
pub(crate) fn change(
    data: &Path,
    change: impl FnOnce(&mut Vec<Key>) -> Result<(), String>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", data.display());
    fs::create_dir_all(data).map_err(failed)?;
    let lock = open(&data.join("keys.lock"), OpenOptions::new().write(true).create(true).truncate(false))
        .map_err(failed)?;
    give(&lock, data).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let path = data.join(NAME);
    let mut keys = read(&path)?;
    change(&mut keys)?;
    let of_others = keys.iter().any(|key| key.account.is_some());
    let format = if of_others { FORMAT_WITH_ACCOUNTS } else { FORMAT };
    let text = serde_json::to_vec_pretty(&Written { format, keys }).map_err(|error| error.to_string())?;
    let new = data.join("keys.json.new");
    let write = || {
        let _ = fs::remove_file(&new);
        let mut file = open(&new, OpenOptions::new().write(true).create_new(true))?;
        file.write_all(&text)?;
        give(&file, data)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(data)?.sync_all()
    };
    write().map_err(failed)
}

/// Of no link: root must not make or open what somebody else chose.
fn open(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    options.mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)
}

/// Root makes keys for whoever serves.
fn give(file: &File, data: &Path) -> std::io::Result<()> {
    let owner = fs::metadata(data)?;
    if file.metadata()?.uid() == owner.uid() {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

#[cfg(test)]
mod tests {
    use lambkin_model::time::Timestamp;

    use super::*;

    fn key(id: &str) -> Key {
        let (id, secret) = (id.to_owned(), "SECRET".to_owned());
        Key { id, secret, name: "ann".into(), account: None, policies: Vec::new(), created: Timestamp(1) }
    }

    fn add(data: &Path, id: &str) {
        change(data, |keys| {
            keys.push(key(id));
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_server_sees_changes_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let keys = KeyFile::open(directory.path()).unwrap();
        assert!(keys.ring().is_none(), "nothing is verified");
        add(directory.path(), "A");
        let path = directory.path().join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(*keys.ring().unwrap().get("A").unwrap().as_ref(), key("A"));
        add(directory.path(), "B");
        let ring = keys.ring().unwrap();
        assert!(ring.get("A").is_some() && ring.get("B").is_some());
        change(directory.path(), |keys| {
            keys.clear();
            Ok(())
        })
        .unwrap();
        assert!(keys.ring().unwrap().is_empty(), "verified still, by no key");
    }

    #[test]
    fn a_file_with_keys_of_other_accounts_is_nothing_for_a_former_lambkin() {
        let directory = tempfile::tempdir().unwrap();
        add(directory.path(), "A");
        let text = || fs::read_to_string(directory.path().join(NAME)).unwrap();
        assert!(text().contains("\"format\": 1") && !text().contains("account"));
        let other = Key { account: Some("111111111111".into()), ..key("B") };
        change(directory.path(), |keys| {
            keys.push(other.clone());
            Ok(())
        })
        .unwrap();
        assert!(text().contains("\"format\": 2"));
        assert_eq!(all(directory.path()).unwrap(), [key("A"), other]);
        change(directory.path(), |keys| {
            keys.pop();
            Ok(())
        })
        .unwrap();
        assert!(text().contains("\"format\": 1"));
    }

    #[test]
    fn a_bad_file_opens_nothing() {
        let directory = tempfile::tempdir().unwrap();
        add(directory.path(), "A");
        let keys = KeyFile::open(directory.path()).unwrap();
        let path = directory.path().join(NAME);
        fs::write(&path, "{\"keys\": SECRET").unwrap();
        assert!(keys.ring().unwrap().get("A").is_some(), "the former stay");
        let error = KeyFile::open(directory.path()).unwrap_err();
        assert!(error.contains("not a file of keys") && !error.contains("SECRET"), "{error}");
        fs::remove_file(&path).unwrap();
        assert!(keys.ring().unwrap().is_empty(), "what is gone opens no door");
        add(directory.path(), "B");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(KeyFile::open(directory.path()).unwrap_err().contains("chmod 600"));
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_revocation_that_could_not_be_read_is_not_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        add(directory.path(), "A");
        let keys = KeyFile::open(directory.path()).unwrap();
        let path = directory.path().join(NAME);
        change(directory.path(), |keys| {
            keys.clear();
            Ok(())
        })
        .unwrap();
        mode(&path, 0o644);
        assert!(keys.ring().unwrap().get("A").is_some(), "the former stay");
        mode(&path, 0o600);
        assert!(keys.ring().unwrap().is_empty());
    }

    #[test]
    fn a_first_key_that_cannot_be_read_shuts_the_door() {
        let directory = tempfile::tempdir().unwrap();
        let keys = KeyFile::open(directory.path()).unwrap();
        assert!(keys.ring().is_none());
        add(directory.path(), "A");
        let path = directory.path().join(NAME);
        mode(&path, 0o644);
        assert!(keys.ring().unwrap().is_empty(), "verified, by no key");
        mode(&path, 0o600);
        assert!(keys.ring().unwrap().get("A").is_some());
    }

    #[test]
    fn root_leaves_nothing_behind_that_locks_the_owner_out() {
        let directory = tempfile::tempdir().unwrap();
        let (data, lock) = (directory.path().join("data"), directory.path().join("data/keys.lock"));
        fs::create_dir(&data).unwrap();
        let root = std::os::unix::fs::chown(&data, Some(4321), Some(4321)).is_ok();
        add(&data, "A");
        let owner = fs::metadata(&data).unwrap().uid();
        assert!(!root || owner == 4321);
        for path in [&lock, &data.join(NAME)] {
            assert_eq!(fs::metadata(path).unwrap().uid(), owner, "{}", path.display());
        }
        fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &lock).unwrap();
        assert!(change(&data, |_| Ok(())).is_err(), "a link is not followed");
        assert!(!directory.path().join("elsewhere").exists());
    }

    #[test]
    fn secrets_are_not_printed() {
        assert!(!format!("{:?}", key("A")).contains("SECRET"));
    }
}
