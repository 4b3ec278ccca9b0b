//! The one table from `model::Error` to what AWS puts on the wire: status, code, `Type` and the
//! case of the message's member (aws-behaviour 1 to 3). No wildcard arm: a new error asks for its line.
//!
//! Deliberately not here: a function's own failure, which is an `Outcome` and HTTP 200.

use http::StatusCode;
use lambkin_model::Error;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// AWS's `Type`: who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    User,
    Service,
    /// Answers without it: codes outside of the service's model, and what was recorded so.
    Unsaid,
}

/// Which spelling the exception's message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

/// One line of the table.
pub(crate) struct ErrorAnswer {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    blame: Blame,
    case: Case,
}

impl ErrorAnswer {
    pub(crate) fn of(error: &Error) -> Self {
        use Blame::{Service, Unsaid, User};
        use Case::{Lower, Upper};
        let (status, code, blame, case) = match error {
            Error::FunctionNotFound { .. } | Error::ResourceNotFound(_) => {
                (StatusCode::NOT_FOUND, "ResourceNotFoundException", User, Upper)
            }
            Error::NotProvisioned => {
                (StatusCode::NOT_FOUND, "ProvisionedConcurrencyConfigNotFoundException", User, Lower)
            }
            Error::FunctionExists { .. } | Error::ResourceConflict(_) => {
                (StatusCode::CONFLICT, "ResourceConflictException", User, Lower)
            }
            Error::ResourceInUse(_) => (StatusCode::BAD_REQUEST, "ResourceInUseException", User, Upper),
            Error::RevisionMismatch | Error::PolicyRevisionMismatch { .. } => {
                (StatusCode::PRECONDITION_FAILED, "PreconditionFailedException", User, Lower)
            }
            Error::PolicyLengthExceeded { .. } => {
                (StatusCode::BAD_REQUEST, "PolicyLengthExceededException", User, Lower)
            }
            Error::InvalidParameterValue(_) => {
                (StatusCode::BAD_REQUEST, "InvalidParameterValueException", User, Lower)
            }
            // Recorded without a `Type` (aws-behaviour 3).
            Error::UnreservedConcurrency { .. } | Error::UntypedParameterValue(_) => {
                (StatusCode::BAD_REQUEST, "InvalidParameterValueException", Unsaid, Lower)
            }
            Error::Validation(_) => (StatusCode::BAD_REQUEST, "ValidationException", Unsaid, Lower),
            Error::InvalidRequestContent(_) => {
                (StatusCode::BAD_REQUEST, "InvalidRequestContentException", User, Lower)
            }
            Error::Serialization(_) => (StatusCode::BAD_REQUEST, "SerializationException", User, Lower),
            Error::RequestTooLarge(_) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", Unsaid, Lower)
            }
            Error::PayloadTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", User, Lower)
            }
            Error::UnsupportedMediaType(_) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaTypeException", User, Lower)
            }
            Error::TooManyRequests { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", User, Lower)
            }
            Error::RecursiveInvocation => {
                (StatusCode::BAD_REQUEST, "RecursiveInvocationException", User, Upper)
            }
            Error::AccessDenied(_) => (StatusCode::FORBIDDEN, "AccessDeniedException", Unsaid, Upper),
            Error::MissingAuthentication => {
                (StatusCode::FORBIDDEN, "MissingAuthenticationTokenException", Unsaid, Lower)
            }
            Error::UnrecognizedClient => {
                (StatusCode::FORBIDDEN, "UnrecognizedClientException", Unsaid, Lower)
            }
            Error::InvalidSignature(_) => (StatusCode::FORBIDDEN, "InvalidSignatureException", Unsaid, Lower),
            Error::IncompleteSignature(_) => {
                (StatusCode::BAD_REQUEST, "IncompleteSignatureException", Unsaid, Lower)
            }
            Error::UnknownOperation(_) => (StatusCode::NOT_FOUND, "UnknownOperationException", Unsaid, Lower),
            Error::InvalidRuntime(_) => (StatusCode::BAD_GATEWAY, "InvalidRuntimeException", Service, Upper),
            Error::Service(_) => (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", Service, Upper),
        };
        Self { status, code, blame, case }
    }

    /// The body.
    pub(crate) fn body(&self, error: &Error) -> Vec<u8> {
        serde_json::to_vec(&Body { answer: self, error }).expect("strings")
    }
}

