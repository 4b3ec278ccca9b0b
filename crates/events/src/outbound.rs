//! Deliveries to elsewhere: targets that the operator has mapped to an endpoint of somebody else's, real AWS
//! among them. They are queued by the place they go to, sent from there, and tried again with growing
//! pauses while the place does not answer or refuses; in the end they are given up with an error in the log
//! and a count, never silently.
//!
//! Deliberately not here: HTTP, signatures, and which ARN goes where: that is the carrier's.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::Pending;
use lambkin_model::event_invoke::{Progress, RetryPolicy};
use lambkin_model::queue::{Lease, Message, MessageId, Post, QueueName, Receive, Received};
use lambkin_model::trace;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::Ambient;
use crate::counters::count;
use crate::dispatcher::{Config, Decision, Ports, Roster, Settlement, elapsed};
use crate::spans;
use crate::target::{Attribute, Delivery, Target, Undeliverable};
use crate::targets::External;

/// Queues of deliveries; the place follows.
pub(crate) const PREFIX: &str = "outbound/";
/// First byte of what is on disk.
const FORMAT: u8 = 1;
/// Requests to one place at once.
const AT_ONCE: usize = 8;
/// How long a place without deliveries keeps its task.
const QUIET: Duration = Duration::from_secs(5);
const WAITING: Duration = Duration::from_secs(60);
/// After the queues could not be read.
const PAUSE: Duration = Duration::from_secs(1);
/// What cannot be read is looked at again.
const UNREADABLE: Duration = Duration::from_secs(300);

/// Who brings deliveries to other machines.
pub trait Carrier: Send + Sync {
    /// Where the ARN's deliveries go, by a name that stays; `None`: not elsewhere.
    fn place(&self, arn: &str) -> Option<String>;

    /// Brings one there, within seconds; says why it could not.
    fn carry(&self, arn: String, delivery: Delivery) -> Pending<'static, Result<(), String>>;
}

/// What is mapped elsewhere, as targets.
pub struct Outbound {
    carrier: Arc<dyn Carrier>,
    ambient: Ambient,
}

impl Outbound {
    /// By this carrier.
    #[must_use]
    pub fn new(carrier: Arc<dyn Carrier>, ambient: Ambient) -> Self {
        Self { carrier, ambient }
    }

    fn place(&self, arn: &str) -> Result<String, Undeliverable> {
        self.carrier.place(arn).ok_or_else(|| Undeliverable {
            target: arn.into(),
            code: "UnsupportedTarget".into(),
            message: format!("lambkin does not know where {arn} is."),
        })
    }
}

impl External for Outbound {
    fn has(&self, arn: &str) -> bool {
        self.carrier.place(arn).is_some()
    }
}

impl Target for Outbound {
    fn posts(&self, arn: &str, delivery: &Delivery) -> Result<Vec<Post>, Undeliverable> {
        let place = self.place(arn)?;
        let message = Message {
            id: MessageId((self.ambient.uuid)()),
            lane: delivery.group.as_ref().map(|group| format!("{arn} {group}").into()),
            deduplication: None,
            sent: None,
            delay: Duration::ZERO,
            mark: 0,
            content: encode(arn, delivery),
        };
        Ok(vec![(QueueName(format!("{PREFIX}{place}").into()), message)])
    }

    /// Whether it is there shows when something is sent there: configuring asks no other machine.
    fn check(&self, arn: &str) -> Result<(), Undeliverable> {
        self.place(arn).map(|_| ())
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    arn: String,
    subject: Option<String>,
    attributes: Vec<(String, String, Vec<u8>)>,
    trace_id: Option<String>,
    group: Option<String>,
    deduplication: Option<String>,
    body: Vec<u8>,
}

fn encode(arn: &str, delivery: &Delivery) -> Bytes {
    let attribute = |each: &Attribute| (each.name.clone(), each.data_type.clone(), each.value.to_vec());
    let written = Written {
        arn: arn.into(),
        subject: delivery.subject.clone(),
        attributes: delivery.attributes.iter().map(attribute).collect(),
        trace_id: delivery.trace_id.clone(),
        group: delivery.group.clone(),
        deduplication: delivery.deduplication.clone(),
        body: delivery.body.to_vec(),
    };
    postcard::to_extend(&written, vec![FORMAT]).expect("text and bytes").into()
}

fn decode(content: &Bytes) -> Option<(String, Delivery)> {
    let (&FORMAT, rest) = content.split_first()? else { return None };
    let written: Written = postcard::from_bytes(rest).ok()?;
    let attribute =
        |(name, data_type, value): (_, _, Vec<u8>)| Attribute { name, data_type, value: value.into() };
    let delivery = Delivery {
        body: written.body.into(),
        subject: written.subject,
        attributes: written.attributes.into_iter().map(attribute).collect(),
        trace_id: written.trace_id,
        group: written.group,
        deduplication: written.deduplication,
        sender: None,
    };
    Some((written.arn, delivery))
}

/// Has every place's deliveries sent, until told to stop: requests that run are waited for.
pub(crate) async fn run(
    carrier: Arc<dyn Carrier>,
    ports: Ports,
    config: Config,
    decide: mpsc::Sender<Decision>,
    mut stop: watch::Receiver<bool>,
) {
    let roster = Arc::new(Roster::default());
    let arrivals = Arc::clone(&roster);
    ports.queues.watch(PREFIX, Box::new(move |queue| arrivals.arrive(queue)));
    let mut places = JoinSet::new();
    let mut known = false;
    while !*stop.borrow() {
        if !known {
            match ports.queues.names(PREFIX).await {
                Ok(names) => {
                    known = true;
                    names.iter().for_each(|name| roster.arrive(name));
                }
                Err(error) => tracing::error!(%error, "the queues of deliveries cannot be listed"),
            }
        }
        for queue in roster.take() {
            let place = Place {
                carrier: Arc::clone(&carrier),
                ports: ports.clone(),
                config,
                queue,
                decide: decide.clone(),
            };
            places.spawn(place.run(Arc::clone(&roster), stop.clone()));
        }
        tokio::select! {
            _ = stop.changed() => {}
            () = roster.changed.notified() => {}
            Some(ended) = places.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a sender failed; its deliveries wait for the next start");
                }
            }
            () = tokio::time::sleep(PAUSE), if !known => {}
        }
    }
    while places.join_next().await.is_some() {}
}

