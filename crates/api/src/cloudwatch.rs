//! CloudWatch's operations on metrics: a document of the service model in, one out.
//!
//! Deliberately not here: what the operations mean (`observe`), reading and writing documents (`wire`).

use std::borrow::Cow;

use lambkin_observe::metrics::Series;
use lambkin_observe::metrics::cloudwatch::{
    CloudWatch, Data, DataQuery, DataResult, Datapoint, Datum, Expressed, Metric, MetricsError,
    StatisticsQuery, Values, Wanted,
};

use crate::Api;
use crate::api::Call;
use crate::constraint;
use crate::node::{Node, map};
use crate::service_model::CLOUDWATCH;
use crate::turns::Turns;
use crate::wire::Request;

/// What an operation answers; `None`: it has no output.
type Output = Result<Option<Node<'static>>, MetricsError>;

/// The service and its turns.
pub(crate) struct CloudWatchDesk {
    service: CloudWatch,
    turns: Turns,
}

impl CloudWatchDesk {
    pub(crate) fn new(service: CloudWatch) -> Self {
        Self { service, turns: Turns::new() }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CloudWatch) -> Result<T, MetricsError> + Send + 'static,
    ) -> Result<T, MetricsError> {
        let service = self.service.clone();
        let done = self.turns.run(move || work(&service)).await;
        done.map_err(|error| MetricsError::Internal(format!("CloudWatch {error}.")))?
    }
}

impl Api {
    pub(crate) async fn operate_cloudwatch(&self, call: &Call<'_>, request: &Request<'_>) -> Output {
        constraint::check_cloudwatch(&CLOUDWATCH, request.operation, &request.input)?;
        let (input, desk) = (&request.input, &self.cloudwatch);
        match &*request.operation.name {
            "PutMetricData" => {
                refuse(input, &["EntityMetricData", "StrictEntityValidation"], "know entities")?;
                let namespace = text(input, "Namespace");
                let data: Vec<Datum> =
                    items(input, "MetricData").map(|node| datum(call, &namespace, node)).collect();
                desk.run(move |service| service.put(&namespace, &data)).await.map(|()| None)
            }
            "GetMetricStatistics" => {
                let query = StatisticsQuery {
                    metric: metric(call, input),
                    start: number(input, "StartTime").unwrap_or(0.0),
                    end: number(input, "EndTime").unwrap_or(0.0),
                    period: input.integer("Period").unwrap_or(0),
                    statistics: input.list("Statistics").unwrap_or_default(),
                    extended: input.list("ExtendedStatistics").unwrap_or_default(),
                    unit: owned(input, "Unit"),
                };
                let label = query.metric.name.clone();
                let points = desk.run(move |service| service.statistics(&query)).await?;
                let points = points.iter().map(datapoint).collect();
                Ok(Some(map([("Label", own(label)), ("Datapoints", Node::List(points))])))
            }
            "GetMetricData" => {
                refuse(input, &["LabelOptions"], "do dynamic labels")?;
                let queries = items(input, "MetricDataQueries").map(|node| query(call, node));
                let data = Data {
                    account: call.account.to_owned(),
                    region: call.region.to_string(),
                    queries: queries.collect::<Result<_, _>>()?,
                    start: number(input, "StartTime").unwrap_or(0.0),
                    end: number(input, "EndTime").unwrap_or(0.0),
                    ascending: input.text("ScanBy") == Some("TimestampAscending"),
                    most: input.integer("MaxDatapoints"),
                    token: owned(input, "NextToken"),
                };
                let (results, next) = desk.run(move |service| service.data(&data)).await?;
                let results = Node::List(results.into_iter().map(result).collect());
                let next = next.map(|token| ("NextToken", own(token)));
                let members = [("MetricDataResults", results), ("Messages", Node::List(Vec::new()))];
                Ok(Some(map(members.into_iter().chain(next))))
            }
            "ListMetrics" => {
                refuse(input, &["IncludeLinkedAccounts", "OwningAccount"], "link accounts")?;
                let dimension = |node: &Node<'_>| (text(node, "Name"), owned(node, "Value"));
                let wanted = Wanted {
                    account: call.account.to_owned(),
                    region: call.region.to_string(),
                    namespace: owned(input, "Namespace"),
                    name: owned(input, "MetricName"),
                    dimensions: items(input, "Dimensions").map(dimension).collect(),
                    recently_active: input.text("RecentlyActive").is_some(),
                    token: owned(input, "NextToken"),
                };
                let listed = desk.run(move |service| service.list(&wanted)).await?;
                let metrics = Node::List(listed.metrics.iter().map(|series| shown(series)).collect());
                let next = listed.next.map(|token| ("NextToken", own(token)));
                Ok(Some(map([("Metrics", metrics)].into_iter().chain(next))))
            }
            other => Err(MetricsError::Unsupported(format!("lambkin does not do CloudWatch's {other}."))),
        }
    }
}

