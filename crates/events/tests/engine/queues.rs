//! Queues in memory, on tokio's clock, so that hours pass in no time. Slow and simple on purpose: what it
//! does is what the port says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::Pending;
use lambkin_model::queue::{
    Arrivals, Counts, DEDUPLICATION, Handle, Lease, Message, Peeked, Post, QueueError, QueueName, Queues,
    Receive, Received, Sent,
};
use lambkin_model::time::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

/// 2026-01-01, where the clock begins.
const BEGIN: u64 = 1_767_225_600_000_000;

struct Kept {
    sequence: u64,
    message: Message,
    sent: Timestamp,
    ready: Instant,
    received: u32,
    first: Timestamp,
    /// Number of the receipt whose handle is good.
    receipt: u64,
    held: bool,
    leased: bool,
}

#[derive(Default)]
struct State {
    last: u64,
    queues: HashMap<QueueName, Vec<Kept>>,
    remembered: HashMap<(QueueName, Arc<str>), (Instant, Sent)>,
    /// `send` and posts fail with this.
    fails: Option<QueueError>,
}

/// Queues in memory.
pub(crate) struct MemoryQueues {
    begin: Instant,
    state: Mutex<State>,
    changed: Notify,
    watchers: Mutex<Vec<(String, Arc<Arrivals>)>>,
    /// How often something was settled: the syncs of a real store.
    pub(crate) settlings: AtomicUsize,
}

impl MemoryQueues {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begin: Instant::now(),
            state: Mutex::default(),
            changed: Notify::new(),
            watchers: Mutex::default(),
            settlings: AtomicUsize::new(0),
        })
    }

    /// The wall clock of this world.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(BEGIN + u64::try_from(self.begin.elapsed().as_micros()).unwrap())
    }

    /// From now on sending fails so, or does not any more.
    pub(crate) fn fail(&self, error: Option<QueueError>) {
        self.state.lock().unwrap().fails = error;
    }

    fn post(&self, posts: Vec<Post>) -> Result<Vec<Sent>, QueueError> {
        let mut sents = Vec::new();
        let mut names = Vec::new();
        {
            let mut state = self.state.lock().unwrap();
            if let Some(error) = &state.fails {
                return Err(error.clone());
            }
            for (queue, message) in posts {
                let now = Instant::now();
                let id = message.deduplication.clone().map(|text| (queue.clone(), text));
                if let Some((until, sent)) = id.as_ref().and_then(|id| state.remembered.get(id))
                    && *until > now
                {
                    sents.push(Sent { duplicate: true, ..*sent });
                    continue;
                }
                state.last += 1;
                let sent = Sent { id: message.id, sequence: state.last, duplicate: false };
                if let Some(id) = id {
                    state.remembered.insert(id, (now + DEDUPLICATION, sent));
                }
                let kept = Kept {
                    sequence: sent.sequence,
                    sent: message.sent.unwrap_or(self.now()),
                    ready: now + message.delay,
                    received: 0,
                    first: Timestamp(0),
                    receipt: 0,
                    held: false,
                    leased: false,
                    message,
                };
                names.push(queue.clone());
                state.queues.entry(queue).or_default().push(kept);
                sents.push(sent);
            }
        }
        self.tell(&names);
        Ok(sents)
    }

    fn tell(&self, names: &[QueueName]) {
        self.changed.notify_waiters();
        let watchers: Vec<_> = self.watchers.lock().unwrap().iter().cloned().collect();
        for name in names {
            for (prefix, arrivals) in &watchers {
                if name.0.starts_with(prefix.as_str()) {
                    arrivals(name);
                }
            }
        }
    }

    fn take(&self, queue: &QueueName, ask: Receive) -> Vec<Received> {
        let (now, clock) = (Instant::now(), self.now());
        let mut state = self.state.lock().unwrap();
        state.last += 1;
        let receipt = state.last;
        let kept = state.queues.entry(queue.clone()).or_default();
        let mut taken = Vec::new();
        let mut closed: Vec<Arc<str>> = Vec::new();
        let mut order: Vec<usize> = (0..kept.len()).collect();
        order.sort_by_key(|index| match &kept[*index].message.lane {
            Some(_) => (now, kept[*index].sequence),
            None => (kept[*index].ready.min(now), kept[*index].sequence),
        });
        for each in order {
            let each = &mut kept[each];
            let lane = each.message.lane.clone();
            if lane.as_ref().is_some_and(|lane| closed.contains(lane)) {
                continue;
            }
            if each.held || each.ready > now || taken.len() == ask.max {
                closed.extend(lane);
                continue;
            }
            each.receipt = receipt;
            match ask.lease {
                Lease::Held => each.held = true,
                Lease::For(lease) => {
                    each.ready = now + lease;
                    each.leased = true;
                    each.received += 1;
                    if each.received == 1 {
                        each.first = clock;
                    }
                }
            }
            taken.push(Received {
                handle: handle(each.sequence, receipt),
                id: each.message.id,
                sequence: each.sequence,
                lane,
                sent: each.sent,
                received: each.received,
                first_received: each.first,
                mark: each.message.mark,
                content: each.message.content.clone(),
            });
        }
        taken
    }

    fn with<T>(
        &self,
        wanted: &Handle,
        act: impl FnOnce(&mut Vec<Kept>, usize) -> T,
    ) -> Result<T, QueueError> {
        let mut state = self.state.lock().unwrap();
        for kept in state.queues.values_mut() {
            if let Some(at) = kept.iter().position(|each| handle(each.sequence, each.receipt) == *wanted) {
                return Ok(act(kept, at));
            }
        }
        Err(QueueError::Stale)
    }

    fn queue_of(&self, wanted: &Handle) -> Option<QueueName> {
        let state = self.state.lock().unwrap();
        let has = |kept: &Vec<Kept>| kept.iter().any(|each| handle(each.sequence, each.receipt) == *wanted);
        state.queues.iter().find(|(_, kept)| has(kept)).map(|(name, _)| name.clone())
    }
}

