//! An error of a service that is not REST, whatever the protocol.

use http::StatusCode;
use lambkin_model::Error;

use crate::error_table::ErrorAnswer;

/// An error as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// JSON's `__type`: `com.amazonaws.sqs#QueueDoesNotExist`.
    pub(crate) shape: &'static str,
    /// The Query protocol's code.
    pub(crate) code: &'static str,
    /// Whether the sender is to blame.
    pub(crate) sender: bool,
    pub(crate) message: String,
    /// What JSON says beside the message.
    pub(crate) detail: Option<Box<(&'static str, serde_json::Value)>>,
}

impl Fault {
    /// What the door before the services refused.
    pub(crate) fn of_the_door(error: &Error) -> Self {
        let answer = ErrorAnswer::of(error);
        let (shape, code) = match error {
            Error::AccessDenied(_) => ("com.amazon.coral.service#AccessDeniedException", "AccessDenied"),
            Error::MissingAuthentication => {
                ("com.amazon.coral.service#MissingAuthenticationTokenException", "MissingAuthenticationToken")
            }
            Error::UnrecognizedClient => {
                ("com.amazon.coral.service#UnrecognizedClientException", "InvalidClientTokenId")
            }
            Error::InvalidSignature(_) => {
                ("com.amazon.coral.service#InvalidSignatureException", "SignatureDoesNotMatch")
            }
            Error::IncompleteSignature(_) => {
                ("com.amazon.coral.service#IncompleteSignatureException", "IncompleteSignature")
            }
            Error::RequestTooLarge(_) => {
                ("com.amazon.coral.service#RequestEntityTooLargeException", "RequestEntityTooLarge")
            }
            Error::InvalidRequestContent(_) | Error::Serialization(_) => {
                ("com.amazon.coral.service#SerializationException", "MalformedInput")
            }
            Error::UnsupportedMediaType(_) => {
                ("com.amazon.coral.service#UnsupportedMediaTypeException", "UnsupportedMediaType")
            }
            Error::UnknownOperation(_) => {
                ("com.amazon.coral.service#UnknownOperationException", "InvalidAction")
            }
            Error::Service(_) => ("com.amazon.coral.service#InternalFailure", "InternalFailure"),
            // Lambda's own, which the door does not say.
            Error::FunctionNotFound { .. }
            | Error::ResourceNotFound(_)
            | Error::NotProvisioned
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
            | Error::PayloadTooLarge { .. }
            | Error::TooManyRequests { .. }
            | Error::RecursiveInvocation
            | Error::InvalidRuntime(_) => ("com.amazon.coral.service#InternalFailure", "InternalFailure"),
        };
        let sender = answer.status.is_client_error();
        Self { status: answer.status, shape, code, sender, message: error.to_string(), detail: None }
    }
}

impl Fault {
    /// Of a service that speaks no JSON: nobody reads a shape.
    pub(crate) fn of_query(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, shape: code, code, sender: status.is_client_error(), message, detail: None }
    }
}

pub(super) fn unknown(operation: &str) -> Fault {
    Fault {
        status: StatusCode::NOT_FOUND,
        shape: "com.amazon.coral.service#UnknownOperationException",
        code: "InvalidAction",
        sender: true,
        message: format!("The action {operation} is not valid for this endpoint."),
        detail: None,
    }
}

pub(crate) fn malformed(message: String) -> Fault {
    Fault {
        status: StatusCode::BAD_REQUEST,
        shape: "com.amazon.coral.service#SerializationException",
        code: "MalformedInput",
        sender: true,
        message,
        detail: None,
    }
}
