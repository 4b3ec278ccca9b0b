//! What CloudWatch refuses.

/// Why an operation failed; the text is CloudWatch's own where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricsError {
    /// A parameter has a value that cannot be.
    #[error("{0}")]
    InvalidValue(String),
    /// Parameters do not go together.
    #[error("{0}")]
    InvalidCombination(String),
    /// A parameter that must be there is not.
    #[error("{0}")]
    Missing(String),
    /// GetMetricData's word for all of these.
    #[error("{0}")]
    Validation(String),
    /// A page that there is not.
    #[error("The token supplied is invalid.")]
    InvalidToken,
    /// There are too many metrics.
    #[error("{0}")]
    LimitExceeded(String),
    /// What lambkin does not do.
    #[error("{0}")]
    Unsupported(String),
    /// The disk failed, or too many ask at once.
    #[error("{0}")]
    Internal(String),
}
