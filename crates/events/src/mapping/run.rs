//! One batch: from received messages through the function to deletion, or back to the queue.
//!
//! Deliberately not here: receiving, and how many batches there are at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::Error;
use lambkin_model::invocation::{Invocation, RequestId};
use lambkin_model::mapping::Mapping;
use lambkin_model::mapping::batch::{Item, failed, split};
use lambkin_model::mapping::record::event;
use lambkin_model::metric::FunctionMetric;
use lambkin_model::name::FunctionReference;
use lambkin_model::quota::INVOKE_PAYLOAD_BYTES;
use lambkin_model::trace;
use tokio::time::Instant;

use super::hold::{Held, Hold};
use super::poller::Poll;
use crate::recursion::{PASSAGES, mark, passages};
use crate::spans;

/// First pause after a throttle; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause after a throttle.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How a batch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The function took it, all or what it did not report.
    Processed,
    /// The function failed.
    Failed,
    /// The function could not be run in the time that the messages are invisible.
    Throttled,
    /// lambkin could not run the function; with what AWS's `LastProcessingResult` says.
    Broken(String),
}

/// Runs a batch to its end: every message is deleted, or left to its visibility timeout.
pub(super) async fn run(poll: Arc<Poll>, mapping: Arc<Mapping>, mut hold: Hold) -> Ended {
    let began = Instant::now();
    let lengths: Vec<usize> = hold.messages.iter().map(|held| held.record.len()).collect();
    let mut ended = Ended::Processed;
    let mut stuck: HashSet<String> = HashSet::new();
    for part in split(&lengths, INVOKE_PAYLOAD_BYTES) {
        let (mut which, mut behind) = (Vec::new(), Vec::new());
        for at in part {
            let held = &hold.messages[at];
            // What stands behind a failed message of its group waits for it.
            let waits = held.group.as_ref().is_some_and(|group| stuck.contains(group));
            if ended != Ended::Processed || waits || circles(&poll, &mapping, held) {
                stuck.extend(held.group.clone());
                behind.push(at);
            } else {
                which.push(at);
            }
        }
        hold.leave(&behind).await;
        if which.is_empty() {
            continue;
        }
        let answer = invoke(&poll, &mapping, &mut hold, &which, began).await;
        let failures = match &answer {
            Ok(payload) => {
                let items = which.iter().map(|at| Item {
                    id: &hold.messages[*at].id,
                    group: hold.messages[*at].group.as_deref(),
                });
                let items: Vec<Item<'_>> = items.collect();
                if mapping.settings.report_failures {
                    failed(payload, &items)
                } else {
                    vec![false; items.len()]
                }
            }
            Err(_) => vec![true; which.len()],
        };
        let (mut done, mut back) = (Vec::new(), Vec::new());
        for (at, failed) in which.into_iter().zip(failures) {
            if failed { back.push(at) } else { done.push(at) }
        }
        stuck.extend(back.iter().filter_map(|at| hold.messages[*at].group.clone()));
        if !matches!(answer, Err(Ended::Throttled | Ended::Broken(_))) {
            poll.count(&mapping, FunctionMetric::InvokedEventCount, done.len() + back.len());
        }
        poll.count(&mapping, FunctionMetric::FailedInvokeEventCount, back.len());
        if !done.is_empty() {
            let deleted = hold.delete(&done).await;
            poll.count(&mapping, FunctionMetric::DeletedEventCount, deleted);
        }
        hold.leave(&back).await;
        if let Err(reason) = answer {
            ended = reason;
        }
    }
    ended
}

/// Whether the message goes in circles through the function. It is left to its queue's redrive policy.
fn circles(poll: &Poll, mapping: &Mapping, held: &Held) -> bool {
    let Some(trace) = &held.trace else { return false };
    let function = &mapping.function;
    let stopped = passages(trace, mark(function)) >= PASSAGES
        && poll.ports.catalog.head(function).is_some_and(|head| !head.record.recursion_allowed);
    if stopped {
        tracing::warn!(mapping = %mapping.key.name, function = %function.name, message = %held.id, "stopped: it goes in circles");
    }
    stopped
}

/// The function's answer, where it gave one.
async fn invoke(
    poll: &Poll,
    mapping: &Mapping,
    hold: &mut Hold,
    which: &[usize],
    began: Instant,
) -> Result<Bytes, Ended> {
    let payload = event(which.iter().map(|at| hold.messages[*at].record.as_str()));
    // One trace for all: that of the message which has passed the function most often, so that none loses count.
    let function = mark(&mapping.function);
    let traces = which.iter().rev().filter_map(|at| hold.messages[*at].trace.as_ref());
    let trace = traces.max_by_key(|trace| passages(trace, function)).cloned();
    let ambient = poll.ports.ambient;
    // Without one the first passage would not be counted.
    let new = || trace::root((ambient.now)().millis() / 1000, (ambient.uuid)(), (ambient.uuid)());
    let trace = trace.unwrap_or_else(new);
    let messages = which.iter().filter_map(|at| {
        let held = &hold.messages[*at];
        Some((held.trace.as_deref()?, held.sent))
    });
    spans::batched(
        &*poll.ports.traces,
        &mapping.source,
        &mapping.function,
        &trace,
        messages,
        (ambient.now)(),
    );
    let invocation = Invocation {
        request_id: RequestId((ambient.uuid)()),
        function: FunctionReference { key: mapping.function.clone(), qualifier: mapping.qualifier.clone() },
        payload,
        client_context: None,
        trace_id: Some(trace),
        log_tail: false,
    };
    let mut pause = FIRST_PAUSE;
    loop {
        let answer = tokio::select! {
            answer = poll.ports.invoke.invoke(invocation.clone()) => answer,
            never = hold.keep() => match never {},
        };
        match answer {
            Ok(reply) => {
                return match reply.outcome.error {
                    None => Ok(reply.outcome.payload),
                    Some(_) => Err(Ended::Failed),
                };
            }
            Err(Error::TooManyRequests { .. }) => {
                poll.throttled();
                // Tried again for as long as the messages are this poller's by the queue's own timeout, as AWS
                // does: each further receive would count towards the dead-letter queue.
                if began.elapsed() + pause >= hold.lease() || poll.stopping() {
                    return Err(Ended::Throttled);
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = poll.stopped() => {}
                    never = hold.keep() => match never {},
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => {
                tracing::warn!(mapping = %mapping.key.name, function = %mapping.function.name, %error, "a batch could not be processed");
                return Err(Ended::Broken(format!("PROBLEM: {error}")));
            }
        }
    }
}
