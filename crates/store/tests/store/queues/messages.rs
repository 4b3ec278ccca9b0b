//! Messages: how they come, in which order, and what ends them.

use std::time::Instant;

use bytes::Bytes;
use lambkin_model::queue::{Counts, Lease, Message, QueueError, QueueName, Sent};

use super::parts::{Any, LONG, SHORT, await_one, counts, message, number, numbers, send, settle, take, wall};

/// A message comes as it was sent, once, and is gone when it is settled.
pub(super) async fn sends_and_receives(queues: Any, queue: QueueName) {
    let before = wall();
    let mut sent = message(1);
    (sent.mark, sent.content) = (7, Bytes::from_static(&[0, 255, 10, 13]));
    let answer = send(&queues, &queue, [sent.clone()]).await[0];
    assert_eq!((answer.id, answer.duplicate), (sent.id, false));
    let received = await_one(&queues, &queue, LONG).await;
    assert_eq!((received.id, received.sequence, received.mark), (sent.id, answer.sequence, 7));
    assert_eq!((&received.content, received.received, &received.lane), (&sent.content, 1, &None));
    assert!(received.handle.0.len() <= 64);
    for time in [received.sent, received.first_received] {
        assert!(before.0 <= time.0 + 1_000_000 && time.0 <= wall().0 + 1_000_000, "{time:?}");
    }
    assert_eq!(take(&queues, &queue, 10, LONG).await, []);
    settle(&queues, &received.handle, vec![]).await.unwrap();
    assert_eq!(settle(&queues, &received.handle, vec![]).await, Err(QueueError::Stale));
    assert_eq!(counts(&queues, &queue).await, (0, 0, 0));
}

/// A queue nobody sent to is empty.
pub(super) async fn knows_no_queue(queues: Any, queue: QueueName) {
    assert_eq!(take(&queues, &queue, 10, Lease::Held).await, []);
    assert_eq!(queues.peek(&queue, 0, 10).await.unwrap(), []);
    assert_eq!(queues.counts(&queue).await.unwrap(), Counts::default());
    queues.purge(&queue).await.unwrap();
    assert_eq!(queues.expire(&queue, wall()).await, Ok(0));
}

/// Oldest first, at most as many as asked for, each once; places rise over all queues.
pub(super) async fn keeps_order(queues: Any, queue: QueueName) {
    let first = send(&queues, &queue, (0..20).map(message)).await;
    let other = QueueName(format!("{queue}-other").into());
    let second = send(&queues, &other, [message(99)]).await;
    let third = send(&queues, &queue, (20..25).map(message)).await;
    let places: Vec<u64> = first.iter().chain(&second).chain(&third).map(|sent| sent.sequence).collect();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    let mut seen = Vec::new();
    for max in [0, 1, 7, 10, 10] {
        let taken = take(&queues, &queue, max, LONG).await;
        assert!(taken.len() <= max);
        seen.extend(numbers(&taken));
    }
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
    assert_eq!(take(&queues, &queue, 10, Lease::Held).await, []);
}

/// A delayed message does not come before its time, and nobody behind it waits for it.
pub(super) async fn delays(queues: Any, queue: QueueName) {
    let begun = Instant::now();
    let delayed = Message { delay: SHORT, ..message(1) };
    send(&queues, &queue, [delayed, message(2)]).await;
    assert_eq!(number(await_one(&queues, &queue, LONG).await.id), 2);
    assert_eq!(counts(&queues, &queue).await, (0, 1, 1));
    assert_eq!(number(await_one(&queues, &queue, LONG).await.id), 1);
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
}

/// Within five minutes a text is sent once to a queue; the answer is that of the first.
pub(super) async fn deduplicates(queues: Any, queue: QueueName) {
    let with = |number, text: &str| Message { deduplication: Some(text.into()), ..message(number) };
    let other = QueueName(format!("{queue}-other").into());
    let first = send(&queues, &queue, [with(1, "a"), with(2, "b"), with(3, "a")]).await;
    assert_eq!(first.iter().map(|sent| sent.duplicate).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!((first[2].id, first[2].sequence), (first[0].id, first[0].sequence));
    assert!(!send(&queues, &other, [with(4, "a")]).await[0].duplicate);
    // Also when the first is gone.
    let taken = take(&queues, &queue, 9, LONG).await;
    assert_eq!(numbers(&taken), [1, 2]);
    settle(&queues, &taken[0].handle, vec![]).await.unwrap();
    assert_eq!(send(&queues, &queue, [with(5, "a")]).await, [Sent { duplicate: true, ..first[0] }]);
    // A purge forgets.
    queues.purge(&queue).await.unwrap();
    assert!(!send(&queues, &queue, [with(6, "a")]).await[0].duplicate);
}

/// Settling deletes and sends in one step, to whatever queues.
pub(super) async fn settles_with_posts(queues: Any, queue: QueueName) {
    let other = QueueName(format!("{queue}-dead").into());
    send(&queues, &queue, (0..3).map(message)).await;
    let taken = take(&queues, &queue, 3, LONG).await;
    let id = taken[0].id;
    let dead = Message { id, sent: Some(taken[0].sent), ..message(0) };
    let settled = vec![
        (taken[0].handle.clone(), vec![(other.clone(), dead.clone()), (other.clone(), message(9))]),
        (taken[1].handle.clone(), vec![]),
        // The same again: nothing of it is done.
        (taken[0].handle.clone(), vec![(other.clone(), message(10))]),
    ];
    let answers = queues.settle(settled).await;
    assert_eq!(answers, [Ok(()), Ok(()), Err(QueueError::Stale)]);
    assert_eq!(counts(&queues, &queue).await, (0, 1, 0));
    let there = take(&queues, &other, 9, LONG).await;
    assert_eq!(numbers(&there), [0, 9]);
    assert_eq!((there[0].id, there[0].sent), (id, taken[0].sent));
}

/// A message that is too large is refused, with all that was sent with it; one of the limit is taken.
pub(super) async fn bounds_content(queues: Any, queue: QueueName) {
    let of = |length: usize| Message { content: Bytes::from(vec![7; length]), ..message(1) };
    let limit = 2 << 20;
    let posts = vec![(queue.clone(), message(0)), (queue.clone(), of(limit + 1))];
    assert_eq!(queues.send(posts).await, Err(QueueError::TooLarge { length: limit + 1, limit }));
    assert_eq!(counts(&queues, &queue).await, (0, 0, 0));
    send(&queues, &queue, [of(limit)]).await;
    let received = await_one(&queues, &queue, LONG).await;
    assert_eq!(received.content, of(limit).content);
    let refused = settle(&queues, &received.handle, vec![(queue.clone(), of(limit + 1))]).await;
    assert_eq!(refused, Err(QueueError::TooLarge { length: limit + 1, limit }));
    assert_eq!(counts(&queues, &queue).await, (0, 1, 0));
    settle(&queues, &received.handle, vec![]).await.unwrap();
}
