//! What a caller asks of the control plane, already checked against the service model.

use std::collections::BTreeMap;

use lambkin_model::Error;
use lambkin_model::function::{LogFormat, LoggingConfig};
use lambkin_model::trace::TracingMode;

use crate::CodeSource;

/// CreateFunction. `None` takes AWS's default.
#[derive(Debug, Clone, Default)]
pub struct CreateFunction {
    /// The deployment package.
    pub source: CodeSource,
    /// Runtime identifier as given.
    pub runtime: String,
    /// Execution role's ARN.
    pub role: String,
    /// `module.export`.
    pub handler: String,
    /// Free text.
    pub description: Option<String>,
    /// Seconds; default 3.
    pub timeout: Option<u32>,
    /// Megabytes; default 128.
    pub memory_size: Option<u32>,
    /// Megabytes of `/tmp`; default 512.
    pub ephemeral_storage: Option<u32>,
    /// Environment variables.
    pub variables: Option<BTreeMap<String, String>>,
    /// `x86_64` (default) or `arm64`.
    pub architecture: Option<String>,
    /// Logging.
    pub logging: Option<LoggingChange>,
    /// ARN of the dead-letter queue or topic, which is there.
    pub dead_letter: Option<String>,
    /// ARNs of layer versions.
    pub layers: Vec<String>,
    /// Who decides whether a request is traced.
    pub tracing: Option<TracingMode>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Publish version 1.
    pub publish: bool,
}

/// AWS's words, as its CloudFormation passes them on.
const LEVELS_OF_TEXT: &str = "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or change the LogFormat to \"Json\" and try again.";

/// The members of `LoggingConfig` that a request gives; the others stay (aws-behaviour 30).
#[derive(Debug, Clone, Default)]
pub struct LoggingChange {
    /// Format of log lines.
    pub format: Option<LogFormat>,
    /// Level of application lines.
    pub application_level: Option<String>,
    /// Level of platform lines.
    pub system_level: Option<String>,
    /// Log group.
    pub group: Option<String>,
}

impl LoggingChange {
    /// What `before` becomes. Text has no levels: none are taken that would not act.
    pub fn apply(self, before: &LoggingConfig) -> Result<LoggingConfig, Error> {
        let format = self.format.unwrap_or(before.format);
        let levels = self.application_level.is_some() || self.system_level.is_some();
        if format == LogFormat::Text && levels {
            return Err(Error::InvalidParameterValue(LEVELS_OF_TEXT.into()));
        }
        let level = |given: Option<String>, before: &Option<String>| match format {
            LogFormat::Text => None,
            LogFormat::Json => given.or_else(|| before.clone()).or_else(|| Some("INFO".into())),
        };
        Ok(LoggingConfig {
            format,
            application_level: level(self.application_level, &before.application_level),
            system_level: level(self.system_level, &before.system_level),
            group: self.group.or_else(|| before.group.clone()),
        })
    }
}

/// UpdateFunctionCode.
#[derive(Debug, Clone, Default)]
pub struct UpdateFunctionCode {
    /// The deployment package.
    pub source: CodeSource,
    /// New architecture.
    pub architecture: Option<String>,
    /// Only where the function's `RevisionId` is still this.
    pub revision_id: Option<String>,
    /// Check and answer, change nothing.
    pub dry_run: bool,
    /// Publish a version of it.
    pub publish: bool,
}

/// UpdateFunctionConfiguration. `None` leaves a setting as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateFunctionConfiguration {
    /// Runtime identifier as given.
    pub runtime: Option<String>,
    /// Execution role's ARN.
    pub role: Option<String>,
    /// `module.export`.
    pub handler: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Seconds.
    pub timeout: Option<u32>,
    /// Megabytes.
    pub memory_size: Option<u32>,
    /// Megabytes of `/tmp`.
    pub ephemeral_storage: Option<u32>,
    /// Environment variables, all of them.
    pub variables: Option<BTreeMap<String, String>>,
    /// Logging.
    pub logging: Option<LoggingChange>,
    /// ARN of the dead-letter queue or topic, which is there; `Some(None)`: none any more.
    pub dead_letter: Option<Option<String>>,
    /// ARNs of layer versions, all of them.
    pub layers: Option<Vec<String>>,
    /// Who decides whether a request is traced.
    pub tracing: Option<TracingMode>,
    /// Only where the function's `RevisionId` is still this.
    pub revision_id: Option<String>,
}
