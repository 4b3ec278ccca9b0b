//! `lambkin events`: what waits to be run asynchronously in a lambkin that serves, and what became of the rest.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::arguments::Events;
use crate::queues_command::age;
use crate::{output, own_api};

#[derive(Serialize, Deserialize)]
struct Page {
    functions: Vec<Function>,
    #[serde(default)]
    outbound: Outbound,
    #[serde(default)]
    topics: Topics,
}

/// Deliveries to services elsewhere.
#[derive(Serialize, Deserialize, Default)]
struct Outbound {
    waiting: u64,
    sent: u64,
    retried: u64,
    given_up: u64,
}

#[derive(Serialize, Deserialize, Default)]
struct Topics {
    lost: u64,
}

#[derive(Serialize, Deserialize)]
struct Function {
    function: String,
    backlog: u64,
    in_flight: u64,
    waiting_for_retry: u64,
    oldest_seconds: Option<u64>,
    since_start: Since,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Since {
    received: u64,
    running: u64,
    succeeded: u64,
    retried: u64,
    throttled: u64,
    dropped: u64,
    dead_lettered: u64,
    recorded: u64,
    recursive: u64,
    undelivered: u64,
    delivery_failures: u64,
}

pub(crate) fn run(options: Events) -> Result<(), String> {
    let mut page: Page = own_api::read(options.endpoint, "events")?;
    if let Some(wanted) = &options.function {
        page.functions.retain(|each| each.function == *wanted || name(&each.function) == wanted);
    }
    if options.json {
        return output::json(&page);
    }
    let mut text = table(&page.functions);
    if options.function.is_none() {
        text += &beside(&page.outbound, &page.topics);
    }
    output::say(&text)
}

/// What is of no function.
fn beside(outbound: &Outbound, topics: &Topics) -> String {
    let Outbound { waiting, sent, retried, given_up } = outbound;
    format!(
        "\nTo services elsewhere: {waiting} waiting, {sent} sent, {retried} retried, {given_up} given up.\n\
         Notifications that nobody took: {}.\n",
        topics.lost
    )
}

fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

fn table(functions: &[Function]) -> String {
    const HEAD: [&str; 11] = [
        "FUNCTION",
        "REGION",
        "BACKLOG",
        "IN FLIGHT",
        "RETRYING",
        "OLDEST",
        "RECEIVED",
        "SUCCEEDED",
        "DROPPED",
        "DEAD-LETTERED",
        "UNDELIVERED",
    ];
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(functions.iter().map(|each| {
        let since = &each.since_start;
        [
            name(&each.function).to_owned(),
            each.function.split(':').nth(3).unwrap_or_default().to_owned(),
            each.backlog.to_string(),
            each.in_flight.to_string(),
            each.waiting_for_retry.to_string(),
            each.oldest_seconds.map_or_else(|| "-".into(), age),
            since.received.to_string(),
            since.succeeded.to_string(),
            since.dropped.to_string(),
            since.dead_lettered.to_string(),
            (since.undelivered + since.delivery_failures).to_string(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: [usize; HEAD.len()] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ =
                if column < 2 { write!(line, "{cell:<width$}  ") } else { write!(line, "{cell:>width$}  ") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_no_function() {
        let outbound = Outbound { waiting: 1, sent: 2, retried: 3, given_up: 4 };
        assert_eq!(
            beside(&outbound, &Topics { lost: 5 }),
            "\nTo services elsewhere: 1 waiting, 2 sent, 3 retried, 4 given up.\n\
             Notifications that nobody took: 5.\n"
        );
    }

    #[test]
    fn a_table() {
        let function = Function {
            function: "arn:aws:lambda:us-east-1:000000000000:function:orders".into(),
            backlog: 12,
            in_flight: 4,
            waiting_for_retry: 1,
            oldest_seconds: Some(75),
            since_start: Since {
                received: 40,
                succeeded: 20,
                dropped: 3,
                dead_lettered: 3,
                ..Since::default()
            },
        };
        assert_eq!(
            table(&[function]),
            "FUNCTION  REGION     BACKLOG  IN FLIGHT  RETRYING  OLDEST  RECEIVED  SUCCEEDED  DROPPED  DEAD-LETTERED  UNDELIVERED\n\
             orders    us-east-1       12          4         1  1m 15s        40         20        3              3            0\n"
        );
    }
}
