//! The one table from `LogsError` to what CloudWatch Logs puts on the wire. No wildcard arm: a new error asks for its
//! line.
//!
//! Codes are those of AWS's service model.

use http::StatusCode;
use lambkin_observe::logs::LogsError;

use crate::wire::Fault;

impl Fault {
    /// An error as it goes out.
    pub(crate) fn of_logs(error: &LogsError) -> Self {
        let bad = StatusCode::BAD_REQUEST;
        let (status, code) = match error {
            LogsError::GroupNotFound | LogsError::StreamNotFound | LogsError::NotFound(_) => {
                (bad, "ResourceNotFoundException")
            }
            LogsError::AlreadyExists(_) => (bad, "ResourceAlreadyExistsException"),
            LogsError::InvalidParameter(_) => (bad, "InvalidParameterException"),
            LogsError::Validation(_) => (bad, "ValidationException"),
            LogsError::MalformedQuery { .. } => (bad, "MalformedQueryException"),
            LogsError::TooManyTags => (bad, "TooManyTagsException"),
            LogsError::LimitExceeded(_) => (bad, "LimitExceededException"),
            LogsError::Unsupported(_) => (bad, "InvalidOperationException"),
            LogsError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException"),
        };
        let detail = match error {
            LogsError::MalformedQuery { message, start, end } => Some((
                "queryCompileError",
                serde_json::json!({
                    "location": { "startCharOffset": start, "endCharOffset": end },
                    "message": message,
                }),
            )),
            LogsError::GroupNotFound
            | LogsError::StreamNotFound
            | LogsError::NotFound(_)
            | LogsError::AlreadyExists(_)
            | LogsError::InvalidParameter(_)
            | LogsError::Validation(_)
            | LogsError::TooManyTags
            | LogsError::LimitExceeded(_)
            | LogsError::Unsupported(_)
            | LogsError::Unavailable(_) => None,
        };
        let sender = status.is_client_error();
        Self { status, shape: code, code, sender, message: error.to_string(), detail: detail.map(Box::new) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_service_models() {
        let file: serde_json::Value = serde_json::from_str(include_str!("../model/logs.json")).unwrap();
        let known: Vec<&str> =
            file["errors"].as_array().unwrap().iter().filter_map(|error| error["name"].as_str()).collect();
        let text = || "t".to_owned();
        for error in [
            LogsError::GroupNotFound,
            LogsError::StreamNotFound,
            LogsError::NotFound(text()),
            LogsError::AlreadyExists("t"),
            LogsError::InvalidParameter(text()),
            LogsError::Validation(text()),
            LogsError::MalformedQuery { message: text(), start: 1, end: 2 },
            LogsError::TooManyTags,
            LogsError::LimitExceeded(text()),
            LogsError::Unsupported(text()),
            LogsError::Unavailable(text()),
        ] {
            let fault = Fault::of_logs(&error);
            assert!(known.contains(&fault.code), "{}", fault.code);
            assert_eq!(fault.message, error.to_string());
        }
    }
}
