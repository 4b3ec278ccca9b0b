//! How a function's asynchronous invocations are treated, and whether it may go in circles: AWS's documents
//! (aws-behaviour 51 and 52). Also lambkin's own page of what waits.
//!
//! Deliberately not here: sending events, which Invoke does (`invoke`).

use http::StatusCode;
use lambkin_control::EventInvokeChange;
use lambkin_events::asynchronous::Backlog;
use lambkin_events::counters::{Counted, OutboundCounted};
use lambkin_model::Error;
use lambkin_model::event_invoke::EventInvokeConfig;
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};
use serde::Serialize;

use crate::Api;
use crate::api::Call;
use crate::node::Node;
use crate::page::Page;
use crate::reply::{Reply, empty, json};

/// Most configurations of one page.
const PAGE: usize = 50;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigDocument {
    /// Seconds since 1970.
    last_modified: f64,
    function_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_retry_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_event_age_in_seconds: Option<u32>,
    destination_config: DestinationsDocument,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationsDocument {
    on_success: DestinationDocument,
    on_failure: DestinationDocument,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListDocument {
    function_event_invoke_configs: Vec<ConfigDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RecursionDocument {
    recursive_loop: &'static str,
}

impl ConfigDocument {
    fn new(key: &FunctionKey, qualifier: &str, config: EventInvokeConfig) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium fit")]
        let last_modified = config.last_modified.millis() as f64 / 1000.0;
        Self {
            last_modified,
            function_arn: key.qualified_arn(qualifier),
            maximum_retry_attempts: config.maximum_retry_attempts,
            maximum_event_age_in_seconds: config.maximum_event_age,
            destination_config: DestinationsDocument {
                on_success: DestinationDocument { destination: config.on_success },
                on_failure: DestinationDocument { destination: config.on_failure },
            },
        }
    }
}

impl Api {
    pub(crate) async fn put_function_event_invoke_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let (reference, change) = self.event_invoke_change(call, &input)?;
        drop(input);
        let config = self.control.put_event_invoke_config(&reference, change).await?;
        Ok(configured(&reference, config))
    }

    pub(crate) async fn update_function_event_invoke_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let (reference, change) = self.event_invoke_change(call, &input)?;
        drop(input);
        let config = self.control.update_event_invoke_config(&reference, change).await?;
        Ok(configured(&reference, config))
    }

    pub(crate) fn get_function_event_invoke_config(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(input)?;
        let config = self.control.event_invoke_config(&reference)?;
        Ok(configured(&reference, config))
    }

    pub(crate) fn list_function_event_invoke_configs(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.reference(input)?.key;
        let page = Page::asked(input, PAGE)?;
        let mut configs = self.control.event_invoke_configs(&key, page.after(), page.wanted())?;
        let next_marker = page.cut(&mut configs, |(qualifier, _)| qualifier.clone());
        let document = |(qualifier, config): (String, _)| ConfigDocument::new(&key, &qualifier, config);
        let function_event_invoke_configs = configs.into_iter().map(document).collect();
        Ok(json(StatusCode::OK, &ListDocument { function_event_invoke_configs, next_marker }))
    }

    pub(crate) async fn delete_function_event_invoke_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let reference = call.reference(&input)?;
        drop(input);
        self.control.delete_event_invoke_config(&reference).await?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(crate) async fn put_function_recursion_config(
        &self,
        call: &Call<'_>,
        input: Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(&input)?;
        let allowed = input.text("RecursiveLoop") == Some("Allow");
        drop(input);
        self.control.put_recursion_config(&key, allowed).await?;
        Ok(recursion(allowed))
    }

    pub(crate) fn get_function_recursion_config(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<Reply, Error> {
        let key = call.unqualified(input)?;
        Ok(recursion(self.control.head(&key)?.record.recursion_allowed))
    }

    /// What a request says, its destinations known to be there.
    fn event_invoke_change(
        &self,
        call: &Call<'_>,
        input: &Node<'_>,
    ) -> Result<(FunctionReference, EventInvokeChange), Error> {
        let reference = call.reference(input)?;
        let number = |member: &str| input.integer(member).and_then(|value| u32::try_from(value).ok());
        let destinations = input.get("DestinationConfig");
        // Given and empty: none any more.
        let destination = |member: &str| {
            let given = destinations?.get(member)?;
            Some(given.text("Destination").filter(|arn| !arn.is_empty()).map(str::to_owned))
        };
        let change = EventInvokeChange {
            maximum_retry_attempts: number("MaximumRetryAttempts"),
            maximum_event_age: number("MaximumEventAgeInSeconds"),
            on_success: destination("OnSuccess"),
            on_failure: destination("OnFailure"),
            destinations: destinations.is_some(),
        };
        let arn = |given: &Option<Option<String>>| given.clone().flatten();
        let (on_success, on_failure) = (arn(&change.on_success), arn(&change.on_failure));
        // An unknown function is 404 whatever its destinations are.
        if self.control.head(&reference.key).is_ok() {
            let targets = &self.events.targets;
            targets.check_destinations(&reference.key, on_success.as_deref(), on_failure.as_deref())?;
        }
        Ok((reference, change))
    }

    /// `DeadLetterConfig` of a request: `None` where it says nothing, `Some(None)` where there is to be none.
    pub(crate) fn dead_letter(
        &self,
        function: &FunctionKey,
        input: &Node<'_>,
    ) -> Result<Option<Option<String>>, Error> {
        let Some(given) = input.get("DeadLetterConfig") else { return Ok(None) };
        let arn = given.text("TargetArn").filter(|arn| !arn.is_empty());
        if let Some(arn) = arn {
            self.events.targets.check_dead_letter(function, arn)?;
        }
        Ok(Some(arn.map(str::to_owned)))
    }

    /// lambkin's own page: what waits, and what happened since the start, by function.
    pub(crate) async fn events_page(&self) -> Result<Reply, Error> {
        let now = self.events.asynchronous.now();
        let backlogs = self.events.asynchronous.backlogs().await?;
        let functions = backlogs.into_iter().map(|backlog| FunctionEvents::new(backlog, now)).collect();
        let outbound = self.events.asynchronous.outbound().await?;
        let topics = TopicEvents { lost: self.events.sns.undelivered() };
        Ok(json(StatusCode::OK, &EventsPage { functions, outbound, topics }))
    }
}

#[derive(Serialize)]
struct EventsPage {
    functions: Vec<FunctionEvents>,
    /// To services elsewhere.
    outbound: OutboundCounted,
    topics: TopicEvents,
}

#[derive(Serialize)]
struct TopicEvents {
    /// Notifications since the start that neither a subscriber nor a dead-letter queue took.
    lost: u64,
}

#[derive(Serialize)]
struct FunctionEvents {
    function: String,
    /// Ready to run.
    backlog: u64,
    /// Taken by the dispatcher, running or about to.
    in_flight: u64,
    /// Those whose next attempt is not due yet.
    waiting_for_retry: u64,
    /// Of the oldest event.
    oldest_seconds: Option<u64>,
    since_start: Counted,
}

impl FunctionEvents {
    fn new(backlog: Backlog, now: lambkin_model::time::Timestamp) -> Self {
        Self {
            function: backlog.function.arn(),
            backlog: backlog.counts.visible,
            in_flight: backlog.counts.in_flight,
            waiting_for_retry: backlog.counts.delayed,
            oldest_seconds: backlog.counts.oldest.map(|oldest| now.0.saturating_sub(oldest.0) / 1_000_000),
            since_start: backlog.since,
        }
    }
}

fn configured(reference: &FunctionReference, config: EventInvokeConfig) -> Reply {
    let qualifier = reference.qualifier.as_deref().unwrap_or(LATEST);
    json(StatusCode::OK, &ConfigDocument::new(&reference.key, qualifier, config))
}

fn recursion(allowed: bool) -> Reply {
    json(StatusCode::OK, &RecursionDocument { recursive_loop: if allowed { "Allow" } else { "Terminate" } })
}
