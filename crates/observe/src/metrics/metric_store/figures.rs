//! What was counted since lambkin started, and how much is kept, as figures for whoever exports them. Of the metrics of
//! functions those that are not figures of `Events` already.

use lambkin_model::figure::Figure;
use lambkin_model::metric::FunctionMetric;
use lambkin_model::name::FunctionKey;

use super::{MetricStore, Totals, lock};

impl MetricStore {
    /// All of them at this moment.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        self.shared.look();
        let state = lock(&self.shared.state);
        let mut figures: Vec<Figure> =
            state.totals.iter().flat_map(|(key, totals)| of_function(key, totals)).collect();
        figures.sort_by(|one, other| one.labels.cmp(&other.labels));
        let series = u64::try_from(state.known.len()).unwrap_or(u64::MAX);
        figures.push(Figure::gauge("lambkin_metrics_bytes", "Bytes of kept metrics.", &[], state.bytes()));
        figures.push(Figure::gauge("lambkin_metrics_series", "Series of kept metrics.", &[], series));
        figures
    }
}

fn of_function(key: &FunctionKey, totals: &Totals) -> Vec<Figure> {
    let arn = key.arn();
    let sum = |metric| totals.values.get(&metric).map_or(0.0, |statistics| statistics.sum);
    [
        ("lambkin_invocations_total", "Runs of functions.", sum(FunctionMetric::Invocations)),
        ("lambkin_errors_total", "Runs that ended in a function error.", sum(FunctionMetric::Errors)),
        ("lambkin_throttles_total", "Invocations that found no concurrency.", sum(FunctionMetric::Throttles)),
        ("lambkin_duration_milliseconds_total", "What the runs took.", sum(FunctionMetric::Duration)),
    ]
    // Whole numbers, as figures are; none of them is negative.
    .map(|(name, help, value)| Figure::counter(name, help, &[("function", &arn)], value.round() as u64))
    .into()
}
