//! The metric store: what was recorded and put is summed up in memory, and a thread writes each minute down when it is over.
//! The minutes that are not are in a small file of their own, written anew every five seconds: that much is lost at a
//! `kill -9`.
//!
//! Deliberately not here: CloudWatch's rules (`cloudwatch`), what a file is made of (`file`).

mod figures;
mod shares;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lambkin_model::metric::{FunctionMetric, Metrics, Spread, Subject};
use lambkin_model::name::FunctionKey;
use lambkin_model::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::file::{self, Extent, FRAME_POINTS, Flushed, Point, Writer};
use super::pending::{Distributions, Entry, OfFunction, Pending};
use super::series::Series;
use super::statistics::Statistics;
use crate::OpenError;
use crate::emf::Errors;
use crate::log_writer::millis;
use crate::store::group::GroupKey;
use shares::{Known, Shares};

/// Between two looks at what was recorded.
const TICK: Duration = Duration::from_secs(1);
/// Between two writes of the minutes that are not over.
const KEEP_EVERY: Duration = Duration::from_secs(5);
/// Between two looks for what is too old.
const SWEEP: Duration = Duration::from_secs(300);
/// What is kept: 15 days, as AWS keeps minutes.
pub(super) const MINUTES_KEPT: u32 = 15 * 24 * 60;
/// Most series; beyond, new ones are refused.
const SERIES_MOST: usize = 50_000;
/// Most statistics in memory, and their bytes with those of their series, as the file of open minutes has them; beyond, they are
/// written down early.
const OPEN_MOST: usize = 100_000;
const OPEN_BYTES: usize = 32 << 20;
/// Most functions that have totals of their own; those of all others are one.
const TOTALS_MOST: usize = 2_000;
const KEPT_FILE: &str = "open-minutes";
const NAMESPACE: &str = "AWS/Lambda";
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

/// What happened to a function since lambkin started.
#[derive(Default)]
struct Totals {
    values: BTreeMap<FunctionMetric, Statistics>,
    distributions: Distributions,
}

/// Metrics of account, region and namespace, by the minute.
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

struct State {
    directory: PathBuf,
    cap: u64,
    /// Minute by minute; most are of the current one.
    open: BTreeMap<u32, HashMap<Arc<Series>, Statistics>>,
    open_count: usize,
    open_bytes: usize,
    /// Every series.
    known: BTreeMap<Arc<Series>, Known>,
    shares: Shares,
    /// Older files, the oldest first.
    files: Vec<Extent>,
    writer: Writer,
    flushed: Flushed,
    /// In which minute that was done last: what comes late waits for the next.
    flushed_in: u32,
    /// The file of open minutes is behind.
    behind: bool,
    kept: Instant,
    swept: Option<Instant>,
    totals: HashMap<FunctionKey, Totals>,
    /// Of the functions that have none of their own.
    other_totals: Totals,
    failing: bool,
}

/// The file of minutes that are not over.
#[derive(Serialize, Deserialize)]
struct Kept {
    flushed: Flushed,
    points: Vec<(u32, Series, Statistics)>,
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
        let state = State::open(directory.clone(), config.cap).map_err(failed)?;
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

    /// Takes statistics of a series in a minute since 1970.
    pub(super) fn put(
        &self,
        minute: u32,
        series: Arc<Series>,
        statistics: &Statistics,
    ) -> Result<(), TooManySeries> {
        lock(&self.shared.state).add(minute, series, statistics)
    }

