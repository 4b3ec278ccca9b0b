//! What the queues are told of events that were tried: one task, whose writes come in batches by
//! themselves, as whatever is handed in during one write goes with the next.
//!
//! Deliberately not here: what is decided.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lambkin_model::queue::{Handle, Post, QueueError, Queues};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Decisions on their way. When it is full, workers wait: the disk is behind.
pub(super) const CAPACITY: usize = 1024;
/// Most decisions of one write.
const BATCH: usize = 256;
/// Pauses after a write that failed.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Decision {
    /// It is over; these go out in its stead.
    Settle(Handle, Vec<Post>),
    /// Later again.
    Release(Handle, Duration, u32),
}

/// Writes what comes until nobody can send any more, or until told to let the rest be.
pub(super) async fn settle(
    queues: Arc<dyn Queues>,
    mut decisions: mpsc::Receiver<Decision>,
    mut abandon: oneshot::Receiver<()>,
) {
    let mut waiting: VecDeque<Decision> = VecDeque::new();
    let mut pause = PAUSE;
    loop {
        let mut batch: Vec<Decision> = Vec::with_capacity(BATCH);
        if waiting.is_empty() && decisions.recv_many(&mut batch, BATCH).await == 0 {
            return;
        }
        batch.extend(waiting.drain(..));
        let failed = write(&*queues, batch).await;
        if failed.is_empty() {
            pause = PAUSE;
            continue;
        }
        // Nothing new is taken meanwhile: the workers come to wait, and nothing is forgotten.
        waiting.extend(failed);
        tokio::select! {
            _ = &mut abandon => {
                // On disk they are as they were: the next process tries them again.
                tracing::error!(events = waiting.len(), "what became of events could not be written; they will run again");
                return;
            }
            () = tokio::time::sleep_until(Instant::now() + pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Answers with what could not be written now.
async fn write(queues: &dyn Queues, batch: Vec<Decision>) -> Vec<Decision> {
    let (mut settled, mut released) = (Vec::new(), Vec::new());
    for decision in batch {
        match decision {
            Decision::Settle(handle, posts) => settled.push((handle, posts)),
            Decision::Release(handle, delay, mark) => released.push((handle, delay, mark)),
        }
    }
    let mut failed = Vec::new();
    let settling =
        async { if settled.is_empty() { Vec::new() } else { queues.settle(settled.clone()).await } };
    let releasing =
        join_all(released.iter().map(|(handle, delay, mark)| queues.release(handle, *delay, *mark)));
    let (ends, releases) = tokio::join!(settling, releasing);
    for ((handle, posts), end) in settled.into_iter().zip(ends) {
        match end {
            Ok(()) => {}
            Err(error @ (QueueError::Full(_) | QueueError::Unavailable(_))) => {
                tracing::warn!(%error, "the end of an event cannot be written yet");
                failed.push(Decision::Settle(handle, posts));
            }
            Err(error @ QueueError::TooLarge { .. }) => {
                tracing::error!(%error, "a dead letter or record is given up: no queue takes it");
                failed.push(Decision::Settle(handle, Vec::new()));
            }
            Err(QueueError::Stale) => tracing::debug!("an event was purged while it ran"),
        }
    }
    for ((handle, delay, mark), end) in released.into_iter().zip(releases) {
        match end {
            Ok(()) => {}
            Err(error @ (QueueError::Full(_) | QueueError::Unavailable(_) | QueueError::TooLarge { .. })) => {
                tracing::warn!(%error, "an event cannot be given back yet");
                failed.push(Decision::Release(handle, delay, mark));
            }
            Err(QueueError::Stale) => tracing::debug!("an event was purged while it ran"),
        }
    }
    failed
}
