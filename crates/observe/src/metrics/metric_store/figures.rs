//! What was counted since lambkin started, and how much is kept, as figures for whoever exports them. Of the metrics of
//! functions those that are not figures of `Events` already.

use lambkin_model::figure::{Figure, Figures};
use lambkin_model::metric::FunctionMetric;

use super::functions::Totals;
use super::{MetricStore, lock};

/// Stands for the functions that have no figures of their own.
const OTHERS: &str = "others";

impl Figures for MetricStore {
    fn figures(&self) -> Vec<Figure> {
        self.shared.look();
        let state = lock(&self.shared.state);
        let mut totals: Vec<_> = state.totals.iter().map(|(key, totals)| (key.arn(), totals)).collect();
        totals.sort_by(|(one, _), (other, _)| one.cmp(other));
        if !state.other_totals.values.is_empty() {
            totals.push((OTHERS.into(), &state.other_totals));
        }
        let mut figures: Vec<Figure> =
            totals.iter().flat_map(|(function, totals)| of_function(function, totals)).collect();
        let series = state.known.len();
        figures.extend([
            Figure::gauge("lambkin_metrics_bytes", "Bytes of kept metrics.", &[], state.bytes()),
            Figure::gauge("lambkin_metrics_limit_bytes", "Most of them.", &[], state.cap),
            Figure::gauge("lambkin_metrics_series", "Series of kept metrics.", &[], series),
        ]);
        figures
    }
}

fn of_function(function: &str, totals: &Totals) -> Vec<Figure> {
    let labels = &[("function", function)];
    let sum = |metric| totals.values.get(&metric).map_or(0.0, |statistics| statistics.sum);
    let mut figures: Vec<Figure> = [
        ("lambkin_invocations_total", "Runs of functions.", sum(FunctionMetric::Invocations)),
        ("lambkin_errors_total", "Runs that ended in a function error.", sum(FunctionMetric::Errors)),
        ("lambkin_throttles_total", "Invocations that found no concurrency.", sum(FunctionMetric::Throttles)),
    ]
    // Whole numbers, and none of them is negative.
    .map(|(name, help, value)| Figure::counter(name, help, labels, value.round() as u64))
    .into();
    let (duration, age) = (totals.distributions.duration, totals.distributions.event_age);
    let mut duration = Figure::histogram("lambkin_duration_seconds", "What the runs took.", labels, duration);
    if let Some(milliseconds) = totals.values.get(&FunctionMetric::Duration) {
        duration.values =
            milliseconds.values().map(|(value, count)| (short(value / 1000.0), count)).collect();
    }
    figures.push(duration);
    if age.count() > 0 {
        let help = "How long events waited for the attempts at them.";
        figures.push(Figure::histogram("lambkin_events_age_seconds", help, labels, age));
    }
    figures
}

/// A value with five digits: more are written for nothing where it is right to 2.2 %.
fn short(value: f64) -> f64 {
    let scale = 10_f64.powi(4 - value.abs().max(f64::MIN_POSITIVE).log10().floor() as i32);
    if scale.is_finite() { (value * scale).round() / scale } else { value }
}
