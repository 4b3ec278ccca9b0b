//! Event source mappings: the record, what AWS's rules say of its settings, and how its states move.
//!
//! Deliberately not here: polling (`events`), and what a pattern of a filter means (`pattern`).

pub mod batch;
pub mod record;
pub mod scale;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::name::FunctionKey;
use crate::record::{Record, ResourceKey};
use crate::time::Timestamp;

/// Most records of a batch from a FIFO queue, and from any queue without a batching window.
pub const SMALL_BATCH: u32 = 10;
/// Most filters of a mapping: AWS's quota, before it is raised on request.
pub const FILTERS: usize = 5;
/// AWS's `StateTransitionReason` of a mapping of a queue (aws-behaviour 60).
pub const TRANSITION_REASON: &str = "USER_INITIATED";

/// An event source mapping. Its key's name is its UUID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Which mapping.
    pub key: ResourceKey,
    /// ARN of the queue.
    pub source: String,
    /// Which function. The mapping stays when it is deleted (aws-behaviour 36).
    pub function: FunctionKey,
    /// Version, alias or `$LATEST`, where one was given; it is kept as given.
    pub qualifier: Option<String>,
    /// How it polls and invokes.
    pub settings: Settings,
    /// Whether it is to poll.
    pub enabled: bool,
    /// AWS's `State`.
    pub state: State,
    /// When somebody last changed it.
    pub last_modified: Timestamp,
    /// Its tags. Since format 2.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Record for Mapping {
    const KIND: &'static str = "mapping";
    const FORMAT: u32 = 3;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

/// What can be changed of a mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Most records of a batch, 1 to 10,000.
    pub batch_size: u32,
    /// Seconds that a batch is gathered for, 0 to 300.
    pub batching_window: u32,
    /// `ReportBatchItemFailures`.
    pub report_failures: bool,
    /// Patterns, of which a message must match one; none: every message does.
    pub filters: Vec<String>,
    /// Most batches at once, 2 to 1,000.
    pub maximum_concurrency: Option<u32>,
    /// `MetricsConfig` has `EventCount`. Since format 3.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub event_counts: bool,
}

/// What a request asks to change: `None` leaves it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// `BatchSize`.
    pub batch_size: Option<u32>,
    /// `MaximumBatchingWindowInSeconds`.
    pub batching_window: Option<u32>,
    /// `FunctionResponseTypes` has `ReportBatchItemFailures`, or is empty.
    pub report_failures: Option<bool>,
    /// `FilterCriteria`; empty takes the filters away.
    pub filters: Option<Vec<String>>,
    /// `ScalingConfig`; without a number it takes the bound away.
    pub maximum_concurrency: Option<Option<u32>>,
    /// `MetricsConfig` has `EventCount`, or no metrics.
    pub event_counts: Option<bool>,
}

impl Settings {
    /// As AWS has them for queues where nothing is said.
    #[must_use]
    pub fn new() -> Self {
        Self {
            batch_size: SMALL_BATCH,
            batching_window: 0,
            report_failures: false,
            filters: Vec::new(),
            maximum_concurrency: None,
            event_counts: false,
        }
    }

    /// With a change, where the result keeps AWS's rules. What the constraints of the service model say
    /// (the numbers' ranges) was checked before, and the patterns' language is checked by whoever reads it.
    pub fn with(&self, change: Change, fifo: bool) -> Result<Self, Error> {
        let changed = Self {
            batch_size: change.batch_size.unwrap_or(self.batch_size),
            batching_window: change.batching_window.unwrap_or(self.batching_window),
            report_failures: change.report_failures.unwrap_or(self.report_failures),
            filters: change.filters.unwrap_or_else(|| self.filters.clone()),
            maximum_concurrency: change.maximum_concurrency.unwrap_or(self.maximum_concurrency),
            event_counts: change.event_counts.unwrap_or(self.event_counts),
        };
        let invalid = |text: String| Err(Error::InvalidParameterValue(text));
        if fifo && changed.batching_window > 0 {
            return invalid("Batching window is not supported for FIFO queues".into());
        }
        if fifo && changed.batch_size > SMALL_BATCH {
            return invalid("Maximum batch size must be between 1 and 10 inclusive".into());
        }
        if changed.batch_size > SMALL_BATCH && changed.batching_window == 0 {
            return invalid(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
                    .into(),
            );
        }
        if changed.filters.len() > FILTERS {
            return invalid(format!("Filter criteria may have at most {FILTERS} filters."));
        }
        Ok(changed)
    }

    /// How long a batch is gathered for.
    #[must_use]
    pub fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.batching_window))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

