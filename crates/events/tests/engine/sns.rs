//! The SNS-compatible service over queues and records in memory: who gets what, in one write, and what becomes
//! of what nobody takes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lambkin_events::Ambient;
use lambkin_events::sns::{Sns, SnsError};
use lambkin_events::sqs::{Ask, ReceivedMessage, Sqs};
use lambkin_events::target::{Attribute, Delivery, Target, Undeliverable};
use lambkin_model::Pending;
use lambkin_model::catalog::{CatalogError, Revision, Stored};
use lambkin_model::queue::{MessageId, Post, QueueError, QueueName, Queues};
use lambkin_model::record::{RecordWatcher, Records, ResourceKey};
use lambkin_model::sns::{Message, Subscription, Topic};
use lambkin_model::time::Timestamp;
use serde_json::{Value, json};
use tokio::task::yield_now;

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

/// Queues by the real service; of functions there is `f`, whose events are kept.
struct Targets {
    sqs: Sqs,
    events: Mutex<Vec<Delivery>>,
}

impl Target for Targets {
    fn posts(&self, arn: &str, delivery: &Delivery) -> Result<Vec<Post>, Undeliverable> {
        if arn.contains(":sqs:") {
            return self.sqs.posts(arn, delivery);
        }
        self.check(arn)?;
        self.events.lock().unwrap().push(delivery.clone());
        let message = lambkin_model::queue::Message {
            id: MessageId(uuid()),
            lane: None,
            deduplication: None,
            sent: None,
            delay: Duration::ZERO,
            mark: 0,
            content: delivery.body.clone(),
        };
        Ok(vec![(QueueName("async/f".into()), message)])
    }

    fn check(&self, arn: &str) -> Result<(), Undeliverable> {
        if arn.ends_with(":function:f") || self.sqs.check(arn).is_ok() {
            return Ok(());
        }
        Err(Undeliverable {
            target: arn.into(),
            code: "ResourceNotFoundException".into(),
            message: "Function not found".into(),
        })
    }
}

/// Records whose writes take a while, so that others come between.
#[derive(Default)]
struct Slow(MemoryRecords<Subscription>);

impl Records<Subscription> for Slow {
    fn get(&self, key: &ResourceKey) -> Option<Arc<Stored<Subscription>>> {
        self.0.get(key)
    }

    fn list(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Subscription>>> {
        self.0.list(account, region, after, limit)
    }

    fn all(&self) -> Vec<Arc<Stored<Subscription>>> {
        self.0.all()
    }

    fn watch(&self, watcher: RecordWatcher) {
        self.0.watch(watcher);
    }

    fn put(
        &self,
        expected: Option<Revision>,
        record: Subscription,
    ) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(async move {
            yield_now().await;
            let done = self.0.put(expected, record).await;
            yield_now().await;
            done
        })
    }

    fn delete(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        self.0.delete(expected, key)
    }
}

struct World {
    queues: Arc<MemoryQueues>,
    sqs: Sqs,
    targets: Arc<Targets>,
    subscriptions: Arc<Slow>,
    sns: Sns,
}

impl World {
    fn new() -> Self {
        let queues = MemoryQueues::new();
        CLOCK.set(Some(Arc::clone(&queues)));
        let ambient = Ambient { now, uuid };
        let store: Arc<dyn Queues> = queues.clone();
        let sqs = Sqs::new(Arc::clone(&store), Arc::new(MemoryRecords::default()), ambient);
        let targets = Arc::new(Targets { sqs: sqs.clone(), events: Mutex::default() });
        let topics: Arc<dyn Records<Topic>> = Arc::new(MemoryRecords::default());
        let subscriptions = Arc::new(Slow::default());
        let address = "http://127.0.0.1:4566".to_owned();
        let sns = Sns::new(store, topics, subscriptions.clone(), targets.clone(), address, ambient);
        Self { queues, sqs, targets, subscriptions, sns }
    }

    async fn topic(&self, name: &str) -> ResourceKey {
        self.sns.create_topic(&key(name), &[], vec![]).await.unwrap();
        key(name)
    }

    async fn queue(&self, name: &str) -> ResourceKey {
        self.sqs.create_queue(key(name), &[], BTreeMap::new()).await.unwrap();
        key(name)
    }

