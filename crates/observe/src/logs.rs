//! CloudWatch Logs as rules over the log store: which groups, streams and events it takes, how it words what it does
//! not, and what pages and tokens are. Blocking.
//!
//! Deliberately not here: the wire (`api`), queries (`insights`).

mod error;
mod token;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use lambkin_model::time::Timestamp;

pub use error::LogsError;
pub use token::event_id;
use token::{Direction, Token};

use crate::log_store::{Asked, LogStore, PAGE_BYTES, PAGE_TIME, StreamInfo};
use crate::log_writer::millis;
use crate::pattern::Pattern;
use crate::store::group::{GroupKey, Settings};
use crate::store::search::{Found, Page, Position};

/// Bytes of a batch, and of an event in it.
pub const BATCH_BYTES: usize = 1_048_576;
/// What AWS counts of each event beside its message.
pub const EVENT_BYTES: usize = 26;
/// Most events of a batch and of a page.
pub const EVENTS: usize = 10_000;
/// Most groups or streams of a page.
const PAGE: usize = 50;
/// Most tags of a group.
const TAGS: usize = 50;
const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;
/// What is older is too old, and what is this much in the future is too new.
const OLDEST: u64 = 14 * DAY;
const NEWEST: u64 = 2 * HOUR;
/// How long a batch may wait to be written before the answer.
const WRITE: Duration = Duration::from_secs(30);
/// The retentions that AWS has, in days.
pub const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// An event as it is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Milliseconds since 1970.
    pub at: i64,
    /// What it says.
    pub message: Bytes,
}

/// Which events of a batch were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rejected {
    /// Those before this one are older than 14 days.
    pub too_old_end: Option<usize>,
    /// Those before this one are older than the group's retention.
    pub expired_end: Option<usize>,
    /// This one and those after it are too far in the future.
    pub too_new_start: Option<usize>,
}

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

/// A page of a listing, and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// In order.
    pub items: Vec<T>,
    /// For the next page; `None`: there is none.
    pub next: Option<String>,
}

/// A group as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// Which.
    pub key: GroupKey,
    /// What was decided about it.
    pub settings: Settings,
    /// Bytes of its messages.
    pub stored_bytes: u64,
}

