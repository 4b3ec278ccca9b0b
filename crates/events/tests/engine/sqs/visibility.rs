//! Who has received a message: visibility timeouts, handles, waiting, attempts repeated.

use std::time::Duration;

use lambkin_events::sqs::{Ask, SqsError};
use tokio::time::{Instant, advance, sleep};

use super::{FIFO, World, ask};

#[tokio::test(start_paused = true)]
async fn a_message_is_hidden_until_its_visibility_timeout_is_over() {
    let world = World::new();
    let queue = world.create("q", &[("VisibilityTimeout", "5")]).await;
    let sent = world.send(&queue, "hello").await;
    assert_eq!(sent.md5_of_body, "5d41402abc4b2a76b9719d911017c592");
    let first = world.receive(&queue).await.remove(0);
    assert_eq!((&first.id, first.received, &*first.body), (&sent.id, 1, "hello"));
    assert!(world.receive(&queue).await.is_empty());
    advance(Duration::from_secs(6)).await;
    let second = world.receive(&queue).await.remove(0);
    assert_eq!((second.received, second.first_received), (2, first.first_received));
    assert_ne!(second.receipt, first.receipt);
    // The former handle no longer deletes it, and says nothing of it.
    assert_eq!(world.delete(&queue, &first.receipt).await, Ok(()));
    advance(Duration::from_secs(6)).await;
    let third = world.receive(&queue).await.remove(0);
    assert_eq!(world.delete(&queue, &third.receipt).await, Ok(()));
    assert_eq!(world.delete(&queue, &third.receipt).await, Ok(()), "again");
    advance(Duration::from_secs(60)).await;
    assert!(world.receive(&queue).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn visibility_is_changed_by_handle_and_for_twelve_hours_at_most() {
    let world = World::new();
    let queue = world.create("q", &[]).await;
    world.send(&queue, "m").await;
    let message = world.receive(&queue).await.remove(0);
    let change = async |seconds| {
        world.sqs.change_visibility(&queue, vec![(message.receipt.clone(), seconds)]).await.remove(0)
    };
    assert_eq!(change(100).await, Ok(()));
    advance(Duration::from_secs(50)).await;
    assert!(world.receive(&queue).await.is_empty(), "the queue's 30 seconds are not what counts");
    for (seconds, words) in [
        (
            43_200,
            "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
        ),
        (
            -1,
            "Value -1 for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided.",
        ),
    ] {
        assert_eq!(change(seconds).await.unwrap_err().to_string(), words);
    }
    assert_eq!(change(0).await, Ok(()));
    let again = world.receive(&queue).await.remove(0);
    assert_eq!(again.received, 2);
    let late = change(5).await.unwrap_err().to_string();
    assert!(
        late.ends_with("Message does not exist or is not available for visibility timeout change."),
        "{late}"
    );
    let foreign = world.create("other", &[]).await;
    for handle in [again.receipt.as_str(), "made up"] {
        let refused = SqsError::ReceiptHandleIsInvalid(handle.to_owned());
        assert_eq!(world.delete(&foreign, handle).await, Err(refused));
    }
}

/// Reported of SQS, and tried against it by others: success, and nothing happens.
#[tokio::test(start_paused = true)]
async fn a_visibility_timeout_that_is_over_is_not_taken_up_again() {
    let world = World::new();
    let queue = world.create("q", &[]).await;
    world.send(&queue, "m").await;
    let message = world.receive(&queue).await.remove(0);
    advance(Duration::from_secs(31)).await;
    let change =
        async || world.sqs.change_visibility(&queue, vec![(message.receipt.clone(), 100)]).await.remove(0);
    assert_eq!(change().await, Ok(()));
    let again = world.receive(&queue).await;
    assert_eq!(again.len(), 1, "it is still there for whoever receives");
    assert!(change().await.is_err(), "it is somebody else's now");
}

#[tokio::test(start_paused = true)]
async fn long_polls_end_with_the_first_message_or_their_time_or_a_shutdown() {
    let world = World::new();
    let queue = world.create("q", &[]).await;
    let poll = Ask { wait: Duration::from_secs(20), ..ask() };
    let begin = Instant::now();
    let (got, ()) = tokio::join!(world.sqs.receive(&queue, poll.clone()), async {
        sleep(Duration::from_secs(7)).await;
        world.send(&queue, "m").await;
    });
    assert_eq!((got.unwrap().len(), begin.elapsed().as_secs()), (1, 7));
    let begin = Instant::now();
    assert_eq!(world.sqs.receive(&queue, poll.clone()).await, Ok(vec![]));
    assert_eq!(begin.elapsed(), Duration::from_secs(20));
    let begin = Instant::now();
    let (got, ()) = tokio::join!(world.sqs.receive(&queue, poll.clone()), async {
        sleep(Duration::from_secs(3)).await;
        world.sqs.close();
    });
    assert_eq!((got, begin.elapsed().as_secs()), (Ok(vec![]), 3));
    assert_eq!(world.sqs.receive(&queue, poll).await, Ok(vec![]));
    assert_eq!(begin.elapsed().as_secs(), 3, "none waits any more");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_repeated_gets_the_same_messages() {
    let world = World::new();
    let queue = world.create("q.fifo", &[FIFO, ("VisibilityTimeout", "10")]).await;
    for (group, body) in [("a", "a1"), ("b", "b1")] {
        world.send_in(&queue, group, body).await;
    }
    let attempt = Ask { max: 1, attempt: Some("one".into()), ..ask() };
    let first = world.sqs.receive(&queue, attempt.clone()).await.unwrap();
    advance(Duration::from_secs(8)).await;
    assert_eq!(world.sqs.receive(&queue, attempt.clone()).await.unwrap(), first);
    advance(Duration::from_secs(8)).await;
    let other = Ask { attempt: Some("two".into()), ..attempt.clone() };
    assert_eq!(world.sqs.receive(&queue, other).await.unwrap()[0].body, "b1", "a1's timeout began again");
    assert_eq!(world.delete(&queue, &first[0].receipt).await, Ok(()));
    assert!(world.sqs.receive(&queue, attempt.clone()).await.unwrap().is_empty(), "it is deleted");
    let standard = world.create("q", &[]).await;
    assert!(world.sqs.receive(&standard, attempt).await.is_err());
}
