//! Checks an operation's input against the service model and words what is wrong as AWS does
//! (aws-behaviour 4, 37, 38, 43, 44). Clients that check by themselves see little of it; raw ones do.
//!
//! Deliberately not here: rules that are no constraints of the model; they are the control plane's.

use std::borrow::Cow;
use std::fmt::Write;

use lambkin_model::Error;

use crate::node::Node;
use crate::service_model::{Kind, Member, Operation, ServiceModel, Shape, ShapeId};

/// Characters of a value that a message repeats. AWS repeats all; a body may have 70 MB.
const REPEATED_CHARS: usize = 16_384;

/// Checks the input, a map by member name: first every type, then every constraint.
pub(crate) fn check(model: &ServiceModel, operation: &Operation, input: &Node<'_>) -> Result<(), Error> {
    let Some(shape) = operation.input else { return Ok(()) };
    check_types(model, model.shape(shape), input)?;
    let mut violations = Violations { model, count: 0, text: String::new() };
    violations.structure(model.members(operation), input, "");
    violations.finish()
}

/// A member of the wrong JSON type is no violation but a body that cannot be read.
fn check_types(model: &ServiceModel, shape: &Shape, value: &Node<'_>) -> Result<(), Error> {
    let wrong = |wanted: &str| {
        Err(Error::Serialization(format!("{} can not be converted to {wanted}", kind_of(value))))
    };
    match (&shape.kind, value) {
        (_, Node::Null)
        | (Kind::Text | Kind::Blob, Node::Text(_))
        | (Kind::Integer | Kind::Double | Kind::Timestamp, Node::Integer(_) | Node::Double(_))
        | (Kind::Boolean, Node::Boolean(_)) => Ok(()),
        (Kind::List(member), Node::List(items)) => {
            items.iter().try_for_each(|item| check_types(model, model.shape(*member), item))
        }
        (Kind::Map { value: member, .. }, Node::Map(entries)) => {
            entries.iter().try_for_each(|(_, value)| check_types(model, model.shape(*member), value))
        }
        (Kind::Structure(members), Node::Map(_)) => members.iter().try_for_each(|member| {
            value
                .get(&member.name)
                .map_or(Ok(()), |value| check_types(model, model.shape(member.shape), value))
        }),
        (_, Node::Map(_)) => {
            Err(Error::Serialization("Start of structure or map found where not expected.".into()))
        }
        (_, Node::List(_)) => Err(Error::Serialization("Start of list found where not expected".into())),
        (Kind::Text, _) => wrong("a String"),
        (Kind::Blob, _) => wrong("a Blob"),
        (Kind::Integer, _) => wrong("an Integer"),
        (Kind::Double, _) => wrong("a Double"),
        (Kind::Timestamp, _) => wrong("a Timestamp"),
        (Kind::Boolean, _) => wrong("a Boolean"),
        (Kind::List(_), _) => Err(Error::Serialization("Expected list or null".into())),
        (Kind::Map { .. }, _) => Err(Error::Serialization("Expected map or null".into())),
        (Kind::Structure(_), _) => Err(Error::Serialization("Expected structure or null".into())),
    }
}

fn kind_of(value: &Node<'_>) -> &'static str {
    match value {
        Node::Null => "NULL_VALUE",
        Node::Boolean(true) => "TRUE_VALUE",
        Node::Boolean(false) => "FALSE_VALUE",
        Node::Integer(_) => "NUMBER_VALUE",
        Node::Double(_) => "DECIMAL_VALUE",
        Node::Text(_) => "STRING_VALUE",
        Node::List(_) => "LIST_VALUE",
        Node::Map(_) => "MAP_VALUE",
    }
}

struct Violations<'m> {
    model: &'m ServiceModel,
    count: usize,
    text: String,
}

