//! Keeps pollers as the records want them, and moves the records' states on when that is so. It looks at
//! everything whenever something changed, so it does not matter what it missed, a restart among it.
//!
//! Deliberately not here: what pollers do, and who changes records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use lambkin_model::catalog::{CatalogError, Stored};
use lambkin_model::mapping::{Mapping, State};
use lambkin_model::record::ResourceKey;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Core;
use super::poller::Poller;

/// After a record could not be written, or a poller panicked.
const RETRY: Duration = Duration::from_secs(1);

/// A poller that runs.
struct Running {
    mapping: watch::Sender<Arc<Mapping>>,
    stop: watch::Sender<bool>,
}

/// Runs until `close` says so, and then until all batches have ended.
pub(super) async fn supervise(core: Arc<Core>, mut close: watch::Receiver<bool>) {
    let mut changes = core.changes.subscribe();
    let mut running: HashMap<ResourceKey, Running> = HashMap::new();
    // One for each mapping that polls.
    let mut pollers: JoinSet<ResourceKey> = JoinSet::new();
    loop {
        changes.mark_unchanged();
        let mut again = false;
        for stored in core.ports.records.all() {
            again |= !tend(&core, &stored, &mut running, &mut pollers).await;
        }
        // A poller that is stopping is known until it has ended.
        for (key, poller) in &running {
            if core.ports.records.get(key).is_none() {
                poller.stop.send_replace(true);
            }
        }
        let retry = async {
            if again {
                tokio::time::sleep(RETRY).await;
            } else {
                std::future::pending().await
            }
        };
        let calm = tokio::select! {
            _ = close.wait_for(|close| *close) => break,
            // The sender is the core's.
            _ = changes.changed() => true,
            Some(ended) = pollers.join_next() => ended_with(ended, &mut running),
            () = retry => true,
        };
        if !calm {
            tokio::time::sleep(RETRY).await;
        }
    }
    for each in running.values() {
        each.stop.send_replace(true);
    }
    while pollers.join_next().await.is_some() {}
}

/// Forgets a poller that has ended; `false`: it did so by a panic, and another must not do the same at once.
fn ended_with(
    ended: Result<ResourceKey, tokio::task::JoinError>,
    running: &mut HashMap<ResourceKey, Running>,
) -> bool {
    match ended {
        Ok(key) => {
            running.remove(&key);
            true
        }
        Err(error) => {
            tracing::error!(%error, "a poller panicked");
            // Which one it was is not told: those whose ends nobody listens to any more have ended.
            running.retain(|_, each| !each.mapping.is_closed());
            false
        }
    }
}

/// Brings one mapping on its way; `false`: it has to be looked at again later.
async fn tend(
    core: &Arc<Core>,
    stored: &Stored<Mapping>,
    running: &mut HashMap<ResourceKey, Running>,
    pollers: &mut JoinSet<ResourceKey>,
) -> bool {
    let mapping = &stored.record;
    let polls = mapping.enabled && mapping.state != State::Deleting;
    match running.get(&mapping.key) {
        Some(poller) if polls && !*poller.stop.borrow() => {
            poller.mapping.send_if_modified(|current| {
                let changed = current.settings != mapping.settings
                    || current.function != mapping.function
                    || current.qualifier != mapping.qualifier;
                if changed {
                    *current = Arc::new(mapping.clone());
                }
                changed
            });
        }
        Some(poller) => {
            poller.stop.send_replace(true);
            // Its end is the next thing to look at.
            return true;
        }
        None if polls => {
            let (sender, receiver) = watch::channel(Arc::new(mapping.clone()));
            let (stop, stopped) = watch::channel(false);
            let poller = Poller::new(
                core.ports.clone(),
                Arc::clone(&core.problems),
                receiver,
                core.surroundings.subscribe(),
                stopped,
            );
            running.insert(mapping.key.clone(), Running { mapping: sender, stop });
            let key = mapping.key.clone();
            pollers.spawn(async move {
                poller.run().await;
                key
            });
        }
        None => {}
    }
    let state = match mapping.state {
        State::Enabled | State::Disabled => return true,
        State::Creating | State::Enabling | State::Disabling | State::Updating if polls => State::Enabled,
        State::Creating | State::Enabling | State::Disabling | State::Updating => State::Disabled,
        State::Deleting => {
            core.problems.set(&mapping.key, None);
            let deleted = core.ports.records.delete(stored.revision, mapping.key.clone()).await;
            return written(mapping, deleted.map(|()| "deleted"));
        }
    };
    let moved = Mapping { state, ..mapping.clone() };
    written(mapping, core.ports.records.put(Some(stored.revision), moved).await.map(|_| state.as_str()))
}

fn written(mapping: &Mapping, wrote: Result<&'static str, CatalogError>) -> bool {
    match wrote {
        Ok(state) => {
            tracing::info!(mapping = %mapping.key.name, function = %mapping.function.name, state, "event source mapping");
            true
        }
        // Whoever changed it told of it.
        Err(CatalogError::Conflict) => true,
        Err(CatalogError::Unavailable(error)) => {
            tracing::warn!(mapping = %mapping.key.name, error, "a mapping's state could not be written");
            false
        }
    }
}
