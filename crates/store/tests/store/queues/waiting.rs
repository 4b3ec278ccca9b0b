//! Who waits, who watches, and many at once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lambkin_model::queue::{Lease, Message, MessageId, QueueName, Receive};

use super::parts::{Any, LONG, NOW, SHORT, await_one, counts, message, number, send, settle};
use crate::support::SOON;

/// Whoever waits is woken by a send, a release and the end of a delay; each message wakes one.
pub(super) async fn wakes_who_waits(queues: Any, queue: QueueName) {
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
pub(super) async fn gives_back_what_nobody_took(queues: Any, queue: QueueName) {
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
pub(super) async fn tells_watchers(queues: Any, queue: QueueName) {
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
pub(super) async fn serves_many_at_once(queues: Any, queue: QueueName) {
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
