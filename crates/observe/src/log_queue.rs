//! The queue between those who log and the one thread that writes. It is bounded by bytes: above
//! the mark a caller is asked to wait, and since each waits before it sends more, what is over the
//! mark is at most one batch of each.
//!
//! Deliberately not here: files, and what happens while they cannot be written (`log_writer`).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lambkin_model::log::{LogEvent, LogStreamName};
use tokio::sync::oneshot;

use crate::log_counts::QueueLoad;

/// What an event costs beside its text: its own fields and its share of the queue.
const EVENT_BYTES: usize = 64;

pub(crate) struct Batch {
    pub stream: Arc<LogStreamName>,
    pub events: Vec<LogEvent>,
    pub bytes: usize,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    /// Bytes in `batches` and in the writer's hands.
    bytes: usize,
    /// Since when `bytes` is above the mark.
    full_since: Option<Instant>,
    waiting: Vec<oneshot::Sender<()>>,
    /// Callers that were asked to wait, ever.
    waits: u64,
    /// The writer sleeps until it is told; otherwise it looks by itself, and `append` need not pay
    /// for waking it.
    asleep: bool,
    /// Someone waits for `written` to reach `appended`.
    hurry: bool,
    /// Batches ever appended, and those of them written or given up.
    appended: u64,
    written: u64,
    /// Set once the store is closing: until when the writer may go on trying.
    closed: Option<Instant>,
}

pub(crate) struct LogQueue {
    state: Mutex<State>,
    /// There is something to write.
    wake: Condvar,
    /// Something was written.
    progress: Condvar,
    /// The store is closing.
    closing: Condvar,
    mark: usize,
}

impl LogQueue {
    pub(crate) fn new(mark: usize) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            progress: Condvar::new(),
            closing: Condvar::new(),
            mark,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch. `Ok(Some)`: wait for this before sending more. `Err`: the store is closed.
    pub(crate) fn append(
        &self,
        stream: &Arc<LogStreamName>,
        events: Vec<LogEvent>,
    ) -> Result<Option<oneshot::Receiver<()>>, Vec<LogEvent>> {
        let bytes = events.iter().map(|event| event.message.len() + EVENT_BYTES).sum();
        let stream = Arc::clone(stream);
        let mut state = self.lock();
        if state.closed.is_some() {
            return Err(events);
        }
        state.batches.push_back(Batch { stream, events, bytes });
        state.bytes += bytes;
        state.appended += 1;
        let mut wake = std::mem::take(&mut state.asleep);
        let wait = (state.bytes > self.mark).then(|| {
            state.full_since.get_or_insert_with(Instant::now);
            wake = true;
            let (room, waiting) = oneshot::channel();
            state.waiting.push(room);
            state.waits += 1;
            waiting
        });
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ok(wait)
    }

    /// The next batches in order, up to about `bytes`, or none after `longest`; `None` once the queue is closed and
    /// drained.
    ///
    /// Waits until there are some, then gathers for `gather` so that a busy store writes seldom.
    /// After `drowse` without any it sleeps until it is woken.
    pub(crate) fn take(
        &self,
        bytes: usize,
        gather: Duration,
        drowse: Duration,
        longest: Duration,
    ) -> Option<Vec<Batch>> {
        let mut state = self.lock();
        let mut idle = Duration::ZERO;
        loop {
            let closed = state.closed.is_some();
            let enough = closed || state.hurry || state.bytes >= bytes;
            if enough && (closed || !state.batches.is_empty()) {
                break;
            }
            state.asleep = state.batches.is_empty() && idle >= drowse;
            if state.asleep {
                let (guard, timeout) =
                    self.wake.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner);
                state = guard;
                if timeout.timed_out() && state.asleep {
                    break;
                }
                idle = Duration::ZERO;
                continue;
            }
            let (guard, timeout) =
                self.wake.wait_timeout(state, gather).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if timeout.timed_out() && !state.batches.is_empty() {
                break;
            }
            idle += gather;
        }
        state.asleep = false;
        let mut taken = Vec::new();
        let mut sum = 0;
        while sum < bytes
            && let Some(batch) = state.batches.pop_front()
        {
            sum += batch.bytes;
            taken.push(batch);
        }
        (state.closed.is_none() || !taken.is_empty()).then_some(taken)
    }

    /// Batches that were taken are done with, written or given up.
    pub(crate) fn done(&self, batches: u64, bytes: usize) {
        let mut state = self.lock();
        state.written += batches;
        self.release(&mut state, bytes);
        if state.written == state.appended {
            state.hurry = false;
        }
        drop(state);
        self.progress.notify_all();
    }

    /// Gives room back; below half of the mark, those who wait go on.
    fn release(&self, state: &mut State, bytes: usize) {
        state.bytes = state.bytes.saturating_sub(bytes);
        if state.bytes <= self.mark {
            state.full_since = None;
        }
        if state.bytes <= self.mark / 2 {
            // A sender's end is seen as an answer too.
            state.waiting.clear();
        }
    }

    /// For how long there has been no room.
    pub(crate) fn full_for(&self) -> Duration {
        self.lock().full_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Takes the oldest batches out until there is room, for the writer to count and forget.
    pub(crate) fn give_up(&self) -> Vec<Batch> {
        let mut state = self.lock();
        let mut given_up = Vec::new();
        let mut left = state.bytes;
        while left > self.mark / 2
            && let Some(batch) = state.batches.pop_front()
        {
            left -= batch.bytes;
            given_up.push(batch);
        }
        given_up
    }

    /// Waits until what was appended before is written; `false` where that did not happen in time.
    pub(crate) fn flush(&self, deadline: Duration) -> bool {
        let end = Instant::now() + deadline;
        let mut state = self.lock();
        let target = state.appended;
        while state.written < target {
            state.hurry = true;
            state.asleep = false;
            self.wake.notify_one();
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.progress.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Refuses batches from now on; the writer drains the queue without gathering, and where it
    /// cannot write, gives up at `end`.
    pub(crate) fn close(&self, end: Instant) {
        let mut state = self.lock();
        state.closed = Some(end);
        state.asleep = false;
        drop(state);
        self.wake.notify_one();
        self.closing.notify_one();
    }

    /// Waits for `pause` between two tries; `false` where the store is closing and its time is up.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let state = self.lock();
        let left = state.closed.map_or(pause, |end| end.saturating_duration_since(Instant::now()).min(pause));
        let (state, timeout) = self.closing.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        let closed = state.closed;
        drop(state);
        // Woken by `close`: one try at once, the rest after pauses again.
        !timeout.timed_out() || closed.is_none_or(|end| Instant::now() < end)
    }

    /// How full it is, and how often somebody waited.
    pub(crate) fn load(&self) -> QueueLoad {
        let state = self.lock();
        QueueLoad { bytes: state.bytes, mark: self.mark, waits: state.waits }
    }

    /// Events that are not written yet and still in the queue.
    pub(crate) fn waiting_events(&self) -> usize {
        self.lock().batches.iter().map(|batch| batch.events.len()).sum()
    }
}
