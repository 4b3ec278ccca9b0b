//! Logs as lambkin kept them before this store: a file for each stream, a line of JSON for each event,
//! `{"timestamp":<ms>,"message":"..."}`. Their group takes them in when it is first opened, and they are removed.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use bytes::Bytes;
use lambkin_model::log::LogEvent;
use lambkin_model::time::Timestamp;
use serde::Deserialize;

use super::file_name::{decode, is_shortened};

pub(crate) const SUFFIX: &str = ".ndjson";
/// A file beside one with a shortened name, with the whole name as its content.
pub(crate) const NAME_SUFFIX: &str = ".name";
/// Events that are handed on together.
const BATCH_BYTES: usize = 256 * 1024;

/// Which stream a file is; `None`: none of ours.
pub(crate) fn stream_name(path: &Path) -> io::Result<Option<String>> {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(SUFFIX));
    let Some(encoded) = name else { return Ok(None) };
    if is_shortened(encoded) {
        return fs::read_to_string(path.with_file_name(format!("{encoded}{NAME_SUFFIX}"))).map(Some);
    }
    Ok(decode(encoded))
}

/// Hands on the file's events in order, but for the first `skip`.
pub(crate) fn read(
    path: &Path,
    mut skip: u64,
    take: &mut dyn FnMut(&[LogEvent]) -> io::Result<()>,
) -> io::Result<()> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let Some(event) = event(&line?) else { continue };
        if skip > 0 {
            skip -= 1;
            continue;
        }
        bytes += event.message.len();
        batch.push(event);
        if bytes >= BATCH_BYTES {
            take(&batch)?;
            batch.clear();
            bytes = 0;
        }
    }
    take(&batch)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    match fs::remove_file(path.with_extension(&NAME_SUFFIX[1..])) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// `None` for a line that is torn.
fn event(line: &[u8]) -> Option<LogEvent> {
    #[derive(Deserialize)]
    struct Line {
        timestamp: u64,
        message: String,
    }
    let text = String::from_utf8_lossy(line);
    let line: Line = serde_json::from_str(&text).ok()?;
    Some(LogEvent { at: Timestamp(line.timestamp.saturating_mul(1000)), message: Bytes::from(line.message) })
}
