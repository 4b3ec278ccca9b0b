//! The one table from `MetricsError` to what CloudWatch puts on the wire. No wildcard arm: a new error asks for its line.
//!
//! Codes are those of AWS's service model.

use http::StatusCode;
use lambkin_observe::metrics::cloudwatch::MetricsError;

use crate::wire::Fault;

impl Fault {
    /// An error as it goes out.
    pub(crate) fn of_metrics(error: &MetricsError) -> Self {
        let bad = StatusCode::BAD_REQUEST;
        let (status, shape, code) = match error {
            MetricsError::InvalidValue(_) => {
                (bad, "com.amazonaws.cloudwatch#InvalidParameterValueException", "InvalidParameterValue")
            }
            MetricsError::InvalidCombination(_) => (
                bad,
                "com.amazonaws.cloudwatch#InvalidParameterCombinationException",
                "InvalidParameterCombination",
            ),
            MetricsError::Missing(_) => {
                (bad, "com.amazonaws.cloudwatch#MissingRequiredParameterException", "MissingParameter")
            }
            MetricsError::Validation(_) => {
                (bad, "com.amazonaws.cloudwatch#ValidationException", "ValidationError")
            }
            MetricsError::InvalidToken => {
                (bad, "com.amazonaws.cloudwatch#InvalidNextToken", "InvalidNextToken")
            }
            MetricsError::LimitExceeded(_) => {
                (bad, "com.amazonaws.cloudwatch#LimitExceededException", "LimitExceededException")
            }
            // No operation's own: AWS's answer to what an endpoint does not have.
            MetricsError::Unsupported(_) => {
                (bad, "com.amazon.coral.service#UnsupportedOperationException", "InvalidAction")
            }
            MetricsError::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "com.amazonaws.cloudwatch#InternalServiceFault",
                "InternalServiceError",
            ),
        };
        let sender = status.is_client_error();
        Self { status, shape, code, sender, message: error.to_string(), detail: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_service_models() {
        let file: serde_json::Value = serde_json::from_str(include_str!("../model/cloudwatch.json")).unwrap();
        let known: Vec<(&str, &str)> = file["errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|error| Some((error["name"].as_str()?, error["code"].as_str()?)))
            .collect();
        let text = || "t".to_owned();
        for error in [
            MetricsError::InvalidValue(text()),
            MetricsError::InvalidCombination(text()),
            MetricsError::Missing(text()),
            MetricsError::Validation(text()),
            MetricsError::InvalidToken,
            MetricsError::LimitExceeded(text()),
            MetricsError::Internal(text()),
        ] {
            let fault = Fault::of_metrics(&error);
            let shape = fault.shape.strip_prefix("com.amazonaws.cloudwatch#").unwrap();
            assert!(known.contains(&(shape, fault.code)), "{fault:?}");
        }
    }
}
