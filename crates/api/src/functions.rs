//! The operations on functions: from a checked input to the control plane's request, and from its
//! answer to AWS's document.
//!
//! Deliberately not here: Invoke, which is the hot path (`invoke`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::StatusCode;
use lambkin_control::{CreateFunction, LoggingChange, UpdateFunctionCode, UpdateFunctionConfiguration};
use lambkin_model::Error;
use lambkin_model::catalog::{Head, Stored};
use lambkin_model::function::LogFormat;
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};
use lambkin_model::quota;

use crate::Api;
use crate::api::Call;
use crate::body::work;
use crate::concurrency::ConcurrencyDocument;
use crate::document::{CodeDocument, ConfigurationDocument, FunctionDocument, ListDocument};
use crate::node::Node;
use crate::refused;
use crate::reply::{Reply, empty, json};

/// Most functions of one page, whatever `MaxItems` asks for.
const PAGE: usize = 50;

/// AWS takes base64 with and without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Api {
    pub(crate) async fn create_function(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let key = call.unqualified(&input)?;
        refused::check(&input)?;
        let dead_letter = self.dead_letter(&key, &input)?.flatten();
        let zip = zip(input.get("Code"))?;
        let request = CreateFunction {
            zip,
            runtime: owned(&input, "Runtime").unwrap_or_default(),
            role: owned(&input, "Role").unwrap_or_default(),
            handler: owned(&input, "Handler").unwrap_or_default(),
            description: owned(&input, "Description"),
            timeout: number(&input, "Timeout"),
            memory_size: number(&input, "MemorySize"),
            variables: variables(&input),
            architecture: architecture(&input),
            logging: logging(&input),
            dead_letter,
            tags: input.texts("Tags").unwrap_or_default(),
        };
        drop(input);
        let stored = self.control.create_function(key, request).await?;
        Ok(configuration(StatusCode::CREATED, &stored))
    }

    pub(crate) async fn update_function_code(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(&input)?;
        refused::check(&input)?;
        let request = UpdateFunctionCode {
            zip: zip(Some(&input))?,
            architecture: architecture(&input),
            revision_id: owned(&input, "RevisionId"),
            dry_run: input.boolean("DryRun"),
        };
        drop(input);
        let stored = self.control.update_function_code(key, request).await?;
        Ok(configuration(StatusCode::OK, &stored))
    }

    pub(crate) async fn update_function_configuration(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(&input)?;
        refused::check(&input)?;
        let request = UpdateFunctionConfiguration {
            runtime: owned(&input, "Runtime"),
            role: owned(&input, "Role"),
            handler: owned(&input, "Handler"),
            description: owned(&input, "Description"),
            timeout: number(&input, "Timeout"),
            memory_size: number(&input, "MemorySize"),
            variables: variables(&input),
            logging: logging(&input),
            dead_letter: self.dead_letter(&key, &input)?,
            revision_id: owned(&input, "RevisionId"),
        };
        drop(input);
        let stored = self.control.update_function_configuration(key, request).await?;
        Ok(configuration(StatusCode::OK, &stored))
    }

    pub(crate) async fn delete_function(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        match reference.qualifier.as_deref() {
            None => {}
            Some(LATEST) => {
                return Err(Error::InvalidParameterValue(
                    "$LATEST version cannot be deleted without deleting the function.".into(),
                ));
            }
            Some(_) => {
                self.control.function(&reference)?;
                return Err(refused::refusal("delete versions yet", "Qualifier"));
            }
        }
        drop(input);
        self.control.delete_function(reference.key).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(crate) fn get_function(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let reference = call.reference(input)?;
        let stored = self.control.function(&reference)?;
        let head = &stored.record;
        let token = self.links.token(head.latest.code.sha256, now());
        Ok(json(
            StatusCode::OK,
            &FunctionDocument {
                configuration: ConfigurationDocument::new(head, reference.qualifier.as_deref()),
                code: CodeDocument {
                    repository_type: "S3",
                    location: format!("http://{}{}{token}", call.host, crate::code_link::PATH),
                },
                tags: &head.tags,
                concurrency: head
                    .reserved_concurrency
                    .map(|reserved| ConcurrencyDocument { reserved_concurrent_executions: Some(reserved) }),
            },
        ))
    }

    pub(crate) fn get_function_configuration(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(input)?;
        let stored = self.control.function(&reference)?;
        Ok(json(StatusCode::OK, &ConfigurationDocument::new(&stored.record, reference.qualifier.as_deref())))
    }

    pub(crate) fn list_functions(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        if let Some(region) =
            input.text("MasterRegion").filter(|region| *region != "ALL" && *region != call.region)
        {
            return Err(refused::refusal(&format!("replicate functions from {region}"), "MasterRegion"));
        }
        let after = input.text("Marker").filter(|marker| !marker.is_empty()).map(name_after).transpose()?;
        let asked = input.integer("MaxItems").and_then(|items| usize::try_from(items).ok());
        let limit = asked.unwrap_or(PAGE).min(PAGE);
        // One more than the page, to know whether another follows.
        let mut heads =
            self.control.list_functions(&self.config.account, &call.region, after.as_deref(), limit + 1);
        let more = heads.len() > limit;
        heads.truncate(limit);
        let qualifier = input.text("FunctionVersion").map(|_| LATEST);
        let last = heads.last().filter(|_| more);
        Ok(json(
            StatusCode::OK,
            &ListDocument {
                next_marker: last.map(|head| URL_SAFE_NO_PAD.encode(head.record.key.name.as_bytes())),
                functions: heads
                    .iter()
                    .map(|head| ConfigurationDocument::listed(&head.record, qualifier))
                    .collect(),
            },
        ))
    }
}

