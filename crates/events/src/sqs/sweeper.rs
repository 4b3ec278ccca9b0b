//! What has to be done without being asked: messages past their retention go, and what is left of deleted
//! queues.
//!
//! Deliberately not here: messages that a receive meets, which it drops itself, to the second.

use std::collections::HashSet;
use std::time::Duration;

use lambkin_model::queue::QueueError;
use lambkin_model::sqs::PREFIX;
use lambkin_model::time::Timestamp;

use super::Sqs;

/// Between two rounds. The shortest retention is a minute.
pub(super) const EVERY: Duration = Duration::from_secs(20);

impl Sqs {
    /// One round over all queues.
    pub(super) async fn sweep(&self) {
        // Names first: a queue that is made meanwhile has a record by the time records are read.
        let names = self.0.store.names(PREFIX).await;
        let queues = self.all_queues();
        let known: HashSet<&str> = queues.iter().map(|queue| queue.identity.as_str()).collect();
        self.0.in_flight.keep(|identity| known.contains(identity));
        let names = match names {
            Ok(names) => names,
            Err(error) => return complain(&error),
        };
        let filled: HashSet<&str> = names.iter().filter_map(|name| name.0.strip_prefix(PREFIX)).collect();
        for name in &names {
            if name.0.strip_prefix(PREFIX).is_some_and(|identity| !known.contains(identity))
                && let Err(error) = self.0.store.purge(name).await
            {
                complain(&error);
            }
        }
        for queue in queues.iter().filter(|queue| filled.contains(queue.identity.as_str())) {
            let retention = u64::from(queue.attributes.retention) * 1_000_000;
            let then = Timestamp((self.now().0 + 1).saturating_sub(retention));
            let name = queue.store_name();
            match self.0.store.counts(&name).await {
                Ok(counts) if counts.oldest.is_some_and(|oldest| oldest < then) => {}
                Ok(_) => continue,
                Err(error) => {
                    complain(&error);
                    continue;
                }
            }
            match self.0.store.expire(&name, then).await {
                Ok(count) => tracing::debug!(queue = %queue.key, count, "messages are past their retention"),
                Err(error) => complain(&error),
            }
        }
    }
}

fn complain(error: &QueueError) {
    tracing::warn!(%error, "queues could not be swept");
}
