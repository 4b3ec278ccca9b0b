//! What SQS refuses, said without HTTP. One exhaustive table in `api` gives each its codes and status.
//!
//! The texts are AWS's: recorded from the service, or from its documentation.

/// Why an SQS request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqsError {
    /// No such queue.
    #[error("The specified queue does not exist.")]
    QueueDoesNotExist,
    /// `CreateQueue` names a queue that has another value of this attribute.
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    QueueNameExists(String),
    /// This queue was purged less than a minute ago.
    #[error("Only one PurgeQueue operation on {0} is allowed every 60 seconds.")]
    PurgeQueueInProgress(String),
    /// No such attribute, or not for this queue.
    #[error("{0}")]
    InvalidAttributeName(String),
    /// An attribute cannot have this value.
    #[error("{0}")]
    InvalidAttributeValue(String),
    /// A parameter cannot have this value.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// This parameter is missing.
    #[error("The request must contain the parameter {0}.")]
    MissingParameter(String),
    /// A batch without entries; the name of the entries.
    #[error("There should be at least one {0} in the request.")]
    EmptyBatchRequest(&'static str),
    /// A batch of so many entries.
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),
    /// Two entries of a batch have this id.
    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),
    /// An entry's id has other characters, or too many.
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."
    )]
    InvalidBatchEntryId,
    /// A batch of so many bytes.
    #[error("Batch requests cannot be longer than 1048576 bytes. You have sent {0} bytes.")]
    BatchRequestTooLong(usize),
    /// This never was a receipt handle of the queue.
    #[error("The input receipt handle \"{0}\" is not a valid receipt handle.")]
    ReceiptHandleIsInvalid(String),
    /// The body has a character that XML cannot have.
    #[error("{0}")]
    InvalidMessageContents(String),
    /// More messages in flight, or tasks at once, than there may be.
    #[error("{0}")]
    OverLimit(String),
    /// A queue's URL that is none.
    #[error("The address {0} is not valid for this endpoint.")]
    InvalidAddress(String),
    /// No such resource, where the message move tasks say so.
    #[error("{0}")]
    ResourceNotFound(String),
    /// lambkin does not do this, and says why.
    #[error("{0}")]
    UnsupportedOperation(String),
    /// No such operation.
    #[error("The action {0} is not valid for this endpoint.")]
    InvalidAction(String),
    /// The body cannot be read, or a member has another type.
    #[error("{0}")]
    Malformed(String),
    /// The store is closed, or full; the request may be repeated.
    #[error("{0}")]
    Unavailable(String),
}

impl SqsError {
    /// `Value … for parameter … is invalid. Reason: ….`
    #[must_use]
    pub fn value(value: &str, parameter: &str, reason: &str) -> Self {
        Self::InvalidParameterValue(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
        ))
    }
}