impl<'m> Violations<'m> {
    fn finish(self) -> Result<(), Error> {
        match self.count {
            0 => Ok(()),
            1 => Err(Error::Validation(format!("1 validation error detected: {}", self.text))),
            more => Err(Error::Validation(format!("{more} validation errors detected: {}", self.text))),
        }
    }

    fn structure(&mut self, members: &[Member], value: &Node<'_>, path: &str) {
        for member in members {
            let path = joined(path, &member.name);
            match value.get(&member.name) {
                Some(value) => self.value(member.shape, value, &path),
                None if member.required => self.add("Value null", &path, "Member must not be null"),
                None => {}
            }
        }
    }

    fn value(&mut self, id: ShapeId, value: &Node<'_>, path: &str) {
        let shape = self.model.shape(id);
        for constraint in broken(shape, value) {
            self.add(&shown(shape, value), path, &constraint);
        }
        match (&shape.kind, value) {
            (Kind::Structure(members), Node::Map(_)) => self.structure(members, value, path),
            (Kind::List(member), Node::List(items)) => self.list(shape, *member, value, items, path),
            (Kind::Map { key, value: member }, Node::Map(entries)) => {
                let (key, member) = (self.model.shape(*key), self.model.shape(*member));
                // AWS shows them as what they are to be: `{2=2.0}`.
                let read = doubles(member, entries);
                let value = read.as_ref().unwrap_or(value);
                let bad_key = |text: &str| !broken(key, &Node::Text(text.into())).is_empty();
                if entries.iter().any(|(name, _)| bad_key(name)) {
                    let text = format!("Map keys must satisfy constraint: [{}]", all(key));
                    self.add(&shown(shape, value), path, &text);
                }
                if entries.iter().any(|(_, value)| *value == Node::Null || !broken(member, value).is_empty())
                {
                    let text = format!("Map value must satisfy constraint: [{}]", all(member));
                    self.add(&shown(shape, value), path, &text);
                }
            }
            (
                Kind::Text
                | Kind::Integer
                | Kind::Double
                | Kind::Boolean
                | Kind::Blob
                | Kind::Timestamp
                | Kind::List(_)
                | Kind::Map { .. }
                | Kind::Structure(_),
                _,
            ) => {}
        }
    }

    fn list(&mut self, shape: &Shape, member: ShapeId, value: &Node<'_>, items: &[Node<'_>], path: &str) {
        let inner = self.model.shape(member);
        if let Kind::Structure(members) = &inner.kind {
            for (index, item) in items.iter().enumerate() {
                self.structure(members, item, &format!("{path}.{}.member", index + 1));
            }
        } else if items.iter().any(|item| *item == Node::Null || !broken(inner, item).is_empty()) {
            // One violation for the list, naming everything its members must be.
            let text = format!("Member must satisfy constraint: [{}]", all(inner));
            self.add(&shown(shape, value), path, &text);
        }
    }

    fn add(&mut self, value: &str, path: &str, constraint: &str) {
        let separator = if self.count == 0 { "" } else { "; " };
        self.count += 1;
        write!(self.text, "{separator}{value} at '{path}' failed to satisfy constraint: {constraint}")
            .expect("a String takes all");
    }
}

/// The map with its whole numbers as doubles, where it is one of doubles.
#[expect(clippy::cast_precision_loss, reason = "it is only shown")]
fn doubles<'a>(member: &Shape, entries: &[(Cow<'a, str>, Node<'a>)]) -> Option<Node<'a>> {
    let read = |value: &Node<'a>| match value {
        Node::Integer(number) => Node::Double(*number as f64),
        Node::Null | Node::Boolean(_) | Node::Double(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => {
            value.clone()
        }
    };
    matches!(member.kind, Kind::Double)
        .then(|| Node::Map(entries.iter().map(|(key, value)| (key.clone(), read(value))).collect()))
}

/// `Value 'x'`, or only `Value` where it is secret.
fn shown(shape: &Shape, value: &Node<'_>) -> String {
    if shape.sensitive {
        return "Value".into();
    }
    let mut text = value.to_string();
    if let Some((end, _)) = text.char_indices().nth(REPEATED_CHARS) {
        text.truncate(end);
    }
    format!("Value '{text}'")
}

