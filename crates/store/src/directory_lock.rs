//! One process per data directory: an exclusive lock on a file in it, with the holder's process id
//! as its content. The kernel drops the lock with the process, however that ends.
//!
//! Deliberately not here: locks between machines.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::OpenError;

#[derive(Debug)]
pub(crate) struct DirectoryLock {
    /// Open as long as the lock is held. The standard library opens it close-on-exec, so that no
    /// child of ours holds the lock after us.
    _file: File,
}

impl DirectoryLock {
    pub(crate) fn take(directory: &Path) -> Result<Self, OpenError> {
        // The catalog holds functions' variables: secrets, often.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| OpenError::Io { path: directory.to_owned(), source })?;
        let path = directory.join("lock");
        let failed = |source| OpenError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut content = String::new();
                // The holder may be between its lock and its first write: then the pid is unknown.
                let _ = file.read_to_string(&mut content);
                return Err(OpenError::InUse {
                    directory: directory.to_owned(),
                    holder: content.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}
