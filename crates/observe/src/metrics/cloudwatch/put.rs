//! PutMetricData.

use std::sync::Arc;

use super::{CloudWatch, Metric, MetricsError, Seconds, second_of};
use crate::log_writer::millis;
use crate::metrics::resolution::{At, StorageResolution};
use crate::metrics::statistics::Statistics;

/// Most data of one call.
const DATA: usize = 1000;
/// Most values of one datum.
const VALUES: usize = 150;
/// Most dimensions.
pub(crate) const DIMENSIONS: usize = 30;
/// How old values may be, and how far in the future: two weeks and two hours.
pub(crate) const PAST: Seconds = 14.0 * 86_400.0;
pub(crate) const FUTURE: Seconds = 2.0 * 3600.0;

/// What is put of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// Which.
    pub metric: Metric,
    /// Now, where none is given.
    pub at: Option<Seconds>,
    /// `None` is CloudWatch's `None`.
    pub unit: Option<String>,
    /// Whatever of these was given.
    pub values: Values,
    /// 1 or 60, which is the default.
    pub resolution: Option<i64>,
}

/// The forms in which values come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// `Value`.
    pub value: Option<f64>,
    /// `Values`.
    pub values: Vec<f64>,
    /// `Counts`.
    pub counts: Vec<f64>,
    /// `StatisticValues`: number, sum, minimum, maximum.
    pub set: Option<(f64, f64, f64, f64)>,
}

impl CloudWatch {
    /// PutMetricData: all of it, or nothing where something is wrong with it.
    pub fn put(&self, namespace: &str, data: &[Datum]) -> Result<(), MetricsError> {
        if namespace.starts_with("AWS/") {
            return Err(MetricsError::InvalidValue(
                "The value AWS/ for parameter Namespace is invalid.".into(),
            ));
        }
        if data.is_empty() {
            return Err(MetricsError::Missing("The parameter MetricData is required.".into()));
        }
        if data.len() > DATA {
            return Err(MetricsError::InvalidValue(format!(
                "The collection MetricData must not have a size greater than {DATA}."
            )));
        }
        let now = now();
        let mut read = Vec::with_capacity(data.len());
        for (index, datum) in data.iter().enumerate() {
            let name = format!("MetricData.member.{}", index + 1);
            let (resolution, statistics) = checked(datum, &name, now)?;
            let series = datum.metric.series(datum.unit.as_deref().unwrap_or("None"));
            let at = At { second: second_of(datum.at.unwrap_or(now)), resolution };
            read.push((at, Arc::new(series), statistics));
        }
        for (at, series, statistics) in read {
            let put = self.store.put(at, series, &statistics);
            put.map_err(|error| MetricsError::LimitExceeded(format!("lambkin keeps no {error}.")))?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
pub(super) fn now() -> Seconds {
    millis() as f64 / 1000.0
}

fn checked(datum: &Datum, name: &str, now: Seconds) -> Result<(StorageResolution, Statistics), MetricsError> {
    let invalid = |text: String| Err(MetricsError::InvalidValue(text));
    if let Some(at) = datum.at {
        if !at.is_finite() {
            return invalid(format!("The value {at} for parameter {name}.Timestamp is invalid."));
        }
        if at < now - PAST {
            return invalid(format!(
                "The parameter {name}.Timestamp must specify a time no more than two weeks in the past."
            ));
        }
        if at > now + FUTURE {
            return invalid(format!(
                "The parameter {name}.Timestamp must specify a time no more than two hours in the future."
            ));
        }
    }
    let Some(resolution) = StorageResolution::of(datum.resolution.unwrap_or(60)) else {
        return invalid(format!(
            "The parameter {name}.StorageResolution must be a value in the set [ 1, 60 ]."
        ));
    };
    let dimensions = &datum.metric.dimensions;
    if dimensions.len() > DIMENSIONS {
        return invalid(format!(
            "The collection {name}.Dimensions must not have a size greater than {DIMENSIONS}."
        ));
    }
    for (number, (dimension, value)) in dimensions.iter().enumerate() {
        let part = format!("{name}.Dimensions.member.{}", number + 1);
        if dimension.starts_with(':') || !visible(dimension) {
            return invalid(format!("The value {dimension} for parameter {part}.Name is invalid."));
        }
        if !visible(value) {
            return invalid(format!("The value {value} for parameter {part}.Value is invalid."));
        }
        if dimensions[..number].iter().any(|(before, _)| before == dimension) {
            return invalid(format!("The dimension {dimension} of {name} is given twice."));
        }
    }
    Ok((resolution, read(&datum.values, name)?))
}

/// Dimensions are of ASCII, and have something that is not a space.
pub(crate) fn visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control())
        && text.bytes().any(|byte| byte.is_ascii_graphic())
}

/// AWS's bounds: 2^360 to both sides.
pub(crate) fn fits(value: f64) -> bool {
    value.is_finite() && value.abs() <= 360_f64.exp2()
}

fn read(given: &Values, name: &str) -> Result<Statistics, MetricsError> {
    let Values { value, values, counts, set } = given;
    let both = |one: &str, other: &str| {
        Err(MetricsError::InvalidCombination(format!(
            "The parameters {name}.{one} and {name}.{other} are mutually exclusive and you have specified both."
        )))
    };
    let fits = |value: f64, member: &str| {
        if fits(value) {
            return Ok(value);
        }
        Err(MetricsError::InvalidValue(format!(
            "The value {value} for parameter {name}.{member} is invalid."
        )))
    };
    let number = |count: f64, member: &str| {
        let count = fits(count, member)?;
        let valid = count > 0.0;
        valid.then_some(count).ok_or_else(|| {
            MetricsError::InvalidValue(format!("The value {count} for parameter {name}.{member} is invalid."))
        })
    };
    let mut statistics = Statistics::default();
    match (value, values.as_slice(), set) {
        (Some(_), [_, ..], _) => return both("Value", "Values"),
        (Some(_), _, Some(_)) => return both("Value", "StatisticValues"),
        (None, [_, ..], Some(_)) => return both("Values", "StatisticValues"),
        (None, [], None) => {
            return Err(MetricsError::InvalidCombination(
                "At least one of the parameters must be specified.".into(),
            ));
        }
        (Some(value), [], None) => statistics.add(fits(*value, "Value")?, 1.0),
        (None, [], Some((count, sum, minimum, maximum))) => {
            let count = number(*count, "StatisticValues.SampleCount")?;
            let minimum = fits(*minimum, "StatisticValues.Minimum")?;
            let maximum = fits(*maximum, "StatisticValues.Maximum")?;
            if minimum > maximum {
                return Err(MetricsError::InvalidValue(format!(
                    "The parameter {name}.StatisticValues.Maximum must be greater than {name}.StatisticValues.Minimum."
                )));
            }
            statistics.add_set(count, fits(*sum, "StatisticValues.Sum")?, minimum, maximum);
        }
        (None, values @ [_, ..], None) => {
            if values.len() > VALUES {
                return Err(MetricsError::InvalidValue(format!(
                    "The collection {name}.Values must not have a size greater than {VALUES}."
                )));
            }
            if !counts.is_empty() && counts.len() != values.len() {
                return Err(MetricsError::InvalidValue(format!(
                    "The parameters {name}.Values and {name}.Counts must be of the same size."
                )));
            }
            for (index, value) in values.iter().enumerate() {
                let count = counts.get(index).copied().unwrap_or(1.0);
                statistics.add(fits(*value, "Values")?, number(count, "Counts")?);
            }
        }
    }
    Ok(statistics)
}