    async fn subscribe(&self, topic: &ResourceKey, queue: &str, given: &[(&str, &str)]) -> ResourceKey {
        let endpoint = key(queue).arn("sqs");
        let arn = self.sns.subscribe(topic, "sqs", &endpoint, &pairs(given)).await.unwrap();
        key(arn.splitn(6, ':').nth(5).unwrap())
    }

    async fn received(&self, queue: &str) -> Vec<ReceivedMessage> {
        let ask = Ask { max: 10, visibility: None, wait: Duration::ZERO, attempt: None };
        self.sqs.receive(&key(queue), ask).await.unwrap()
    }

    async fn bodies(&self, queue: &str) -> Vec<String> {
        let mut bodies: Vec<_> = self.received(queue).await.into_iter().map(|each| each.body).collect();
        bodies.sort();
        bodies
    }
}

fn key(name: &str) -> ResourceKey {
    ResourceKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn text(text: &str) -> Message {
    Message { text: text.into(), ..Message::default() }
}

fn attribute(name: &str, data_type: &str, value: &'static [u8]) -> Attribute {
    Attribute { name: name.into(), data_type: data_type.into(), value: Bytes::from_static(value) }
}

const RAW: (&str, &str) = ("RawMessageDelivery", "true");

fn redrive(queue: &str) -> String {
    json!({"deadLetterTargetArn": key(queue).arn("sqs")}).to_string()
}

#[tokio::test(start_paused = true)]
async fn each_subscriber_gets_its_own() {
    let world = World::new();
    let topic = world.topic("t").await;
    for queue in ["wrapped", "raw", "red", "body"] {
        world.queue(queue).await;
    }
    world.subscribe(&topic, "wrapped", &[]).await;
    world.subscribe(&topic, "raw", &[RAW]).await;
    world.subscribe(&topic, "red", &[RAW, ("FilterPolicy", r#"{"color":["red"]}"#)]).await;
    let body = ("FilterPolicy", r#"{"a":{"b":[1]}}"#);
    world.subscribe(&topic, "body", &[RAW, body, ("FilterPolicyScope", "MessageBody")]).await;
    let function = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let subscription = world.sns.subscribe(&topic, "lambda", function, &[]).await.unwrap();

    let message = Message {
        subject: Some("about".into()),
        attributes: vec![attribute("color", "String", b"red"), attribute("bytes", "Binary", &[2, 3, 4])],
        trace_id: Some("Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1".into()),
        ..text("first")
    };
    let id = world.sns.publish(&topic, &message).await.unwrap().message_id;
    world.sns.publish(&topic, &text(r#"{"a":{"b":1}}"#)).await.unwrap();

    let wrapped = world.received("wrapped").await;
    let first: Value = serde_json::from_str(&wrapped[0].body).unwrap();
    assert_eq!(
        (&first["MessageId"], &first["Message"], &first["Subject"]),
        (&json!(id), &json!("first"), &json!("about"))
    );
    assert_eq!(first["Timestamp"], "2026-01-01T00:00:00.000Z");
    assert_eq!(first["MessageAttributes"]["bytes"], json!({"Type": "Binary", "Value": "AgME"}));
    assert!(wrapped[0].attributes.is_empty());
    assert!(wrapped[0].trace_header.is_some(), "the trace goes with it");
    let raw = world.received("raw").await;
    assert_eq!((raw.len(), raw[0].body.as_str(), &raw[0].attributes), (2, "first", &message.attributes));
    assert_eq!(world.bodies("red").await, ["first"]);
    assert_eq!(world.bodies("body").await, [r#"{"a":{"b":1}}"#]);
    let events = world.targets.events.lock().unwrap();
    let event: Value = serde_json::from_slice(&events[0].body).unwrap();
    assert_eq!(event["Records"][0]["EventSubscriptionArn"], subscription);
    assert_eq!(event["Records"][0]["Sns"]["MessageId"], id);
    assert_eq!((events.len(), events[0].trace_id.is_some()), (2, true));
    assert_eq!(world.sns.undelivered(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_protocol_has_its_own_text() {
    let world = World::new();
    let topic = world.topic("t").await;
    world.queue("q").await;
    world.subscribe(&topic, "q", &[RAW]).await;
    let message = Message { to_sqs: Some("for queues".into()), ..text("for all") };
    world.sns.publish(&topic, &message).await.unwrap();
    assert_eq!(world.bodies("q").await, ["for queues"]);
}

/// A failing store: the publisher hears of it, and no subscriber has anything.
#[tokio::test(start_paused = true)]
async fn all_or_none() {
    let world = World::new();
    let topic = world.topic("t").await;
    for queue in ["a", "b"] {
        world.queue(queue).await;
        world.subscribe(&topic, queue, &[RAW]).await;
    }
    for (fault, wanted) in [
        (QueueError::Full("full".into()), SnsError::Throttled),
        (QueueError::Unavailable("gone".into()), SnsError::Internal("gone".into())),
    ] {
        world.queues.fail(Some(fault));
        assert_eq!(world.sns.publish_batch(&topic, &[text("x"), text("y")]).await, Err(wanted));
    }
    world.queues.fail(None);
    world.sns.publish_batch(&topic, &[text("1"), text("2")]).await.unwrap();
    for queue in ["a", "b"] {
        assert_eq!(world.bodies(queue).await, ["1", "2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_delivered_goes_to_the_dead_letter_queue() {
    let world = World::new();
    let topic = world.topic("t").await;
    world.queue("dead").await;
    let many: Vec<_> = (0..11).map(|at| attribute(&format!("n{at}"), "String", b"x")).collect();
    // Of five subscriptions three have a dead-letter queue; one names a queue that is not there either.
    world.subscribe(&topic, "missing", &[]).await;
    world.subscribe(&topic, "missing-wrapped", &[("RedrivePolicy", &redrive("dead"))]).await;
    world.subscribe(&topic, "missing-raw", &[RAW, ("RedrivePolicy", &redrive("dead"))]).await;
    world.subscribe(&topic, "missing-both", &[("RedrivePolicy", &redrive("missing"))]).await;
    let function = "arn:aws:lambda:us-east-1:000000000000:function:missing";
    let policy = redrive("dead");
    let given = pairs(&[("RedrivePolicy", &policy)]);
    world.sns.subscribe(&topic, "lambda", function, &given).await.unwrap();

    let message = Message { attributes: vec![attribute("k", "Number", b"1")], ..text("lost") };
    world.sns.publish(&topic, &message).await.unwrap();
    assert_eq!(world.sns.undelivered(), 2);
    let dead = world.received("dead").await;
    assert_eq!(dead.len(), 3);
    let raw: Vec<_> = dead.iter().filter(|each| each.body == "lost").collect();
    assert_eq!((raw.len(), &raw[0].attributes), (1, &message.attributes));
    for each in dead.iter().filter(|each| each.body != "lost") {
        // What a function did not get comes as a queue would have got it.
        let body: Value = serde_json::from_str(&each.body).unwrap();
        assert_eq!((&body["Type"], &body["Message"]), (&json!("Notification"), &json!("lost")));
    }
    // A queue takes ten attributes.
    let topic = world.topic("raw").await;
    world.queue("q").await;
    world.subscribe(&topic, "q", &[RAW, ("RedrivePolicy", &redrive("dead"))]).await;
    world.sns.publish(&topic, &Message { attributes: many, ..text("many") }).await.unwrap();
    assert_eq!((world.received("q").await.len(), world.sns.undelivered()), (0, 3));
}

/// What a publisher sees is what is, whatever changed since it published last.
#[tokio::test(start_paused = true)]
async fn changes_are_seen_at_once() {
    let world = World::new();
    let topic = world.topic("t").await;
    world.queue("q").await;
    world.sns.publish(&topic, &text("before")).await.unwrap();
    let subscription = world.subscribe(&topic, "q", &[RAW]).await;
    world.sns.publish(&topic, &text("1")).await.unwrap();
    let set = |name: &'static str, value: &'static str| {
        world.sns.set_subscription_attribute(&subscription, name, value)
    };
    set("FilterPolicy", r#"{"a":["b"]}"#).await.unwrap();
    world.sns.publish(&topic, &text("filtered")).await.unwrap();
    set("FilterPolicy", "").await.unwrap();
    world.sns.publish(&topic, &text("2")).await.unwrap();
    world.sns.unsubscribe(&subscription).await.unwrap();
    world.sns.publish(&topic, &text("after")).await.unwrap();
    assert_eq!(world.bodies("q").await, ["1", "2"]);
    assert_eq!(world.sns.topic_attributes(&topic).unwrap()["SubscriptionsDeleted"], "1");
    world.sns.delete_topic(&topic).await.unwrap();
    assert_eq!(world.sns.publish(&topic, &text("x")).await, Err(SnsError::TopicNotFound));
}

#[tokio::test(start_paused = true)]
async fn a_topic_takes_its_subscriptions_along() {
    let world = World::new();
    let topic = world.topic("t").await;
    let other = world.topic("t-2").await;
    world.queue("q").await;
    let kept = world.subscribe(&other, "q", &[RAW]).await;
    let gone = world.subscribe(&topic, "q", &[RAW]).await;
    let record = world.subscriptions.get(&gone).unwrap().record.clone();
    world.sns.delete_topic(&topic).await.unwrap();
    world.sns.delete_topic(&topic).await.unwrap();
    assert_eq!(world.sns.subscription_attributes(&gone), Err(SnsError::SubscriptionNotFound));
    assert!(world.sns.subscription_attributes(&kept).is_ok());
    // A crash between the topic's end and theirs leaves records, which belong to no later topic of the name.
    world.subscriptions.put(None, record.clone()).await.unwrap();
    assert_eq!(world.sns.subscription_attributes(&gone), Err(SnsError::SubscriptionNotFound));
    world.topic("t").await;
    assert!(world.subscriptions.get(&gone).is_none());
    world.subscriptions.put(None, record).await.unwrap();
    world.sns.publish(&topic, &text("x")).await.unwrap();
    assert_eq!(world.received("q").await.len(), 0);
    assert_eq!(world.sns.list_subscriptions_by_topic(&topic, None).unwrap().items.len(), 0);
    assert_eq!(
        world.sns.set_subscription_attribute(&gone, RAW.0, RAW.1).await,
        Err(SnsError::SubscriptionNotFound)
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_again_is_the_same() {
    let world = World::new();
    let tags = || pairs(&[("a", "1"), ("b", "2")]);
    let create = |given: Vec<(String, String)>, tags| async {
        let given = given;
        world.sns.create_topic(&key("t"), &given, tags).await
    };
    create(vec![], tags()).await.unwrap();
    world.sns.set_topic_attribute(&key("t"), "DisplayName", "set").await.unwrap();
    for (given, tags, wanted) in [
        (pairs(&[]), tags(), ""),
        (pairs(&[("DisplayName", "set")]), pairs(&[("a", "1")]), ""),
        (pairs(&[]), pairs(&[]), ""),
        (pairs(&[]), pairs(&[("c", "3")]), "Tags Reason: Topic already exists with different tags"),
        (
            pairs(&[("DisplayName", "other")]),
            pairs(&[]),
            "Attributes Reason: Topic already exists with different attributes",
        ),
    ] {
        let wanted = if wanted.is_empty() { Ok(()) } else { Err(SnsError::parameter(wanted)) };
        assert_eq!(create(given, tags).await, wanted);
    }
    assert_eq!(world.sns.topic_attributes(&key("t")).unwrap()["DisplayName"], "set");

    let first = world.subscribe(&key("t"), "q", &[RAW]).await;
    assert_eq!(world.subscribe(&key("t"), "q", &[RAW]).await, first);
    assert_eq!(world.subscribe(&key("t"), "q", &[]).await, first);
    let endpoint = key("q").arn("sqs");
    let other = world.sns.subscribe(&key("t"), "sqs", &endpoint, &pairs(&[(RAW.0, "false")])).await;
    let reason = "Attributes Reason: Subscription already exists with different attributes";
    assert_eq!(other, Err(SnsError::parameter(reason)));
    assert_eq!(world.sns.list_subscriptions_by_topic(&key("t"), None).unwrap().items.len(), 1);
    // At the same time, too.
    let endpoint = key("q2").arn("sqs");
    let topic = key("t");
    let (left, right) = tokio::join!(
        world.sns.subscribe(&topic, "sqs", &endpoint, &[]),
        world.sns.subscribe(&topic, "sqs", &endpoint, &[])
    );
    assert_eq!(left, right);
    assert_eq!(world.sns.list_subscriptions_by_topic(&topic, None).unwrap().items.len(), 2);
    // And a topic that is deleted meanwhile leaves none.
    let (subscribed, deleted) = tokio::join!(
        world.sns.subscribe(&topic, "sqs", "arn:aws:sqs:us-east-1:000000000000:q3", &[]),
        world.sns.delete_topic(&topic)
    );
    assert_eq!((subscribed, deleted), (Err(SnsError::TopicNotFound), Ok(())));
    assert!(world.subscriptions.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn lists_go_on_where_they_ended() {
    let world = World::new();
    for at in 0..250 {
        world.topic(&format!("t{at:03}")).await;
    }
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let page = world.sns.list_topics("000000000000", "us-east-1", token.as_deref()).unwrap();
        seen.push(page.items.len());
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, [100, 100, 50]);
    assert!(world.sns.list_topics("000000000000", "us-west-1", None).unwrap().items.is_empty());
    assert!(world.sns.list_topics("000000000000", "us-east-1", Some("?")).is_err());
    for at in 0..120 {
        world.subscribe(&key("t000"), &format!("q{at}"), &[]).await;
    }
    world.subscribe(&key("t001"), "q", &[]).await;
    let first = world.sns.list_subscriptions_by_topic(&key("t000"), None).unwrap();
    let token = first.next.as_deref();
    let second = world.sns.list_subscriptions_by_topic(&key("t000"), token).unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next), (100, 20, None));
    let all = world.sns.list_subscriptions("000000000000", "us-east-1", token).unwrap();
    assert_eq!((all.items.len(), all.next), (21, None));
}

#[tokio::test(start_paused = true)]
async fn filter_policies_are_counted() {
    let world = World::new();
    let topic = world.topic("t").await;
    let filter = ("FilterPolicy", r#"{"a":["b"]}"#);
    for at in 0..200 {
        world.subscribe(&topic, &format!("q{at}"), &[filter]).await;
    }
    let without = world.subscribe(&topic, "q", &[]).await;
    let endpoint = key("q200").arn("sqs");
    let more = world.sns.subscribe(&topic, "sqs", &endpoint, &pairs(&[filter])).await;
    assert_eq!(more, Err(SnsError::FilterPolicyLimitExceeded));
    let set = world.sns.set_subscription_attribute(&without, filter.0, filter.1).await;
    assert_eq!(set, Err(SnsError::FilterPolicyLimitExceeded));
}

/// Dead letters and destinations come as messages of their own.
#[tokio::test(start_paused = true)]
async fn a_topic_is_a_target() {
    let world = World::new();
    let topic = world.topic("t").await;
    world.queue("q").await;
    world.subscribe(&topic, "q", &[("FilterPolicy", r#"{"ErrorCode":[{"numeric":["=",200]}]}"#)]).await;
    let delivery = |attributes: Vec<Attribute>| Delivery {
        body: Bytes::from_static(b"{\"event\":1}"),
        subject: None,
        attributes,
        trace_id: None,
        group: None,
        deduplication: None,
        sender: None,
    };
    let arn = topic.arn("sns");
    world.sns.check(&arn).unwrap();
    let dead = delivery(vec![attribute("ErrorCode", "Number", b"200")]);
    let posts = world.sns.posts(&arn, &dead).unwrap();
    assert_eq!((posts.len(), world.sns.posts(&arn, &delivery(vec![])).unwrap().len()), (1, 0));
    // Nothing is sent until whoever asked sends it.
    assert_eq!(world.received("q").await.len(), 0);
    world.queues.send(posts).await.unwrap();
    let body: Value = serde_json::from_str(&world.bodies("q").await[0]).unwrap();
    assert_eq!(
        (&body["Message"], &body["MessageAttributes"]["ErrorCode"]["Value"]),
        (&json!("{\"event\":1}"), &json!("200"))
    );
    for missing in [key("missing").arn("sns"), "arn:aws:sns".into(), key("q").arn("sqs")] {
        assert!(world.sns.posts(&missing, &dead).is_err() && world.sns.check(&missing).is_err(), "{missing}");
    }
    assert_eq!(world.sns.check(&key("missing").arn("sns")).unwrap_err().code, "NotFound");
}
