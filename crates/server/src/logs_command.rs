//! `lambkin logs`: what functions wrote, one line for each event, from a lambkin that serves.
//!
//! Deliberately not here: what a filter pattern is; the server says.

use std::collections::{HashSet, VecDeque};
use std::io::{IsTerminal as _, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambkin_model::time::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::arguments::Logs;
use crate::own_api::CloudWatchLogs;

/// How often new events are asked for, of several groups or where lambkin does not say when there are some.
const EVERY: Duration = Duration::from_millis(250);
/// Events that come later than this after their time are not seen by `--follow`, where it asks so.
const LATE_MILLIS: u64 = 10_000;
/// Events that are remembered as shown.
const REMEMBERED: usize = 100_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Groups {
    log_groups: Vec<Group>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    log_group_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Events {
    events: Vec<Event>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    log_stream_name: String,
    timestamp: u64,
    message: String,
    event_id: String,
}

pub(crate) fn run(options: Logs) -> Result<(), String> {
    let region = options.region.or_else(|| std::env::var("AWS_REGION").ok());
    let region = region.or_else(|| std::env::var("AWS_DEFAULT_REGION").ok());
    let mut logs = CloudWatchLogs::at(options.endpoint, region.as_deref().unwrap_or("us-east-1"));
    // Of several groups none must wait for another's news.
    let waits = options.follow && options.function.is_some();
    if waits {
        logs = logs.following();
    }
    let mut out = std::io::stdout();
    let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut from = millis().saturating_sub(options.since);
    let mut shown = Shown::default();
    let mut token = None;
    loop {
        let groups = match &options.function {
            Some(name) => vec![group_of(name)],
            None => groups(&logs)?,
        };
        let several = groups.len() > 1;
        let asked = millis();
        let mut found = Vec::new();
        for group in &groups {
            let events = if waits {
                let page = read_page(&logs, group, from, options.filter.as_deref(), &token);
                page.map(|page| {
                    token = page.next_token;
                    page.events
                })
            } else {
                read(&logs, group, from, options.filter.as_deref())
            };
            let events = match events {
                // A function that has not run yet has no group.
                Err(error) if error.contains("ResourceNotFoundException") && options.follow => {
                    token = None;
                    Vec::new()
                }
                events => events?,
            };
            found.extend(events.into_iter().map(|event| (group, event)));
        }
        found.sort_by(|(_, one), (_, two)| {
            (one.timestamp, &one.event_id).cmp(&(two.timestamp, &two.event_id))
        });
        for (group, event) in found {
            if !shown.is_new(group, &event.event_id) {
                continue;
            }
            let text = if options.json {
                as_json(group, &event)
            } else {
                line(several.then_some(group.as_str()), &event, colours)
            };
            // Whoever reads has had enough.
            if writeln!(out, "{text}").is_err() {
                return Ok(());
            }
        }
        if out.flush().is_err() || !options.follow {
            return Ok(());
        }
        from = from.max(asked.saturating_sub(LATE_MILLIS));
        if token.is_none() {
            std::thread::sleep(EVERY);
        }
    }
}

/// The events that were shown, as far as they may come again.
#[derive(Default)]
struct Shown {
    order: VecDeque<String>,
    all: HashSet<String>,
}

impl Shown {
    fn is_new(&mut self, group: &str, id: &str) -> bool {
        let key = format!("{id}{group}");
        if !self.all.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }
}

/// A function by its name or ARN, or a group by its whole name.
fn group_of(function: &str) -> String {
    if function.starts_with('/') {
        return function.to_owned();
    }
    let name = match function.strip_prefix("arn:") {
        Some(rest) => rest.split(':').nth(5).unwrap_or_default(),
        None => function,
    };
    format!("/aws/lambda/{name}")
}

fn groups(logs: &CloudWatchLogs) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page: Groups = logs.call("DescribeLogGroups", &json!({ "nextToken": token }))?;
        names.extend(page.log_groups.into_iter().map(|group| group.log_group_name));
        match page.next_token {
            Some(next) => token = Some(next),
            None => return Ok(names),
        }
    }
}

fn read(logs: &CloudWatchLogs, group: &str, from: u64, filter: Option<&str>) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = read_page(logs, group, from, filter, &token)?;
        events.extend(page.events);
        match page.next_token {
            Some(next) => token = Some(next),
            None => return Ok(events),
        }
    }
}

fn read_page(
    logs: &CloudWatchLogs,
    group: &str,
    from: u64,
    filter: Option<&str>,
    token: &Option<String>,
) -> Result<Events, String> {
    let asked =
        json!({ "logGroupName": group, "startTime": from, "filterPattern": filter, "nextToken": token });
    logs.call("FilterLogEvents", &asked)
}

fn as_json(group: &str, event: &Event) -> String {
    json!({
        "timestamp": event.timestamp,
        "logGroup": group,
        "logStream": event.log_stream_name,
        "message": event.message,
    })
    .to_string()
}

