//! What this process knows of the queues' messages: where each stands, not what it says. Followed from the bucket in
//! the order of its changes, so that whoever sees a message given back has seen who else of its lane is leased.
//!
//! Deliberately not here: changing anything. A view that is behind costs a compare-and-set that fails.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use lambkin_model::queue::{Arrivals, Counts, MessageId, QueueName};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::table::Follower;
use crate::queue_desk::timestamp;
use crate::queue_tally::Tally;

/// Where a message stands, as the bucket has it. Times are microseconds since 1970, by the clocks of the machines
/// that wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Its content's sequence in the content stream, and the place that the port tells of.
    pub place: u64,
    pub id: MessageId,
    pub lane: Option<Arc<str>>,
    pub sent: i64,
    /// When its delay is over.
    pub ready: i64,
    /// When its lease ends; 0 where it has none.
    pub until: i64,
    /// Of its last receive; 0 where nobody's handle is good.
    pub receipt: u64,
    pub received: u32,
    pub first_received: i64,
    pub mark: u32,
}

impl Standing {
    /// When it can be received, if no other of its lane is in the way.
    fn due(&self) -> i64 {
        self.ready.max(self.until)
    }

    pub(super) fn is_leased(&self, now: i64) -> bool {
        self.until > now
    }
}

/// A message's standing, and the revision it was read at.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub revision: u64,
    pub standing: Standing,
}

#[derive(Default)]
struct Lane {
    places: BTreeSet<u64>,
    /// Those that have a lease, over or not.
    leased: BTreeSet<u64>,
}

#[derive(Default)]
struct QueueView {
    messages: BTreeMap<u64, Known>,
    places: HashMap<MessageId, u64>,
    /// Messages without a lane, by when they are due.
    due: BTreeSet<(i64, u64)>,
    lanes: BTreeMap<Arc<str>, Lane>,
    sent: BTreeSet<(i64, u64)>,
    tally: Tally,
}

#[derive(Default)]
struct State {
    queues: BTreeMap<QueueName, QueueView>,
    /// What is left of settled messages at the server, oldest first: nothing is sent again under their ids.
    gone: VecDeque<(Instant, u64)>,
    watchers: Vec<(String, Arc<Arrivals>)>,
}

#[derive(Default)]
pub(super) struct View {
    state: Mutex<State>,
    /// Something changed.
    pub changed: Notify,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").finish_non_exhaustive()
    }
}

/// The last part of the key under which a purge is told.
pub(super) const PURGED: &str = "purged";

/// A queue's name in keys and subjects.
pub(super) fn token(queue: &QueueName) -> String {
    URL_SAFE_NO_PAD.encode(&*queue.0)
}

pub(super) fn key(queue: &QueueName, id: MessageId) -> String {
    format!("{}.{}", token(queue), URL_SAFE_NO_PAD.encode(id.0))
}

fn parse(key: &str) -> Option<(QueueName, &str)> {
    let (queue, rest) = key.split_once('.')?;
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(queue).ok()?).ok()?;
    Some((QueueName(name.into()), rest))
}

impl QueueView {
    fn counts(&mut self, now: i64) -> Counts {
        self.tally.pass(now);
        Counts {
            visible: self.tally.visible(),
            in_flight: self.tally.leased,
            delayed: self.tally.delayed,
            oldest: self.sent.first().map(|(sent, _)| timestamp(*sent)),
        }
    }

    fn remove(&mut self, place: u64) {
        let Some(Known { standing, .. }) = self.messages.remove(&place) else { return };
        self.places.remove(&standing.id);
        self.sent.remove(&(standing.sent, place));
        self.due.remove(&(standing.due(), place));
        if let Some(lane) = &standing.lane
            && let Some(of) = self.lanes.get_mut(lane)
        {
            of.places.remove(&place);
            of.leased.remove(&place);
            if of.places.is_empty() {
                self.lanes.remove(lane);
            }
        }
        self.tally.total -= 1;
        self.tally.subtract(standing.due(), standing.until > standing.ready);
    }

    fn insert(&mut self, known: Known) {
        let standing = &known.standing;
        self.places.insert(standing.id, standing.place);
        self.sent.insert((standing.sent, standing.place));
        match &standing.lane {
            None => {
                self.due.insert((standing.due(), standing.place));
            }
            Some(lane) => {
                let of = self.lanes.entry(Arc::clone(lane)).or_default();
                of.places.insert(standing.place);
                if standing.until != 0 {
                    of.leased.insert(standing.place);
                }
            }
        }
        self.tally.total += 1;
        self.tally.add(standing.due(), standing.until > standing.ready, 1);
        self.messages.insert(standing.place, known);
    }

    /// When the first message of a lane can be received.
    fn lane_due(&self, lane: &Lane) -> Option<(i64, u64)> {
        let due = |place: &u64| self.messages.get(place).map(|known| known.standing.due());
        let until = |place: &u64| self.messages.get(place).map(|known| known.standing.until);
        let first = lane.places.first()?;
        let leased = lane.leased.iter().filter_map(until).max();
        Some((due(first)?.max(leased.unwrap_or(0)), *first))
    }
}

