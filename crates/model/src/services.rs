//! The port to what lambkin itself serves, as environments reach it: who calls there, with which
//! credentials, and which variables lead a function's AWS clients there.
//!
//! Deliberately not here: what the services do, and how a listener gets into a sandbox.

use std::fmt;
use std::os::fd::OwnedFd;

use crate::Pending;
use crate::name::FunctionKey;

/// Services that lambkin serves, as AWS's variables `AWS_ENDPOINT_URL_<SERVICE>` name them.
pub const SERVED: [&str; 5] = ["CLOUDWATCH", "CLOUDWATCH_LOGS", "LAMBDA", "SNS", "SQS"];

/// Who calls from inside: an environment of this function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Which function.
    pub function: FunctionKey,
    /// `$LATEST` or a number.
    pub version: String,
    /// ARN of its execution role.
    pub role: String,
}

/// What AWS clients sign with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: String,
    /// `AWS_SESSION_TOKEN`; a user's own keys have none.
    pub session_token: Option<String>,
}

impl Credentials {
    /// Good nowhere, for where nothing is served: clients refuse to start without any.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            access_key_id: "ASIALAMBKIN000000000".into(),
            secret_access_key: "lambkin".into(),
            session_token: Some("lambkin".into()),
        }
    }
}

/// Never says the secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Port: lambkin's own services, for environments.
pub trait Services: Send + Sync {
    /// An environment begins.
    fn admit(&self, caller: Caller) -> Box<dyn Admission>;
}

/// What an environment has of the services, until this is dropped.
pub trait Admission: Send + Sync {
    /// What its process is given.
    fn credentials(&self) -> &Credentials;

    /// Where a process without a listener of its own finds the services: `http://127.0.0.1:4566`.
    fn endpoint(&self) -> &str;

    /// Serves what connects to this listening, non-blocking TCP socket, which only this environment
    /// reaches, until `end`; no connection is left when it answers.
    fn serve(&self, listener: OwnedFd, end: Pending<'static, ()>) -> Pending<'static, ()>;
}