impl Call<'_> {
    /// The function that `FunctionName` and `Qualifier` name.
    pub(crate) fn reference(&self, input: &Node<'_>) -> Result<FunctionReference, Error> {
        let name = input.text("FunctionName").unwrap_or_default();
        FunctionReference::parse(name, input.text("Qualifier"), self.account, &self.region)
    }

    /// For what is done to functions only.
    pub(crate) fn unqualified(&self, input: &Node<'_>) -> Result<FunctionKey, Error> {
        let reference = self.reference(input)?;
        if reference.qualifier.is_some() {
            return Err(Error::InvalidParameterValue(
                "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
                 operation. Please specify either a function name or an unqualified function ARN."
                    .into(),
            ));
        }
        Ok(reference.key)
    }
}

fn configuration(status: StatusCode, stored: &Arc<Stored<Head>>) -> Reply {
    json(status, &ConfigurationDocument::new(&stored.record, None))
}

pub(crate) fn name_after(marker: &str) -> Result<String, Error> {
    let name = URL_SAFE_NO_PAD.decode(marker).ok().and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| Error::InvalidParameterValue("Invalid Marker".into()))
}

/// The deployment package out of its base64.
fn zip(code: Option<&Node<'_>>) -> Result<Bytes, Error> {
    let Some(text) = code.and_then(|code| code.text("ZipFile")) else {
        return Err(Error::InvalidParameterValue("Please provide a source for function code.".into()));
    };
    let too_large =
        || Error::RequestTooLarge(format!("Zipped size must be smaller than {} bytes", quota::ZIPPED_BYTES));
    // Said before it is decoded: three bytes for four characters, of which up to two are padding.
    if (text.len() / 4 * 3).saturating_sub(2) as u64 > quota::ZIPPED_BYTES {
        return Err(too_large());
    }
    let zip = work(text.len(), || BASE64.decode(text))
        .map_err(|error| Error::Serialization(format!("The value of ZipFile is not base64: {error}")))?;
    if zip.len() as u64 > quota::ZIPPED_BYTES { Err(too_large()) } else { Ok(zip.into()) }
}

pub(crate) fn owned(input: &Node<'_>, member: &str) -> Option<String> {
    input.text(member).map(str::to_owned)
}

pub(crate) fn number(input: &Node<'_>, member: &str) -> Option<u32> {
    input.integer(member).and_then(|value| u32::try_from(value).ok())
}

/// `Environment={}` sets nothing, as `Environment={Variables:{}}` does.
fn variables(input: &Node<'_>) -> Option<BTreeMap<String, String>> {
    input.get("Environment").map(|environment| environment.texts("Variables").unwrap_or_default())
}

fn architecture(input: &Node<'_>) -> Option<String> {
    match input.get("Architectures")? {
        Node::List(items) => items.first().map(Node::to_string),
        Node::Null | Node::Boolean(_) | Node::Integer(_) | Node::Double(_) | Node::Text(_) | Node::Map(_) => {
            None
        }
    }
}

fn logging(input: &Node<'_>) -> Option<LoggingChange> {
    let given = input.get("LoggingConfig")?;
    Some(LoggingChange {
        format: given
            .text("LogFormat")
            .map(|format| if format == "JSON" { LogFormat::Json } else { LogFormat::Text }),
        application_level: owned(given, "ApplicationLogLevel"),
        system_level: owned(given, "SystemLogLevel"),
        group: owned(given, "LogGroup"),
    })
}
