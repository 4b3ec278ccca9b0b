//! Tokens of pages, and the ids of events: where an event stands, in digits. A token of an event is AWS's form,
//! `f/<56 digits>/s` for what follows and `b/…/s` for what is before.

use std::fmt;

use super::LogsError;
use crate::store::search::Position;

/// Digits of a position: time, block, event.
const PARTS: [usize; 3] = [20, 20, 16];

pub(super) fn invalid() -> LogsError {
    LogsError::InvalidParameter("The specified nextToken is invalid.".into())
}

/// An event's id: 56 digits.
#[must_use]
pub fn event_id(position: Position) -> String {
    format!("{:020}{:020}{:016}", position.at, position.block, position.index)
}

pub(crate) fn read_id(id: &str) -> Option<Position> {
    if id.len() != PARTS.iter().sum::<usize>() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (at, rest) = id.split_at(PARTS[0]);
    let (block, index) = rest.split_at(PARTS[1]);
    Some(Position { at: at.parse().ok()?, block: block.parse().ok()?, index: index.parse().ok()? })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) direction: Direction,
    pub(super) position: Position,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Forward => 'f',
            Direction::Backward => 'b',
        };
        write!(f, "{direction}/{}/s", event_id(self.position))
    }
}

impl Token {
    pub(super) fn read(text: &str) -> Result<Self, LogsError> {
        let inner = text.strip_suffix("/s").and_then(|text| text.split_once('/')).ok_or_else(invalid)?;
        let direction = match inner.0 {
            "f" => Direction::Forward,
            "b" => Direction::Backward,
            _ => return Err(invalid()),
        };
        let position = read_id(inner.1).ok_or_else(invalid)?;
        Ok(Self { direction, position })
    }
}

/// A name as a token.
pub(super) fn text(name: &str) -> String {
    let mut token = String::from("n/");
    for byte in name.bytes() {
        token.push_str(&format!("{byte:02x}"));
    }
    token
}

pub(super) fn read_text(token: &str) -> Result<String, LogsError> {
    let digits = token.strip_prefix("n/").filter(|digits| digits.is_ascii()).ok_or_else(invalid)?;
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok()
        })
        .collect();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(invalid)
}

/// A name among names in the order of a time.
pub(super) fn place(time: Option<u64>, name: &str) -> String {
    let time = time.map_or_else(String::new, |time| time.to_string());
    format!("t/{time}/{}", text(name))
}

pub(super) fn read_place(token: &str) -> Result<(Option<u64>, String), LogsError> {
    let (time, name) = token.strip_prefix("t/").and_then(|rest| rest.split_once('/')).ok_or_else(invalid)?;
    let time = if time.is_empty() { None } else { Some(time.parse().map_err(|_| invalid())?) };
    Ok((time, read_text(name)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_tokens_are_refused() {
        for token in [
            "",
            "f",
            "f//s",
            "x/00000000000000000001000000000000000000010000000000000001/s",
            "f/0000000000000000000100000000000000000001000000000000000/s",
            "f/0000000000000000000100000000000000000001000000000000000x/s",
            "f/99999999999999999999000000000000000000010000000000000001/s",
            "f/00000000000000000001000000000000000000019999999999999999/s",
            "f/00000000000000000001000000000000000000010000000000000001",
            "n/61",
        ] {
            assert_eq!(Token::read(token), Err(invalid()), "{token}");
        }
        for token in ["", "n/6", "n/zz", "n/ff", "61", "n/é"] {
            assert_eq!(read_text(token), Err(invalid()), "{token}");
        }
        for token in ["", "t/", "t/x/n/61", "t/1/61"] {
            assert_eq!(read_place(token), Err(invalid()), "{token}");
        }
    }

    proptest! {
        #[test]
        fn tokens_come_back(at: u64, block: u64, index: u32, name in "(?s).{0,20}", time: Option<u64>) {
            for direction in [Direction::Forward, Direction::Backward] {
                let token = Token { direction, position: Position { at, block, index } };
                prop_assert_eq!(Token::read(&token.to_string()), Ok(token));
            }
            prop_assert_eq!(read_text(&text(&name)), Ok(name.clone()));
            prop_assert_eq!(read_place(&place(time, &name)), Ok((time, name)));
        }
    }
}
