//! The operations on event source mappings: from a checked input to `events`, and from its answer to AWS's
//! document.
//!
//! Deliberately not here: the rules (`model::mapping`), polling.

use http::StatusCode;
use lambkin_events::mapping::{CreateMapping, UpdateMapping};
use lambkin_model::Error;
use lambkin_model::mapping::{Change, Mapping, QueueSource, TRANSITION_REASON};
use lambkin_model::name::FunctionReference;
use lambkin_model::record::ResourceKey;
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::functions::{number, owned};
use crate::node::Node;
use crate::page::Page;
use crate::refused;
use crate::reply::{Reply, json};

/// Most mappings of one page, whatever `MaxItems` asks for.
const PAGE: usize = 100;

const REPORT: &str = "ReportBatchItemFailures";
/// The metrics that a queue's mapping can have; AWS's other ones are of Kafka.
const EVENT_COUNT: &str = "EventCount";

/// AWS's `EventSourceMappingConfiguration` of a queue's mapping (aws-behaviour 60).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MappingDocument<'a> {
    #[serde(rename = "UUID")]
    uuid: &'a str,
    batch_size: u32,
    maximum_batching_window_in_seconds: u32,
    event_source_arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter_criteria: Option<FilterCriteria<'a>>,
    function_arn: String,
    /// Seconds since 1970.
    last_modified: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_processing_result: Option<String>,
    state: &'static str,
    state_transition_reason: &'static str,
    function_response_types: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    scaling_config: Option<ScalingConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_config: Option<MetricsConfig>,
    event_source_mapping_arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FilterCriteria<'a> {
    filters: Vec<Filter<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Filter<'a> {
    pattern: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ScalingConfig {
    maximum_concurrency: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricsConfig {
    metrics: &'static [&'static str],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    event_source_mappings: Vec<MappingDocument<'a>>,
}

