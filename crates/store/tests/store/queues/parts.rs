//! What the cases are made of.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::queue::{
    Counts, Handle, Lease, Message, MessageId, Post, QueueError, QueueName, Queues, Receive, Received, Sent,
};
use lambkin_model::time::Timestamp;

use crate::support::SOON;

pub(super) const NOW: Duration = Duration::ZERO;
/// Longer than any case takes.
pub(super) const LONG: Lease = Lease::For(Duration::from_secs(600));
/// A lease or delay that a case waits for.
pub(super) const SHORT: Duration = Duration::from_millis(400);

pub(crate) type Any = Arc<dyn Queues>;

pub(crate) fn message(number: u32) -> Message {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    // Ids are not used twice, in any queue of any test.
    id[4..].copy_from_slice(&unique().to_be_bytes()[..12]);
    Message {
        id: MessageId(id),
        lane: None,
        deduplication: None,
        sent: None,
        delay: NOW,
        mark: 0,
        content: Bytes::from(format!("message {number}")),
    }
}

fn unique() -> u128 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    (now << 64 | u128::from(NEXT.fetch_add(1, Ordering::Relaxed))) << 32
}

pub(crate) fn in_lane(number: u32, lane: &str) -> Message {
    Message { lane: Some(lane.into()), ..message(number) }
}

pub(crate) fn number(id: MessageId) -> u32 {
    u32::from_be_bytes(id.0[..4].try_into().unwrap())
}

pub(super) fn numbers(received: &[Received]) -> Vec<u32> {
    received.iter().map(|each| number(each.id)).collect()
}

pub(super) async fn send(
    queues: &Any,
    queue: &QueueName,
    messages: impl IntoIterator<Item = Message>,
) -> Vec<Sent> {
    let posts: Vec<Post> = messages.into_iter().map(|message| (queue.clone(), message)).collect();
    queues.send(posts).await.unwrap()
}

pub(super) async fn take(queues: &Any, queue: &QueueName, max: usize, lease: Lease) -> Vec<Received> {
    queues.receive(queue, Receive { max, lease, wait: NOW }).await.unwrap()
}

/// Waits until there is one.
pub(super) async fn await_one(queues: &Any, queue: &QueueName, lease: Lease) -> Received {
    let mut taken = queues.receive(queue, Receive { max: 1, lease, wait: SOON }).await.unwrap();
    taken.pop().expect("a message in time")
}

pub(super) async fn settle(queues: &Any, handle: &Handle, posts: Vec<Post>) -> Result<(), QueueError> {
    queues.settle(vec![(handle.clone(), posts)]).await.pop().unwrap()
}

pub(super) async fn counts(queues: &Any, queue: &QueueName) -> (u64, u64, u64) {
    let Counts { visible, in_flight, delayed, .. } = queues.counts(queue).await.unwrap();
    (visible, in_flight, delayed)
}

pub(super) fn wall() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(now.as_micros()).unwrap())
}
