//! CloudWatch's operations on metrics, with its rules and words.
//!
//! Deliberately not here: the wire (`api`), alarms, dashboards and metric math, which lambkin does not do.

mod data;
mod error;
mod list;
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

use super::metric_store::{MINUTES_KEPT, MetricStore, this_minute};
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

/// The minute that a time is in.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn minute_of(at: Seconds) -> u32 {
    (at / 60.0).floor() as u32
}

/// Minutes of a request's time: the first rounded down as CloudWatch does, and what is no longer kept left out.
fn minutes(start: Seconds, end: Seconds) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let end = (end / 60.0).ceil() as u32;
    (minute_of(start), end)
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
        (start, end): (Seconds, Seconds),
    ) -> Result<Vec<Vec<Periods>>, MetricsError> {
        let (first, until) = minutes(start, end);
        let oldest = this_minute().saturating_sub(MINUTES_KEPT);
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
        let read = self.store.read(&wanted, (first.max(oldest), until));
        let read = read.map_err(|error| MetricsError::Internal(error.to_string()))?;
        let mut found = Vec::new();
        for ((_, _, period), places) in metrics.iter().zip(places) {
            let of_metric = places.map(|place| {
                let mut periods: BTreeMap<u32, Statistics> = BTreeMap::new();
                for (minute, statistics) in &read[place] {
                    let begin = first + (minute - first) / period * period;
                    periods.entry(begin).or_default().merge(statistics);
                }
                (Arc::clone(&wanted[place]), periods)
            });
            found.push(of_metric.collect());
        }
        Ok(found)
    }
}

/// A period in whole minutes.
fn period(seconds: i64, parameter: &str) -> Result<u32, MetricsError> {
    let wrong = || {
        MetricsError::InvalidValue(format!(
            "The parameter {parameter} must be a value in the set [1, 5, 10, 20, 30] or a multiple of 60."
        ))
    };
    match seconds {
        // Nothing is kept by the second: a minute's values stand at its beginning.
        1 | 5 | 10 | 20 | 30 => Ok(1),
        seconds if seconds >= 60 && seconds % 60 == 0 => u32::try_from(seconds / 60).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests;