impl<'a> MappingDocument<'a> {
    fn new(mapping: &'a Mapping, problem: Option<String>) -> Self {
        let settings = &mapping.settings;
        let filters: Vec<Filter<'a>> = settings.filters.iter().map(|pattern| Filter { pattern }).collect();
        Self {
            uuid: &mapping.key.name,
            batch_size: settings.batch_size,
            maximum_batching_window_in_seconds: settings.batching_window,
            event_source_arn: &mapping.source,
            filter_criteria: (!filters.is_empty()).then_some(FilterCriteria { filters }),
            function_arn: mapping.function_arn(),
            last_modified: seconds(mapping.last_modified.millis()),
            last_processing_result: problem,
            state: mapping.state.as_str(),
            state_transition_reason: TRANSITION_REASON,
            function_response_types: if settings.report_failures { &[REPORT] } else { &[] },
            scaling_config: settings
                .maximum_concurrency
                .map(|maximum_concurrency| ScalingConfig { maximum_concurrency }),
            metrics_config: settings.event_counts.then_some(MetricsConfig { metrics: &[EVENT_COUNT] }),
            event_source_mapping_arn: mapping.arn(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 need 41 bits")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

impl Api {
    pub(crate) async fn create_event_source_mapping(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        if input.get("SelfManagedEventSource").is_some_and(|source| !source.is_neutral()) {
            return Err(refused::refusal("poll Kafka; it polls SQS queues", "SelfManagedEventSource"));
        }
        // What is said of other members is said of queues.
        QueueSource::parse(input.text("EventSourceArn"), &call.region)?;
        refused::check_mapping(&input)?;
        let request = CreateMapping {
            function: call.reference(&input)?,
            source: owned(&input, "EventSourceArn"),
            enabled: input.get("Enabled").is_none() || input.boolean("Enabled"),
            change: change(&input)?,
            tags: input.texts("Tags").unwrap_or_default(),
        };
        drop(input);
        let mapping = self.events.mappings.create(call.account, &call.region, request).await?;
        Ok(json(StatusCode::ACCEPTED, &MappingDocument::new(&mapping, None)))
    }

    pub(crate) async fn update_event_source_mapping(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let key = mapping_key(call, &input);
        self.events.mappings.get(&key)?;
        refused::check_mapping(&input)?;
        let request = UpdateMapping {
            function: function(call, &input)?,
            enabled: input.get("Enabled").map(|_| input.boolean("Enabled")),
            change: change(&input)?,
        };
        drop(input);
        let mapping = self.events.mappings.update(&key, request).await?;
        Ok(json(StatusCode::ACCEPTED, &MappingDocument::new(&mapping, self.events.mappings.problem(&key))))
    }

    pub(crate) async fn delete_event_source_mapping(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let key = mapping_key(call, &input);
        drop(input);
        let mapping = self.events.mappings.delete(&key).await?;
        Ok(json(StatusCode::ACCEPTED, &MappingDocument::new(&mapping, None)))
    }

    pub(crate) fn get_event_source_mapping(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Reply, Error> {
        let key = mapping_key(call, input);
        let stored = self.events.mappings.get(&key)?;
        let problem = self.events.mappings.problem(&key);
        Ok(json(StatusCode::OK, &MappingDocument::new(&stored.record, problem)))
    }

    pub(crate) fn list_event_source_mappings(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let function = function(call, input)?;
        let page = Page::asked(input, PAGE)?;
        let mappings = &self.events.mappings;
        let mut found = mappings.list(
            call.account,
            &call.region,
            input.text("EventSourceArn"),
            function.as_ref(),
            page.after(),
            page.wanted(),
        );
        let next_marker = page.cut(&mut found, |last| last.record.key.name.to_string());
        let document = |mapping| MappingDocument::new(mapping, mappings.problem(&mapping.key));
        Ok(json(
            StatusCode::OK,
            &ListDocument {
                next_marker,
                event_source_mappings: found.iter().map(|stored| document(&stored.record)).collect(),
            },
        ))
    }
}

fn mapping_key(call: &Call<'_>, input: &Node<'_>) -> ResourceKey {
    let name = input.text("UUID").unwrap_or_default();
    ResourceKey { account: call.account.into(), region: (&*call.region).into(), name: name.into() }
}

fn function(call: &Call<'_>, input: &Node<'_>) -> Result<Option<FunctionReference>, Error> {
    input.get("FunctionName").map(|_| call.reference(input)).transpose()
}

fn change(input: &Node<'_>) -> Result<Change, Error> {
    let filters = input.get("FilterCriteria").map(|criteria| {
        let filters = criteria.get("Filters").map(items).unwrap_or_default();
        filters.iter().map(|filter| filter.text("Pattern").unwrap_or_default().to_owned()).collect()
    });
    Ok(Change {
        batch_size: number(input, "BatchSize"),
        batching_window: number(input, "MaximumBatchingWindowInSeconds"),
        report_failures: input.get("FunctionResponseTypes").map(|types| !items(types).is_empty()),
        filters,
        maximum_concurrency: input.get("ScalingConfig").map(|config| number(config, "MaximumConcurrency")),
        event_counts: input.get("MetricsConfig").map(event_counts).transpose()?,
    })
}

/// Whether a `MetricsConfig` asks for what a queue's mapping counts.
fn event_counts(config: &Node<'_>) -> Result<bool, Error> {
    let metrics = config.get("Metrics").map(items).unwrap_or_default();
    for metric in metrics {
        match metric {
            Node::Text(name) if name == EVENT_COUNT => {}
            Node::Text(name) => {
                return Err(Error::InvalidParameterValue(format!(
                    "{name} is not valid for SQS event sources."
                )));
            }
            // The service model's constraints let nothing else come here.
            Node::Null
            | Node::Boolean(_)
            | Node::Integer(_)
            | Node::Double(_)
            | Node::List(_)
            | Node::Map(_) => {}
        }
    }
    Ok(!metrics.is_empty())
}

fn items<'n, 'a>(node: &'n Node<'a>) -> &'n [Node<'a>] {
    match node {
        Node::List(items) => items,
        Node::Null | Node::Boolean(_) | Node::Integer(_) | Node::Double(_) | Node::Text(_) | Node::Map(_) => {
            &[]
        }
    }
}
