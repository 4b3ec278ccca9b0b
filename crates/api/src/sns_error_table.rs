//! The one table from `SnsError` to what SNS puts on the wire: status and the Query protocol's code. No
//! wildcard arm: a new error asks for its line.
//!
//! Statuses and codes are those of AWS's service model; what it does not have was recorded.

use http::StatusCode;
use lambkin_events::sns::SnsError;

use crate::wire::Fault;

impl Fault {
    /// An error as it goes out.
    pub(crate) fn of_sns(error: &SnsError) -> Self {
        let bad = StatusCode::BAD_REQUEST;
        let (status, code) = match error {
            SnsError::InvalidParameter(_) | SnsError::InvalidToken => (bad, "InvalidParameter"),
            SnsError::InvalidParameterValue(_) => (bad, "ParameterValueInvalid"),
            SnsError::Validation(_) => (bad, "ValidationError"),
            SnsError::TopicNotFound | SnsError::SubscriptionNotFound => (StatusCode::NOT_FOUND, "NotFound"),
            SnsError::ResourceNotFound => (StatusCode::NOT_FOUND, "ResourceNotFound"),
            SnsError::EmptyBatchRequest => (bad, "EmptyBatchRequest"),
            SnsError::TooManyEntriesInBatchRequest => (bad, "TooManyEntriesInBatchRequest"),
            SnsError::BatchEntryIdsNotDistinct => (bad, "BatchEntryIdsNotDistinct"),
            SnsError::InvalidBatchEntryId => (bad, "InvalidBatchEntryId"),
            SnsError::BatchRequestTooLong => (bad, "BatchRequestTooLong"),
            SnsError::FilterPolicyLimitExceeded => (StatusCode::FORBIDDEN, "FilterPolicyLimitExceeded"),
            SnsError::SubscriptionLimitExceeded => (StatusCode::FORBIDDEN, "SubscriptionLimitExceeded"),
            SnsError::TopicLimitExceeded => (StatusCode::FORBIDDEN, "TopicLimitExceeded"),
            SnsError::TagLimitExceeded => (bad, "TagLimitExceeded"),
            SnsError::ConcurrentAccess => (bad, "ConcurrentAccess"),
            SnsError::UnsupportedOperation(_) => (bad, "InvalidAction"),
            SnsError::Throttled => (StatusCode::TOO_MANY_REQUESTS, "Throttled"),
            SnsError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        };
        Self::of_query(status, code, error.to_string())
    }
}
