//! What the function operations answer: AWS's documents as serde types (aws-behaviour 31 to 33).
//! A member that is `None` is absent on the wire.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lambkin_control::Found;
use lambkin_model::function::{FunctionVersion, LastUpdate, LogFormat, LoggingConfig, State};
use lambkin_model::name::FunctionKey;
use serde::Serialize;

use crate::concurrency::ConcurrencyDocument;

/// The words AWS has for both, an update's too (sic).
const CREATING_REASON: &str = "The function is being created.";
const CREATING: &str = "Creating";

/// GetFunction's answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FunctionDocument<'a> {
    pub(crate) configuration: ConfigurationDocument<'a>,
    pub(crate) code: CodeDocument,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) concurrency: Option<ConcurrencyDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CodeDocument {
    pub(crate) repository_type: &'static str,
    pub(crate) location: String,
}

/// ListFunctions' answer.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListDocument<'a> {
    pub(crate) functions: Vec<ConfigurationDocument<'a>>,
    pub(crate) next_marker: Option<String>,
}

/// AWS's `FunctionConfiguration`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConfigurationDocument<'a> {
    function_name: &'a str,
    function_arn: String,
    runtime: &'static str,
    role: &'a str,
    handler: &'a str,
    code_size: u64,
    description: &'a str,
    timeout: u32,
    last_modified: String,
    code_sha256: String,
    version: &'a str,
    memory_size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment<'a>>,
    tracing_config: TracingConfig,
    revision_id: &'a str,
    #[serde(flatten)]
    state: Option<StateMembers<'a>>,
    package_type: &'static str,
    architectures: [&'a str; 1],
    ephemeral_storage: EphemeralStorage,
    snap_start: SnapStart,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_version_config: Option<RuntimeVersionConfig>,
    logging_config: LoggingDocument<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter_config: Option<DeadLetterConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<LayerDocument<'a>>,
}

/// What the lists leave out.
#[derive(Serialize, Default)]
#[serde(rename_all = "PascalCase")]
struct StateMembers<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state_reason_code: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_status_reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_status_reason_code: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Environment<'a> {
    variables: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TracingConfig {
    mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetterConfig<'a> {
    target_arn: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LayerDocument<'a> {
    arn: &'a str,
    code_size: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EphemeralStorage {
    size: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SnapStart {
    apply_on: &'static str,
    optimization_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RuntimeVersionConfig {
    runtime_version_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LoggingDocument<'a> {
    log_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_log_level: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_log_level: Option<&'a str>,
    log_group: String,
}

impl<'a> ConfigurationDocument<'a> {
    /// The ARN carries the qualifier that was asked for, where one was.
    pub(crate) fn new(found: &'a Found, qualifier: Option<&str>) -> Self {
        let (key, version) = (&found.head.record.key, found.body());
        let mut document = Self::stateless(key, version, qualifier);
        document.state = Some(StateMembers::new(found.state(), found.last_update()));
        document.runtime_version_config = Some(RuntimeVersionConfig {
            runtime_version_arn: version.configuration.runtime.version_arn(&key.region),
        });
        document
    }

    /// What its environments say of its state: its name, and code and reason where not all are there.
    pub(crate) fn stand(&mut self, name: &'static str, reason: Option<(&'static str, String)>) {
        let Some(members) = &mut self.state else { return };
        members.state = name;
        if let Some((code, reason)) = reason {
            members.state_reason = Some(reason.into());
            members.state_reason_code = Some(code.into());
        }
    }

    /// As lists have it: AWS leaves out the states and the runtime's version there. `qualified`: by the ARN of
    /// its version.
    pub(crate) fn listed(found: &'a Found, qualified: bool) -> Self {
        let version = found.body();
        Self::stateless(&found.head.record.key, version, qualified.then_some(version.version.as_str()))
    }

    fn stateless(key: &'a FunctionKey, version: &'a FunctionVersion, qualifier: Option<&str>) -> Self {
        let configuration = &version.configuration;
        Self {
            function_name: &key.name,
            function_arn: match qualifier {
                Some(qualifier) => key.qualified_arn(qualifier),
                None => key.arn(),
            },
            runtime: configuration.runtime.name(),
            role: &configuration.role,
            handler: &configuration.handler,
            code_size: version.code.size,
            description: &configuration.description,
            timeout: configuration.timeout,
            last_modified: version.last_modified.last_modified(),
            code_sha256: version.code.sha256.base64(),
            version: &version.version,
            memory_size: configuration.memory_size,
            environment: configuration.variables.as_ref().map(|variables| Environment { variables }),
            tracing_config: TracingConfig { mode: configuration.tracing.as_str() },
            revision_id: &version.revision_id,
            state: None,
            package_type: "Zip",
            architectures: [&configuration.architecture],
            ephemeral_storage: EphemeralStorage { size: configuration.ephemeral_storage },
            snap_start: SnapStart { apply_on: "None", optimization_status: "Off" },
            runtime_version_config: None,
            logging_config: LoggingDocument::new(&configuration.logging, &key.name),
            dead_letter_config: configuration
                .dead_letter
                .as_deref()
                .map(|target_arn| DeadLetterConfig { target_arn }),
            layers: configuration
                .layers
                .iter()
                .map(|layer| LayerDocument { arn: &layer.arn, code_size: layer.code.size })
                .collect(),
        }
    }
}

impl<'a> StateMembers<'a> {
    fn new(state: &'a State, last_update: Option<LastUpdate>) -> Self {
        let creating = || (Some(CREATING_REASON.into()), Some(CREATING.into()));
        let (state_reason, state_reason_code) = match state {
            State::Pending => creating(),
            State::Active | State::Deactivated => (None, None),
            State::Failed { code, reason } => (Some(reason.into()), Some(code.into())),
        };
        let (last_update_status, (last_update_status_reason, last_update_status_reason_code)) =
            match last_update {
                None => (None, (None, None)),
                Some(LastUpdate::Successful) => (Some("Successful"), (None, None)),
                Some(LastUpdate::InProgress) => (Some("InProgress"), creating()),
                Some(LastUpdate::Failed { code, reason }) => {
                    (Some("Failed"), (Some(reason.into()), Some(code.into())))
                }
            };
        Self {
            state: state.as_str(),
            state_reason,
            state_reason_code,
            last_update_status,
            last_update_status_reason,
            last_update_status_reason_code,
        }
    }
}

impl<'a> LoggingDocument<'a> {
    fn new(logging: &'a LoggingConfig, function_name: &str) -> Self {
        Self {
            log_format: match logging.format {
                LogFormat::Text => "Text",
                LogFormat::Json => "JSON",
            },
            application_log_level: logging.application_level.as_deref(),
            system_log_level: logging.system_level.as_deref(),
            log_group: logging.group_or_default(function_name),
        }
    }
}
