//! One hierarchy and lambkin's group in it, `lambkin-<tag>`, below which every environment's group
//! is made.
//!
//! Deliberately not here: what the files in a group mean (`group`, `limits`).

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::{Feature, Version};

const GROUP_MODE: Mode = Mode::from_raw_mode(0o755);

#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// Of all hierarchies only this one is asked for these.
    pub(super) serves: Vec<Feature>,
    /// `lambkin-<tag>`.
    path: PathBuf,
    directory: OwnedFd,
}

impl Hierarchy {
    /// Makes lambkin's group below our own where it is missing.
    pub(super) fn prepare(version: Version, own: &Path, name: &str) -> Result<Self, Errno> {
        let path = own.join(name);
        match rustix::fs::mkdirat(CWD, &path, GROUP_MODE) {
            Ok(()) => {}
            // An earlier lambkin's, who may have been another user.
            Err(Errno::EXIST) => rustix::fs::accessat(CWD, &path, Access::WRITE_OK, AtFlags::EACCESS)?,
            Err(errno) => return Err(errno),
        }
        let directory = open_directory(CWD, &path)?;
        Ok(Self { version, serves: Vec::new(), path, directory })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn make(&self, group: &str) -> Result<(), Errno> {
        rustix::fs::mkdirat(&self.directory, group, GROUP_MODE)
    }

    /// A group that is not there is removed. [`Errno::BUSY`] as long as something lives in it.
    pub(super) fn remove(&self, group: &str) -> Result<(), Errno> {
        match rustix::fs::unlinkat(&self.directory, group, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Removes lambkin's own group, unless it has groups.
    pub(super) fn close(&self) -> Result<(), Errno> {
        rustix::fs::unlinkat(CWD, &self.path, AtFlags::REMOVEDIR)
    }

    pub(super) fn groups(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.path) else { return Vec::new() };
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    pub(super) fn has(&self, file: &str) -> bool {
        rustix::fs::accessat(&self.directory, file, Access::EXISTS, AtFlags::empty()).is_ok()
    }

    pub(super) fn directory_of(&self, group: &str) -> Result<OwnedFd, Errno> {
        open_directory(self.directory.as_fd(), Path::new(group))
    }

    pub(super) fn open(&self, group: &str, file: &str, access: OFlags) -> Result<OwnedFd, Errno> {
        let path = Path::new(group).join(file);
        rustix::fs::openat(&self.directory, &path, access | OFlags::CLOEXEC, Mode::empty())
    }

    pub(super) fn read(&self, group: &str, file: &str) -> Option<String> {
        let mut text = String::new();
        File::from(self.open(group, file, OFlags::RDONLY).ok()?).read_to_string(&mut text).ok()?;
        Some(text)
    }

    pub(super) fn write(&self, group: &str, file: &str, text: &str) -> Result<(), Errno> {
        let file = self.open(group, file, OFlags::WRONLY | OFlags::TRUNC)?;
        rustix::io::write(&file, text.as_bytes()).map(drop)
    }

    /// A number that stands alone in its file.
    #[cfg(test)]
    pub(super) fn number(&self, group: &str, file: &str) -> Option<u64> {
        self.read(group, file)?.trim_ascii().parse().ok()
    }

    /// A number from a file of lines `name number`.
    pub(super) fn entry(&self, group: &str, file: &str, name: &str) -> Option<u64> {
        entry(&self.read(group, file)?, name)
    }

    /// Processes that live in the group. Those of a foreign pid namespace are listed as 0 and left out.
    pub(super) fn pids(&self, group: &str) -> Vec<i32> {
        let text = self.read(group, "cgroup.procs").unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
    }
}

pub(super) fn entry(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim_ascii().parse().ok())
}

fn open_directory(at: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_an_entry_by_its_whole_name() {
        let text = "low 0\noom 3\noom_kill 12\noom_group_kill 1\n";
        assert_eq!(entry(text, "oom_kill"), Some(12));
        assert_eq!(entry(text, "oom"), Some(3));
        assert_eq!(entry(text, "kill"), None);
    }
}
