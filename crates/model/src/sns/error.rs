//! What SNS refuses, said without HTTP. One exhaustive table in `api` gives each its code and status.
//!
//! The texts are AWS's: recorded from the service, or from its documentation.

/// Why an SNS request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnsError {
    /// A parameter does not comply.
    #[error("Invalid parameter: {0}")]
    InvalidParameter(String),
    /// `ConfirmSubscription` with a token of another form.
    #[error("Invalid token")]
    InvalidToken,
    /// A message attribute does not comply.
    #[error("{0}")]
    InvalidParameterValue(String),
    /// A parameter breaks a constraint of the service model.
    #[error("{0}")]
    Validation(String),
    /// No such topic.
    #[error("Topic does not exist")]
    TopicNotFound,
    /// No such subscription.
    #[error("Subscription does not exist")]
    SubscriptionNotFound,
    /// No such resource, where tags say so.
    #[error("Resource does not exist")]
    ResourceNotFound,
    /// A batch without entries.
    #[error("The batch request doesn't contain any entries.")]
    EmptyBatchRequest,
    /// A batch of more than ten entries.
    #[error("The batch request contains more entries than permissible.")]
    TooManyEntriesInBatchRequest,
    /// Two entries of one id.
    #[error("Two or more batch entries in the request have the same Id.")]
    BatchEntryIdsNotDistinct,
    /// An id with other characters, or too many.
    #[error("The Id of a batch entry in a batch request doesn't abide by the specification.")]
    InvalidBatchEntryId,
    /// More than 256 KB together.
    #[error("The length of all the messages put together is more than the limit.")]
    BatchRequestTooLong,
    /// More filter policies than allowed.
    #[error("The number of filter polices in your AWS account exceeds the limit.")]
    FilterPolicyLimitExceeded,
    /// More subscriptions than allowed.
    #[error("The topic has as many subscriptions as it can have.")]
    SubscriptionLimitExceeded,
    /// More topics than allowed.
    #[error("The customer already owns the maximum allowed number of topics.")]
    TopicLimitExceeded,
    /// More than fifty tags.
    #[error("Could not complete request: tag quota of per resource exceeded")]
    TagLimitExceeded,
    /// Somebody else changed it at the same time.
    #[error(
        "Can't perform multiple operations on a tag simultaneously. Perform the operations sequentially."
    )]
    ConcurrentAccess,
    /// SNS's operation of this name is not built.
    #[error(
        "lambkin does not do SNS's {0}: it has no SMS, no mobile push, no topic policies and no inspection of messages"
    )]
    UnsupportedOperation(String),
    /// The queues are full; nothing was published.
    #[error("Rate exceeded")]
    Throttled,
    /// The queues or the catalog are out of order; nothing was published.
    #[error("{0}")]
    Internal(String),
}

impl SnsError {
    /// `Invalid parameter: …`.
    #[must_use]
    pub fn parameter(text: impl Into<String>) -> Self {
        Self::InvalidParameter(text.into())
    }
}