/// AWS's `State` of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Made, not polling yet.
    Creating,
    /// On its way from Disabled to Enabled.
    Enabling,
    /// Polling.
    Enabled,
    /// What runs is finishing.
    Disabling,
    /// Not polling.
    Disabled,
    /// Its settings were changed.
    Updating,
    /// What runs is finishing, then it goes.
    Deleting,
}

impl State {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Enabling => "Enabling",
            Self::Enabled => "Enabled",
            Self::Disabling => "Disabling",
            Self::Disabled => "Disabled",
            Self::Updating => "Updating",
            Self::Deleting => "Deleting",
        }
    }

    /// The state of a new mapping (aws-behaviour 60).
    #[must_use]
    pub fn created(enabled: bool) -> Self {
        if enabled { Self::Creating } else { Self::Disabled }
    }

    /// The state after a change, and whether the mapping is to poll; `None` while another is in progress.
    #[must_use]
    pub fn changed(self, enabled: Option<bool>) -> Option<(Self, bool)> {
        match (self, enabled) {
            (Self::Enabled, Some(false)) => Some((Self::Disabling, false)),
            (Self::Enabled, Some(true) | None) => Some((Self::Updating, true)),
            (Self::Disabled, Some(true)) => Some((Self::Enabling, true)),
            (Self::Disabled, Some(false) | None) => Some((Self::Updating, false)),
            (
                Self::Creating | Self::Enabling | Self::Disabling | Self::Updating | Self::Deleting,
                Some(_) | None,
            ) => None,
        }
    }

    /// Whether it stays as it is until somebody changes it.
    #[must_use]
    pub fn settled(self) -> bool {
        match self {
            Self::Enabled | Self::Disabled => true,
            Self::Creating | Self::Enabling | Self::Disabling | Self::Updating | Self::Deleting => false,
        }
    }
}

/// Where a mapping reads from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSource {
    /// Which queue.
    pub key: ResourceKey,
    /// By its name, as SQS has it.
    pub fifo: bool,
}

impl QueueSource {
    /// Reads an event source's ARN for a function of this region; sources that are no queues are refused.
    pub fn parse(arn: Option<&str>, region: &str) -> Result<Self, Error> {
        let invalid = |text: String| Error::InvalidParameterValue(text);
        let Some(arn) = arn.filter(|arn| !arn.is_empty()) else {
            return Err(invalid("Unrecognized event source.".into()));
        };
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", _, service, there, account, name] = parts.as_slice() else {
            return Err(invalid("Unrecognized event source.".into()));
        };
        let what = match *service {
            "sqs" => {
                if *there != region {
                    return Err(invalid(format!(
                        "The event source and the function must be in the same region: '{there}' is not '{region}'."
                    )));
                }
                let key =
                    ResourceKey { account: (*account).into(), region: region.into(), name: (*name).into() };
                return Ok(Self { key, fifo: name.ends_with(".fifo") });
            }
            "kinesis" => "Kinesis streams",
            "dynamodb" => "DynamoDB streams",
            "kafka" => "Kafka topics",
            "mq" => "Amazon MQ brokers",
            "rds" => "DocumentDB change streams",
            _ => return Err(invalid("Unrecognized event source.".into())),
        };
        Err(invalid(format!("lambkin does not poll {what}; it polls SQS queues (EventSourceArn).")))
    }
}

impl Mapping {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:lambda:{}:{}:event-source-mapping:{}",
            self.key.region, self.key.account, self.key.name
        )
    }

    /// The function's ARN, with the qualifier as it was given.
    #[must_use]
    pub fn function_arn(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => self.function.qualified_arn(qualifier),
            None => self.function.arn(),
        }
    }

    /// The function as AWS's refusal of a second mapping names it.
    #[must_use]
    pub fn function_name(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => format!("{}:{qualifier}", self.function.name),
            None => self.function.name.to_string(),
        }
    }

    /// AWS's refusal of another mapping of the same queue and function (aws-behaviour 63).
    #[must_use]
    pub fn duplicate(&self) -> Error {
        Error::ResourceConflict(format!(
            "An event source mapping with SQS arn (\" {} \") and function (\" {} \") already exists. \
             Please update or delete the existing mapping with UUID {}",
            self.source,
            self.function_name(),
            self.key.name
        ))
    }
}

/// A function must not run for longer than its messages are invisible.
pub fn check_visibility(visibility: Duration, timeout: u32) -> Result<(), Error> {
    if visibility.as_secs() < u64::from(timeout) {
        return Err(Error::InvalidParameterValue(format!(
            "Queue visibility timeout: {} seconds is less than Function timeout: {timeout} seconds",
            visibility.as_secs()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
