//! What happens to a batch: how it is cut to the payload's bound, and what the function's answer says of
//! its messages (aws-behaviour 62).
//!
//! Deliberately not here: receiving, invoking, deleting.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;

use super::record::EVENT_FRAME;

/// Cuts records into as few events as fit into `limit` bytes each, in their order. A record that does not
/// fit alone is an event of its own.
#[must_use]
pub fn split(lengths: &[usize], limit: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut begin, mut bytes) = (0, EVENT_FRAME);
    for (index, length) in lengths.iter().enumerate() {
        if index > begin && bytes + length + 1 > limit {
            parts.push(begin..index);
            (begin, bytes) = (index, EVENT_FRAME);
        }
        bytes += length + 1;
    }
    if begin < lengths.len() {
        parts.push(begin..lengths.len());
    }
    parts
}

/// A message of a batch, as far as the answer is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// The message's id.
    pub id: &'a str,
    /// Its group, on a FIFO queue.
    pub group: Option<&'a str>,
}

/// Which messages failed, by the answer of a function that reports them: one truth value for each. An
/// answer that cannot be understood, or names a message that is not of the batch, fails all of them.
///
/// On a FIFO queue what comes behind a failed message of the same group has failed too, or it would be
/// processed before it.
#[must_use]
pub fn failed(answer: &[u8], items: &[Item<'_>]) -> Vec<bool> {
    let Some(mut failed) = reported(answer, items) else { return vec![true; items.len()] };
    let mut groups: Vec<&str> = Vec::new();
    for (item, failed) in items.iter().zip(&mut failed) {
        let Some(group) = item.group else { continue };
        if groups.contains(&group) {
            *failed = true;
        } else if *failed {
            groups.push(group);
        }
    }
    failed
}

fn reported(answer: &[u8], items: &[Item<'_>]) -> Option<Vec<bool>> {
    let mut failed = vec![false; items.len()];
    let list = match serde_json::from_slice(answer).ok()? {
        // Recorded of the service: nothing at all, in whatever form, reports nothing.
        Value::Null => return Some(failed),
        Value::String(text) if text.is_empty() => return Some(failed),
        Value::Array(list) if list.is_empty() => return Some(failed),
        Value::Object(mut object) => object.remove("batchItemFailures").unwrap_or_default(),
        Value::String(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_) => return None,
    };
    let list = match list {
        Value::Null => return Some(failed),
        Value::Array(list) => list,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => return None,
    };
    let places: HashMap<&str, usize> = items.iter().enumerate().map(|(at, item)| (item.id, at)).collect();
    for item in list {
        let id = item.get("itemIdentifier")?.as_str()?;
        failed[*places.get(id)?] = true;
    }
    Some(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_stay_below_the_bound() {
        // The frame has 14 bytes, each record one more for its comma.
        for (lengths, limit, expected) in [
            (&[][..], 100, &[][..]),
            (&[10, 10], 100, &[2]),
            (&[42, 42], 100, &[2]),
            (&[42, 43], 100, &[1, 2]),
            (&[200], 100, &[1]),
            (&[10, 200, 10], 100, &[1, 2, 3]),
            (&[40, 40, 40, 40], 100, &[2, 4]),
        ] {
            let parts = split(lengths, limit);
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start), "{parts:?}");
            assert_eq!(parts.iter().map(|part| part.end).collect::<Vec<_>>(), expected, "{lengths:?}");
        }
    }

    /// The developer guide's list of successes and failures, and what was recorded beside it.
    #[test]
    fn answers() {
        let items = ["a", "b", "c"].map(|id| Item { id, group: None });
        for (answer, expected) in [
            ("{}", "..."),
            ("null", "..."),
            ("[]", "..."),
            (r#""""#, "..."),
            (r#"{"batchItemFailures":[]}"#, "..."),
            (r#"{"batchItemFailures":null}"#, "..."),
            (r#"{"other":1}"#, "..."),
            (r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#, ".x."),
            (r#"{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"}]}"#, "x.x"),
            (r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"a"}]}"#, "x.."),
            (r#"{"batchItemFailures":[{"itemIdentifier":"a","more":1}]}"#, "x.."),
            (r#"{"batchItemFailures":[{"itemIdentifier":"nobody"}]}"#, "xxx"),
            (r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"nobody"}]}"#, "xxx"),
            (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, "xxx"),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, "xxx"),
            (r#"{"batchItemFailures":[{"itemIdentifier":1}]}"#, "xxx"),
            (r#"{"batchItemFailures":[{"foo":"notvalid"}]}"#, "xxx"),
            (r#"{"batchItemFailures":["a"]}"#, "xxx"),
            (r#"{"batchItemFailures":{"itemIdentifier":"a"}}"#, "xxx"),
            (r#"{"batchItemFailures":"a"}"#, "xxx"),
            (r#""text""#, "xxx"),
            ("7", "xxx"),
            ("not json", "xxx"),
            ("", "xxx"),
        ] {
            assert_eq!(shown(&failed(answer.as_bytes(), &items)), expected, "{answer}");
        }
    }

    #[test]
    fn groups_keep_their_order() {
        let item = |id: &'static str| Item { id, group: Some(&id[..1]) };
        let items = ["a1", "b1", "a2", "b2", "a3", "c1"].map(item);
        for (names, expected) in [
            (&["a1"][..], "x.x.x."),
            (&["a2"], "..x.x."),
            (&["b1", "a3"], ".x.xx."),
            (&["b2"], "...x.."),
            (&["c1"], ".....x"),
        ] {
            let list: Vec<Value> =
                names.iter().map(|name| serde_json::json!({ "itemIdentifier": name })).collect();
            let answer = serde_json::json!({ "batchItemFailures": list }).to_string();
            assert_eq!(shown(&failed(answer.as_bytes(), &items)), expected, "{names:?}");
        }
    }

    fn shown(failed: &[bool]) -> String {
        failed.iter().map(|failed| if *failed { 'x' } else { '.' }).collect()
    }
}
