//! The read-only root of every jail: shared libraries, a shell and the usual programs, and `/etc`,
//! copied once from the host's own files, so that nothing is downloaded and what runs in the jail is
//! patched when the host is.
//!
//! A base is a directory that appears by a rename and is never changed: when a file that it was made
//! from has changed, or this program, the next start makes another and removes the old one.
//!
//! Deliberately not here: mounting it, and what is mounted into it. Node.js is not in it; the empty
//! files and directories that other things are mounted over are (`recipe::MOUNT_POINTS`).

mod host;
mod manifest;
mod recipe;
#[cfg(test)]
mod tests;
mod tree;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::directory::{id_of, remove};
use manifest::Manifest;
pub(crate) use recipe::COMPILE_CACHE;
use recipe::Recipe;
use tree::Tree;

/// Name of a base that is being made.
const NEW: &str = "new";

/// A complete base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    root: PathBuf,
}

impl Base {
    /// The base in `directory`, made there where it is missing or the host's files are not those it
    /// was made from. Other bases in `directory` are removed: it is this lambkin's alone, and no
    /// environment may be running.
    ///
    /// Looks at some 700 files where nothing has changed (1 ms); otherwise it runs the host's dynamic
    /// loader and copies 20 MB (0.2 s). To be called where blocking is allowed.
    ///
    /// # Errors
    ///
    /// Where the host has no GNU C library or not all libraries that Node.js needs, or the directory
    /// cannot be written.
    pub(crate) fn prepare(directory: &Path) -> io::Result<Self> {
        Self::from_recipe(directory, &Recipe::of_host())
    }

    /// What becomes `/`.
    pub(crate) fn path(&self) -> &Path {
        &self.root
    }

    fn from_recipe(directory: &Path, recipe: &Recipe) -> io::Result<Self> {
        let directory = std::path::absolute(directory)?;
        fs::create_dir_all(&directory)?;
        let kept = match Self::current(&directory, recipe)? {
            Some(current) => current,
            None => Self::make(&directory, recipe)?,
        };
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            if path != kept && is_base(&path) {
                remove(&path);
            }
        }
        Ok(Self { root: kept.join("root") })
    }

    fn current(directory: &Path, recipe: &Recipe) -> io::Result<Option<PathBuf>> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if !is_base(&path) {
                continue;
            }
            let written = fs::read(path.join("manifest")).unwrap_or_default();
            // The name is the manifest's digest: one that was cut short does not count.
            let is_whole = path.file_name().is_some_and(|name| name == digest(&written).as_str());
            if is_whole && Manifest::is_true(&written, recipe) && path.join("root").is_dir() {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn make(directory: &Path, recipe: &Recipe) -> io::Result<PathBuf> {
        let new = directory.join(NEW);
        // What a killed lambkin left.
        remove(&new);
        fs::create_dir(&new)?;
        let mut manifest = Manifest::new(recipe);
        let mut tree = Tree::new(&new.join("root"), recipe)?;
        host::copy(recipe, &mut tree, &mut manifest)?;
        recipe::write(&mut tree, &mut manifest)?;
        tree.close()?;
        let manifest = manifest.into_bytes();
        fs::write(new.join("manifest"), &manifest)?;
        fs::set_permissions(&new, Permissions::from_mode(0o755))?;
        let made = directory.join(digest(&manifest));
        remove(&made);
        fs::rename(&new, &made)?;
        Ok(made)
    }
}

/// Whether a path is a base's, or one's that was not finished.
fn is_base(path: &Path) -> bool {
    path.file_name() == Some(NEW.as_ref()) || id_of(path).is_some()
}

/// The name of the base with this manifest.
fn digest(manifest: &[u8]) -> String {
    let hash = Sha256::digest(manifest);
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
