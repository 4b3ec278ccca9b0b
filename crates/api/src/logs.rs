//! CloudWatch Logs' operations: a document of the service model in, one out.
//!
//! Deliberately not here: what the operations mean (`observe`), reading and writing documents (`wire`).

mod filter;
mod input;
mod query;
pub(crate) mod tail;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lambkin_model::Error;
use lambkin_observe::logs::{Get, GroupInfo, Listed, Logs, LogsError, Named, Put};
use lambkin_observe::queries::{Queries, Started};
use lambkin_observe::{Found, GroupKey, StreamInfo};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Api;
use crate::api::Call;
use crate::constraint;
use crate::node::{Node, map, text};
use crate::service_model::LOGS;
use crate::turns::Turns;
use crate::wire::Request;

use input::{Input, Wanted};

/// What an operation answers; `None`: it has no output.
type Output = Result<Option<Node<'static>>, LogsError>;

/// Requests that wait for news at once.
const HOLDS: usize = 256;
/// Queries that run at once.
const QUERIES_AT_ONCE: usize = 2;

/// The service and its turns: what it does blocks, and must not take every blocking thread there is.
pub(crate) struct LogsDesk {
    logs: Logs,
    turns: Turns,
    queries: Arc<Queries>,
    query_turns: Arc<Semaphore>,
    /// For requests that wait for news. None left: who follows is answered as on AWS, and asks again in a while.
    holds: Semaphore,
    /// Of the queries that wait or run; they end with the desk.
    tasks: Mutex<JoinSet<()>>,
}

impl Drop for LogsDesk {
    fn drop(&mut self) {
        for query in self.queries.list() {
            query.stop();
        }
    }
}

impl LogsDesk {
    pub(crate) fn new(logs: Logs) -> Self {
        Self {
            logs,
            turns: Turns::new(),
            queries: Arc::default(),
            query_turns: Arc::new(Semaphore::new(QUERIES_AT_ONCE)),
            holds: Semaphore::new(HOLDS),
            tasks: Mutex::default(),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Logs) -> Result<T, LogsError> + Send + 'static,
    ) -> Result<T, LogsError> {
        let logs = self.logs.clone();
        let done = self.turns.run(move || work(&logs)).await;
        done.map_err(|error| LogsError::Unavailable(format!("CloudWatch Logs {error}.")))?
    }
}

impl LogsDesk {
    /// Lets a query run when it is its turn.
    fn begin(&self, query: Arc<Started>) {
        let (logs, turns) = (self.logs.clone(), Arc::clone(&self.query_turns));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are over.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let Ok(turn) = turns.acquire_owned().await else { return };
            let ran = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                query.run(&logs);
            });
            if let Err(error) = ran.await {
                tracing::error!(%error, "a query failed");
            }
        });
    }
}

