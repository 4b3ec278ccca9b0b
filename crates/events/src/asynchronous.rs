//! Taking events: an asynchronous invocation is in its function's queue, on disk, before the caller hears
//! of it. Also functions as targets, and which targets a function's configuration may name.
//!
//! Deliberately not here: running events (`dispatcher`).

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use lambkin_model::Error;
use lambkin_model::catalog::{CatalogRead, Head, Stored};
use lambkin_model::error::ThrottleReason;
use lambkin_model::invocation::RequestId;
use lambkin_model::metric::FunctionMetric;
use lambkin_model::name::{FunctionKey, FunctionReference, LATEST, is_function_name, is_qualifier};
use lambkin_model::policy::{Access, Context, Identity, Principal, authorize};
use lambkin_model::queue::{Counts, Message, MessageId, Post, QueueError, QueueName, Queues};
use lambkin_model::time::Timestamp;
use lambkin_model::trace::Traces;
use lambkin_model::version::Version;

use crate::Ambient;
use crate::counters::{Counted, Counters, FunctionCounters, OutboundCounted, count};
use crate::event::{self, Event};
use crate::outbound;
use crate::spans;
use crate::target::{Delivery, Sender, Target, Undeliverable};

/// An asynchronous invocation that somebody asks for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its id.
    pub request_id: RequestId,
    /// Which function.
    pub function: FunctionReference,
    /// JSON, checked.
    pub payload: Bytes,
    /// `X-Amzn-Trace-Id`.
    pub trace_id: Option<String>,
}

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct Asynchronous(Arc<Shared>);

struct Shared {
    queues: Arc<dyn Queues>,
    catalog: Arc<dyn CatalogRead>,
    counters: Arc<Counters>,
    traces: Arc<dyn Traces>,
    ambient: Ambient,
    payload_limit: usize,
}

impl Asynchronous {
    /// Into these queues; payloads of at most so many bytes.
    #[must_use]
    pub fn new(
        queues: Arc<dyn Queues>,
        catalog: Arc<dyn CatalogRead>,
        counters: Arc<Counters>,
        traces: Arc<dyn Traces>,
        ambient: Ambient,
        payload_limit: usize,
    ) -> Self {
        Self(Arc::new(Shared { queues, catalog, counters, traces, ambient, payload_limit }))
    }

    /// Most bytes of a payload.
    #[must_use]
    pub fn payload_limit(&self) -> usize {
        self.0.payload_limit
    }

    /// Takes an event. `Ok`: it is on disk, with this trace header. 404, 409 and so on as a synchronous invocation has them; 429
    /// where the queues are full; 500 where their disk failed.
    pub async fn send(&self, asked: Asked) -> Result<String, Error> {
        let length = asked.payload.len();
        if length > self.0.payload_limit {
            return Err(too_large(length, self.0.payload_limit));
        }
        let qualifier = asked.function.qualifier.as_deref().unwrap_or(LATEST);
        // The same words as Invoke's own (aws-behaviour 8).
        let not_found = || Error::FunctionNotFound { arn: asked.function.key.qualified_arn(qualifier) };
        let head = self.0.catalog.head(&asked.function.key).ok_or_else(not_found)?;
        let version = head.record.version(Some(qualifier)).ok_or_else(not_found)?;
        head.record.state(version).ok_or_else(not_found)?.check_invocable()?;
        let counters = self.0.counters.of(&asked.function.key);
        let function = asked.function.clone();
        let (post, header) = self.post(&head, version, asked);
        self.0.queues.send(vec![post]).await.map_err(unqueued)?;
        count(&counters.received);
        self.0.counters.measure(self.now(), &function, FunctionMetric::AsyncEventsReceived, 1.0);
        Ok(header)
    }

