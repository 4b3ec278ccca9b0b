//! Reads streams back from their files. What is still queued is not seen; `LogStore::flush` first
//! where that matters.
//!
//! Deliberately not here: filters, pages, time ranges. They come with the logs API, over an index.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use lambkin_model::log::{LogEvent, LogStreamName};

use crate::file_name::{decode, encode, is_shortened};
use crate::line;
use crate::log_file::{NAME_SUFFIX, SUFFIX, region_directory, stream_file};

pub(crate) fn events(root: &Path, name: &LogStreamName) -> io::Result<Vec<LogEvent>> {
    let file = match File::open(stream_file(root, name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut events = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        // A torn line is no event: it was closed off when the file was opened again.
        events.extend(line::read(&line?));
    }
    Ok(events)
}

pub(crate) fn streams(root: &Path, account: &str, region: &str, group: &str) -> io::Result<Vec<String>> {
    let directory = region_directory(root, account, region).join(encode(group));
    names(&directory, |entry| entry.strip_suffix(SUFFIX).map(str::to_owned))
}

pub(crate) fn groups(root: &Path, account: &str, region: &str) -> io::Result<Vec<String>> {
    names(&region_directory(root, account, region), |entry| {
        // A group may be called `x.name`; the file beside a shortened name has a `~` in it.
        let beside = entry.ends_with(NAME_SUFFIX) && is_shortened(entry);
        (!beside).then(|| entry.to_owned())
    })
}

/// The decoded names of a directory's entries, in their order.
fn names(directory: &Path, component: impl Fn(&str) -> Option<String>) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?.file_name();
        let Some(component) = entry.to_str().and_then(&component) else { continue };
        if is_shortened(&component) {
            names.push(fs::read_to_string(directory.join(format!("{component}{NAME_SUFFIX}")))?);
        } else {
            // Files that others put here have names that are none of ours.
            names.extend(decode(&component));
        }
    }
    names.sort_unstable();
    Ok(names)
}
