//! Events as they are read: of one stream both ways, and of all of a group in the order of their times.

use std::time::Instant;

use super::token::{Direction, Token};
use super::{EVENTS, Listed, Logs, LogsError, Result, unavailable};
use crate::log_store::{Asked, PAGE_BYTES, PAGE_TIME};
use crate::pattern::Pattern;
use crate::store::group::GroupKey;
use crate::store::search::{Arrival, Found, Page, Position};

/// What `GetLogEvents` asks for.
#[derive(Debug, Clone, Default)]
pub struct Get<'a> {
    /// Of this stream.
    pub stream: &'a str,
    /// From this time on, in milliseconds since 1970.
    pub start: Option<i64>,
    /// Before this time.
    pub end: Option<i64>,
    /// Most events.
    pub limit: Option<usize>,
    /// The first instead of the last.
    pub from_head: bool,
    /// Of a former page.
    pub token: Option<&'a str>,
}

/// What `GetLogEvents` answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// In order.
    pub events: Vec<Found>,
    /// For what comes after.
    pub forward: String,
    /// For what is before.
    pub backward: String,
}

/// What `FilterLogEvents` asks for.
#[derive(Debug, Clone, Default)]
pub struct Filtered<'a> {
    /// Of these streams alone.
    pub streams: Option<&'a [String]>,
    /// Of streams whose names begin so.
    pub prefix: Option<&'a str>,
    /// From this time on, in milliseconds since 1970.
    pub start: Option<i64>,
    /// Up to this time and not later.
    pub end: Option<i64>,
    /// What messages must be.
    pub pattern: Option<&'a str>,
    /// Most events.
    pub limit: Option<usize>,
    /// The last ones first.
    pub newest: bool,
    /// Of a former page.
    pub token: Option<&'a str>,
}

impl Logs {
    /// `GetLogEvents`.
    pub fn get(&self, key: &GroupKey, get: &Get<'_>) -> Result<Events> {
        let there = self.store.has_stream(key, get.stream).map_err(|error| unavailable(&error))?;
        if there != Some(true) {
            return Err(if there.is_none() { LogsError::GroupNotFound } else { LogsError::StreamNotFound });
        }
        let (start, end) = (position(get.start, Position::of(0)), position(get.end, Position::of(u64::MAX)));
        if start > end {
            return Err(LogsError::InvalidParameter("endTime must not be before startTime".into()));
        }
        let (from, until, newest) = match get.token.map(Token::read).transpose()? {
            Some(Token { direction: Direction::Forward, position }) => (position.max(start), end, false),
            Some(Token { direction: Direction::Backward, position }) => (start, position.min(end), true),
            None => (start, end, !get.from_head),
        };
        let stream = [get.stream.to_owned()];
        let asked = Asked {
            from,
            until,
            arrived: Arrival::EVER,
            streams: Some(&stream),
            prefix: None,
            filter: None,
            newest,
            limit: get.limit.unwrap_or(EVENTS),
            bytes: PAGE_BYTES,
            deadline: Instant::now() + PAGE_TIME,
        };
        let page = self.store.page(key, &asked).map_err(|error| unavailable(&error))?;
        let Page { events, next } = page.ok_or(LogsError::GroupNotFound)?;
        // Where there is nothing the tokens stay, as AWS says the end of a stream by the same token again; but for a
        // page that only its time has ended.
        let nothing = next.unwrap_or(if newest { until } else { from });
        let after_all = if newest && until == Position::of(u64::MAX) { start } else { nothing };
        let forward = events.last().map_or(after_all, |last| last.position.after());
        let backward = events.first().map_or(nothing, |first| first.position);
        Ok(Events {
            events,
            forward: Token { direction: Direction::Forward, position: forward }.to_string(),
            backward: Token { direction: Direction::Backward, position: backward }.to_string(),
        })
    }

    /// Checks which streams and messages are wanted.
    pub(super) fn wanted(&self, key: &GroupKey, filtered: &Filtered<'_>) -> Result<Option<Pattern>> {
        if filtered.streams.is_some() && filtered.prefix.is_some() {
            return Err(LogsError::InvalidParameter(
                "logStreamNamePrefix and logStreamNames cannot both be given".into(),
            ));
        }
        for name in filtered.streams.unwrap_or_default() {
            match self.store.has_stream(key, name).map_err(|error| unavailable(&error))? {
                Some(true) => {}
                Some(false) => return Err(LogsError::StreamNotFound),
                None => return Err(LogsError::GroupNotFound),
            }
        }
        let pattern = filtered.pattern.map(Pattern::parse).transpose();
        pattern.map_err(|error| LogsError::InvalidParameter(error.to_string()))
    }

    /// `FilterLogEvents`: events of all streams in the order of their times.
    pub fn filter(&self, key: &GroupKey, filtered: &Filtered<'_>) -> Result<Listed<Found>> {
        let pattern = self.wanted(key, filtered)?;
        let start = position(filtered.start, Position::of(0));
        // Up to this time and not later.
        let end = position(filtered.end.map(|end| end.saturating_add(1)), Position::of(u64::MAX));
        let (from, until, newest) = match filtered.token.map(Token::read).transpose()? {
            Some(Token { direction: Direction::Forward, position }) => (position.max(start), end, false),
            Some(Token { direction: Direction::Backward, position }) => (start, position.min(end), true),
            None => (start, end, filtered.newest),
        };
        let asked = Asked {
            from,
            until,
            arrived: Arrival::EVER,
            streams: filtered.streams,
            prefix: filtered.prefix,
            filter: pattern.as_ref().map(|pattern| pattern as _),
            newest,
            limit: filtered.limit.unwrap_or(EVENTS),
            bytes: PAGE_BYTES,
            deadline: Instant::now() + PAGE_TIME,
        };
        let page = self.store.page(key, &asked).map_err(|error| unavailable(&error))?;
        let mut page = page.ok_or(LogsError::GroupNotFound)?;
        if newest {
            page.events.reverse();
        }
        let direction = if newest { Direction::Backward } else { Direction::Forward };
        let next = page.next.map(|position| Token { direction, position }.to_string());
        Ok(Listed { items: page.events, next })
    }
}

pub(super) fn position(time: Option<i64>, otherwise: Position) -> Position {
    time.map_or(otherwise, |time| Position::of(u64::try_from(time).unwrap_or(0)))
}
