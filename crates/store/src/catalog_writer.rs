//! The thread that alone writes the catalog's file. Writes that queue up while it syncs share the
//! next transaction and its one sync (group commit), so that n writers do not pay n syncs.
//!
//! Deliberately not here: reads, which never come near this thread.

use std::sync::Arc;

use lambkin_model::catalog::{CatalogError, Head, Revision, Stored};
use lambkin_model::name::FunctionKey;
use tokio::sync::{mpsc, oneshot};

use crate::catalog_file::{CatalogFile, Change, is_passing};
use crate::snapshot::{Changed, Snapshot};

/// Writes in the queue. When it is full, `put` and `delete` wait for room, at most
/// `sqlite_catalog::QUEUE_WAIT`, and then answer `Unavailable`.
pub(crate) const QUEUE: usize = 1024;
/// Writes of one transaction: bounds how long the first of them waits for the last.
const BATCH: usize = 256;

pub(crate) struct Write {
    pub key: FunctionKey,
    pub change: Change,
    /// What the snapshot gets; `None` where the record goes.
    pub head: Option<Head>,
    pub answer: oneshot::Sender<Result<Revision, CatalogError>>,
}

/// Runs until every sender is gone and the queue is empty.
pub(crate) fn run(mut file: CatalogFile, snapshot: &Arc<Snapshot>, mut queue: mpsc::Receiver<Write>) {
    let mut broken: Option<String> = None;
    let mut batch = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
        if let Some(reason) = &broken {
            for write in batch.drain(..) {
                refuse(write, reason);
            }
            continue;
        }
        broken = commit(&mut file, snapshot, &mut batch);
    }
}

/// Writes the batch and answers it. Says why where nothing can be written from now on.
fn commit(file: &mut CatalogFile, snapshot: &Snapshot, batch: &mut Vec<Write>) -> Option<String> {
    match file.apply(batch.iter().map(|write| &write.change)) {
        Ok(revisions) => {
            answer(snapshot, batch, revisions);
            None
        }
        // One record that is too large must not fail the others with it.
        Err(error) if is_passing(&error) && batch.len() > 1 => {
            for write in std::mem::take(batch) {
                let broken = commit(file, snapshot, &mut vec![write]);
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

fn answer(snapshot: &Snapshot, batch: &mut Vec<Write>, revisions: Vec<Option<Revision>>) {
    let mut changed = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    for (write, revision) in batch.drain(..).zip(revisions) {
        if let Some(revision) = revision {
            let head = write.head.map(|record| Arc::new(Stored { revision, record }));
            changed.push(Changed { key: write.key, head });
        }
        answers.push((write.answer, revision.ok_or(CatalogError::Conflict)));
    }
    snapshot.apply(&changed);
    for (sender, answer) in answers {
        // A caller that went away has its write done all the same.
        let _ = sender.send(answer);
    }
}

fn refuse(write: Write, reason: &str) {
    let _ = write.answer.send(Err(CatalogError::Unavailable(reason.to_owned())));
}
