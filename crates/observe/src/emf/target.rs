//! What members of the root are as values of metrics.

use serde::Deserialize;

use crate::metrics::Statistics;
use crate::metrics::cloudwatch::fits;

/// Most values of one metric in one document.
pub(super) const VALUES: usize = 100;

/// Values that were summed up before, as AWS's exporters for OpenTelemetry write histograms: each value with how many there
/// are of it, or only what is known of all of them, or both.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Summary {
    values: Vec<f64>,
    counts: Vec<f64>,
    count: Option<f64>,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

/// Its statistics and number of values; `None` for what is no value of a metric.
pub(super) fn read(json: &str) -> Option<(Statistics, usize)> {
    let mut statistics = Statistics::default();
    let values = match json.as_bytes().first()? {
        b'[' => {
            let values: Vec<f64> = serde_json::from_str(json).ok()?;
            if values.len() > VALUES || !values.iter().all(|value| fits(*value)) {
                return None;
            }
            values.iter().for_each(|value| statistics.add(*value, 1.0));
            values.len()
        }
        b'{' => summary(&mut statistics, &serde_json::from_str(json).ok()?)?,
        _ => {
            let value: f64 = serde_json::from_str(json).ok().filter(|value| fits(*value))?;
            statistics.add(value, 1.0);
            1
        }
    };
    (values > 0).then_some((statistics, values))
}

fn summary(statistics: &mut Statistics, given: &Summary) -> Option<usize> {
    let known = match (given.count, given.sum, given.min, given.max) {
        (Some(count), Some(sum), Some(min), Some(max)) => Some((count, sum, min, max)),
        _ => None,
    };
    if let Some((count, sum, min, max)) = known
        && !([count, sum, min, max].into_iter().all(fits) && count > 0.0 && min <= max)
    {
        return None;
    }
    if given.values.is_empty() {
        let (count, sum, min, max) = known?;
        statistics.add_set(count, sum, min, max);
        return Some(1);
    }
    if !given.counts.is_empty() && given.counts.len() != given.values.len() {
        return None;
    }
    if given.values.len() > VALUES {
        return None;
    }
    for (index, value) in given.values.iter().enumerate() {
        let count = given.counts.get(index).copied().unwrap_or(1.0);
        if !fits(*value) || !fits(count) || count < 0.0 {
            return None;
        }
        // Buckets of a histogram may be empty.
        if count > 0.0 {
            statistics.add(*value, count);
        }
    }
    if let Some((count, sum, min, max)) = known {
        // The values are middles of buckets; these are exact.
        (statistics.count, statistics.sum) = (count, sum);
        (statistics.minimum, statistics.maximum) = (min, max);
    }
    (statistics.count > 0.0).then_some(given.values.len())
}
