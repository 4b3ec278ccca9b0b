//! What the store knows: every series, its values by the minute and by the second, and what functions did since lambkin started.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lambkin_model::name::FunctionKey;

use super::functions::Totals;
use super::shares::{Known, Shares};
use super::{SERIES_MOST, TooManySeries};
use crate::metrics::archive::Archive;
use crate::metrics::resolution::{At, MINUTES, SECONDS, StorageResolution, this_minute, this_second};
use crate::metrics::series::Series;
use crate::metrics::statistics::Statistics;
use crate::store::group::GroupKey;

/// Between two writes of what is not over.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// Between two looks for what is too old.
const SWEEP: Duration = Duration::from_secs(300);
/// The part of the cap that seconds may take: they go sooner than minutes, which have their sums.
const CAP_OF_SECONDS: u64 = 4;

pub(super) struct State {
    pub(super) cap: u64,
    pub(super) minutes: Archive,
    pub(super) seconds: Archive,
    /// Every series.
    pub(super) known: BTreeMap<Arc<Series>, Known>,
    pub(super) shares: Shares,
    /// In which minute what was over was written down last: what comes late waits for the next.
    flushed_in: u32,
    kept: Instant,
    swept: Option<Instant>,
    pub(super) totals: HashMap<FunctionKey, Totals>,
    /// Of the functions that have none of their own.
    pub(super) other_totals: Totals,
}

impl State {
    pub(super) fn open(directory: &Path, cap: u64) -> io::Result<Self> {
        let (minutes, series) = Archive::open(directory.to_owned(), &MINUTES, cap)?;
        // Their series have minutes too.
        let (seconds, _) = Archive::open(directory.join("seconds"), &SECONDS, cap / CAP_OF_SECONDS)?;
        Ok(Self {
            cap,
            minutes,
            seconds,
            known: series.into_iter().map(|(series, last)| (series, Known { last, by: None })).collect(),
            shares: Shares::default(),
            flushed_in: 0,
            kept: Instant::now(),
            swept: None,
            totals: HashMap::new(),
            other_totals: Totals::default(),
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.minutes.bytes() + self.seconds.bytes()
    }

    pub(super) fn archive(&self, resolution: StorageResolution) -> &Archive {
        match resolution {
            StorageResolution::Standard => &self.minutes,
            StorageResolution::High => &self.seconds,
        }
    }

    pub(super) fn add(
        &mut self,
        at: At,
        series: Arc<Series>,
        statistics: &Statistics,
    ) -> Result<(), TooManySeries> {
        let minute = MINUTES.slot(at.second);
        let many = self.known.len() >= SERIES_MOST;
        match self.known.get_mut(&series) {
            Some(known) => known.last = minute.max(known.last),
            None if many => return Err(TooManySeries),
            None => {
                self.known.insert(Arc::clone(&series), Known { last: minute, by: None });
            }
        }
        if has_seconds(at) {
            self.seconds.merge(at.second, Arc::clone(&series), statistics);
        }
        self.minutes.merge(minute, series, statistics);
        Ok(())
    }

    /// Takes statistics out of a group's log lines; `false` where its share is full.
    pub(super) fn extract(
        &mut self,
        group: &GroupKey,
        now: u32,
        at: At,
        series: Series,
        statistics: &Statistics,
    ) -> bool {
        let (minute, has_seconds) = (MINUTES.slot(at.second), has_seconds(at));
        // Most are of a series that has values in this minute already.
        if !has_seconds && self.minutes.merge_into_open(minute, &series, statistics) {
            return true;
        }
        let Some(series) = self.extract_minute(group, now, minute, series, statistics) else { return false };
        if !has_seconds || self.seconds.merge_into_open(at.second, &series, statistics) {
            return true;
        }
        let begins = self.shares.may_begin(group, now, StorageResolution::High);
        if begins {
            self.shares.begin(group, StorageResolution::High);
            self.seconds.merge(at.second, series, statistics);
        }
        begins
    }

    /// The series as it is known; `None` where the share is full.
    fn extract_minute(
        &mut self,
        group: &GroupKey,
        now: u32,
        minute: u32,
        series: Series,
        statistics: &Statistics,
    ) -> Option<Arc<Series>> {
        let found = self.known.get_key_value(&series);
        let (series, is_new, is_owned) =
            match found.map(|(series, known)| (Arc::clone(series), known.by.is_some())) {
                Some((series, is_owned)) => (series, false, is_owned),
                None => (Arc::new(series), true, false),
            };
        if !is_new && self.minutes.merge_into_open(minute, &series, statistics) {
            return Some(series);
        }
        if !self.shares.may_begin(group, now, StorageResolution::Standard) {
            return None;
        }
        let is_taken = !is_owned && self.shares.take(group, &series, self.known.len(), is_new);
        if is_new && !is_taken {
            return None;
        }
        let known = self.known.entry(Arc::clone(&series)).or_insert(Known { last: minute, by: None });
        known.last = minute.max(known.last);
        if is_taken {
            known.by = Some(group.clone());
        }
        self.shares.begin(group, StorageResolution::Standard);
        self.minutes.merge(minute, Arc::clone(&series), statistics);
        Some(series)
    }

    pub(super) fn tick(&mut self, closing: bool) {
        let now = this_minute();
        if closing || now != self.flushed_in {
            self.flushed_in = now;
            self.minutes.flush_before_minute(now);
            self.seconds.flush_before_minute(now);
        }
        if closing || self.kept.elapsed() >= KEEP_EVERY {
            self.kept = Instant::now();
            self.minutes.keep_what_is_open();
            self.seconds.keep_what_is_open();
        }
        let beyond = self.bytes() > self.cap || self.seconds.bytes() > self.seconds.cap;
        if beyond || self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
            self.sweep(this_second());
            self.swept = Some(Instant::now());
        }
    }

    /// Removes what is too old, and the oldest of what is beyond the cap.
    pub(super) fn sweep(&mut self, now: u32) {
        self.seconds.sweep(now);
        self.minutes.cap = self.cap.saturating_sub(self.seconds.bytes());
        self.minutes.sweep(now);
        let (before, since) = (self.known.len(), MINUTES.oldest(now));
        self.known.retain(|_, known| known.last >= since);
        if self.known.len() < before {
            self.shares.count(&self.known);
        }
    }
}

/// Whether values of this time are kept by the second: CloudWatch has them for three hours.
fn has_seconds(at: At) -> bool {
    at.resolution == StorageResolution::High && at.second >= SECONDS.oldest(this_second())
}
