//! Queues and messages come, are listed, and go.

use std::collections::BTreeMap;
use std::time::Duration;

use lambkin_events::sqs::SqsError;
use lambkin_events::target::Target;
use lambkin_model::queue::Queues;
use tokio::time::{advance, sleep};

use super::{World, ask, delivery, pairs};

#[tokio::test(start_paused = true)]
async fn messages_go_after_their_retention() {
    let world = World::new();
    let queue = world.create("q", &[("MessageRetentionPeriod", "60")]).await;
    world.send(&queue, "old").await;
    advance(Duration::from_secs(60)).await;
    assert!(world.receive(&queue).await.is_empty(), "a receive drops it to the second");
    let counts = async || world.sqs.counts(&world.sqs.queue(&queue).unwrap().record).await.unwrap();
    assert_eq!(counts().await.in_flight, 0);
    world.send(&queue, "swept").await;
    let (stop, running) = world.run();
    sleep(Duration::from_secs(59)).await;
    assert_eq!(counts().await.visible, 1);
    sleep(Duration::from_secs(22)).await;
    assert_eq!(counts().await, lambkin_model::queue::Counts::default(), "nobody received it");
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn queues_are_created_once_purged_once_a_minute_and_deleted_with_their_messages() {
    let world = World::new();
    let queue = world.create("q", &[("DelaySeconds", "0")]).await;
    world.create("q", &[]).await;
    let other =
        world.sqs.create_queue(queue.clone(), &pairs(&[("DelaySeconds", "1")]), BTreeMap::new()).await;
    assert_eq!(other, Err(SqsError::QueueNameExists("DelaySeconds".into())));
    world.send(&queue, "m").await;
    world.sqs.purge_queue(&queue).await.unwrap();
    assert!(world.receive(&queue).await.is_empty());
    advance(Duration::from_secs(59)).await;
    let soon = world.sqs.purge_queue(&queue).await.unwrap_err().to_string();
    assert_eq!(soon, "Only one PurgeQueue operation on q is allowed every 60 seconds.");
    advance(Duration::from_secs(1)).await;
    world.sqs.purge_queue(&queue).await.unwrap();

    world.send(&queue, "m").await;
    let receipt = world.receive(&queue).await.remove(0).receipt;
    world.sqs.delete_queue(&queue).await.unwrap();
    assert_eq!(world.sqs.delete_queue(&queue).await, Err(SqsError::QueueDoesNotExist));
    assert_eq!(world.sqs.receive(&queue, ask()).await, Err(SqsError::QueueDoesNotExist));
    assert!(world.queues.names("").await.unwrap().is_empty());
    world.create("q", &[]).await;
    assert!(world.receive(&queue).await.is_empty(), "another queue of the name");
    assert_eq!(world.delete(&queue, &receipt).await, Err(SqsError::ReceiptHandleIsInvalid(receipt)));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_deleted_queue_is_swept() {
    let world = World::new();
    let queue = world.create("q", &[]).await;
    let posts = world.sqs.posts(&queue.arn("sqs"), &delivery("late")).unwrap();
    world.sqs.delete_queue(&queue).await.unwrap();
    world.queues.send(posts).await.unwrap();
    let (stop, running) = world.run();
    sleep(Duration::from_secs(1)).await;
    assert!(world.queues.names("").await.unwrap().is_empty());
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lists_have_pages_and_prefixes() {
    let world = World::new();
    for name in ["a", "b", "b1", "b2", "b3", "c"] {
        world.create(name, &[]).await;
    }
    let list = |prefix: &str, max: Option<i64>, token: Option<&str>| {
        let page = world.sqs.list_queues("000000000000", "us-east-1", prefix, max, token).unwrap();
        (page.queues.iter().map(|key| key.name.to_string()).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(list("", None, None), (["a", "b", "b1", "b2", "b3", "c"].map(str::to_owned).to_vec(), None));
    let (first, next) = list("b", Some(3), None);
    assert_eq!(first, ["b", "b1", "b2"]);
    assert_eq!(list("b", Some(3), next.as_deref()), (vec!["b3".to_owned()], None));
    assert_eq!(list("b", Some(4), None).1, None);
    assert_eq!(list("x", Some(4), None), (vec![], None));
    for (max, token) in [(Some(0), None), (Some(1001), None), (None, Some("!"))] {
        assert!(world.sqs.list_queues("000000000000", "us-east-1", "", max, token).is_err());
    }
}
