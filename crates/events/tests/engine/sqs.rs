//! The SQS-compatible service: every promise that needs time or a fault.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambkin_events::Ambient;
use lambkin_events::sqs::{Ask, Entry, ReceivedMessage, SentMessage, Sqs, SqsError};
use lambkin_events::target::{Attribute, Delivery, Target};
use lambkin_model::queue::{QueueError, Queues};
use lambkin_model::record::{Records, ResourceKey};
use lambkin_model::sqs::{MoveStatus, Queue};
use lambkin_model::time::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep};

use crate::queues::MemoryQueues;
use crate::records::MemoryRecords;

thread_local! {
    /// Whose clock is asked. A test has its thread for itself.
    static CLOCK: RefCell<Option<Arc<MemoryQueues>>> = const { RefCell::new(None) };
}

fn now() -> Timestamp {
    CLOCK.with_borrow(|queues| queues.as_ref().unwrap().now())
}

fn uuid() -> [u8; 16] {
    uuid::Uuid::new_v4().into_bytes()
}

struct World {
    queues: Arc<MemoryQueues>,
    records: Arc<MemoryRecords<Queue>>,
    sqs: Sqs,
}

impl World {
    fn new() -> Self {
        let queues = MemoryQueues::new();
        CLOCK.set(Some(Arc::clone(&queues)));
        let records = Arc::new(MemoryRecords::default());
        let sqs = service(&queues, &records);
        Self { queues, records, sqs }
    }

    async fn create(&self, name: &str, given: &[(&str, &str)]) -> ResourceKey {
        let key = key(name);
        self.sqs.create_queue(key.clone(), &pairs(given), BTreeMap::new()).await.unwrap();
        key
    }

    async fn send(&self, key: &ResourceKey, body: &str) -> SentMessage {
        self.sqs.send(key, vec![text(body)]).await.remove(0).unwrap()
    }

    async fn send_in(&self, key: &ResourceKey, group: &str, body: &str) -> SentMessage {
        let entry = Entry { group: Some(group.into()), deduplication: Some(body.into()), ..text(body) };
        self.sqs.send(key, vec![entry]).await.remove(0).unwrap()
    }

    async fn receive(&self, key: &ResourceKey) -> Vec<ReceivedMessage> {
        self.sqs.receive(key, ask()).await.unwrap()
    }

    async fn bodies(&self, key: &ResourceKey) -> Vec<String> {
        self.receive(key).await.into_iter().map(|message| message.body).collect()
    }

    async fn delete(&self, key: &ResourceKey, handle: &str) -> Result<(), SqsError> {
        self.sqs.delete(key, vec![handle.to_owned()]).await.remove(0)
    }

    /// Lets the sweeper and move tasks run.
    fn run(&self) -> (oneshot::Sender<()>, JoinHandle<()>) {
        let (stop, stopped) = oneshot::channel();
        let sqs = self.sqs.clone();
        let running = tokio::spawn(async move {
            sqs.run(async {
                let _ = stopped.await;
            })
            .await;
        });
        (stop, running)
    }
}

fn service(queues: &Arc<MemoryQueues>, records: &Arc<MemoryRecords<Queue>>) -> Sqs {
    let queues: Arc<dyn Queues> = queues.clone();
    let records: Arc<dyn Records<Queue>> = records.clone();
    Sqs::new(queues, records, Ambient { now, uuid })
}

fn key(name: &str) -> ResourceKey {
    ResourceKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn text(body: &str) -> Entry {
    Entry { body: body.into(), sender: "000000000000".into(), ..Entry::default() }
}

fn ask() -> Ask {
    Ask { max: 10, visibility: None, wait: Duration::ZERO, attempt: None }
}

fn redrive(dead_letters: &ResourceKey, count: u32) -> String {
    let arn = dead_letters.arn("sqs");
    format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#)
}

const FIFO: (&str, &str) = ("FifoQueue", "true");

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

fn delivery(body: &str) -> Delivery {
    Delivery {
        body: Bytes::copy_from_slice(body.as_bytes()),
        subject: None,
        attributes: Vec::new(),
        trace_id: None,
        group: None,
        deduplication: None,
        sender: None,
    }
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
