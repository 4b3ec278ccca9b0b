//! The second half of a change: getting what the function needs (its runtime, its SDK) and then
//! moving it to `Active` and `Successful`, or to `Failed` with the reason.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_model::catalog::{CatalogError, Head, Stored};
use lambkin_model::function::{LastUpdate, State};
use tokio::task::JoinSet;

use crate::Control;

/// The running activations. Bounded by the number of functions: one is never changed twice at once.
#[derive(Default)]
pub(crate) struct Activations(Mutex<JoinSet<()>>);

impl Control {
    /// Starts over what a former process left unfinished.
    pub fn resume(self: &Arc<Self>) {
        for head in self.catalog.all() {
            if head.record.is_changing() {
                self.activate(&head);
            }
        }
    }

    /// Stops running activations; the next process starts them over.
    pub async fn shutdown(&self) {
        let mut tasks = std::mem::take(&mut *self.activations.0.lock().expect("not poisoned"));
        tasks.shutdown().await;
    }

    pub(crate) fn activate(self: &Arc<Self>, head: &Arc<Stored<Head>>) {
        let mut tasks = self.activations.0.lock().expect("not poisoned");
        while tasks.try_join_next().is_some() {}
        tasks.spawn(Arc::clone(self).finish(Arc::clone(head)));
    }

    async fn finish(self: Arc<Self>, mut head: Arc<Stored<Head>>) {
        let need = head.record.latest.need();
        let failure = match self.runtimes.installed(&need) {
            Some(_) => None,
            None => self.runtimes.ensure(need).await.err().map(|error| error.to_string()),
        };
        if let Some(reason) = &failure {
            tracing::warn!(function = %head.record.key, reason, "the function's runtime is not available");
        }
        let revision_id = (self.ambient.uuid)();
        // The store may be full for a while; the state must not stay behind for ever.
        let mut pause = Duration::from_millis(100);
        loop {
            let next = finished(&head.record, failure.clone(), revision_id.clone());
            let state = next.latest.state.as_str();
            match self.put(Some(head.revision), next).await {
                Ok(_) => {
                    tracing::info!(function = %head.record.key.name, state, "settled");
                    return;
                }
                // What is beside `$LATEST` was changed, a permission perhaps, which changes the RevisionId too;
                // or the function is gone. While it is Pending or InProgress it is this that has to end that.
                Err(CatalogError::Conflict) => match self.catalog.head(&head.record.key) {
                    Some(now) if now.record.identity == head.record.identity && now.record.is_changing() => {
                        head = now;
                    }
                    Some(_) | None => return,
                },
                Err(CatalogError::Unavailable(reason)) => {
                    tracing::error!(function = %head.record.key, reason, "the function's state could not be stored");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(10));
                }
            }
        }
    }
}

/// The head after its change went through or failed.
fn finished(before: &Head, failure: Option<String>, revision_id: String) -> Head {
    let mut head = before.clone();
    head.latest.revision_id = revision_id;
    let code = || "InvalidRuntime".to_owned();
    // Those that were published with it.
    for published in head.versions.values_mut().filter(|published| published.state == State::Pending) {
        published.state = match &failure {
            None => State::Active,
            Some(reason) => State::Failed { code: code(), reason: reason.clone() },
        };
    }
    match failure {
        None => {
            head.latest.state = State::Active;
            head.latest.last_update = Some(LastUpdate::Successful);
            head.serving = None;
        }
        // With something to serve, the function stays Active and only its update has failed.
        Some(reason) => {
            if head.serving.is_none() {
                head.latest.state = State::Failed { code: code(), reason: reason.clone() };
            }
            head.latest.last_update = Some(LastUpdate::Failed { code: code(), reason });
        }
    }
    head
}
