//! The queues port on SQLite: a file of its own, one thread that works at it, and what that thread keeps in memory.
//!
//! Deliberately not here: what a message means.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::queue::{
    Arrivals, Counts, Handle, Peeked, Post, QueueError, QueueName, Queues, Receive, Received, Sent,
};
use lambkin_model::time::Timestamp;
use tokio::sync::oneshot;

use crate::OpenError;
use crate::directory_lock::DirectoryLock;
use crate::queue_desk::{Desk, Trouble};
use crate::queue_request::{Asked, Expiring, Inbox, Receiving, Work, closed};
use crate::queue_room::QueueConfig;
use crate::queue_writer::{Watchers, Writer};
use crate::writer_thread::WriterThread;

/// How long dropping the queues waits for what is under way where nobody closed them before.
const DROP_WAIT: Duration = Duration::from_secs(10);

/// Queues in a SQLite file.
///
/// Whatever is asked is answered when its transaction is on disk, as far as it has to be. Such an answer has no
/// deadline: what is in SQLite's hands happens or fails. A caller may stop waiting; messages it would have
/// received are given back, everything else is done all the same.
pub struct SqliteQueues {
    inbox: Arc<Inbox>,
    watchers: Arc<Watchers>,
    thread: WriterThread,
}

impl fmt::Debug for SqliteQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteQueues").finish_non_exhaustive()
    }
}

impl SqliteQueues {
    pub(crate) fn open(
        path: &Path,
        config: QueueConfig,
        lock: Arc<DirectoryLock>,
    ) -> Result<Self, OpenError> {
        let desk = Desk::open(path, config)?;
        let (inbox, requests) = Inbox::new();
        let watchers: Arc<Watchers> = Arc::default();
        let writer = Writer::new(desk, Arc::clone(&watchers));
        let thread = WriterThread::start("lambkin-queues", path, lock, move || writer.run(&requests))?;
        Ok(Self { inbox, watchers, thread })
    }

    /// Finishes what was asked for; whatever is asked later, and whoever waits for messages, is answered
    /// `Unavailable`. Blocking, for at most `deadline`; `false` where that was too short.
    #[must_use]
    pub fn close(&self, deadline: Duration) -> bool {
        self.inbox.close();
        self.thread.join(deadline)
    }

    async fn ask<T: Send + 'static>(
        &self,
        durable: bool,
        bytes: usize,
        act: impl FnMut(&mut Desk) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, QueueError> {
        let (answer, answered) = oneshot::channel();
        let request = Asked { durable, act, result: None, answer };
        self.inbox.send(Work::Other(Box::new(request)), bytes).await?;
        answered.await.map_err(|_| closed())?
    }
}

impl Drop for SqliteQueues {
    fn drop(&mut self) {
        if !self.close(DROP_WAIT) {
            tracing::error!("the queues' writer did not end in time");
        }
    }
}

fn bytes(posts: &[Post]) -> usize {
    posts.iter().map(|(_, message)| message.content.len()).sum()
}

impl Queues for SqliteQueues {
    fn send(&self, posts: Vec<Post>) -> Pending<'_, Result<Vec<Sent>, QueueError>> {
        let bytes = bytes(&posts);
        Box::pin(self.ask(true, bytes, move |desk| desk.send(&posts)))
    }

    fn receive(&self, queue: &QueueName, ask: Receive) -> Pending<'_, Result<Vec<Received>, QueueError>> {
        let name = queue.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let inbox = Arc::clone(&self.inbox);
            let receiving = Receiving { name, ask, result: Vec::new(), answer, inbox };
            self.inbox.send(Work::Receive(receiving), 0).await?;
            let delivery = if ask.wait.is_zero() {
                answered.await
            } else {
                match tokio::time::timeout(ask.wait, answered).await {
                    Ok(delivery) => delivery,
                    Err(_) => return Ok(Vec::new()),
                }
            };
            Ok(delivery.map_err(|_| closed())??.accept())
        })
    }

    fn extend(&self, handle: &Handle, lease: Duration) -> Pending<'_, Result<(), QueueError>> {
        let handle = handle.clone();
        Box::pin(self.ask(false, 0, move |desk| desk.extend(&handle, lease)))
    }

    fn release(&self, handle: &Handle, delay: Duration, mark: u32) -> Pending<'_, Result<(), QueueError>> {
        let handle = handle.clone();
        Box::pin(self.ask(true, 0, move |desk| desk.release(&handle, delay, mark)))
    }

    fn settle(&self, settled: Vec<(Handle, Vec<Post>)>) -> Pending<'_, Vec<Result<(), QueueError>>> {
        let bytes = settled.iter().map(|(_, posts)| bytes(posts)).sum();
        let count = settled.len();
        let settle = move |desk: &mut Desk| {
            let each = settled.iter().map(|(handle, posts)| match desk.settle(handle, posts) {
                Ok(()) => Ok(Ok(())),
                Err(Trouble::Refused(error)) => Ok(Err(error)),
                Err(Trouble::Sqlite(error)) => Err(Trouble::Sqlite(error)),
            });
            each.collect::<Result<Vec<_>, _>>()
        };
        Box::pin(async move {
            self.ask(true, bytes, settle).await.unwrap_or_else(|error| vec![Err(error); count])
        })
    }

    fn peek(
        &self,
        queue: &QueueName,
        after: u64,
        max: usize,
    ) -> Pending<'_, Result<Vec<Peeked>, QueueError>> {
        let name = queue.clone();
        Box::pin(self.ask(false, 0, move |desk| desk.peek(&name, after, max)))
    }

    fn counts(&self, queue: &QueueName) -> Pending<'_, Result<Counts, QueueError>> {
        let name = queue.clone();
        Box::pin(self.ask(false, 0, move |desk| desk.counts(&name)))
    }

    fn counts_of_all(&self, prefix: &str) -> Pending<'_, Result<Vec<(QueueName, Counts)>, QueueError>> {
        let prefix = prefix.to_owned();
        Box::pin(self.ask(false, 0, move |desk| desk.counts_of_all(&prefix)))
    }

    fn names(&self, prefix: &str) -> Pending<'_, Result<Vec<QueueName>, QueueError>> {
        let prefix = prefix.to_owned();
        Box::pin(self.ask(false, 0, move |desk| Ok(desk.names(&prefix))))
    }

    fn purge(&self, queue: &QueueName) -> Pending<'_, Result<(), QueueError>> {
        let name = queue.clone();
        Box::pin(self.ask(true, 0, move |desk| desk.purge(&name)))
    }

    fn expire(&self, queue: &QueueName, then: Timestamp) -> Pending<'_, Result<u64, QueueError>> {
        let name = queue.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let expiring = Expiring { name, then, expiry: None, answer };
            self.inbox.send(Work::Other(Box::new(expiring)), 0).await?;
            answered.await.map_err(|_| closed())?
        })
    }

    fn watch(&self, prefix: &str, arrivals: Arrivals) {
        let watcher = (prefix.to_owned(), Arc::new(arrivals));
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
    }
}
