//! The metric store: what was recorded and put is summed up in memory, and a thread writes each minute down when it is over.
//! What is not over is in small files, written anew every five seconds: that much is lost at a `kill -9`.
//!
//! Deliberately not here: CloudWatch's rules (`cloudwatch`), what is kept of one resolution (`archive`).

mod figures;
mod functions;
mod shares;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use lambkin_model::metric::{FunctionMetric, Metrics, Subject};
use lambkin_model::time::Timestamp;

use super::file;
use super::pending::Pending;
use super::resolution::{At, StorageResolution, this_minute};
use super::series::Series;
use super::statistics::Statistics;
use crate::OpenError;
use crate::emf::Errors;
use crate::store::group::GroupKey;
use state::State;

/// Between two looks at what was recorded.
const TICK: Duration = Duration::from_secs(1);
/// Most series; beyond, new ones are refused.
const SERIES_MOST: usize = 50_000;
/// Of what is measured of log groups.
const LOGS: &str = "AWS/Logs";

/// Bounds of the metric store.
#[derive(Debug, Clone)]
pub struct MetricConfig {
    /// Bytes on disk beyond which the oldest go, with a warning.
    pub cap: u64,
}

impl Default for MetricConfig {
    fn default() -> Self {
        Self { cap: 1 << 30 }
    }
}

/// Metrics of account, region and namespace, by the minute and, where they were put so, by the second.
pub struct MetricStore {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    pending: Mutex<Pending>,
    state: Mutex<State>,
    /// What has figures of this moment adds them before each look.
    sampler: Mutex<Option<Box<dyn Fn() + Send>>>,
    closing: Mutex<bool>,
    wake: Condvar,
}

/// There are too many series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {SERIES_MOST} metrics")]
pub struct TooManySeries;

impl std::fmt::Debug for MetricStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricStore").finish_non_exhaustive()
    }
}

