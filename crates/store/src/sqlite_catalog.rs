//! The catalog port on SQLite: reads from the snapshot in memory, writes through the one writer.
//!
//! Deliberately not here: the rules of what may follow what in a record; they live in `control`.

use std::path::Path;
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::name::FunctionKey;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::OpenError;
use crate::catalog_file::{CatalogFile, Change, head_key};
use crate::catalog_writer::{self, Write};
use crate::directory_lock::DirectoryLock;
use crate::snapshot::Snapshot;

/// How long a write waits for a place in the queue of the writer.
const QUEUE_WAIT: Duration = Duration::from_secs(30);
/// How long dropping the catalog waits for queued writes where nobody closed it before.
const DROP_WAIT: Duration = Duration::from_secs(10);

/// The catalog in a SQLite file, with its content in memory.
///
/// A write answers when its transaction is synced, the snapshot holds it and the watchers were
/// told. That answer has no deadline: a write in SQLite's hands happens or fails, and "nothing was
/// changed" must not be said of one that happens later. A caller may stop waiting; the write goes on.
#[derive(Debug)]
pub struct SqliteCatalog {
    snapshot: Arc<Snapshot>,
    queue: Mutex<Option<mpsc::Sender<Write>>>,
    writer: Mutex<Option<Writer>>,
    _lock: Arc<DirectoryLock>,
}

#[derive(Debug)]
struct Writer {
    thread: JoinHandle<()>,
    /// Disconnected when the thread is about to end.
    ended: std_mpsc::Receiver<()>,
}

impl SqliteCatalog {
    pub(crate) fn open(path: &Path, lock: Arc<DirectoryLock>) -> Result<Self, OpenError> {
        let (file, heads) = CatalogFile::open(path)?;
        let snapshot = Arc::new(Snapshot::new(heads));
        let (sender, receiver) = mpsc::channel(catalog_writer::QUEUE);
        let (end, ended) = std_mpsc::sync_channel(0);
        let of_writer = (Arc::clone(&snapshot), Arc::clone(&lock));
        let thread = std::thread::Builder::new()
            .name("lambkin-catalog".into())
            .spawn(move || {
                let _end: std_mpsc::SyncSender<()> = end;
                let (snapshot, _lock) = of_writer;
                catalog_writer::run(file, &snapshot, receiver);
            })
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok(Self {
            snapshot,
            queue: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(Writer { thread, ended })),
            _lock: lock,
        })
    }

    /// Finishes the queued writes and ends the writer; later writes are answered `Unavailable`,
    /// reads go on. Blocking, for at most `deadline`; `false` where that was too short.
    #[must_use]
    pub fn close(&self, deadline: Duration) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Writer { thread, ended }) = writer.take() else {
            return true;
        };
        match ended.recv_timeout(deadline) {
            Ok(()) | Err(std_mpsc::RecvTimeoutError::Disconnected) => thread.join().is_ok(),
            Err(std_mpsc::RecvTimeoutError::Timeout) => {
                *writer = Some(Writer { thread, ended });
                false
            }
        }
    }

    async fn write(
        &self,
        key: FunctionKey,
        expected: Option<Revision>,
        head: Option<Head>,
    ) -> Result<Revision, CatalogError> {
        let closed = || CatalogError::Unavailable("the store is closed".into());
        let change = Change { key: head_key(&key), expected, body: head.as_ref().map(Head::encode) };
        let (answer, answered) = oneshot::channel();
        let write = Write { key, change, head, answer };
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        match queue.try_send(write) {
            Ok(()) => {}
            Err(TrySendError::Full(write)) => {
                queue.send_timeout(write, QUEUE_WAIT).await.map_err(|_| {
                    CatalogError::Unavailable("the catalog's disk is too slow for its writes".into())
                })?;
            }
            Err(TrySendError::Closed(_)) => return Err(closed()),
        }
        // Held over the wait for the answer, this would hold `close` up.
        drop(queue);
        answered.await.map_err(|_| closed())?
    }
}

impl Drop for SqliteCatalog {
    fn drop(&mut self) {
        if !self.close(DROP_WAIT) {
            tracing::error!("the catalog's writer did not end in time");
        }
    }
}

impl CatalogRead for SqliteCatalog {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        self.snapshot.head(key)
    }

    fn heads(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Head>>> {
        self.snapshot.heads(account, region, after, limit)
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.snapshot.all()
    }

    fn watch(&self, watcher: Watcher) {
        self.snapshot.watch(watcher);
    }
}

impl Catalog for SqliteCatalog {
    fn put(&self, expected: Option<Revision>, head: Head) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(self.write(head.key.clone(), expected, Some(head)))
    }

    fn delete(&self, expected: Revision, key: FunctionKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(async move { self.write(key, Some(expected), None).await.map(|_| ()) })
    }
}
