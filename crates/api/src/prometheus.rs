//! Figures in Prometheus's text format, version 0.0.4.
//!
//! Deliberately not here: who counts what (`Events::figures` and its like), and what AWS calls metrics.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lambkin_model::figure::{Figure, FigureKind};

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
        };
        text.push_str("# HELP ");
        text.push_str(name);
        text.push(' ');
        escape(figures[0].help, false, &mut text);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n# TYPE {name} {kind}");
        for figure in figures {
            text.push_str(name);
            for (number, (label, value)) in figure.labels.iter().enumerate() {
                text.push(if number == 0 { '{' } else { ',' });
                text.push_str(label);
                text.push_str("=\"");
                escape(value, true, &mut text);
                text.push('"');
            }
            if !figure.labels.is_empty() {
                text.push('}');
            }
            let _ = writeln!(text, " {}", figure.value);
        }
    }
    text
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
    use super::*;

    #[test]
    fn families_stand_together_and_values_are_escaped() {
        let figures = [
            Figure::counter("a_total", "How many \\ as.", &[("of", "f\"\\\n")], 1),
            Figure::gauge("b", "Now.", &[], u64::MAX),
            Figure::counter("a_total", "How many \\ as.", &[("of", "g"), ("in", "h")], 2),
        ];
        let expected = concat!(
            "# HELP a_total How many \\\\ as.\n# TYPE a_total counter\n",
            "a_total{of=\"f\\\"\\\\\\n\"} 1\na_total{of=\"g\",in=\"h\"} 2\n",
            "# HELP b Now.\n# TYPE b gauge\nb 18446744073709551615\n",
        );
        assert_eq!(text(&figures), expected);
    }
}
