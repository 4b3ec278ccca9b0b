//! The `node` executable out of a `.tar.gz`: npm's package and nodejs.org's archive are alike,
//! `<one directory>/bin/node` among much else that is skipped.
//!
//! Entries are read raw, without the long names and attributes of newer tar formats, which would
//! let an archive ask for memory; the one path wanted is short. Nothing but that one file is ever
//! written, and under our own name, so no path of the archive matters.

use std::io::{self, Read};
use std::path::{Component, Path};

use super::{Bounds, SourceError, Stop, Watched, write_pinned};

/// Unpacks the executable to `to`, if it is the pinned one.
pub(super) fn unpack(
    archive: impl Read,
    to: &Path,
    pinned: &str,
    bounds: Bounds,
    stop: &Stop,
) -> Result<(), SourceError> {
    let unpacked = Watched::new(flate2::read::GzDecoder::new(archive), bounds.unpacked, stop);
    let mut tar = tar::Archive::new(unpacked);
    let broken = |error: io::Error| SourceError::Failed(format!("its archive cannot be read: {error}"));
    for entry in tar.entries().map_err(broken)?.raw(true) {
        let entry = entry.map_err(broken)?;
        if entry.header().entry_type().is_file() && entry.path().is_ok_and(|path| is_node(&path)) {
            return write_pinned(Watched::new(entry, bounds.executable, stop), to, pinned);
        }
    }
    Err(SourceError::Failed("its archive has no bin/node".into()))
}

/// `<one directory>/bin/node`.
fn is_node(path: &Path) -> bool {
    let mut parts = path.components();
    matches!(parts.next(), Some(Component::Normal(_))) && parts.as_path() == Path::new("bin/node")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::is_node;

    #[test]
    fn only_the_executable_is_taken() {
        assert!(is_node(Path::new("package/bin/node")));
        assert!(is_node(Path::new("node-v6.10.3-linux-x64/bin/node")));
        for other in
            ["bin/node", "/bin/node", "../bin/node", "a/b/bin/node", "a/bin/node/x", "a/bin/npm", "node"]
        {
            assert!(!is_node(Path::new(other)), "{other}");
        }
    }
}
