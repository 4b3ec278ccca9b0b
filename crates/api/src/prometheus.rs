//! Figures in Prometheus's text format, version 0.0.4.
//!
//! Deliberately not here: who counts what (`Events::figures` and its like), and what AWS calls metrics.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};

use lambkin_model::figure::{Figure, FigureKind, FigureValue};

/// As Prometheus asks for it.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All figures of a name together, by name.
pub(crate) fn text(figures: &[Figure]) -> String {
    let mut families: BTreeMap<&str, Vec<&Figure>> = BTreeMap::new();
    for figure in figures {
        families.entry(figure.name).or_default().push(figure);
    }
    let mut text = String::new();
    for (name, figures) in families {
        let kind = match figures[0].kind {
            FigureKind::Counter => "counter",
            FigureKind::Gauge => "gauge",
            FigureKind::Histogram => "histogram",
        };
        text.push_str("# HELP ");
        text.push_str(name);
        text.push(' ');
        escape(figures[0].help, false, &mut text);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n# TYPE {name} {kind}");
        for Figure { labels, value, .. } in figures {
            match value {
                FigureValue::Whole(value) => sample((name, ""), labels, None, value, &mut text),
                FigureValue::Real(value) => sample((name, ""), labels, None, &Real(*value), &mut text),
                FigureValue::Histogram(histogram) => {
                    let count = histogram.count();
                    for (bound, not_above) in histogram.cumulative() {
                        sample((name, "_bucket"), labels, Some(Real(bound)), &not_above, &mut text);
                    }
                    sample((name, "_bucket"), labels, Some(Real(f64::INFINITY)), &count, &mut text);
                    sample((name, "_sum"), labels, None, &Real(histogram.sum()), &mut text);
                    sample((name, "_count"), labels, None, &count, &mut text);
                }
            }
        }
    }
    text
}

/// One line; `bound` is a bucket's.
fn sample(
    (name, suffix): (&str, &str),
    labels: &[(&str, String)],
    bound: Option<Real>,
    value: &dyn Display,
    text: &mut String,
) {
    text.push_str(name);
    text.push_str(suffix);
    let bound = bound.map(|bound| ("le", bound.to_string()));
    let labels = labels.iter().map(|(label, value)| (*label, value));
    let mut before = '{';
    for (label, value) in labels.chain(bound.iter().map(|(label, bound)| (*label, bound))) {
        text.push(before);
        text.push_str(label);
        text.push_str("=\"");
        escape(value, true, text);
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, " {value}");
}

/// As Go reads it, which has other words for what is no number.
struct Real(f64);

impl Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}

fn escape(value: &str, quoted: bool, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' if quoted => text.push_str("\\\""),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use lambkin_model::figure::Histogram;

    use super::*;

    #[test]
    fn families_stand_together_and_values_are_escaped() {
        let figures = [
            Figure::counter("a_total", "How many \\ as.", &[("of", "f\"\\\n")], 1_u64),
            Figure::gauge("b", "Now.", &[], u64::MAX),
            Figure::counter("a_total", "How many \\ as.", &[("of", "g"), ("in", "h")], 2_u64),
        ];
        let expected = concat!(
            "# HELP a_total How many \\\\ as.\n# TYPE a_total counter\n",
            "a_total{of=\"f\\\"\\\\\\n\"} 1\na_total{of=\"g\",in=\"h\"} 2\n",
            "# HELP b Now.\n# TYPE b gauge\nb 18446744073709551615\n",
        );
        assert_eq!(text(&figures), expected);
    }

    #[test]
    fn a_histogram_has_its_buckets_its_sum_and_its_count() {
        let mut histogram = Histogram::new(&[0.0005, 1.0]);
        [0.0001, 0.25, 0.25, 7.0].into_iter().for_each(|value| histogram.record(value));
        let figures = [
            Figure::histogram("h_seconds", "How long.", &[("of", "f")], histogram),
            Figure::gauge("r", "Real.", &[], 0.5),
        ];
        let expected = concat!(
            "# HELP h_seconds How long.\n# TYPE h_seconds histogram\n",
            "h_seconds_bucket{of=\"f\",le=\"0.0005\"} 1\nh_seconds_bucket{of=\"f\",le=\"1\"} 3\n",
            "h_seconds_bucket{of=\"f\",le=\"+Inf\"} 4\nh_seconds_sum{of=\"f\"} 7.5001\nh_seconds_count{of=\"f\"} 4\n",
            "# HELP r Real.\n# TYPE r gauge\nr 0.5\n",
        );
        assert_eq!(text(&figures), expected);
    }
}
