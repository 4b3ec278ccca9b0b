//! Metrics of functions: which ones AWS Lambda sends to CloudWatch, in which units, and the port by which whoever runs
//! functions or moves events says what happened.
//!
//! Deliberately not here: statistics, and where they are kept (`observe`).

use crate::name::FunctionKey;
use crate::time::Timestamp;

/// A metric of the namespace `AWS/Lambda`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FunctionMetric {
    /// Runs of the function, failed ones among them; not what was throttled or could not be run.
    Invocations,
    /// Those of them that ended in a function error.
    Errors,
    /// Invocations that found no concurrency.
    Throttles,
    /// From the event's delivery to the end of its invocation, in milliseconds.
    Duration,
    /// Invocations that run at once.
    ConcurrentExecutions,
    /// The same of functions without reserved concurrency; of the account alone.
    UnreservedConcurrentExecutions,
    /// Events that were queued.
    AsyncEventsReceived,
    /// From an event's queueing to an attempt at it, in milliseconds.
    AsyncEventAge,
    /// Events that ended without having been run with success.
    AsyncEventsDropped,
    /// Dead letters that could not be delivered.
    DeadLetterErrors,
    /// Records that could not be delivered to their destination.
    DestinationDeliveryFailures,
    /// Events that were dropped because they went in circles.
    RecursiveInvocationsDropped,
}

impl FunctionMetric {
    /// As CloudWatch has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invocations => "Invocations",
            Self::Errors => "Errors",
            Self::Throttles => "Throttles",
            Self::Duration => "Duration",
            Self::ConcurrentExecutions => "ConcurrentExecutions",
            Self::UnreservedConcurrentExecutions => "UnreservedConcurrentExecutions",
            Self::AsyncEventsReceived => "AsyncEventsReceived",
            Self::AsyncEventAge => "AsyncEventAge",
            Self::AsyncEventsDropped => "AsyncEventsDropped",
            Self::DeadLetterErrors => "DeadLetterErrors",
            Self::DestinationDeliveryFailures => "DestinationDeliveryFailures",
            Self::RecursiveInvocationsDropped => "RecursiveInvocationsDropped",
        }
    }

    /// CloudWatch's unit of it.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Duration | Self::AsyncEventAge => "Milliseconds",
            Self::Invocations
            | Self::Errors
            | Self::Throttles
            | Self::ConcurrentExecutions
            | Self::UnreservedConcurrentExecutions
            | Self::AsyncEventsReceived
            | Self::AsyncEventsDropped
            | Self::DeadLetterErrors
            | Self::DestinationDeliveryFailures
            | Self::RecursiveInvocationsDropped => "Count",
        }
    }

    /// Whether the account's is the sum of its functions'. What runs at once is a figure of its own.
    #[must_use]
    pub fn adds_up(self) -> bool {
        match self {
            Self::ConcurrentExecutions | Self::UnreservedConcurrentExecutions => false,
            Self::Invocations
            | Self::Errors
            | Self::Throttles
            | Self::Duration
            | Self::AsyncEventsReceived
            | Self::AsyncEventAge
            | Self::AsyncEventsDropped
            | Self::DeadLetterErrors
            | Self::DestinationDeliveryFailures
            | Self::RecursiveInvocationsDropped => true,
        }
    }
}

/// What a value is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'s> {
    /// All functions of an account in a region together.
    Account {
        /// Its number.
        account: &'s str,
        /// Its region.
        region: &'s str,
    },
    /// A function.
    Function {
        /// Which.
        key: &'s FunctionKey,
        /// As its caller named it; `None`: by its name alone.
        qualifier: Option<&'s str>,
        /// The version that ran, where one did.
        version: Option<&'s str>,
    },
}

/// Port: takes what happened, at once and without waiting for a disk.
pub trait Metrics: Send + Sync {
    /// One value of each of these metrics. `at` is when the invocation or the event began, as AWS has it.
    fn record(&self, at: Timestamp, of: Subject<'_>, values: &[(FunctionMetric, f64)]);
}

/// Where nobody counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMetrics;

impl Metrics for NoMetrics {
    fn record(&self, _: Timestamp, _: Subject<'_>, _: &[(FunctionMetric, f64)]) {}
}
