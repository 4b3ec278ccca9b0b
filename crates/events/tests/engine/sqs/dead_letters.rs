//! Dead-letter queues: what goes there, which may be one, and the way back.

use std::time::Duration;

use lambkin_events::sqs::SqsError;
use lambkin_model::queue::QueueError;
use lambkin_model::sqs::MoveStatus;
use tokio::time::{advance, sleep};

use super::{FIFO, World, pairs, redrive, service, text};

#[tokio::test(start_paused = true)]
async fn too_many_receives_make_a_dead_letter_with_its_history() {
    let world = World::new();
    let dead = world.create("dead", &[]).await;
    let queue = world.create("q", &[("VisibilityTimeout", "1"), ("RedrivePolicy", &redrive(&dead, 2))]).await;
    let sent = world.send(&queue, "poison").await;
    let sent_at = world.queues.now();
    for _ in 0..2 {
        assert_eq!(world.bodies(&queue).await, ["poison"]);
        advance(Duration::from_secs(2)).await;
    }
    assert!(world.receive(&dead).await.is_empty(), "it may have been the last time that failed");
    world.send(&queue, "fine").await;
    assert_eq!(world.bodies(&queue).await, ["fine"], "the poll that moves it goes on");
    let letter = world.receive(&dead).await.remove(0);
    assert_eq!((&letter.id, letter.sent, letter.received), (&sent.id, sent_at, 3));
    assert_eq!(letter.dead_letter_source.as_deref(), Some("arn:aws:sqs:us-east-1:000000000000:q"));
    let sources = world.sqs.dead_letter_sources(&dead, None, None).unwrap();
    assert_eq!(sources.queues, std::slice::from_ref(&queue));
    // Without its dead-letter queue a message goes on being received.
    world.sqs.delete_queue(&dead).await.unwrap();
    advance(Duration::from_secs(2)).await;
    for _ in 0..4 {
        assert_eq!(world.bodies(&queue).await, ["fine"]);
        advance(Duration::from_secs(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_cannot_be_written_is_not_lost() {
    let world = World::new();
    let dead = world.create("dead", &[]).await;
    let queue = world.create("q", &[("VisibilityTimeout", "1"), ("RedrivePolicy", &redrive(&dead, 1))]).await;
    world.send(&queue, "poison").await;
    world.receive(&queue).await;
    advance(Duration::from_secs(2)).await;
    world.queues.fail(Some(QueueError::Full("the disk is full".into())));
    assert!(world.receive(&queue).await.is_empty());
    let refused = world.sqs.send(&queue, vec![text("x")]).await;
    assert_eq!(refused, [Err(SqsError::Unavailable("the disk is full".into()))]);
    world.queues.fail(None);
    advance(Duration::from_secs(2)).await;
    assert!(world.receive(&queue).await.is_empty());
    assert_eq!(world.bodies(&dead).await, ["poison"]);
}

#[tokio::test(start_paused = true)]
async fn redrive_policies_name_a_queue_that_is_there_and_willing() {
    let world = World::new();
    let dead = world.create("dead", &[("RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#)]).await;
    let fifo = world.create("dead.fifo", &[FIFO]).await;
    let queue = world.create("q", &[]).await;
    for (target, words) in [
        (
            dead.arn("sqs"),
            "The redrive allow policy of the dead-letter queue does not permit this source queue.",
        ),
        (fifo.arn("sqs"), "Dead-letter queue must be same type of queue as the source."),
        ("arn:aws:sqs:us-east-1:000000000000:none".into(), "Dead letter target does not exist."),
        (
            "arn:aws:sqs:eu-west-1:000000000000:none".into(),
            "Dead-letter target must be in same region as the source.",
        ),
        (
            "arn:aws:sqs:us-east-1:111111111111:none".into(),
            "Dead-letter target owner should be same as the source.",
        ),
    ] {
        let policy = format!(r#"{{"deadLetterTargetArn":"{target}","maxReceiveCount":3}}"#);
        let refused = world.sqs.set_attributes(&queue, &pairs(&[("RedrivePolicy", &policy)])).await;
        let expected = format!("Value {policy} for parameter RedrivePolicy is invalid. Reason: {words}");
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
    let names = vec!["RedrivePolicy".to_owned()];
    assert_eq!(world.sqs.queue_attributes(&queue, &names).await, Ok(vec![]), "nothing was kept");
}

#[tokio::test(start_paused = true)]
async fn a_redrive_takes_messages_back_at_its_rate_and_over_a_restart() {
    let mut world = World::new();
    let dead = world.create("dead", &[]).await;
    let queue = world.create("q", &[("VisibilityTimeout", "0"), ("RedrivePolicy", &redrive(&dead, 1))]).await;
    for n in 0..30 {
        world.send(&queue, &n.to_string()).await;
    }
    while !world.receive(&queue).await.is_empty() {}
    let arn = dead.arn("sqs");
    let in_dead =
        async |world: &World| world.sqs.counts(&world.sqs.queue(&dead).unwrap().record).await.unwrap();
    assert_eq!(in_dead(&world).await.visible, 30);

    let (stop, running) = world.run();
    let handle = world.sqs.start_move(&arn, None, Some(10)).await.unwrap();
    let again = world.sqs.start_move(&arn, None, None).await.unwrap_err().to_string();
    assert_eq!(
        again,
        "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
    );
    sleep(Duration::from_millis(950)).await;
    let task = world.sqs.list_moves(&arn, None).unwrap().remove(0);
    assert_eq!((task.task.status, task.task.to_move, task.task.moved), (MoveStatus::Running, 30, 10));
    assert_eq!(task.handle.as_ref(), Some(&handle));
    // lambkin ends, and starts again.
    stop.send(()).unwrap();
    running.await.unwrap();
    world.sqs = service(&world.queues, &world.records);
    let (stop, running) = world.run();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(world.sqs.list_moves(&arn, None).unwrap()[0].task.status, MoveStatus::Running);
    sleep(Duration::from_secs(3)).await;
    let task = world.sqs.list_moves(&arn, None).unwrap().remove(0);
    assert_eq!((task.task.status, task.handle), (MoveStatus::Completed, None));
    assert_eq!(in_dead(&world).await.visible, 0);
    world
        .sqs
        .set_attributes(&queue, &pairs(&[("VisibilityTimeout", "30"), ("RedrivePolicy", "")]))
        .await
        .unwrap();
    let mut back = Vec::new();
    loop {
        let some = world.receive(&queue).await;
        if some.is_empty() {
            break;
        }
        assert!(some.iter().all(|message| message.received == 1 && message.dead_letter_source.is_none()));
        back.extend(some.into_iter().map(|message| message.body.parse::<u32>().unwrap()));
    }
    back.sort_unstable();
    assert_eq!(back, (0..30).collect::<Vec<_>>());
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn redrives_end_early_when_told_to_or_when_there_is_nowhere_to_go() {
    let world = World::new();
    let dead = world.create("dead", &[]).await;
    world.create("q", &[("RedrivePolicy", &redrive(&dead, 1))]).await;
    let target = world.create("target", &[]).await;
    for n in 0..10 {
        world.send(&dead, &n.to_string()).await;
    }
    let (stop, running) = world.run();
    let arn = dead.arn("sqs");
    let task = async || {
        sleep(Duration::from_millis(1500)).await;
        world.sqs.list_moves(&arn, None).unwrap().remove(0).task
    };
    // Sent to the dead-letter queue by hand: no task knows where from.
    world.sqs.start_move(&arn, None, None).await.unwrap();
    let failed = task().await;
    assert_eq!(
        (failed.status, failed.failure.as_deref(), failed.moved),
        (MoveStatus::Failed, Some("CouldNotDetermineMessageSource"), 0)
    );

    let handle = world.sqs.start_move(&arn, Some(&target.arn("sqs")), Some(1)).await.unwrap();
    assert_eq!(task().await.moved, 2);
    assert_eq!(world.sqs.cancel_move(&handle).await, Ok(2));
    let cancelled = task().await;
    assert_eq!((cancelled.status, cancelled.moved), (MoveStatus::Cancelled, 2));
    let twice = world.sqs.cancel_move(&handle).await;
    assert_eq!(
        twice,
        Err(SqsError::UnsupportedOperation(
            "Only a running task can be cancelled; this one is CANCELLED.".into()
        ))
    );

    world.sqs.start_move(&arn, Some(&target.arn("sqs")), Some(1)).await.unwrap();
    world.sqs.delete_queue(&target).await.unwrap();
    let failed = task().await;
    assert_eq!(
        (failed.status, failed.failure.as_deref()),
        (MoveStatus::Failed, Some("AWS.SimpleQueueService.NonExistentQueue"))
    );
    let counts = world.sqs.counts(&world.sqs.queue(&dead).unwrap().record).await.unwrap();
    assert_eq!(counts.visible as u64 + failed.moved, 8, "what was not moved is given back");
    let listed = world.sqs.list_moves(&arn, Some(10)).unwrap();
    let statuses: Vec<_> = listed.iter().map(|each| each.task.status.as_str()).collect();
    assert_eq!(statuses, ["FAILED", "CANCELLED", "FAILED"]);

    let plain = world.create("plain", &[]).await.arn("sqs");
    for (source, destination, rate, words) in [
        (&*plain, None, None, "Source queue must be configured as a Dead Letter Queue."),
        (
            "nothing",
            None,
            None,
            "You must use this format to specify the SourceArn: arn:<partition>:<service>:<region>:<account-id>:<resource-id>",
        ),
        (
            &*target.arn("sqs"),
            None,
            None,
            "The resource that you specified for the SourceArn parameter doesn't exist.",
        ),
        (
            &*arn,
            Some(target.arn("sqs")),
            None,
            "The resource that you specified for the DestinationArn parameter doesn't exist.",
        ),
        (
            &*arn,
            None,
            Some(501),
            "Value 501 for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be between 1 and 500, if provided.",
        ),
    ] {
        let refused = world.sqs.start_move(source, destination.as_deref(), rate).await;
        assert_eq!(refused.unwrap_err().to_string(), words);
    }
    assert_eq!(
        world.sqs.cancel_move("x").await.unwrap_err().to_string(),
        "Value for parameter TaskHandle is invalid."
    );
    stop.send(()).unwrap();
    running.await.unwrap();
}
