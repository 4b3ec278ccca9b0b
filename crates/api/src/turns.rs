//! Turns on blocking threads: what a service does that reads and writes files must not take every blocking thread there is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

/// Operations of one service that may read and write at once; others wait for them.
const AT_ONCE: usize = 4;
/// How long they wait.
const WAIT: Duration = Duration::from_secs(30);

/// One service's.
pub(crate) struct Turns(Arc<Semaphore>);

/// Why nothing was done, or not to its end.
#[derive(Debug)]
pub(crate) enum NoTurn {
    Busy,
    Failed(String),
}

impl fmt::Display for NoTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("is busy; try again"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Does it when it is its turn.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoTurn> {
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.0).acquire_owned()).await;
        let turn = turn.map_err(|_| NoTurn::Busy)?.map_err(|_| NoTurn::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| NoTurn::Failed(error.to_string()))
    }
}
