//! A directory of `node` binaries, `--node-dir DIR`: a copied cache, an unpacked archive, or plain
//! files. Its binaries are copied, never used in place, because they could change under us.
//!
//! Deliberately not here: whatever else is installed on the machine; the system's Node.js is not a
//! source.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{Bounds, SourceError, Stop, Watched, write_pinned};
use crate::table::Row;

/// The places in the directory where the build may be, in the order tried.
fn places(directory: &Path, row: &Row) -> [PathBuf; 4] {
    let Row { version, platform, .. } = row;
    [
        directory.join(version).join("bin/node"),
        directory.join(format!("node-v{version}")),
        directory.join(format!("node-v{version}-{platform}/bin/node")),
        // The layout of our own cache.
        directory.join(format!("{version}-{platform}/bin/node")),
    ]
}

/// Copies the build out of the directory to `to`.
pub(crate) fn fetch(
    directory: &Path,
    row: &Row,
    to: &Path,
    bounds: Bounds,
    stop: &Stop,
) -> Result<(), SourceError> {
    let places = places(directory, row);
    let mut last = None;
    for place in &places {
        let file = match File::open(place) {
            Ok(file) if file.metadata().is_ok_and(|meta| meta.is_file()) => file,
            // `node-v1.2.3` may well be a directory.
            Ok(_) => continue,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            Err(error) => {
                last = Some(SourceError::io(place.display().to_string(), error));
                continue;
            }
        };
        match write_pinned(Watched::new(file, bounds.executable, stop), to, &row.sha256) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(SourceError::Failed(format!("{}: {error}", place.display()))),
        }
    }
    Err(last.unwrap_or_else(|| {
        let names: Vec<_> = places
            .iter()
            .filter_map(|place| Some(place.strip_prefix(directory).ok()?.display().to_string()))
            .collect();
        SourceError::Failed(format!("has none of {}", names.join(", ")))
    }))
}
