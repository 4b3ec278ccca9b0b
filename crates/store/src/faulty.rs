//! A store that fails on purpose, around a real one: for tests of what the other rooms do then.
//!
//! Deliberately not here: faults of reading. The ports say that reads always answer.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::Pending;
use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::code::{Code, CodeError, CodeRead, CodeSha256, CodeStore, Contents};
use lambkin_model::name::FunctionKey;
use lambkin_model::queue::{
    Arrivals, Counts, Handle, Peeked, Post, QueueError, QueueName, Queues, Receive, Received, Sent,
};
use lambkin_model::record::{Record, RecordWatcher, Records, ResourceKey};
use lambkin_model::time::Timestamp;
use lambkin_model::version::PublishedVersion;

/// Which writes fail. A write is `put` or `delete` of a catalog, `put`, `check` or `sweep` of a
/// code store, anything but looking of queues; each count begins when the plan is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plan {
    /// None.
    #[default]
    Sound,
    /// Only the nth (1 is the next one), with `Unavailable`.
    Nth(u64),
    /// Only the nth, as if another request had been faster: `Conflict` of a catalog, `Stale` of a queue's handle,
    /// `Unavailable` of a code store and of what needs no handle.
    RaceAtNth(u64),
    /// All, with `Unavailable`.
    Every,
    /// All that need room, with `Unavailable` (of queues: `Full`), as a full disk does; what makes room goes on.
    NoSpace,
    /// All after this many, with `Unavailable`: the store is closed in the middle.
    CloseAfter(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Unavailable(&'static str),
    Race,
}

/// A catalog or a code store whose writes fail by a plan. What fails never reaches the store
/// inside: nothing was changed.
#[derive(Debug)]
pub struct Faulty<T: ?Sized> {
    inner: Arc<T>,
    state: Mutex<(Plan, u64)>,
}

impl<T: ?Sized> Faulty<T> {
    /// Around `inner`, without faults.
    pub fn new(inner: Arc<T>) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Sets the plan and begins its count.
    pub fn set(&self, plan: Plan) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = (plan, 0);
    }

    /// The store inside.
    pub fn inner(&self) -> &Arc<T> {
        &self.inner
    }

    fn fault(&self, needs_room: bool) -> Option<Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        let (plan, count) = *state;
        match plan {
            Plan::Sound => None,
            Plan::Nth(nth) => (count == nth).then_some(Fault::Unavailable("it fails on purpose")),
            Plan::RaceAtNth(nth) => (count == nth).then_some(Fault::Race),
            Plan::Every => Some(Fault::Unavailable("it fails on purpose")),
            Plan::NoSpace => {
                needs_room.then_some(Fault::Unavailable("No space left on device (os error 28)"))
            }
            Plan::CloseAfter(writes) => (count > writes).then_some(Fault::Unavailable("the store is closed")),
        }
    }
}

impl<T: ?Sized> Faulty<T> {
    fn catalog_write(&self, needs_room: bool) -> Result<(), CatalogError> {
        match self.fault(needs_room) {
            None => Ok(()),
            Some(Fault::Race) => Err(CatalogError::Conflict),
            Some(Fault::Unavailable(reason)) => Err(CatalogError::Unavailable(reason.into())),
        }
    }

    fn queue_write(&self, needs_room: bool, by_handle: bool) -> Result<(), QueueError> {
        match self.fault(needs_room) {
            None => Ok(()),
            Some(Fault::Race) if by_handle => Err(QueueError::Stale),
            Some(Fault::Race) => Err(QueueError::Unavailable("it fails on purpose".into())),
            Some(Fault::Unavailable(reason)) if needs_room && reason.contains("No space") => {
                Err(QueueError::Full(reason.into()))
            }
            Some(Fault::Unavailable(reason)) => Err(QueueError::Unavailable(reason.into())),
        }
    }

    fn code_write(&self, needs_room: bool) -> Result<(), CodeError> {
        match self.fault(needs_room) {
            None => Ok(()),
            Some(Fault::Race) => Err(CodeError::Unavailable("it fails on purpose".into())),
            Some(Fault::Unavailable(reason)) => Err(CodeError::Unavailable(reason.into())),
        }
    }
}

impl<T: CatalogRead + ?Sized> CatalogRead for Faulty<T> {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        self.inner.head(key)
    }

    fn heads(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Head>>> {
        self.inner.heads(account, region, after, limit)
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.inner.all()
    }

    fn version(&self, key: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>> {
        self.inner.version(key)
    }

    fn watch(&self, watcher: Watcher) {
        self.inner.watch(watcher);
    }
}

impl<T: Catalog + ?Sized> Catalog for Faulty<T> {
    fn put(&self, expected: Option<Revision>, head: Head) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(async move {
            self.catalog_write(true)?;
            self.inner.put(expected, head).await
        })
    }

    fn delete(&self, expected: Revision, key: FunctionKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(async move {
            self.catalog_write(false)?;
            self.inner.delete(expected, key).await
        })
    }

    fn put_version(&self, version: PublishedVersion) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(async move {
            self.catalog_write(true)?;
            self.inner.put_version(version).await
        })
    }

    fn delete_version(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(async move {
            self.catalog_write(false)?;
            self.inner.delete_version(expected, key).await
        })
    }

    fn versions(&self) -> Vec<Arc<Stored<PublishedVersion>>> {
        self.inner.versions()
    }
}

