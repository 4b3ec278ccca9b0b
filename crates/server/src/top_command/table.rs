//! Rows as text: what is of all in two lines, a heading, and a line for each function.
//!
//! Deliberately not here: the terminal.

use std::cmp::Reverse;
use std::fmt::Write as _;

use super::rows::{Row, Rows};
use crate::queues_command::age;

const COLUMNS: usize = 11;

/// What the functions are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Runs,
    Errors,
    P99,
    Cold,
    Memory,
    Backlog,
    Name,
}

/// What of the table is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) order: Order,
    /// Functions above the first that is shown.
    pub(super) skip: usize,
}

/// A line, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    OfAll,
    Heading,
    Function,
    /// Of a function that had errors or was throttled.
    Trouble,
}

impl Order {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Runs => Self::Errors,
            Self::Errors => Self::P99,
            Self::P99 => Self::Cold,
            Self::Cold => Self::Memory,
            Self::Memory => Self::Backlog,
            Self::Backlog => Self::Name,
            Self::Name => Self::Runs,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Errors => "errors",
            Self::P99 => "p99",
            Self::Cold => "cold starts",
            Self::Memory => "memory",
            Self::Backlog => "backlog",
            Self::Name => "name",
        }
    }

    /// The most first; functions that are alike in it by their names.
    fn sort(self, rows: &mut [&Row]) {
        let micros = |seconds: Option<f64>| seconds.map_or(0, |seconds| (seconds * 1e6) as u64);
        rows.sort_by_key(|row| {
            let most = match self {
                Self::Runs => row.runs,
                Self::Errors => row.errors + row.throttles,
                Self::P99 => micros(row.p99_seconds),
                Self::Cold => row.cold_starts,
                Self::Memory => row.memory_bytes,
                Self::Backlog => row.backlog,
                Self::Name => 0,
            };
            (Reverse(most), name(&row.function), region(&row.function))
        });
    }
}

impl View {
    /// Down, or up where it is negative.
    pub(super) fn scroll(&mut self, lines: isize) {
        self.skip = self.skip.saturating_add_signed(lines);
    }
}

/// All lines; `view` skips functions.
pub(super) fn text(rows: &Rows, view: &View) -> Vec<Line> {
    let of_all = of_all(rows).into_iter().map(|text| Line { text, kind: Kind::OfAll });
    let mut sorted: Vec<&Row> = rows.functions.iter().collect();
    view.order.sort(&mut sorted);
    let head = [
        "FUNCTION",
        "REGION",
        "RUNS/S",
        "ERRORS",
        "THROTTLED",
        "P50",
        "P99",
        "RUNNING",
        "ENVS (COLD)",
        "MEMORY",
        "BACKLOG",
    ];
    let mut cells = vec![(head.map(str::to_owned), Kind::Heading)];
    cells.extend(sorted.into_iter().map(|row| {
        let trouble = row.errors > 0 || row.throttles > 0;
        (cells_of(row), if trouble { Kind::Trouble } else { Kind::Function })
    }));
    // Of all, so that scrolling moves no column.
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        cells.iter().map(|(row, _)| row[column].len()).max().unwrap_or_default()
    });
    let shown = cells.into_iter().enumerate().filter(|(index, _)| *index == 0 || *index > view.skip);
    let lines = shown.map(|(_, (row, kind))| Line { text: line(&row, &widths), kind });
    of_all.chain(lines).collect()
}

fn line(row: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let mut line = String::new();
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        // Names stand to the left. Writing to a string cannot fail.
        let _ = if column < 2 { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") };
    }
    line.trim_end().to_owned()
}

fn of_all(rows: &Rows) -> [String; 2] {
    let sum = |of: fn(&Row) -> u64| rows.functions.iter().map(of).sum::<u64>();
    let (runs, running) = (sum(|row| row.runs), sum(|row| row.running));
    let rate = if rows.seconds > 0.0 { runs as f64 / rows.seconds } else { 0.0 };
    let memory = match rows.memory_limit_bytes {
        Some(limit) => format!("{} of {} MB", rows.memory_used_bytes >> 20, limit >> 20),
        None => format!("{} MB", rows.memory_used_bytes >> 20),
    };
    let period = if rows.seconds < rows.uptime_seconds { "the last" } else { "since its start," };
    [
        format!(
            "lambkin {} ({}), up {}; {period} {}: {runs} runs, {}/s, {} errors, {} throttled",
            plain(&rows.version),
            plain(&rows.isolation),
            age(rows.uptime_seconds as u64),
            seconds(rows.seconds),
            per_second(rate),
            sum(|row| row.errors),
            sum(|row| row.throttles),
        ),
        format!(
            "{} functions, {running} of {} executions, {} environments and {} booted ahead, memory {memory}, backlog {}",
            rows.functions_known,
            rows.concurrency_limit,
            sum(|row| row.environments),
            rows.pool_processes,
            sum(|row| row.backlog),
        ),
    ]
}