    /// The event, and its trace header.
    fn post(&self, head: &Arc<Stored<Head>>, version: Version, asked: Asked) -> (Post, String) {
        let Asked { request_id, function, payload, trace_id } = asked;
        let qualifier = function.qualifier.as_deref().unwrap_or(LATEST);
        let Shared { traces, ambient, catalog, .. } = &*self.0;
        let header = spans::header(&**traces, *ambient, &**catalog, head, version, trace_id);
        let event = Event {
            request_id,
            on_failure: head.record.event_invoke.get(qualifier).and_then(|config| config.on_failure.clone()),
            dead_letter: dead_letter(&*self.0.catalog, head, version),
            function,
            payload,
            trace_id: Some(header.clone()),
        };
        let message = Message {
            id: MessageId(request_id.0),
            lane: None,
            deduplication: None,
            sent: None,
            delay: std::time::Duration::ZERO,
            mark: 0,
            content: event.encode(),
        };
        ((event::queue(&head.record), message), header)
    }

    /// What a function counts.
    #[must_use]
    pub fn counters(&self, key: &FunctionKey) -> Arc<FunctionCounters> {
        self.0.counters.of(key)
    }

    /// How much waits, by function, the functions with the most first; lambkin's own page for people.
    pub async fn backlogs(&self) -> Result<Vec<Backlog>, Error> {
        let waiting = self.0.queues.counts_of_all(event::PREFIX).await.map_err(unqueued)?;
        let waiting: HashMap<QueueName, Counts> = waiting.into_iter().collect();
        let counted: HashMap<FunctionKey, Counted> = self.0.counters.all().into_iter().collect();
        let heads = self.0.catalog.all();
        let backlogs = heads.iter().filter_map(|head| {
            let function = head.record.key.clone();
            let counts = waiting.get(&event::queue(&head.record)).copied();
            let since = counted.get(&function).copied();
            (counts.is_some() || since.is_some()).then(|| Backlog {
                function,
                counts: counts.unwrap_or_default(),
                since: since.unwrap_or_default(),
            })
        });
        Ok(backlogs.collect())
    }

    /// Deliveries to services elsewhere.
    pub async fn outbound(&self) -> Result<OutboundCounted, Error> {
        let places = self.0.queues.counts_of_all(outbound::PREFIX).await.map_err(unqueued)?;
        let waiting = places.iter().map(|(_, counts)| counts.visible + counts.in_flight + counts.delayed);
        Ok(self.0.counters.outbound.counted(waiting.sum()))
    }

    /// The time, as everything here has it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0.ambient.now)()
    }
}

/// A function's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Whose.
    pub function: FunctionKey,
    /// What is there now: ready, taken, and waiting for a retry.
    pub counts: Counts,
    /// What happened since lambkin started.
    pub since: Counted,
}

/// The dead-letter queue or topic of a version: it is part of its configuration.
pub(crate) fn dead_letter(
    catalog: &dyn CatalogRead,
    head: &Arc<Stored<Head>>,
    version: Version,
) -> Option<String> {
    catalog.body(head, version)?.configuration.dead_letter.clone()
}

pub(crate) fn too_large(length: usize, limit: usize) -> Error {
    Error::PayloadTooLarge { length: length as u64, invocation_type: "Event", limit }
}

fn unqueued(error: QueueError) -> Error {
    match error {
        QueueError::Full(reason) => {
            tracing::warn!(reason, "no more events are taken");
            Error::TooManyRequests { reason: ThrottleReason::CallerRateLimitExceeded }
        }
        QueueError::TooLarge { length, limit } => too_large(length, limit),
        error @ (QueueError::Stale | QueueError::Unavailable(_)) => Error::Service(error.to_string()),
    }
}

/// Function and qualifier of a function's ARN.
#[must_use]
pub fn function_of(arn: &str) -> Option<FunctionReference> {
    let parts: Vec<&str> = arn.split(':').collect();
    let (region, account, name, qualifier) = match parts.as_slice() {
        ["arn", _, "lambda", region, account, "function", name] => (region, account, name, None),
        ["arn", _, "lambda", region, account, "function", name, qualifier] => {
            (region, account, name, Some((*qualifier).to_owned()))
        }
        _ => return None,
    };
    let valid = is_function_name(name) && qualifier.as_deref().is_none_or(is_qualifier);
    let key = FunctionKey { account: (*account).into(), region: (*region).into(), name: (*name).into() };
    valid.then_some(FunctionReference { key, qualifier })
}