impl Api {
    pub(crate) async fn operate_logs(&self, call: &Call<'_>, request: &Request<'_>) -> Output {
        let checked = constraint::check(&LOGS, request.operation, &request.input);
        checked.map_err(|error| match error {
            Error::Validation(text) | Error::Serialization(text) => LogsError::InvalidParameter(text),
            other => LogsError::Unavailable(other.to_string()),
        })?;
        let input = Input { node: &request.input, call };
        let logs = &self.logs;
        match &*request.operation.name {
            "CreateLogGroup" => {
                input.refuse(&["kmsKeyId"], "encrypt log groups with KMS keys")?;
                if input.text("logGroupClass").is_some_and(|class| class != "STANDARD") {
                    return Err(refusal("logGroupClass", "have log classes beside STANDARD"));
                }
                let (key, tags) = (input.key("logGroupName")?, input.tags("tags"));
                let protected = input.boolean("deletionProtectionEnabled");
                logs.run(move |logs| logs.create_group(&key, tags, protected)).await.map(|()| None)
            }
            "DeleteLogGroup" => {
                let key = input.key("logGroupName")?;
                logs.run(move |logs| logs.delete_group(&key)).await.map(|()| None)
            }
            "DescribeLogGroups" => {
                input.refuse(&["accountIdentifiers", "includeLinkedAccounts"], "link accounts")?;
                self.describe_log_groups(call, &input).await
            }
            "ListLogGroups" => {
                input.refuse(&["accountIdentifiers", "includeLinkedAccounts"], "link accounts")?;
                input.refuse(&["dataSources", "fieldIndexNames"], "index fields of log groups")?;
                self.describe_log_groups(call, &input).await
            }
            "PutLogGroupDeletionProtection" => {
                let key = input.identified("logGroupIdentifier")?;
                let protected = input.boolean("deletionProtectionEnabled");
                logs.run(move |logs| logs.protect(&key, protected)).await.map(|()| None)
            }
            "PutRetentionPolicy" => {
                let key = input.key("logGroupName")?;
                let days = u32::try_from(input.integer("retentionInDays").unwrap_or(0)).unwrap_or(0);
                logs.run(move |logs| logs.set_retention(&key, Some(days))).await.map(|()| None)
            }
            "DeleteRetentionPolicy" => {
                let key = input.key("logGroupName")?;
                logs.run(move |logs| logs.set_retention(&key, None)).await.map(|()| None)
            }
            "TagLogGroup" => {
                let (key, tags) = (input.key("logGroupName")?, input.tags("tags"));
                logs.run(move |logs| logs.tag(&key, tags)).await.map(|()| None)
            }
            "TagResource" => {
                let (key, tags) = (input.arn("resourceArn")?, input.tags("tags"));
                logs.run(move |logs| logs.tag(&key, tags)).await.map(|()| None)
            }
            "UntagLogGroup" => {
                let (key, names) = (input.key("logGroupName")?, input.texts("tags"));
                logs.run(move |logs| logs.untag(&key, &names)).await.map(|()| None)
            }
            "UntagResource" => {
                let (key, names) = (input.arn("resourceArn")?, input.texts("tagKeys"));
                logs.run(move |logs| logs.untag(&key, &names)).await.map(|()| None)
            }
            name @ ("ListTagsLogGroup" | "ListTagsForResource") => {
                let legacy = name == "ListTagsLogGroup";
                let key = if legacy { input.key("logGroupName")? } else { input.arn("resourceArn")? };
                let settings = logs.run(move |logs| logs.settings(&key)).await?;
                let tags = settings.tags.into_iter().map(|(key, value)| (key, text(value)));
                Ok(Some(map([("tags", map(tags))])))
            }
            "CreateLogStream" => {
                let (key, stream) = (input.key("logGroupName")?, input.need("logStreamName")?.to_owned());
                logs.run(move |logs| logs.create_stream(&key, &stream)).await.map(|()| None)
            }
            "DeleteLogStream" => {
                let (key, stream) = (input.key("logGroupName")?, input.need("logStreamName")?.to_owned());
                logs.run(move |logs| logs.delete_stream(&key, &stream)).await.map(|()| None)
            }
            "DescribeLogStreams" => self.describe_log_streams(&input).await,
            "PutLogEvents" => self.put_log_events(&input).await,
            "GetLogEvents" => self.get_log_events(&input).await,
            "FilterLogEvents" => self.filter_log_events(call, &input).await,
            "StartQuery" => self.start_query(&input).await,
            "GetQueryResults" => {
                input.refuse(&["nextToken"], "page the results of queries")?;
                query::results(&*logs.queries.get(input.need("queryId")?)?)
            }
            "StopQuery" => {
                let stopped = logs.queries.get(input.need("queryId")?)?.stop();
                Ok(Some(map([("success", Node::Boolean(stopped))])))
            }
            "DescribeQueries" => Ok(Some(query::describe(&input, &logs.queries.list())?)),
            other => Err(LogsError::Unsupported(format!("lambkin does not do {other}."))),
        }
    }

    async fn describe_log_groups(&self, call: &Call<'_>, input: &Input<'_>) -> Output {
        let list = input.text("logGroupClass").is_some_and(|class| class != "STANDARD");
        if list {
            return Ok(Some(map([("logGroups", Node::List(Vec::new()))])));
        }
        let wanted = input.groups()?;
        let (account, region) = (call.account.to_owned(), call.region.to_string());
        let (limit, token) = (input.count("limit"), input.owned("nextToken"));
        let listed = self
            .logs
            .run(move |logs| {
                let named = match &wanted {
                    Wanted::Prefix(prefix) => Named::Prefix(prefix),
                    Wanted::Part(part) => Named::Part(part),
                    Wanted::Names(names) => Named::Names(names),
                };
                logs.groups(&account, &region, named, limit, token.as_deref())
            })
            .await?;
        Ok(Some(page("logGroups", listed, group)))
    }

    async fn describe_log_streams(&self, input: &Input<'_>) -> Output {
        let key = input.group()?;
        let by_time = input.text("orderBy") == Some("LastEventTime");
        let descending = input.boolean("descending");
        let (limit, token) = (input.count("limit"), input.owned("nextToken"));
        let prefix = input.owned("logStreamNamePrefix");
        let arn = arn(&key);
        let listed = self
            .logs
            .run(move |logs| {
                logs.streams(&key, prefix.as_deref(), by_time, descending, limit, token.as_deref())
            })
            .await?;
        Ok(Some(page("logStreams", listed, |of| stream(&arn, of))))
    }

