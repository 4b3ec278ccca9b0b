//! `aws logs tail --follow` as it should be. It sleeps for five seconds whenever an answer of FilterLogEvents has no token,
//! and asks on at once where it has one. So who follows always gets a token, and its answer is held back until there is
//! something new. Nobody else is kept waiting: `aws logs tail` without `--follow` ends at the end, and who polls is answered.
//!
//! Deliberately not here: what has been seen and what has not (`observe`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::USER_AGENT;
use lambkin_observe::Found;
use lambkin_observe::logs::{Listed, LogsError, Tail, Tailed};
use tokio::time::{Instant, sleep_until};

use super::LogsDesk;
use super::filter::Filter;
use crate::callers::Door;

/// Longest that an answer is held back. The CLI waits for one for 60 seconds; what is in between may be less patient.
const HOLD: Duration = Duration::from_secs(20);
/// How the aws CLI 2 says which of its commands asks, of late and before.
const COMMANDS: [&str; 2] = ["md/command#logs.tail", "command/logs.tail"];
/// botocore's id for what a paginator asks for. `tail` uses one only where it does not follow.
const PAGINATOR: &str = "C";

/// A client that reads a group's tail, by what it says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// `--follow`.
    Follows,
    /// To the end, and then no more.
    Ends,
    /// It says too little: an older CLI, which lists no features. It follows where it asks on after the end.
    Unsaid,
}

impl Reader {
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let agent = headers.get(USER_AGENT)?.to_str().ok()?;
        let parts = || agent.split(' ');
        parts().find(|part| COMMANDS.contains(part))?;
        Some(match parts().find_map(|part| part.strip_prefix("m/")) {
            Some(features) if features.split(',').any(|feature| feature == PAGINATOR) => Self::Ends,
            Some(_) => Self::Follows,
            None => Self::Unsaid,
        })
    }
}

/// Where a connection's client was told the end of a tail: if it asks on, it follows.
#[derive(Default)]
pub(crate) struct LogEnd(Mutex<Option<(Arc<Filter>, Tail)>>);

impl LogEnd {
    fn put(&self, filter: Arc<Filter>, tail: Tail) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((filter, tail));
    }

    /// Where the client goes on, if this is how the CLI asks on: for the same, from the newest event that it was shown. Who
    /// shares the connection, behind a proxy, and just begins does not ask so.
    fn take(&self, filter: &Filter, start: Option<i64>) -> Option<Tail> {
        let (of, tail) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let start = u64::try_from(start.unwrap_or(0)).unwrap_or(0);
        (*of == *filter && tail.asks_again_from() == start).then(|| tail.followed())
    }
}

impl LogsDesk {
    /// What a tail's reader has not seen yet.
    pub(super) async fn tail(
        &self,
        door: &Door,
        reader: Reader,
        filter: Arc<Filter>,
        start: Option<i64>,
        token: Option<&str>,
    ) -> Result<Listed<Found>, LogsError> {
        let tail = match token {
            Some(token) => Some(token.parse::<Tail>()?),
            None if reader == Reader::Ends => None,
            None => door.log_end.take(&filter, start),
        };
        let follows = match reader {
            Reader::Follows => true,
            Reader::Ends => false,
            Reader::Unsaid => tail.as_ref().is_some_and(|tail| tail.follows),
        };
        let read = self.read_tail(&filter, start, tail).await?;
        let (events, mut tail, goes_on) = if follows && read.events.is_empty() {
            self.hold(door, &filter, start, read).await?
        } else {
            let goes_on = follows || !read.tail.is_at_end();
            (read.events, read.tail, goes_on)
        };
        tail.follows = follows;
        let next = goes_on.then(|| tail.to_string());
        if next.is_none() && reader != Reader::Ends {
            door.log_end.put(filter, tail);
        }
        Ok(Listed { items: events, next })
    }

    async fn read_tail(
        &self,
        filter: &Arc<Filter>,
        start: Option<i64>,
        tail: Option<Tail>,
    ) -> Result<Tailed, LogsError> {
        let filter = Arc::clone(filter);
        self.run(move |logs| logs.tail(&filter.key, &filter.from(start, None), tail)).await
    }

    /// Waits for something to show; `false`: too many wait, so this is the end for now.
    async fn hold(
        &self,
        door: &Door,
        filter: &Arc<Filter>,
        start: Option<i64>,
        mut read: Tailed,
    ) -> Result<(Vec<Found>, Tail, bool), LogsError> {
        let Ok(_hold) = self.holds.try_acquire() else { return Ok((Vec::new(), read.tail, false)) };
        let until = Instant::now() + HOLD;
        loop {
            if read.tail.is_at_end() {
                tokio::select! {
                    biased;
                    () = door.stop() => return Ok((Vec::new(), read.tail, true)),
                    () = sleep_until(until) => return Ok((Vec::new(), read.tail, true)),
                    // An error: the group is gone, or another in its place.
                    _ = read.news.changed() => {}
                }
            }
            read = self.read_tail(filter, start, Some(read.tail)).await?;
            if !read.events.is_empty() || Instant::now() >= until {
                return Ok((read.events, read.tail, true));
            }
        }
    }
}

#[cfg(test)]
mod tests;
