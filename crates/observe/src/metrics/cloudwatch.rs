//! CloudWatch's operations on metrics, with its rules and words.
//!
//! Deliberately not here: the wire (`api`), alarms and dashboards, which lambkin does not do.

mod data;
mod error;
mod list;
mod math;
mod put;
mod statistics;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use data::{Data, DataQuery, DataResult, Expressed};
pub use error::MetricsError;
pub use list::{Listed, Wanted};
pub(crate) use put::{DIMENSIONS, FUTURE, PAST, fits, visible};
pub use put::{Datum, Values};
pub use statistics::{Datapoint, Stat, StatisticsQuery};

use super::metric_store::MetricStore;
use super::resolution::{MINUTES, SECONDS, StorageResolution, this_second};
use super::series::Series;
use super::statistics::Statistics;

/// The service. Cheap to clone; everything blocks.
#[derive(Debug, Clone)]
pub struct CloudWatch {
    store: Arc<MetricStore>,
}

/// A metric of an account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
    /// Such as `AWS/Lambda`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// In any order.
    pub dimensions: Vec<(String, String)>,
}

impl Metric {
    fn series(&self, unit: &str) -> Series {
        let mut dimensions: Vec<(Arc<str>, Arc<str>)> = self
            .dimensions
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect();
        dimensions.sort();
        Series {
            account: self.account.as_str().into(),
            region: self.region.as_str().into(),
            namespace: self.namespace.as_str().into(),
            name: self.name.as_str().into(),
            dimensions: dimensions.into(),
            unit: unit.into(),
        }
    }
}

/// A time in seconds since 1970, of which clients give parts too.
pub type Seconds = f64;

/// The second that a time is in.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn second_of(at: Seconds) -> u32 {
    at.floor() as u32
}

/// Seconds of a request's time: the first rounded down as CloudWatch does, to the minute, or to where a shorter period begins in
/// it; the last is rounded up to where no such part is left out.
fn span((start, end): (Seconds, Seconds), period: u32) -> (u32, u32) {
    let step = period.min(60);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let end = end.ceil() as u32;
    let end = if is_short(period) { end } else { end.div_ceil(step).saturating_mul(step) };
    (second_of(start) / step * step, end)
}

/// Whether a period is of seconds, which are told for as long as seconds are kept.
fn is_short(period: u32) -> bool {
    period < MINUTES.seconds
}

/// A series with its statistics by the beginning of each period.
type Periods = (Arc<Series>, BTreeMap<u32, Statistics>);

impl CloudWatch {
    /// Over this store.
    #[must_use]
    pub fn new(store: Arc<MetricStore>) -> Self {
        Self { store }
    }

    /// The series of metrics, in every unit or in one, with their statistics by period. Periods begin at `start`.
    fn periods(
        &self,
        metrics: &[(&Metric, Option<&str>, u32)],
        time: (Seconds, Seconds),
    ) -> Result<Vec<Vec<Periods>>, MetricsError> {
        let now = this_second();
        let oldest = MINUTES.oldest(now);
        let mut wanted: Vec<Arc<Series>> = Vec::new();
        let mut places = Vec::new();
        for (metric, unit, _) in metrics {
            let of = metric.series(unit.unwrap_or_default());
            let found = self.store.list(oldest, |series| match unit {
                Some(_) => *series == of,
                None => series.is_metric_of(&of),
            });
            places.push(wanted.len()..wanted.len() + found.len());
            wanted.extend(found);
        }
        let internal = |error: std::io::Error| MetricsError::Internal(error.to_string());
        let (first, until) = span(time, MINUTES.seconds);
        let minutes = (MINUTES.slot(first).max(oldest), MINUTES.slot(until));
        // Minutes first: what comes between is a second without a minute, which is told, and not twice.
        let by_minute = self.store.read(&wanted, StorageResolution::Standard, minutes).map_err(internal)?;
        let by_second = if metrics.iter().any(|(.., period)| is_short(*period)) {
            let seconds = (first.max(SECONDS.oldest(now) / 60 * 60), until);
            self.store.read(&wanted, StorageResolution::High, seconds).map_err(internal)?
        } else {
            vec![BTreeMap::new(); wanted.len()]
        };
        let mut found = Vec::new();
        for ((.., period), places) in metrics.iter().zip(places) {
            let (first, until) = span(time, *period);
            let from = if is_short(*period) { first.max(SECONDS.oldest(now)) } else { first };
            let of_metric = places.map(|place| {
                let mut periods: BTreeMap<u32, Statistics> = BTreeMap::new();
                let mut add = |second: u32, statistics: &Statistics| {
                    if (from..until).contains(&second) {
                        let begin = first + (second - first) / period * period;
                        periods.entry(begin).or_default().merge(statistics);
                    }
                };
                let seconds = &by_second[place];
                if is_short(*period) {
                    seconds.iter().for_each(|(second, statistics)| add(*second, statistics));
                }
                for (minute, statistics) in &by_minute[place] {
                    // Where it has seconds, they are its values.
                    let begin = minute * MINUTES.seconds;
                    let has_seconds = seconds.range(begin..begin + MINUTES.seconds).next().is_some();
                    if !(is_short(*period) && has_seconds) {
                        add(begin, statistics);
                    }
                }
                (Arc::clone(&wanted[place]), periods)
            });
            found.push(of_metric.collect());
        }
        Ok(found)
    }
}

/// A period in seconds.
fn period(seconds: i64, parameter: &str) -> Result<u32, MetricsError> {
    let wrong = || {
        MetricsError::InvalidValue(format!(
            "The parameter {parameter} must be a value in the set [ 1, 5, 10, 20, 30 ] or a multiple of 60."
        ))
    };
    match seconds {
        1 | 5 | 10 | 20 | 30 => {}
        seconds if seconds >= 60 && seconds % 60 == 0 => {}
        _ => return Err(wrong()),
    }
    u32::try_from(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
