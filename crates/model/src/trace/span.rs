//! A span, in the words of OpenTelemetry, and the port that takes it.

use crate::figure::Figure;
use crate::name::FunctionKey;
use crate::time::Timestamp;

use super::{SpanId, TraceContext, TraceId};

/// Something that took time as a part of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Of which trace.
    pub trace: TraceId,
    /// Its own id.
    pub id: SpanId,
    /// What caused it.
    pub parent: Option<SpanId>,
    /// What it is, in a few words that many spans share.
    pub name: String,
    /// Where it stands between two services.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is known of it, by the names of OpenTelemetry's conventions.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed; `None`: it did not.
    pub error: Option<String>,
    /// Spans of other traces that it comes from too.
    pub links: Vec<(TraceId, SpanId)>,
}

impl Span {
    /// One that begins, below the parent of its context, and of which nothing else is known yet.
    #[must_use]
    pub fn begin(context: &TraceContext, id: SpanId, name: String, kind: SpanKind, start: Timestamp) -> Self {
        Self {
            trace: context.trace,
            id,
            parent: context.parent,
            name,
            kind,
            start,
            end: start,
            attributes: Vec::new(),
            error: None,
            links: Vec::new(),
        }
    }
}

/// OpenTelemetry's kinds, those of them that lambkin has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Inside of lambkin.
    Internal,
    /// It answers a request.
    Server,
    /// It asks another service.
    Client,
    /// It sends a message.
    Producer,
    /// It takes a message.
    Consumer,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// Port: decides which requests are traced that nobody else decided about, and takes the spans of those that are.
pub trait Traces: Send + Sync {
    /// Whether spans go anywhere: where they do not, none need be made.
    fn records(&self) -> bool;

    /// Whether a request to a function of active tracing is traced that comes without a decision.
    fn samples(&self, function: &FunctionKey) -> bool;

    /// A new id.
    fn span_id(&self) -> SpanId;

    /// Takes a span, at once: it waits for nobody, and drops what it has no room for, which it counts.
    fn record(&self, span: Span);

    /// What became of spans since the start.
    fn figures(&self) -> Vec<Figure>;
}

/// Where nobody traces.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTraces;

impl Traces for NoTraces {
    fn records(&self) -> bool {
        false
    }

    fn samples(&self, _: &FunctionKey) -> bool {
        false
    }

    fn span_id(&self) -> SpanId {
        SpanId([0; 8])
    }

    fn record(&self, _: Span) {}

    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}
