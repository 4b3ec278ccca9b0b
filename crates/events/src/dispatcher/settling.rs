//! What the queues are told of events that were tried: one task, which writes the ends of many events in one
//! transaction with one sync. Nobody waits for it: a worker goes on with its next events meanwhile, and an end
//! that a crash takes along is an event that runs again. How many ends can be on their way is bounded.
//!
//! Deliberately not here: what is decided.

use std::time::Duration;

use futures_util::future::join_all;
use lambkin_model::queue::{Handle, Post, QueueError, Queues};
use lambkin_model::trace::Span;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Ports;
use crate::spans;

/// Decisions on their way. When it is full, workers wait: the disk is behind.
pub(super) const CAPACITY: usize = 1024;
/// Most decisions of one write.
const BATCH: usize = 256;
/// Shortest time from the beginning of one write to that of the next, unless a whole batch is there: what a write
/// costs is its sync and the pages that it touches, both the same for one end as for many. The first end after
/// a rest is written at once.
const GAP: Duration = Duration::from_millis(10);
/// Pauses after a write that failed.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Most bytes of dead letters and records that wait in memory for room on the disk.
const ROOMLESS: usize = 32 << 20;
/// How long an event rests, beyond that, before it is tried again.
const REST: Duration = Duration::from_secs(60);

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Decision {
    /// It is over.
    Settle(Settlement),
    /// Later again.
    Release(Handle, Duration, u32),
}

/// The end of what was taken from a queue.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) handle: Handle,
    /// What goes out in its stead.
    pub(crate) posts: Vec<Post>,
    /// Its mark, should it have to be given back.
    pub(crate) mark: u32,
    /// What ends when this is written.
    pub(crate) spans: Vec<Span>,
}

impl Settlement {
    /// Nobody follows it.
    pub(crate) fn new(handle: Handle, posts: Vec<Post>, mark: u32) -> Self {
        Self { handle, posts, mark, spans: Vec::new() }
    }
}

/// Ends of events for whose dead letters or records there is no room. Whatever needs none goes past them: the end
/// of other events is what makes room.
struct Roomless {
    waiting: Vec<Decision>,
    bytes: usize,
    pause: Duration,
    next: Instant,
}

impl Roomless {
    fn new() -> Self {
        Self { waiting: Vec::new(), bytes: 0, pause: PAUSE, next: Instant::now() }
    }

    /// All of them, to be tried once more.
    fn take(&mut self) -> Vec<Decision> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Keeps these, or says to give them back to their queues where too much is kept.
    fn keep(&mut self, ends: Vec<Settlement>) -> Vec<Decision> {
        if ends.is_empty() {
            if self.waiting.is_empty() {
                self.pause = PAUSE;
            }
            return Vec::new();
        }
        self.next = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let mut back = Vec::new();
        for end in ends {
            let bytes: usize = end.posts.iter().map(|(_, message)| message.content.len()).sum();
            if self.bytes + bytes > ROOMLESS {
                tracing::warn!("there is no room for a dead letter or record; its event will run again");
                back.push(Decision::Release(end.handle, REST, end.mark));
            } else {
                self.bytes += bytes;
                self.waiting.push(Decision::Settle(end));
            }
        }
        back
    }
}

