//! The queues port on JetStream 2.9. Contents are in a stream; where each message stands is a key of a bucket, and
//! whoever wins its compare-and-set has the lease: for as long as it says, with a handle that any machine knows.
//!
//! JetStream's own consumers are not used for leases: their ack wait is one for all receives, a redelivery forgets a
//! changed mark and a delay, and a lane would need a consumer each. What the port asks for beyond a bucket is done
//! on this side: `Held` is a short lease that a task renews, and whoever waits wakes by what the bucket tells.
//!
//! Two machines may for a moment have different messages of one lane when a lease of it is extended just as it ends;
//! never the same message. Posts of a settlement go first, and once by their ids, for [`REMEMBER`] after a message of
//! the same id was settled; so one that takes its own message's id to its own queue is refused.
//!
//! Deliberately not here: a bound of the backlog, and of the memory that the view of it takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{self, stream};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use lambkin_model::Pending;
use lambkin_model::queue::{
    Arrivals, Counts, DEDUPLICATION, Handle, Lease, Message, MessageId, Peeked, Post, QueueError, QueueName,
    Queues, Receive, Received, Sent,
};
use lambkin_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::queue_view::{Known, PURGED, Standing, View, key, token};
use super::table::{Follower, Table, WriteError};
use crate::queue_desk::{ANSWER, fit, signed, timestamp};
use crate::queue_tally::end;

/// A message of an id that was settled so recently is not sent again.
const REMEMBER: Duration = Duration::from_secs(600);
/// The lease behind `Held`, and how often it is renewed: a process that died holds for so long.
const HOLD: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(3);
/// How often a compare-and-set is tried again against others' changes.
const TRIES: usize = 16;

/// What is known of a deduplication text.
#[derive(Serialize, Deserialize)]
struct Repeated {
    id: MessageId,
    place: u64,
    standing: Standing,
}

/// Whatever a table tells of texts is not needed here.
struct Nobody;

impl Follower for Nobody {
    fn follow(&self, _key: &str, _revision: u64, _value: Option<&Bytes>) -> Result<(), String> {
        Ok(())
    }
}

#[derive(Debug)]
struct Shared {
    contents: Stream,
    context: jetstream::Context,
    /// Begins the contents' subjects.
    subject: String,
    table: Table,
    texts: Table,
    view: Arc<View>,
    /// Messages that this process holds, by receipt.
    held: Mutex<HashMap<u64, (QueueName, MessageId)>>,
    /// Receives and what is done behind answers; ended with the store.
    tasks: Mutex<JoinSet<()>>,
}

/// Queues on NATS JetStream.
#[derive(Debug)]
pub struct NatsQueues {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
}

impl Drop for NatsQueues {
    fn drop(&mut self) {
        self.keeper.abort();
        self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    signed(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

fn failed(error: impl std::fmt::Display) -> QueueError {
    QueueError::Unavailable(error.to_string())
}

fn encode(standing: &Standing) -> Bytes {
    serde_json::to_vec(standing).expect("it has only string keys").into()
}

/// A handle is a receipt, a message's id and its queue's name, as far as they fit: the name's hash.
fn handle(queue: &QueueName, id: MessageId, receipt: u64) -> Handle {
    let mut bytes = receipt.to_be_bytes().to_vec();
    bytes.extend(id.0);
    bytes.extend(digest(queue).to_be_bytes());
    Handle(bytes.into())
}

/// FNV-1a: it has to be the same on every machine, and no more than tell names apart.
fn digest(queue: &QueueName) -> u64 {
    queue
        .0
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl NatsQueues {
    pub(super) async fn open(
        client: &async_nats::Client,
        context: &jetstream::Context,
        prefix: &str,
        replicas: usize,
    ) -> Result<Self, String> {
        let subject = format!("{prefix}-content");
        let contents = context
            .get_or_create_stream(stream::Config {
                name: subject.clone(),
                subjects: vec![format!("{subject}.*")],
                num_replicas: replicas,
                ..stream::Config::default()
            })
            .await
            .map_err(|error| error.to_string())?;
        let view = Arc::new(View::default());
        let bucket = format!("{prefix}-messages");
        let table =
            Table::open(client, context, &bucket, replicas, Duration::ZERO, Arc::clone(&view)).await?;
        let bucket = format!("{prefix}-texts");
        let texts = Table::open(client, context, &bucket, replicas, DEDUPLICATION, Arc::new(Nobody)).await?;
        let shared = Arc::new(Shared {
            contents,
            context: context.clone(),
            subject,
            table,
            texts,
            view,
            held: Mutex::default(),
            tasks: Mutex::default(),
        });
        let keeper = tokio::spawn(keep(Arc::clone(&shared)));
        Ok(Self { shared, keeper })
    }
}

/// Renews what is held and removes what is left of messages settled long ago.
async fn keep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(RENEW).await;
        let held: Vec<_> = {
            let held = shared.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.iter().map(|(receipt, (queue, id))| (*receipt, queue.clone(), *id)).collect()
        };
        for (receipt, queue, id) in held {
            let renewed = shared
                .change(&handle(&queue, id, receipt), Some(&queue), |standing| {
                    standing.until = end(now(), HOLD);
                    Some(())
                })
                .await;
            if renewed == Err(QueueError::Stale) {
                shared.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&receipt);
            }
        }
        for revision in shared.view.take_gone(REMEMBER) {
            if let Err(error) = shared.table.bucket.stream.delete_message(revision).await {
                tracing::debug!(%error, "what is left of a settled message could not be removed");
            }
        }
        while shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).try_join_next().is_some() {}
    }
}

