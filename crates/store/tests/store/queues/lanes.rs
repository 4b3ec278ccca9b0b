//! Lanes: messages in order.

use std::time::Instant;

use lambkin_model::queue::{Lease, Message, QueueError, QueueName, Receive};

use super::parts::{Any, LONG, NOW, SHORT, counts, in_lane, numbers, send, settle, take};
use crate::support::SOON;

/// A lane is in order; one call may take several of it, and nobody takes any while some are leased.
pub(super) async fn lanes_are_in_order(queues: Any, queue: QueueName) {
    for lease in [LONG, Lease::Held] {
        send(
            &queues,
            &queue,
            [(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "b")].map(|(n, lane)| in_lane(n, lane)),
        )
        .await;
        assert_eq!(counts(&queues, &queue).await, (5, 0, 0));
        let first = take(&queues, &queue, 1, lease).await;
        assert_eq!((numbers(&first), first[0].lane.as_deref()), (vec![1], Some("a")));
        // a is blocked; b is not.
        let second = take(&queues, &queue, 9, lease).await;
        assert_eq!(numbers(&second), [3, 5]);
        assert_eq!(take(&queues, &queue, 9, lease).await, []);
        assert_eq!(counts(&queues, &queue).await, (2, 3, 0));
        settle(&queues, &first[0].handle, vec![]).await.unwrap();
        let third = take(&queues, &queue, 1, lease).await;
        assert_eq!(numbers(&third), [2]);
        // Given back it is the next again, before those behind it.
        queues.release(&third[0].handle, NOW, 0).await.unwrap();
        let fourth = take(&queues, &queue, 9, lease).await;
        assert_eq!(numbers(&fourth), [2, 4]);
        for received in second.iter().chain(&fourth) {
            settle(&queues, &received.handle, vec![]).await.unwrap();
        }
        assert_eq!(counts(&queues, &queue).await, (0, 0, 0));
    }
}

/// While any message of a lane is leased, the others wait, whichever it is.
pub(super) async fn lanes_wait_for_every_lease(queues: Any, queue: QueueName) {
    for lease in [LONG, Lease::Held] {
        send(&queues, &queue, (1..=4).map(|number| in_lane(number, "a"))).await;
        let taken = take(&queues, &queue, 3, lease).await;
        assert_eq!(numbers(&taken), [1, 2, 3]);
        // The first is given back: it waits for the two.
        queues.release(&taken[0].handle, NOW, 0).await.unwrap();
        assert_eq!(take(&queues, &queue, 9, lease).await, []);
        settle(&queues, &taken[2].handle, vec![]).await.unwrap();
        assert_eq!(take(&queues, &queue, 9, lease).await, []);
        settle(&queues, &taken[1].handle, vec![]).await.unwrap();
        let rest = take(&queues, &queue, 9, lease).await;
        assert_eq!(numbers(&rest), [1, 4]);
        for received in rest {
            settle(&queues, &received.handle, vec![]).await.unwrap();
        }
    }
}

/// A delayed message of a lane holds up those behind it, and only those.
pub(super) async fn lanes_wait_for_delays(queues: Any, queue: QueueName) {
    let slow = Message { delay: SHORT, ..in_lane(2, "a") };
    let begun = Instant::now();
    send(&queues, &queue, [in_lane(1, "a"), slow, in_lane(3, "a"), in_lane(4, "b")]).await;
    let taken = take(&queues, &queue, 9, LONG).await;
    assert_eq!(numbers(&taken), [1, 4]);
    settle(&queues, &taken[0].handle, vec![]).await.unwrap();
    assert_eq!(take(&queues, &queue, 9, LONG).await, []);
    let ask = Receive { max: 9, lease: LONG, wait: SOON };
    let rest = queues.receive(&queue, ask).await.unwrap();
    assert_eq!(numbers(&rest), [2, 3]);
    assert!(begun.elapsed() >= SHORT);
    // A retry with a delay does the same.
    let begun = Instant::now();
    queues.release(&rest[0].handle, SHORT, 0).await.unwrap();
    queues.release(&rest[1].handle, NOW, 0).await.unwrap();
    assert_eq!(take(&queues, &queue, 9, LONG).await, []);
    assert_eq!(numbers(&queues.receive(&queue, ask).await.unwrap()), [2, 3]);
    assert!(begun.elapsed() >= SHORT);
}

/// A lane whose lease ends by itself begins again at its first message.
pub(super) async fn lanes_begin_again(queues: Any, queue: QueueName) {
    send(&queues, &queue, (1..=3).map(|number| in_lane(number, "a"))).await;
    let taken = take(&queues, &queue, 2, Lease::For(SHORT)).await;
    assert_eq!(numbers(&taken), [1, 2]);
    let ask = Receive { max: 2, lease: LONG, wait: SOON };
    let again = queues.receive(&queue, ask).await.unwrap();
    assert_eq!(numbers(&again), [1, 2]);
    assert_eq!(settle(&queues, &taken[1].handle, vec![]).await, Err(QueueError::Stale));
    settle(&queues, &again[0].handle, vec![]).await.unwrap();
    assert_eq!(take(&queues, &queue, 9, LONG).await, []);
    // One whose lease is longer holds up the whole lane.
    let begun = Instant::now();
    queues.extend(&again[1].handle, SHORT).await.unwrap();
    assert_eq!(numbers(&queues.receive(&queue, Receive { max: 9, ..ask }).await.unwrap()), [2, 3]);
    assert!(begun.elapsed() >= SHORT);
}