    async fn put_log_events(&self, input: &Input<'_>) -> Output {
        let (key, stream) = (input.key("logGroupName")?, input.need("logStreamName")?.to_owned());
        let Some(Node::List(items)) = input.node.get("logEvents") else { return Ok(None) };
        let put = |item: &Node<'_>| {
            let message = item.text("message").unwrap_or_default();
            Put {
                at: item.integer("timestamp").unwrap_or(0),
                message: Bytes::copy_from_slice(message.as_bytes()),
            }
        };
        let events: Vec<Put> = items.iter().map(put).collect();
        let rejected = self.logs.run(move |logs| logs.put(&key, &stream, events)).await?;
        let parts = [
            ("tooNewLogEventStartIndex", rejected.too_new_start),
            ("tooOldLogEventEndIndex", rejected.too_old_end),
            ("expiredLogEventEndIndex", rejected.expired_end),
        ];
        let parts: Vec<_> =
            parts.into_iter().filter_map(|(name, index)| Some((name, number(index? as u64)))).collect();
        let rejected = (!parts.is_empty()).then(|| ("rejectedLogEventsInfo", map(parts)));
        // Nothing is looked up by entities here, so none is taken.
        let entity = input.node.get("entity").is_some_and(|entity| !entity.is_neutral());
        let entity =
            entity.then(|| ("rejectedEntityInfo", map([("errorType", text("UnsupportedLogGroupType"))])));
        // Ignored since 2023, and still answered.
        let token = ("nextSequenceToken", text("49039859999999999999999999999999999999999999999999999999"));
        Ok(Some(map([token].into_iter().chain(rejected).chain(entity))))
    }

    async fn get_log_events(&self, input: &Input<'_>) -> Output {
        let key = input.group()?;
        let stream = input.need("logStreamName")?.to_owned();
        let (start, end) = (input.integer("startTime"), input.integer("endTime"));
        let (limit, from_head) = (input.count("limit"), input.boolean("startFromHead"));
        let token = input.owned("nextToken");
        let events = self
            .logs
            .run(move |logs| {
                let get = Get { stream: &stream, start, end, limit, from_head, token: token.as_deref() };
                logs.get(&key, &get)
            })
            .await?;
        Ok(Some(map([
            ("events", Node::List(events.events.iter().map(|of| map(event(of))).collect())),
            ("nextForwardToken", text(events.forward)),
            ("nextBackwardToken", text(events.backward)),
        ])))
    }
}

/// A group's ARN, without the `:*` that means its streams.
fn arn(key: &GroupKey) -> String {
    format!("arn:aws:logs:{}:{}:log-group:{}", key.region, key.account, key.name)
}

fn group(of: &GroupInfo) -> Node<'static> {
    let arn = arn(&of.key);
    let retention = of.settings.retention_days.map(|days| ("retentionInDays", number(u64::from(days))));
    let protected =
        of.settings.deletion_protected.then_some(("deletionProtectionEnabled", Node::Boolean(true)));
    let members = [
        ("logGroupName", text(of.key.name.to_string())),
        ("creationTime", number(of.settings.created)),
        ("metricFilterCount", number(0)),
        ("arn", text(format!("{arn}:*"))),
        ("storedBytes", number(of.stored_bytes)),
        ("logGroupClass", text("STANDARD")),
        ("logGroupArn", text(arn)),
    ];
    map(members.into_iter().chain(retention).chain(protected))
}

fn stream(group: &str, of: &StreamInfo) -> Node<'static> {
    let members = [
        ("logStreamName", text(of.name.to_string())),
        ("creationTime", number(of.created)),
        ("arn", text(format!("{group}:log-stream:{}", of.name))),
        // Zero for every stream since 2019.
        ("storedBytes", number(0)),
    ];
    let times = of.times.into_iter().flat_map(|(first, last, ingested)| {
        [
            ("firstEventTimestamp", number(first)),
            ("lastEventTimestamp", number(last)),
            ("lastIngestionTime", number(ingested)),
        ]
    });
    map(members.into_iter().chain(times))
}

fn event(of: &Found) -> [(&'static str, Node<'static>); 3] {
    [
        ("timestamp", number(of.position.at)),
        ("message", text(String::from_utf8_lossy(&of.message).into_owned())),
        ("ingestionTime", number(of.ingested)),
    ]
}

fn page<T>(name: &'static str, listed: Listed<T>, shown: impl Fn(&T) -> Node<'static>) -> Node<'static> {
    let items = Node::List(listed.items.iter().map(shown).collect());
    let next = listed.next.map(|token| ("nextToken", text(token)));
    map([(name, items)].into_iter().chain(next))
}

fn refusal(member: &str, not: &str) -> LogsError {
    LogsError::InvalidParameter(format!("lambkin does not {not} ({member})."))
}

fn number(value: u64) -> Node<'static> {
    Node::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
