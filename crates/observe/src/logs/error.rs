//! What CloudWatch Logs refuses, in its words.

/// Why an operation did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogsError {
    /// No such group.
    #[error("The specified log group does not exist.")]
    GroupNotFound,
    /// No such stream.
    #[error("The specified log stream does not exist.")]
    StreamNotFound,
    /// No such query, or what else is named by an id.
    #[error("{0}")]
    NotFound(String),
    /// A group or stream of that name.
    #[error("{0}")]
    AlreadyExists(&'static str),
    /// A parameter that cannot be.
    #[error("{0}")]
    InvalidParameter(String),
    /// What may not be done in this state.
    #[error("{0}")]
    Validation(String),
    /// A query that cannot be read: what is wrong, and the characters from and to where, from 0.
    #[error("{message}")]
    MalformedQuery {
        /// What is wrong.
        message: String,
        /// First character.
        start: usize,
        /// One after the last.
        end: usize,
    },
    /// More tags than a group may have.
    #[error("The resource can have at most 50 tags.")]
    TooManyTags,
    /// More than may be at once.
    #[error("{0}")]
    LimitExceeded(String),
    /// What lambkin does not do.
    #[error("{0}")]
    Unsupported(String),
    /// The store cannot.
    #[error("{0}")]
    Unavailable(String),
}
