//! The thread that alone writes a file, and the wait for its end: it holds the data directory's lock for as long as it may write.
//!
//! Deliberately not here: what it writes, and how it is told to end.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::OpenError;
use crate::directory_lock::DirectoryLock;

#[derive(Debug)]
pub(crate) struct WriterThread {
    /// `None` once it was joined.
    running: Mutex<Option<Running>>,
    _lock: Arc<DirectoryLock>,
}

#[derive(Debug)]
struct Running {
    handle: JoinHandle<()>,
    /// Disconnected when the thread is about to end.
    ended: Receiver<()>,
}

impl WriterThread {
    /// Starts it, for the file at `path`.
    pub(crate) fn start(
        name: &str,
        path: &Path,
        lock: Arc<DirectoryLock>,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<Self, OpenError> {
        let (end, ended) = sync_channel(0);
        let of_thread = Arc::clone(&lock);
        let handle = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                let _end: SyncSender<()> = end;
                let _lock = of_thread;
                work();
            })
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok(Self { running: Mutex::new(Some(Running { handle, ended })), _lock: lock })
    }

    /// Waits for the end of a thread that was told to end. Blocking, for at most `deadline`; `false` where that was too short, or it
    /// panicked.
    #[must_use]
    pub(crate) fn join(&self, deadline: Duration) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Running { handle, ended }) = running.take() else {
            return true;
        };
        match ended.recv_timeout(deadline) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => handle.join().is_ok(),
            Err(RecvTimeoutError::Timeout) => {
                *running = Some(Running { handle, ended });
                false
            }
        }
    }
}
