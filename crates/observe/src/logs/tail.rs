//! A group read to its end and on from there, so that each event is seen once: the order of times is kept within what
//! had come when the reader asked, and the order of coming between one such window and the next. An event that comes
//! late, with a time long past, is in the window in which it came.
//!
//! Deliberately not here: how long somebody waits for news, and who may (`api`).

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::time::Instant;

use tokio::sync::watch;

use super::events::position;
use super::token::invalid;
use super::{EVENTS, Filtered, Logs, LogsError, Result, unavailable};
use crate::log_store::{Asked, PAGE_BYTES, PAGE_TIME, Reached};
use crate::store::group::GroupKey;
use crate::store::search::{Arrival, Found, Page, Position};

/// How far a reader is. Its text is the token for what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The reader waits for more; otherwise it wants what was there when it began, and then the end.
    pub follows: bool,
    /// From this time on, in milliseconds since 1970: what was asked for at first.
    start: u64,
    /// Time of the newest event that was shown; zero: none was.
    newest: u64,
    /// When the group was made: of one that was made anew everything is new.
    created: u64,
    /// What came in here is being read, in the order of times; nothing: all that had come is read.
    window: Range<Arrival>,
    /// From here on.
    from: Position,
}

/// What a reader is shown next.
#[derive(Debug)]
pub struct Tailed {
    /// In the order of their times.
    pub events: Vec<Found>,
    /// How far the reader is with them.
    pub tail: Tail,
    /// Changes when more came than was looked at, or less is there.
    pub news: watch::Receiver<()>,
}

impl Tail {
    fn begin(start: u64, reached: Reached) -> Self {
        Self {
            follows: false,
            start,
            newest: 0,
            created: reached.created,
            window: Arrival::EVER.start..reached.arrival,
            from: Position::of(start),
        }
    }

    /// Whether all that had come is read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.window.is_empty()
    }

    /// From when on the reader asks where it asks again without a token, as the aws CLI does when it follows: the time of
    /// the newest event it was shown, or what it asked for at first.
    #[must_use]
    pub fn asks_again_from(&self) -> u64 {
        if self.newest > 0 { self.newest } else { self.start }
    }

    /// The same for who turns out to follow.
    #[must_use]
    pub fn followed(mut self) -> Self {
        self.follows = true;
        self
    }

    /// On to what is to be read now.
    fn go_on(&mut self, reached: Reached) {
        if self.created != reached.created {
            *self = Self { follows: self.follows, newest: self.newest, ..Self::begin(self.start, reached) };
        }
        if self.window.is_empty() {
            let (from, until) = (self.window.end, reached.arrival);
            // Blocks are counted anew where somebody took the files away.
            let from = if from > until { Arrival { index: 0, ..until } } else { from };
            (self.window, self.from) = (from..until, Position::of(self.start));
        }
    }

    fn read(&mut self, page: &Page) {
        self.newest = page.events.iter().map(|found| found.position.at).fold(self.newest, u64::max);
        match page.next {
            Some(next) => self.from = next,
            None => self.window.start = self.window.end,
        }
    }
}

/// Digits with slashes between them, as the tokens of events are.
impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { follows, start, newest, created, window: Range { start: low, end: high }, from } = self;
        write!(f, "t/{}/{start}/{newest}/{created}/", u8::from(*follows))?;
        write!(f, "{}/{}/{}/{}/", low.block, low.index, high.block, high.index)?;
        write!(f, "{}/{}/{}/s", from.at, from.block, from.index)
    }
}

impl FromStr for Tail {
    type Err = LogsError;

    fn from_str(token: &str) -> Result<Self> {
        let inner = token.strip_prefix("t/").and_then(|rest| rest.strip_suffix("/s")).ok_or_else(invalid)?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let numbers = inner.split('/').map(|part| part.parse::<u64>().ok().filter(|_| digits(part)));
        let numbers = numbers.collect::<Option<Vec<u64>>>().ok_or_else(invalid)?;
        let [follows @ (0 | 1), start, newest, created, low, low_index, high, high_index, at, block, index] =
            numbers[..]
        else {
            return Err(invalid());
        };
        let index_of = |index: u64| u32::try_from(index).map_err(|_| invalid());
        Ok(Self {
            follows: follows == 1,
            start,
            newest,
            created,
            window: Arrival { block: low, index: index_of(low_index)? }..Arrival {
                block: high,
                index: index_of(high_index)?,
            },
            from: Position { at, block, index: index_of(index)? },
        })
    }
}

impl Logs {
    /// `FilterLogEvents` for who reads on to the end: a page of what a reader has not seen yet, from the beginning where
    /// `tail` is none. The tail goes on with its own time, whatever `filtered` says of times and tokens.
    pub fn tail(&self, key: &GroupKey, filtered: &Filtered<'_>, tail: Option<Tail>) -> Result<Tailed> {
        let pattern = self.wanted(key, filtered)?;
        let reached = self.store.reached(key).map_err(|error| unavailable(&error))?;
        let (reached, news) = reached.ok_or(LogsError::GroupNotFound)?;
        let start = position(filtered.start, Position::of(0)).at;
        let mut tail = tail.unwrap_or_else(|| Tail::begin(start, reached));
        tail.go_on(reached);
        if tail.is_at_end() {
            return Ok(Tailed { events: Vec::new(), tail, news });
        }
        let asked = Asked {
            from: tail.from.max(Position::of(tail.start)),
            until: position(filtered.end.map(|end| end.saturating_add(1)), Position::of(u64::MAX)),
            arrived: tail.window.clone(),
            streams: filtered.streams,
            prefix: filtered.prefix,
            filter: pattern.as_ref().map(|pattern| pattern as _),
            newest: false,
            limit: filtered.limit.unwrap_or(EVENTS),
            bytes: PAGE_BYTES,
            deadline: Instant::now() + PAGE_TIME,
        };
        let page = self.store.page(key, &asked).map_err(|error| unavailable(&error))?;
        let page = page.ok_or(LogsError::GroupNotFound)?;
        tail.read(&page);
        Ok(Tailed { events: page.events, tail, news })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_tokens_are_refused() {
        let whole = "t/1/0/0/0/0/0/1/2/0/0/0/s";
        assert_eq!(whole.parse::<Tail>().unwrap().to_string(), whole);
        for token in [
            "",
            "t/s",
            "t/1/0/0/0/0/0/1/2/0/0/0",
            "t/1/0/0/0/0/0/1/2/0/0/s",
            "t/1/0/0/0/0/0/1/2/0/0/0/0/s",
            "t/2/0/0/0/0/0/1/2/0/0/0/s",
            "t/1/0/0/0/0/0/1/4294967296/0/0/0/s",
            "t/1/+0/0/0/0/0/1/2/0/0/0/s",
            "t/1//0/0/0/0/1/2/0/0/0/s",
            "t/1/18446744073709551616/0/0/0/0/1/2/0/0/0/s",
        ] {
            assert_eq!(token.parse::<Tail>(), Err(invalid()), "{token}");
        }
    }

    proptest! {
        #[test]
        fn tokens_come_back(
            follows: bool, start: u64, newest: u64, created: u64, low: (u64, u32), high: (u64, u32), from: (u64, u64, u32),
        ) {
            let window = Arrival { block: low.0, index: low.1 }..Arrival { block: high.0, index: high.1 };
            let from = Position { at: from.0, block: from.1, index: from.2 };
            let tail = Tail { follows, start, newest, created, window, from };
            prop_assert_eq!(tail.to_string().parse(), Ok(tail));
        }
    }
}
