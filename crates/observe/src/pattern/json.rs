//! Patterns of JSON: `{ ($.user.id = 1) && ($.users[0].email = "a*") || $.error IS TRUE }`. A message that is no JSON
//! matches none.

use serde_json::Value;

use super::PatternError;
use super::condition::{Comparison, Operand, Operator};
use super::cursor::Cursor;
use crate::need::Need;

/// How deep parentheses may stand in each other.
const DEPTH: usize = 32;

#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Is(Selector, Check),
}

#[derive(Debug)]
pub(super) enum Check {
    Compare(Comparison),
    True,
    False,
    Null,
    Exists,
    Missing,
}

#[derive(Debug)]
pub(super) struct Selector(Vec<Step>);

#[derive(Debug)]
enum Step {
    Name(String),
    Index(usize),
    /// Every element of an array, or member of an object.
    Each,
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Condition, PatternError> {
    cursor.expect("{")?;
    let condition = any(cursor, 0)?;
    cursor.expect("}")?;
    Ok(condition)
}

fn any(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, PatternError> {
    let mut conditions = vec![all(cursor, depth)?];
    while cursor.eat("||") {
        conditions.push(all(cursor, depth)?);
    }
    Ok(if conditions.len() == 1 { conditions.remove(0) } else { Condition::Any(conditions) })
}

fn all(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, PatternError> {
    let mut conditions = vec![one(cursor, depth)?];
    while cursor.eat("&&") {
        conditions.push(one(cursor, depth)?);
    }
    Ok(if conditions.len() == 1 { conditions.remove(0) } else { Condition::All(conditions) })
}

/// A condition and the spaces around it.
fn one(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, PatternError> {
    cursor.skip_spaces();
    if depth > DEPTH {
        return Err(cursor.error("too many parentheses"));
    }
    let condition = if cursor.eat("(") {
        let inner = any(cursor, depth + 1)?;
        cursor.expect(")")?;
        inner
    } else {
        let selector = selector(cursor)?;
        cursor.skip_spaces();
        let check = if cursor.eat_word("IS") {
            cursor.skip_spaces();
            if cursor.eat_word("TRUE") {
                Check::True
            } else if cursor.eat_word("FALSE") {
                Check::False
            } else if cursor.eat_word("NULL") {
                Check::Null
            } else {
                return Err(cursor.error("TRUE, FALSE or NULL is expected"));
            }
        } else if cursor.eat_word("NOT") {
            cursor.skip_spaces();
            if !cursor.eat_word("EXISTS") {
                return Err(cursor.error("EXISTS is expected"));
            }
            Check::Missing
        } else if cursor.eat_word("EXISTS") {
            Check::Exists
        } else {
            Check::Compare(Comparison::parse(cursor, ")}&|")?)
        };
        Condition::Is(selector, check)
    };
    cursor.skip_spaces();
    Ok(condition)
}

fn selector(cursor: &mut Cursor<'_>) -> Result<Selector, PatternError> {
    if !cursor.eat("$") {
        return Err(cursor.error("a selector that begins with $ is expected"));
    }
    let mut steps = Vec::new();
    loop {
        let dot = cursor.eat(".");
        if cursor.eat("[") {
            if cursor.eat("*") {
                steps.push(Step::Each);
            } else if let Some(quote @ ('\'' | '"')) = cursor.peek() {
                cursor.next();
                steps.push(Step::Name(cursor.quoted(quote)?));
            } else {
                let digits = cursor.take_while(|each| each.is_ascii_digit());
                let index = digits
                    .parse()
                    .map_err(|_| cursor.error("an index, * or a name in quotes is expected"))?;
                steps.push(Step::Index(index));
            }
            cursor.expect("]")?;
        } else if dot {
            if cursor.eat("*") {
                steps.push(Step::Each);
                continue;
            }
            let name = cursor.take_while(|each| !each.is_whitespace() && !".[]()=!<>&|{}\"'%".contains(each));
            if name.is_empty() {
                return Err(cursor.error("a name is expected"));
            }
            steps.push(Step::Name(name.to_owned()));
        } else {
            return Ok(Selector(steps));
        }
    }
}

impl Selector {
    /// Whether one of the selected values fulfils the check.
    fn any(&self, value: &Value, check: &mut dyn FnMut(&Value) -> bool) -> bool {
        fn walk(steps: &[Step], value: &Value, check: &mut dyn FnMut(&Value) -> bool) -> bool {
            match (steps, value) {
                ([], value) => check(value),
                ([Step::Name(name), rest @ ..], Value::Object(members)) => {
                    members.get(name).is_some_and(|value| walk(rest, value, check))
                }
                ([Step::Index(index), rest @ ..], Value::Array(items)) => {
                    items.get(*index).is_some_and(|value| walk(rest, value, check))
                }
                ([Step::Each, rest @ ..], Value::Array(items)) => {
                    items.iter().any(|value| walk(rest, value, check))
                }
                ([Step::Each, rest @ ..], Value::Object(members)) => {
                    members.values().any(|value| walk(rest, value, check))
                }
                _ => false,
            }
        }
        walk(&self.0, value, check)
    }
}

impl Condition {
    pub(super) fn matches(&self, message: &[u8]) -> bool {
        // Most lines are none, and are seen to be none by their first byte.
        let object = message.trim_ascii_start().first().is_some_and(|first| matches!(first, b'{' | b'['));
        object && serde_json::from_slice(message).is_ok_and(|value| self.holds(&value))
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(value)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(value)),
            Self::Is(selector, check) => match check {
                Check::Compare(comparison) => selector.any(value, &mut |value| compare(comparison, value)),
                Check::True => selector.any(value, &mut |value| *value == Value::Bool(true)),
                Check::False => selector.any(value, &mut |value| *value == Value::Bool(false)),
                Check::Null => selector.any(value, &mut Value::is_null),
                Check::Exists => selector.any(value, &mut |_| true),
                Check::Missing => !selector.any(value, &mut |_| true),
            },
        }
    }

    pub(super) fn need(&self) -> Need {
        match self {
            Self::All(conditions) => Need::all(conditions.iter().map(Self::need)),
            Self::Any(conditions) => Need::any(conditions.iter().map(Self::need)),
            Self::Is(_, Check::Compare(comparison)) => match &comparison.operand {
                // It may be compared with a number, which can be written otherwise.
                Operand::Text(text) if text.parse::<f64>().is_ok() => Need::Nothing,
                Operand::Text(_) | Operand::Number(..) | Operand::Wildcard(_) | Operand::Regex(_) => {
                    comparison.need()
                }
            },
            Self::Is(_, Check::True | Check::False | Check::Null | Check::Exists | Check::Missing) => {
                Need::Nothing
            }
        }
    }
}

fn compare(comparison: &Comparison, value: &Value) -> bool {
    match value {
        Value::String(text) => match &comparison.operand {
            // A text is no number, also where it looks like one; it can be the same text.
            Operand::Number(_, written) => match comparison.operator {
                Operator::Equal => text == written,
                Operator::Unequal => text != written,
                Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                    false
                }
            },
            Operand::Text(_) | Operand::Wildcard(_) | Operand::Regex(_) => comparison.holds_for_text(text),
        },
        Value::Number(number) => match (&comparison.operand, number.as_f64()) {
            (Operand::Number(other, _), Some(number)) => {
                number.partial_cmp(other).is_some_and(|order| comparison.operator.holds(order))
            }
            (Operand::Number(..) | Operand::Text(_) | Operand::Wildcard(_) | Operand::Regex(_), _) => {
                comparison.holds_for_text(&number.to_string())
            }
        },
        Value::Bool(value) => comparison.holds_for_text(if *value { "true" } else { "false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