impl Shared {
    fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    async fn put(&self, queue: &QueueName, message: &Message) -> Result<(Sent, u64), QueueError> {
        let (subject, content) = (format!("{}.{}", self.subject, token(queue)), message.content.clone());
        let stored = self.context.publish(subject, content).await.map_err(failed)?.await.map_err(failed)?;
        let now = now();
        let mut standing = Standing {
            place: stored.sequence,
            id: message.id,
            lane: message.lane.clone(),
            sent: message.sent.map_or(now, |sent| signed(sent.0)),
            ready: end(now, message.delay),
            until: 0,
            receipt: 0,
            received: 0,
            first_received: 0,
            mark: message.mark,
        };
        let mut duplicate = false;
        if let Some(text) = &message.deduplication {
            let place = format!("{}.{}", token(queue), URL_SAFE_NO_PAD.encode(&**text));
            let repeated = Repeated { id: message.id, place: stored.sequence, standing: standing.clone() };
            let value = serde_json::to_vec(&repeated).expect("it has only string keys").into();
            match self.texts.write(&place, Some(value), 0).await {
                Ok(_) => {}
                Err(WriteError::Conflict) => {
                    let first = self.texts.entry(&place).await.map_err(unavailable)?;
                    let first = first.and_then(|(_, value)| value).ok_or_else(|| failed("a text went"))?;
                    let first: Repeated = serde_json::from_slice(&first).map_err(failed)?;
                    // Whoever sent it first may have died before it was there: it is sent for them, once.
                    (standing, duplicate) = (first.standing, true);
                    self.discard(stored.sequence).await;
                }
                Err(error) => return Err(unavailable(error)),
            }
        }
        let sent = Sent { id: standing.id, sequence: standing.place, duplicate };
        match self.table.write(&key(queue, standing.id), Some(encode(&standing)), 0).await {
            Ok(revision) => Ok((sent, revision)),
            // It is there, or was until it was settled.
            Err(WriteError::Conflict) => {
                if !duplicate {
                    self.discard(stored.sequence).await;
                }
                Ok((sent, 0))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn put_all(&self, posts: &[Post]) -> Result<Vec<Sent>, QueueError> {
        let (mut sents, mut last) = (Vec::new(), 0);
        for (queue, message) in posts {
            let (sent, revision) = self.put(queue, message).await?;
            sents.push(sent);
            last = last.max(revision);
        }
        self.table.seen(last).await.map_err(failed)?;
        Ok(sents)
    }

    async fn discard(&self, place: u64) {
        if let Err(error) = self.contents.delete_message(place).await {
            tracing::debug!(%error, place, "a content that nobody needs could not be removed");
        }
    }

    /// Which message a handle is good for, as the server has it; `of` is its queue, where that is known.
    async fn locate(
        &self,
        handle: &Handle,
        of: Option<&QueueName>,
    ) -> Result<(QueueName, Known), QueueError> {
        let bytes = &handle.0;
        let number = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (receipt, hash) = (number(0).ok_or(QueueError::Stale)?, number(24).ok_or(QueueError::Stale)?);
        if bytes.len() != 32 || receipt == 0 {
            return Err(QueueError::Stale);
        }
        let id = MessageId(bytes[8..24].try_into().map_err(|_| QueueError::Stale)?);
        let queue = match of {
            Some(queue) => queue.clone(),
            None => {
                self.view.names("").into_iter().find(|name| digest(name) == hash).ok_or(QueueError::Stale)?
            }
        };
        let entry = self.table.entry(&key(&queue, id)).await.map_err(unavailable)?;
        let Some((revision, Some(value))) = entry else { return Err(QueueError::Stale) };
        let standing: Standing = serde_json::from_slice(&value).map_err(failed)?;
        if standing.receipt != receipt {
            return Err(QueueError::Stale);
        }
        Ok((queue, Known { revision, standing }))
    }

    /// Changes where a message stands, by compare-and-set.
    async fn change(
        &self,
        handle: &Handle,
        of: Option<&QueueName>,
        act: impl Fn(&mut Standing) -> Option<()> + Send + Sync,
    ) -> Result<(), QueueError> {
        for _ in 0..TRIES {
            let (queue, mut known) = self.locate(handle, of).await?;
            if act(&mut known.standing).is_none() {
                return Ok(());
            }
            let key = key(&queue, known.standing.id);
            match self.table.write(&key, Some(encode(&known.standing)), known.revision).await {
                Ok(revision) => return self.table.seen(revision).await.map_err(failed),
                Err(WriteError::Conflict) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(failed("others change the message all the time"))
    }

    /// Stops holding, says whether it was held.
    fn let_go(&self, handle: &Handle) -> bool {
        let receipt = handle.0.get(..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&receipt).is_some()
    }

    async fn release(&self, handle: &Handle, delay: Duration, mark: u32) -> Result<(), QueueError> {
        let held = self.let_go(handle);
        let released = |standing: &mut Standing| {
            if !held || !delay.is_zero() {
                standing.ready = end(now(), delay);
            }
            (standing.until, standing.receipt, standing.mark) = (0, 0, mark);
            Some(())
        };
        self.change(handle, None, released).await
    }

    async fn settle(&self, handle: &Handle, posts: &[Post]) -> Result<(), QueueError> {
        fit(posts)?;
        let (queue, mut known) = self.locate(handle, None).await?;
        let id = known.standing.id;
        if posts.iter().any(|(to, message)| *to == queue && message.id == id) {
            return Err(failed("a message cannot take its own place"));
        }
        self.put_all(posts).await?;
        for _ in 0..TRIES {
            match self.table.write(&key(&queue, id), None, known.revision).await {
                Ok(revision) => {
                    self.let_go(handle);
                    self.discard(known.standing.place).await;
                    return self.table.seen(revision).await.map_err(failed);
                }
                Err(WriteError::Conflict) => known = self.locate(handle, None).await?.1,
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(failed("others change the message all the time"))
    }

    /// Takes what can be had now.
    async fn take(&self, queue: &QueueName, max: usize, lease: Lease) -> Result<Vec<Received>, QueueError> {
        let (mut taken, mut bytes, mut last) = (Vec::new(), 0, 0);
        for together in self.view.candidates(queue, now(), max) {
            for Known { revision, mut standing } in together {
                if taken.len() == max || bytes >= ANSWER {
                    break;
                }
                let now = now();
                let receipt = receipt();
                match lease {
                    Lease::Held => standing.until = end(now, HOLD),
                    Lease::For(lasts) => {
                        standing.until = end(now, lasts).max(now + 1);
                        standing.received += 1;
                        if standing.received == 1 {
                            standing.first_received = now;
                        }
                    }
                }
                standing.receipt = receipt;
                let key = key(queue, standing.id);
                match self.table.write(&key, Some(encode(&standing)), revision).await {
                    Ok(revision) => last = revision,
                    Err(WriteError::Conflict) => {
                        if self.table.entry(&key).await.map_err(unavailable)?.is_none() {
                            self.view.drop_message(queue, standing.place);
                        }
                        // Somebody else was faster; of a lane, nothing behind it is to be had.
                        break;
                    }
                    Err(error) => return Err(unavailable(error)),
                }
                if lease == Lease::Held {
                    let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                    held.insert(receipt, (queue.clone(), standing.id));
                }
                let content = self.content(standing.place).await?;
                bytes += content.len();
                taken.push(Received {
                    handle: handle(queue, standing.id, receipt),
                    id: standing.id,
                    sequence: standing.place,
                    lane: standing.lane,
                    sent: timestamp(standing.sent),
                    received: standing.received,
                    first_received: timestamp(standing.first_received),
                    mark: standing.mark,
                    content,
                });
            }
        }
        self.table.seen(last).await.map_err(failed)?;
        Ok(taken)
    }

    async fn content(&self, place: u64) -> Result<Bytes, QueueError> {
        Ok(self.contents.get_raw_message(place).await.map_err(failed)?.payload)
    }

    async fn receive(self: Arc<Self>, queue: QueueName, ask: Receive) -> Result<Vec<Received>, QueueError> {
        let until = Instant::now() + ask.wait;
        loop {
            let changed = self.view.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let taken = self.take(&queue, ask.max, ask.lease).await?;
            if !taken.is_empty() || ask.max == 0 || Instant::now() >= until {
                return Ok(taken);
            }
            let now = now();
            let next = self.view.next_due(&queue, now).map(|due| {
                Instant::now() + Duration::from_micros(u64::try_from(due - now).unwrap_or(0) + 1000)
            });
            tokio::select! {
                () = &mut changed => {}
                () = tokio::time::sleep_until(next.unwrap_or(until).min(until)) => {}
            }
        }
    }

    /// What nobody received is as it was.
    async fn undo(&self, received: Vec<Received>, lease: Lease) {
        for each in received {
            self.let_go(&each.handle);
            let undone = |standing: &mut Standing| {
                (standing.until, standing.receipt) = (0, 0);
                if lease != Lease::Held {
                    standing.received = standing.received.saturating_sub(1);
                    if standing.received == 0 {
                        standing.first_received = 0;
                    }
                }
                Some(())
            };
            if let Err(error) = self.change(&each.handle, None, undone).await {
                tracing::warn!(%error, "a message that nobody received comes when its lease ends");
            }
        }
    }
}

fn unavailable(error: WriteError) -> QueueError {
    match error {
        WriteError::Conflict => failed("others change it all the time"),
        WriteError::Unavailable(reason) => QueueError::Unavailable(reason),
    }
}

/// A number that no other receive of any machine has.
fn receipt() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(now()) | 1
}

/// Received messages on their way to whoever asked; dropped on the way, they are given back.
struct Delivery {
    received: Vec<Received>,
    lease: Lease,
    shared: Arc<Shared>,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.received.is_empty() {
            let (received, lease, shared) =
                (std::mem::take(&mut self.received), self.lease, Arc::clone(&self.shared));
            self.shared.spawn(async move { shared.undo(received, lease).await });
        }
    }
}

impl Queues for NatsQueues {
    fn send(&self, posts: Vec<Post>) -> Pending<'_, Result<Vec<Sent>, QueueError>> {
        Box::pin(async move {
            fit(&posts)?;
            self.shared.put_all(&posts).await
        })
    }

    fn receive(&self, queue: &QueueName, ask: Receive) -> Pending<'_, Result<Vec<Received>, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            // In a task of its own, so that a lease that was won is known even where nobody waits any more.
            let (answer, answered) = oneshot::channel();
            let shared = Arc::clone(&self.shared);
            self.shared.spawn(async move {
                let mut answer = answer;
                let waiting = Arc::clone(&shared).receive(queue, ask);
                tokio::pin!(waiting);
                let received = tokio::select! {
                    biased;
                    received = &mut waiting => received,
                    () = answer.closed() => {
                        // Only what is under way is finished.
                        match tokio::time::timeout(Duration::from_secs(1), waiting).await {
                            Ok(received) => received,
                            Err(_) => return,
                        }
                    }
                };
                let lease = ask.lease;
                let _ = answer.send(received.map(|received| Delivery { received, lease, shared }));
            });
            let mut delivery = answered.await.map_err(|_| failed("the store is closed"))??;
            Ok(std::mem::take(&mut delivery.received))
        })
    }

    fn extend(&self, handle: &Handle, lease: Duration) -> Pending<'_, Result<(), QueueError>> {
        let handle = handle.clone();
        Box::pin(async move {
            self.shared.let_go(&handle);
            let extended = |standing: &mut Standing| {
                standing.until = end(now(), lease);
                Some(())
            };
            self.shared.change(&handle, None, extended).await
        })
    }

