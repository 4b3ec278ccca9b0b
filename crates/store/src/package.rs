//! Unpacks a deployment package that may be hostile, below one directory and within limits that
//! count what is written, whatever the headers say (sandbox.md, threat 28).
//!
//! Deliberately not here: where that directory is, what becomes of it when this fails, and the process that
//! does it (`unpacker`).

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::os::fd::OwnedFd;

use bytes::Bytes;
use lambkin_model::code::CodeError;
use lambkin_model::quota;
use serde::{Deserialize, Serialize};
use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

use crate::entry_path::components;
use crate::package_tree::{PackageTree, failed};
use crate::sdk_references::SdkScan;
use crate::symlink;

/// Bytes of a symbolic link's target, as Linux bounds them.
const TARGET_BYTES: u64 = 4095;
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes that all files together may have, as written.
    pub written: u64,
    /// Entries, and with the directories that they imply, files and directories made.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { written: quota::UNZIPPED_BYTES, entries: quota::ZIP_ENTRIES }
    }
}

/// What came out of a package.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unpacked {
    pub sdk_packages: BTreeSet<String>,
    /// Files, directories and links.
    pub made: usize,
    /// Bytes, as written.
    pub written: u64,
}

/// Unpacks into `root`, which is empty. After an error the caller removes what is there.
pub(crate) fn unpack(zip: &Bytes, root: OwnedFd, limits: Limits) -> Result<Unpacked, CodeError> {
    refuse_entry_count(zip, limits.entries)?;
    let mut archive = ZipArchive::new(Cursor::new(zip.clone())).map_err(|error| unusable(&error))?;
    if archive.is_empty() {
        return Err(CodeError::Unusable("it has no entries".into()));
    }
    if archive.len() > limits.entries {
        return Err(too_many_entries(limits.entries));
    }
    if archive.has_duplicate_names() {
        return Err(CodeError::Unusable("it has two entries of the same name".into()));
    }
    let mut unpacking = Unpacking {
        tree: PackageTree::new(root, limits.entries),
        scan: SdkScan::default(),
        links: HashMap::new(),
        limit: limits.written,
        left: limits.written,
        buffer: vec![0; 64 * 1024],
    };
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| unusable(&error))?;
        unpacking.entry(&mut entry)?;
    }
    unpacking.finish()
}

/// Reading the directory of a hostile zip costs memory for each entry before they can be counted.
/// Only a ZIP64 end record can claim more than 65,535; such records are found wherever they stand.
fn refuse_entry_count(zip: &[u8], limit: usize) -> Result<(), CodeError> {
    const END64: &[u8] = b"PK\x06\x06";
    let mut at = 0;
    while let Some(next) = zip.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == END64[0])) {
        at += next;
        if let Some(record) = zip[at..].first_chunk::<56>()
            && record.starts_with(END64)
        {
            let field =
                |from: usize| record[from..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            // A record's size field tells it from chance in compressed data.
            let (size, entries) = (field(4), field(32));
            if (44..1 << 20).contains(&size) && entries > limit as u64 {
                return Err(too_many_entries(limit));
            }
        }
        at += 1;
    }
    Ok(())
}

fn too_many_entries(limit: usize) -> CodeError {
    CodeError::Unusable(format!("it has more than {limit} entries"))
}

fn unusable(error: &zip::result::ZipError) -> CodeError {
    CodeError::Unusable(error.to_string())
}

type Source<'a> = ZipFile<'a, Cursor<Bytes>>;

struct Unpacking {
    tree: PackageTree,
    scan: SdkScan,
    /// Made last: while files are written there is no link that one could be written through.
    links: HashMap<String, String>,
    limit: u64,
    left: u64,
    buffer: Vec<u8>,
}

impl Unpacking {
    fn entry(&mut self, entry: &mut Source<'_>) -> Result<(), CodeError> {
        let name = entry.name_raw().to_vec();
        let path = components(&name).map_err(CodeError::Unusable)?;
        let shown = path.join("/");
        let refuse = |why: &str| Err(CodeError::Unusable(format!("entry `{shown}` {why}")));
        if entry.encrypted() {
            return refuse("is encrypted");
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return refuse("is compressed by another method than deflate");
        }
        let mode = entry.unix_mode();
        let named_directory = name.ends_with(b"/");
        match mode.unwrap_or(0) & KIND {
            0 | REGULAR if named_directory => self.directory(&path),
            DIRECTORY => self.directory(&path),
            0 | REGULAR => {
                // Owner-readable whatever the zip says: lambkin itself reads the file again.
                let permissions = mode.map_or(0o644, |mode| mode & 0o777 | 0o400);
                let file = self.tree.file(&path, permissions)?;
                self.file(entry, file, &path)
            }
            LINK if !named_directory => self.link(entry, &path),
            _ => refuse("is neither a file nor a directory nor a link"),
        }
    }

    fn directory(&mut self, path: &[&str]) -> Result<(), CodeError> {
        self.scan.entry(path);
        self.tree.directory(path)
    }

    fn file(&mut self, entry: &mut Source<'_>, mut file: File, path: &[&str]) -> Result<(), CodeError> {
        let mut wanted = self.scan.entry(path);
        let mut seen = Vec::new();
        let mut written = 0;
        loop {
            let count = entry.read(&mut self.buffer).map_err(|error| broken(path, &error))?;
            if count == 0 {
                break;
            }
            let bytes = &self.buffer[..count];
            self.left = self.left.checked_sub(count as u64).ok_or(CodeError::UnzippedTooLarge)?;
            file.write_all(bytes).map_err(|error| failed(path, error))?;
            written += count as u64;
            let look = &bytes[..count.min(wanted)];
            seen.extend_from_slice(look);
            wanted -= look.len();
        }
        if written != entry.size() {
            return Err(CodeError::Unusable(format!(
                "entry `{}` is not of the size it claims",
                path.join("/")
            )));
        }
        if !seen.is_empty() {
            self.scan.file(&seen);
        }
        Ok(())
    }

    fn link(&mut self, entry: &mut Source<'_>, path: &[&str]) -> Result<(), CodeError> {
        self.scan.entry(path);
        let mut target = Vec::new();
        entry.take(TARGET_BYTES + 1).read_to_end(&mut target).map_err(|error| broken(path, &error))?;
        let length = target.len() as u64;
        self.left = self.left.checked_sub(length).ok_or(CodeError::UnzippedTooLarge)?;
        let shown = path.join("/");
        match String::from_utf8(target) {
            Ok(target) if length <= TARGET_BYTES && !path.is_empty() => {
                if self.links.insert(shown.clone(), target).is_some() {
                    return Err(CodeError::Unusable(format!("entry `{shown}` is in the package twice")));
                }
                Ok(())
            }
            Ok(_) | Err(_) => {
                Err(CodeError::Unusable(format!("symbolic link `{shown}` has no usable target")))
            }
        }
    }

    fn finish(mut self) -> Result<Unpacked, CodeError> {
        symlink::check(&self.links).map_err(CodeError::Unusable)?;
        for (path, target) in &self.links {
            let path: Vec<&str> = path.split('/').collect();
            self.tree.link(&path, target)?;
        }
        Ok(Unpacked {
            sdk_packages: self.scan.missing(),
            made: self.tree.made(),
            written: self.limit - self.left,
        })
    }
}

fn broken(path: &[&str], error: &std::io::Error) -> CodeError {
    CodeError::Unusable(format!("entry `{}` is broken: {error}", path.join("/")))
}

#[cfg(test)]
mod tests;