struct Place {
    carrier: Arc<dyn Carrier>,
    ports: Ports,
    config: Config,
    queue: QueueName,
    decide: mpsc::Sender<Decision>,
}

type Carried = (Received, String, Result<(), String>);

impl Place {
    async fn run(self, roster: Arc<Roster>, mut stop: watch::Receiver<bool>) {
        let mut running: JoinSet<Carried> = JoinSet::new();
        let mut wait = QUIET;
        while !*stop.borrow() {
            let free = AT_ONCE - running.len();
            let ask = Receive { max: free, lease: Lease::Held, wait };
            tokio::select! {
                _ = stop.changed() => {}
                Some(ended) = running.join_next() => self.ended(ended).await,
                received = self.ports.queues.receive(&self.queue, ask), if free > 0 => match received {
                    Ok(received) if received.is_empty() => {
                        if !running.is_empty() || roster.arrived(&self.queue) {
                            continue;
                        }
                        wait = WAITING;
                        let counts = self.ports.queues.counts(&self.queue).await;
                        if counts.is_ok_and(|counts| counts.oldest.is_none()) && roster.leave(&self.queue) {
                            return;
                        }
                    }
                    Ok(received) => {
                        wait = QUIET;
                        for received in received {
                            self.start(&mut running, received).await;
                        }
                    }
                    Err(error) => {
                        tracing::error!(%error, queue = %self.queue, "deliveries cannot be read");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        while let Some(ended) = running.join_next().await {
            self.ended(ended).await;
        }
    }

    async fn start(&self, running: &mut JoinSet<Carried>, received: Received) {
        let Some((arn, mut delivery)) = decode(&received.content) else {
            tracing::error!(queue = %self.queue, "a delivery cannot be read; it stays where it is");
            return self.tell(Decision::Release(received.handle, UNREADABLE, received.mark)).await;
        };
        let (traces, now) = (Arc::clone(&self.ports.traces), self.ports.ambient.now);
        let span = spans::carriage(&*traces, delivery.trace_id.as_deref(), &arn, now());
        if let Some(span) = &span {
            // What is done there hangs below the request.
            let header = delivery.trace_id.as_deref().unwrap_or_default();
            delivery.trace_id = Some(trace::with(header, Some(span.id), None));
        }
        let carrying = self.carrier.carry(arn.clone(), delivery);
        running.spawn(async move {
            let carried = carrying.await;
            spans::end(&*traces, span, now(), carried.as_ref().err().map(String::as_str));
            (received, arn, carried)
        });
    }

    async fn ended(&self, ended: Result<Carried, tokio::task::JoinError>) {
        let (received, arn, carried) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a carrier failed; its delivery waits for the next start");
                return;
            }
        };
        let counters = &self.ports.counters.outbound;
        let old = elapsed(received.sent, (self.ports.ambient.now)());
        match carried {
            Ok(()) => {
                count(&counters.sent);
                self.tell(Decision::Settle(Settlement::new(received.handle, Vec::new(), received.mark)))
                    .await;
            }
            Err(reason) if old >= self.config.delivery_age => {
                count(&counters.given_up);
                tracing::error!(arn, reason, "a delivery is given up");
                self.tell(Decision::Settle(Settlement::new(received.handle, Vec::new(), received.mark)))
                    .await;
            }
            Err(reason) => {
                count(&counters.retried);
                let progress = Progress::of(received.mark);
                let pause = RetryPolicy::new(None, self.config.retry_scale).hold(progress.holds);
                let pause = pause.min(self.config.delivery_age.saturating_sub(old));
                tracing::warn!(arn, reason, ?pause, "a delivery is tried again");
                let next = Progress { holds: progress.holds.saturating_add(1), ..progress };
                self.tell(Decision::Release(received.handle, pause, next.mark())).await;
            }
        }
    }

    async fn tell(&self, decision: Decision) {
        // It has gone only where a shutdown's grace is over: the delivery is sent again then.
        if self.decide.send(decision).await.is_err() {
            tracing::warn!(queue = %self.queue, "a delivery's end came too late to be written");
        }
    }
}
