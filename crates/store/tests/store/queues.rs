//! The conformance suite of the queues port: what its documentation says, as cases that any store behind it must
//! pass. Each case has a queue of its own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lambkin_model::queue::{
    Counts, Handle, Lease, Message, MessageId, Post, QueueError, QueueName, Queues, Receive, Received, Sent,
};
use lambkin_model::time::Timestamp;
use lambkin_store::{Faulty, Plan, Store, StoreConfig};

use crate::support::{SOON, runtime};

const NOW: Duration = Duration::ZERO;
/// Longer than any case takes.
const LONG: Lease = Lease::For(Duration::from_secs(600));
/// A lease or delay that a case waits for.
const SHORT: Duration = Duration::from_millis(400);

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

fn numbers(received: &[Received]) -> Vec<u32> {
    received.iter().map(|each| number(each.id)).collect()
}

async fn send(queues: &Any, queue: &QueueName, messages: impl IntoIterator<Item = Message>) -> Vec<Sent> {
    let posts: Vec<Post> = messages.into_iter().map(|message| (queue.clone(), message)).collect();
    queues.send(posts).await.unwrap()
}

async fn take(queues: &Any, queue: &QueueName, max: usize, lease: Lease) -> Vec<Received> {
    queues.receive(queue, Receive { max, lease, wait: NOW }).await.unwrap()
}

/// Waits until there is one.
async fn await_one(queues: &Any, queue: &QueueName, lease: Lease) -> Received {
    let mut taken = queues.receive(queue, Receive { max: 1, lease, wait: SOON }).await.unwrap();
    taken.pop().expect("a message in time")
}

async fn settle(queues: &Any, handle: &Handle, posts: Vec<Post>) -> Result<(), QueueError> {
    queues.settle(vec![(handle.clone(), posts)]).await.pop().unwrap()
}

async fn counts(queues: &Any, queue: &QueueName) -> (u64, u64, u64) {
    let Counts { visible, in_flight, delayed, .. } = queues.counts(queue).await.unwrap();
    (visible, in_flight, delayed)
}

fn wall() -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(now.as_micros()).unwrap())
}