struct Body<'a> {
    answer: &'a ErrorAnswer,
    error: &'a Error,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Error::TooManyRequests { reason } = self.error {
            map.serialize_entry("Reason", reason.as_str())?;
        }
        match self.answer.blame {
            Blame::User => map.serialize_entry("Type", "User")?,
            Blame::Service => map.serialize_entry("Type", "Service")?,
            Blame::Unsaid => {}
        }
        let text = self.error.to_string();
        match self.answer.case {
            Case::Lower => map.serialize_entry("message", &text)?,
            Case::Upper => map.serialize_entry("Message", &text)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambkin_model::error::ThrottleReason;

    fn every() -> Vec<Error> {
        let text = || "t".to_owned();
        vec![
            Error::FunctionNotFound { arn: text() },
            Error::ResourceNotFound(text()),
            Error::NotProvisioned,
            Error::FunctionExists { name: text() },
            Error::ResourceConflict(text()),
            Error::ResourceInUse(text()),
            Error::RevisionMismatch,
            Error::PolicyRevisionMismatch { api: "GetPolicy" },
            Error::PolicyLengthExceeded { length: 7, limit: 6 },
            Error::InvalidParameterValue(text()),
            Error::UnreservedConcurrency { minimum: 100 },
            Error::UntypedParameterValue(text()),
            Error::Validation(text()),
            Error::InvalidRequestContent(text()),
            Error::Serialization(text()),
            Error::RequestTooLarge(text()),
            Error::PayloadTooLarge { length: 7, invocation_type: "Event", limit: 6 },
            Error::UnsupportedMediaType(text()),
            Error::TooManyRequests { reason: ThrottleReason::ConcurrentInvocationLimitExceeded },
            Error::RecursiveInvocation,
            Error::AccessDenied(text()),
            Error::MissingAuthentication,
            Error::UnrecognizedClient,
            Error::InvalidSignature(text()),
            Error::IncompleteSignature(text()),
            Error::UnknownOperation(text()),
            Error::InvalidRuntime(text()),
            Error::Service(text()),
        ]
    }

    #[test]
    fn agrees_with_the_service_model() {
        #[derive(serde::Deserialize)]
        struct File {
            errors: Vec<Line>,
        }
        #[derive(serde::Deserialize)]
        struct Line {
            name: String,
            status: Option<u16>,
            text: Option<String>,
            fault: bool,
        }
        let file: File = serde_json::from_str(include_str!("../model/lambda.json")).unwrap();
        let mut modelled = 0;
        for error in every() {
            let answer = ErrorAnswer::of(&error);
            let body: serde_json::Value = serde_json::from_slice(&answer.body(&error)).unwrap();
            let Some(line) = file.errors.iter().find(|line| line.name == answer.code) else {
                assert!(
                    matches!(
                        answer.code,
                        "ValidationException"
                            | "SerializationException"
                            | "RequestEntityTooLargeException"
                            | "AccessDeniedException"
                            | "MissingAuthenticationTokenException"
                            | "UnrecognizedClientException"
                            | "InvalidSignatureException"
                            | "IncompleteSignatureException"
                            | "UnknownOperationException"
                    ),
                    "{}",
                    answer.code
                );
                continue;
            };
            modelled += 1;
            assert_eq!(Some(answer.status.as_u16()), line.status, "{}", answer.code);
            assert_eq!(body[line.text.as_deref().unwrap()], error.to_string(), "{}", answer.code);
            let blame = if line.fault { "Service" } else { "User" };
            let unsaid =
                matches!(error, Error::UnreservedConcurrency { .. } | Error::UntypedParameterValue(_));
            assert_eq!(body["Type"].as_str(), (!unsaid).then_some(blame), "{}", answer.code);
        }
        assert_eq!(modelled, 19);
    }

    #[test]
    fn bodies_are_the_recorded_ones() {
        for (error, expected) in [
            (
                Error::FunctionNotFound { arn: "L:f".into() },
                r#"{"Type":"User","Message":"Function not found: L:f"}"#,
            ),
            (
                Error::TooManyRequests {
                    reason: ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded,
                },
                r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
            ),
            (
                Error::UnreservedConcurrency { minimum: 100 },
                r#"{"message":"Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]."}"#,
            ),
            (Error::InvalidParameterValue("x\ny".into()), r#"{"Type":"User","message":"x\ny"}"#),
            (Error::MissingAuthentication, r#"{"message":"Missing Authentication Token"}"#),
        ] {
            let body = ErrorAnswer::of(&error).body(&error);
            assert_eq!(String::from_utf8(body).unwrap(), expected);
        }
    }
}
