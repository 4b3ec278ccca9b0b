//! How a function's asynchronous invocations are treated, and whether it may go in circles.
//!
//! Deliberately not here: whether a destination is there, which those know who send to it; and events
//! themselves. The dispatcher looks these up at each attempt.

use lambkin_model::Error;
use lambkin_model::event_invoke::EventInvokeConfig;
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST};

use crate::Control;

/// PutFunctionEventInvokeConfig and UpdateFunctionEventInvokeConfig. `None`: was not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventInvokeChange {
    /// 0 to 2.
    pub maximum_retry_attempts: Option<u32>,
    /// Seconds, 60 to 21,600.
    pub maximum_event_age: Option<u32>,
    /// Where successes are recorded; `Some(None)`: nowhere.
    pub on_success: Option<Option<String>>,
    /// Where failures are.
    pub on_failure: Option<Option<String>>,
    /// Whether `DestinationConfig` was given at all.
    pub destinations: bool,
}

impl EventInvokeChange {
    fn check(&self) -> Result<(), Error> {
        if self.maximum_retry_attempts.is_none() && self.maximum_event_age.is_none() && !self.destinations {
            return Err(Error::InvalidParameterValue(
                "You must specify at least one of error handling or destination setting.".into(),
            ));
        }
        Ok(())
    }

    /// What `before` becomes: what was not given stays.
    fn apply(self, before: &EventInvokeConfig) -> EventInvokeConfig {
        EventInvokeConfig {
            maximum_retry_attempts: self.maximum_retry_attempts.or(before.maximum_retry_attempts),
            maximum_event_age: self.maximum_event_age.or(before.maximum_event_age),
            on_success: self.on_success.unwrap_or_else(|| before.on_success.clone()),
            on_failure: self.on_failure.unwrap_or_else(|| before.on_failure.clone()),
            last_modified: before.last_modified,
        }
    }
}

impl Control {
    /// PutFunctionEventInvokeConfig: what is not given is as if never said.
    pub async fn put_event_invoke_config(
        &self,
        reference: &FunctionReference,
        change: EventInvokeChange,
    ) -> Result<EventInvokeConfig, Error> {
        change.check()?;
        self.set_event_invoke(reference, |_| Ok(change.clone().apply(&EventInvokeConfig::default()))).await
    }

    /// UpdateFunctionEventInvokeConfig: what is not given stays.
    pub async fn update_event_invoke_config(
        &self,
        reference: &FunctionReference,
        change: EventInvokeChange,
    ) -> Result<EventInvokeConfig, Error> {
        change.check()?;
        let update = |before: Option<&EventInvokeConfig>| match before {
            Some(before) => Ok(change.clone().apply(before)),
            None => Err(unconfigured(reference)),
        };
        self.set_event_invoke(reference, update).await
    }

    /// GetFunctionEventInvokeConfig.
    pub fn event_invoke_config(&self, reference: &FunctionReference) -> Result<EventInvokeConfig, Error> {
        let head = self.catalog.head(&reference.key).ok_or_else(|| unconfigured(reference))?;
        head.record.event_invoke.get(qualifier(reference)).cloned().ok_or_else(|| unconfigured(reference))
    }

    /// ListFunctionEventInvokeConfigs: by qualifier, after `after`, at most `limit`.
    pub fn event_invoke_configs(
        &self,
        key: &FunctionKey,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, EventInvokeConfig)>, Error> {
        let head = self.catalog.head(key).ok_or_else(no_function)?;
        let later = head
            .record
            .event_invoke
            .iter()
            .filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        Ok(later.take(limit).map(|(name, config)| (name.clone(), config.clone())).collect())
    }

    /// DeleteFunctionEventInvokeConfig.
    pub async fn delete_event_invoke_config(&self, reference: &FunctionReference) -> Result<(), Error> {
        let unconfigured = || unconfigured(reference);
        self.change_head(&reference.key, unconfigured, |head| {
            head.event_invoke.remove(qualifier(reference)).map(|_| ()).ok_or_else(unconfigured)
        })
        .await?;
        tracing::info!(function = %reference.key.name, qualifier = qualifier(reference), "asynchronous invocation is AWS's default");
        Ok(())
    }

    /// PutFunctionRecursionConfig.
    pub async fn put_recursion_config(&self, key: &FunctionKey, allowed: bool) -> Result<(), Error> {
        let unknown = || Error::FunctionNotFound { arn: key.arn() };
        self.change_head(key, unknown, |head| {
            head.recursion_allowed = allowed;
            Ok(())
        })
        .await?;
        tracing::info!(function = %key.name, allowed, "recursion set");
        Ok(())
    }

    async fn set_event_invoke(
        &self,
        reference: &FunctionReference,
        change: impl Fn(Option<&EventInvokeConfig>) -> Result<EventInvokeConfig, Error>,
    ) -> Result<EventInvokeConfig, Error> {
        // Unlike other operations', the text names nothing.
        self.function(reference).map_err(|_| no_function())?;
        let qualifier = qualifier(reference);
        let now = (self.ambient.now)();
        let stored = self
            .change_head(&reference.key, no_function, |head| {
                let mut config = change(head.event_invoke.get(qualifier))?;
                config.last_modified = now;
                head.event_invoke.insert(qualifier.to_owned(), config);
                Ok(())
            })
            .await?;
        tracing::info!(function = %reference.key.name, qualifier, "asynchronous invocation configured");
        Ok(stored.record.event_invoke[qualifier].clone())
    }
}

fn qualifier(reference: &FunctionReference) -> &str {
    reference.qualifier.as_deref().unwrap_or(LATEST)
}

fn no_function() -> Error {
    Error::ResourceNotFound("The function doesn't exist.".into())
}

fn unconfigured(reference: &FunctionReference) -> Error {
    let arn = reference.key.qualified_arn(qualifier(reference));
    Error::ResourceNotFound(format!("The function {arn} doesn't have an EventInvokeConfig"))
}
