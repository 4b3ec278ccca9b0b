//! Messages on JetStream: their contents in a stream, and where each stands, a key of a bucket that is changed by
//! compare-and-set.
//!
//! Deliberately not here: whose answers wait for it ([`super::queues`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_nats::jetstream;
use async_nats::jetstream::stream::Stream;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use lambkin_model::queue::{
    Handle, Lease, Message, MessageId, Post, QueueError, QueueName, Receive, Received, Sent,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::handle;
use super::queue_view::{Known, Standing, View, key, token};
use super::table::{Table, WriteError};
use crate::queue_desk::{ANSWER, fit, signed, timestamp};
use crate::queue_tally::end;

/// The lease behind `Held`: a process that died holds for so long.
pub(super) const HOLD: Duration = Duration::from_secs(10);
/// How often a compare-and-set is tried again against others' changes.
const TRIES: usize = 16;

/// What is known of a deduplication text.
#[derive(Serialize, Deserialize)]
struct Repeated {
    id: MessageId,
    place: u64,
    standing: Standing,
}

/// What all of the store's tasks have.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) contents: Stream,
    pub(super) context: jetstream::Context,
    /// Begins the contents' subjects.
    pub(super) subject: String,
    pub(super) table: Table,
    pub(super) texts: Table,
    pub(super) view: Arc<View>,
    /// Messages that this process holds, by receipt.
    pub(super) held: Mutex<HashMap<u64, (QueueName, MessageId)>>,
    /// Receives and what is done behind answers; ended with the store.
    pub(super) tasks: Mutex<JoinSet<()>>,
}

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    signed(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

pub(super) fn failed(error: impl std::fmt::Display) -> QueueError {
    QueueError::Unavailable(error.to_string())
}

fn encode(standing: &Standing) -> Bytes {
    serde_json::to_vec(standing).expect("it has only string keys").into()
}

impl Messages {
    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
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

    pub(super) async fn put_all(&self, posts: &[Post]) -> Result<Vec<Sent>, QueueError> {
        let (mut sents, mut last) = (Vec::new(), 0);
        for (queue, message) in posts {
            let (sent, revision) = self.put(queue, message).await?;
            sents.push(sent);
            last = last.max(revision);
        }
        self.table.seen(last).await.map_err(failed)?;
        Ok(sents)
    }

    pub(super) async fn discard(&self, place: u64) {
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
        let told = handle::read(handle).ok_or(QueueError::Stale)?;
        let queue = match of {
            Some(queue) => queue.clone(),
            None => self.view.names("").into_iter().find(|name| told.is_of(name)).ok_or(QueueError::Stale)?,
        };
        let entry = self.table.entry(&key(&queue, told.id)).await.map_err(unavailable)?;
        let Some((revision, Some(value))) = entry else { return Err(QueueError::Stale) };
        let standing: Standing = serde_json::from_slice(&value).map_err(failed)?;
        if standing.receipt != told.receipt {
            return Err(QueueError::Stale);
        }
        Ok((queue, Known { revision, standing }))
    }

    /// Changes where a message stands, by compare-and-set.
    pub(super) async fn change(
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
    pub(super) fn let_go(&self, handle: &Handle) -> bool {
        let Some(told) = handle::read(handle) else { return false };
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&told.receipt).is_some()
    }

    pub(super) async fn release(
        &self,
        handle: &Handle,
        delay: Duration,
        mark: u32,
    ) -> Result<(), QueueError> {
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

    pub(super) async fn settle(&self, handle: &Handle, posts: &[Post]) -> Result<(), QueueError> {
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
                let receipt = handle::receipt();
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
                    handle: handle::write(queue, standing.id, receipt),
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

    pub(super) async fn content(&self, place: u64) -> Result<Bytes, QueueError> {
        Ok(self.contents.get_raw_message(place).await.map_err(failed)?.payload)
    }

    pub(super) async fn receive(
        self: Arc<Self>,
        queue: QueueName,
        ask: Receive,
    ) -> Result<Vec<Received>, QueueError> {
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
    pub(super) async fn undo(&self, received: Vec<Received>, lease: Lease) {
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

pub(super) fn unavailable(error: WriteError) -> QueueError {
    match error {
        WriteError::Conflict => failed("others change it all the time"),
        WriteError::Unavailable(reason) => QueueError::Unavailable(reason),
    }
}