impl MetricStore {
    /// Opens `metrics/` below a data directory; makes it, readable by its owner alone. Blocking.
    pub fn open(directory: &Path, config: &MetricConfig) -> Result<Self, OpenError> {
        let directory = directory.join("metrics");
        let failed = |source| OpenError { path: directory.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
        let state = State::open(&directory, config.cap).map_err(failed)?;
        let shared = Arc::new(Shared {
            pending: Mutex::default(),
            state: Mutex::new(state),
            sampler: Mutex::default(),
            closing: Mutex::new(false),
            wake: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("lambkin-metrics".into())
            .spawn(move || own.run())
            .map_err(failed)?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Asks this for what is measured at a moment, each second.
    pub fn sample(&self, sampler: impl Fn() + Send + 'static) {
        *lock(&self.shared.sampler) = Some(Box::new(sampler));
    }

    /// Takes statistics of a series.
    pub(super) fn put(
        &self,
        at: At,
        series: Arc<Series>,
        statistics: &Statistics,
    ) -> Result<(), TooManySeries> {
        lock(&self.shared.state).add(at, series, statistics)
    }

    /// Takes what a document in a group's log lines says. Returns how many of it were refused.
    pub(crate) fn extract(&self, group: &GroupKey, data: Vec<(At, Series, Statistics)>) -> usize {
        if data.is_empty() {
            return 0;
        }
        let now = this_minute();
        let mut state = lock(&self.shared.state);
        let refused = data.into_iter().map(|(at, series, of)| !state.extract(group, now, at, series, &of));
        refused.map(usize::from).sum()
    }

    /// Counts what could not be taken of a group's log lines, as CloudWatch counts it.
    pub(crate) fn extraction_errors(&self, group: &GroupKey, errors: Errors) {
        let now = this_minute();
        let mut state = lock(&self.shared.state);
        for (name, count) in
            [("EMFParsingErrors", errors.parsing), ("EMFValidationErrors", errors.validation)]
        {
            if count == 0 {
                continue;
            }
            let series = Series {
                account: Arc::clone(&group.account),
                region: Arc::clone(&group.region),
                namespace: LOGS.into(),
                name: name.into(),
                dimensions: Arc::from([("LogGroupName".into(), Arc::clone(&group.name))]),
                unit: "None".into(),
            };
            let mut statistics = Statistics::default();
            #[expect(clippy::cast_precision_loss, reason = "a number of log lines")]
            statistics.add(1.0, count as f64);
            if let Err(error) = state.add(At::minute(now), Arc::new(series), &statistics) {
                tracing::warn!(%error, name, "a value of a metric was dropped");
            }
        }
    }

    /// Statistics of each of these series by minute or second since 1970, from one up to, not with, another. Blocking.
    pub(super) fn read(
        &self,
        wanted: &[Arc<Series>],
        resolution: StorageResolution,
        slots: (u32, u32),
    ) -> io::Result<Vec<BTreeMap<u32, Statistics>>> {
        self.shared.look();
        // A series is wanted once for each statistic that is asked of it, and read once.
        let mut places: HashMap<&Series, usize> = HashMap::new();
        let mut place_of = Vec::with_capacity(wanted.len());
        for series in wanted {
            let next = places.len();
            place_of.push(*places.entry(&**series).or_insert(next));
        }
        let mut found: Vec<BTreeMap<u32, Statistics>> = vec![BTreeMap::new(); places.len()];
        if slots.0 >= slots.1 {
            return Ok(place_of.iter().map(|_| BTreeMap::new()).collect());
        }
        let files = {
            let state = lock(&self.shared.state);
            let archive = state.archive(resolution);
            for (slot, open) in archive.open.range(slots.0..slots.1) {
                for (series, place) in &places {
                    if let Some(statistics) = open.get(*series) {
                        found[*place].entry(*slot).or_default().merge(statistics);
                    }
                }
            }
            archive.extents()
        };
        for file in files {
            if file.slots.is_none_or(|(first, last)| first >= slots.1 || last < slots.0) {
                continue;
            }
            let read = file::read(&file, &places, slots, &mut |place, slot, statistics| {
                found[place].entry(slot).or_default().merge(statistics);
            });
            match read {
                Ok(()) => {}
                // It went for its age meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(place_of.iter().map(|place| found[*place].clone()).collect())
    }

    /// The series for which `wanted` holds and that have values since a minute, in order.
    pub(super) fn list(&self, since: u32, wanted: impl Fn(&Series) -> bool) -> Vec<Arc<Series>> {
        self.shared.look();
        let state = lock(&self.shared.state);
        let known = state.known.iter().filter(|(series, known)| known.last >= since && wanted(series));
        known.map(|(series, _)| Arc::clone(series)).collect()
    }

    /// Writes everything down and ends the thread. Blocking.
    pub fn close(&self) {
        *lock(&self.shared.closing) = true;
        self.shared.wake.notify_all();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the metrics failed");
        }
    }
}

impl Drop for MetricStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Metrics for MetricStore {
    fn record(&self, at: Timestamp, of: Subject<'_>, values: &[(FunctionMetric, f64)]) {
        lock(&self.shared.pending).record(at, of, values);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn run(&self) {
        loop {
            let closing = {
                let closing = lock(&self.closing);
                let waited = self.wake.wait_timeout_while(closing, TICK, |closing| !*closing);
                *waited.unwrap_or_else(PoisonError::into_inner).0
            };
            self.look();
            let mut state = lock(&self.state);
            state.tick(closing);
            if closing {
                return;
            }
        }
    }

    /// Takes over what was recorded.
    fn look(&self) {
        if let Some(sampler) = &*lock(&self.sampler) {
            sampler();
        }
        // One after the other: who comes second sees what the first took.
        let mut state = lock(&self.state);
        let pending = {
            let mut pending = lock(&self.pending);
            if pending.is_empty() {
                return;
            }
            pending.take()
        };
        state.take(pending);
    }
}

#[cfg(test)]
mod tests;
