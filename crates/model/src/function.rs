//! A function's configuration and states, as AWS's `FunctionConfiguration` has them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::code::{Code, CodeSha256};
use crate::layer::{self, UsedLayer};
use crate::runtime::{Runtime, RuntimeNeed};
use crate::time::Timestamp;
use crate::trace::TracingMode;

/// Everything a caller can set of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Language runtime.
    pub runtime: Runtime,
    /// Execution role's ARN.
    pub role: String,
    /// `module.export`.
    pub handler: String,
    /// Free text, at most 256 characters.
    pub description: String,
    /// Seconds, 1 to 900.
    pub timeout: u32,
    /// Megabytes, 128 to 10,240.
    pub memory_size: u32,
    /// `None` where never set, `Some({})` where set to nothing: AWS echoes the difference.
    pub variables: Option<BTreeMap<String, String>>,
    /// `x86_64` or `arm64`; lambkin runs either on the machine's own.
    pub architecture: String,
    /// Where and how it logs.
    pub logging: LoggingConfig,
    /// Megabytes of `/tmp`.
    pub ephemeral_storage: u32,
    /// ARN of the queue or topic that events go to which could not be processed. Since format 3 of heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// What is in `/opt`, later ones over earlier ones. Since format 4 of heads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<UsedLayer>,
    /// Who decides whether a request is traced. Since format 4 of heads.
    #[serde(default, skip_serializing_if = "TracingMode::is_pass_through")]
    pub tracing: TracingMode,
}

impl Configuration {
    /// With AWS's defaults for all else.
    #[must_use]
    pub fn new(runtime: Runtime, role: String, handler: String) -> Self {
        Self {
            runtime,
            role,
            handler,
            description: String::new(),
            timeout: 3,
            memory_size: 128,
            variables: None,
            architecture: "x86_64".into(),
            logging: LoggingConfig::default(),
            ephemeral_storage: 512,
            dead_letter: None,
            layers: Vec::new(),
            tracing: TracingMode::default(),
        }
    }
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogFormat {
    /// Plain lines.
    Text,
    /// One JSON object a line.
    #[serde(rename = "JSON")]
    Json,
}

/// AWS's `LoggingConfig`. Levels exist with the JSON format only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggingConfig {
    /// Format of application and platform lines.
    pub format: LogFormat,
    /// `TRACE` to `FATAL`, of what the function logs.
    pub application_level: Option<String>,
    /// `DEBUG`, `INFO` or `WARN`, of the platform's lines.
    pub system_level: Option<String>,
    /// Log group; `None` is `/aws/lambda/<name>`.
    pub group: Option<String>,
}

impl LoggingConfig {
    /// The log group's name for this function.
    #[must_use]
    pub fn group_or_default(&self, function_name: &str) -> String {
        self.group.clone().unwrap_or_else(|| format!("/aws/lambda/{function_name}"))
    }
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, application_level: None, system_level: None, group: None }
    }
}

/// AWS's `State`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Being created; it cannot be invoked yet.
    Pending,
    /// Ready.
    Active,
    /// It cannot be run: reason code and reason.
    Failed {
        /// AWS's `StateReasonCode`.
        code: String,
        /// What to do.
        reason: String,
    },
    /// Its scaling leaves it no environments. Never stored: [`Head::state`](crate::catalog::Head::state) says it.
    Deactivated,
}

impl State {
    /// Whether it can be invoked, and AWS's words where not.
    pub fn check_invocable(&self) -> Result<(), Error> {
        match self {
            Self::Active => Ok(()),
            Self::Pending | Self::Deactivated => Err(Error::ResourceConflict(format!(
                "The operation cannot be performed at this time. The function is currently in the following state: {}",
                self.as_str()
            ))),
            Self::Failed { reason, .. } => Err(Error::InvalidRuntime(reason.clone())),
        }
    }

    /// The value on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Active => "Active",
            Self::Failed { .. } => "Failed",
            Self::Deactivated => "Deactivated",
        }
    }

    /// The same of a version that has so many environments: the last of them may still run.
    #[must_use]
    pub fn beside(&self, environments: usize) -> &'static str {
        match self {
            Self::Deactivated if environments > 0 => "Deactivating",
            Self::Deactivated | Self::Pending | Self::Active | Self::Failed { .. } => self.as_str(),
        }
    }
}

/// AWS's `LastUpdateStatus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastUpdate {
    /// The function is as it was asked for.
    Successful,
    /// Being changed.
    InProgress,
    /// The change could not be made: reason code and reason.
    Failed {
        /// AWS's `LastUpdateStatusReasonCode`.
        code: String,
        /// What to do.
        reason: String,
    },
}

/// One version of a function: `$LATEST` or, later, a published one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionVersion {
    /// `$LATEST` or a number.
    pub version: String,
    /// What the caller set.
    pub configuration: Configuration,
    /// The deployment package.
    pub code: Code,
    /// UUID; changes with every change, those of state among them (aws-behaviour 33).
    pub revision_id: String,
    /// When it last changed.
    pub last_modified: Timestamp,
    /// Whether it can be invoked.
    pub state: State,
    /// How the last update went; `None` until the first state is reached.
    pub last_update: Option<LastUpdate>,
}

impl FunctionVersion {
    /// What its runtime must have.
    #[must_use]
    pub fn need(&self) -> RuntimeNeed {
        let layers = self.configuration.layers.iter().map(|layer| &layer.code);
        let code = std::iter::once(&self.code).chain(layers);
        let sdk_packages = code.flat_map(|code| &code.sdk_packages).cloned().collect();
        RuntimeNeed { runtime: self.configuration.runtime, sdk_packages }
    }

    /// What the code store must keep for it.
    pub fn packages(&self) -> impl Iterator<Item = CodeSha256> + '_ {
        let layers = &self.configuration.layers;
        let stack = layer::stack(layers);
        std::iter::once(self.code.sha256).chain(layers.iter().map(|layer| layer.code.sha256)).chain(stack)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}
