//! Queues that fail at random, by a seed: before anything was done, as `Full` (what needs room) or `Unavailable`,
//! or after it was done, as `Unavailable`, when it is not known what is on disk.
//!
//! Deliberately not here: faults by a plan (`Faulty` of the store).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::queue::{
    Arrivals, Counts, Handle, Peeked, Post, QueueError, QueueName, Queues, Receive, Received, Sent,
};
use lambkin_model::time::Timestamp;

use crate::queues::MemoryQueues;

/// A generator of numbers (splitmix64), so that a failure comes again by its seed.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// From 0 to `below` - 1.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

enum Fault {
    Before(QueueError),
    After,
}

struct State {
    chance: Chance,
    /// How many of a hundred operations fail.
    percent: u64,
    failed: usize,
    room: bool,
}

pub(crate) struct FaultyQueues {
    pub(crate) inner: Arc<MemoryQueues>,
    state: Mutex<State>,
}

impl FaultyQueues {
    pub(crate) fn new(inner: Arc<MemoryQueues>, seed: u64, percent: u64) -> Arc<Self> {
        let state = State { chance: Chance::new(seed), percent, failed: 0, room: true };
        Arc::new(Self { inner, state: Mutex::new(state) })
    }

    /// From now on nothing fails. Says how much has.
    pub(crate) fn heal(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.percent = 0;
        state.failed
    }

    /// Whether there is room for messages from now on. Settling without posts needs none.
    pub(crate) fn room(&self, room: bool) {
        self.state.lock().unwrap().room = room;
    }

    fn fault(&self, needs_room: bool) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        if needs_room && !state.room {
            return Some(Fault::Before(QueueError::Full("there is no room".into())));
        }
        let percent = state.percent;
        if !state.chance.percent(percent) {
            return None;
        }
        state.failed += 1;
        Some(match state.chance.below(3) {
            0 if needs_room => Fault::Before(QueueError::Full("there is no room".into())),
            0 | 1 => Fault::Before(QueueError::Unavailable("the disk failed".into())),
            _ => Fault::After,
        })
    }

    async fn with<T>(
        &self,
        needs_room: bool,
        call: impl Future<Output = Result<T, QueueError>>,
    ) -> Result<T, QueueError> {
        match self.fault(needs_room) {
            None => call.await,
            Some(Fault::Before(error)) => Err(error),
            Some(Fault::After) => {
                call.await?;
                Err(QueueError::Unavailable("it is not known what is on disk".into()))
            }
        }
    }
}

impl Queues for FaultyQueues {
    fn send(&self, posts: Vec<Post>) -> Pending<'_, Result<Vec<Sent>, QueueError>> {
        Box::pin(async move { self.with(!posts.is_empty(), self.inner.send(posts)).await })
    }

    fn receive(&self, queue: &QueueName, ask: Receive) -> Pending<'_, Result<Vec<Received>, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            match self.fault(false) {
                None => self.inner.receive(&queue, ask).await,
                Some(Fault::Before(error)) => Err(error),
                Some(Fault::After) => {
                    // Whose answer is lost has received nothing: the port gives such messages back.
                    for each in self.inner.receive(&queue, ask).await? {
                        self.inner.release(&each.handle, Duration::ZERO, each.mark).await?;
                    }
                    Err(QueueError::Unavailable("the answer is lost".into()))
                }
            }
        })
    }

    fn extend(&self, handle: &Handle, lease: Duration) -> Pending<'_, Result<(), QueueError>> {
        let handle = handle.clone();
        Box::pin(async move { self.with(false, self.inner.extend(&handle, lease)).await })
    }

    fn release(&self, handle: &Handle, delay: Duration, mark: u32) -> Pending<'_, Result<(), QueueError>> {
        let handle = handle.clone();
        Box::pin(async move { self.with(false, self.inner.release(&handle, delay, mark)).await })
    }

    fn settle(&self, settled: Vec<(Handle, Vec<Post>)>) -> Pending<'_, Vec<Result<(), QueueError>>> {
        Box::pin(async move {
            let mut results = Vec::with_capacity(settled.len());
            for each in settled {
                let needs_room = !each.1.is_empty();
                let one = async { self.inner.settle(vec![each]).await.remove(0) };
                results.push(self.with(needs_room, one).await);
            }
            results
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
        let prefix = prefix.to_owned();
        Box::pin(async move { self.with(false, self.inner.names(&prefix)).await })
    }

    fn purge(&self, queue: &QueueName) -> Pending<'_, Result<(), QueueError>> {
        let queue = queue.clone();
        Box::pin(async move { self.with(false, self.inner.purge(&queue)).await })
    }

    fn expire(&self, queue: &QueueName, then: Timestamp) -> Pending<'_, Result<u64, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move { self.with(false, self.inner.expire(&queue, then)).await })
    }

    fn watch(&self, prefix: &str, arrivals: Arrivals) {
        self.inner.watch(prefix, arrivals);
    }
}
