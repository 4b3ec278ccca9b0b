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

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use lambkin_model::Pending;
use lambkin_model::queue::{
    Arrivals, Counts, DEDUPLICATION, Handle, Lease, Peeked, Post, QueueError, QueueName, Queues, Receive,
    Received, Sent,
};
use lambkin_model::time::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::handle;
use super::messages::{HOLD, Messages, failed, now, unavailable};
use super::queue_view::{Known, PURGED, Standing, View, key, token};
use super::table::{Follower, Table, WriteError};
use crate::queue_desk::{ANSWER, fit, signed, timestamp};
use crate::queue_tally::end;

/// A message of an id that was settled so recently is not sent again.
const REMEMBER: Duration = Duration::from_secs(600);
/// How often what is held is renewed, well within its lease.
const RENEW: Duration = Duration::from_secs(3);

/// Whatever a table tells of texts is not needed here.
struct Nobody;

impl Follower for Nobody {
    fn follow(&self, _key: &str, _revision: u64, _value: Option<&Bytes>) -> Result<(), String> {
        Ok(())
    }
}

/// Queues on NATS JetStream.
#[derive(Debug)]
pub struct NatsQueues {
    shared: Arc<Messages>,
    keeper: JoinHandle<()>,
}

impl Drop for NatsQueues {
    fn drop(&mut self) {
        self.keeper.abort();
        self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
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
        let shared = Arc::new(Messages {
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
async fn keep(shared: Arc<Messages>) {
    loop {
        tokio::time::sleep(RENEW).await;
        let held: Vec<_> = {
            let held = shared.held.lock().unwrap_or_else(PoisonError::into_inner);
            held.iter().map(|(receipt, (queue, id))| (*receipt, queue.clone(), *id)).collect()
        };
        for (receipt, queue, id) in held {
            let renewed = shared
                .change(&handle::write(&queue, id, receipt), Some(&queue), |standing| {
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

/// Received messages on their way to whoever asked; dropped on the way, they are given back.
struct Delivery {
    received: Vec<Received>,
    lease: Lease,
    shared: Arc<Messages>,
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
