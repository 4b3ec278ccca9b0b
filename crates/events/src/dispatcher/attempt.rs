//! One attempt at an event: through the same door as synchronous calls, and what came of it in the words
//! of the retry policy.

use lambkin_model::Error;
use lambkin_model::error::ThrottleReason;
use lambkin_model::event_invoke::Attempt;
use lambkin_model::invocation::{Invocation, Invoke};

use crate::destination::Response;
use crate::event::Event;

/// How it went.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) attempt: Attempt,
    pub(super) response: Response,
    /// Where it was throttled.
    pub(super) throttle: Option<ThrottleReason>,
}

/// Runs the function once.
pub(super) async fn attempt(invoke: &dyn Invoke, event: &Event) -> Tried {
    let invocation = Invocation {
        request_id: event.request_id,
        function: event.function.clone(),
        payload: event.payload.clone(),
        // AWS passes it on to synchronous invocations only.
        client_context: None,
        trace_id: event.trace_id.clone(),
        log_tail: false,
    };
    match invoke.invoke(invocation).await {
        Ok(reply) => {
            let attempt =
                if reply.outcome.error.is_some() { Attempt::FunctionError } else { Attempt::Success };
            Tried { attempt, response: Response::Ran(reply), throttle: None }
        }
        Err(error) => refused(&error),
    }
}

fn refused(error: &Error) -> Tried {
    let (attempt, status, throttle) = match error {
        Error::TooManyRequests { reason } => (Attempt::Throttled, 429, Some(*reason)),
        Error::FunctionNotFound { .. } | Error::ResourceNotFound(_) => (Attempt::Gone, 404, None),
        Error::RecursiveInvocation => (Attempt::Recursive, 400, None),
        // Nothing of the event's: a payload that is refused now was taken before.
        Error::NotProvisioned
        | Error::FunctionExists { .. }
        | Error::ResourceConflict(_)
        | Error::ResourceInUse(_)
        | Error::RevisionMismatch
        | Error::PolicyRevisionMismatch { .. }
        | Error::PolicyLengthExceeded { .. }
        | Error::InvalidParameterValue(_)
        | Error::Validation(_)
        | Error::UnreservedConcurrency { .. }
        | Error::UntypedParameterValue(_)
        | Error::InvalidRequestContent(_)
        | Error::Serialization(_)
        | Error::RequestTooLarge(_)
        | Error::PayloadTooLarge { .. }
        | Error::UnsupportedMediaType(_)
        | Error::AccessDenied(_)
        | Error::MissingAuthentication
        | Error::UnrecognizedClient
        | Error::InvalidSignature(_)
        | Error::IncompleteSignature(_)
        | Error::UnknownOperation(_)
        | Error::InvalidRuntime(_)
        | Error::Service(_) => (Attempt::SystemError, 500, None),
    };
    Tried { attempt, response: Response::Refused(status, error.to_string()), throttle }
}

/// Of an event whose function is no more: nobody was asked.
pub(super) fn gone(event: &Event) -> Tried {
    refused(&Error::FunctionNotFound { arn: event.arn() })
}

/// Of an event whose function may not run at all.
pub(super) fn zero_concurrency() -> Tried {
    Tried { attempt: Attempt::ZeroConcurrency, response: Response::None, throttle: None }
}
