//! How an event is shown: on one line, whether its function logs text or JSON, with what the platform says in short.

use lambkin_model::time::Timestamp;
use serde_json::{Map, Value};

use super::Event;

/// One line: time, group where there are several, request id where the event has one, what it says.
pub(super) fn line(group: Option<&str>, event: &Event, colours: bool) -> String {
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
        return (Some(id.to_owned()), format!("{level} {}", one_line(text)), colour(level));
    }
    // What a timeout and an exit leave behind.
    if let [_, id, text] = message.splitn(3, ' ').collect::<Vec<_>>()[..]
        && id.len() == 36
        && text.starts_with("Task timed out")
    {
        return (Some(id.to_owned()), one_line(text), "31");
    }
    if let Some((id, text)) = message.strip_prefix("RequestId: ").and_then(|rest| rest.split_once(' '))
        && id.len() == 36
    {
        return (Some(id.to_owned()), one_line(text), "31");
    }
    match serde_json::from_str(message) {
        Ok(Value::Object(members)) => of_json(members).unwrap_or_else(|| (None, one_line(message), "0")),
        _ => (None, one_line(message), "0"),
    }
}

/// An event of a function whose logs are JSON: of the platform, or a record with level and message.
fn of_json(mut members: Map<String, Value>) -> Option<(Option<String>, String, &'static str)> {
    if let Some(kind) =
        members.get("type").and_then(Value::as_str).and_then(|kind| kind.strip_prefix("platform."))
    {
        return platform(kind, members.get("record")?);
    }
    let level = members.get("level")?.as_str()?.to_owned();
    let message = members.remove("message")?;
    let id = ["requestId", "function_request_id"].into_iter().find_map(|name| members.remove(name));
    for said in ["level", "timestamp"] {
        members.remove(said);
    }
    let message = message.as_str().map_or_else(|| message.to_string(), one_line);
    let rest = if members.is_empty() { String::new() } else { format!(" {}", Value::Object(members)) };
    let code = colour(&level);
    Some((
        id.and_then(|id| Some(id.as_str()?.to_owned())),
        one_line(&format!("{level} {message}{rest}")),
        code,
    ))
}

fn platform(kind: &str, record: &Value) -> Option<(Option<String>, String, &'static str)> {
    let text = |name: &str| record[name].as_str().map(str::to_owned);
    let metric = |name: &str| record["metrics"][name].as_f64();
    // As it ended, where that was no success.
    let end = || {
        let status = text("status").filter(|status| status != "success");
        status.into_iter().chain(text("errorType")).map(|part| format!(", {part}")).collect::<String>()
    };
    let (said, code) = match kind {
        "initStart" => (format!("INIT_START Runtime Version: {}", text("runtimeVersion")?), "0"),
        "initReport" => (format!("INIT_REPORT {:.2} ms{}", metric("durationMs")?, end()), "0"),
        "start" => (format!("START Version: {}", text("version")?), "32"),
        "runtimeDone" => (format!("END{}", end()), "2"),
        "report" => {
            let (took, billed) = (metric("durationMs")?, metric("billedDurationMs")?);
            let mut said = format!("REPORT {took:.2} ms (billed {billed})");
            if let (Some(used), Some(size)) = (metric("maxMemoryUsedMB"), metric("memorySizeMB")) {
                said.push_str(&format!(", {used} of {size} MB"));
            }
            if let Some(init) = metric("initDurationMs") {
                said.push_str(&format!(", init {init:.2} ms"));
            }
            (said + &end(), "34")
        }
        _ => return None,
    };
    Some((text("requestId"), one_line(&said), code))
}

fn colour(level: &str) -> &'static str {
    match level {
        "ERROR" | "FATAL" => "31",
        "WARN" => "33",
        _ => "0",
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

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
            (
                format!("2026-01-02T03:04:05.678Z {ID} Task timed out after 2.00 seconds\n"),
                format!("{ID} Task timed out after 2.00 seconds"),
            ),
            (
                format!("RequestId: {ID} Error: Runtime exited with error: exit status 3\nRuntime.ExitError"),
                format!("{ID} Error: Runtime exited with error: exit status 3\\nRuntime.ExitError"),
            ),
        ] {
            assert_eq!(shown(&message), format!("2026-01-02T03:04:05.678Z {expected}"));
        }
    }

    #[test]
    fn json_is_shown_as_text_is() {
        for (message, expected) in [
            (
                json!({"time": "t", "type": "platform.start", "record": {"requestId": ID, "version": "$LATEST"}}),
                format!("{ID} START Version: $LATEST"),
            ),
            (
                json!({"type": "platform.report", "record": {"requestId": ID, "status": "success", "metrics": {
                    "durationMs": 12.5, "billedDurationMs": 13, "memorySizeMB": 128, "maxMemoryUsedMB": 64,
                    "initDurationMs": 100.25}}}),
                format!("{ID} REPORT 12.50 ms (billed 13), 64 of 128 MB, init 100.25 ms"),
            ),
            (
                json!({"type": "platform.report", "record": {"requestId": ID, "status": "error", "errorType": "Runtime.Unknown",
                    "metrics": {"durationMs": 9.332, "billedDurationMs": 10}}}),
                format!("{ID} REPORT 9.33 ms (billed 10), error, Runtime.Unknown"),
            ),
            (
                json!({"type": "platform.runtimeDone", "record": {"requestId": ID, "status": "timeout"}}),
                format!("{ID} END, timeout"),
            ),
            (
                json!({"type": "platform.initStart", "record": {"runtimeVersion": "nodejs:22.v1"}}),
                "INIT_START Runtime Version: nodejs:22.v1".into(),
            ),
            (
                json!({"timestamp": "t", "level": "WARN", "requestId": ID, "message": "one\ntwo"}),
                format!("{ID} WARN one\\ntwo"),
            ),
            (
                json!({"timestamp": "t", "level": "ERROR", "requestId": ID, "message": {"errorType": "Error"}, "service": "s"}),
                format!("{ID} ERROR {{\"errorType\":\"Error\"}} {{\"service\":\"s\"}}"),
            ),
            (json!({"type": "platform.other"}), "{\"type\":\"platform.other\"}".into()),
            // Not a record's level: the event stays as it is.
            (json!({"level": 3, "a": 1}), json!({"level": 3, "a": 1}).to_string()),
        ] {
            assert_eq!(shown(&message.to_string()), format!("2026-01-02T03:04:05.678Z {expected}"));
        }
    }
}
