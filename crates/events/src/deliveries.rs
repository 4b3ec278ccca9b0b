//! Dead letters and records whose target is not there: they are kept in a queue of their own, rendered, and
//! tried again with growing pauses. In the end they are given up, with an error in the log and in the
//! counters, never silently.
//!
//! Deliberately not here: sending to other machines, which has queues of its own (`outbound`).

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::event_invoke::{Progress, RetryPolicy};
use lambkin_model::invocation::RequestId;
use lambkin_model::metric::FunctionMetric;
use lambkin_model::name::{FunctionKey, FunctionReference};
use lambkin_model::queue::{Lease, Message, MessageId, Post, QueueName, Receive, Received};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};

use crate::counters::{FunctionCounters, count, uncount};
use crate::dispatcher::{Config, Decision, Ports, Settlement, elapsed};
use crate::event::Event;
use crate::spans;
use crate::target::{Attribute, Delivery, Target, Undeliverable};

/// All of them together: a try costs no waiting, so none is in another's way.
const QUEUE: &str = "deliveries/kept";
/// First byte of what is on disk.
const FORMAT: u8 = 1;
/// Most that are tried at once.
const BATCH: usize = 64;
/// How long the task waits for the next one before it looks whether there is any.
const WAIT: Duration = Duration::from_secs(60);
/// What cannot be read is looked at again: a newer lambkin may be there by then.
const UNREADABLE: Duration = Duration::from_secs(300);
/// After the queues could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// What is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// To a destination.
    Record,
    /// To a dead-letter queue.
    DeadLetter,
}

impl Kind {
    pub(crate) fn counter(self, counters: &FunctionCounters) -> &AtomicU64 {
        match self {
            Self::Record => &counters.recorded,
            Self::DeadLetter => &counters.dead_lettered,
        }
    }

