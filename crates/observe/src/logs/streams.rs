//! Log streams: made, listed and deleted.

use std::sync::Arc;

use super::{Listed, Logs, LogsError, PAGE, Result, token, unavailable};
use crate::log_store::StreamInfo;
use crate::store::group::GroupKey;

impl Logs {
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
}
