//! The one table from `IamError` to what IAM puts on the wire: status and the Query protocol's code. No
//! wildcard arm: a new error asks for its line.

use http::StatusCode;
use lambkin_model::iam::IamError;

use crate::wire::Fault;

impl Fault {
    /// An error as it goes out.
    pub(crate) fn of_iam(error: &IamError) -> Self {
        let bad = StatusCode::BAD_REQUEST;
        let (status, code) = match error {
            IamError::NoSuchEntity(_) => (StatusCode::NOT_FOUND, "NoSuchEntity"),
            IamError::EntityAlreadyExists(_) => (StatusCode::CONFLICT, "EntityAlreadyExists"),
            IamError::DeleteConflict(_) => (StatusCode::CONFLICT, "DeleteConflict"),
            IamError::LimitExceeded(_) => (StatusCode::CONFLICT, "LimitExceeded"),
            IamError::MalformedPolicyDocument(_) => (bad, "MalformedPolicyDocument"),
            IamError::InvalidInput(_) => (bad, "InvalidInput"),
            IamError::Validation(_) => (bad, "ValidationError"),
            IamError::UnsupportedOperation(_) => (bad, "InvalidAction"),
            IamError::Failure(_) => (StatusCode::INTERNAL_SERVER_ERROR, "ServiceFailure"),
        };
        Self::of_query(status, code, error.to_string())
    }
}
