//! What was recorded since the store's thread last looked: one short lock, a look-up by function, and sums by minute.

use std::collections::HashMap;

use lambkin_model::figure::{AGES, DURATIONS, Histogram};
use lambkin_model::metric::{FunctionMetric, Subject};
use lambkin_model::name::FunctionKey;
use lambkin_model::record::ResourceKey;
use lambkin_model::time::Timestamp;

use super::statistics::Statistics;

/// Most subjects and minutes between two looks. Functions have that many only where somebody makes and deletes them all the
/// time.
const ENTRIES: usize = 20_000;

/// Minutes since 1970.
pub(super) fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.0 / 60_000_000).unwrap_or(u32::MAX)
}

/// Its number, and a region.
type Account = (Box<str>, Box<str>);
type Entries<Of> = HashMap<Of, Vec<Entry>>;

/// What was recorded, by what it is of.
pub(super) type Subjects = (HashMap<FunctionKey, OfFunction>, Entries<Account>, Entries<ResourceKey>);

#[derive(Default)]
pub(super) struct Pending {
    functions: HashMap<FunctionKey, OfFunction>,
    accounts: Entries<Account>,
    mappings: Entries<ResourceKey>,
    entries: usize,
    /// Values for which there was no room.
    pub(super) lost: u64,
}

/// Of one function.
#[derive(Default)]
pub(super) struct OfFunction {
    pub(super) entries: Vec<Entry>,
    pub(super) distributions: Distributions,
}

/// What is told by histograms whose bounds never change, beside the statistics; in seconds.
#[derive(Clone, Copy)]
pub(super) struct Distributions {
    pub(super) duration: Histogram,
    pub(super) event_age: Histogram,
}

impl Default for Distributions {
    fn default() -> Self {
        Self { duration: Histogram::new(&DURATIONS), event_age: Histogram::new(&AGES) }
    }
}

impl Distributions {
    /// Milliseconds, where the metric has a distribution.
    fn record(&mut self, metric: FunctionMetric, value: f64) {
        if metric == FunctionMetric::Duration {
            self.duration.record(value / 1000.0);
        } else if metric == FunctionMetric::AsyncEventAge {
            self.event_age.record(value / 1000.0);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.duration.merge(&other.duration);
        self.event_age.merge(&other.event_age);
    }
}

/// Of one subject in one minute.
pub(super) struct Entry {
    pub(super) minute: u32,
    pub(super) qualifier: Option<Box<str>>,
    pub(super) version: Option<Box<str>>,
    pub(super) values: Vec<(FunctionMetric, Statistics)>,
}

impl Pending {
    pub(super) fn record(&mut self, at: Timestamp, of: Subject<'_>, values: &[(FunctionMetric, f64)]) {
        let minute = minute(at);
        let room = self.entries < ENTRIES;
        let (entries, qualifier, version) = match of {
            Subject::Account { account, region } => {
                // Once a second; not on the invoke path.
                (self.accounts.entry((account.into(), region.into())).or_default(), None, None)
            }
            Subject::Mapping(key) => (self.mappings.entry(key.clone()).or_default(), None, None),
            Subject::Function { key, qualifier, version } => {
                if !self.functions.contains_key(key) {
                    self.functions.insert(key.clone(), OfFunction::default());
                }
                let Some(OfFunction { entries, distributions }) = self.functions.get_mut(key) else { return };
                values.iter().for_each(|(metric, value)| distributions.record(*metric, *value));
                (entries, qualifier, version)
            }
        };
        // The newest minute is at the end.
        let found = entries.iter_mut().rev().find(|entry| {
            entry.minute == minute
                && entry.qualifier.as_deref() == qualifier
                && entry.version.as_deref() == version
        });
        let entry = match found {
            Some(entry) => entry,
            None if room => {
                self.entries += 1;
                let (qualifier, version) = (qualifier.map(Into::into), version.map(Into::into));
                entries.push(Entry { minute, qualifier, version, values: Vec::new() });
                let last = entries.len() - 1;
                &mut entries[last]
            }
            None => {
                self.lost += values.len() as u64;
                return;
            }
        };
        for (metric, value) in values {
            match entry.values.iter_mut().find(|(known, _)| known == metric) {
                Some((_, statistics)) => statistics.add(*value, 1.0),
                None => {
                    let mut statistics = Statistics::default();
                    statistics.add(*value, 1.0);
                    entry.values.push((*metric, statistics));
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0 && self.lost == 0
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(super) fn into_subjects(self) -> Subjects {
        (self.functions, self.accounts, self.mappings)
    }
}