/// Writes what comes until nobody can send any more, or until told to let the rest be.
pub(super) async fn settle(
    ports: Ports,
    mut decisions: mpsc::Receiver<Decision>,
    mut abandon: oneshot::Receiver<()>,
) {
    let mut again: Vec<Decision> = Vec::new();
    let mut roomless = Roomless::new();
    let (mut pause, mut open) = (PAUSE, true);
    let mut next = Instant::now();
    loop {
        let mut batch = std::mem::take(&mut again);
        if batch.is_empty() {
            batch.reserve(BATCH);
            tokio::select! {
                taken = decisions.recv_many(&mut batch, BATCH), if open => open = taken > 0,
                () = tokio::time::sleep_until(roomless.next), if !roomless.waiting.is_empty() => {
                    batch = roomless.take();
                }
                _ = &mut abandon, if !open && !roomless.waiting.is_empty() => return abandoned(roomless.waiting.len()),
                else => return,
            }
        }
        while open && batch.len() < BATCH && Instant::now() < next {
            let room = BATCH - batch.len();
            tokio::select! {
                taken = decisions.recv_many(&mut batch, room) => open = taken > 0,
                () = tokio::time::sleep_until(next) => {}
            }
        }
        next = Instant::now() + GAP;
        let unwritten = write(&ports, batch).await;
        again = unwritten.again;
        again.extend(roomless.keep(unwritten.roomless));
        if !unwritten.failed {
            pause = PAUSE;
            continue;
        }
        // Nothing new is taken meanwhile: the workers come to wait, and nothing is forgotten.
        tokio::select! {
            _ = &mut abandon => return abandoned(again.len() + roomless.waiting.len()),
            () = tokio::time::sleep_until(Instant::now() + pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// On disk they are as they were: the next process tries them again.
fn abandoned(events: usize) {
    tracing::error!(events, "what became of events could not be written; they will run again");
}

/// What could not be written now.
struct Unwritten {
    /// Whether the queues failed at any of it.
    failed: bool,
    again: Vec<Decision>,
    roomless: Vec<Settlement>,
}

async fn write(ports: &Ports, batch: Vec<Decision>) -> Unwritten {
    let queues: &dyn Queues = &*ports.queues;
    let (mut settled, mut released) = (Vec::new(), Vec::new());
    for decision in batch {
        match decision {
            Decision::Settle(end) => settled.push(end),
            Decision::Release(handle, delay, mark) => released.push((handle, delay, mark)),
        }
    }
    let mut unwritten = Unwritten { failed: false, again: Vec::new(), roomless: Vec::new() };
    let settling = async {
        if settled.is_empty() {
            return Vec::new();
        }
        queues.settle(settled.iter().map(|end| (end.handle.clone(), end.posts.clone())).collect()).await
    };
    let releasing =
        join_all(released.iter().map(|(handle, delay, mark)| queues.release(handle, *delay, *mark)));
    let (ends, releases) = tokio::join!(settling, releasing);
    let now = (ports.ambient.now)();
    for (settled, end) in settled.into_iter().zip(ends) {
        match end {
            Ok(()) => spans::end(&*ports.traces, settled.spans, now, None),
            Err(error @ QueueError::Full(_)) if !settled.posts.is_empty() => {
                tracing::warn!(%error, "a dead letter or record has to wait");
                unwritten.roomless.push(settled);
            }
            Err(error @ (QueueError::Full(_) | QueueError::Unavailable(_))) => {
                tracing::warn!(%error, "the end of an event cannot be written yet");
                unwritten.failed = true;
                unwritten.again.push(Decision::Settle(settled));
            }
            Err(error @ QueueError::TooLarge { .. }) => {
                tracing::error!(%error, "a dead letter or record is given up: no queue takes it");
                spans::end(&*ports.traces, settled.spans, now, Some("no queue takes it"));
                unwritten.again.push(Decision::Settle(Settlement::new(
                    settled.handle,
                    Vec::new(),
                    settled.mark,
                )));
            }
            Err(QueueError::Stale) => tracing::debug!("an event was purged while it ran"),
        }
    }
    for ((handle, delay, mark), end) in released.into_iter().zip(releases) {
        match end {
            Ok(()) => {}
            Err(error @ (QueueError::Full(_) | QueueError::Unavailable(_) | QueueError::TooLarge { .. })) => {
                tracing::warn!(%error, "an event cannot be given back yet");
                unwritten.failed = true;
                unwritten.again.push(Decision::Release(handle, delay, mark));
            }
            Err(QueueError::Stale) => tracing::debug!("an event was purged while it ran"),
        }
    }
    unwritten
}
