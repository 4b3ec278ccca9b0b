//! CloudWatch Logs Insights' operations.

use std::sync::Arc;

use lambkin_observe::logs::LogsError;
use lambkin_observe::queries::{Asking, QueryStatus, ResultRow, Started};

use super::input::Input;
use super::{Output, map, number, refusal, text};
use crate::Api;
use crate::node::Node;

/// Most queries of a page of `DescribeQueries`.
const PAGE: usize = 1000;

impl Api {
    pub(super) async fn start_query(&self, input: &Input<'_>) -> Output {
        if input.text("queryLanguage").is_some_and(|language| language != "CWLI") {
            return Err(refusal("queryLanguage", "have query languages beside CWLI"));
        }
        let groups = match (
            input.text("logGroupName"),
            input.texts("logGroupNames"),
            input.texts("logGroupIdentifiers"),
        ) {
            (Some(name), names, identifiers) if names.is_empty() && identifiers.is_empty() => {
                vec![name.to_owned()]
            }
            (None, names, identifiers) if identifiers.is_empty() && !names.is_empty() => names,
            (None, names, identifiers) if names.is_empty() && !identifiers.is_empty() => identifiers,
            _ => {
                return Err(LogsError::InvalidParameter(
                    "Exactly one of logGroupName, logGroupNames and logGroupIdentifiers must be given".into(),
                ));
            }
        };
        let groups = groups.iter().map(|given| input.key_or_arn(given)).collect::<Result<Vec<_>, _>>()?;
        let written = input.need("queryString")?.to_owned();
        let (start, end) = (input.integer("startTime").unwrap_or(0), input.integer("endTime").unwrap_or(0));
        let limit = input.count("limit");
        let queries = Arc::clone(&self.logs.queries);
        let started = self
            .logs
            .run(move |logs| {
                let id = uuid::Uuid::new_v4().to_string();
                queries.start(logs, Asking { id, groups, start, end, text: &written, limit })
            })
            .await?;
        let id = started.id.clone();
        self.logs.begin(started);
        Ok(Some(map([("queryId", text(id))])))
    }
}

pub(super) fn results(query: &Started) -> Output {
    let progress = query.progress();
    let row = |row: &ResultRow| {
        let field = |(name, value): &(String, String)| {
            map([("field", text(name.clone())), ("value", text(value.clone()))])
        };
        Node::List(row.iter().map(field).collect())
    };
    let statistics = [
        ("recordsMatched", progress.scanned.matched),
        ("recordsScanned", progress.scanned.events),
        ("bytesScanned", progress.scanned.bytes),
    ];
    #[expect(clippy::cast_precision_loss, reason = "AWS counts in doubles")]
    let statistics = statistics.map(|(name, count)| (name, Node::Double(count as f64)));
    Ok(Some(map([
        ("queryLanguage", text("CWLI")),
        ("results", Node::List(progress.rows.iter().map(row).collect())),
        ("statistics", map(statistics)),
        ("status", text(progress.status.as_str())),
    ])))
}

/// Queries of the caller's account and region.
pub(super) fn describe(input: &Input<'_>, all: &[Arc<Started>]) -> Result<Node<'static>, LogsError> {
    input.refuse(&["nextToken"], "page queries")?;
    let status = |query: &Started| query.progress().status;
    let wanted = |query: &&Arc<Started>| {
        let here = query.groups.iter().any(|group| {
            *group.account == *input.call.account
                && *group.region == *input.call.region
                && input.text("logGroupName").is_none_or(|name| *group.name == *name)
        });
        here && input.text("status").is_none_or(|asked| status(query).as_str() == asked)
            && input.text("queryLanguage").is_none_or(|language| language == "CWLI")
    };
    let shown = |query: &Arc<Started>| {
        let progress = query.progress();
        let groups: Vec<&str> = query.groups.iter().map(|group| &*group.name).collect();
        let over = progress.status == QueryStatus::Complete;
        let members = [
            ("queryLanguage", text("CWLI")),
            ("queryId", text(query.id.clone())),
            ("queryString", text(query.text.clone())),
            ("status", text(progress.status.as_str())),
            ("createTime", number(query.created)),
            ("logGroupName", text(groups.join(","))),
        ];
        map(members.into_iter().chain(over.then(|| ("queryDuration", number(progress.took)))))
    };
    let limit = input.count("maxResults").unwrap_or(PAGE);
    let queries = all.iter().filter(wanted).take(limit).map(shown).collect();
    Ok(map([("queries", Node::List(queries))]))
}
