//! The one table from `SqsError` to what SQS puts on the wire: status, JSON's type, the Query protocol's
//! code. No wildcard arm: a new error asks for its line.
//!
//! Statuses and codes are those of AWS's service model; what it does not have was recorded.

use http::StatusCode;
use lambkin_events::sqs::SqsError;

use crate::wire::{Fault, Protocol};

impl Fault {
    /// An error as it goes out.
    pub(crate) fn of_sqs(error: &SqsError, protocol: Protocol) -> Self {
        let bad = StatusCode::BAD_REQUEST;
        let (status, shape, code) = match error {
            SqsError::QueueDoesNotExist => {
                (bad, "com.amazonaws.sqs#QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
            }
            SqsError::QueueNameExists(_) => (bad, "com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists"),
            SqsError::PurgeQueueInProgress(_) => (
                StatusCode::FORBIDDEN,
                "com.amazonaws.sqs#PurgeQueueInProgress",
                "AWS.SimpleQueueService.PurgeQueueInProgress",
            ),
            SqsError::InvalidAttributeName(_) => {
                (bad, "com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName")
            }
            SqsError::InvalidAttributeValue(_) => {
                (bad, "com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue")
            }
            SqsError::InvalidParameterValue(_) => {
                (bad, "com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue")
            }
            SqsError::MissingParameter(_) => {
                (bad, "com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter")
            }
            SqsError::EmptyBatchRequest(_) => {
                (bad, "com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest")
            }
            SqsError::TooManyEntriesInBatchRequest(_) => (
                bad,
                "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            SqsError::BatchEntryIdsNotDistinct(_) => (
                bad,
                "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            ),
            SqsError::InvalidBatchEntryId => {
                (bad, "com.amazonaws.sqs#InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId")
            }
            SqsError::BatchRequestTooLong(_) => {
                (bad, "com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong")
            }
            SqsError::ReceiptHandleIsInvalid(_) => {
                (StatusCode::NOT_FOUND, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid")
            }
            SqsError::InvalidMessageContents(_) => {
                (bad, "com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents")
            }
            SqsError::OverLimit(_) => (StatusCode::FORBIDDEN, "com.amazonaws.sqs#OverLimit", "OverLimit"),
            SqsError::InvalidAddress(_) => {
                (StatusCode::NOT_FOUND, "com.amazonaws.sqs#InvalidAddress", "InvalidAddress")
            }
            SqsError::ResourceNotFound(_) => (
                StatusCode::NOT_FOUND,
                "com.amazonaws.sqs#ResourceNotFoundException",
                "ResourceNotFoundException",
            ),
            SqsError::UnsupportedOperation(_) => {
                (bad, "com.amazonaws.sqs#UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation")
            }
            SqsError::InvalidAction(_) => {
                (bad, "com.amazon.coral.service#InvalidActionException", "InvalidAction")
            }
            SqsError::Malformed(_) => {
                (bad, "com.amazon.coral.service#SerializationException", "MalformedInput")
            }
            SqsError::Unavailable(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "com.amazon.coral.service#ServiceUnavailableException",
                "ServiceUnavailable",
            ),
        };
        let message = match (error, protocol) {
            // Recorded: the older protocol has the older text.
            (SqsError::QueueDoesNotExist, Protocol::Query) => {
                "The specified queue does not exist for this wsdl version.".into()
            }
            (error, Protocol::Cbor | Protocol::Json | Protocol::Query) => error.to_string(),
        };
        Self { status, shape, code, sender: status.is_client_error(), message, detail: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> Vec<SqsError> {
        let text = || "t".to_owned();
        vec![
            SqsError::QueueDoesNotExist,
            SqsError::QueueNameExists(text()),
            SqsError::PurgeQueueInProgress(text()),
            SqsError::InvalidAttributeName(text()),
            SqsError::InvalidAttributeValue(text()),
            SqsError::InvalidParameterValue(text()),
            SqsError::MissingParameter(text()),
            SqsError::EmptyBatchRequest("Entry"),
            SqsError::TooManyEntriesInBatchRequest(11),
            SqsError::BatchEntryIdsNotDistinct(text()),
            SqsError::InvalidBatchEntryId,
            SqsError::BatchRequestTooLong(9),
            SqsError::ReceiptHandleIsInvalid(text()),
            SqsError::InvalidMessageContents(text()),
            SqsError::OverLimit(text()),
            SqsError::InvalidAddress(text()),
            SqsError::ResourceNotFound(text()),
            SqsError::UnsupportedOperation(text()),
            SqsError::InvalidAction(text()),
            SqsError::Malformed(text()),
            SqsError::Unavailable(text()),
        ]
    }

    #[test]
    fn shapes_are_the_service_models() {
        #[derive(serde::Deserialize)]
        struct File {
            errors: Vec<Line>,
        }
        #[derive(serde::Deserialize)]
        struct Line {
            name: String,
        }
        let file: File = serde_json::from_str(include_str!("../model/sqs.json")).unwrap();
        let mut modelled = 0;
        for error in every() {
            let fault = Fault::of_sqs(&error, Protocol::Json);
            let (namespace, name) = fault.shape.split_once('#').unwrap();
            let known = file.errors.iter().any(|line| line.name == name);
            assert_eq!(namespace == "com.amazonaws.sqs", known, "{name}");
            modelled += usize::from(known);
            assert_eq!(fault.sender, fault.status.is_client_error());
            assert_eq!(fault.message, error.to_string());
        }
        assert_eq!(modelled, 16);
    }

    /// Recorded from the service, or in the model of the Query protocol.
    #[test]
    fn codes_and_statuses() {
        for (error, status, code) in [
            (SqsError::QueueDoesNotExist, 400, "AWS.SimpleQueueService.NonExistentQueue"),
            (SqsError::QueueNameExists("a".into()), 400, "QueueAlreadyExists"),
            (SqsError::PurgeQueueInProgress("q".into()), 403, "AWS.SimpleQueueService.PurgeQueueInProgress"),
            (
                SqsError::TooManyEntriesInBatchRequest(20),
                400,
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            ),
            (SqsError::InvalidParameterValue("v".into()), 400, "InvalidParameterValue"),
            (SqsError::MissingParameter("MessageGroupId".into()), 400, "MissingParameter"),
            (SqsError::InvalidAttributeName("n".into()), 400, "InvalidAttributeName"),
            (SqsError::ResourceNotFound("t".into()), 404, "ResourceNotFoundException"),
            (SqsError::OverLimit("o".into()), 403, "OverLimit"),
        ] {
            let fault = Fault::of_sqs(&error, Protocol::Query);
            assert_eq!((fault.status.as_u16(), fault.code), (status, code));
        }
        let older = Fault::of_sqs(&SqsError::QueueDoesNotExist, Protocol::Query).message;
        assert_eq!(older, "The specified queue does not exist for this wsdl version.");
    }
}