fn cells_of(row: &Row) -> [String; COLUMNS] {
    let time = |time: Option<f64>| time.map_or_else(|| "-".into(), seconds);
    [
        name(&row.function).to_owned(),
        region(&row.function).to_owned(),
        per_second(row.runs_per_second),
        row.errors.to_string(),
        row.throttles.to_string(),
        time(row.p50_seconds),
        time(row.p99_seconds),
        row.running.to_string(),
        format!("{} ({})", row.environments, row.cold_starts),
        format!("{} MB", row.memory_bytes >> 20),
        row.backlog.to_string(),
    ]
    .map(|cell| plain(&cell))
}

/// Nothing that a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

/// `arn:aws:lambda:REGION:…`.
fn region(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or("-")
}

/// Three digits, as far as they mean something.
fn per_second(rate: f64) -> String {
    if rate == 0.0 {
        "0".into()
    } else if rate < 10.0 {
        format!("{rate:.2}")
    } else if rate < 100.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

/// `0.42ms`, `17ms`, `2.5s`, `3m 2s`.
fn seconds(seconds: f64) -> String {
    let millis = seconds * 1000.0;
    if millis < 9.995 {
        format!("{millis:.2}ms")
    } else if millis < 999.5 {
        format!("{millis:.0}ms")
    } else if seconds < 59.95 {
        format!("{seconds:.1}s")
    } else {
        age(seconds.round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(function: &str, runs: u64) -> Row {
        Row {
            function: function.into(),
            runs,
            runs_per_second: runs as f64 / 2.0,
            errors: 0,
            throttles: 0,
            p50_seconds: None,
            p99_seconds: None,
            cold_starts: 0,
            running: 0,
            environments: 0,
            memory_bytes: 0,
            backlog: 0,
        }
    }

    fn rows() -> Rows {
        let busy = Row {
            errors: 3,
            p50_seconds: Some(0.0021),
            p99_seconds: Some(1.25),
            cold_starts: 1,
            running: 2,
            environments: 4,
            memory_bytes: 61 << 20,
            ..row("arn:aws:lambda:us-east-1:000000000000:function:orders", 250)
        };
        Rows {
            version: "1.0".into(),
            isolation: "jail".into(),
            uptime_seconds: 3_725.0,
            seconds: 2.0,
            functions_known: 9,
            memory_used_bytes: 80 << 20,
            memory_limit_bytes: Some(1000 << 20),
            concurrency_limit: 1000,
            pool_processes: 2,
            functions: vec![
                row("arn:aws:lambda:eu-west-1:000000000000:function:a\u{1b}[2J", 0),
                busy,
                row("others", 0),
            ],
        }
    }

    fn shown(view: View) -> Vec<(String, Kind)> {
        text(&rows(), &view).into_iter().map(|line| (line.text, line.kind)).collect()
    }

    #[test]
    fn a_table() {
        let all = shown(View { order: Order::Runs, skip: 0 });
        let texts: Vec<&str> = all.iter().map(|(text, _)| &**text).collect();
        assert_eq!(
            texts,
            [
                "lambkin 1.0 (jail), up 1h 2m; the last 2.0s: 250 runs, 125/s, 3 errors, 0 throttled",
                "9 functions, 2 of 1000 executions, 4 environments and 2 booted ahead, memory 80 of 1000 MB, backlog 0",
                "FUNCTION  REGION     RUNS/S  ERRORS  THROTTLED     P50   P99  RUNNING  ENVS (COLD)  MEMORY  BACKLOG",
                "orders    us-east-1     125       3          0  2.10ms  1.2s        2        4 (1)   61 MB        0",
                "a[2J      eu-west-1       0       0          0       -     -        0        0 (0)    0 MB        0",
                "others    -               0       0          0       -     -        0        0 (0)    0 MB        0",
            ]
        );
        let kinds: Vec<Kind> = all.iter().map(|(_, kind)| *kind).collect();
        assert_eq!(
            kinds,
            [Kind::OfAll, Kind::OfAll, Kind::Heading, Kind::Trouble, Kind::Function, Kind::Function]
        );
    }

    #[test]
    fn it_is_ordered_and_scrolled() {
        let first =
            |order, skip| shown(View { order, skip }).get(3).map(|(text, _)| text[..6].trim().to_owned());
        assert_eq!(first(Order::Name, 0).as_deref(), Some("a[2J"));
        assert_eq!(first(Order::Name, 1).as_deref(), Some("orders"));
        assert_eq!(first(Order::Memory, 0).as_deref(), Some("orders"));
        assert_eq!(first(Order::Runs, 9), None);
        let mut order = Order::Runs;
        let mut names = vec![order.name()];
        while order.next() != Order::Runs {
            order = order.next();
            names.push(order.name());
        }
        assert_eq!(names.len(), 7);
    }

    #[test]
    fn times_and_rates() {
        for (value, expected) in
            [(0.0004, "0.40ms"), (0.0172, "17ms"), (0.9996, "1.0s"), (2.54, "2.5s"), (182.0, "3m 2s")]
        {
            assert_eq!(seconds(value), expected);
        }
        for (value, expected) in [(0.0, "0"), (0.456, "0.46"), (12.34, "12.3"), (1234.5, "1234")] {
            assert_eq!(per_second(value), expected);
        }
    }
}