/// One line: time, group where there are several, request id where the event has one, what it says.
fn line(group: Option<&str>, event: &Event, colours: bool) -> String {
    let paint = |code: &str, text: &str| {
        if colours && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    };
    let (id, text, code) = said(&event.message);
    let time = Timestamp(event.timestamp.saturating_mul(1000)).iso();
    let mut line = paint("2", &time);
    for part in [group.map(|group| paint("36", group)), id.map(|id| paint("2", &id))].into_iter().flatten() {
        line.push(' ');
        line.push_str(&part);
    }
    line.push(' ');
    line.push_str(&paint(code, &text));
    line
}

/// Request id, text on one line, and its colour.
fn said(message: &str) -> (Option<String>, String, &'static str) {
    let message = message.trim_end();
    for (kind, code) in [("START", "32"), ("END", "2"), ("REPORT", "34")] {
        let Some(rest) = message.strip_prefix(kind).and_then(|rest| rest.strip_prefix(" RequestId: ")) else {
            continue;
        };
        let (id, rest) = rest.split_once(['\t', ' ']).unwrap_or((rest, ""));
        let text =
            if kind == "REPORT" { report(rest) } else { format!("{kind} {rest}").trim_end().to_owned() };
        return (Some(id.to_owned()), text, code);
    }
    let parts: Vec<&str> = message.splitn(4, '\t').collect();
    if let [_, id, level, text] = parts[..]
        && id.len() == 36
    {
        let code = match level {
            "ERROR" | "FATAL" => "31",
            "WARN" => "33",
            _ => "0",
        };
        return (Some(id.to_owned()), format!("{level} {}", one_line(text)), code);
    }
    (None, one_line(message), "0")
}

/// `REPORT 12.5 ms (billed 13), 64 of 128 MB, init 100.3 ms`.
fn report(rest: &str) -> String {
    let value = |name: &str| {
        let part = rest.split('\t').find_map(|part| part.strip_prefix(name))?;
        Some(part.trim_start_matches(": ").to_owned())
    };
    let bare = |text: String| text.trim_end_matches(" ms").trim_end_matches(" MB").to_owned();
    let mut text = String::from("REPORT");
    if let (Some(took), Some(billed)) = (value("Duration"), value("Billed Duration")) {
        text.push_str(&format!(" {took} (billed {})", bare(billed)));
    }
    if let (Some(used), Some(size)) = (value("Max Memory Used"), value("Memory Size")) {
        text.push_str(&format!(", {} of {size}", bare(used)));
    }
    if let Some(init) = value("Init Duration") {
        text.push_str(&format!(", init {init}"));
    }
    for name in ["Status", "Error Type"] {
        if let Some(value) = value(name) {
            text.push_str(&format!(", {}", value.trim()));
        }
    }
    text
}

/// Newlines and whatever else would move a terminal's cursor, as escapes.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for each in text.chars() {
        match each {
            '\t' => line.push('\t'),
            each if each.is_control() => line.extend(each.escape_default()),
            each => line.push(each),
        }
    }
    line
}

fn millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8f507cfc-0a1b-4697-b07a-ac58fc914c95";

    fn shown(message: &str) -> String {
        let event = Event {
            log_stream_name: "s".into(),
            timestamp: 1_767_323_045_678,
            message: message.into(),
            event_id: "1".into(),
        };
        line(None, &event, false)
    }

    #[test]
    fn one_line_for_each_event() {
        for (message, expected) in [
            (format!("START RequestId: {ID} Version: $LATEST"), format!("{ID} START Version: $LATEST")),
            (format!("END RequestId: {ID}"), format!("{ID} END")),
            (
                format!(
                    "REPORT RequestId: {ID}\tDuration: 12.50 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory \
                     Used: 64 MB\tInit Duration: 100.25 ms\t"
                ),
                format!("{ID} REPORT 12.50 ms (billed 13), 64 of 128 MB, init 100.25 ms"),
            ),
            (
                format!(
                    "REPORT RequestId: {ID}\tDuration: 3000.00 ms\tBilled Duration: 3000 ms\tStatus: timeout\t"
                ),
                format!("{ID} REPORT 3000.00 ms (billed 3000), timeout"),
            ),
            (
                format!("2026-01-02T03:04:05.678Z\t{ID}\tERROR\tone\ntwo\x1b[2J"),
                format!("{ID} ERROR one\\ntwo\\u{{1b}}[2J"),
            ),
            ("plain\ttext\n".into(), "plain\ttext".into()),
        ] {
            assert_eq!(shown(&message), format!("2026-01-02T03:04:05.678Z {expected}"));
        }
    }

    #[test]
    fn groups_of_functions() {
        for (function, group) in [
            ("hello", "/aws/lambda/hello"),
            ("/custom/group", "/custom/group"),
            ("arn:aws:lambda:us-east-1:000000000000:function:hello", "/aws/lambda/hello"),
        ] {
            assert_eq!(group_of(function), group);
        }
    }
}
