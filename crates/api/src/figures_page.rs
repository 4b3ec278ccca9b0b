//! Figures as JSON, for `lambkin top` and for scripts: what `/metrics` says to Prometheus.

use std::collections::BTreeMap;

use lambkin_model::figure::{Figure, FigureKind, FigureValue};
use serde::Serialize;

/// All figures, in the order they came.
#[derive(Serialize)]
pub(crate) struct Page<'f> {
    figures: Vec<Shown<'f>>,
}

#[derive(Serialize)]
struct Shown<'f> {
    name: &'f str,
    kind: &'static str,
    labels: BTreeMap<&'f str, &'f str>,
    #[serde(flatten)]
    value: Value<'f>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'f> {
    Whole {
        value: u64,
    },
    Real {
        value: f64,
    },
    Histogram {
        count: u64,
        sum: f64,
        /// Each bound, and how many are not above it.
        buckets: Vec<(f64, u64)>,
        /// Values, each right to 2.2 %, and how many there were of it.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        values: &'f [(f64, u64)],
    },
}

pub(crate) fn page(figures: &[Figure]) -> Page<'_> {
    Page { figures: figures.iter().map(shown).collect() }
}

fn shown(figure: &Figure) -> Shown<'_> {
    let kind = match figure.kind {
        FigureKind::Counter => "counter",
        FigureKind::Gauge => "gauge",
        FigureKind::Histogram => "histogram",
    };
    let value = match &figure.value {
        FigureValue::Whole(value) => Value::Whole { value: *value },
        FigureValue::Real(value) => Value::Real { value: *value },
        FigureValue::Histogram(histogram) => Value::Histogram {
            count: histogram.count(),
            sum: histogram.sum(),
            buckets: histogram.cumulative().collect(),
            values: &figure.values,
        },
    };
    let labels = figure.labels.iter().map(|(name, value)| (*name, &**value)).collect();
    Shown { name: figure.name, kind, labels, value }
}

#[cfg(test)]
mod tests {
    use lambkin_model::figure::Histogram;

    use super::*;

    #[test]
    fn each_kind() {
        let mut histogram = Histogram::new(&[0.5, 1.0]);
        histogram.record(0.75);
        let figures = [
            Figure::counter("a_total", "A.", &[("of", "f")], 1_u64),
            Figure::gauge("b", "B.", &[], 0.5),
            Figure::histogram("c_seconds", "C.", &[], histogram),
            Figure { values: vec![(0.75, 1)], ..Figure::histogram("d_seconds", "D.", &[], histogram) },
        ];
        let expected = serde_json::json!({ "figures": [
            { "name": "a_total", "kind": "counter", "labels": { "of": "f" }, "value": 1 },
            { "name": "b", "kind": "gauge", "labels": {}, "value": 0.5 },
            { "name": "c_seconds", "kind": "histogram", "labels": {}, "count": 1, "sum": 0.75, "buckets": [[0.5, 0], [1.0, 1]] },
            { "name": "d_seconds", "kind": "histogram", "labels": {}, "count": 1, "sum": 0.75, "buckets": [[0.5, 0], [1.0, 1]],
              "values": [[0.75, 1]] },
        ] });
        assert_eq!(serde_json::to_value(page(&figures)).unwrap(), expected);
    }
}
