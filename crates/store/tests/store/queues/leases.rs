//! Leases and their handles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lambkin_model::queue::{Handle, Lease, Message, QueueError, QueueName};
use lambkin_model::time::Timestamp;

use super::parts::{Any, LONG, NOW, SHORT, await_one, counts, message, numbers, send, settle, take};

/// A lease ends by itself: the message comes again, counted, and its old handle is not good any more.
pub(super) async fn leases_end(queues: Any, queue: QueueName) {
    send(&queues, &queue, [message(1)]).await;
    let begun = Instant::now();
    let first = await_one(&queues, &queue, Lease::For(SHORT)).await;
    assert_eq!(counts(&queues, &queue).await, (0, 1, 0));
    let again = await_one(&queues, &queue, LONG).await;
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
    assert_eq!((again.id, again.received, again.first_received), (first.id, 2, first.first_received));
    assert_ne!(again.handle, first.handle);
    assert_eq!(settle(&queues, &first.handle, vec![]).await, Err(QueueError::Stale));
    assert_eq!(queues.extend(&first.handle, SHORT).await, Err(QueueError::Stale));
    assert_eq!(queues.release(&first.handle, NOW, 0).await, Err(QueueError::Stale));
    settle(&queues, &again.handle, vec![]).await.unwrap();
}

/// What never was a handle, or belongs to nothing any more, is stale.
pub(super) async fn refuses_handles(queues: Any, queue: QueueName) {
    send(&queues, &queue, [message(1)]).await;
    for bytes in [&b""[..], b"x", &[0; 24], &[255; 24], &[0; 64], &[7; 1000]] {
        let handle = Handle(Bytes::copy_from_slice(bytes));
        assert_eq!(settle(&queues, &handle, vec![]).await, Err(QueueError::Stale));
        assert_eq!(queues.extend(&handle, SHORT).await, Err(QueueError::Stale));
        assert_eq!(queues.release(&handle, NOW, 0).await, Err(QueueError::Stale));
    }
    assert_eq!(counts(&queues, &queue).await, (1, 0, 0));
}

/// A lease can be made longer and shorter; one of no time makes the message ready, with its handle still good.
pub(super) async fn extends(queues: Any, queue: QueueName) {
    send(&queues, &queue, [message(1)]).await;
    let begun = Instant::now();
    let first = await_one(&queues, &queue, Lease::For(SHORT)).await;
    queues.extend(&first.handle, 3 * SHORT).await.unwrap();
    let second = await_one(&queues, &queue, LONG).await;
    assert!(begun.elapsed() >= 3 * SHORT, "{:?}", begun.elapsed());
    // Shorter, for somebody who waits already.
    let waiting = tokio::spawn({
        let (queues, queue) = (Arc::clone(&queues), queue.clone());
        async move { await_one(&queues, &queue, LONG).await }
    });
    queues.extend(&second.handle, SHORT).await.unwrap();
    let third = waiting.await.unwrap();
    assert_eq!(third.received, 3);
    queues.extend(&third.handle, NOW).await.unwrap();
    assert_eq!(counts(&queues, &queue).await, (1, 0, 0));
    // The handle is good until somebody receives it.
    queues.extend(&third.handle, Duration::from_secs(60)).await.unwrap();
    assert_eq!(counts(&queues, &queue).await, (0, 1, 0));
    queues.extend(&third.handle, NOW).await.unwrap();
    let fourth = await_one(&queues, &queue, LONG).await;
    assert_eq!(queues.extend(&third.handle, NOW).await, Err(QueueError::Stale));
    queues.extend(&fourth.handle, NOW).await.unwrap();
    settle(&queues, &fourth.handle, vec![]).await.unwrap();
    assert_eq!(counts(&queues, &queue).await, (0, 0, 0));
}

/// What is given back is ready after its delay, with the new mark; the handle is not good any more.
pub(super) async fn releases(queues: Any, queue: QueueName) {
    for lease in [LONG, Lease::Held] {
        send(&queues, &queue, [Message { mark: 3, ..message(1) }]).await;
        let first = await_one(&queues, &queue, lease).await;
        queues.release(&first.handle, NOW, first.mark).await.unwrap();
        assert_eq!(queues.release(&first.handle, NOW, 9).await, Err(QueueError::Stale));
        assert_eq!(settle(&queues, &first.handle, vec![]).await, Err(QueueError::Stale));
        let second = await_one(&queues, &queue, lease).await;
        assert_eq!(second.mark, 3);
        let begun = Instant::now();
        queues.release(&second.handle, SHORT, 4).await.unwrap();
        assert_eq!(counts(&queues, &queue).await, (0, 0, 1));
        let third = await_one(&queues, &queue, lease).await;
        assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
        assert_eq!(third.mark, 4);
        assert_eq!(third.received, if lease == Lease::Held { 0 } else { 3 });
        settle(&queues, &third.handle, vec![]).await.unwrap();
    }
}

/// A held message is nobody else's, is in flight, and can be given back and settled; holding does not count.
pub(super) async fn holds(queues: Any, queue: QueueName) {
    send(&queues, &queue, (0..4).map(message)).await;
    let held = take(&queues, &queue, 2, Lease::Held).await;
    assert_eq!(numbers(&held), [0, 1]);
    assert_eq!((held[0].received, held[0].first_received), (0, Timestamp(0)));
    assert_eq!(counts(&queues, &queue).await, (2, 2, 0));
    queues.release(&held[0].handle, NOW, 0).await.unwrap();
    assert_eq!(counts(&queues, &queue).await, (3, 1, 0));
    // It is where it was, before those that are younger.
    let again = take(&queues, &queue, 2, Lease::Held).await;
    assert_eq!(numbers(&again), [0, 2]);
    // As a lease it outlasts whoever holds it.
    queues.extend(&again[0].handle, Duration::from_secs(60)).await.unwrap();
    assert_eq!(counts(&queues, &queue).await, (1, 3, 0));
    for received in [&held[1], &again[0], &again[1]] {
        settle(&queues, &received.handle, vec![]).await.unwrap();
    }
    assert_eq!(settle(&queues, &held[0].handle, vec![]).await, Err(QueueError::Stale));
    let last = take(&queues, &queue, 9, Lease::Held).await;
    assert_eq!(numbers(&last), [3]);
    queues.extend(&last[0].handle, NOW).await.unwrap();
    assert_eq!(counts(&queues, &queue).await, (1, 0, 0));
    settle(&queues, &last[0].handle, vec![]).await.unwrap();
}
