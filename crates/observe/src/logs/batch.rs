//! What is put: a batch of events of one stream, and which of them are taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use lambkin_model::time::Timestamp;

use super::{Logs, LogsError, Result, unavailable};
use crate::log_writer::millis;
use crate::store::group::GroupKey;

/// Bytes of a batch, and of an event in it.
pub const BATCH_BYTES: usize = 1_048_576;
/// What AWS counts of each event beside its message.
pub const EVENT_BYTES: usize = 26;
const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;
/// What is older is too old, and what is this much in the future is too new.
const OLDEST: u64 = 14 * DAY;
const NEWEST: u64 = 2 * HOUR;
/// How long a batch may wait to be written before the answer.
const WRITE: Duration = Duration::from_secs(30);

/// An event as it is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Milliseconds since 1970.
    pub at: i64,
    /// What it says.
    pub message: Bytes,
}

/// Which events of a batch were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rejected {
    /// Those before this one are older than 14 days.
    pub too_old_end: Option<usize>,
    /// Those before this one are older than the group's retention.
    pub expired_end: Option<usize>,
    /// This one and those after it are too far in the future.
    pub too_new_start: Option<usize>,
}

impl Logs {
    /// `PutLogEvents`: written when it answers.
    pub fn put(&self, key: &GroupKey, stream: &str, events: Vec<Put>) -> Result<Rejected> {
        let bytes: usize = events.iter().map(|event| event.message.len() + EVENT_BYTES).sum();
        if bytes > BATCH_BYTES {
            return Err(LogsError::InvalidParameter(format!(
                "Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES}"
            )));
        }
        if !events.is_sorted_by_key(|event| event.at) {
            return Err(LogsError::InvalidParameter(
                "Log events in a single PutLogEvents request must be in chronological order.".into(),
            ));
        }
        if self.store.keeps_nothing() {
            return Err(LogsError::Unsupported("This lambkin keeps no logs (--log-cap 0).".into()));
        }
        let settings = self.settings(key)?;
        let there = self.store.has_stream(key, stream).map_err(|error| unavailable(&error))?;
        if there != Some(true) {
            return Err(if there.is_none() { LogsError::GroupNotFound } else { LogsError::StreamNotFound });
        }
        let now = millis();
        let (rejected, taken) = judge(&events, now, settings.horizon(now));
        let taken = &events[taken];
        if let (Some(first), Some(last)) = (taken.first(), taken.last()) {
            if last.at - first.at > DAY.cast_signed() {
                return Err(LogsError::InvalidParameter(
                    "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.".into(),
                ));
            }
            let event = |event: &Put| LogEvent {
                at: Timestamp(u64::try_from(event.at).unwrap_or(0).saturating_mul(1000)),
                message: event.message.clone(),
            };
            let name = LogStreamName {
                account: Arc::clone(&key.account),
                region: Arc::clone(&key.region),
                group: Arc::clone(&key.name),
                stream: stream.into(),
            };
            // The wait below is the back-pressure.
            drop(self.store.append(&Arc::new(name), taken.iter().map(event).collect()));
            if !self.store.flush(WRITE) {
                return Err(LogsError::Unavailable("The log events could not be written in time.".into()));
            }
        }
        Ok(rejected)
    }
}

/// Which events of a batch are taken: they are in the order of their times.
fn judge(events: &[Put], now: u64, horizon: u64) -> (Rejected, std::ops::Range<usize>) {
    let before = |limit: u64| events.partition_point(|event| event.at < limit.cast_signed());
    let (too_old, expired) =
        (before(now.saturating_sub(OLDEST)), if horizon == 0 { 0 } else { before(horizon) });
    let too_new = before(now + NEWEST + 1);
    let begin = too_old.max(expired);
    let rejected = Rejected {
        too_old_end: (too_old > 0).then_some(too_old),
        expired_end: (expired > 0).then_some(expired),
        too_new_start: (too_new < events.len()).then_some(too_new),
    };
    (rejected, begin.min(too_new)..too_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_or_too_new_is_not_taken() {
        let now = 100 * DAY;
        let batch = |times: &[i64]| -> Vec<Put> {
            times.iter().map(|at| Put { at: *at, message: Bytes::new() }).collect()
        };
        let day = |days: u64| (days * DAY).cast_signed();
        for (times, horizon, rejected, taken) in [
            (vec![day(99)], 0, Rejected::default(), 0..1),
            (vec![], 0, Rejected::default(), 0..0),
            (
                vec![day(85), day(86) - 1, day(86)],
                0,
                Rejected { too_old_end: Some(2), ..Rejected::default() },
                2..3,
            ),
            (
                vec![
                    day(85),
                    day(95),
                    day(99),
                    day(100) + NEWEST.cast_signed(),
                    day(100) + NEWEST.cast_signed() + 1,
                ],
                97 * DAY,
                Rejected { too_old_end: Some(1), expired_end: Some(2), too_new_start: Some(4) },
                2..4,
            ),
            (vec![day(102)], 0, Rejected { too_new_start: Some(0), ..Rejected::default() }, 0..0),
            (vec![-5], 0, Rejected { too_old_end: Some(1), ..Rejected::default() }, 1..1),
        ] {
            assert_eq!(judge(&batch(&times), now, horizon), (rejected, taken), "{times:?}");
        }
    }
}
