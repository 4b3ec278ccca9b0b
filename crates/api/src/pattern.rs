//! Patterns of the service model: Java's regular expressions, matched whole, compiled at first use.
//!
//! Look-around is among what they say, so that they are matched by backtracking, within bounds.

use std::sync::OnceLock;

use fancy_regex::{Regex, RegexBuilder};

use crate::service_model::Text;

/// Bytes a compiled pattern may take. The largest of the model takes a fraction of it.
const COMPILED_BYTES: usize = 1 << 20;
/// Steps back that matching one value may take; a value that would take more does not match.
const BACKTRACKS: usize = 100_000;

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
        self.compiled().is_none_or(|compiled| compiled.is_match(value).unwrap_or(false))
    }

    fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| compile(&self.text)).as_ref()
    }
}

fn compile(text: &str) -> Option<Regex> {
    // Java's \d and \s are ASCII, those of Rust's crates are not.
    let ascii = text.replace(r"\d", "[0-9]").replace(r"\s", r"[ \t\n\x0B\f\r]");
    RegexBuilder::new(&format!(r"\A(?:{ascii})\z"))
        .delegate_size_limit(COMPILED_BYTES)
        .backtrack_limit(BACKTRACKS)
        .build()
        .ok()
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
            ("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "live", true),
            ("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "7th", true),
            ("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "7", false),
            ("(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "a b", false),
            (r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", "live-1", true),
            (r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", "1", false),
            (r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", "$LATEST", false),
            (r"([a-z]{1,64})(:((?!\d+$)[0-9a-zA-Z-_]+))?", "f:1a", true),
            (r"([a-z]{1,64})(:((?!\d+$)[0-9a-zA-Z-_]+))?", "f", true),
            (r"([a-z]{1,64})(:((?!\d+$)[0-9a-zA-Z-_]+))?", "f:12", false),
            (r"[0-9A-Za-z\.\-_]*(?<!\.)", "a.bucket", true),
            (r"[0-9A-Za-z\.\-_]*(?<!\.)", "a.bucket.", false),
            (r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)", "places", true),
            (r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)", "system.users", false),
        ] {
            assert_eq!(Pattern::new(pattern.into()).matches(value), expected, "{pattern} on {value}");
        }
    }

    #[test]
    fn every_pattern_of_what_is_built_compiles() {
        for name in crate::operations::BUILT {
            let operation = MODEL.operation(name).unwrap();
            for member in MODEL.members(operation) {
                check(member.shape, &member.name);
            }
        }
    }

    fn check(shape: crate::service_model::ShapeId, name: &str) {
        let shape = MODEL.shape(shape);
        let compiles = shape.pattern.as_ref().is_none_or(|pattern| pattern.compiled().is_some());
        assert!(compiles, "{name}");
        match &shape.kind {
            Kind::List(member) => check(*member, name),
            Kind::Map { key, value } => {
                check(*key, name);
                check(*value, name);
            }
            Kind::Structure(members) => {
                for member in members {
                    check(member.shape, &member.name);
                }
            }
            Kind::Text | Kind::Integer | Kind::Double | Kind::Boolean | Kind::Blob | Kind::Timestamp => {}
        }
    }
}