/// AWS's spelling of a member in a path: `functionName`, `kMSKeyArn`.
fn joined(path: &str, name: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1 + name.len());
    if !path.is_empty() {
        out.push_str(path);
        out.push('.');
    }
    let mut letters = name.chars();
    out.extend(letters.next().map(|first| first.to_ascii_lowercase()));
    out.push_str(letters.as_str());
    out
}

/// The constraints of the shape that the value itself breaks, in AWS's order.
fn broken(shape: &Shape, value: &Node<'_>) -> Vec<String> {
    let mut out = Vec::new();
    if let Node::Text(text) = value {
        if !shape.values.is_empty() && !shape.values.iter().any(|allowed| **allowed == **text) {
            out.push(enumeration(shape));
        }
        if let Some(pattern) = &shape.pattern
            && !pattern.matches(text)
        {
            out.push(format!("Member must satisfy regular expression pattern: {}", pattern.text()));
        }
    }
    if let Some(size) = size(value) {
        if shape.max.is_some_and(|max| size > max) {
            out.push(bound(shape, "less", shape.max.unwrap_or_default()));
        }
        if shape.min.is_some_and(|min| size < min) {
            out.push(bound(shape, "greater", shape.min.unwrap_or_default()));
        }
    }
    out
}

/// Every constraint of the shape, as AWS lists them for members of lists and maps.
fn all(shape: &Shape) -> String {
    let mut out = Vec::new();
    out.extend(shape.max.map(|max| bound(shape, "less", max)));
    out.extend(shape.min.map(|min| bound(shape, "greater", min)));
    if !shape.values.is_empty() {
        out.push(enumeration(shape));
    }
    if let Some(pattern) = &shape.pattern {
        out.push(format!("Member must satisfy regular expression pattern: {}", pattern.text()));
    }
    out.push("Member must not be null".into());
    out.join(", ")
}

fn enumeration(shape: &Shape) -> String {
    format!("Member must satisfy enum value set: [{}]", shape.values.join(", "))
}

fn bound(shape: &Shape, side: &str, bound: f64) -> String {
    match shape.kind {
        Kind::Double => format!("Member must have value {side} than or equal to {bound:?}"),
        Kind::Integer => format!("Member must have value {side} than or equal to {bound}"),
        Kind::Text
        | Kind::Blob
        | Kind::Boolean
        | Kind::Timestamp
        | Kind::List(_)
        | Kind::Map { .. }
        | Kind::Structure(_) => format!("Member must have length {side} than or equal to {bound}"),
    }
}

