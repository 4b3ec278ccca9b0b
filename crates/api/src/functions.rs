//! The operations on functions: from a checked input to the control plane's request, and from its
//! answer to AWS's document.
//!
//! Deliberately not here: Invoke, which is the hot path (`invoke`).

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::StatusCode;
use lambkin_control::{
    CodeSource, CreateFunction, LoggingChange, UpdateFunctionCode, UpdateFunctionConfiguration,
};
use lambkin_model::Error;
use lambkin_model::bucket::ObjectName;
use lambkin_model::function::LogFormat;
use lambkin_model::name::{FunctionKey, FunctionReference};
use lambkin_model::quota;
use lambkin_model::record::ResourceKey;
use lambkin_model::trace::TracingMode;
use lambkin_model::version::Version;

use crate::Api;
use crate::api::Call;
use crate::body::work;
use crate::concurrency::ConcurrencyDocument;
use crate::document::{CodeDocument, ConfigurationDocument, FunctionDocument, ListDocument};
use crate::node::Node;
use crate::page::Page;
use crate::refused;
use crate::reply::{Reply, empty, json};
use crate::versions;

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
        let source = self.code_source(call, input.get("Code")).await?;
        let request = CreateFunction {
            source,
            runtime: owned(&input, "Runtime").unwrap_or_default(),
            role: owned(&input, "Role").unwrap_or_default(),
            handler: owned(&input, "Handler").unwrap_or_default(),
            description: owned(&input, "Description"),
            timeout: number(&input, "Timeout"),
            memory_size: number(&input, "MemorySize"),
            ephemeral_storage: input.get("EphemeralStorage").and_then(|storage| number(storage, "Size")),
            variables: variables(&input),
            architecture: architecture(&input),
            logging: logging(&input),
            dead_letter,
            layers: input.list("Layers").unwrap_or_default(),
            tracing: tracing_mode(&input),
            tags: input.texts("Tags").unwrap_or_default(),
            publish: input.boolean("Publish"),
        };
        drop(input);
        let found = self.control.create_function(key, request).await?;
        // The ARN has no version, whether or not one was published (aws-behaviour 46).
        Ok(json(StatusCode::CREATED, &ConfigurationDocument::new(&found, None)))
    }

    pub(crate) async fn update_function_code(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(&input)?;
        refused::check(&input)?;
        let request = UpdateFunctionCode {
            source: self.code_source(call, Some(&input)).await?,
            architecture: architecture(&input),
            revision_id: owned(&input, "RevisionId"),
            dry_run: input.boolean("DryRun"),
            publish: input.boolean("Publish"),
        };
        drop(input);
        let found = self.control.update_function_code(key, request).await?;
        Ok(match found.version {
            Version::Latest => json(StatusCode::OK, &ConfigurationDocument::new(&found, None)),
            Version::Published(_) => versions::qualified(StatusCode::OK, &found),
        })
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
            ephemeral_storage: input.get("EphemeralStorage").and_then(|storage| number(storage, "Size")),
            variables: variables(&input),
            logging: logging(&input),
            dead_letter: self.dead_letter(&key, &input)?,
            layers: input.list("Layers"),
            tracing: tracing_mode(&input),
            revision_id: owned(&input, "RevisionId"),
        };
        drop(input);
        let found = self.control.update_function_configuration(key, request).await?;
        Ok(json(StatusCode::OK, &ConfigurationDocument::new(&found, None)))
    }

    pub(crate) async fn delete_function(&self, call: &Call<'_>, input: Node<'_>) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        drop(input);
        match reference.qualifier {
            None => {
                let FunctionKey { account, region, name } = reference.key.clone();
                self.control.delete_function(reference.key).await?;
                self.forget_test_events(&ResourceKey { account, region, name }).await;
            }
            Some(_) => self.control.delete_version(&reference).await?,
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(crate) fn get_function(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let reference = call.reference(input)?;
        let found = self.control.function(&reference)?;
        let head = &found.head.record;
        let token = self.links.token(found.body().code.sha256, now());
        Ok(json(
            StatusCode::OK,
            &FunctionDocument {
                configuration: self.standing(&found, reference.qualifier.as_deref()),
                code: CodeDocument {
                    repository_type: "S3",
                    location: match &found.body().code.directory {
                        Some(directory) => format!("file://{directory}"),
                        None => format!("{}{}{token}", call.origin(), crate::code_link::PATH),
                    },
                },
                tags: &head.tags,
                concurrency: head
                    .reserved_concurrency
                    .map(|reserved| ConcurrencyDocument { reserved_concurrent_executions: Some(reserved) }),
            },
        ))
    }

    /// That there is none, which deployment tools ask for every function.
    pub(crate) fn get_function_code_signing_config(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(input)?;
        self.control.head(&key)?;
        let none = serde_json::json!({ "FunctionName": key.name });
        Ok(json(StatusCode::OK, &none))
    }

    pub(crate) fn get_function_configuration(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(input)?;
        let found = self.control.function(&reference)?;
        Ok(json(StatusCode::OK, &self.standing(&found, reference.qualifier.as_deref())))
    }

    pub(crate) fn list_functions(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        if let Some(region) =
            input.text("MasterRegion").filter(|region| *region != "ALL" && *region != call.region)
        {
            return Err(refused::refusal(&format!("replicate functions from {region}"), "MasterRegion"));
        }
        let page = Page::asked(input, PAGE)?;
        let after = page.after_as(of_marker)?;
        let all_versions = input.get("FunctionVersion").is_some();
        let mut functions = self.control.list_functions(
            &self.config.account,
            &call.region,
            after.as_ref().map(|(name, version)| (name.as_str(), *version)),
            all_versions,
            page.wanted(),
        );
        let next_marker =
            page.cut(&mut functions, |found| format!("{}:{}", found.head.record.key.name, found.version));
        let listed = |found| ConfigurationDocument::listed(found, all_versions);
        Ok(json(
            StatusCode::OK,
            &ListDocument { next_marker, functions: functions.iter().map(listed).collect() },
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

/// Function and version, as a marker of ListFunctions has them.
fn of_marker(item: &str) -> Option<(String, Version)> {
    let (name, version) = item.split_once(':')?;
    Some((name.to_owned(), Version::parse(version)?))
}

impl Api {
    /// Where a request says that its code is.
    pub(crate) async fn code_source(
        &self,
        call: &Call<'_>,
        given: Option<&Node<'_>>,
    ) -> Result<CodeSource, Error> {
        let text = |member| given.and_then(|given| given.text(member)).filter(|text| !text.is_empty());
        match (text("ZipFile"), text("S3Bucket"), text("S3Key")) {
            (Some(zip), None, None) => Ok(CodeSource::Zip(unbase64(zip)?)),
            (Some(_), _, _) => Err(Error::InvalidParameterValue(
                "Please do not provide other FunctionCode parameters when providing a ZipFile.".into(),
            )),
            (None, Some(bucket), Some(key)) => {
                let version = text("S3ObjectVersion").map(str::to_owned);
                let object = ObjectName { bucket: bucket.into(), key: key.into(), version };
                self.authorize_object(call, &object)?;
                let named = self.control.named(object.clone()).await?;
                if named != object {
                    self.authorize_object(call, &named)?;
                }
                Ok(CodeSource::Object(named))
            }
            (None, _, _) => {
                Err(Error::InvalidParameterValue("Please provide a source for function code.".into()))
            }
        }
    }

    /// The caller's right to read it, as on AWS.
    fn authorize_object(&self, call: &Call<'_>, object: &ObjectName) -> Result<(), Error> {
        let named = Node::Map(vec![("Arn".into(), Node::Text(object.arn().into()))]);
        self.authorize(call, "s3", "GetObject", &named)
    }
}

/// The deployment package out of its base64.
fn unbase64(text: &str) -> Result<Bytes, Error> {
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
    input.list("Architectures")?.into_iter().next()
}

/// `TracingConfig={}` sets nothing.
fn tracing_mode(input: &Node<'_>) -> Option<TracingMode> {
    let mode = input.get("TracingConfig")?.text("Mode")?;
    Some(if mode == TracingMode::Active.as_str() { TracingMode::Active } else { TracingMode::PassThrough })
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
