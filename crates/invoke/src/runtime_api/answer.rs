//! What the Runtime API answers: an invocation, the acceptance of a post, and refusals. Codes and
//! texts are those of AWS's Runtime Interface Emulator (node-runtime §9.1).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use lambkin_model::invocation::Invocation;

pub(super) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An invocation as "next" gives it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    headers: HeaderMap,
    payload: Bytes,
}

impl Event {
    pub(crate) fn new(invocation: &Invocation, deadline_ms: u64, payload: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            // A client context may be JSON on several lines, and a header has none; in JSON they are
            // blanks. What no header can carry is left out.
            let line = value.replace(['\r', '\n'], " ");
            if let Ok(value) = HeaderValue::from_bytes(line.as_bytes())
                && !value.is_empty()
            {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("lambda-runtime-aws-request-id", &invocation.request_id.to_string());
        set("lambda-runtime-deadline-ms", &deadline_ms.to_string());
        set("lambda-runtime-invoked-function-arn", &invocation.function.arn());
        set("lambda-runtime-trace-id", invocation.trace_id.as_deref().unwrap_or_default());
        set("lambda-runtime-client-context", invocation.client_context.as_deref().unwrap_or_default());
        headers.insert(CONTENT_TYPE, JSON);
        Self { headers, payload }
    }

    pub(super) fn answer(self) -> Answer {
        let mut answer = Response::new(Full::new(self.payload));
        *answer.headers_mut() = self.headers;
        answer
    }
}

/// Where a process is in the Runtime API's order of calls, by RAPID's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuntimeState {
    Started,
    InitError,
    Ready,
    Running,
    InvocationResponse,
    InvocationErrorResponse,
    ResponseSent,
}

impl RuntimeState {
    fn name(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::InitError => "InitError",
            Self::Ready => "Ready",
            Self::Running => "Running",
            Self::InvocationResponse => "InvocationResponse",
            Self::InvocationErrorResponse => "InvocationErrorResponse",
            Self::ResponseSent => "RuntimeResponseSentState",
        }
    }
}

/// Why a request is not done. None changes what the invocation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not the id of the running invocation.
    RequestId,
    /// Out of order.
    State {
        from: RuntimeState,
        to: RuntimeState,
    },
    /// `Lambda-Runtime-Function-Response-Mode` is not `streaming`.
    ResponseMode,
    /// The body ended before it was complete.
    Truncated,
    /// The body is larger than a result may be: than so many bytes.
    TooLarge(usize),
    NotFound,
    Method,
}

impl Refusal {
    pub(super) fn answer(self) -> Answer {
        match self {
            Self::RequestId => error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
            Self::State { from, to } => {
                let (from, to) = (from.name(), to.name());
                let message = format!(
                    "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
                );
                error(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
            }
            Self::ResponseMode => error(
                StatusCode::BAD_REQUEST,
                "InvalidFunctionResponseMode",
                "Invalid function response mode",
            ),
            Self::Truncated => {
                error(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", "HTTP request detected as truncated")
            }
            Self::TooLarge(limit) => {
                let message = format!("Exceeded maximum allowed payload size ({limit} bytes).");
                error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
            }
            Self::NotFound => {
                let text = HeaderValue::from_static("text/plain; charset=utf-8");
                answer(StatusCode::NOT_FOUND, text, "404 page not found\n".into())
            }
            Self::Method => {
                let mut answer = Response::default();
                *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                answer
            }
        }
    }
}

pub(super) fn accepted() -> Answer {
    answer(StatusCode::ACCEPTED, JSON, "{\"status\":\"OK\"}\n".into())
}

pub(super) fn pong() -> Answer {
    answer(StatusCode::OK, HeaderValue::from_static("text/plain; charset=utf-8"), "pong".into())
}

fn error(status: StatusCode, error_type: &str, message: &str) -> Answer {
    // Neither has a character that JSON escapes.
    let body = format!("{{\"errorMessage\":\"{message}\",\"errorType\":\"{error_type}\"}}\n");
    answer(status, JSON, body)
}

fn answer(status: StatusCode, content_type: HeaderValue, body: String) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}
