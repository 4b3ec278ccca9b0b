//! Whether there is room for more messages: the operator's cap, and a floor of free disk, below which only what
//! makes room is done.
//!
//! Deliberately not here: messages.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lambkin_model::queue::QueueError;

use crate::queue_desk::Trouble;
use crate::queue_file::QueueFile;

/// How often the disk is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long nothing is sent after SQLite found the disk full.
const FULL: Duration = Duration::from_millis(500);

/// Bounds of the backlog of all queues together.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// Most bytes of disk that messages may take, their indexes included; `None`: no bound.
    pub max_bytes: Option<u64>,
    /// Free bytes of the disk below which nothing is sent, so that settling always has room.
    pub free_floor: u64,
}

impl Default for QueueConfig {
    /// No cap, and a floor of 64 MiB.
    fn default() -> Self {
        Self { max_bytes: None, free_floor: 64 << 20 }
    }
}

pub(crate) struct Room {
    config: QueueConfig,
    directory: PathBuf,
    looked: Option<Instant>,
    free: u64,
    full: Option<Instant>,
    /// Something was refused for want of disk since that was last asked.
    refused: bool,
    /// Bytes in use, and what this transaction adds, where that was asked for.
    used: Option<u64>,
}

impl Room {
    pub(crate) fn new(file: &Path, config: QueueConfig) -> Self {
        let directory = file.parent().unwrap_or(file).to_owned();
        Self { config, directory, looked: None, free: u64::MAX, full: None, refused: false, used: None }
    }

    /// A transaction begins.
    pub(crate) fn renew(&mut self) {
        self.used = None;
    }

    /// SQLite found the disk full.
    pub(crate) fn is_full(&mut self) {
        self.full = Some(Instant::now());
        self.refused = true;
    }

    /// Whether something was refused for want of disk since this was last asked.
    pub(crate) fn was_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// Takes room for so many bytes of content, or says why there is none.
    pub(crate) fn take(&mut self, bytes: u64, file: &QueueFile) -> Result<(), Trouble> {
        if let Some(max) = self.config.max_bytes {
            let used = match self.used {
                Some(used) => used,
                None => file.used()?,
            };
            if used + bytes > max {
                return Err(
                    QueueError::Full(format!("the backlog has reached its cap of {max} bytes")).into()
                );
            }
            self.used = Some(used + bytes);
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            // A disk that does not say is not refused: SQLite will see.
            self.free = rustix::fs::statvfs(&self.directory)
                .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        }
        let floor = self.config.free_floor;
        if self.free < floor.saturating_add(bytes) {
            self.refused = true;
            return Err(QueueError::Full(format!("the disk has less than {floor} bytes free")).into());
        }
        self.free -= bytes;
        if self.full.take_if(|full| full.elapsed() >= FULL).is_none() && self.full.is_some() {
            return Err(QueueError::Full("the disk is full".into()).into());
        }
        Ok(())
    }
}
