//! What a value is compared with: texts with `*`, numbers, regular expressions. The same for JSON and for fields
//! between spaces.

use regex::bytes::{Regex, RegexBuilder};

use super::PatternError;
use super::cursor::Cursor;
use crate::need::Need;

/// Most memory of a compiled regular expression.
const REGEX_BYTES: usize = 1 << 20;

/// Compiles a regular expression within bounds; its matching takes linear time.
pub(crate) fn compile(text: &str, ignore_case: bool) -> Result<Regex, String> {
    let built = RegexBuilder::new(text)
        .unicode(!text.is_ascii())
        .case_insensitive(ignore_case)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_BYTES)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "the regular expression is too large".into(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("the regular expression is not valid ({last})")
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Option<Self> {
        for (text, operator) in [
            ("!=", Self::Unequal),
            ("<=", Self::LessOrEqual),
            (">=", Self::GreaterOrEqual),
            ("=", Self::Equal),
            ("<", Self::Less),
            (">", Self::Greater),
        ] {
            if cursor.eat(text) {
                return Some(operator);
            }
        }
        None
    }

    pub(crate) fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// What stands right of an operator.
#[derive(Debug)]
pub(crate) enum Operand {
    /// A number, and how it was written.
    Number(f64, String),
    /// A text without `*`.
    Text(String),
    /// What stands between the `*`.
    Wildcard(Vec<String>),
    Regex(Regex),
}

/// An operator and what it compares with.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) operator: Operator,
    pub(crate) operand: Operand,
}

impl Comparison {
    /// Reads operator and operand; an operand without quotes ends before one of these.
    pub(crate) fn parse(cursor: &mut Cursor<'_>, ends: &str) -> Result<Self, PatternError> {
        let operator =
            Operator::parse(cursor).ok_or_else(|| cursor.error("one of = != < <= > >= is expected"))?;
        cursor.skip_spaces();
        let before = cursor.clone();
        let operand = if cursor.eat("%") {
            Operand::Regex(cursor.regex()?)
        } else if cursor.eat("\"") {
            text(cursor.quoted('"')?)
        } else {
            let word = cursor.take_while(|each| !each.is_whitespace() && !ends.contains(each));
            match word.parse::<f64>() {
                _ if word.is_empty() => return Err(before.error("a value is expected")),
                Ok(number) if number.is_finite() => Operand::Number(number, word.to_owned()),
                Ok(_) | Err(_) => text(word.to_owned()),
            }
        };
        let equality = matches!(operator, Operator::Equal | Operator::Unequal);
        if !equality && !matches!(operand, Operand::Number(..)) {
            return Err(before.error("a number is expected"));
        }
        Ok(Self { operator, operand })
    }

    /// Whether a text fulfils it, as a number where it is compared with one.
    pub(crate) fn holds_for_text(&self, value: &str) -> bool {
        let equal = match &self.operand {
            Operand::Number(number, _) => {
                let Ok(value) = value.parse::<f64>() else { return self.operator == Operator::Unequal };
                return value.partial_cmp(number).is_some_and(|order| self.operator.holds(order));
            }
            Operand::Text(text) => value == text,
            Operand::Wildcard(parts) => wildcard(parts, value),
            Operand::Regex(regex) => regex.is_match(value.as_bytes()),
        };
        equal == (self.operator == Operator::Equal)
    }

    /// The words of a text that must be there letter by letter.
    pub(crate) fn need(&self) -> Need {
        match (self.operator, &self.operand) {
            (Operator::Equal, Operand::Text(text)) => Need::words(text.as_bytes()),
            (
                Operator::Equal
                | Operator::Unequal
                | Operator::Less
                | Operator::LessOrEqual
                | Operator::Greater
                | Operator::GreaterOrEqual,
                _,
            ) => Need::Nothing,
        }
    }
}

fn text(text: String) -> Operand {
    if text.contains('*') {
        Operand::Wildcard(text.split('*').map(str::to_owned).collect())
    } else {
        Operand::Text(text)
    }
}

/// Whether a text is these parts, the first at its beginning, the last at its end, with anything between them.
fn wildcard(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.iter().all(|only| only == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(found) = rest.find(part.as_str()) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.ends_with(last.as_str())
}
