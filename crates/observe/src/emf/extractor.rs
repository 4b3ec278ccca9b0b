//! Takes the metrics out of log events that were written, on the log store's thread. What a log group may ask of this thread
//! in a second is bounded, and so is what one may make of the metric store (`metric_store::shares`): what is beyond is dropped,
//! counted with the errors of its group, and warned of.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lambkin_model::log::{LogEvent, LogStreamName};

use super::document::{Finder, Found};
use super::reading::{self, Fault, Place, Reading};
use crate::metrics::MetricStore;
use crate::store::group::GroupKey;

/// What a group's documents may cost in a second, and those of all groups: one for each document, each 128 bytes of it, each datum
/// and eight values. That is 0.5 µs each, so a group has an eighth of the thread, which is 35,000 documents of two metrics. One
/// document may go beyond, by what one may cost at most.
const COST_OF_GROUP: usize = 250_000;
const COST_OF_ALL: usize = 3 * COST_OF_GROUP;
const BYTES: usize = 128;
/// Between two warnings.
const QUIET: Duration = Duration::from_secs(60);

pub(crate) struct Extractor {
    store: Arc<MetricStore>,
    finder: Finder,
    /// What was spent in this second since 1970.
    second: u64,
    spent: usize,
    spent_by: HashMap<GroupKey, usize>,
    /// What was dropped since the last warning, and when that was.
    dropped: usize,
    warned: Option<Instant>,
}

/// Errors of one look at a group's events.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errors {
    pub(crate) parsing: usize,
    pub(crate) validation: usize,
}

impl Extractor {
    pub(crate) fn new(store: Arc<MetricStore>) -> Self {
        let finder = Finder::new();
        let spent_by = HashMap::new();
        Self { store, finder, second: 0, spent: 0, spent_by, dropped: 0, warned: None }
    }

    /// Looks at events that were just written. `now` is in milliseconds since 1970.
    pub(crate) fn take(&mut self, stream: &LogStreamName, events: &[LogEvent], now: u64) {
        let mut group: Option<GroupKey> = None;
        let mut errors = Errors::default();
        for event in events {
            let Some(found) = self.finder.find(&event.message) else { continue };
            let group = group.get_or_insert_with(|| GroupKey {
                account: Arc::clone(&stream.account),
                region: Arc::clone(&stream.region),
                name: Arc::clone(&stream.group),
            });
            self.document(group, &found, event.message.len(), &mut errors, now);
        }
        if let Some(group) = group.filter(|_| errors != Errors::default()) {
            self.store.extraction_errors(&group, errors);
        }
    }

    fn document(&mut self, group: &GroupKey, found: &Found<'_>, bytes: usize, errors: &mut Errors, now: u64) {
        if self.second != now / 1000 {
            self.second = now / 1000;
            self.spent = 0;
            self.spent_by.clear();
        }
        let spent = self.spent_by.get(group).copied().unwrap_or(0);
        if spent >= COST_OF_GROUP || self.spent >= COST_OF_ALL {
            errors.validation += 1;
            return self.drop_of(group, 1, "too many at once");
        }
        let mut reading = Reading::default();
        match found {
            Found::Broken => reading.count(Fault::Form),
            Found::Document(document) => {
                let place = Place { account: &group.account, region: &group.region };
                reading = reading::read(document, &place, now);
            }
        }
        errors.parsing += reading.malformed;
        errors.validation += reading.invalid;
        let cost = 1 + bytes / BYTES + reading.cost;
        self.spent += cost;
        *self.spent_by.entry(group.clone()).or_default() += cost;
        let refused = self.store.extract(group, reading.data);
        if refused > 0 {
            errors.validation += refused;
            self.drop_of(group, refused, "its log lines made as many metrics as they may");
        }
    }

    fn drop_of(&mut self, group: &GroupKey, values: usize, why: &str) {
        self.dropped += values;
        if self.warned.is_none_or(|warned| warned.elapsed() >= QUIET) {
            tracing::warn!(group = %group.name, dropped = self.dropped, "metrics in log lines were dropped: {why}");
            self.warned = Some(Instant::now());
            self.dropped = 0;
        }
    }
}

#[cfg(test)]
mod tests;