/// A message comes as it was sent, once, and is gone when it is settled.
async fn sends_and_receives(queues: Any, queue: QueueName) {
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
async fn knows_no_queue(queues: Any, queue: QueueName) {
    assert_eq!(take(&queues, &queue, 10, Lease::Held).await, []);
    assert_eq!(queues.peek(&queue, 0, 10).await.unwrap(), []);
    assert_eq!(queues.counts(&queue).await.unwrap(), Counts::default());
    queues.purge(&queue).await.unwrap();
    assert_eq!(queues.expire(&queue, wall()).await, Ok(0));
}

/// Oldest first, at most as many as asked for, each once; places rise over all queues.
async fn keeps_order(queues: Any, queue: QueueName) {
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

/// A lease ends by itself: the message comes again, counted, and its old handle is not good any more.
async fn leases_end(queues: Any, queue: QueueName) {
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
async fn refuses_handles(queues: Any, queue: QueueName) {
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
async fn extends(queues: Any, queue: QueueName) {
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
async fn releases(queues: Any, queue: QueueName) {
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
async fn holds(queues: Any, queue: QueueName) {
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

/// A delayed message does not come before its time, and nobody behind it waits for it.
async fn delays(queues: Any, queue: QueueName) {
    let begun = Instant::now();
    let delayed = Message { delay: SHORT, ..message(1) };
    send(&queues, &queue, [delayed, message(2)]).await;
    assert_eq!(number(await_one(&queues, &queue, LONG).await.id), 2);
    assert_eq!(counts(&queues, &queue).await, (0, 1, 1));
    assert_eq!(number(await_one(&queues, &queue, LONG).await.id), 1);
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
}

/// Within five minutes a text is sent once to a queue; the answer is that of the first.
async fn deduplicates(queues: Any, queue: QueueName) {
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

/// A lane is in order; one call may take several of it, and nobody takes any while some are leased.
async fn lanes_are_in_order(queues: Any, queue: QueueName) {
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
async fn lanes_wait_for_every_lease(queues: Any, queue: QueueName) {
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
async fn lanes_wait_for_delays(queues: Any, queue: QueueName) {
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
async fn lanes_begin_again(queues: Any, queue: QueueName) {
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

/// Settling deletes and sends in one step, to whatever queues.
async fn settles_with_posts(queues: Any, queue: QueueName) {
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
async fn bounds_content(queues: Any, queue: QueueName) {
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

/// Looking shows all messages in their order, in pages, and changes nothing.
async fn peeks(queues: Any, queue: QueueName) {
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
async fn counts_each(queues: Any, queue: QueueName) {
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
async fn counts_many(queues: Any, queue: QueueName) {
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
async fn names_queues(queues: Any, queue: QueueName) {
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
async fn purges(queues: Any, queue: QueueName) {
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
async fn expires(queues: Any, queue: QueueName) {
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

/// Whoever waits is woken by a send, a release and the end of a delay; each message wakes one.
async fn wakes_who_waits(queues: Any, queue: QueueName) {
    let wait = |lease| {
        let (queues, queue) = (Arc::clone(&queues), queue.clone());
        tokio::spawn(async move { await_one(&queues, &queue, lease).await })
    };
    let ask = Receive { max: 1, lease: LONG, wait: SHORT };
    let begun = Instant::now();
    assert_eq!(queues.receive(&queue, ask).await.unwrap(), []);
    assert!(begun.elapsed() >= SHORT, "it waits as long as it was told");
    for lease in [Lease::Held, LONG] {
        let waiting: Vec<_> = (0..8).map(|_| wait(lease)).collect();
        send(&queues, &queue, (0..8).map(message)).await;
        let mut woken = HashSet::new();
        let mut last = None;
        for one in waiting {
            let received = one.await.unwrap();
            woken.insert(number(received.id));
            if let Some(last) = last.replace(received) {
                settle(&queues, &last.handle, vec![]).await.unwrap();
            }
        }
        assert_eq!(woken, (0..8).collect());
        let last = last.unwrap();
        let waiting = wait(lease);
        queues.release(&last.handle, NOW, 1).await.unwrap();
        let again = waiting.await.unwrap();
        assert_eq!((again.id, again.mark), (last.id, 1));
        let waiting = wait(lease);
        queues.release(&again.handle, SHORT, 2).await.unwrap();
        let again = waiting.await.unwrap();
        assert_eq!((again.id, again.mark), (last.id, 2));
        settle(&queues, &again.handle, vec![]).await.unwrap();
    }
}

/// What nobody waits for any more is received by somebody else, with no receive counted.
async fn gives_back_what_nobody_took(queues: Any, queue: QueueName) {
    for lease in [Lease::Held, LONG] {
        for _ in 0..20 {
            let ask = Receive { max: 1, lease, wait: SOON };
            let gone = tokio::spawn({
                let (queues, queue) = (Arc::clone(&queues), queue.clone());
                async move { queues.receive(&queue, ask).await }
            });
            let sent = send(&queues, &queue, [message(1)]).await;
            gone.abort();
            let handle = match gone.await {
                Ok(received) => received.unwrap().remove(0).handle,
                Err(_) => {
                    let received = await_one(&queues, &queue, lease).await;
                    assert_eq!(received.id, sent[0].id);
                    assert_eq!(received.received, u32::from(lease != Lease::Held));
                    received.handle
                }
            };
            settle(&queues, &handle, vec![]).await.unwrap();
        }
    }
    assert_eq!(counts(&queues, &queue).await, (0, 0, 0));
}

/// A watcher is told of what is sent to and released in the queues of its prefix.
async fn tells_watchers(queues: Any, queue: QueueName) {
    let heard: Arc<Mutex<Vec<QueueName>>> = Arc::default();
    let to = Arc::clone(&heard);
    queues.watch(&format!("{queue}/x"), Box::new(move |name| to.lock().unwrap().push(name.clone())));
    let take_heard = async |expected: &QueueName| {
        let end = Instant::now() + SOON;
        loop {
            let names = std::mem::take(&mut *heard.lock().unwrap());
            if !names.is_empty() {
                assert!(names.iter().all(|name| name == expected), "{names:?}");
                return;
            }
            assert!(Instant::now() < end, "nothing was heard");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let (watched, other) = (QueueName(format!("{queue}/x1").into()), QueueName(format!("{queue}/y").into()));
    send(&queues, &other, [message(1)]).await;
    send(&queues, &watched, [message(2)]).await;
    take_heard(&watched).await;
    let received = await_one(&queues, &watched, Lease::Held).await;
    queues.release(&received.handle, NOW, 0).await.unwrap();
    take_heard(&watched).await;
    let received = await_one(&queues, &other, Lease::Held).await;
    settle(&queues, &received.handle, vec![(watched.clone(), message(3))]).await.unwrap();
    take_heard(&watched).await;
}

/// Many send, receive, give back and settle at once: each message is settled once, and none twice at a time.
async fn serves_many_at_once(queues: Any, queue: QueueName) {
    const EACH: u32 = 60;
    let held: Arc<Mutex<HashSet<MessageId>>> = Arc::default();
    let settled: Arc<Mutex<HashSet<MessageId>>> = Arc::default();
    let mut tasks = tokio::task::JoinSet::new();
    for sender in 0..4 {
        let (queues, queue) = (Arc::clone(&queues), queue.clone());
        tasks.spawn(async move {
            for round in 0..EACH {
                let number = sender * EACH + round;
                let lane = (round % 3 == 0).then(|| format!("lane {}", round % 2).into());
                send(&queues, &queue, [Message { lane, ..message(number) }]).await;
            }
        });
    }
    for receiver in 0..4 {
        let (queues, queue) = (Arc::clone(&queues), queue.clone());
        let (held, settled) = (Arc::clone(&held), Arc::clone(&settled));
        let lease = if receiver % 2 == 0 { Lease::Held } else { LONG };
        tasks.spawn(async move {
            let mut round = receiver;
            while settled.lock().unwrap().len() < 4 * EACH as usize {
                let ask = Receive { max: 3, lease, wait: Duration::from_millis(100) };
                for received in queues.receive(&queue, ask).await.unwrap() {
                    round += 1;
                    assert!(held.lock().unwrap().insert(received.id), "it is somebody else's");
                    tokio::task::yield_now().await;
                    held.lock().unwrap().remove(&received.id);
                    if round % 5 == 0 {
                        queues.release(&received.handle, NOW, 0).await.unwrap();
                    } else {
                        assert!(settled.lock().unwrap().insert(received.id), "it was settled before");
                        settle(&queues, &received.handle, vec![]).await.unwrap();
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(counts(&queues, &queue).await, (0, 0, 0));
}

/// Runs the cases named, each on a queue of its own, all at once.
macro_rules! cases {
    ($queues:expr, $($case:ident),+ $(,)?) => {{
        let mut tasks = tokio::task::JoinSet::new();
        $(
            let (queues, queue) = (Arc::clone($queues), QueueName(concat!("test/", stringify!($case)).into()));
            tasks.spawn(async move {
                let case = tokio::spawn($case(queues, queue));
                tokio::time::timeout(4 * SOON, case).await.map(|done| (stringify!($case), done))
            });
        )+
        for done in tasks.join_all().await {
            let (name, done) = done.expect("a case ends");
            assert!(done.is_ok(), "the case {name} failed");
        }
    }};
}

/// What any store of queues must do.
pub(crate) async fn conforms(queues: &Any) {
    cases!(
        queues,
        sends_and_receives,
        knows_no_queue,
        keeps_order,
        leases_end,
        refuses_handles,
        extends,
        releases,
        holds,
        delays,
        deduplicates,
        lanes_are_in_order,
        lanes_wait_for_every_lease,
        lanes_wait_for_delays,
        lanes_begin_again,
        settles_with_posts,
        bounds_content,
        peeks,
        counts_each,
        counts_many,
        names_queues,
        purges,
        expires,
        wakes_who_waits,
        gives_back_what_nobody_took,
        tells_watchers,
        serves_many_at_once,
    );
}

#[test]
fn sqlite_queues_conform() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let queues: Any = store.queues();
    runtime().block_on(conforms(&queues));
    assert!(store.close(SOON));
}

#[test]
fn faulty_queues_without_faults_conform() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let queues: Any = Arc::new(Faulty::new(store.queues()));
    runtime().block_on(conforms(&queues));
}

/// What fails by plan changes nothing: a settlement that fails leaves its message and sends nothing.
#[test]
fn faulty_queues_fail_by_plan() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let faulty = Arc::new(Faulty::new(store.queues()));
    let queues: Any = faulty.clone();
    let (queue, dead) = (QueueName("test/faulty".into()), QueueName("test/dead".into()));
    runtime().block_on(async {
        send(&queues, &queue, [message(1)]).await;
        let received = await_one(&queues, &queue, LONG).await;
        for plan in [Plan::Every, Plan::Nth(1), Plan::NoSpace, Plan::CloseAfter(0)] {
            faulty.set(plan);
            let failed = settle(&queues, &received.handle, vec![(dead.clone(), message(1))]).await;
            let expected = if plan == Plan::NoSpace {
                matches!(failed, Err(QueueError::Full(_)))
            } else {
                matches!(failed, Err(QueueError::Unavailable(_)))
            };
            assert!(expected, "{plan:?}: {failed:?}");
            faulty.set(plan);
            assert!(queues.send(vec![(queue.clone(), message(2))]).await.is_err());
            faulty.set(Plan::Sound);
            assert_eq!(counts(&queues, &queue).await, (0, 1, 0));
            assert_eq!(counts(&queues, &dead).await, (0, 0, 0));
        }
        faulty.set(Plan::RaceAtNth(1));
        assert_eq!(settle(&queues, &received.handle, vec![]).await, Err(QueueError::Stale));
        // Without room there is still room to settle.
        faulty.set(Plan::NoSpace);
        settle(&queues, &received.handle, vec![]).await.unwrap();
        assert_eq!(queues.names("test/").await.unwrap(), []);
    });
}
