//! Values of a query: nothing, numbers, times, texts, truth.

use std::cmp::Ordering;

use lambkin_model::time::Timestamp;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nothing,
    Number(f64),
    /// In milliseconds since 1970; it is shown as a date.
    Time(f64),
    Text(String),
    Truth(bool),
}

impl Value {
    pub(super) fn of_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nothing,
            serde_json::Value::Bool(value) => Self::Truth(*value),
            serde_json::Value::Number(number) => number.as_f64().map_or(Self::Nothing, Self::Number),
            serde_json::Value::String(text) => Self::Text(text.clone()),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => Self::Text(json.to_string()),
        }
    }

    /// As a number; texts that are one count.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) | Self::Time(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            Self::Truth(_) | Self::Nothing => None,
        }
    }

    /// As it is shown; nothing is `None`.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Number(number) => Some(shown(*number)),
            Self::Time(at) => Some(shown_time(*at as u64)),
            Self::Text(text) => Some(text.clone()),
            Self::Truth(value) => Some(if *value { "1" } else { "0" }.into()),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Truth(value) => *value,
            Self::Number(number) | Self::Time(number) => *number != 0.0,
            Self::Text(text) => text == "true" || text == "1",
            Self::Nothing => false,
        }
    }

    /// As numbers where both are, else as texts; nothing is before all.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => return Ordering::Equal,
            (Self::Nothing, _) => return Ordering::Less,
            (_, Self::Nothing) => return Ordering::Greater,
            _ => {}
        }
        if let (Some(one), Some(two)) = (self.number(), other.number()) {
            return one.total_cmp(&two);
        }
        self.text().cmp(&other.text())
    }

    /// Bytes it keeps beyond itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Nothing | Self::Number(_) | Self::Time(_) | Self::Truth(_) => 0,
        }
    }
}

/// Whole numbers without a fraction, others with four digits at most, as AWS shows them.
pub(super) fn shown(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number:.0}");
    }
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `2026-01-02 03:04:05.678`.
pub(super) fn shown_time(millis: u64) -> String {
    let iso = Timestamp(millis.saturating_mul(1000)).iso();
    iso.replace('T', " ").trim_end_matches('Z').to_owned()
}