/// Refuses members that lambkin would not act on.
fn refuse(input: &Node<'_>, members: &[&str], not: &str) -> Result<(), MetricsError> {
    let asked = members.iter().find(|name| input.get(name).is_some_and(|value| !value.is_neutral()));
    asked.map_or(Ok(()), |name| Err(MetricsError::InvalidValue(format!("lambkin does not {not} ({name})."))))
}

fn metric(call: &Call<'_>, node: &Node<'_>) -> Metric {
    Metric {
        account: call.account.to_owned(),
        region: call.region.to_string(),
        namespace: text(node, "Namespace"),
        name: text(node, "MetricName"),
        dimensions: items(node, "Dimensions").map(|each| (text(each, "Name"), text(each, "Value"))).collect(),
    }
}

fn datum(call: &Call<'_>, namespace: &str, node: &Node<'_>) -> Datum {
    let set = node.get("StatisticValues").map(|set| {
        let part = |name: &str| number(set, name).unwrap_or(0.0);
        (part("SampleCount"), part("Sum"), part("Minimum"), part("Maximum"))
    });
    Datum {
        metric: Metric { namespace: namespace.to_owned(), ..metric(call, node) },
        at: number(node, "Timestamp"),
        unit: owned(node, "Unit"),
        values: Values {
            value: number(node, "Value"),
            values: items(node, "Values").filter_map(double).collect(),
            counts: items(node, "Counts").filter_map(double).collect(),
            set,
        },
        resolution: node.integer("StorageResolution"),
    }
}

fn query(call: &Call<'_>, node: &Node<'_>) -> Result<DataQuery, MetricsError> {
    refuse(node, &["AccountId"], "link accounts")?;
    let stat = node.get("MetricStat");
    let asked = match (stat, node.get("Expression")) {
        (Some(stat), None) => Expressed::Stat {
            metric: stat.get("Metric").map_or_else(|| metric(call, &Node::Null), |node| metric(call, node)),
            period: stat.integer("Period").unwrap_or(0),
            stat: text(stat, "Stat"),
            unit: owned(stat, "Unit"),
        },
        (None, Some(_)) => {
            Expressed::Expression { text: text(node, "Expression"), period: node.integer("Period") }
        }
        (None, None) => Expressed::Nothing,
        (Some(_), Some(_)) => Expressed::Both,
    };
    // An expression's alone.
    if stat.is_some() && node.get("Period").is_some() {
        return Err(MetricsError::Validation(
            "The parameters MetricDataQueries.member.Period and MetricDataQueries.member.MetricStat are mutually exclusive and you have specified both.".into(),
        ));
    }
    let returned = node.get("ReturnData") != Some(&Node::Boolean(false));
    Ok(DataQuery { id: text(node, "Id"), asked, label: owned(node, "Label"), returned })
}

fn datapoint(point: &Datapoint) -> Node<'static> {
    let statistics = point.statistics.iter().map(|(name, value)| (name.clone(), Node::Double(*value)));
    let members =
        [("Timestamp".to_owned(), Node::Integer(point.at)), ("Unit".into(), own(point.unit.clone()))];
    let extended = point.extended.iter().map(|(name, value)| (name.clone(), Node::Double(*value)));
    let extended = (!point.extended.is_empty()).then(|| ("ExtendedStatistics".to_owned(), map(extended)));
    map(members.into_iter().chain(statistics).chain(extended))
}

fn result(of: DataResult) -> Node<'static> {
    let DataResult { id, label, points, complete } = of;
    let (times, values) =
        points.into_iter().map(|(at, value)| (Node::Integer(at), Node::Double(value))).unzip();
    map([
        ("Id", own(id)),
        ("Label", own(label)),
        ("Timestamps", Node::List(times)),
        ("Values", Node::List(values)),
        ("StatusCode", Node::Text(if complete { "Complete" } else { "PartialData" }.into())),
    ])
}

fn shown(series: &Series) -> Node<'static> {
    let dimension = |name: &str, value: &str| map([("Name", own(name)), ("Value", own(value))]);
    let dimensions = series.dimensions.iter().map(|(name, value)| dimension(name, value)).collect();
    map([
        ("Namespace", own(&*series.namespace)),
        ("MetricName", own(&*series.name)),
        ("Dimensions", Node::List(dimensions)),
    ])
}

fn text(node: &Node<'_>, name: &str) -> String {
    owned(node, name).unwrap_or_default()
}

fn owned(node: &Node<'_>, name: &str) -> Option<String> {
    node.text(name).map(str::to_owned)
}

fn items<'n, 'a>(node: &'n Node<'a>, name: &str) -> impl Iterator<Item = &'n Node<'a>> {
    let items = match node.get(name) {
        Some(Node::List(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter()
}

fn number(node: &Node<'_>, name: &str) -> Option<f64> {
    node.get(name).and_then(double)
}

fn double(node: &Node<'_>) -> Option<f64> {
    match node {
        #[expect(clippy::cast_precision_loss, reason = "a whole number of a client that means a double")]
        Node::Integer(value) => Some(*value as f64),
        Node::Double(value) => Some(*value),
        Node::Null | Node::Boolean(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => None,
    }
}

fn own(text: impl Into<String>) -> Node<'static> {
    Node::Text(Cow::Owned(text.into()))
}
