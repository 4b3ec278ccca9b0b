//! An invocation of a trace that is recorded: what its function is told, and the spans of its init and of itself.
//!
//! Deliberately not here: where spans go, and the trace's other spans, of whoever asked.

use std::sync::Arc;

use crate::capture;
use crate::launch::Launch;
use lambkin_model::invocation::Invocation;
use lambkin_model::lifecycle::Status;
use lambkin_model::metric::Metrics;
use lambkin_model::name::LATEST;
use lambkin_model::time::Timestamp;
use lambkin_model::trace::{self, Span, SpanId, SpanKind, TraceContext, Traces, TracingMode, Value};

/// To whom it is told what happened.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) metrics: Arc<dyn Metrics>,
    pub(crate) traces: Arc<dyn Traces>,
}

/// A recorded trace, as an invocation is a part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traced {
    /// As the function is told.
    pub(crate) told: TraceContext,
    /// By the function's own configuration: its log says so.
    pub(crate) active: bool,
    /// Where spans are made.
    pub(crate) spans: Option<Spans>,
}

/// The spans of one invocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans {
    /// What caused it.
    parent: Option<SpanId>,
    own: SpanId,
    /// When it was admitted.
    since: Timestamp,
}

/// An init, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Init {
    pub(crate) began: Timestamp,
    /// When it ended, and whether well.
    pub(crate) ended: Option<(Timestamp, bool)>,
}

/// Decides whether the invocation is traced, where nobody has, and writes it into its header; `None`: it is not. The
/// function's spans will hang below the invocation's own.
pub(crate) fn admit(traces: &dyn Traces, invocation: &mut Invocation, mode: TracingMode) -> Option<Traced> {
    let header = invocation.trace_id.get_or_insert_with(|| {
        let random = || uuid::Uuid::new_v4().into_bytes();
        trace::root(capture::now().0 / 1_000_000, random(), random())
    });
    let given = TraceContext::read(header)?;
    let active = mode == TracingMode::Active;
    let sampled = given.sampled.unwrap_or_else(|| mode.decide(traces, &invocation.function.key));
    let own = (sampled && traces.records()).then(|| traces.span_id());
    let decision = given.sampled.is_none().then_some(sampled);
    if own.is_some() || decision.is_some() {
        *header = trace::with(header, own, decision);
    }
    let told = TraceContext { parent: own.or(given.parent), sampled: Some(true), ..given };
    let spans = own.map(|own| Spans { parent: given.parent, own, since: capture::now() });
    sampled.then_some(Traced { told, active, spans })
}

impl Traced {
    fn span(
        &self,
        launch: &Launch,
        id: SpanId,
        (name, kind): (String, SpanKind),
        (start, end): (Timestamp, Timestamp),
    ) -> Span {
        let key = &launch.key;
        let version = &*launch.executed_version;
        // What runs: an alias stands for its version.
        let resource_id = if version == LATEST { key.arn() } else { key.qualified_arn(version) };
        Span {
            end,
            attributes: vec![
                ("faas.name", (&*key.name).into()),
                ("faas.version", version.into()),
                ("cloud.provider", "aws".into()),
                ("cloud.platform", "aws_lambda".into()),
                ("cloud.region", (&*key.region).into()),
                ("cloud.account.id", (&*key.account).into()),
                ("cloud.resource_id", resource_id.into()),
            ],
            ..Span::begin(&self.told, id, name, kind, start)
        }
    }

    /// Tells of an init that this invocation waited for: before it, or as a part of it.
    pub(crate) fn init(&self, traces: &dyn Traces, launch: &Launch, init: Init, inside: bool) {
        let Some(Spans { parent, own, since }) = self.spans else { return };
        let (ended, well) = init.ended.unwrap_or((capture::now(), false));
        // One that was over before anybody asked held up nobody.
        if ended < since && !inside {
            return;
        }
        let name = format!("init {}", launch.key.name);
        traces.record(Span {
            parent: if inside { Some(own) } else { parent },
            error: (!well).then(|| "Runtime.InitError".to_owned()),
            ..self.span(launch, traces.span_id(), (name, SpanKind::Internal), (init.began, ended))
        });
    }

    /// Tells of the invocation.
    pub(crate) fn invocation(&self, traces: &dyn Traces, launch: &Launch, ran: Ran<'_>) {
        let Some(Spans { parent, own, .. }) = self.spans else { return };
        let name = launch.key.name.to_string();
        let mut span = self.span(launch, own, (name, SpanKind::Server), (ran.began, capture::now()));
        span.parent = parent;
        let qualifier = ran.qualifier.map(|qualifier| launch.key.qualified_arn(qualifier));
        let memory = i64::try_from(launch.memory()).unwrap_or(i64::MAX);
        span.attributes.extend([
            ("faas.invocation_id", ran.request_id.into()),
            ("faas.coldstart", ran.cold.into()),
            ("faas.instance", ran.instance.into()),
            ("faas.max_memory", Value::Number(memory)),
            ("aws.lambda.invoked_arn", qualifier.unwrap_or_else(|| launch.key.arn()).into()),
        ]);
        if let Some(kind) = error_type(ran.status, ran.error_type) {
            span.attributes.push(("error.type", (&*kind).into()));
            span.error = Some(kind);
        }
        traces.record(span);
    }
}

/// What is told of an invocation.
pub(crate) struct Ran<'r> {
    pub(crate) began: Timestamp,
    pub(crate) request_id: String,
    pub(crate) qualifier: Option<&'r str>,
    /// Its environment's first.
    pub(crate) cold: bool,
    /// Its environment's log stream.
    pub(crate) instance: &'r str,
    pub(crate) status: Status,
    /// What the process posted.
    pub(crate) error_type: Option<&'r str>,
}

/// Longest error type that is told; a function says what it likes.
const ERROR_TYPE_CHARS: usize = 256;

fn error_type(status: Status, posted: Option<&str>) -> Option<String> {
    match status {
        Status::Success => None,
        Status::Error | Status::InitError => {
            Some(posted.unwrap_or("Unhandled").chars().take(ERROR_TYPE_CHARS).collect())
        }
        Status::Timeout => Some("Sandbox.Timedout".into()),
        Status::Exited(_) => Some("Runtime.ExitError".into()),
        Status::LaunchFailed => Some("Runtime.LaunchError".into()),
    }
}