/// Functions as targets: a delivery is an event.
impl Target for Asynchronous {
    fn posts(&self, arn: &str, delivery: &Delivery) -> Result<Vec<Post>, Undeliverable> {
        let (head, version, function) = self.find(arn)?;
        if let Some(sender) = &delivery.sender {
            let (target, code) = (arn.into(), "AccessDeniedException".into());
            may_send(&head.record, &function, sender).map_err(|message| Undeliverable {
                target,
                code,
                message,
            })?;
        }
        if delivery.body.len() > self.0.payload_limit {
            let error = too_large(delivery.body.len(), self.0.payload_limit);
            let (target, code) = (arn.into(), "RequestTooLargeException".into());
            return Err(Undeliverable { target, code, message: error.to_string() });
        }
        let asked = Asked {
            request_id: RequestId((self.0.ambient.uuid)()),
            function,
            payload: delivery.body.clone(),
            trace_id: delivery.trace_id.clone(),
        };
        // Whoever asks writes it next. Where the disk has no room for it, it is asked for and counted again.
        count(&self.0.counters.of(&asked.function.key).received);
        self.0.counters.measure(self.now(), &asked.function, FunctionMetric::AsyncEventsReceived, 1.0);
        Ok(vec![self.post(&head, version, asked).0])
    }

    fn check(&self, arn: &str) -> Result<(), Undeliverable> {
        self.find(arn).map(|_| ())
    }
}

impl Asynchronous {
    fn find(&self, arn: &str) -> Result<(Arc<Stored<Head>>, Version, FunctionReference), Undeliverable> {
        let not_found = || Undeliverable {
            target: arn.into(),
            code: "ResourceNotFoundException".into(),
            message: format!("Function not found: {arn}"),
        };
        let function = function_of(arn).ok_or_else(not_found)?;
        let head = self.0.catalog.head(&function.key).ok_or_else(not_found)?;
        let version = head.record.version(function.qualifier.as_deref()).ok_or_else(not_found)?;
        Ok((head, version, function))
    }
}

/// Whether the function's policy lets a service in; the refusal in AWS's words.
fn may_send(head: &Head, function: &FunctionReference, sender: &Sender) -> Result<(), String> {
    let action = "lambda:InvokeFunction";
    let resource = function.arn();
    let account = sender.source.split(':').nth(4).unwrap_or_default();
    let context = Context::default()
        .with("aws:SourceArn", &*sender.source)
        .with("aws:SourceAccount", account)
        .with("lambda:FunctionArn", &*resource);
    let policy = head.policies.get(function.qualifier.as_deref().unwrap_or(LATEST));
    let access = Access {
        principal: Principal::Service(sender.service),
        identity: Identity::None,
        action,
        resource: &resource,
        owner: &function.key.account,
        policy: policy.map(|policy| &policy.document),
        context: &context,
    };
    authorize(&access).map_err(|denial| {
        format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} {denial}",
            sender.service
        )
    })
}

/// The queue's name, which says whose function's it is.
pub(crate) fn identity(queue: &QueueName) -> &str {
    queue.0.strip_prefix(event::PREFIX).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_arns() {
        for (arn, expected) in [
            ("arn:aws:lambda:us-east-1:000000000000:function:f", Some(("f", None))),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST", Some(("f", Some("$LATEST")))),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:live", Some(("f", Some("live")))),
            ("arn:aws:lambda:us-east-1:000000000000:layer:f", None),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:1:2", None),
            ("arn:aws:lambda:us-east-1:000000000000:function:a b", None),
            ("arn:aws:sqs:us-east-1:000000000000:f", None),
        ] {
            let found = function_of(arn);
            let found = found.as_ref().map(|found| (&*found.key.name, found.qualifier.as_deref()));
            assert_eq!(found, expected, "{arn}");
        }
    }
}
