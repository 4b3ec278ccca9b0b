//! What a base was made from: a line for the recipe and the machine's start, and one for each of the host's files that was looked
//! at, with what is compared of it. A file that was missing has a line, too: it may come.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::recipe::{self, Recipe};

pub(super) struct Manifest {
    recipe: Vec<u8>,
    files: BTreeSet<Vec<u8>>,
}

impl Manifest {
    pub(super) fn new(recipe: &Recipe) -> Self {
        Self { recipe: first_line(recipe), files: BTreeSet::new() }
    }

    /// Takes a file down as it is now, a link as a link.
    pub(super) fn add(&mut self, path: &Path) {
        self.files.insert(line(path));
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let lines = std::iter::once(self.recipe).chain(self.files);
        lines.flat_map(|line| line.into_iter().chain(*b"\n")).collect()
    }

    /// Whether everything is still as it was written down.
    pub(super) fn is_true(written: &[u8], recipe: &Recipe) -> bool {
        let Some(written) = written.strip_suffix(b"\n") else { return false };
        let mut lines = written.split(|byte| *byte == b'\n');
        lines.next() == Some(&*first_line(recipe))
            && lines.all(|written| {
                let path = written.split(|byte| *byte == b'\t').next().unwrap_or_default();
                line(Path::new(OsStr::from_bytes(path))) == written
            })
    }
}

/// With the machine's start: a base has its name before its bytes are on the disk, so after a crash it is
/// not trusted. Making it again is cheaper than waiting for the disk each time it is made.
fn first_line(recipe: &Recipe) -> Vec<u8> {
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    format!("{} {}", start.trim(), recipe::identity(recipe)).into_bytes()
}

/// The path, then what must not change. A path with a tab or a newline would never compare equal: the
/// base would be made at each start.
fn line(path: &Path) -> Vec<u8> {
    let mut line = path.as_os_str().as_bytes().to_owned();
    let state = match fs::symlink_metadata(path) {
        Err(_) => "\tmissing".to_owned(),
        Ok(metadata) if metadata.is_symlink() => {
            let target = fs::read_link(path).unwrap_or_default();
            format!("\t{}", target.display())
        }
        Ok(metadata) => {
            format!("\t{} {}.{:09}", metadata.size(), metadata.mtime(), metadata.mtime_nsec())
        }
    };
    line.extend_from_slice(state.as_bytes());
    line
}
