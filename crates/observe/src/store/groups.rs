//! Which log groups there are: `<root>/<account>/<region>/<group>`, each name encoded as one component.
//!
//! Deliberately not here: what a group does with its events.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::file_name::{decode, encode, is_shortened};
use super::group::{Group, GroupKey, SETTINGS, Sizes};
use super::import::NAME_SUFFIX;

/// Begins the names of directories that are being removed; an encoded name has no leading dot.
const DELETED: &str = ".deleted-";

pub(crate) struct Groups {
    root: PathBuf,
    sizes: Sizes,
    all: RwLock<BTreeMap<GroupKey, Arc<Group>>>,
}

impl Groups {
    /// Looks which groups there are; what is in them is read when someone wants it.
    pub(crate) fn open(root: PathBuf, sizes: Sizes) -> io::Result<Self> {
        let mut all = BTreeMap::new();
        for (account, directory) in directories(&root)? {
            for (region, directory) in directories(&directory)? {
                for entry in fs::read_dir(&directory)? {
                    let path = entry?.path();
                    let Some(encoded) = path.file_name().and_then(|name| name.to_str()) else { continue };
                    if encoded.starts_with(DELETED) {
                        fs::remove_dir_all(&path)?;
                        continue;
                    }
                    if !path.is_dir() {
                        continue;
                    }
                    let name = match decode(encoded) {
                        Some(name) => name,
                        None if is_shortened(encoded) => match long_name(&path)? {
                            Some(name) => name,
                            // Whoever writes to it says its name again.
                            None => continue,
                        },
                        // Put here by others.
                        None => continue,
                    };
                    let key = GroupKey {
                        account: account.as_str().into(),
                        region: region.as_str().into(),
                        name: name.into(),
                    };
                    let group = Group::new(key.clone(), path, sizes);
                    all.insert(key, Arc::new(group));
                }
            }
        }
        Ok(Self { root, sizes, all: RwLock::new(all) })
    }

    fn directory(&self, key: &GroupKey) -> PathBuf {
        self.root.join(encode(&key.account)).join(encode(&key.region)).join(encode(&key.name))
    }

    pub(crate) fn get(&self, key: &GroupKey) -> Option<Arc<Group>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The group, made where there is none, and whether it was.
    pub(crate) fn get_or_make(&self, key: &GroupKey) -> (Arc<Group>, bool) {
        if let Some(group) = self.get(key) {
            return (group, false);
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let mut made = false;
        let group = all.entry(key.clone()).or_insert_with(|| {
            made = true;
            Arc::new(Group::new(key.clone(), self.directory(key), self.sizes))
        });
        (Arc::clone(group), made)
    }

    /// Whether this very group is still there.
    pub(crate) fn has(&self, group: &Arc<Group>) -> bool {
        self.get(&group.key).is_some_and(|there| Arc::ptr_eq(&there, group))
    }

    /// Groups of an account and region, by name, from this prefix on.
    pub(crate) fn list(&self, account: &str, region: &str, prefix: &str) -> Vec<Arc<Group>> {
        let from = GroupKey { account: account.into(), region: region.into(), name: prefix.into() };
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let here = |key: &GroupKey| &*key.account == account && &*key.region == region;
        all.range(from..)
            .take_while(|(key, _)| here(key) && key.name.starts_with(prefix))
            .map(|(_, group)| Arc::clone(group))
            .collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Group>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Removes a group with all it has; `false` where there is none.
    pub(crate) fn delete(&self, key: &GroupKey) -> io::Result<bool> {
        // Held until its directory is out of the way: whoever makes the group anew begins with nothing.
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let Some(group) = all.remove(key) else { return Ok(false) };
        let directory = self.directory(key);
        let beside = (0..).map(|number: u32| directory.with_file_name(format!("{DELETED}{number}")));
        let to = beside.into_iter().find(|path| !path.exists()).unwrap_or_default();
        group.delete(&to)?;
        drop(all);
        match fs::remove_dir_all(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(true),
        }
    }
}

/// A directory's directories with their decoded names.
fn directories(of: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(of)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| decode(name.to_str()?));
        if let Some(name) = name
            && path.is_dir()
        {
            found.push((name, path));
        }
    }
    Ok(found)
}

/// The name of a group whose directory has a shortened one: in its settings, or, of an older lambkin, beside it. None where
/// neither is there, as lambkin was killed when it had just made the directory, or is whole.
fn long_name(directory: &Path) -> io::Result<Option<String>> {
    let found = match read(&directory.join(SETTINGS))? {
        Some(bytes) => {
            let settings: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
            settings["name"].as_str().map(str::to_owned)
        }
        None => {
            let mut beside = directory.as_os_str().to_owned();
            beside.push(NAME_SUFFIX);
            read(Path::new(&beside))?.and_then(|name| String::from_utf8(name).ok())
        }
    };
    if found.is_none() {
        tracing::warn!(directory = %directory.display(), "a log group's name is not known until it is written to");
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