fn counts(kept: &[Kept]) -> Counts {
    let now = Instant::now();
    let mut counts = Counts::default();
    for each in kept {
        counts.oldest = Some(counts.oldest.map_or(each.sent, |oldest| oldest.min(each.sent)));
        match (each.held || (each.leased && each.ready > now), each.ready > now) {
            (true, _) => counts.in_flight += 1,
            (false, true) => counts.delayed += 1,
            (false, false) => counts.visible += 1,
        }
    }
    counts
}

fn handle(sequence: u64, receipt: u64) -> Handle {
    Handle(Bytes::from(format!("{sequence}/{receipt}")))
}

impl Queues for MemoryQueues {
    fn send(&self, posts: Vec<Post>) -> Pending<'_, Result<Vec<Sent>, QueueError>> {
        Box::pin(async move { self.post(posts) })
    }

    fn receive(&self, queue: &QueueName, ask: Receive) -> Pending<'_, Result<Vec<Received>, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let end = Instant::now() + ask.wait;
            loop {
                let changed = self.changed.notified();
                let taken = self.take(&queue, ask);
                if !taken.is_empty() || Instant::now() >= end {
                    return Ok(taken);
                }
                let next = {
                    let state = self.state.lock().unwrap();
                    let ready = state.queues.get(&queue).into_iter().flatten();
                    ready
                        .filter(|each| !each.held)
                        .map(|each| each.ready)
                        .filter(|at| *at > Instant::now())
                        .min()
                };
                let until = next.map_or(end, |next| next.min(end));
                tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(until) => {}
                }
            }
        })
    }

    fn extend(&self, handle: &Handle, lease: Duration) -> Pending<'_, Result<(), QueueError>> {
        let done = self.with(handle, |kept, at| {
            kept[at].ready = Instant::now() + lease;
            kept[at].leased = !lease.is_zero();
        });
        self.changed.notify_waiters();
        Box::pin(async move { done })
    }

    fn release(&self, handle: &Handle, delay: Duration, mark: u32) -> Pending<'_, Result<(), QueueError>> {
        let name = self.queue_of(handle);
        let done = self.with(handle, |kept, at| {
            let each = &mut kept[at];
            (each.held, each.leased, each.receipt) = (false, false, 0);
            each.ready = Instant::now() + delay;
            each.message.mark = mark;
        });
        self.tell(name.as_slice());
        Box::pin(async move { done })
    }

    fn settle(&self, settled: Vec<(Handle, Vec<Post>)>) -> Pending<'_, Vec<Result<(), QueueError>>> {
        let one = |(handle, posts): (Handle, Vec<Post>)| {
            self.queue_of(&handle).ok_or(QueueError::Stale)?;
            self.post(posts)?;
            self.with(&handle, |kept, at| kept.remove(at)).map(|_| ())
        };
        self.settlings.fetch_add(1, Ordering::Relaxed);
        let done = settled.into_iter().map(one).collect();
        self.changed.notify_waiters();
        Box::pin(async move { done })
    }

    fn peek(
        &self,
        queue: &QueueName,
        after: u64,
        max: usize,
    ) -> Pending<'_, Result<Vec<Peeked>, QueueError>> {
        let (now, clock) = (Instant::now(), self.now());
        let state = self.state.lock().unwrap();
        let seen = state.queues.get(queue).into_iter().flatten().filter(|each| each.sequence > after);
        let peeked = seen.take(max).map(|each| Peeked {
            id: each.message.id,
            sequence: each.sequence,
            sent: each.sent,
            ready: Timestamp(clock.0 + u64::try_from((each.ready - now).as_micros()).unwrap()),
            received: each.received,
            mark: each.message.mark,
            content: each.message.content.clone(),
        });
        let peeked = peeked.collect();
        Box::pin(async move { Ok(peeked) })
    }

    fn counts(&self, queue: &QueueName) -> Pending<'_, Result<Counts, QueueError>> {
        let state = self.state.lock().unwrap();
        let counts = state.queues.get(queue).map_or_else(Counts::default, |kept| counts(kept));
        Box::pin(async move { Ok(counts) })
    }

    fn counts_of_all(&self, prefix: &str) -> Pending<'_, Result<Vec<(QueueName, Counts)>, QueueError>> {
        let state = self.state.lock().unwrap();
        let filled =
            state.queues.iter().filter(|(name, kept)| !kept.is_empty() && name.0.starts_with(prefix));
        let all = filled.map(|(name, kept)| (name.clone(), counts(kept))).collect();
        Box::pin(async move { Ok(all) })
    }

    fn names(&self, prefix: &str) -> Pending<'_, Result<Vec<QueueName>, QueueError>> {
        let state = self.state.lock().unwrap();
        let filled =
            state.queues.iter().filter(|(name, kept)| !kept.is_empty() && name.0.starts_with(prefix));
        let names = filled.map(|(name, _)| name.clone()).collect();
        Box::pin(async move { Ok(names) })
    }

    fn purge(&self, queue: &QueueName) -> Pending<'_, Result<(), QueueError>> {
        let mut state = self.state.lock().unwrap();
        state.queues.remove(queue);
        state.remembered.retain(|(name, _), _| name != queue);
        Box::pin(async { Ok(()) })
    }

    fn expire(&self, queue: &QueueName, then: Timestamp) -> Pending<'_, Result<u64, QueueError>> {
        let now = Instant::now();
        let mut gone = 0;
        if let Some(kept) = self.state.lock().unwrap().queues.get_mut(queue) {
            let before = kept.len();
            kept.retain(|each| each.held || (each.leased && each.ready > now) || each.sent >= then);
            gone = before - kept.len();
        }
        Box::pin(async move { Ok(gone as u64) })
    }

    fn watch(&self, prefix: &str, arrivals: Arrivals) {
        self.watchers.lock().unwrap().push((prefix.to_owned(), Arc::new(arrivals)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambkin_model::queue::MessageId;

    fn message(id: u8, lane: Option<&str>) -> Message {
        Message {
            id: MessageId([id; 16]),
            lane: lane.map(Arc::from),
            deduplication: None,
            sent: None,
            delay: Duration::ZERO,
            mark: 0,
            content: Bytes::from(vec![id]),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_wait_for_their_heads() {
        let queues = MemoryQueues::new();
        let queue = QueueName("q".into());
        let posts = [(1, "a"), (2, "a"), (3, "b")];
        let posts = posts.map(|(id, lane)| (queue.clone(), message(id, Some(lane))));
        queues.send(posts.into()).await.unwrap();
        let ask = Receive { max: 1, lease: Lease::Held, wait: Duration::ZERO };
        let first = queues.receive(&queue, ask).await.unwrap();
        let second = queues.receive(&queue, ask).await.unwrap();
        assert_eq!((first[0].id.0[0], second[0].id.0[0]), (1, 3));
        assert!(queues.receive(&queue, ask).await.unwrap().is_empty());
        queues.settle(vec![(first[0].handle.clone(), vec![])]).await[0].clone().unwrap();
        assert_eq!(queues.receive(&queue, ask).await.unwrap()[0].id.0[0], 2);
    }
}
