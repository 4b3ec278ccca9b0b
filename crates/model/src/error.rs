//! What the platform could not do, said without HTTP. One exhaustive table in `api` maps each to
//! AWS's code, status and member case. A function's own failure is not an `Error` but an
//! [`Outcome`](crate::invocation::Outcome).

/// Why a request failed. The texts are AWS's (recorded from the service) where AWS has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The named function, version or alias does not exist (404).
    #[error("Function not found: {arn}")]
    FunctionNotFound {
        /// The ARN as AWS prints it, with a qualifier only where AWS prints one.
        arn: String,
    },
    /// Nothing is provisioned for the version or alias (404).
    #[error("No Provisioned Concurrency Config found for this function")]
    NotProvisioned,
    /// Another resource does not exist (404).
    #[error("{0}")]
    ResourceNotFound(String),
    /// A function of that name exists already (409).
    #[error("Function already exist: {name}")]
    FunctionExists {
        /// The function's name.
        name: String,
    },
    /// The resource is in a state, or being changed, so that this cannot be done now (409).
    #[error("{0}")]
    ResourceConflict(String),
    /// The resource is being changed by an earlier request (400).
    #[error("{0}")]
    ResourceInUse(String),
    /// `RevisionId` is not the current one (412).
    #[error(
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
    )]
    RevisionMismatch,
    /// `RevisionId` is not the policy's current one (412).
    #[error(
        "The Revision Id provided does not match the latest Revision Id. Call the {api} API to retrieve the latest Revision Id"
    )]
    PolicyRevisionMismatch {
        /// The operation that answers it: `GetPolicy`.
        api: &'static str,
    },
    /// A resource's policy would be larger than one may be (400).
    #[error("The final policy size ({length}) is bigger than the limit ({limit}).")]
    PolicyLengthExceeded {
        /// As it would be, in bytes.
        length: usize,
        /// Most bytes.
        limit: usize,
    },
    /// A parameter breaks a rule that is not a constraint of the service model (400).
    #[error("{0}")]
    InvalidParameterValue(String),
    /// The same where AWS was recorded to answer without its `Type` (400).
    #[error("{0}")]
    UntypedParameterValue(String),
    /// A parameter breaks a constraint of the service model (400).
    #[error("{0}")]
    Validation(String),
    /// A reservation would leave too little for the other functions (400).
    #[error(
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [{minimum}]."
    )]
    UnreservedConcurrency {
        /// Concurrent executions that must stay unreserved.
        minimum: usize,
    },
    /// The invocation's payload is not JSON (400).
    #[error("{0}")]
    InvalidRequestContent(String),
    /// A control-plane request's body is not JSON, or has a member of the wrong type (400).
    #[error("{0}")]
    Serialization(String),
    /// The body is larger than the operation takes (413).
    #[error("{0}")]
    RequestTooLarge(String),
    /// The invocation's payload is larger than its type allows (413).
    #[error(
        "{length} byte payload is too large for the {invocation_type} invocation type (limit {limit} bytes)"
    )]
    PayloadTooLarge {
        /// The payload's length, in bytes.
        length: u64,
        /// `RequestResponse` or `Event`.
        invocation_type: &'static str,
        /// Most bytes.
        limit: usize,
    },
    /// The body's media type is not one the operation takes (415).
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// More concurrent executions than the account or the function may have (429).
    #[error("Rate Exceeded.")]
    TooManyRequests {
        /// AWS's `Reason` member.
        reason: ThrottleReason,
    },
    /// The same event has led to this function too often (400).
    #[error(
        "Lambda has detected the function being invoked in a recursive loop with other AWS resources and stopped its invocation."
    )]
    RecursiveInvocation,
    /// The caller may not do this (403).
    #[error("{0}")]
    AccessDenied(String),
    /// No `Authorization` where one is needed (403).
    #[error("Missing Authentication Token")]
    MissingAuthentication,
    /// The access key or the session token is not known (403).
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// The signature is not the request's, or not of now (403).
    #[error("{0}")]
    InvalidSignature(String),
    /// What says who signed cannot be read (400).
    #[error("{0}")]
    IncompleteSignature(String),
    /// No such operation (404).
    #[error("{0}")]
    UnknownOperation(String),
    /// The runtime's Node.js is not there and could not be had (502, AWS's `InvalidRuntimeException`).
    #[error("{0}")]
    InvalidRuntime(String),
    /// lambkin itself failed: the store is closed, the disk is full, a process cannot be started (500).
    #[error("{0}")]
    Service(String),
}

/// AWS's `Reason` of a throttle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleReason {
    /// The account's concurrent executions are used up.
    ConcurrentInvocationLimitExceeded,
    /// The function's reserved concurrency is used up.
    ReservedFunctionConcurrentInvocationLimitExceeded,
    /// No more events are taken for now: their queue is full.
    CallerRateLimitExceeded,
}

impl ThrottleReason {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
            Self::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            Self::CallerRateLimitExceeded => "CallerRateLimitExceeded",
        }
    }
}
