//! `lambkin queues`: what is in the queues of a lambkin that serves.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::arguments::Queues;
use crate::{output, own_api};

#[derive(Serialize, Deserialize)]
struct Page {
    queues: Vec<Queue>,
}

#[derive(Serialize, Deserialize)]
struct Queue {
    name: String,
    region: String,
    arn: String,
    visible: u64,
    in_flight: u64,
    delayed: u64,
    oldest_seconds: Option<u64>,
    dead_letter_queue: Option<String>,
}

pub(crate) fn run(options: Queues) -> Result<(), String> {
    let page: Page = own_api::read(options.endpoint, "queues")?;
    if options.json { output::json(&page) } else { output::say(&table(&page.queues)) }
}

fn table(queues: &[Queue]) -> String {
    let head = ["QUEUE", "REGION", "VISIBLE", "IN FLIGHT", "DELAYED", "OLDEST", "DEAD LETTERS TO"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(queues.iter().map(|queue| {
        let name_of = |arn: &String| arn.rsplit(':').next().unwrap_or_default().to_owned();
        [
            queue.name.clone(),
            queue.region.clone(),
            queue.visible.to_string(),
            queue.in_flight.to_string(),
            queue.delayed.to_string(),
            queue.oldest_seconds.map_or_else(|| "-".into(), age),
            queue.dead_letter_queue.as_ref().map_or_else(|| "-".into(), name_of),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            // Numbers and ages stand to the right.
            if (2..6).contains(&column) {
                let _ = write!(line, "{cell:>width$}  ", width = widths[column]);
            } else {
                let _ = write!(line, "{cell:<width$}  ", width = widths[column]);
            }
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// `3d 4h`, `5m 6s`: the two largest units.
pub(crate) fn age(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3_660, "1h 1m"), (90_000, "1d 1h")] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn a_table() {
        let queue = Queue {
            name: "orders".into(),
            region: "us-east-1".into(),
            arn: "arn:aws:sqs:us-east-1:000000000000:orders".into(),
            visible: 12,
            in_flight: 0,
            delayed: 1,
            oldest_seconds: Some(75),
            dead_letter_queue: Some("arn:aws:sqs:us-east-1:000000000000:dead".into()),
        };
        assert_eq!(
            table(&[queue]),
            "QUEUE   REGION     VISIBLE  IN FLIGHT  DELAYED  OLDEST  DEAD LETTERS TO\n\
             orders  us-east-1       12          0        1  1m 15s  dead\n"
        );
        assert_eq!(table(&[]).lines().count(), 1);
    }
}
