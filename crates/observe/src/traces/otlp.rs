//! Spans as OpenTelemetry's protocol has them: the messages of `opentelemetry/proto/collector/trace/v1`, as far as lambkin
//! fills them. The numbers of fields are the protocol's, which is stable.

use lambkin_model::trace::{Span, SpanKind, Value};
use prost::Message;

/// A request with these spans.
pub(super) fn request(spans: &[Span]) -> Vec<u8> {
    let text = |key: &str, value: &str| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(any_value::Value::Text(value.into())) }),
    };
    let version = env!("CARGO_PKG_VERSION");
    let resource =
        Resource { attributes: vec![text("service.name", "lambkin"), text("service.version", version)] };
    let scope = Scope { name: "lambkin".into(), version: version.into() };
    let scope_spans = ScopeSpans { scope: Some(scope), spans: spans.iter().map(written).collect() };
    let resource_spans = ResourceSpans { resource: Some(resource), scope_spans: vec![scope_spans] };
    Request { resource_spans: vec![resource_spans] }.encode_to_vec()
}

/// How many spans the response refuses; one that cannot be read refuses none.
pub(super) fn refused(response: &[u8]) -> u64 {
    let partial = Response::decode(response).ok().and_then(|response| response.partial_success);
    partial.and_then(|partial| u64::try_from(partial.rejected_spans).ok()).unwrap_or_default()
}

fn written(span: &Span) -> WireSpan {
    let nanos = |micros: u64| micros.saturating_mul(1000);
    let attribute = |(key, value): &(&'static str, Value)| KeyValue {
        key: (*key).into(),
        value: Some(AnyValue {
            value: Some(match value {
                Value::Text(text) => any_value::Value::Text(text.clone()),
                Value::Flag(flag) => any_value::Value::Flag(*flag),
                Value::Number(number) => any_value::Value::Number(*number),
            }),
        }),
    };
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    let link = |(trace, span): &_| {
        let (lambkin_model::trace::TraceId(trace), lambkin_model::trace::SpanId(span)) = (trace, span);
        Link { trace_id: trace.to_vec(), span_id: span.to_vec() }
    };
    WireSpan {
        trace_id: span.trace.0.to_vec(),
        span_id: span.id.0.to_vec(),
        parent_span_id: span.parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        name: span.name.clone(),
        kind,
        start: nanos(span.start.0),
        // A clock that was set back makes no span of less than nothing.
        end: nanos(span.end.0.max(span.start.0)),
        attributes: span.attributes.iter().map(attribute).collect(),
        links: span.links.iter().map(link).collect(),
        status: span.error.as_ref().map(|error| Status { message: error.clone(), code: STATUS_ERROR }),
    }
}

const STATUS_ERROR: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<WireSpan>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct WireSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    /// Nanoseconds since 1970.
    #[prost(fixed64, tag = "7")]
    start: u64,
    #[prost(fixed64, tag = "8")]
    end: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, repeated, tag = "13")]
    links: Vec<Link>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Link {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "any_value::Value", tags = "1, 2, 3")]
    value: Option<any_value::Value>,
}

mod any_value {
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Value {
        #[prost(string, tag = "1")]
        Text(String),
        #[prost(bool, tag = "2")]
        Flag(bool),
        #[prost(int64, tag = "3")]
        Number(i64),
    }
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// Spans of a request.
#[cfg(test)]
pub(super) fn count(request: &[u8]) -> usize {
    let request = Request::decode(request).unwrap();
    request.resource_spans.iter().flat_map(|each| &each.scope_spans).map(|each| each.spans.len()).sum()
}

/// A response that refuses so many spans.
#[cfg(test)]
pub(super) fn partly(rejected_spans: i64) -> Vec<u8> {
    let partial_success = Some(PartialSuccess { rejected_spans, error_message: "no".into() });
    Response { partial_success }.encode_to_vec()
}
