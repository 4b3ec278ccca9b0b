//! One look at a server's figures: those of each function together.
//!
//! Deliberately not here: what happened between two of them (`rows`).

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Deserialize;

/// As `/_lambkin/figures` has it.
#[derive(Deserialize)]
pub(super) struct Page {
    figures: Vec<Figure>,
}

#[derive(Deserialize)]
struct Figure {
    name: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    value: f64,
    #[serde(default)]
    values: Vec<(f64, u64)>,
}

/// What was counted up to a moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Look {
    pub(super) at: Option<Instant>,
    pub(super) version: String,
    pub(super) isolation: String,
    /// Seconds since the server started.
    pub(super) uptime: f64,
    /// How many functions there are, whether or not they ran.
    pub(super) known: f64,
    pub(super) memory_used: f64,
    pub(super) memory_limit: Option<f64>,
    pub(super) concurrency_limit: f64,
    /// Booted processes that no function has.
    pub(super) pool: f64,
    /// By ARN.
    pub(super) functions: BTreeMap<String, OfFunction>,
}

/// A function's figures. Counts are doubles, as JSON has no others.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct OfFunction {
    pub(super) runs: f64,
    pub(super) errors: f64,
    pub(super) throttles: f64,
    pub(super) cold: f64,
    pub(super) duration: Distribution,
    pub(super) running: f64,
    pub(super) environments: f64,
    pub(super) memory: f64,
    pub(super) backlog: f64,
}

/// Values in order, each right to 2.2 %, and how many there were of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distribution(pub(super) Vec<(f64, u64)>);

impl Look {
    pub(super) fn new(page: Page) -> Self {
        let mut look = Self { at: Some(Instant::now()), ..Self::default() };
        for figure in page.figures {
            look.take(figure);
        }
        look
    }

    fn take(&mut self, figure: Figure) {
        let Figure { name, mut labels, value, values } = figure;
        match &*name {
            "lambkin_build_info" => {
                self.version = labels.remove("version").unwrap_or_default();
                self.isolation = labels.remove("isolation").unwrap_or_default();
            }
            "lambkin_uptime_seconds" => self.uptime = value,
            "lambkin_functions" => self.known = value,
            "lambkin_memory_used_bytes" => self.memory_used = value,
            "lambkin_memory_limit_bytes" => self.memory_limit = Some(value),
            "lambkin_concurrency_limit" => self.concurrency_limit = value,
            "lambkin_pool_processes" => self.pool += value,
            _ => {
                let Some(function) = labels.remove("function") else { return };
                let of = self.functions.entry(function).or_default();
                match &*name {
                    "lambkin_invocations_total" => of.runs = value,
                    "lambkin_errors_total" => of.errors = value,
                    "lambkin_throttles_total" => of.throttles = value,
                    "lambkin_cold_starts_total" => of.cold += value,
                    "lambkin_duration_seconds" => of.duration = Distribution(values),
                    "lambkin_concurrent_executions" => of.running = value,
                    "lambkin_environments" => of.environments += value,
                    "lambkin_environments_memory_bytes" => of.memory = value,
                    "lambkin_events_waiting" | "lambkin_events_in_flight" | "lambkin_events_delayed" => {
                        of.backlog += value;
                    }
                    // Figures that others look at.
                    _ => {}
                }
            }
        }
    }
}

impl Distribution {
    /// What came since another look; that is all where it is another server's.
    pub(super) fn since(&self, before: &Self) -> Self {
        let count = |of: &Self| of.0.iter().map(|(_, count)| count).sum::<u64>();
        if count(before) > count(self) {
            return self.clone();
        }
        let then = |value: f64| {
            let found = before.0.binary_search_by(|(other, _)| other.total_cmp(&value));
            found.map_or(0, |at| before.0[at].1)
        };
        let since = self.0.iter().map(|(value, count)| (*value, count.saturating_sub(then(*value))));
        Self(since.filter(|(_, count)| *count > 0).collect())
    }

    /// What so many percent of the values are not above; `None` without a value.
    pub(super) fn percentile(&self, percent: f64) -> Option<f64> {
        let count: u64 = self.0.iter().map(|(_, count)| count).sum();
        // Counts are below 2^53.
        let rank = (count as f64 * percent / 100.0).ceil() as u64;
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        found.map(|(value, _)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(counts: [u64; 3]) -> Distribution {
        let values = [0.01, 0.1, 1.0].into_iter().zip(counts);
        Distribution(values.filter(|(_, count)| *count > 0).collect())
    }

    #[test]
    fn percentiles() {
        for (counts, percent, expected) in [
            ([0, 0, 0], 50.0, None),
            ([10, 0, 0], 50.0, Some(0.01)),
            ([0, 10, 0], 99.0, Some(0.1)),
            ([1, 1, 0], 50.0, Some(0.01)),
            ([1, 2, 0], 50.0, Some(0.1)),
            ([50, 49, 1], 99.0, Some(0.1)),
            ([50, 48, 2], 99.0, Some(1.0)),
            ([0, 0, 4], 0.0, Some(1.0)),
            ([99, 0, 1], 100.0, Some(1.0)),
        ] {
            assert_eq!(distribution(counts).percentile(percent), expected, "{counts:?} p{percent}");
        }
    }

    #[test]
    fn what_came_since() {
        let (before, now) = (distribution([1, 0, 2]), distribution([1, 3, 4]));
        assert_eq!(now.since(&before), distribution([0, 3, 2]));
        assert_eq!(before.since(&now), before, "another server counts anew");
        assert_eq!(now.since(&Distribution::default()), now);
        assert_eq!(now.since(&now).percentile(50.0), None);
    }

    #[test]
    fn a_page_is_put_together_by_function() {
        let page = serde_json::json!({ "figures": [
            { "name": "lambkin_build_info", "kind": "gauge", "labels": { "version": "1.2.3", "isolation": "jail" }, "value": 1 },
            { "name": "lambkin_uptime_seconds", "kind": "gauge", "labels": {}, "value": 12.5 },
            { "name": "lambkin_memory_limit_bytes", "kind": "gauge", "labels": {}, "value": 1024 },
            { "name": "lambkin_cold_starts_total", "kind": "counter", "labels": { "function": "f", "level": "L0" }, "value": 1 },
            { "name": "lambkin_cold_starts_total", "kind": "counter", "labels": { "function": "f", "level": "L2" }, "value": 2 },
            { "name": "lambkin_events_waiting", "kind": "gauge", "labels": { "function": "f" }, "value": 3 },
            { "name": "lambkin_events_delayed", "kind": "gauge", "labels": { "function": "f" }, "value": 4 },
            { "name": "lambkin_duration_seconds", "kind": "histogram", "labels": { "function": "g" }, "count": 2, "sum": 1.5,
              "buckets": [[0.5, 1], [1.0, 2]], "values": [[0.5, 1], [1.0, 1]] },
            { "name": "process_open_fds", "kind": "gauge", "labels": {}, "value": 9 },
        ] });
        let look = Look::new(serde_json::from_value(page).unwrap());
        assert_eq!(
            (&*look.version, &*look.isolation, look.uptime, look.memory_limit),
            ("1.2.3", "jail", 12.5, Some(1024.0))
        );
        assert_eq!((look.functions["f"].cold, look.functions["f"].backlog), (3.0, 7.0));
        assert_eq!(look.functions["g"].duration, Distribution(vec![(0.5, 1), (1.0, 1)]));
        assert_eq!(look.functions.len(), 2);
    }
}
