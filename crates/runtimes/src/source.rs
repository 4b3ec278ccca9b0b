//! What the sources of a Node.js binary share: the bounded, watched reader, the writer that hashes
//! as it writes, the stop, and why a source has failed. One file per source below.
//!
//! A source leaves a file that *is* the pinned executable in the staging directory, or an error.
//! Deliberately not here: the order of the sources (`fetch.rs`) and the cache.

mod archive;
pub(crate) mod directory;
pub(crate) mod mirror;
pub(crate) mod npm;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::cache::hex;
use crate::progress::Progress;

/// How much a source may bring, in bytes. The largest pinned executable has 150 MB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// An archive as it is downloaded.
    pub(crate) packed: u64,
    /// All that is unpacked of an archive until the executable is complete.
    pub(crate) unpacked: u64,
    /// The executable.
    pub(crate) executable: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { packed: 256 << 20, unpacked: 1 << 30, executable: 512 << 20 }
    }
}

/// How long one source may take.
pub(crate) const SOURCE_DEADLINE: Duration = Duration::from_secs(10 * 60);

/// Says that lambkin is shutting down: fetches end at the next block or within a poll.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), SourceError> {
        if self.0.load(Ordering::Relaxed) { Err(SourceError::Stopped) } else { Ok(()) }
    }
}

/// Why a source did not bring the binary.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The machine's own fault.
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    /// The source has it not, or cannot be reached.
    #[error("{0}")]
    Failed(String),
    /// The source has another binary under that name.
    #[error("its executable has SHA-256 {found}, not the pinned {pinned}")]
    WrongBinary { found: String, pinned: String },
    /// lambkin is shutting down.
    #[error("lambkin is shutting down")]
    Stopped,
}

impl SourceError {
    pub(crate) fn io(what: impl Into<String>, error: io::Error) -> Self {
        Self::Io { what: what.into(), error }
    }
}

/// A reader with an end: in bytes, in time, and at the stop.
pub(crate) struct Watched<'a, R> {
    inner: R,
    left: u64,
    bound: u64,
    deadline: Instant,
    stop: &'a Stop,
    progress: Option<&'a Progress>,
}

impl<'a, R: Read> Watched<'a, R> {
    pub(crate) fn new(inner: R, bound: u64, stop: &'a Stop) -> Self {
        Self { inner, left: bound, bound, deadline: Instant::now() + SOURCE_DEADLINE, stop, progress: None }
    }

    pub(crate) fn shown_by(mut self, progress: &'a Progress) -> Self {
        self.progress = Some(progress);
        self
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stop.check().map_err(io::Error::other)?;
        if Instant::now() >= self.deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "took longer than its deadline"));
        }
        // One byte more than allowed is asked for, to tell an end from a bound.
        let room = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..room])?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(format!("holds more than {} bytes", self.bound)))?;
        if let Some(progress) = self.progress {
            progress.advance(read as u64);
        }
        Ok(read)
    }
}

/// Writes what comes to a new file and makes sure it is the pinned executable.
fn write_pinned(mut from: impl Read, to: &Path, pinned: &str) -> Result<(), SourceError> {
    let failed = |error| SourceError::io(format!("writing {}", to.display()), error);
    let mut file = File::create(to).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(SourceError::Failed(format!("its executable {error}"))),
        };
        hash.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(failed)?;
    }
    let found = hex(hash);
    if found != pinned {
        return Err(SourceError::WrongBinary { found, pinned: pinned.to_owned() });
    }
    Ok(())
}
