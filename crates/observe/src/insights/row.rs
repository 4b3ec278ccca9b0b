//! One event on its way through a query: its own fields, those found in its text, and those that commands made.

use std::cell::OnceCell;

use super::value::Value;
use crate::logs::event_id;
use crate::store::search::Position;

/// An event as a query gets it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'e> {
    pub position: Position,
    pub ingested: u64,
    /// `000000000000:/aws/lambda/hello`.
    pub log: &'e str,
    pub stream: &'e str,
    pub message: &'e str,
}

pub(super) struct Row<'e> {
    source: Option<Source<'e>>,
    json: OnceCell<Option<serde_json::Value>>,
    made: Vec<(String, Value)>,
}

impl<'e> Row<'e> {
    pub(super) fn of(source: Source<'e>) -> Self {
        Self { source: Some(source), json: OnceCell::new(), made: Vec::new() }
    }

    /// A row that was kept, or that `stats` made, with what commands have made so far.
    pub(super) fn again(source: Option<Source<'e>>, made: Vec<(String, Value)>) -> Self {
        Self { source, json: OnceCell::new(), made }
    }

    pub(super) fn source(&self) -> Option<&Source<'e>> {
        self.source.as_ref()
    }

    /// What commands have made.
    pub(super) fn made(&self) -> &[(String, Value)] {
        &self.made
    }

    pub(super) fn into_made(self) -> Vec<(String, Value)> {
        self.made
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        match self.made.iter_mut().find(|(made, _)| made == name) {
            Some((_, old)) => *old = value,
            None => self.made.push((name.to_owned(), value)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Value {
        if let Some((_, value)) = self.made.iter().find(|(made, _)| made == name) {
            return value.clone();
        }
        if let Some(found) = self.in_made(name) {
            return found;
        }
        let Some(source) = &self.source else { return Value::Nothing };
        match name {
            "@timestamp" => Value::Time(source.position.at as f64),
            "@ingestionTime" => Value::Time(source.ingested as f64),
            "@message" => Value::Text(source.message.to_owned()),
            "@logStream" => Value::Text(source.stream.to_owned()),
            "@log" => Value::Text(source.log.to_owned()),
            "@ptr" => Value::Text(pointer(source)),
            _ if name.starts_with('@') => of_lambda(name, source.message).unwrap_or(Value::Nothing),
            _ => self.of_json(source, name),
        }
    }

    /// A member of what `jsonParse` found: `parsed.user.name`.
    fn in_made(&self, name: &str) -> Option<Value> {
        let (of, path) = name.split_once('.')?;
        let (_, value) = self.made.iter().find(|(made, _)| made == of)?;
        let Value::Text(text) = value else { return None };
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        Some(within(&json, path).map_or(Value::Nothing, Value::of_json))
    }

    /// As it is shown in a result.
    pub(super) fn show(&self, name: &str) -> Option<String> {
        self.get(name).text()
    }

    fn of_json(&self, source: &Source<'_>, name: &str) -> Value {
        let json = self.json.get_or_init(|| {
            // AWS too finds the object behind other text.
            let begin = source.message.find('{')?;
            let end = source.message.rfind('}')?;
            serde_json::from_str(source.message.get(begin..=end)?).ok()
        });
        let found = json.as_ref().and_then(|json| within(json, name));
        found.map_or(Value::Nothing, Value::of_json)
    }
}

/// A member by its name, or by the path to it.
fn within<'j>(json: &'j serde_json::Value, name: &str) -> Option<&'j serde_json::Value> {
    if let Some(whole) = json.get(name) {
        return Some(whole);
    }
    name.split('.').try_fold(json, |value, step| match value {
        serde_json::Value::Object(members) => members.get(step),
        serde_json::Value::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
        _ => None,
    })
}

/// Which event of which group, for `GetLogRecord`.
fn pointer(source: &Source<'_>) -> String {
    let mut pointer = event_id(source.position);
    for byte in source.log.bytes() {
        pointer.push_str(&format!("{byte:02x}"));
    }
    pointer
}

/// The fields that are found in Lambda's own lines.
fn of_lambda(name: &str, message: &str) -> Option<Value> {
    let kind = ["START", "END", "REPORT"]
        .into_iter()
        .find(|kind| message.strip_prefix(kind).is_some_and(|rest| rest.starts_with(" RequestId: ")));
    let between = |label: &str, unit: &str| {
        let rest = &message[message.find(label)? + label.len()..];
        rest.split(unit).next()?.trim().parse::<f64>().ok()
    };
    match name {
        "@type" => kind.map(|kind| Value::Text(kind.into())),
        "@requestId" => match kind {
            Some(_) => {
                let id = message.split("RequestId: ").nth(1)?.split([' ', '\t']).next()?;
                Some(Value::Text(id.trim().into()))
            }
            // The runtime's own lines: time, id, level, text between tabs.
            None => {
                let id = message.split('\t').nth(1)?;
                let is = id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
                is.then(|| Value::Text(id.into()))
            }
        },
        _ if kind != Some("REPORT") => None,
        "@duration" => between("\tDuration: ", " ms").map(Value::Number),
        "@billedDuration" => between("\tBilled Duration: ", " ms").map(Value::Number),
        "@initDuration" => between("\tInit Duration: ", " ms").map(Value::Number),
        // In bytes, of the megabytes that the line has.
        "@memorySize" => between("\tMemory Size: ", " MB").map(|size| Value::Number(size * 1e6)),
        "@maxMemoryUsed" => between("\tMax Memory Used: ", " MB").map(|size| Value::Number(size * 1e6)),
        _ => None,
    }
}
