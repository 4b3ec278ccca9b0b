//! Wiring of what moves events: the services over the store's queues and records, and the tasks beside them.

use std::sync::Arc;
use std::time::Duration;

use lambkin_events::asynchronous::Asynchronous;
use lambkin_events::counters::Counters;
use lambkin_events::dispatcher::{self, DELIVERY_AGE, Dispatcher};
use lambkin_events::mapping::source::SqsSource;
use lambkin_events::mapping::{Mappings, Ports};
use lambkin_events::outbound::{Carrier, Outbound};
use lambkin_events::sns::Sns;
use lambkin_events::sqs::Sqs;
use lambkin_events::targets::Targets;
use lambkin_events::{Ambient, Events};
use lambkin_model::invocation::Invoke;
use lambkin_model::mapping::Mapping;
use lambkin_model::metric::Metrics;
use lambkin_model::sns::{Subscription, Topic};
use lambkin_model::sqs::Queue;
use lambkin_model::trace::Traces;
use lambkin_store::{Kinds, Store};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::serve::now;

/// The kinds of records that the services keep.
pub(crate) fn kinds(kinds: Kinds) -> Kinds {
    kinds.with::<Queue>().with::<Mapping>().with::<Topic>().with::<Subscription>()
}

/// What the operator decided about events.
pub(crate) struct Options {
    /// Concurrent executions of the account.
    pub(crate) concurrency: usize,
    /// Factor of the pauses between attempts.
    pub(crate) retry_scale: f64,
    /// Where clients reach lambkin: `http://127.0.0.1:4566`.
    pub(crate) address: String,
    /// Most bytes of an event's payload.
    pub(crate) payload_limit: usize,
    /// Who is told what happened.
    pub(crate) metrics: Arc<dyn Metrics>,
    /// Who follows traces.
    pub(crate) traces: Arc<dyn Traces>,
    /// Who brings deliveries to targets elsewhere.
    pub(crate) carrier: Option<Arc<dyn Carrier>>,
}

/// The services, while their tasks run.
pub(crate) struct Running {
    pub(crate) events: Events,
    dispatcher: Dispatcher,
    stop: oneshot::Sender<()>,
    tasks: JoinHandle<()>,
}

impl Running {
    /// Over a store that was opened with [`kinds`].
    pub(crate) fn start(store: &Store, invoke: Arc<dyn Invoke>, options: &Options) -> Self {
        let ambient = Ambient { now, uuid: || uuid::Uuid::new_v4().into_bytes() };
        let sqs = Sqs::new(store.queues(), store.records::<Queue>(), ambient);
        let counters = Arc::new(Counters::new(Arc::clone(&options.metrics)));
        let asynchronous = Asynchronous::new(
            store.queues(),
            store.catalog(),
            Arc::clone(&counters),
            Arc::clone(&options.traces),
            ambient,
            options.payload_limit,
        );
        let own = || {
            let targets = Targets::new()
                .with("sqs", Arc::new(sqs.clone()))
                .with("lambda", Arc::new(asynchronous.clone()));
            match &options.carrier {
                Some(carrier) => targets.with_external(Arc::new(Outbound::new(Arc::clone(carrier), ambient))),
                None => targets,
            }
        };
        // Topics deliver to queues and functions, not to topics.
        let sns = Sns::new(
            store.queues(),
            store.records::<Topic>(),
            store.records::<Subscription>(),
            Arc::new(own()),
            options.address.clone(),
            ambient,
        );
        let targets = Arc::new(own().with("sns", Arc::new(sns.clone())));
        let ports = dispatcher::Ports {
            queues: store.queues(),
            invoke: Arc::clone(&invoke),
            catalog: store.catalog(),
            targets: Arc::clone(&targets),
            counters,
            carrier: options.carrier.clone(),
            traces: Arc::clone(&options.traces),
            ambient,
        };
        let config = dispatcher::Config {
            concurrency: for_events(options.concurrency),
            retry_scale: options.retry_scale,
            delivery_age: DELIVERY_AGE,
        };
        let dispatcher = Dispatcher::start(ports, config);
        let mappings = Mappings::new(Ports {
            records: store.records::<Mapping>(),
            catalog: store.catalog(),
            source: Arc::new(SqsSource::new(sqs.clone(), store.records::<Queue>())),
            invoke,
            traces: Arc::clone(&options.traces),
            metrics: Arc::clone(&options.metrics),
            ambient,
        });
        mappings.start();
        let events = Events { asynchronous, targets, sns, sqs, mappings };
        let (stop, stopped) = oneshot::channel();
        let sqs = events.sqs.clone();
        let tasks = tokio::spawn(async move {
            // Told to, or dropped.
            let stopped = async { drop(stopped.await) };
            sqs.run(stopped).await;
        });
        Self { events, dispatcher, stop, tasks }
    }

    /// Takes no more events and messages, and waits at most so long for those that run.
    pub(crate) async fn drain(&self, grace: Duration) {
        tokio::join!(self.dispatcher.shutdown(grace), self.events.mappings.shutdown(grace));
    }

    /// Ends the tasks; the services still answer.
    pub(crate) async fn shutdown(self) {
        // The tasks may have ended by themselves.
        let _ = self.stop.send(());
        if let Err(error) = self.tasks.await {
            tracing::error!(%error, "the events' tasks failed");
        }
    }
}

/// Of the account's concurrent executions, those that events may use: AWS shares them, and so do these, but
/// for a tenth that a backlog leaves to who waits for an answer.
fn for_events(concurrency: usize) -> usize {
    (concurrency - concurrency / 10).max(1)
}