    /// Takes what a document in a group's log lines says of a minute. Returns how many of it were refused.
    pub(crate) fn extract(&self, group: &GroupKey, minute: u32, data: Vec<(Series, Statistics)>) -> usize {
        if data.is_empty() {
            return 0;
        }
        let now = this_minute();
        let mut state = lock(&self.shared.state);
        let refused = data.into_iter().map(|(series, of)| !state.extract(group, now, minute, series, &of));
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
            if let Err(error) = state.add(now, Arc::new(series), &statistics) {
                tracing::warn!(%error, name, "a value of a metric was dropped");
            }
        }
    }

    /// Statistics of each of these series by minute, from one up to, not with, another. Blocking.
    pub(super) fn read(
        &self,
        wanted: &[Arc<Series>],
        minutes: (u32, u32),
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
        let files: Vec<Extent> = {
            let state = lock(&self.shared.state);
            if minutes.0 < minutes.1 {
                for (minute, open) in state.open.range(minutes.0..minutes.1) {
                    for (series, place) in &places {
                        if let Some(statistics) = open.get(*series) {
                            found[*place].entry(*minute).or_default().merge(statistics);
                        }
                    }
                }
            }
            state.files.iter().chain([&state.writer.extent]).cloned().collect()
        };
        for file in files {
            if file.minutes.is_none_or(|(first, last)| first >= minutes.1 || last < minutes.0) {
                continue;
            }
            let read = file::read(&file, &places, minutes, &mut |place, minute, statistics| {
                found[place].entry(minute).or_default().merge(statistics);
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

/// This minute since 1970.
pub(super) fn this_minute() -> u32 {
    u32::try_from(millis() / 60_000).unwrap_or(u32::MAX)
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

impl State {
    fn open(directory: PathBuf, cap: u64) -> io::Result<Self> {
        let mut found: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let number =
                path.file_name().and_then(|name| name.to_str()?.strip_suffix(".metrics")?.parse().ok());
            found.extend(number.map(|number| (number, path)));
        }
        found.sort_unstable();
        let (mut known, mut files, mut flushed) = (BTreeMap::new(), Vec::new(), Flushed::default());
        let mut writer = None;
        let last = found.len().saturating_sub(1);
        for (index, (number, path)) in found.iter().enumerate() {
            let scanned = match file::scan(*number, path, index == last) {
                Ok(scanned) => scanned,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a file of metrics cannot be read; it is left as it is");
                    continue;
                }
            };
            if let Some(error) = scanned.broken {
                tracing::warn!(path = %path.display(), %error, bytes = scanned.extent.bytes, "a file of metrics ends early");
            }
            flushed = scanned.flushed.unwrap_or(flushed);
            if let Some((_, until)) = scanned.extent.minutes {
                for series in &scanned.series {
                    let known = known.entry(Arc::clone(series)).or_insert(Known { last: until, by: None });
                    known.last = until.max(known.last);
                }
            }
            if index == last {
                writer = Some(Writer::reopen(scanned.extent, scanned.series)?);
            } else {
                files.push(scanned.extent);
            }
        }
        let next = found.last().map_or(1, |(number, _)| number + 1);
        let writer = writer.map_or_else(|| Writer::create(&directory, next), Ok)?;
        let mut state = Self {
            directory,
            cap,
            open: BTreeMap::new(),
            open_count: 0,
            open_bytes: 0,
            known,
            shares: Shares::default(),
            files,
            writer,
            flushed,
            flushed_in: 0,
            behind: false,
            kept: Instant::now(),
            swept: None,
            totals: HashMap::new(),
            other_totals: Totals::default(),
            failing: false,
        };
        state.restore();
        Ok(state)
    }

    /// The minutes that were not over when lambkin ended.
    fn restore(&mut self) {
        let path = self.directory.join(KEPT_FILE);
        let kept = fs::read(&path).and_then(|bytes| {
            let (sum, packed) = bytes.split_at_checked(4).ok_or(io::ErrorKind::InvalidData)?;
            if sum != crc32fast::hash(packed).to_le_bytes() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            file::unpack::<Kept>(packed)
        });
        match kept {
            Ok(kept) => {
                // What was written down after this file was is not taken twice.
                let written = if kept.flushed.number < self.flushed.number { self.flushed.before } else { 0 };
                self.flushed =
                    if kept.flushed.number > self.flushed.number { kept.flushed } else { self.flushed };
                for (minute, series, statistics) in kept.points {
                    if minute >= written {
                        let _ = self.add(minute, Arc::new(series), &statistics);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "the last minute of metrics could not be read"),
        }
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum::<u64>() + self.writer.extent.bytes
    }

    fn add(
        &mut self,
        minute: u32,
        series: Arc<Series>,
        statistics: &Statistics,
    ) -> Result<(), TooManySeries> {
        let many = self.known.len() >= SERIES_MOST;
        match self.known.get_mut(&series) {
            Some(known) => known.last = minute.max(known.last),
            None if many => return Err(TooManySeries),
            None => {
                self.known.insert(Arc::clone(&series), Known { last: minute, by: None });
            }
        }
        self.merge(minute, series, statistics);
        Ok(())
    }

    /// Takes statistics out of a group's log lines; `false` where its share is full.
    fn extract(
        &mut self,
        group: &GroupKey,
        now: u32,
        minute: u32,
        series: Series,
        statistics: &Statistics,
    ) -> bool {
        // Most are of a series that has values in this minute already.
        if let Some(open) = self.open.get_mut(&minute).and_then(|open| open.get_mut(&series)) {
            self.open_bytes -= open.bytes();
            open.merge(statistics);
            self.open_bytes += open.bytes();
            self.behind = true;
            return true;
        }
        if !self.shares.may_begin(group, now) {
            return false;
        }
        let found = self.known.get_key_value(&series);
        let (series, is_new, is_owned) =
            match found.map(|(series, known)| (Arc::clone(series), known.by.is_some())) {
                Some((series, is_owned)) => (series, false, is_owned),
                None => (Arc::new(series), true, false),
            };
        let is_taken = !is_owned && self.shares.take(group, &series, self.known.len(), is_new);
        if is_new && !is_taken {
            return false;
        }
        let known = self.known.entry(Arc::clone(&series)).or_insert(Known { last: minute, by: None });
        known.last = minute.max(known.last);
        if is_taken {
            known.by = Some(group.clone());
        }
        self.shares.begin(group);
        self.merge(minute, series, statistics);
        true
    }

    fn merge(&mut self, minute: u32, series: Arc<Series>, statistics: &Statistics) {
        self.behind = true;
        let open = self.open.entry(minute).or_default();
        match open.get_mut(&series) {
            Some(open) => {
                self.open_bytes -= open.bytes();
                open.merge(statistics);
                self.open_bytes += open.bytes();
            }
            None => {
                self.open_count += 1;
                self.open_bytes += series.bytes() + statistics.bytes();
                open.insert(series, statistics.clone());
            }
        }
        if self.open_count > OPEN_MOST || self.open_bytes > OPEN_BYTES {
            self.flush(u32::MAX);
        }
    }

    /// Gives what was recorded of functions to the metrics that AWS has of it: of the account, by function, by resource, and,
    /// of an alias, by the version that ran.
    fn take(&mut self, pending: Pending) {
        if pending.lost > 0 {
            tracing::warn!(
                values = pending.lost,
                "values of metrics were dropped: too many functions at once"
            );
        }
        let (functions, accounts) = pending.into_functions();
        for ((account, region), entries) in accounts {
            for (minute, metric, statistics) in values(&entries) {
                self.add_function_metric((&account, &region), minute, metric, &[], statistics);
            }
        }
        for (key, of_function) in functions {
            self.total(&key, &of_function);
            let place = (&*key.account, &*key.region);
            for entry in &of_function.entries {
                let qualifier = entry.qualifier.as_deref();
                let resource =
                    qualifier.map_or_else(|| key.name.to_string(), |of| format!("{}:{of}", key.name));
                let by_function = ("FunctionName", &*key.name);
                let by_resource = ("Resource", &*resource);
                let is_alias = qualifier.is_some_and(|of| entry.version.as_deref() != Some(of));
                for (metric, statistics) in &entry.values {
                    let mut add = |dimensions: &[(&str, &str)]| {
                        self.add_function_metric(place, entry.minute, *metric, dimensions, statistics);
                    };
                    let spread = metric.spread();
                    add(&[by_function]);
                    if spread >= Spread::Account {
                        add(&[]);
                    }
                    if spread >= Spread::Resources {
                        add(&[by_function, by_resource]);
                        let told = is_alias || spread >= Spread::Versions;
                        if let Some(version) = entry.version.as_deref().filter(|_| told) {
                            add(&[("ExecutedVersion", version), by_function, by_resource]);
                        }
                    }
                }
            }
        }
    }

    fn add_function_metric(
        &mut self,
        (account, region): (&str, &str),
        minute: u32,
        metric: FunctionMetric,
        dimensions: &[(&str, &str)],
        statistics: &Statistics,
    ) {
        let series = Series {
            account: account.into(),
            region: region.into(),
            namespace: NAMESPACE.into(),
            name: metric.name().into(),
            dimensions: dimensions.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            unit: metric.unit().into(),
        };
        if let Err(error) = self.add(minute, Arc::new(series), statistics) {
            tracing::warn!(%error, metric = metric.name(), "a value of a metric was dropped");
        }
    }

    fn total(&mut self, key: &FunctionKey, of_function: &OfFunction) {
        let totals = if self.totals.len() >= TOTALS_MOST && !self.totals.contains_key(key) {
            &mut self.other_totals
        } else {
            self.totals.entry(key.clone()).or_default()
        };
        for (_, metric, statistics) in values(&of_function.entries) {
            totals.values.entry(metric).or_default().merge(statistics);
        }
        totals.distributions.merge(&of_function.distributions);
    }

    fn tick(&mut self, closing: bool) {
        let now = this_minute();
        if closing || now != self.flushed_in {
            self.flushed_in = now;
            self.flush(now);
        }
        if self.behind && (closing || self.kept.elapsed() >= KEEP_EVERY) {
            let kept = self.keep();
            self.told(kept.err());
        }
        if self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) || self.bytes() > self.cap {
            self.sweep(now);
            self.swept = Some(Instant::now());
        }
    }

    fn told(&mut self, error: Option<io::Error>) {
        match error {
            Some(error) if !std::mem::replace(&mut self.failing, true) => {
                tracing::error!(%error, "metrics cannot be written; they stay in memory");
            }
            Some(_) => {}
            None => self.failing = false,
        }
    }

    /// Writes down what is of minutes before this one.
    fn flush(&mut self, before: u32) {
        let later = self.open.split_off(&before);
        let over = std::mem::replace(&mut self.open, later);
        let points: Vec<Point> = over
            .into_iter()
            .flat_map(|(minute, open)| {
                open.into_iter().map(move |(series, statistics)| (minute, series, statistics))
            })
            .collect();
        self.open_count = self.open.values().map(HashMap::len).sum();
        self.open_bytes = self.open.values().flatten().map(|(series, of)| series.bytes() + of.bytes()).sum();
        if points.is_empty() {
            return;
        }
        let mut chunks = points.chunks(FRAME_POINTS);
        // Of several frames the last alone says that all is written: what it does not say so of is then taken twice at most.
        let mut written = 0;
        let failed = chunks.by_ref().find_map(|chunk| {
            let whole = written + chunk.len() == points.len();
            let before = if whole { before } else { self.flushed.before };
            let flushed = Flushed { number: self.flushed.number + 1, before };
            match self.rotate().and_then(|()| self.writer.append(chunk, flushed)) {
                Ok(()) => {
                    self.flushed = flushed;
                    written += chunk.len();
                    None
                }
                Err(error) => Some(error),
            }
        });
        if let Some(error) = failed {
            // Where the disk stays full, memory is bounded: the oldest go.
            let room = OPEN_MOST.saturating_sub(self.open_count) / 2;
            for (minute, series, statistics) in points.into_iter().skip(written).rev().take(room) {
                self.open_bytes += series.bytes() + statistics.bytes();
                self.open_count += 1;
                self.open.entry(minute).or_default().entry(series).or_default().merge(&statistics);
                if self.open_bytes > OPEN_BYTES / 2 {
                    break;
                }
            }
            return self.told(Some(error));
        }
        // At once: until then a crash relies on what the last frame says.
        let kept = self.keep();
        self.told(kept.err());
    }

    /// A file takes a sixteenth of the cap, or a day.
    fn rotate(&mut self) -> io::Result<()> {
        if self.writer.extent.bytes < (self.cap / 16).max(1 << 16) && !self.is_a_day_old() {
            return Ok(());
        }
        let next = Writer::create(&self.directory, self.writer.extent.number + 1)?;
        let full = std::mem::replace(&mut self.writer, next);
        self.files.push(full.extent);
        Ok(())
    }

    /// Whether its last minute is of a former day.
    fn is_a_day_old(&self) -> bool {
        self.writer.extent.minutes.is_some_and(|(_, last)| last / (24 * 60) < this_minute() / (24 * 60))
    }

    /// Writes the minutes that are not over.
    fn keep(&mut self) -> io::Result<()> {
        let points = self.open.iter().flat_map(|(minute, open)| {
            open.iter().map(|(series, statistics)| (*minute, Series::clone(series), statistics.clone()))
        });
        let packed = file::pack(&Kept { flushed: self.flushed, points: points.collect() })?;
        let mut bytes = crc32fast::hash(&packed).to_le_bytes().to_vec();
        bytes.extend(packed);
        let (path, new) = (self.directory.join(KEPT_FILE), self.directory.join("open-minutes.new"));
        self.kept = Instant::now();
        fs::write(&new, bytes)?;
        fs::rename(&new, &path)?;
        self.behind = false;
        Ok(())
    }

    /// Removes what is too old, and the oldest of what is beyond the cap.
    fn sweep(&mut self, now: u32) {
        let since = now.saturating_sub(MINUTES_KEPT);
        while let Some(oldest) = self.files.first() {
            let expired = oldest.minutes.is_none_or(|(_, last)| last < since);
            let beyond = self.bytes() > self.cap;
            if !expired && !beyond {
                break;
            }
            if let Err(error) = fs::remove_file(&oldest.path) {
                tracing::error!(%error, path = %oldest.path.display(), "old metrics cannot be removed");
                break;
            }
            if !expired {
                tracing::warn!(cap = self.cap, "old metrics were dropped: they may take no more of the disk");
            }
            self.files.remove(0);
        }
        let before = self.known.len();
        self.known.retain(|_, known| known.last >= since);
        if self.known.len() < before {
            self.shares.count(&self.known);
        }
    }
}

fn values(entries: &[Entry]) -> impl Iterator<Item = (u32, FunctionMetric, &Statistics)> {
    entries
        .iter()
        .flat_map(|entry| entry.values.iter().map(|(metric, statistics)| (entry.minute, *metric, statistics)))
}

#[cfg(test)]
mod tests;
