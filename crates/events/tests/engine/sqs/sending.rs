//! What is sent: delays, order, duplicates, batches, and what comes from other services.

use std::time::Duration;

use lambkin_events::sqs::{Ask, Entry, SqsError};
use lambkin_events::target::{Attribute, Delivery, Target};
use lambkin_model::queue::Queues;
use lambkin_model::record::ResourceKey;
use tokio::time::advance;

use super::{FIFO, World, ask, delivery, text};

#[tokio::test(start_paused = true)]
async fn delays_are_the_queues_or_the_messages() {
    let world = World::new();
    let queue = world.create("q", &[("DelaySeconds", "10")]).await;
    let entries = vec![text("queue's"), Entry { delay: Some(3), ..text("own") }];
    assert!(world.sqs.send(&queue, entries).await.iter().all(Result::is_ok));
    assert!(world.receive(&queue).await.is_empty());
    let counted = world.sqs.queue_attributes(&queue, &["ApproximateNumberOfMessagesDelayed".into()]).await;
    assert_eq!(counted, Ok(vec![("ApproximateNumberOfMessagesDelayed", "2".into())]));
    advance(Duration::from_secs(4)).await;
    assert_eq!(world.bodies(&queue).await, ["own"]);
    advance(Duration::from_secs(7)).await;
    assert_eq!(world.bodies(&queue).await, ["queue's"]);
    let refused = world.sqs.send(&queue, vec![Entry { delay: Some(901), ..text("x") }]).await;
    let words =
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.";
    assert_eq!(refused[0].as_ref().unwrap_err().to_string(), words);
}

#[tokio::test(start_paused = true)]
async fn fifo_order_is_kept_in_a_group_and_groups_do_not_wait_for_each_other() {
    let world = World::new();
    let queue = world.create("q.fifo", &[FIFO, ("VisibilityTimeout", "5")]).await;
    let mut numbers = Vec::new();
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3")] {
        numbers.push(world.send_in(&queue, group, body).await.sequence.unwrap());
    }
    assert!(numbers.iter().all(|number| number.len() == 20) && numbers.is_sorted());
    let one = Ask { max: 1, ..ask() };
    let first = world.sqs.receive(&queue, one.clone()).await.unwrap().remove(0);
    assert_eq!(
        (&*first.body, first.group.as_deref(), &first.sequence),
        ("a1", Some("a"), &Some(numbers[0].clone()))
    );
    let rest = world.receive(&queue).await;
    assert_eq!(rest.len(), 1, "a2 waits for a1");
    assert_eq!(rest[0].body, "b1");
    advance(Duration::from_secs(6)).await;
    // Recorded: test_fifo_delete_message_with_expired_receipt_handle.
    let late = world.delete(&queue, &first.receipt).await.unwrap_err().to_string();
    assert_eq!(
        late,
        format!(
            "Value {} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
            first.receipt
        )
    );
    let again = world.receive(&queue).await;
    assert_eq!(again.iter().map(|message| &*message.body).collect::<Vec<_>>(), ["a1", "a2", "b1", "a3"]);
    let late = world.delete(&queue, &first.receipt).await.unwrap_err().to_string();
    assert!(late.ends_with("The receipt handle has expired."), "received again: {late}");
    for message in again {
        assert_eq!(world.delete(&queue, &message.receipt).await, Ok(()));
        assert_eq!(world.delete(&queue, &message.receipt).await, Ok(()), "a deleted one has not expired");
    }
}

