//! `lambkin logs`: what functions wrote, one line for each event, from a lambkin that serves.
//!
//! Deliberately not here: what a filter pattern is, which the server says, and how an event is shown (`line`).

mod line;

use std::collections::{HashSet, VecDeque};
use std::io::IsTerminal as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::json;

use crate::arguments::Logs;
use crate::output;
use crate::own_api::{self, CloudWatchLogs};
use line::line;

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
    let region = region.unwrap_or_else(|| "us-east-1".into());
    let mut logs = CloudWatchLogs::at(options.endpoint.clone(), &region)?;
    // Of several groups none must wait for another's news.
    let waits = options.follow && options.function.is_some();
    if waits {
        logs = logs.following();
    }
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut from = millis().saturating_sub(options.since);
    let mut shown = Shown::default();
    let mut token = None;
    loop {
        let groups = match &options.function {
            Some(name) => {
                vec![group_of(name, |name| own_api::log_group(options.endpoint.clone(), &region, name))]
            }
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
            if !output::more(&format!("{text}\n"))? {
                return Ok(());
            }
        }
        if !options.follow {
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

/// The group of a function by its name or ARN, or a group by its whole name. A function's configuration says where it
/// writes; of one that is gone, or may not be seen, the usual group is shown.
fn group_of(function: &str, configured: impl Fn(&str) -> Option<String>) -> String {
    if function.starts_with('/') {
        return function.to_owned();
    }
    configured(function).unwrap_or_else(|| {
        let name = match function.strip_prefix("arn:") {
            Some(rest) => rest.split(':').nth(5).unwrap_or_default(),
            None => function.split(':').next().unwrap_or_default(),
        };
        format!("/aws/lambda/{name}")
    })
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

fn millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_functions() {
        let configured = |name: &str| (name == "elsewhere").then(|| "/custom/group".to_owned());
        for (function, group) in [
            ("hello", "/aws/lambda/hello"),
            ("hello:prod", "/aws/lambda/hello"),
            ("elsewhere", "/custom/group"),
            ("/custom/other", "/custom/other"),
            ("arn:aws:lambda:us-east-1:000000000000:function:hello", "/aws/lambda/hello"),
            ("arn:aws:lambda:us-east-1:000000000000:function:hello:1", "/aws/lambda/hello"),
        ] {
            assert_eq!(group_of(function, configured), group);
        }
    }
}
