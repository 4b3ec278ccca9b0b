//! Event source mappings: what comes from a queue reaches the function, and what the function says becomes of
//! the messages.

mod batches;
mod failures;
mod groups;
mod lives;
mod over_sqs;
mod scale;

use std::time::Duration;

use lambkin_model::mapping::Change;

const NOW: Duration = Duration::ZERO;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn reporting() -> Change {
    Change { report_failures: Some(true), ..Change::default() }
}
