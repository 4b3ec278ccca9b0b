//! Metrics of functions: which ones AWS Lambda sends to CloudWatch, in which units, and the port by which whoever runs
//! functions or moves events says what happened.
//!
//! Deliberately not here: statistics, and where they are kept (`observe`).

use crate::name::FunctionKey;
use crate::record::ResourceKey;
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
    /// The same and what is set aside for functions, by a reservation or as provisioned: what is left to no other; of the
    /// account alone.
    ClaimedAccountConcurrency,
    /// Provisioned environments of a version that run at once.
    ProvisionedConcurrentExecutions,
    /// Runs in a provisioned environment.
    ProvisionedConcurrencyInvocations,
    /// Runs of a version with provisioned concurrency in another environment: all those were busy, or not there yet.
    ProvisionedConcurrencySpilloverInvocations,
    /// The part of its provisioned environments that run, from 0 to 1.
    ProvisionedConcurrencyUtilization,
    /// Requests to a function's URL, refused ones among them.
    UrlRequestCount,
    /// From such a request's head to that of its answer, in milliseconds.
    UrlRequestLatency,
    /// Those that were answered with 400 to 499.
    Url4xxCount,
    /// Those that were answered with 500 to 599.
    Url5xxCount,
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
    /// Messages that an event source mapping received; 0 of a poll that found none.
    PolledEventCount,
    /// Those of them that no filter matched.
    FilteredOutEventCount,
    /// Those that a function was run with, each time it was.
    InvokedEventCount,
    /// Those that a function failed with, could not be run with, or reported as failures.
    FailedInvokeEventCount,
    /// Those that were deleted once the function had processed them.
    DeletedEventCount,
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
            Self::ClaimedAccountConcurrency => "ClaimedAccountConcurrency",
            Self::ProvisionedConcurrentExecutions => "ProvisionedConcurrentExecutions",
            Self::ProvisionedConcurrencyInvocations => "ProvisionedConcurrencyInvocations",
            Self::ProvisionedConcurrencySpilloverInvocations => "ProvisionedConcurrencySpilloverInvocations",
            Self::ProvisionedConcurrencyUtilization => "ProvisionedConcurrencyUtilization",
            Self::UrlRequestCount => "UrlRequestCount",
            Self::UrlRequestLatency => "UrlRequestLatency",
            Self::Url4xxCount => "Url4xxCount",
            Self::Url5xxCount => "Url5xxCount",
            Self::AsyncEventsReceived => "AsyncEventsReceived",
            Self::AsyncEventAge => "AsyncEventAge",
            Self::AsyncEventsDropped => "AsyncEventsDropped",
            Self::DeadLetterErrors => "DeadLetterErrors",
            Self::DestinationDeliveryFailures => "DestinationDeliveryFailures",
            Self::RecursiveInvocationsDropped => "RecursiveInvocationsDropped",
            Self::PolledEventCount => "PolledEventCount",
            Self::FilteredOutEventCount => "FilteredOutEventCount",
            Self::InvokedEventCount => "InvokedEventCount",
            Self::FailedInvokeEventCount => "FailedInvokeEventCount",
            Self::DeletedEventCount => "DeletedEventCount",
        }
    }

    /// CloudWatch's unit of it.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Duration | Self::AsyncEventAge | Self::UrlRequestLatency => "Milliseconds",
            Self::ProvisionedConcurrencyUtilization => "None",
            Self::Invocations
            | Self::Errors
            | Self::Throttles
            | Self::ConcurrentExecutions
            | Self::UnreservedConcurrentExecutions
            | Self::ClaimedAccountConcurrency
            | Self::ProvisionedConcurrentExecutions
            | Self::ProvisionedConcurrencyInvocations
            | Self::ProvisionedConcurrencySpilloverInvocations
            | Self::UrlRequestCount
            | Self::Url4xxCount
            | Self::Url5xxCount
            | Self::AsyncEventsReceived
            | Self::AsyncEventsDropped
            | Self::DeadLetterErrors
            | Self::DestinationDeliveryFailures
            | Self::RecursiveInvocationsDropped
            | Self::PolledEventCount
            | Self::FilteredOutEventCount
            | Self::InvokedEventCount
            | Self::FailedInvokeEventCount
            | Self::DeletedEventCount => "Count",
        }
    }

    /// Which dimensions it has.
    #[must_use]
    pub fn spread(self) -> Spread {
        match self {
            Self::ConcurrentExecutions
            | Self::UnreservedConcurrentExecutions
            | Self::ClaimedAccountConcurrency => Spread::Functions,
            Self::ProvisionedConcurrentExecutions | Self::ProvisionedConcurrencyUtilization => {
                Spread::Resources
            }
            Self::UrlRequestCount | Self::UrlRequestLatency | Self::Url4xxCount | Self::Url5xxCount => {
                Spread::Versions
            }
            Self::PolledEventCount
            | Self::FilteredOutEventCount
            | Self::InvokedEventCount
            | Self::FailedInvokeEventCount
            | Self::DeletedEventCount => Spread::Mappings,
            Self::Invocations
            | Self::Errors
            | Self::Throttles
            | Self::Duration
            | Self::ProvisionedConcurrencyInvocations
            | Self::ProvisionedConcurrencySpilloverInvocations
            | Self::AsyncEventsReceived
            | Self::AsyncEventAge
            | Self::AsyncEventsDropped
            | Self::DeadLetterErrors
            | Self::DestinationDeliveryFailures
            | Self::RecursiveInvocationsDropped => Spread::Account,
        }
    }
}

/// The dimensions of a metric, each of functions with those of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spread {
    /// By event source mapping alone.
    Mappings,
    /// By function. What is of the account is no sum of these, but a figure of its own.
    Functions,
    /// By resource too, a version or an alias, and of an alias by the version that ran.
    Resources,
    /// Of the account too, as the sum of its functions.
    Account,
    /// By the version that ran also where the resource is no alias.
    Versions,
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
    /// An event source mapping.
    Mapping(&'s ResourceKey),
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
