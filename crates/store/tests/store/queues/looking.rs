//! Looking at queues, and emptying them.

use std::collections::HashSet;
use std::time::Duration;

use lambkin_model::queue::{Counts, Lease, Message, QueueError, QueueName};
use lambkin_model::time::Timestamp;

use super::parts::{
    Any, LONG, NOW, await_one, counts, in_lane, message, number, numbers, send, settle, take, wall,
};

/// Looking shows all messages in their order, in pages, and changes nothing.
pub(super) async fn peeks(queues: Any, queue: QueueName) {
    let sent = send(&queues, &queue, (0..5).map(message)).await;
    send(&queues, &queue, [Message { delay: Duration::from_secs(500), mark: 8, ..message(5) }]).await;
    let taken = take(&queues, &queue, 1, LONG).await;
    let seen = queues.peek(&queue, 0, 100).await.unwrap();
    assert_eq!(seen.iter().map(|each| number(each.id)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    let now = wall().0;
    assert_eq!((seen[0].id, seen[0].sequence, seen[0].received), (sent[0].id, sent[0].sequence, 1));
    assert!(seen[0].ready.0 > now + 500_000_000 && seen[1].ready.0 < now + 1_000_000);
    assert!(seen[5].ready.0 > now + 400_000_000 && seen[5].mark == 8);
    assert_eq!(&seen[4].content[..], b"message 4");
    let page = queues.peek(&queue, sent[1].sequence, 2).await.unwrap();
    assert_eq!(page.iter().map(|each| number(each.id)).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(counts(&queues, &queue).await, (4, 1, 1));
    settle(&queues, &taken[0].handle, vec![]).await.unwrap();
    assert_eq!(queues.peek(&queue, 0, 100).await.unwrap().len(), 5);
}

/// Counts say what is visible, leased and delayed, and when the oldest was first sent.
pub(super) async fn counts_each(queues: Any, queue: QueueName) {
    let old = Timestamp(wall().0 - 3_600_000_000);
    let before = wall().0;
    send(&queues, &queue, (0..3).map(message)).await;
    let young = queues.counts(&queue).await.unwrap().oldest.unwrap();
    assert!(young.0 + 1_000_000 >= before, "{young:?}");
    // It was first sent elsewhere, an hour ago.
    send(&queues, &queue, [Message { sent: Some(old), ..message(3) }]).await;
    send(&queues, &queue, [Message { delay: Duration::from_secs(60), ..message(4) }]).await;
    let taken = take(&queues, &queue, 1, Lease::Held).await;
    let leased = take(&queues, &queue, 1, LONG).await;
    let expected = Counts { visible: 2, in_flight: 2, delayed: 1, oldest: Some(old) };
    assert_eq!(queues.counts(&queue).await.unwrap(), expected);
    for received in taken.iter().chain(&leased).chain(&take(&queues, &queue, 9, LONG).await) {
        settle(&queues, &received.handle, vec![]).await.unwrap();
    }
    let left = queues.counts(&queue).await.unwrap();
    assert_eq!((left.visible, left.in_flight, left.delayed), (0, 0, 1));
    assert!(left.oldest.unwrap().0 + 1_000_000 >= before);
}

/// One question for many queues says of each what a question for it does, and leaves out those of other names and empty ones.
pub(super) async fn counts_many(queues: Any, queue: QueueName) {
    let of = |name: &str| QueueName(format!("{queue}/{name}").into());
    let (a, b, empty) = (of("a"), of("ab"), of("ac"));
    let old = Timestamp(wall().0 - 3_600_000_000);
    send(&queues, &a, (0..3).map(message)).await;
    send(&queues, &b, [Message { sent: Some(old), ..message(1) }]).await;
    send(&queues, &b, [Message { delay: Duration::from_secs(60), ..message(2) }]).await;
    send(&queues, &of("b"), [message(1)]).await;
    send(&queues, &empty, [message(1)]).await;
    let taken = take(&queues, &empty, 1, LONG).await;
    settle(&queues, &taken[0].handle, vec![]).await.unwrap();
    let taken = take(&queues, &a, 1, LONG).await;
    let mut expected = Vec::new();
    for name in [&a, &b] {
        expected.push((name.clone(), queues.counts(name).await.unwrap()));
    }
    assert_eq!((expected[0].1.in_flight, expected[1].1.delayed, expected[1].1.oldest), (1, 1, Some(old)));
    let mut all = queues.counts_of_all(&format!("{queue}/a")).await.unwrap();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(all, expected);
    assert_eq!(queues.counts_of_all(&format!("{queue}/x")).await.unwrap(), []);
    settle(&queues, &taken[0].handle, vec![]).await.unwrap();
}

/// Names are those of queues that have messages, by prefix.
pub(super) async fn names_queues(queues: Any, queue: QueueName) {
    let of = |name: &str| QueueName(format!("{queue}/{name}").into());
    let all = [of("a"), of("ab"), of("b")];
    for name in &all {
        send(&queues, name, [message(1)]).await;
    }
    let names = async |prefix: &str| {
        queues.names(&format!("{queue}/{prefix}")).await.unwrap().into_iter().collect::<HashSet<_>>()
    };
    assert_eq!(names("").await, all.clone().into());
    assert_eq!(names("a").await, all[..2].iter().cloned().collect());
    assert_eq!(names("c").await, HashSet::new());
    let taken = await_one(&queues, &all[0], LONG).await;
    assert_eq!(names("a").await.len(), 2, "a leased message is one");
    settle(&queues, &taken.handle, vec![]).await.unwrap();
    assert_eq!(names("a").await, [all[1].clone()].into());
}

/// A purge leaves nothing, whoever has it; what is sent afterwards is not touched.
pub(super) async fn purges(queues: Any, queue: QueueName) {
    send(&queues, &queue, (0..5).map(message)).await;
    send(&queues, &queue, [in_lane(5, "a"), in_lane(6, "a")]).await;
    send(&queues, &queue, [Message { delay: Duration::from_secs(60), ..message(7) }]).await;
    let held = take(&queues, &queue, 1, Lease::Held).await;
    let leased = take(&queues, &queue, 1, LONG).await;
    queues.purge(&queue).await.unwrap();
    assert_eq!(queues.counts(&queue).await.unwrap(), Counts::default());
    assert_eq!(queues.peek(&queue, 0, 9).await.unwrap(), []);
    for received in held.iter().chain(&leased) {
        assert_eq!(settle(&queues, &received.handle, vec![]).await, Err(QueueError::Stale));
        assert_eq!(queues.release(&received.handle, NOW, 0).await, Err(QueueError::Stale));
    }
    send(&queues, &queue, [message(8), in_lane(9, "a")]).await;
    assert_eq!(counts(&queues, &queue).await, (2, 0, 0));
    assert_eq!(numbers(&take(&queues, &queue, 9, LONG).await), [8, 9]);
}

/// Messages first sent before a time go, but for those that somebody has.
pub(super) async fn expires(queues: Any, queue: QueueName) {
    let at =
        |number: u32, seconds: u64| Message { sent: Some(Timestamp(seconds * 1_000_000)), ..message(number) };
    // Some come from elsewhere, older than those before them.
    let lane = |message: Message| Message { lane: Some("a".into()), ..message };
    let old = [at(0, 10), at(1, 30), at(2, 11), lane(at(3, 12)), lane(at(4, 40)), at(5, 13), at(6, 14)];
    send(&queues, &queue, old).await;
    send(&queues, &queue, [Message { delay: Duration::from_secs(60), ..at(7, 15) }, message(8)]).await;
    let held = take(&queues, &queue, 1, Lease::Held).await;
    assert_eq!(numbers(&held), [0]);
    assert_eq!(queues.expire(&queue, Timestamp(12_000_000)).await, Ok(1));
    assert_eq!(queues.expire(&queue, Timestamp(20_000_000)).await, Ok(4));
    queues.release(&held[0].handle, NOW, 0).await.unwrap();
    assert_eq!(queues.expire(&queue, Timestamp(20_000_000)).await, Ok(1));
    let left = take(&queues, &queue, 9, LONG).await;
    let mut left = numbers(&left);
    left.sort_unstable();
    assert_eq!(left, [1, 4, 8], "the lane goes on with its next");
    assert_eq!(queues.expire(&queue, Timestamp(u64::MAX)).await, Ok(0), "leased ones stay");
    assert_eq!(counts(&queues, &queue).await, (0, 3, 0));
}
