//! The thread that alone writes the catalog's file, and the queue to it. Writes that queue up while it syncs
//! share the next transaction and its one sync (group commit), so that n writers do not pay n syncs.
//!
//! Deliberately not here: reads, which never come near this thread.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::catalog::{CatalogError, Revision};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::OpenError;
use crate::catalog_file::{CatalogFile, Change};
use crate::directory_lock::DirectoryLock;
use crate::kind::{Kind, Kinds};
use crate::snapshot::{Entry, EntryOf, Snapshot};
use crate::sqlite_file::is_passing;
use crate::writer_thread::WriterThread;

/// Writes in the queue. When it is full, a write waits for room, at most [`QUEUE_WAIT`], and then answers
/// `Unavailable`.
const QUEUE: usize = 1024;
/// Writes of one transaction: bounds how long the first of them waits for the last.
const BATCH: usize = 256;
/// How long a write waits for a place in the queue.
const QUEUE_WAIT: Duration = Duration::from_secs(30);
/// How long dropping the catalog waits for queued writes where nobody closed it before.
const DROP_WAIT: Duration = Duration::from_secs(10);

struct Write {
    change: Change,
    entry: Box<dyn Entry>,
    answer: oneshot::Sender<Result<Revision, CatalogError>>,
}

/// The way to the catalog's file, for ports of every kind of record.
///
/// A write answers when its transaction is synced, the snapshot holds it and the watchers were
/// told. That answer has no deadline: a write in SQLite's hands happens or fails, and "nothing was
/// changed" must not be said of one that happens later. A caller may stop waiting; the write goes on.
#[derive(Debug)]
pub(crate) struct CatalogWriter {
    queue: Mutex<Option<mpsc::Sender<Write>>>,
    thread: WriterThread,
}

impl CatalogWriter {
    /// Opens the file, reads it into the kinds' snapshots and starts the thread.
    pub(crate) fn open(path: &Path, lock: Arc<DirectoryLock>, kinds: &Kinds) -> Result<Self, OpenError> {
        let file = CatalogFile::open(path, kinds)?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let thread = WriterThread::start("lambkin-catalog", path, lock, move || run(file, receiver))?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread })
    }

    /// Finishes the queued writes and ends the writer; later writes are answered `Unavailable`.
    /// Blocking, for at most `deadline`; `false` where that was too short.
    #[must_use]
    pub(crate) fn close(&self, deadline: Duration) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.thread.join(deadline)
    }

    /// Writes a record of one kind, or removes it where `record` is `None`.
    pub(crate) async fn write<K: Kind>(
        &self,
        snapshot: &Arc<Snapshot<K>>,
        key: K::Key,
        expected: Option<Revision>,
        record: Option<K::Record>,
    ) -> Result<Revision, CatalogError> {
        let closed = || CatalogError::Unavailable("the store is closed".into());
        let change = Change { key: K::text_key(&key), expected, body: record.as_ref().map(K::encode) };
        let entry = Box::new(EntryOf { snapshot: Arc::clone(snapshot), key, record });
        let (answer, answered) = oneshot::channel();
        let write = Write { change, entry, answer };
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

impl Drop for CatalogWriter {
    fn drop(&mut self) {
        if !self.close(DROP_WAIT) {
            tracing::error!("the catalog's writer did not end in time");
        }
    }
}

/// Runs until every sender is gone and the queue is empty.
fn run(mut file: CatalogFile, mut queue: mpsc::Receiver<Write>) {
    let mut broken: Option<String> = None;
    let mut batch = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        if let Some(reason) = &broken {
            for write in batch.drain(..) {
                refuse(write, reason);
            }
            continue;
        }
        broken = commit(&mut file, &mut batch);
    }
}

/// Writes the batch and answers it. Says why where nothing can be written from now on.
fn commit(file: &mut CatalogFile, batch: &mut Vec<Write>) -> Option<String> {
    match file.apply(batch.iter().map(|write| &write.change)) {
        Ok(revisions) => {
            answer(batch, revisions);
            None
        }
        // One record that is too large must not fail the others with it.
        Err(error) if is_passing(&error) && batch.len() > 1 => {
            for write in std::mem::take(batch) {
                let broken = commit(file, &mut vec![write]);
                if broken.is_some() {
                    // The senders of the rest are dropped, which their callers read as unavailable.
                    return broken;
                }
            }
            None
        }
        Err(error) if is_passing(&error) => {
            let reason = format!("the catalog cannot be written: {error}");
            tracing::error!("{reason}");
            batch.drain(..).for_each(|write| refuse(write, &reason));
            None
        }
        Err(error) => {
            let reason =
                format!("the catalog's disk failed ({error}); nothing is written until lambkin starts again");
            tracing::error!("{reason}");
            batch.drain(..).for_each(|write| refuse(write, &reason));
            Some(reason)
        }
    }
}

fn answer(batch: &mut Vec<Write>, revisions: Vec<Option<Revision>>) {
    let mut written = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    for (mut write, revision) in batch.drain(..).zip(revisions) {
        if let Some(revision) = revision {
            write.entry.enter(revision);
            written.push(write.entry);
        }
        answers.push((write.answer, revision.ok_or(CatalogError::Conflict)));
    }
    written.iter().for_each(|entry| entry.tell());
    for (sender, answer) in answers {
        // A caller that went away has its write done all the same.
        let _ = sender.send(answer);
    }
}

fn refuse(write: Write, reason: &str) {
    let _ = write.answer.send(Err(CatalogError::Unavailable(reason.to_owned())));
}
