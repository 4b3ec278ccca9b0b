//! Patterns of fields between spaces: `[ip, user, ..., status = 4* || status = 5*, bytes > 1000]`. A field of a message
//! is a run without spaces, or what stands in quotes or brackets.

use super::PatternError;
use super::condition::Comparison;
use super::cursor::Cursor;
use crate::need::Need;

const DEPTH: usize = 32;

#[derive(Debug)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Is(Comparison),
}

/// Fields before and after `...`, where there is one. `None`: whatever it is.
#[derive(Debug)]
pub(super) struct Fields {
    before: Vec<Option<Test>>,
    after: Option<Vec<Option<Test>>>,
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Fields, PatternError> {
    cursor.expect("[")?;
    let mut fields = Fields { before: Vec::new(), after: None };
    cursor.skip_spaces();
    if cursor.peek() == Some(']') {
        return Err(cursor.error("a field is expected"));
    }
    loop {
        cursor.skip_spaces();
        if cursor.eat("...") {
            if fields.after.is_some() {
                return Err(cursor.error("there is a second ..."));
            }
            fields.after = Some(Vec::new());
        } else {
            let test = test(cursor)?;
            fields.after.as_mut().unwrap_or(&mut fields.before).push(test);
        }
        cursor.skip_spaces();
        if cursor.eat("]") {
            return Ok(fields);
        }
        if !cursor.eat(",") {
            return Err(cursor.error("',' or ']' is expected"));
        }
    }
}

/// A field: a name, and what is asked of it. One without either is any, too: AWS's page has `[..., status=4*,]`.
fn test(cursor: &mut Cursor<'_>) -> Result<Option<Test>, PatternError> {
    let begin = cursor.clone();
    if cursor.peek() != Some('(') {
        if cursor.peek().is_none_or(|next| next != ',' && next != ']') {
            name(cursor)?;
        }
        cursor.skip_spaces();
        if cursor.peek().is_none_or(|next| next == ',' || next == ']') {
            return Ok(None);
        }
        *cursor = begin;
    }
    any(cursor, 0).map(Some)
}

fn name<'t>(cursor: &mut Cursor<'t>) -> Result<&'t str, PatternError> {
    let name = cursor.take_while(|each| !each.is_whitespace() && !",[]()=!<>&|\"%".contains(each));
    if name.is_empty() { Err(cursor.error("a field's name is expected")) } else { Ok(name) }
}

fn any(cursor: &mut Cursor<'_>, depth: usize) -> Result<Test, PatternError> {
    let mut tests = vec![all(cursor, depth)?];
    while cursor.eat("||") {
        tests.push(all(cursor, depth)?);
    }
    Ok(if tests.len() == 1 { tests.remove(0) } else { Test::Any(tests) })
}

fn all(cursor: &mut Cursor<'_>, depth: usize) -> Result<Test, PatternError> {
    let mut tests = vec![one(cursor, depth)?];
    while cursor.eat("&&") {
        tests.push(one(cursor, depth)?);
    }
    Ok(if tests.len() == 1 { tests.remove(0) } else { Test::All(tests) })
}

fn one(cursor: &mut Cursor<'_>, depth: usize) -> Result<Test, PatternError> {
    cursor.skip_spaces();
    if depth > DEPTH {
        return Err(cursor.error("too many parentheses"));
    }
    let test = if cursor.eat("(") {
        let inner = any(cursor, depth + 1)?;
        cursor.expect(")")?;
        inner
    } else {
        name(cursor)?;
        cursor.skip_spaces();
        Test::Is(Comparison::parse(cursor, ",])&|")?)
    };
    cursor.skip_spaces();
    Ok(test)
}

impl Test {
    fn holds(&self, field: &str) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(field)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(field)),
            Self::Is(comparison) => comparison.holds_for_text(field),
        }
    }

    fn need(&self) -> Need {
        match self {
            Self::All(tests) => Need::all(tests.iter().map(Self::need)),
            Self::Any(tests) => Need::any(tests.iter().map(Self::need)),
            Self::Is(comparison) => comparison.need(),
        }
    }
}

impl Fields {
    pub(super) fn matches(&self, message: &[u8]) -> bool {
        let message = String::from_utf8_lossy(message);
        let fields = split(&message);
        let after = self.after.as_ref().map_or(0, Vec::len);
        let enough = fields.len() >= self.before.len() + after;
        if !enough || (self.after.is_none() && fields.len() != self.before.len()) {
            return false;
        }
        let end = &fields[fields.len() - after..];
        let pairs = self.before.iter().zip(&fields).chain(self.after.iter().flatten().zip(end));
        pairs.into_iter().all(|(test, field)| test.as_ref().is_none_or(|test| test.holds(field)))
    }

    pub(super) fn need(&self) -> Need {
        let tests = self.before.iter().chain(self.after.iter().flatten()).flatten();
        Need::all(tests.map(Test::need))
    }
}

/// The fields of a message.
fn split(message: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = message.trim_start();
    while let Some(first) = rest.chars().next() {
        let closing = match first {
            '"' => Some('"'),
            '[' => Some(']'),
            _ => None,
        };
        let closed = closing.and_then(|closing| Some((&rest[1..], rest[1..].find(closing)?)));
        let field;
        (field, rest) = match closed {
            Some((inside, end)) => (&inside[..end], &inside[end + 1..]),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        fields.push(field);
        rest = rest.trim_start();
    }
    fields
}
