//! `/proc/meminfo` as a function sees it: its MemorySize, not the machine's memory.

use std::collections::HashSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lambkin_model::sandbox::LaunchError;

/// One file for each memory size, made when it is needed first.
pub(super) struct MemoryFiles {
    directory: PathBuf,
    made: Mutex<HashSet<u32>>,
}

impl MemoryFiles {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), made: Mutex::default() }
    }

    pub(super) fn of(&self, mb: u32) -> Result<PathBuf, LaunchError> {
        let path = self.directory.join(format!("meminfo-{mb}"));
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if !made.contains(&mb) {
            write(&path, mb)
                .map_err(|error| LaunchError(format!("cannot write {}: {error}", path.display())))?;
            made.insert(mb);
        }
        Ok(path)
    }
}

fn write(path: &Path, mb: u32) -> io::Result<()> {
    fs::write(path, memory_information(mb))?;
    // Whatever lambkin's umask is: the function is another user.
    fs::set_permissions(path, Permissions::from_mode(0o644))
}

/// How the kernel would tell of a machine with this much memory. Node.js reads it for `os.totalmem()`.
fn memory_information(mb: u32) -> String {
    let kilobytes = u64::from(mb) * 1024;
    let lines = [
        ("MemTotal", kilobytes),
        ("MemFree", kilobytes),
        ("MemAvailable", kilobytes),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
    ];
    lines.iter().map(|(name, kilobytes)| format!("{:<16}{kilobytes:>8} kB\n", format!("{name}:"))).collect()
}
