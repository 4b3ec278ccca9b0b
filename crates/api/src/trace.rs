//! A request's place in a trace: what its headers say, what goes on from here, and the request's own span, which is told
//! of when the answer is over.
//!
//! Deliberately not here: who decides where nobody has and no spans are made (whoever runs the function or takes the event).

use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use lambkin_model::Error;
use lambkin_model::invocation::{Piece, Pieces, RequestId, Streamed};
use lambkin_model::name::FunctionReference;
use lambkin_model::trace::{self, HEADER_BYTES, Span, SpanKind, TraceContext, Traces, Value};

use crate::Api;
use crate::api::now;

pub(crate) const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A request that is, or may come to be, a part of a trace.
pub(crate) struct Trace {
    header: String,
    sampled: Option<bool>,
    /// Where spans are made.
    own: Option<Own>,
}

/// Its span, told of when it is dropped, if it came to be traced.
struct Own {
    traces: Arc<dyn Traces>,
    span: Span,
}

/// What the span says it is.
pub(crate) enum Asked<'r> {
    /// An operation of Lambda's.
    Operation(&'static str),
    /// A request to a function's URL.
    Url(&'r Parts),
}

impl Api {
    /// The request's, which begins now.
    pub(crate) fn trace(
        &self,
        headers: &HeaderMap,
        request_id: RequestId,
        function: &FunctionReference,
        asked: &Asked<'_>,
    ) -> Trace {
        let header = header(headers);
        let Some(context) = TraceContext::read(&header) else {
            return Trace { header, sampled: None, own: None };
        };
        if !self.traces.records() {
            return Trace { header, sampled: context.sampled, own: None };
        }
        // Whether there is a span of the request must be known before anything hangs below it.
        let sampled = context.sampled.unwrap_or_else(|| {
            let found = self.control.function(function);
            found.is_ok_and(|found| found.body().configuration.tracing.decide(&*self.traces, &function.key))
        });
        let decision = context.sampled.is_none().then_some(sampled);
        if !sampled {
            return Trace { header: trace::with(&header, None, decision), sampled: Some(false), own: None };
        }
        let id = self.traces.span_id();
        let (name, of_kind) = match asked {
            Asked::Operation(operation) => (
                format!("Lambda/{operation}"),
                vec![
                    ("rpc.system", "aws-api".into()),
                    ("rpc.service", "Lambda".into()),
                    ("rpc.method", (*operation).into()),
                ],
            ),
            Asked::Url(parts) => (
                parts.method.to_string(),
                vec![
                    ("http.request.method", parts.method.as_str().into()),
                    ("url.path", parts.uri.path().into()),
                    ("faas.trigger", "http".into()),
                ],
            ),
        };
        let mut attributes: Vec<(&'static str, Value)> = of_kind;
        attributes.extend([
            ("aws.request_id", request_id.to_string().into()),
            ("faas.invoked_name", (&*function.key.name).into()),
            ("faas.invoked_provider", "aws".into()),
            ("faas.invoked_region", (&*function.key.region).into()),
            ("aws.lambda.invoked_arn", function.arn().into()),
        ]);
        let span = Span { attributes, ..Span::begin(&context, id, name, SpanKind::Server, now()) };
        let traces = Arc::clone(&self.traces);
        let header = trace::with(&header, Some(id), decision);
        Trace { header, sampled: Some(true), own: Some(Own { traces, span }) }
    }
}

impl Trace {
    /// What goes on from here: what is done for the request hangs below its span.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    /// Whether it is traced is known now.
    pub(crate) fn decided(&mut self, sampled: bool) {
        self.sampled = Some(sampled);
    }

    /// Of the answer.
    pub(crate) fn status(&mut self, status: u16) {
        if let Some(own) = &mut self.own {
            own.span.attributes.push(("http.response.status_code", u32::from(status).into()));
        }
    }

    /// Has the span say what went wrong.
    pub(crate) fn watch<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let (Err(error), Some(own)) = (&result, &mut self.own) {
            own.span.error = Some(error.to_string());
        }
        result
    }

    /// As AWS answers it: `root=…;sampled=0`.
    pub(crate) fn answer(&self) -> Option<HeaderValue> {
        let root = self.header.split(';').find_map(|field| {
            let (key, value) = field.split_once('=')?;
            key.trim().eq_ignore_ascii_case("Root").then_some(value.trim())
        })?;
        HeaderValue::try_from(format!("root={root};sampled={}", u8::from(self.sampled == Some(true)))).ok()
    }

    /// A streamed answer, whose end is the request's.
    pub(crate) fn follow(self, streamed: Streamed) -> Streamed {
        if self.own.is_none() {
            return streamed;
        }
        let pieces = Box::new(Followed { pieces: streamed.pieces, trace: Some(self) });
        Streamed { pieces, ..streamed }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        if let (Some(Own { traces, mut span }), Some(true)) = (self.own.take(), self.sampled) {
            span.end = now();
            traces.record(span);
        }
    }
}

struct Followed {
    pieces: Box<dyn Pieces>,
    trace: Option<Trace>,
}

impl Pieces for Followed {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        let piece = self.pieces.poll_piece(context);
        match piece {
            Poll::Ready(Ok(Piece::End(_))) => drop(self.trace.take()),
            Poll::Ready(Err(ref error)) => {
                if let Some(mut trace) = self.trace.take() {
                    let _: Result<(), Error> = trace.watch(Err(error.clone()));
                }
            }
            Poll::Ready(Ok(Piece::Chunk(_))) | Poll::Pending => {}
        }
        piece
    }
}

/// The caller's, or W3C's, or a new one that nobody has decided about.
fn header(headers: &HeaderMap) -> String {
    if let Some(given) = given(headers) {
        return given.to_owned();
    }
    let w3c = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    if let Some(context) = w3c.and_then(TraceContext::of_traceparent) {
        return context.to_string();
    }
    let random = || uuid::Uuid::new_v4().into_bytes();
    trace::root(crate::functions::now(), random(), random())
}

/// The trace that the request says it belongs to, in X-Ray's words.
pub(crate) fn given(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(TRACE_ID).and_then(|value| value.to_str().ok());
    given.filter(|given| given.len() <= HEADER_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let w3c = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
        let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let long = "x".repeat(HEADER_BYTES + 1);
        for (given, expected) in [
            (vec![(TRACE_ID, "Root=1-5-6;Sampled=1"), (TRACEPARENT, w3c)], Some("Root=1-5-6;Sampled=1")),
            (vec![(TRACEPARENT, w3c)], Some(xray)),
            (vec![(TRACEPARENT, "00-1-2-3")], None),
            (vec![(TRACE_ID, &long)], None),
            (vec![], None),
        ] {
            let headers: HeaderMap = given
                .iter()
                .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
                .collect();
            let header = header(&headers);
            match expected {
                Some(expected) => assert_eq!(header, expected),
                None => {
                    let made = TraceContext::read(&header).unwrap();
                    assert!(made.parent.is_some() && made.sampled.is_none(), "{header}");
                }
            }
        }
    }

    #[test]
    fn answers() {
        for (header, sampled, expected) in [
            ("Root=1-5-6;Parent=7;Sampled=1", Some(true), Some("root=1-5-6;sampled=1")),
            ("Parent=7;root=1-5-6", Some(false), Some("root=1-5-6;sampled=0")),
            ("Root=1-5-6", None, Some("root=1-5-6;sampled=0")),
            ("x", Some(true), None),
        ] {
            let trace = Trace { header: header.into(), sampled, own: None };
            assert_eq!(trace.answer().as_ref().map(|value| value.to_str().unwrap()), expected, "{header}");
        }
    }
}