    fn release(&self, handle: &Handle, delay: Duration, mark: u32) -> Pending<'_, Result<(), QueueError>> {
        let handle = handle.clone();
        Box::pin(async move { self.shared.release(&handle, delay, mark).await })
    }

    fn settle(&self, settled: Vec<(Handle, Vec<Post>)>) -> Pending<'_, Vec<Result<(), QueueError>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(settled.len());
            for (handle, posts) in settled {
                answers.push(self.shared.settle(&handle, &posts).await);
            }
            answers
        })
    }

    fn peek(
        &self,
        queue: &QueueName,
        after: u64,
        max: usize,
    ) -> Pending<'_, Result<Vec<Peeked>, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let (mut peeked, mut bytes) = (Vec::new(), 0);
            for Known { standing, .. } in self.shared.view.behind(&queue, after, max) {
                let content = self.shared.content(standing.place).await?;
                bytes += content.len();
                peeked.push(Peeked {
                    id: standing.id,
                    sequence: standing.place,
                    sent: timestamp(standing.sent),
                    ready: timestamp(standing.ready.max(standing.until)),
                    received: standing.received,
                    mark: standing.mark,
                    content,
                });
                if bytes >= ANSWER {
                    break;
                }
            }
            Ok(peeked)
        })
    }

    fn counts(&self, queue: &QueueName) -> Pending<'_, Result<Counts, QueueError>> {
        let counts = self.shared.view.counts(queue, now());
        Box::pin(async move { Ok(counts) })
    }

    fn counts_of_all(&self, prefix: &str) -> Pending<'_, Result<Vec<(QueueName, Counts)>, QueueError>> {
        let counts = self.shared.view.counts_of_all(prefix, now());
        Box::pin(async move { Ok(counts) })
    }

    fn names(&self, prefix: &str) -> Pending<'_, Result<Vec<QueueName>, QueueError>> {
        let names = self.shared.view.names(prefix);
        Box::pin(async move { Ok(names) })
    }

    fn purge(&self, queue: &QueueName) -> Pending<'_, Result<(), QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let shared = &self.shared;
            // Contents go behind the answer; what is sent from now on is behind the mark.
            let gone: Vec<u64> =
                shared.view.behind(&queue, 0, usize::MAX).iter().map(|known| known.standing.place).collect();
            let mark = format!("{}.{PURGED}", token(&queue));
            let put = shared.table.bucket.put(&mark, Bytes::new()).await.map_err(failed)?;
            shared.table.forget(&token(&queue), Some(put)).await.map_err(failed)?;
            shared.texts.forget(&token(&queue), None).await.map_err(failed)?;
            shared.table.seen(put).await.map_err(failed)?;
            let shared = Arc::clone(shared);
            self.shared.spawn(async move {
                for place in gone {
                    shared.discard(place).await;
                }
            });
            Ok(())
        })
    }

    fn expire(&self, queue: &QueueName, then: Timestamp) -> Pending<'_, Result<u64, QueueError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let (mut gone, mut last) = (0, 0);
            for known in self.shared.view.expired(&queue, signed(then.0), now()) {
                match self.shared.table.write(&key(&queue, known.standing.id), None, known.revision).await {
                    Ok(revision) => {
                        (gone, last) = (gone + 1, revision);
                        self.shared.discard(known.standing.place).await;
                    }
                    // Somebody has it now.
                    Err(WriteError::Conflict) => {}
                    Err(error) => return Err(unavailable(error)),
                }
            }
            self.shared.table.seen(last).await.map_err(failed)?;
            Ok(gone)
        })
    }

    fn watch(&self, prefix: &str, arrivals: Arrivals) {
        self.shared.view.watch(prefix, arrivals);
    }
}
