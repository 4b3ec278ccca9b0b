//! Wiring of what moves events: the services over the store's queues and records, and the tasks beside them.

use std::sync::Arc;

use lambkin_events::mapping::source::SqsSource;
use lambkin_events::mapping::{Mappings, Ports};
use lambkin_events::recursion::Guard;
use lambkin_events::sqs::Sqs;
use lambkin_events::{Ambient, Events};
use lambkin_model::invocation::Invoke;
use lambkin_model::mapping::Mapping;
use lambkin_model::sqs::Queue;
use lambkin_store::{Kinds, Store};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::serve::now;

/// The kinds of records that the services keep.
pub(crate) fn kinds(kinds: Kinds) -> Kinds {
    kinds.with::<Queue>().with::<Mapping>()
}

/// The services, while their tasks run.
pub(crate) struct Running {
    pub(crate) events: Events,
    stop: oneshot::Sender<()>,
    tasks: JoinHandle<()>,
}

impl Running {
    /// Over a store that was opened with [`kinds`].
    pub(crate) fn start(store: &Store, invoke: Arc<dyn Invoke>) -> Self {
        let ambient = Ambient { now, uuid: || uuid::Uuid::new_v4().into_bytes() };
        let sqs = Sqs::new(store.queues(), store.records::<Queue>(), ambient);
        let mappings = Mappings::new(Ports {
            records: store.records::<Mapping>(),
            catalog: store.catalog(),
            source: Arc::new(SqsSource::new(sqs.clone(), store.records::<Queue>())),
            invoke: Arc::new(Guard::new(invoke, store.catalog())),
            ambient,
        });
        mappings.start();
        let events = Events { sqs, mappings };
        let (stop, stopped) = oneshot::channel();
        let sqs = events.sqs.clone();
        let tasks = tokio::spawn(async move {
            // Told to, or dropped.
            let stopped = async { drop(stopped.await) };
            sqs.run(stopped).await;
        });
        Self { events, stop, tasks }
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
