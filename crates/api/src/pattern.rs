//! Patterns of the service model: Java's regular expressions, matched whole, compiled at first use.
//!
//! Deliberately not here: look-around. The few patterns that have it are not applied; none belongs
//! to a setting that lambkin acts on.

use std::sync::OnceLock;

use regex::Regex;

use crate::service_model::Text;

/// Bytes a compiled pattern may take. The largest of the model takes a fraction of it.
const COMPILED_BYTES: usize = 1 << 20;

pub(crate) struct Pattern {
    text: Text,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(crate) fn new(text: Text) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    /// As the model has it and as messages print it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn matches(&self, value: &str) -> bool {
        self.compiled().is_none_or(|regex| regex.is_match(value))
    }

    fn compiled(&self) -> Option<&Regex> {
        self.compiled
            .get_or_init(|| {
                // Java's \d and \s are ASCII, the regex crate's are not.
                let ascii = self.text.replace(r"\d", "[0-9]").replace(r"\s", r"[ \t\n\x0B\f\r]");
                regex::RegexBuilder::new(&format!(r"\A(?:{ascii})\z")).size_limit(COMPILED_BYTES).build().ok()
            })
            .as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_model::{Kind, MODEL};

    #[test]
    fn matches_whole_values() {
        for (pattern, value, expected) in [
            ("[a-zA-Z0-9-_]+", "a-b_9", true),
            ("[a-zA-Z0-9-_]+", "a b", false),
            ("[a-zA-Z0-9-_]+", "ab\n", false),
            (r"\d{12}", "123456789012", true),
            (r"\d{12}", "1234567890123", false),
            (r"\d{1}", "\u{0663}", false),
            (r"[^\s]+", "index.handler", true),
            (r"[^\s]+", "index handler", false),
            (r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+", "$LATEST.PUBLISHED", true),
            (r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+", "a.b", false),
            (r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+", "r1", false),
            (
                r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
                "arn:aws:iam::000000000000:role/r",
                true,
            ),
        ] {
            assert_eq!(Pattern::new(pattern.into()).matches(value), expected, "{pattern} on {value}");
        }
    }

    #[test]
    fn every_pattern_of_what_is_built_compiles() {
        // Look-around, and refused before it matters.
        const KNOWN: [&str; 2] = ["S3Bucket", "CollectionName"];
        for name in crate::api::BUILT {
            let operation = MODEL.operation(name).unwrap();
            for member in MODEL.members(operation) {
                check(member.shape, &member.name, &KNOWN);
            }
        }
    }

    fn check(shape: crate::service_model::ShapeId, name: &str, known: &[&str]) {
        let shape = MODEL.shape(shape);
        let compiles = shape.pattern.as_ref().is_none_or(|pattern| pattern.compiled().is_some());
        assert!(compiles || known.contains(&name), "{name}");
        match &shape.kind {
            Kind::List(member) => check(*member, name, known),
            Kind::Map { key, value } => {
                check(*key, name, known);
                check(*value, name, known);
            }
            Kind::Structure(members) => {
                for member in members {
                    check(member.shape, &member.name, known);
                }
            }
            Kind::Text | Kind::Integer | Kind::Double | Kind::Boolean | Kind::Blob | Kind::Timestamp => {}
        }
    }
}
