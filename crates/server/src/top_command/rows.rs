//! What functions did between two looks, and how they are at the second: a row for each, and what is of all.
//!
//! Deliberately not here: how it is shown (`table`).

use serde::Serialize;

use super::look::{Look, OfFunction};

/// As `--json` says it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Rows {
    pub(super) version: String,
    pub(super) isolation: String,
    pub(super) uptime_seconds: f64,
    /// Of what is shown: since the look before, or since the server started.
    pub(super) seconds: f64,
    pub(super) functions_known: u64,
    pub(super) memory_used_bytes: u64,
    pub(super) memory_limit_bytes: Option<u64>,
    pub(super) concurrency_limit: u64,
    pub(super) pool_processes: u64,
    pub(super) functions: Vec<Row>,
}

/// Of one function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    /// Its ARN, or `others` for those that the server counts together.
    pub(super) function: String,
    pub(super) runs: u64,
    pub(super) runs_per_second: f64,
    pub(super) errors: u64,
    pub(super) throttles: u64,
    pub(super) p50_seconds: Option<f64>,
    pub(super) p99_seconds: Option<f64>,
    pub(super) cold_starts: u64,
    // At this moment.
    pub(super) running: u64,
    pub(super) environments: u64,
    pub(super) memory_bytes: u64,
    pub(super) backlog: u64,
}

impl Rows {
    /// Since the server started, where there was no look before or it has started since.
    pub(super) fn between(before: Option<&Look>, now: &Look) -> Self {
        let before = before.filter(|before| before.uptime <= now.uptime);
        // By the server's clock, which does not count the way of the answer.
        let seconds = now.uptime - before.map_or(0.0, |before| before.uptime);
        let row = |(function, of): (&String, &OfFunction)| {
            let before = before.and_then(|before| before.functions.get(function));
            Row::between(function, before.unwrap_or(&OfFunction::default()), of, seconds)
        };
        Self {
            version: now.version.clone(),
            isolation: now.isolation.clone(),
            uptime_seconds: now.uptime,
            seconds,
            functions_known: whole(now.known),
            memory_used_bytes: whole(now.memory_used),
            memory_limit_bytes: now.memory_limit.map(whole),
            concurrency_limit: whole(now.concurrency_limit),
            pool_processes: whole(now.pool),
            functions: now.functions.iter().map(row).collect(),
        }
    }
}

impl Row {
    fn between(function: &str, before: &OfFunction, now: &OfFunction, seconds: f64) -> Self {
        // A function that was deleted and made again counts anew.
        let since = |before: f64, now: f64| if now < before { now } else { now - before };
        let runs = since(before.runs, now.runs);
        let duration = now.duration.since(&before.duration);
        Self {
            function: function.to_owned(),
            runs: whole(runs),
            runs_per_second: if seconds > 0.0 { runs / seconds } else { 0.0 },
            errors: whole(since(before.errors, now.errors)),
            throttles: whole(since(before.throttles, now.throttles)),
            p50_seconds: duration.percentile(50.0),
            p99_seconds: duration.percentile(99.0),
            cold_starts: whole(since(before.cold, now.cold)),
            running: whole(now.running),
            environments: whole(now.environments),
            memory_bytes: whole(now.memory),
            backlog: whole(now.backlog),
        }
    }
}

/// Counts are whole, and below 2^53.
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::super::look::Distribution;
    use super::*;

    fn look(uptime: f64, runs: f64) -> Look {
        let half = whole(runs) / 2;
        let duration = Distribution(vec![(0.1, half), (1.0, half)]);
        let of = OfFunction {
            runs,
            errors: 1.0,
            cold: runs / 10.0,
            running: 2.0,
            duration,
            ..OfFunction::default()
        };
        Look { uptime, functions: [("f".to_owned(), of)].into(), ..Look::default() }
    }

    #[test]
    fn between_two_looks_and_since_the_start() {
        let (first, second) = (look(10.0, 20.0), look(12.0, 60.0));
        let rows = Rows::between(None, &first);
        let row = &rows.functions[0];
        assert_eq!(
            (rows.seconds, row.runs, row.runs_per_second, row.errors, row.cold_starts),
            (10.0, 20, 2.0, 1, 2)
        );
        assert_eq!((row.p50_seconds, row.running), (Some(0.1), 2));
        let rows = Rows::between(Some(&first), &second);
        let row = &rows.functions[0];
        assert_eq!(
            (rows.seconds, row.runs, row.runs_per_second, row.errors, row.cold_starts),
            (2.0, 40, 20.0, 0, 4)
        );
        let rows = Rows::between(Some(&second), &second);
        assert_eq!((rows.functions[0].runs_per_second, rows.functions[0].p50_seconds), (0.0, None));
        // The server was started again: it counts from nothing.
        let rows = Rows::between(Some(&second), &look(1.0, 5.0));
        assert_eq!((rows.seconds, rows.functions[0].runs), (1.0, 5));
        // The function was made again.
        let rows = Rows::between(Some(&second), &look(13.0, 5.0));
        assert_eq!(
            (rows.seconds, rows.functions[0].runs, rows.functions[0].p50_seconds),
            (1.0, 5, Some(0.1))
        );
    }
}
