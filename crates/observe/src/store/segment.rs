//! A segment: a file of blocks, one after the other. What is torn at its end is cut off when it is opened.
//!
//! Deliberately not here: which segments a group has, and when they go.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::{Entry, HEAD};

pub(crate) const SUFFIX: &str = ".blocks";

#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub path: Arc<Path>,
    /// Whole blocks end here.
    pub length: u64,
    pub blocks: Vec<Arc<Entry>>,
}

/// The file of a segment that begins with this block, or of its tail.
pub(crate) fn file(directory: &Path, number: u64, suffix: &str) -> PathBuf {
    directory.join(format!("{number:012}{suffix}"))
}

impl Segment {
    pub(crate) fn begin(directory: &Path, number: u64) -> Self {
        Self { path: file(directory, number, SUFFIX).into(), length: 0, blocks: Vec::new() }
    }

    /// Reads what blocks there are. `last`: it is the one that was written to, whose last block may be torn.
    pub(crate) fn open(path: &Path, last: bool) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let end = file.metadata()?.len();
        let mut segment = Self { path: path.into(), length: 0, blocks: Vec::new() };
        while let Some(entry) = read_entry(&file, segment.length, end)? {
            segment.length += entry.length();
            segment.blocks.push(Arc::new(entry));
        }
        if last && let Some(entry) = segment.blocks.last() {
            let mut payload = Vec::new();
            read_payload(&file, entry, &mut payload)?;
            if crc32fast::hash(&payload) != entry.payload_checksum {
                segment.length = entry.offset;
                segment.blocks.pop();
            }
        }
        if segment.length < end {
            tracing::warn!(file = %path.display(), bytes = end - segment.length, "a torn end was cut off");
            file.set_len(segment.length)?;
        }
        Ok(segment)
    }

    /// Appends a block. On an error nothing of it stays.
    pub(crate) fn append(&mut self, block: &[u8], entry: Entry) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path)?;
        if let Err(error) = file.write_all_at(block, self.length) {
            // What stays behind the end is written over, or cut off at the next start.
            let _ = file.set_len(self.length);
            return Err(error);
        }
        let entry = Entry { offset: self.length, ..entry };
        self.length += entry.length();
        self.blocks.push(Arc::new(entry));
        Ok(())
    }

    pub(crate) fn events(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.events)).sum()
    }

    /// Time of the last event.
    pub(crate) fn max(&self) -> u64 {
        self.blocks.iter().map(|block| block.max).max().unwrap_or(0)
    }
}

fn read_entry(file: &File, offset: u64, end: u64) -> io::Result<Option<Entry>> {
    if offset + HEAD as u64 > end {
        return Ok(None);
    }
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, offset)?;
    let Some((streams, filter)) = Entry::lengths(&head) else { return Ok(None) };
    let rest = u64::from(streams) + u64::from(filter);
    if offset + HEAD as u64 + rest > end {
        return Ok(None);
    }
    let mut bytes = vec![0; rest as usize];
    file.read_exact_at(&mut bytes, offset + HEAD as u64)?;
    let (streams, filter) = bytes.split_at(streams as usize);
    Ok(Entry::read(offset, &head, streams, filter).filter(|entry| offset + entry.length() <= end))
}

pub(crate) fn read_filter(file: &File, entry: &Entry, filter: &mut Vec<u8>) -> io::Result<()> {
    filter.resize(entry.filter_length as usize, 0);
    file.read_exact_at(filter, entry.filter_offset())
}

pub(crate) fn read_payload(file: &File, entry: &Entry, payload: &mut Vec<u8>) -> io::Result<()> {
    payload.resize(entry.payload_length as usize, 0);
    file.read_exact_at(payload, entry.payload_offset())
}