/// The groups that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// Whose names begin so.
    Prefix(&'a str),
    /// Whose names have this in them, in any case.
    Part(&'a str),
    /// These.
    Names(&'a [String]),
}

/// CloudWatch Logs over a store.
#[derive(Debug, Clone)]
pub struct Logs {
    store: Arc<LogStore>,
}

type Result<T> = std::result::Result<T, LogsError>;

fn unavailable(error: &io::Error) -> LogsError {
    tracing::error!(%error, "the log store failed");
    LogsError::Unavailable(format!("The log store failed: {error}"))
}

impl Logs {
    /// Over this store.
    #[must_use]
    pub fn new(store: Arc<LogStore>) -> Self {
        Self { store }
    }

    pub(crate) fn store(&self) -> &LogStore {
        &self.store
    }

    /// `CreateLogGroup`.
    pub fn create_group(
        &self,
        key: &GroupKey,
        tags: BTreeMap<String, String>,
        protected: bool,
    ) -> Result<()> {
        if tags.len() > TAGS {
            return Err(LogsError::TooManyTags);
        }
        if !self.store.create_group(key).map_err(|error| unavailable(&error))? {
            return Err(LogsError::AlreadyExists("The specified log group already exists"));
        }
        self.set(key, |settings| {
            settings.tags = tags;
            settings.deletion_protected = protected;
        })
    }

    /// `DeleteLogGroup`.
    pub fn delete_group(&self, key: &GroupKey) -> Result<()> {
        if self.settings(key)?.deletion_protected {
            return Err(LogsError::Validation("The log group is protected from deletion".into()));
        }
        match self.store.delete_group(key) {
            Ok(true) => Ok(()),
            Ok(false) => Err(LogsError::GroupNotFound),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// `DescribeLogGroups`.
    pub fn groups(
        &self,
        account: &str,
        region: &str,
        named: Named<'_>,
        limit: Option<usize>,
        token: Option<&str>,
    ) -> Result<Listed<GroupInfo>> {
        let mut keys = match named {
            Named::Prefix(prefix) => self.store.groups(account, region, prefix),
            Named::Part(_) | Named::Names(_) => self.store.groups(account, region, ""),
        };
        match named {
            Named::Prefix(_) => {}
            Named::Part(part) => {
                let part = part.to_lowercase();
                keys.retain(|key| key.name.to_lowercase().contains(&part));
            }
            Named::Names(names) => keys.retain(|key| names.iter().any(|name| **name == *key.name)),
        }
        if let Some(after) = token {
            let after = token::read_text(after)?;
            keys.retain(|key| *key.name > *after);
        }
        let limit = limit.unwrap_or(PAGE);
        let more = keys.len() > limit;
        keys.truncate(limit);
        let next = keys.last().filter(|_| more).map(|last| token::text(&last.name));
        let mut items = Vec::new();
        for key in keys {
            // Deleted meanwhile: it is none.
            if let Some((settings, stored_bytes)) =
                self.store.describe(&key).map_err(|error| unavailable(&error))?
            {
                items.push(GroupInfo { key, settings, stored_bytes });
            }
        }
        Ok(Listed { items, next })
    }

    /// A group's settings.
    pub fn settings(&self, key: &GroupKey) -> Result<Settings> {
        let described = self.store.describe(key).map_err(|error| unavailable(&error))?;
        described.map(|(settings, _)| settings).ok_or(LogsError::GroupNotFound)
    }

    fn set(&self, key: &GroupKey, change: impl FnOnce(&mut Settings)) -> Result<()> {
        match self.store.set(key, change) {
            Ok(true) => Ok(()),
            Ok(false) => Err(LogsError::GroupNotFound),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// `PutRetentionPolicy` and `DeleteRetentionPolicy`.
    pub fn set_retention(&self, key: &GroupKey, days: Option<u32>) -> Result<()> {
        if let Some(days) = days.filter(|days| !RETENTIONS.contains(days)) {
            let values = RETENTIONS.map(|days| days.to_string()).join(", ");
            return Err(LogsError::InvalidParameter(format!(
                "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member \
                 must satisfy enum value set: [{values}]"
            )));
        }
        self.set(key, |settings| settings.retention_days = days)
    }

    /// `PutLogGroupDeletionProtection`.
    pub fn protect(&self, key: &GroupKey, protected: bool) -> Result<()> {
        self.set(key, |settings| settings.deletion_protected = protected)
    }

    /// `TagResource` and `TagLogGroup`.
    pub fn tag(&self, key: &GroupKey, tags: BTreeMap<String, String>) -> Result<()> {
        let mut all = self.settings(key)?.tags;
        all.extend(tags);
        if all.len() > TAGS {
            return Err(LogsError::TooManyTags);
        }
        self.set(key, |settings| settings.tags = all)
    }

    /// `UntagResource` and `UntagLogGroup`.
    pub fn untag(&self, key: &GroupKey, names: &[String]) -> Result<()> {
        self.set(key, |settings| settings.tags.retain(|name, _| !names.contains(name)))
    }

    /// `CreateLogStream`.
    pub fn create_stream(&self, key: &GroupKey, stream: &str) -> Result<()> {
        match self.store.create_stream(key, stream).map_err(|error| unavailable(&error))? {
            Some(true) => Ok(()),
            Some(false) => Err(LogsError::AlreadyExists("The specified log stream already exists")),
            None => Err(LogsError::GroupNotFound),
        }
    }

    /// `DeleteLogStream`.
    pub fn delete_stream(&self, key: &GroupKey, stream: &str) -> Result<()> {
        match self.store.delete_stream(key, stream).map_err(|error| unavailable(&error))? {
            Some(true) => Ok(()),
            Some(false) => Err(LogsError::StreamNotFound),
            None => Err(LogsError::GroupNotFound),
        }
    }

    /// `DescribeLogStreams`, by name or by the time of the last event.
    pub fn streams(
        &self,
        key: &GroupKey,
        prefix: Option<&str>,
        by_time: bool,
        descending: bool,
        limit: Option<usize>,
        token: Option<&str>,
    ) -> Result<Listed<StreamInfo>> {
        if by_time && prefix.is_some() {
            return Err(LogsError::InvalidParameter(
                "Cannot order by LastEventTime with a logStreamNamePrefix.".into(),
            ));
        }
        let streams =
            self.store.streams(key, prefix.unwrap_or_default()).map_err(|error| unavailable(&error))?;
        let mut streams = streams.ok_or(LogsError::GroupNotFound)?;
        if by_time {
            streams.sort_by_key(|stream| (stream.times.map(|(_, last, _)| last), Arc::clone(&stream.name)));
        }
        if descending {
            streams.reverse();
        }
        if let Some(token) = token {
            let (time, name) = token::read_place(token)?;
            let place = |stream: &StreamInfo| {
                (if by_time { stream.times.map(|(_, last, _)| last) } else { None }, Arc::clone(&stream.name))
            };
            let after = (time, Arc::from(name));
            streams.retain(|stream| if descending { place(stream) < after } else { place(stream) > after });
        }
        let limit = limit.unwrap_or(PAGE);
        let more = streams.len() > limit;
        streams.truncate(limit);
        let next = streams.last().filter(|_| more).map(|last| {
            let time = if by_time { last.times.map(|(_, last, _)| last) } else { None };
            token::place(time, &last.name)
        });
        Ok(Listed { items: streams, next })
    }

    /// `PutLogEvents`: written when it answers.
    pub fn put(&self, key: &GroupKey, stream: &str, events: Vec<Put>) -> Result<Rejected> {
        let bytes: usize = events.iter().map(|event| event.message.len() + EVENT_BYTES).sum();
        if bytes > BATCH_BYTES {
            return Err(LogsError::InvalidParameter(format!(
                "Upload too large: {bytes} bytes exceeds limit of {BATCH_BYTES}"
            )));
        }
        if !events.is_sorted_by_key(|event| event.at) {
            return Err(LogsError::InvalidParameter(
                "Log events in a single PutLogEvents request must be in chronological order.".into(),
            ));
        }
        if self.store.keeps_nothing() {
            return Err(LogsError::Unsupported("This lambkin keeps no logs (--log-cap 0).".into()));
        }
        let settings = self.settings(key)?;
        let there = self.store.has_stream(key, stream).map_err(|error| unavailable(&error))?;
        if there != Some(true) {
            return Err(if there.is_none() { LogsError::GroupNotFound } else { LogsError::StreamNotFound });
        }
        let now = millis();
        let (rejected, taken) = judge(&events, now, settings.horizon(now));
        let taken = &events[taken];
        if let (Some(first), Some(last)) = (taken.first(), taken.last()) {
            if last.at - first.at > DAY.cast_signed() {
                return Err(LogsError::InvalidParameter(
                    "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.".into(),
                ));
            }
            let event = |event: &Put| LogEvent {
                at: Timestamp(u64::try_from(event.at).unwrap_or(0).saturating_mul(1000)),
                message: event.message.clone(),
            };
            let name = LogStreamName {
                account: Arc::clone(&key.account),
                region: Arc::clone(&key.region),
                group: Arc::clone(&key.name),
                stream: stream.into(),
            };
            // The wait below is the back-pressure.
            drop(self.store.append(&Arc::new(name), taken.iter().map(event).collect()));
            if !self.store.flush(WRITE) {
                return Err(LogsError::Unavailable("The log events could not be written in time.".into()));
            }
        }
        Ok(rejected)
    }

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

    /// `FilterLogEvents`: events of all streams in the order of their times.
    pub fn filter(&self, key: &GroupKey, filtered: &Filtered<'_>) -> Result<Listed<Found>> {
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
        let pattern = pattern.map_err(|error| LogsError::InvalidParameter(error.to_string()))?;
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

fn position(time: Option<i64>, otherwise: Position) -> Position {
    time.map_or(otherwise, |time| Position::of(u64::try_from(time).unwrap_or(0)))
}

/// Which events of a batch are taken: they are in the order of their times.
fn judge(events: &[Put], now: u64, horizon: u64) -> (Rejected, std::ops::Range<usize>) {
    let before = |limit: u64| events.partition_point(|event| event.at < limit.cast_signed());
    let (too_old, expired) =
        (before(now.saturating_sub(OLDEST)), if horizon == 0 { 0 } else { before(horizon) });
    let too_new = before(now + NEWEST + 1);
    let begin = too_old.max(expired);
    let rejected = Rejected {
        too_old_end: (too_old > 0).then_some(too_old),
        expired_end: (expired > 0).then_some(expired),
        too_new_start: (too_new < events.len()).then_some(too_new),
    };
    (rejected, begin.min(too_new)..too_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_old_or_too_new_is_not_taken() {
        let now = 100 * DAY;
        let batch = |times: &[i64]| -> Vec<Put> {
            times.iter().map(|at| Put { at: *at, message: Bytes::new() }).collect()
        };
        let day = |days: u64| (days * DAY).cast_signed();
        for (times, horizon, rejected, taken) in [
            (vec![day(99)], 0, Rejected::default(), 0..1),
            (vec![], 0, Rejected::default(), 0..0),
            (
                vec![day(85), day(86) - 1, day(86)],
                0,
                Rejected { too_old_end: Some(2), ..Rejected::default() },
                2..3,
            ),
            (
                vec![
                    day(85),
                    day(95),
                    day(99),
                    day(100) + NEWEST.cast_signed(),
                    day(100) + NEWEST.cast_signed() + 1,
                ],
                97 * DAY,
                Rejected { too_old_end: Some(1), expired_end: Some(2), too_new_start: Some(4) },
                2..4,
            ),
            (vec![day(102)], 0, Rejected { too_new_start: Some(0), ..Rejected::default() }, 0..0),
            (vec![-5], 0, Rejected { too_old_end: Some(1), ..Rejected::default() }, 1..1),
        ] {
            assert_eq!(judge(&batch(&times), now, horizon), (rejected, taken), "{times:?}");
        }
    }
}
