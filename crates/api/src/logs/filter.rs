//! FilterLogEvents: a page, or, for who reads a group's tail, what is new.

use std::sync::Arc;

use lambkin_observe::logs::{Filtered, Listed, LogsError, event_id};
use lambkin_observe::{Found, GroupKey};

use super::input::Input;
use super::tail::Reader;
use super::{Output, event, map, page, text};
use crate::Api;
use crate::api::Call;
use crate::node::Node;

/// What is read, wherever it begins.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) key: GroupKey,
    pub(super) streams: Option<Vec<String>>,
    pub(super) prefix: Option<String>,
    pub(super) pattern: Option<String>,
    pub(super) end: Option<i64>,
    pub(super) limit: Option<usize>,
    pub(super) newest: bool,
}

impl Filter {
    fn read(input: &Input<'_>) -> Result<Self, LogsError> {
        Ok(Self {
            key: input.group()?,
            streams: input.node.get("logStreamNames").map(|_| input.texts("logStreamNames")),
            prefix: input.owned("logStreamNamePrefix"),
            pattern: input.owned("filterPattern"),
            end: input.integer("endTime"),
            limit: input.count("limit"),
            newest: input.node.get("startFromHead") == Some(&Node::Boolean(false)),
        })
    }

    pub(super) fn from<'f>(&'f self, start: Option<i64>, token: Option<&'f str>) -> Filtered<'f> {
        Filtered {
            streams: self.streams.as_deref(),
            prefix: self.prefix.as_deref(),
            start,
            end: self.end,
            pattern: self.pattern.as_deref(),
            limit: self.limit,
            newest: self.newest,
            token,
        }
    }
}

impl Api {
    pub(super) async fn filter_log_events(&self, call: &Call<'_>, input: &Input<'_>) -> Output {
        let filter = Arc::new(Filter::read(input)?);
        let (start, token) = (input.integer("startTime"), input.owned("nextToken"));
        let reader = Reader::of(&call.parts.headers).filter(|_| !filter.newest);
        let listed = match reader {
            Some(reader) => self.logs.tail(call.door, reader, filter, start, token.as_deref()).await?,
            None => {
                let read = self
                    .logs
                    .run(move |logs| logs.filter(&filter.key, &filter.from(start, token.as_deref())));
                read.await?
            }
        };
        Ok(Some(shown(listed)))
    }
}

fn shown(listed: Listed<Found>) -> Node<'static> {
    let found = |of: &Found| {
        let more = [("logStreamName", text(of.stream.to_string())), ("eventId", text(event_id(of.position)))];
        map(event(of).into_iter().chain(more))
    };
    let mut shown = page("events", listed, found);
    if let Node::Map(members) = &mut shown {
        // As AWS has answered since 2021.
        members.push(("searchedLogStreams".into(), Node::List(Vec::new())));
    }
    shown
}