/// What bounds are applied to: a number, or a length in Java's characters.
#[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^52")]
fn size(value: &Node<'_>) -> Option<f64> {
    match value {
        Node::Null | Node::Boolean(_) => None,
        Node::Integer(value) => Some(*value as f64),
        Node::Double(value) => Some(*value),
        Node::Text(text) if text.is_ascii() => Some(text.len() as f64),
        Node::Text(text) => Some(text.encode_utf16().count() as f64),
        Node::List(items) => Some(items.len() as f64),
        Node::Map(entries) => Some(entries.len() as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_model::MODEL;

    const ROLE: &str = "arn:aws:iam::000000000000:role/r";

    fn message(operation: &str, json: &str) -> String {
        let input = Node::read(json.as_bytes()).unwrap();
        match check(&MODEL, MODEL.operation(operation).unwrap(), &input) {
            Ok(()) => String::new(),
            Err(Error::Validation(text)) => text,
            Err(other) => format!("{other:?}"),
        }
    }

    fn create(members: &str) -> String {
        let base = format!(r#""FunctionName":"f","Code":{{"ZipFile":"UEs="}},"Role":"{ROLE}""#);
        message("CreateFunction", &format!("{{{base}{members}}}"))
    }

    #[test]
    fn members_of_a_function() {
        let one = |rest: &str| format!("1 validation error detected: {rest}");
        for (members, expected) in [
            ("", String::new()),
            (
                r#","Role":"r1""#,
                one(
                    r"Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
                ),
            ),
            // The enum of runtimes is no constraint of the model: the control plane answers it (38).
            (r#","Runtime":"cobol""#, String::new()),
            (
                r#","MemorySize":127"#,
                one(
                    "Value '127' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
                ),
            ),
            (
                r#","PackageType":"Tar""#,
                one(
                    "Value 'Tar' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: [Zip, Image]",
                ),
            ),
            (
                r#","Architectures":["x86_64","arm64"]"#,
                one(
                    "Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1",
                ),
            ),
            (
                r#","Architectures":["s390x"]"#,
                one(
                    "Value '[s390x]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
                ),
            ),
            (
                r#","Environment":{"Variables":{"1a":"secret"}}"#,
                one(
                    "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]",
                ),
            ),
            (
                r#","EphemeralStorage":{}"#,
                one("Value null at 'ephemeralStorage.size' failed to satisfy constraint: Member must not be null"),
            ),
            (
                r#","FileSystemConfigs":[{"LocalMountPath":"/mnt/a"}]"#,
                one(
                    "Value null at 'fileSystemConfigs.1.member.arn' failed to satisfy constraint: Member must not be null",
                ),
            ),
            (
                r#","LoggingConfig":{"LogFormat":"XML"}"#,
                one(
                    "Value 'XML' at 'loggingConfig.logFormat' failed to satisfy constraint: Member must satisfy enum value set: [JSON, Text]",
                ),
            ),
            (
                r#","Timeout":0,"Handler":"a b""#,
                r"2 validation errors detected: Value 'a b' at 'handler' failed to satisfy constraint: Member must satisfy regular expression pattern: [^\s]+; Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1".into(),
            ),
            (r#","Unknown":{"x":1}"#, String::new()),
            (r#","Description":null"#, String::new()),
            (r#","Timeout":"3""#, r#"Serialization("STRING_VALUE can not be converted to an Integer")"#.into()),
            (r#","Handler":7"#, r#"Serialization("NUMBER_VALUE can not be converted to a String")"#.into()),
            (r#","Handler":[]"#, r#"Serialization("Start of list found where not expected")"#.into()),
            (r#","Layers":"l""#, r#"Serialization("Expected list or null")"#.into()),
        ] {
            assert_eq!(create(members), expected, "{members}");
        }
    }

    #[test]
    fn names_and_what_must_be_there() {
        let long = "a".repeat(171);
        let name = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";
        for (operation, json, expected) in [
            (
                "CreateFunction",
                "{}".to_owned(),
                "3 validation errors detected: Value null at 'functionName' failed to satisfy constraint: Member must not be null; Value null at 'role' failed to satisfy constraint: Member must not be null; Value null at 'code' failed to satisfy constraint: Member must not be null".to_owned(),
            ),
            (
                "GetFunction",
                r#"{"FunctionName":"a b"}"#.into(),
                format!("1 validation error detected: Value 'a b' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: {name}"),
            ),
            (
                "GetFunction",
                format!(r#"{{"FunctionName":"{long}"}}"#),
                format!("1 validation error detected: Value '{long}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 170"),
            ),
            (
                "GetFunction",
                r#"{"FunctionName":"f","Qualifier":"a.b"}"#.into(),
                r"1 validation error detected: Value 'a.b' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+".into(),
            ),
            (
                "ListFunctions",
                r#"{"MaxItems":0}"#.into(),
                "1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1".into(),
            ),
            (
                "Invoke",
                r#"{"FunctionName":"f","InvocationType":"event"}"#.into(),
                "1 validation error detected: Value 'event' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]".into(),
            ),
        ] {
            assert_eq!(message(operation, &json), expected, "{operation} {json}");
        }
    }
}