impl<R: Record, T: Records<R> + ?Sized> Records<R> for Faulty<T> {
    fn get(&self, key: &ResourceKey) -> Option<Arc<Stored<R>>> {
        self.inner.get(key)
    }

    fn list(&self, account: &str, region: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stored<R>>> {
        self.inner.list(account, region, after, limit)
    }

    fn all(&self) -> Vec<Arc<Stored<R>>> {
        self.inner.all()
    }

    fn watch(&self, watcher: RecordWatcher) {
        self.inner.watch(watcher);
    }

    fn put(&self, expected: Option<Revision>, record: R) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(async move {
            self.catalog_write(true)?;
            self.inner.put(expected, record).await
        })
    }

    fn delete(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(async move {
            self.catalog_write(false)?;
            self.inner.delete(expected, key).await
        })
    }
}

impl<T: CodeRead + ?Sized> CodeRead for Faulty<T> {
    fn unpacked(&self, sha256: CodeSha256) -> Option<PathBuf> {
        self.inner.unpacked(sha256)
    }
}

impl<T: CodeStore + ?Sized> CodeStore for Faulty<T> {
    fn put(&self, zip: Bytes) -> Pending<'_, Result<Code, CodeError>> {
        Box::pin(async move {
            self.code_write(true)?;
            self.inner.put(zip).await
        })
    }

    fn check(&self, zip: Bytes) -> Pending<'_, Result<(Code, Contents), CodeError>> {
        Box::pin(async move {
            self.code_write(true)?;
            self.inner.check(zip).await
        })
    }

    fn contents(&self, sha256: CodeSha256) -> Pending<'_, Result<Contents, CodeError>> {
        self.inner.contents(sha256)
    }

    fn stack(&self, packages: Vec<CodeSha256>) -> Pending<'_, Result<(), CodeError>> {
        Box::pin(async move {
            self.code_write(true)?;
            self.inner.stack(packages).await
        })
    }

    fn zip(&self, sha256: CodeSha256) -> Option<PathBuf> {
        self.inner.zip(sha256)
    }

    fn sweep(&self, keep: HashSet<CodeSha256>, grace: Duration) -> Pending<'_, Result<usize, CodeError>> {
        Box::pin(async move {
            self.code_write(false)?;
            self.inner.sweep(keep, grace).await
        })
    }
}

impl<T: Queues + ?Sized> Queues for Faulty<T> {
    fn send(&self, posts: Vec<Post>) -> Pending<'_, Result<Vec<Sent>, QueueError>> {
        Box::pin(async move {
            self.queue_write(true, false)?;
            self.inner.send(posts).await
        })
    }

    fn receive(&self, queue: &QueueName, ask: Receive) -> Pending<'_, Result<Vec<Received>, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            self.queue_write(false, false)?;
            self.inner.receive(&queue, ask).await
        })
    }

    fn extend(&self, handle: &Handle, lease: Duration) -> Pending<'_, Result<(), QueueError>> {
        let handle = handle.clone();
        Box::pin(async move {
            self.queue_write(false, true)?;
            self.inner.extend(&handle, lease).await
        })
    }

    fn release(&self, handle: &Handle, delay: Duration, mark: u32) -> Pending<'_, Result<(), QueueError>> {
        let handle = handle.clone();
        Box::pin(async move {
            self.queue_write(false, true)?;
            self.inner.release(&handle, delay, mark).await
        })
    }

    fn settle(&self, settled: Vec<(Handle, Vec<Post>)>) -> Pending<'_, Vec<Result<(), QueueError>>> {
        Box::pin(async move {
            let needs_room = settled.iter().any(|(_, posts)| !posts.is_empty());
            match self.queue_write(needs_room, true) {
                Ok(()) => self.inner.settle(settled).await,
                Err(error) => vec![Err(error); settled.len()],
            }
        })
    }

    fn peek(
        &self,
        queue: &QueueName,
        after: u64,
        max: usize,
    ) -> Pending<'_, Result<Vec<Peeked>, QueueError>> {
        self.inner.peek(queue, after, max)
    }

    fn counts(&self, queue: &QueueName) -> Pending<'_, Result<Counts, QueueError>> {
        self.inner.counts(queue)
    }

    fn counts_of_all(&self, prefix: &str) -> Pending<'_, Result<Vec<(QueueName, Counts)>, QueueError>> {
        self.inner.counts_of_all(prefix)
    }

    fn names(&self, prefix: &str) -> Pending<'_, Result<Vec<QueueName>, QueueError>> {
        self.inner.names(prefix)
    }

    fn purge(&self, queue: &QueueName) -> Pending<'_, Result<(), QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            self.queue_write(false, false)?;
            self.inner.purge(&queue).await
        })
    }

    fn expire(&self, queue: &QueueName, then: Timestamp) -> Pending<'_, Result<u64, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            self.queue_write(false, false)?;
            self.inner.expire(&queue, then).await
        })
    }

    fn watch(&self, prefix: &str, arrivals: Arrivals) {
        self.inner.watch(prefix, arrivals);
    }
}
