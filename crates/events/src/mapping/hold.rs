//! Messages that a poller has received and not settled. They stay invisible for as long as they are held,
//! whatever the queue's visibility timeout is, so that none is received a second time while the function
//! works on it; should lambkin die, they come back by themselves.
//!
//! Deliberately not here: what becomes of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use lambkin_model::mapping::Mapping;
use lambkin_model::mapping::record::SourceMessage;
use lambkin_model::record::ResourceKey;
use lambkin_model::time::Timestamp;
use tokio::time::Instant;

use super::source::Source;

/// Messages are leased for at least so long at a time: a visibility timeout of zero would make each
/// receive a race.
const SHORTEST_LEASE: Duration = Duration::from_secs(5);
/// How often a deletion is tried. A message that could not be deleted comes back.
const DELETIONS: u32 = 3;
const DELETION_PAUSE: Duration = Duration::from_millis(200);

/// A held message.
pub(super) struct Held {
    pub(super) id: String,
    pub(super) group: Option<String>,
    /// `AWSTraceHeader`.
    pub(super) trace: Option<String>,
    /// When it was sent; 1970 where its queue does not say.
    pub(super) sent: Timestamp,
    /// Its record in the event.
    pub(super) record: String,
    handle: String,
    /// When it would become visible if it were left alone, as the queue wants it.
    returns: Instant,
    /// When it becomes visible as things are.
    until: Instant,
    settled: bool,
}

/// Held messages of one queue.
pub(super) struct Hold {
    source: Arc<dyn Source>,
    queue: ResourceKey,
    visibility: Duration,
    pub(super) messages: Vec<Held>,
    /// Their places by their ids.
    places: HashMap<String, usize>,
    /// Bytes of the records together.
    pub(super) bytes: usize,
}

impl Hold {
    /// Of nothing yet. `visibility` is the queue's timeout.
    pub(super) fn new(source: Arc<dyn Source>, queue: ResourceKey, visibility: Duration) -> Self {
        Self { source, queue, visibility, messages: Vec::new(), places: HashMap::new(), bytes: 0 }
    }

    /// What to receive messages with.
    pub(super) fn lease(&self) -> Duration {
        self.visibility.max(SHORTEST_LEASE)
    }

    /// Takes a message that became invisible just now. One that is held already was visible for a moment, as
    /// something held up its extension: it is the same message by its new handle.
    pub(super) fn take(&mut self, message: SourceMessage, mapping: &Mapping, now: Instant) {
        let record = message.record(&mapping.source, &mapping.key.region);
        self.bytes += record.len() + 1;
        let mut attributes = message.attributes;
        let held = Held {
            id: message.id,
            group: message.group,
            trace: attributes.remove("AWSTraceHeader"),
            sent: Timestamp(
                attributes.get("SentTimestamp").and_then(|ms| ms.parse().ok()).unwrap_or(0) * 1000,
            ),
            record,
            handle: message.receipt_handle,
            returns: now + self.visibility,
            until: now + self.lease(),
            settled: false,
        };
        match self.places.entry(held.id.clone()) {
            Entry::Occupied(place) => {
                let former = std::mem::replace(&mut self.messages[*place.get()], held);
                self.bytes -= former.record.len() + 1;
            }
            Entry::Vacant(place) => {
                place.insert(self.messages.len());
                self.messages.push(held);
            }
        }
    }

    /// When [`extend`](Self::extend) has something to do: half a lease before the first one becomes visible.
    pub(super) fn due(&self) -> Option<Instant> {
        let first = self.messages.iter().filter(|held| !held.settled).map(|held| held.until).min()?;
        Some(first - self.lease() / 2)
    }

    /// Waits until it is due, and extends; for ever.
    pub(super) async fn keep(&mut self) -> std::convert::Infallible {
        loop {
            match self.due() {
                Some(due) => {
                    tokio::time::sleep_until(due).await;
                    self.extend().await;
                }
                None => std::future::pending().await,
            }
        }
    }

    /// All that are not settled stay invisible for another lease.
    async fn extend(&mut self) {
        let lease = self.lease();
        let until = Instant::now() + lease;
        let held: Vec<&mut Held> = self.messages.iter_mut().filter(|held| !held.settled).collect();
        let handles = held.iter().map(|held| (held.handle.clone(), lease)).collect();
        let answers = self.source.change_visibility(&self.queue, handles).await;
        for (held, answer) in held.into_iter().zip(answers) {
            if let Err(error) = answer {
                tracing::warn!(queue = %self.queue, message = %held.id, %error, "a message may be received twice");
            }
            // Not asked again before the next lease would end, whether it went well or not.
            held.until = until;
        }
    }

    /// Deletes messages; says how many.
    pub(super) async fn delete(&mut self, which: &[usize]) -> usize {
        let mut left: Vec<usize> = which.to_vec();
        for attempt in 1..=DELETIONS {
            let handles = left.iter().map(|at| self.messages[*at].handle.clone()).collect();
            let answers = self.source.delete(&self.queue, handles).await;
            let mut failed = Vec::new();
            for (at, answer) in left.into_iter().zip(answers) {
                match answer {
                    Ok(()) => self.messages[at].settled = true,
                    Err(error) => {
                        tracing::debug!(queue = %self.queue, message = %self.messages[at].id, %error, "not deleted");
                        failed.push(at);
                    }
                }
            }
            left = failed;
            if left.is_empty() {
                return which.len();
            }
            if attempt < DELETIONS {
                tokio::time::sleep(DELETION_PAUSE).await;
            }
        }
        tracing::warn!(queue = %self.queue, count = left.len(), "processed messages could not be deleted and will come back");
        self.leave(&left).await;
        which.len() - left.len()
    }

    /// Leaves messages to the queue: they become visible when its timeout, counted from when they were
    /// received, is over.
    pub(super) async fn leave(&mut self, which: &[usize]) {
        let now = Instant::now();
        let mut handles = Vec::new();
        for at in which {
            let held = &mut self.messages[*at];
            held.settled = true;
            if held.until != held.returns {
                handles.push((held.handle.clone(), held.returns.saturating_duration_since(now)));
            }
        }
        if handles.is_empty() {
            return;
        }
        for answer in self.source.change_visibility(&self.queue, handles).await {
            if let Err(error) = answer {
                tracing::debug!(queue = %self.queue, %error, "a message comes back at its own time");
            }
        }
    }
}
