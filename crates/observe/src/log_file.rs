//! The files of log streams: where they are, and the few of them that are open for appending.
//! `<root>/<account>/<region>/<group>/<stream>.ndjson`, each name encoded as one component.
//!
//! Deliberately not here: syncs. What was written outlives lambkin, not a power cut: a torn last
//! line is closed off when the file is opened again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lambkin_model::log::LogStreamName;

use crate::file_name::{encode, is_shortened};

pub(crate) const SUFFIX: &str = ".ndjson";
/// A file beside one with a shortened name, with the whole name as its content.
pub(crate) const NAME_SUFFIX: &str = ".name";

pub(crate) fn region_directory(root: &Path, account: &str, region: &str) -> PathBuf {
    root.join(encode(account)).join(encode(region))
}

pub(crate) fn stream_file(root: &Path, name: &LogStreamName) -> PathBuf {
    let mut file = encode(&name.stream);
    file.push_str(SUFFIX);
    region_directory(root, &name.account, &name.region).join(encode(&name.group)).join(file)
}

struct OpenFile {
    file: File,
    /// Up to here every line is whole.
    length: u64,
    used: u64,
}

/// Appends to streams, with the files used last kept open.
pub(crate) struct LogFiles {
    root: PathBuf,
    open: HashMap<Arc<LogStreamName>, OpenFile>,
    limit: usize,
    uses: u64,
}

impl LogFiles {
    pub(crate) fn new(root: PathBuf, limit: usize) -> Self {
        Self { root, open: HashMap::new(), limit: limit.max(1), uses: 0 }
    }

    /// Appends whole lines. On an error nothing of them stays, as far as the disk allows, so that
    /// they can be written again.
    pub(crate) fn append(&mut self, name: &Arc<LogStreamName>, lines: &[u8]) -> io::Result<()> {
        self.uses += 1;
        // Someone may have removed old logs while the file was open: what is written there is lost.
        let gone = |open: &OpenFile| open.file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        if self.open.get(name).is_some_and(gone) {
            self.open.remove(name);
        }
        if !self.open.contains_key(name) {
            self.make_room();
            let opened = open(&self.root, name)?;
            self.open.insert(Arc::clone(name), opened);
        }
        let Some(open) = self.open.get_mut(name) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        open.used = self.uses;
        if let Err(error) = open.file.write_all(lines) {
            // The next try opens it anew and closes a torn line off where this did not help.
            let _ = open.file.set_len(open.length);
            self.open.remove(name);
            return Err(error);
        }
        open.length += lines.len() as u64;
        Ok(())
    }

    fn make_room(&mut self) {
        while self.open.len() >= self.limit {
            let oldest = self.open.iter().min_by_key(|(_, open)| open.used).map(|(name, _)| Arc::clone(name));
            let Some(oldest) = oldest else { return };
            self.open.remove(&oldest);
        }
    }
}

fn open(root: &Path, name: &LogStreamName) -> io::Result<OpenFile> {
    let path = stream_file(root, name);
    if let Some(group) = path.parent() {
        fs::create_dir_all(group)?;
        remember(group, &name.group)?;
    }
    remember(&path.with_extension(""), &name.stream)?;
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
    let mut length = file.metadata()?.len();
    if length > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            length += 1;
        }
    }
    Ok(OpenFile { file, length, used: 0 })
}

/// Keeps the whole name where the file's was shortened.
fn remember(path: &Path, name: &str) -> io::Result<()> {
    let Some(component) = path.file_name().and_then(|component| component.to_str()) else { return Ok(()) };
    if !is_shortened(component) {
        return Ok(());
    }
    let beside = path.with_file_name(format!("{component}{NAME_SUFFIX}"));
    // Written again at each opening: this is rare, and repairs one that a full disk left empty.
    fs::write(beside, name)
}
