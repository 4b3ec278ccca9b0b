//! GetMetricStatistics, and what a statistic is.

use std::collections::BTreeMap;

use super::{CloudWatch, Metric, MetricsError, Seconds, period, span};
use crate::metrics::statistics::Statistics;

/// Most data points of one answer.
const DATAPOINTS: u32 = 1440;

/// One statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stat {
    /// How many values.
    SampleCount,
    /// Their mean.
    Average,
    /// Their sum.
    Sum,
    /// The smallest.
    Minimum,
    /// The largest.
    Maximum,
    /// What so many percent are not above.
    Percentile(f64),
}

impl Stat {
    /// By its name; `Err` says why not.
    pub fn parse(name: &str) -> Result<Self, String> {
        match name {
            "SampleCount" => return Ok(Self::SampleCount),
            "Average" => return Ok(Self::Average),
            "Sum" => return Ok(Self::Sum),
            "Minimum" => return Ok(Self::Minimum),
            "Maximum" => return Ok(Self::Maximum),
            _ => {}
        }
        let percent = name.strip_prefix('p').filter(|digits| {
            let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
            let digits = |text: &str, most: usize| {
                (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
            };
            digits(whole, 3) && digits(part, 10)
        });
        if let Some(percent) =
            percent.and_then(|percent| percent.parse().ok()).filter(|percent| *percent <= 100.0)
        {
            return Ok(Self::Percentile(percent));
        }
        let trims = ["tm", "wm", "tc", "ts", "TM(", "WM(", "TC(", "TS(", "PR(", "IQM"];
        if trims.iter().any(|trim| name.starts_with(trim)) {
            return Err(format!(
                "lambkin does not do the statistic {name}: of the extended ones it knows percentiles."
            ));
        }
        Err(format!("The value {name} for parameter Statistic is not supported."))
    }

    /// Of these values; `None` where it is not known.
    #[must_use]
    pub fn of(self, statistics: &Statistics) -> Option<f64> {
        match self {
            Self::SampleCount => Some(statistics.count),
            Self::Average => Some(statistics.sum / statistics.count),
            Self::Sum => Some(statistics.sum),
            Self::Minimum => Some(statistics.minimum),
            Self::Maximum => Some(statistics.maximum),
            Self::Percentile(percent) => statistics.percentile(percent),
        }
    }
}

/// What GetMetricStatistics is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct StatisticsQuery {
    /// Which metric.
    pub metric: Metric,
    /// From here.
    pub start: Seconds,
    /// Up to, not with, this.
    pub end: Seconds,
    /// Seconds.
    pub period: i64,
    /// `Statistics`.
    pub statistics: Vec<String>,
    /// `ExtendedStatistics`.
    pub extended: Vec<String>,
    /// In this unit alone.
    pub unit: Option<String>,
}

/// One point of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Datapoint {
    /// When its period begins, in seconds since 1970.
    pub at: i64,
    /// In which unit.
    pub unit: String,
    /// `Statistics` that were asked for, by name.
    pub statistics: BTreeMap<String, f64>,
    /// `ExtendedStatistics` that were asked for and are known, by name.
    pub extended: BTreeMap<String, f64>,
}

impl CloudWatch {
    /// GetMetricStatistics: points in the order of their times.
    pub fn statistics(&self, query: &StatisticsQuery) -> Result<Vec<Datapoint>, MetricsError> {
        let period = period(query.period, "Period")?;
        if query.start >= query.end {
            return Err(MetricsError::InvalidValue(
                "The parameter StartTime must be less than the parameter EndTime.".into(),
            ));
        }
        if query.statistics.is_empty() && query.extended.is_empty() {
            return Err(MetricsError::InvalidCombination(
                "Must specify either Statistics or ExtendedStatistics".into(),
            ));
        }
        let parse = |names: &[String]| -> Result<Vec<(String, Stat)>, MetricsError> {
            let parsed = names.iter().map(|name| {
                let stat = Stat::parse(name).map_err(MetricsError::InvalidValue)?;
                Ok((name.clone(), stat))
            });
            parsed.collect()
        };
        let (statistics, extended) = (parse(&query.statistics)?, parse(&query.extended)?);
        let (first, until) = span((query.start, query.end), period);
        let asked = (until - first) / period;
        if asked > DATAPOINTS {
            return Err(MetricsError::InvalidCombination(format!(
                "You have requested up to {} datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by increasing Period, or decreasing the time range.",
                grouped(asked)
            )));
        }
        let found =
            self.periods(&[(&query.metric, query.unit.as_deref(), period)], (query.start, query.end))?;
        let mut points = Vec::new();
        for (series, periods) in found.into_iter().flatten() {
            for (begin, values) in periods {
                let named = |stats: &[(String, Stat)]| {
                    let known =
                        stats.iter().filter_map(|(name, stat)| Some((name.clone(), stat.of(&values)?)));
                    known.collect::<BTreeMap<_, _>>()
                };
                let (statistics, extended) = (named(&statistics), named(&extended));
                if !statistics.is_empty() || !extended.is_empty() {
                    let unit = series.unit.to_string();
                    points.push(Datapoint { at: i64::from(begin), unit, statistics, extended });
                }
            }
        }
        points.sort_by_key(|point| point.at);
        Ok(points)
    }
}

/// `1,440`.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