    /// How AWS counts those that are given up.
    fn failure(self) -> FunctionMetric {
        match self {
            Self::Record => FunctionMetric::DestinationDeliveryFailures,
            Self::DeadLetter => FunctionMetric::DeadLetterErrors,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Record => "a record",
            Self::DeadLetter => "a dead letter",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    function: FunctionKey,
    request_id: [u8; 16],
    kind: Kind,
    arn: String,
    subject: Option<String>,
    attributes: Vec<(String, String, Vec<u8>)>,
    trace_id: Option<String>,
    body: Vec<u8>,
}

/// What is to be sent so that the delivery is kept; nothing where it is hopeless.
pub(crate) fn keep(
    ports: &Ports,
    event: &Event,
    arn: &str,
    kind: Kind,
    delivery: Delivery,
    error: &Undeliverable,
) -> Vec<Post> {
    let counters = ports.counters.of(&event.function.key);
    if error.is_final() {
        give_up(ports, &event.function.key, event.request_id, kind, error);
        return Vec::new();
    }
    tracing::warn!(
        function = %event.function.key, request_id = %event.request_id, %error,
        "{} cannot be delivered yet", kind.as_str()
    );
    count(&counters.undelivered);
    let Delivery { body, subject, attributes, trace_id, group: _, deduplication: _, sender: _ } = delivery;
    let attributes = attributes
        .into_iter()
        .map(|Attribute { name, data_type, value }| (name, data_type, value.to_vec()))
        .collect();
    let written = Written {
        function: event.function.key.clone(),
        request_id: event.request_id.0,
        kind,
        arn: arn.into(),
        subject,
        attributes,
        trace_id,
        body: body.to_vec(),
    };
    let content = postcard::to_extend(&written, vec![FORMAT]).expect("text and bytes");
    let pause = RetryPolicy::new(None, 1.0).hold(0);
    let message = Message {
        id: MessageId((ports.ambient.uuid)()),
        lane: None,
        deduplication: None,
        sent: None,
        delay: pause,
        mark: Progress { errors: 0, holds: 1 }.mark(),
        content: content.into(),
    };
    vec![(QueueName(QUEUE.into()), message)]
}

fn give_up(ports: &Ports, function: &FunctionKey, request_id: RequestId, kind: Kind, error: &Undeliverable) {
    count(&ports.counters.of(function).delivery_failures);
    let of = FunctionReference { key: function.clone(), qualifier: None };
    ports.counters.measure((ports.ambient.now)(), &of, kind.failure(), 1.0);
    tracing::error!(%function, %request_id, %error, "{} is given up", kind.as_str());
}

/// Tries what is kept until told to stop.
pub(crate) async fn deliver(
    ports: Ports,
    config: Config,
    decide: mpsc::Sender<Decision>,
    mut stop: watch::Receiver<bool>,
) {
    let queue = QueueName(QUEUE.into());
    let arrived = Arc::new(Notify::new());
    let arrivals = Arc::clone(&arrived);
    ports.queues.watch(QUEUE, Box::new(move |_| arrivals.notify_one()));
    // What a former process left is looked for once.
    arrived.notify_one();
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            () = arrived.notified() => {}
        }
        loop {
            let ask = Receive { max: BATCH, lease: Lease::Held, wait: WAIT };
            let received = tokio::select! {
                _ = stop.changed() => return,
                received = ports.queues.receive(&queue, ask) => received,
            };
            let left = match received {
                Ok(received) if received.is_empty() => {
                    ports.queues.counts(&queue).await.map(|counts| counts.oldest.is_some())
                }
                Ok(received) => {
                    for decision in received.into_iter().map(|received| try_one(&ports, config, received)) {
                        // It has gone only where a shutdown's grace is over.
                        if decide.send(decision).await.is_err() {
                            return;
                        }
                    }
                    Ok(true)
                }
                Err(error) => Err(error),
            };
            match left {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(%error, "kept deliveries cannot be read");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn try_one(ports: &Ports, config: Config, received: Received) -> Decision {
    let Some(written) = read(&received.content) else {
        tracing::error!("a kept delivery cannot be read; it stays where it is");
        return Decision::Release(received.handle, UNREADABLE, received.mark);
    };
    let counters = ports.counters.of(&written.function);
    let attribute =
        |(name, data_type, value): (_, _, Vec<u8>)| Attribute { name, data_type, value: value.into() };
    let mut delivery = Delivery {
        body: Bytes::from(written.body),
        subject: written.subject,
        attributes: written.attributes.into_iter().map(attribute).collect(),
        trace_id: written.trace_id,
        group: None,
        deduplication: None,
        sender: None,
    };
    let now = (ports.ambient.now)();
    let old = elapsed(received.sent, now);
    let (function, request_id) = (&written.function, RequestId(written.request_id));
    let what = (written.kind, &*written.arn);
    let traced =
        spans::delivery(&*ports.traces, delivery.trace_id.as_deref(), function, request_id, what, now);
    let span = traced.map(|(span, header)| {
        delivery.trace_id = Some(header);
        span
    });
    match ports.targets.posts(&written.arn, &delivery) {
        Ok(posts) => {
            uncount(&counters.undelivered);
            count(written.kind.counter(&counters));
            let what = written.kind.as_str();
            tracing::info!(function = %written.function, arn = written.arn, "{what} was delivered after all");
            let spans = span.into_iter().collect();
            Decision::Settle(Settlement { spans, ..Settlement::new(received.handle, posts, received.mark) })
        }
        Err(error) if error.is_final() || old >= config.delivery_age => {
            uncount(&counters.undelivered);
            give_up(ports, function, request_id, written.kind, &error);
            spans::end(&*ports.traces, span, now, Some(&error.code));
            Decision::Settle(Settlement::new(received.handle, Vec::new(), received.mark))
        }
        Err(error) => {
            spans::end(&*ports.traces, span, now, Some(&error.code));
            let progress = Progress::of(received.mark);
            let pause = RetryPolicy::new(None, config.retry_scale).hold(progress.holds);
            let next = Progress { holds: progress.holds.saturating_add(1), ..progress };
            let pause = pause.min(config.delivery_age.saturating_sub(old));
            Decision::Release(received.handle, pause, next.mark())
        }
    }
}

fn read(content: &Bytes) -> Option<Written> {
    let (&FORMAT, rest) = content.split_first()? else { return None };
    postcard::from_bytes(rest).ok()
}
