//! The directory that a package is unpacked into. Every path is made and opened component by
//! component from an open directory, and no symbolic link is ever followed, so that no entry can
//! reach outside whatever was made before it (the hole of CVE-2025-29787).
//!
//! Deliberately not here: what an entry may be called (`entry_path`) and where links may lead (`symlink`).

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use lambkin_model::code::CodeError;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[derive(Debug)]
pub(crate) struct PackageTree {
    root: OwnedFd,
    /// The directories that were open last, from the root down: entries of one directory follow
    /// each other in real packages.
    open: Vec<(String, OwnedFd)>,
    made: usize,
    limit: usize,
}

impl PackageTree {
    /// `limit` bounds what is made: a package of few entries can imply directories without end.
    pub(crate) fn new(root: OwnedFd, limit: usize) -> Self {
        Self { root, open: Vec::new(), made: 0, limit }
    }

    /// Files, directories and links made so far.
    pub(crate) fn made(&self) -> usize {
        self.made
    }

    /// Makes a directory and those above it, where they are not there yet.
    pub(crate) fn directory(&mut self, path: &[&str]) -> Result<(), CodeError> {
        let same = self.open.iter().zip(path).take_while(|((open, _), name)| open == *name).count();
        self.open.truncate(same);
        for name in &path[same..] {
            let parent = self.open.last().map_or(&self.root, |(_, open)| open);
            let new = match rustix::fs::mkdirat(parent, *name, Mode::from_raw_mode(0o755)) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(failed(path, error.into())),
            };
            let opened = rustix::fs::openat(parent, *name, DIRECTORY, Mode::empty())
                .map_err(|error| failed(path, error.into()))?;
            if new {
                // The umask is the user's; what functions see is not.
                rustix::fs::fchmod(&opened, Mode::from_raw_mode(0o755))
                    .map_err(|error| failed(path, error.into()))?;
            }
            self.open.push(((*name).to_owned(), opened));
            if new {
                self.count()?;
            }
        }
        Ok(())
    }

    /// Makes a new, empty file with these permissions.
    pub(crate) fn file(&mut self, path: &[&str], permissions: u32) -> Result<File, CodeError> {
        let (parent, name) = self.place(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))
            .map_err(|error| failed(path, error.into()))?;
        let mode = Mode::from_bits_truncate(mode_bits(permissions));
        rustix::fs::fchmod(&file, mode).map_err(|error| failed(path, error.into()))?;
        self.count()?;
        Ok(file.into())
    }

    /// Makes a symbolic link.
    pub(crate) fn link(&mut self, path: &[&str], target: &str) -> Result<(), CodeError> {
        let (parent, name) = self.place(path)?;
        rustix::fs::symlinkat(target, parent, name).map_err(|error| failed(path, error.into()))?;
        self.count()
    }

    fn place<'a>(&mut self, path: &[&'a str]) -> Result<(&OwnedFd, &'a str), CodeError> {
        let Some((name, parent)) = path.split_last() else {
            return Err(CodeError::Unusable("an entry has the package's own name".into()));
        };
        self.directory(parent)?;
        Ok((self.open.last().map_or(&self.root, |(_, open)| open), name))
    }

    fn count(&mut self) -> Result<(), CodeError> {
        self.made += 1;
        if self.made > self.limit {
            return Err(CodeError::Unusable(format!(
                "it has more than {} files and directories",
                self.limit
            )));
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn mode_bits(permissions: u32) -> rustix::fs::RawMode {
    permissions
}

#[cfg(not(target_os = "linux"))]
fn mode_bits(permissions: u32) -> rustix::fs::RawMode {
    rustix::fs::RawMode::try_from(permissions & 0o777).unwrap_or(0o644)
}

/// What a failure means: that the package is at fault, or the disk.
pub(crate) fn failed(path: &[&str], error: io::Error) -> CodeError {
    let shown = path.join("/");
    match Errno::from_io_error(&error) {
        Some(Errno::EXIST | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP) => {
            CodeError::Unusable(format!("entry `{shown}` is in the package twice, or a file and a directory"))
        }
        Some(Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL) => {
            CodeError::Unusable(format!("entry `{shown}` has a name that this machine's disk does not take"))
        }
        _ => CodeError::Unavailable(format!("the code store cannot be written: {error}")),
    }
}
