//! One run of a piece of blocking work however many wait for it.
//!
//! The work goes on when those who wait go away: a client that hangs up does not waste a download.
//! Deliberately not here: other processes (`Cache::lock`), and keeping results; the cache does.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

type Running<K, T> = Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>;

/// The work under way, by key.
pub(crate) struct Flights<K, T> {
    running: Running<K, T>,
}

impl<K, T> Flights<K, T>
where
    K: Eq + Hash + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self { running: Arc::new(Mutex::new(HashMap::new())) }
    }

    /// The result of the work under this key: of the run under way, or else of a new one.
    /// `None` if the work panicked or the executor shut down. The work has its own deadlines.
    pub(crate) async fn join(&self, key: K, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let mut result = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(under_way) = running.get(&key) {
                under_way.clone()
            } else {
                let (done, result) = watch::channel(None);
                running.insert(key.clone(), result.clone());
                let landing = Landing { running: Arc::clone(&self.running), key };
                tokio::task::spawn_blocking(move || {
                    let value = work();
                    drop(landing);
                    // Nobody may wait any more.
                    let _ = done.send(Some(value));
                });
                result
            }
        };
        let value = result.wait_for(Option::is_some).await.ok()?;
        value.clone()
    }
}

/// Takes the work off the list, also when it panics or never starts.
struct Landing<K: Eq + Hash, T> {
    running: Running<K, T>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::Flights;

    #[tokio::test]
    async fn a_panic_is_no_result_and_the_next_starts_anew() {
        let flights: Flights<u8, u8> = Flights::new();
        assert_eq!(flights.join(1, || panic!("on purpose")).await, None);
        assert_eq!(flights.join(1, || 7).await, Some(7));
    }
}