impl View {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages to take, in the order in which to try them: those without a lane alone, those of a lane together.
    pub(super) fn candidates(&self, queue: &QueueName, now: i64, max: usize) -> Vec<Vec<Known>> {
        let state = self.lock();
        let Some(view) = state.queues.get(queue) else { return Vec::new() };
        let mut found: Vec<((i64, u64), Vec<Known>)> = Vec::new();
        let known = |place: &u64| view.messages.get(place).cloned();
        for (due, place) in view.due.range(..=(now, u64::MAX)).take(max) {
            found.push(((*due, *place), known(place).into_iter().collect()));
        }
        for lane in view.lanes.values() {
            let Some(due) = view.lane_due(lane).filter(|(due, _)| *due <= now) else { continue };
            let ready = lane.places.iter().filter_map(known).take_while(|known| known.standing.due() <= now);
            found.push((due, ready.take(max).collect()));
        }
        found.sort_by_key(|(due, _)| *due);
        found.into_iter().map(|(_, known)| known).collect()
    }

    /// When the next message of a queue becomes due.
    pub(super) fn next_due(&self, queue: &QueueName, now: i64) -> Option<i64> {
        let state = self.lock();
        let view = state.queues.get(queue)?;
        let alone = view.due.range((now + 1, 0)..).next().map(|(due, _)| *due);
        let lanes = view.lanes.values().filter_map(|lane| view.lane_due(lane)).map(|(due, _)| due);
        alone.into_iter().chain(lanes.filter(|due| *due > now)).min()
    }

    /// Up to `max` messages behind a place.
    pub(super) fn behind(&self, queue: &QueueName, after: u64, max: usize) -> Vec<Known> {
        let state = self.lock();
        let Some(view) = state.queues.get(queue) else { return Vec::new() };
        view.messages.range(after.saturating_add(1)..).take(max).map(|(_, known)| known.clone()).collect()
    }

    /// Messages first sent before `then` that nobody has.
    pub(super) fn expired(&self, queue: &QueueName, then: i64, now: i64) -> Vec<Known> {
        let state = self.lock();
        let Some(view) = state.queues.get(queue) else { return Vec::new() };
        let old = view.sent.range(..(then, 0)).filter_map(|(_, place)| view.messages.get(place));
        old.filter(|known| !known.standing.is_leased(now)).cloned().collect()
    }

    pub(super) fn counts(&self, queue: &QueueName, now: i64) -> Counts {
        self.lock().queues.get_mut(queue).map_or_else(Counts::default, |view| view.counts(now))
    }

    pub(super) fn counts_of_all(&self, prefix: &str, now: i64) -> Vec<(QueueName, Counts)> {
        let mut state = self.lock();
        let named = state.queues.range_mut(QueueName(prefix.into())..);
        let named = named.take_while(|(name, _)| name.0.starts_with(prefix));
        let filled = named.filter(|(_, view)| !view.messages.is_empty());
        filled.map(|(name, view)| (name.clone(), view.counts(now))).collect()
    }

    pub(super) fn names(&self, prefix: &str) -> Vec<QueueName> {
        let state = self.lock();
        let named = state.queues.range(QueueName(prefix.into())..);
        let named = named.take_while(|(name, _)| name.0.starts_with(prefix));
        named.filter(|(_, view)| !view.messages.is_empty()).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn watch(&self, prefix: &str, arrivals: Arrivals) {
        self.lock().watchers.push((prefix.to_owned(), Arc::new(arrivals)));
    }

    /// Settled messages whose ids nobody will send again, by the revision of what is left of them.
    pub(super) fn take_gone(&self, older: Duration) -> Vec<u64> {
        let mut state = self.lock();
        let count = state.gone.iter().take_while(|(since, _)| since.elapsed() >= older).count();
        state.gone.drain(..count).map(|(_, revision)| revision).collect()
    }

    /// The server no longer has this message: it was purged.
    pub(super) fn drop_message(&self, queue: &QueueName, place: u64) {
        if let Some(view) = self.lock().queues.get_mut(queue) {
            view.remove(place);
        }
    }
}

impl Follower for View {
    fn follow(&self, key: &str, revision: u64, value: Option<&Bytes>) -> Result<(), String> {
        let (queue, rest) = parse(key).ok_or("it is no key of a message")?;
        let mut arrived = false;
        let mut state = self.lock();
        let view = state.queues.entry(queue.clone()).or_default();
        if rest == PURGED {
            let old = view.messages.iter().filter(|(_, known)| known.revision < revision);
            let old: Vec<u64> = old.map(|(place, _)| *place).collect();
            old.into_iter().for_each(|place| view.remove(place));
        } else {
            let id = URL_SAFE_NO_PAD.decode(rest).ok().and_then(|id| id.try_into().ok());
            let id = MessageId(id.ok_or("it is no key of a message")?);
            if let Some(place) = view.places.get(&id).copied() {
                view.remove(place);
            }
            match value {
                Some(value) => {
                    let standing: Standing =
                        serde_json::from_slice(value).map_err(|error| error.to_string())?;
                    arrived = standing.receipt == 0 || standing.until <= super::messages::now();
                    view.insert(Known { revision, standing });
                }
                None => state.gone.push_back((Instant::now(), revision)),
            }
        }
        let watchers = if arrived { state.watchers.clone() } else { Vec::new() };
        drop(state);
        self.changed.notify_waiters();
        for (_, watcher) in watchers.iter().filter(|(prefix, _)| queue.0.starts_with(prefix)) {
            watcher(&queue);
        }
        Ok(())
    }
}
