//! What is told of an event's way to whoever follows its trace: how long it waited, and what was delivered of its end.
//!
//! Deliberately not here: the function's own spans (`invoke`), those of requests (`api`).

use std::sync::Arc;

use lambkin_model::catalog::{CatalogRead, Head, Stored};
use lambkin_model::invocation::RequestId;
use lambkin_model::name::{FunctionKey, FunctionReference};
use lambkin_model::time::Timestamp;
use lambkin_model::trace::{self, Span, SpanKind, TraceContext, Traces, Value};
use lambkin_model::version::Version;

use crate::Ambient;
use crate::deliveries::Kind;

/// The header that an event goes with: the one that came, or one of its own, and whether it is traced, which is decided
/// here where nobody has. So all attempts belong to one trace.
pub(crate) fn header(
    traces: &dyn Traces,
    ambient: Ambient,
    catalog: &dyn CatalogRead,
    head: &Arc<Stored<Head>>,
    version: Version,
    given: Option<String>,
) -> String {
    let header = given
        .unwrap_or_else(|| trace::root((ambient.now)().millis() / 1000, (ambient.uuid)(), (ambient.uuid)()));
    match TraceContext::read(&header) {
        Some(TraceContext { sampled: None, .. }) => {
            let body = catalog.body(head, version);
            let sampled =
                body.is_some_and(|body| body.configuration.tracing.decide(traces, &head.record.key));
            trace::with(&header, None, Some(sampled))
        }
        Some(_) | None => header,
    }
}

/// The trace that a header says is recorded, where spans are made at all.
fn recorded(traces: &dyn Traces, header: Option<&str>) -> Option<TraceContext> {
    if traces.records() { TraceContext::recorded(header?) } else { None }
}

fn of_function(key: &FunctionKey) -> Vec<(&'static str, Value)> {
    vec![
        ("faas.name", (&*key.name).into()),
        ("cloud.region", (&*key.region).into()),
        ("cloud.account.id", (&*key.account).into()),
    ]
}

/// An event waited from one time to another for its `attempt`th attempt.
pub(crate) fn waited(
    traces: &dyn Traces,
    header: Option<&str>,
    function: &FunctionReference,
    request_id: RequestId,
    attempt: u32,
    (from, to): (Timestamp, Timestamp),
) {
    let Some(context) = recorded(traces, header) else { return };
    let mut attributes = of_function(&function.key);
    attributes.extend([
        ("faas.invocation_id", request_id.to_string().into()),
        ("aws.lambda.invoked_arn", function.arn().into()),
        ("lambkin.attempt", attempt.into()),
    ]);
    let name = format!("queue {}", function.key.name);
    let span = Span::begin(&context, traces.span_id(), name, SpanKind::Consumer, from);
    traces.record(Span { end: to, attributes, ..span });
}

/// Most other traces that a batch of messages is linked to, as X-Ray has it.
const LINKS: usize = 20;

/// A queue's messages, as a batch for a function: where the first that is traced was since when it was sent.
pub(crate) fn batched<'m>(
    traces: &dyn Traces,
    queue: &str,
    function: &FunctionKey,
    header: &str,
    messages: impl Iterator<Item = (&'m str, Timestamp)> + Clone,
    now: Timestamp,
) {
    let Some(context) = recorded(traces, Some(header)) else { return };
    let count = messages.clone().count();
    let sent = messages.clone().find(|(trace, _)| *trace == header).map_or(now, |(_, sent)| sent);
    let others = messages.filter_map(|(trace, _)| {
        let other = TraceContext::recorded(trace)?;
        Some((other.trace, other.parent?))
    });
    let mut attributes = of_function(function);
    attributes.extend([
        ("messaging.system", "aws_sqs".into()),
        ("messaging.operation.type", "receive".into()),
        ("messaging.destination.name", name(queue).into()),
        ("messaging.batch.message_count", Value::Number(i64::try_from(count).unwrap_or(i64::MAX))),
    ]);
    let links = others.filter(|(trace, _)| *trace != context.trace).take(LINKS).collect();
    let name = format!("receive {}", name(queue));
    let span = Span::begin(&context, traces.span_id(), name, SpanKind::Consumer, sent);
    traces.record(Span { end: now, attributes, links, ..span });
}

/// A delivery that begins: its span, which is told of once it is known how it ended, and the header that what is
/// delivered goes on with. `None`: its trace is not recorded.
pub(crate) fn delivery(
    traces: &dyn Traces,
    header: Option<&str>,
    function: &FunctionKey,
    request_id: RequestId,
    (kind, arn): (Kind, &str),
    now: Timestamp,
) -> Option<(Span, String)> {
    let context = recorded(traces, header)?;
    let mut attributes = of_function(function);
    let what = match kind {
        Kind::Record => "destination",
        Kind::DeadLetter => "dead letter",
    };
    attributes.push(("faas.invocation_id", request_id.to_string().into()));
    let span = sending(traces, context, SpanKind::Producer, format!("{what} {}", name(arn)), arn, now);
    let span = Span { attributes: span.attributes.into_iter().chain(attributes).collect(), ..span };
    let header = trace::with(header.unwrap_or_default(), Some(span.id), None);
    Some((span, header))
}

/// A request to another place that begins. `None`: its trace is not recorded.
pub(crate) fn carriage(traces: &dyn Traces, header: Option<&str>, arn: &str, now: Timestamp) -> Option<Span> {
    let context = recorded(traces, header)?;
    Some(sending(traces, context, SpanKind::Client, format!("send {}", name(arn)), arn, now))
}

fn sending(
    traces: &dyn Traces,
    context: TraceContext,
    kind: SpanKind,
    name_of_span: String,
    arn: &str,
    now: Timestamp,
) -> Span {
    let mut attributes = vec![
        ("cloud.resource_id", arn.into()),
        ("messaging.operation.type", "send".into()),
        ("messaging.destination.name", name(arn).into()),
    ];
    let system = match arn.split(':').nth(2) {
        Some("sqs") => Some("aws_sqs"),
        Some("sns") => Some("aws.sns"),
        Some(_) | None => None,
    };
    attributes.extend(system.map(|system| ("messaging.system", system.into())));
    Span { attributes, ..Span::begin(&context, traces.span_id(), name_of_span, kind, now) }
}

/// Tells of spans that end now.
pub(crate) fn end(
    traces: &dyn Traces,
    spans: impl IntoIterator<Item = Span>,
    now: Timestamp,
    error: Option<&str>,
) {
    for span in spans {
        let error = error.map(str::to_owned).or_else(|| span.error.clone());
        traces.record(Span { end: now, error, ..span });
    }
}

/// What stands last in an ARN.
fn name(arn: &str) -> &str {
    arn.rsplit([':', '/']).next().unwrap_or_default()
}