#[tokio::test(start_paused = true)]
async fn duplicates_of_five_minutes_are_taken_and_not_sent() {
    let world = World::new();
    let content = world.create("content.fifo", &[FIFO, ("ContentBasedDeduplication", "true")]).await;
    let entry = Entry { group: Some("g".into()), ..text("same") };
    let send =
        async |queue: &ResourceKey, entry: Entry| world.sqs.send(queue, vec![entry]).await.remove(0).unwrap();
    let first = send(&content, entry.clone()).await;
    let message = world.receive(&content).await.remove(0);
    assert_eq!(message.deduplication.unwrap().len(), 64);
    assert_eq!(world.delete(&content, &message.receipt).await, Ok(()));
    advance(Duration::from_secs(299)).await;
    let second = send(&content, entry.clone()).await;
    assert_eq!((&second.id, &second.sequence), (&first.id, &first.sequence));
    assert!(world.receive(&content).await.is_empty(), "also after the first was deleted");
    advance(Duration::from_secs(2)).await;
    assert_ne!(send(&content, entry).await.id, first.id);
    assert_eq!(world.bodies(&content).await, ["same"]);

    let high = [FIFO, ("DeduplicationScope", "messageGroup"), ("FifoThroughputLimit", "perMessageGroupId")];
    for (name, given, sent) in [("queue.fifo", &high[..1], 1), ("group.fifo", &high[..], 2)] {
        let queue = world.create(name, given).await;
        for group in ["a", "b"] {
            let entry = Entry { group: Some(group.into()), deduplication: Some("1".into()), ..text("x") };
            send(&queue, entry).await;
        }
        assert_eq!(world.receive(&queue).await.len(), sent, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_kind_of_queue_wants_of_a_message() {
    let world = World::new();
    let fifo = world.create("q.fifo", &[FIFO]).await;
    let standard = world.create("q", &[]).await;
    let grouped = || Entry { group: Some("g".into()), deduplication: Some("d".into()), ..text("x") };
    for (queue, entry, error) in [
        (&fifo, text("x"), "The request must contain the parameter MessageGroupId."),
        (
            &fifo,
            Entry { deduplication: None, ..grouped() },
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
        ),
        (
            &fifo,
            Entry { delay: Some(2), ..grouped() },
            "Value 2 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type.",
        ),
        (
            &fifo,
            Entry { group: Some("a b".into()), ..grouped() },
            "Value a b for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.",
        ),
        (
            &standard,
            grouped(),
            "Value d for parameter MessageDeduplicationId is invalid. Reason: The request include parameter that is not valid for this queue type.",
        ),
        (&standard, text(""), "The request must contain the parameter MessageBody."),
    ] {
        let refused = world.sqs.send(queue, vec![entry]).await.remove(0);
        assert_eq!(refused.unwrap_err().to_string(), error);
    }
    let shared = Entry { deduplication: None, ..grouped() };
    world.sqs.send(&standard, vec![shared]).await.remove(0).unwrap();
    assert_eq!(
        world.receive(&standard).await[0].group.as_deref(),
        Some("g"),
        "a fair queue's group is passed on"
    );
}

#[tokio::test(start_paused = true)]
async fn batches_fail_in_part_or_as_a_whole() {
    let world = World::new();
    let fifo = world.create("q.fifo", &[FIFO]).await;
    let queue = world.create("q", &[("MaximumMessageSize", "1024")]).await;
    let batch = |entries: Vec<Entry>| -> Vec<(String, Entry)> {
        entries.into_iter().enumerate().map(|(index, entry)| (format!("id{index}"), entry)).collect()
    };
    let sent = world.sqs.send_batch(&queue, batch(vec![text("a"), text(""), text(&"b".repeat(1025))])).await;
    let sent = sent.unwrap();
    assert!(sent[0].1.is_ok());
    for (index, words) in [
        (1, "The request must contain the parameter SendMessageBatchRequestEntry.2.MessageBody."),
        (2, "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."),
    ] {
        assert_eq!(sent[index].0, format!("id{index}"));
        assert_eq!(sent[index].1.as_ref().unwrap_err().to_string(), words);
    }
    assert_eq!(world.bodies(&queue).await, ["a"]);
    let good = Entry { group: Some("g".into()), deduplication: Some("d".into()), ..text("x") };
    let refused = world.sqs.send_batch(&fifo, batch(vec![good, text("y")])).await;
    let words = "The request must contain the parameter MessageGroupId.".to_owned();
    assert_eq!(refused, Err(SqsError::InvalidParameterValue(words)));
    assert!(world.receive(&fifo).await.is_empty(), "nothing of it was sent");
    // Recorded with the former limit: test_send_message_batch_with_oversized_contents.
    let halves = batch(vec![text(&"a".repeat(524_288)), text(&"b".repeat(524_289))]);
    let refused = world.sqs.send_batch(&queue, halves).await.unwrap_err().to_string();
    assert_eq!(refused, "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.");
}

#[tokio::test(start_paused = true)]
async fn queues_are_targets() {
    let world = World::new();
    let queue = world.create("q", &[]).await;
    let fifo = world.create("q.fifo", &[FIFO]).await;
    let attribute = Attribute { name: "RequestID".into(), data_type: "String".into(), value: "r".into() };
    let letter = Delivery {
        attributes: vec![attribute.clone()],
        trace_id: Some("Root=1-0".into()),
        deduplication: Some("d".into()),
        ..delivery("body")
    };
    world.queues.send(world.sqs.posts(&queue.arn("sqs"), &letter).unwrap()).await.unwrap();
    let message = world.receive(&queue).await.remove(0);
    assert_eq!((message.body.as_str(), message.trace_header.as_deref()), ("body", Some("Root=1-0")));
    assert_eq!(message.attributes, [attribute]);
    for (arn, letter, code) in [
        (queue.arn("sqs") + "x", delivery("x"), "AWS.SimpleQueueService.NonExistentQueue"),
        ("arn:aws:sns:us-east-1:000000000000:q".into(), delivery("x"), "InvalidAddress"),
        (fifo.arn("sqs"), delivery("x"), "MissingParameter"),
        (queue.arn("sqs"), delivery(&"x".repeat(1_048_577)), "InvalidParameterValue"),
    ] {
        assert_eq!(world.sqs.posts(&arn, &letter).unwrap_err().code, code);
    }
    assert!(world.sqs.check(&queue.arn("sqs")).is_ok());
    assert!(world.sqs.check("arn:aws:sqs:us-east-1:000000000000:none").is_err());
}
