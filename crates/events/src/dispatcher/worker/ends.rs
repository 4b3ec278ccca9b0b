//! What becomes of an event after an attempt, or of age: another attempt, or its end with what is told of that.

use std::sync::Arc;

use lambkin_model::catalog::{Head, Stored};
use lambkin_model::event_invoke::{Attempt, Condition, Next, Progress};
use lambkin_model::metric::FunctionMetric;
use lambkin_model::queue::Post;
use lambkin_model::trace::Span;
use tokio::time::Instant;

use super::{Ended, Held, Worker};
use crate::counters::{count, uncount};
use crate::deliveries;
use crate::destination::{End, Response};
use crate::dispatcher::attempt::Tried;
use crate::dispatcher::settling::{Decision, Settlement};
use crate::event::Event;
use crate::spans;
use crate::target::Target as _;

impl Worker {
    pub(super) async fn ended(&mut self, ended: Ended) {
        let (mut held, tried) = match ended {
            Ok((id, ended)) => {
                self.handles.remove(&id);
                ended
            }
            Err(error) => {
                tracing::error!(%error, queue = %self.queue, "an attempt failed in lambkin itself; the event is tried again");
                if let Some((handle, progress)) = self.handles.remove(&error.id()) {
                    let progress = Progress { holds: progress.holds.saturating_add(1), ..progress };
                    let pause = self.policy(None).hold(progress.holds);
                    self.decide(Decision::Release(handle, pause, progress.mark())).await;
                }
                return;
            }
        };
        let counters = self.shared.counters(&held.event);
        uncount(&counters.running);
        let head = self.head(&held.event);
        let config = head.as_ref().and_then(|head| head.record.event_invoke.get(held.event.qualifier()));
        let policy = self.policy(config);
        let (now, others) = (Instant::now(), self.running.len());
        if let Some(reason) = tried.throttle {
            count(&counters.throttled);
            self.pace.throttled(now, reason, others, |refusals| policy.hold(refusals));
            // It stays here and goes next: nothing has to be written for it.
            self.begin_wait(&held.event);
            held.refusal = Some(tried.response);
            self.buffer.push_front(held);
            return;
        }
        if tried.attempt == Attempt::SystemError {
            tracing::warn!(function = %held.event.function.key, request_id = %held.event.request_id, response = ?tried.response, "the platform could not run an event");
            if others == 0 {
                self.pace.refused(now, |refusals| policy.hold(refusals));
            }
        } else {
            self.pace.ended(now);
        }
        let progress = Progress::of(held.received.mark);
        self.begin_wait(&held.event);
        match policy.after(tried.attempt, progress, self.age(&held)) {
            Next::Again { after, progress } => {
                count(&counters.retried);
                self.decide(Decision::Release(held.received.handle, after, progress.mark())).await;
            }
            Next::End(condition) => self.over(held, head.as_ref(), tried, condition).await,
        }
    }

    /// Ends what became too old while nothing could be started.
    pub(super) async fn sweep(&mut self) {
        for _ in 0..self.buffer.len() {
            let Some(held) = self.buffer.pop_front() else { return };
            let head = self.head(&held.event);
            let config = head.as_ref().and_then(|head| head.record.event_invoke.get(held.event.qualifier()));
            match head {
                Some(head) if self.policy(config).is_too_old(self.age(&held)) => {
                    self.expired(held, &head).await;
                }
                // Those of a deleted function are seen to when they are next.
                Some(_) | None => self.buffer.push_back(held),
            }
        }
    }

    pub(super) fn first_expiry(&self) -> Option<Instant> {
        let left = self.buffer.iter().filter_map(|held| {
            let head = self.head(&held.event)?;
            let policy = self.policy(head.record.event_invoke.get(held.event.qualifier()));
            Some(policy.age.saturating_sub(self.age(held)))
        });
        left.min().map(|left| Instant::now() + left)
    }

    pub(super) async fn expired(&mut self, mut held: Held, head: &Arc<Stored<Head>>) {
        // Whoever waited so long waited for concurrency.
        let response = held.refusal.take().unwrap_or_else(|| Response::Refused(429, "Rate Exceeded.".into()));
        let tried = Tried { attempt: Attempt::Throttled, response, throttle: None };
        self.over(held, Some(head), tried, Condition::EventAgeExceeded).await;
    }

    /// The event has ended: it goes, and what is to be told of it comes, in one step.
    pub(super) async fn over(
        &mut self,
        held: Held,
        head: Option<&Arc<Stored<Head>>>,
        tried: Tried,
        condition: Condition,
    ) {
        let Held { received, event, .. } = held;
        self.waits.remove(&event.request_id);
        let counters = self.shared.counters(&event);
        let config = head.and_then(|head| head.record.event_invoke.get(event.qualifier()));
        let (destination, dead_letter) = match (condition, head) {
            (Condition::Success, _) => (config.and_then(|config| config.on_success.as_deref()), None),
            (_, Some(head)) if head.record.version(event.function.qualifier.as_deref()).is_some() => {
                (config.and_then(|config| config.on_failure.as_deref()), self.dead_letter(&event, head))
            }
            (_, Some(_) | None) => (event.on_failure.as_deref(), event.dead_letter.clone()),
        };
        if condition == Condition::Success {
            count(&counters.succeeded);
        } else {
            count(&counters.dropped);
            self.measure(&event, FunctionMetric::AsyncEventsDropped, 1.0);
            if condition == Condition::RecursiveInvocation {
                count(&counters.recursive);
                self.measure(&event, FunctionMetric::RecursiveInvocationsDropped, 1.0);
            }
            tracing::info!(
                function = %event.function.key,
                request_id = %event.request_id,
                condition = condition.as_str(),
                kept = destination.is_some() || dead_letter.is_some(),
                "an event ended without success"
            );
        }
        let (mut posts, mut spans) = (Vec::new(), Vec::new());
        if destination.is_some() || dead_letter.is_some() {
            let invoked = Progress::of(received.mark).invoked(tried.attempt);
            let at = (self.shared.ports.ambient.now)();
            let end = End { condition, invoked, response: tried.response, at };
            if let Some(arn) = destination {
                posts.extend(self.posts(arn, &event, deliveries::Kind::Record, &end, &mut spans));
            }
            if let Some(arn) = &dead_letter {
                posts.extend(self.posts(arn, &event, deliveries::Kind::DeadLetter, &end, &mut spans));
            }
        }
        let settlement = Settlement { spans, ..Settlement::new(received.handle, posts, received.mark) };
        self.decide(Decision::Settle(settlement)).await;
    }

    fn posts(
        &self,
        arn: &str,
        event: &Event,
        kind: deliveries::Kind,
        end: &End,
        spans: &mut Vec<Span>,
    ) -> Vec<Post> {
        let ports = &self.shared.ports;
        let mut delivery = match kind {
            deliveries::Kind::Record => end.record(event),
            deliveries::Kind::DeadLetter => end.dead_letter(event),
        };
        let (function, header) = (&event.function.key, event.trace_id.as_deref());
        let span = spans::delivery(&*ports.traces, header, function, event.request_id, (kind, arn), end.at);
        let span = span.map(|(span, header)| {
            delivery.trace_id = Some(header);
            span
        });
        let counters = self.shared.counters(event);
        match ports.targets.posts(arn, &delivery) {
            Ok(posts) => {
                spans.extend(span);
                count(kind.counter(&counters));
                posts
            }
            Err(error) => {
                // What comes of it is below the event's own parent again.
                delivery.trace_id.clone_from(&event.trace_id);
                spans::end(&*ports.traces, span, end.at, Some(&error.code));
                deliveries::keep(ports, event, arn, kind, delivery, &error)
            }
        }
    }

    pub(super) fn measure(&self, event: &Event, metric: FunctionMetric, value: f64) {
        let ports = &self.shared.ports;
        ports.counters.measure((ports.ambient.now)(), &event.function, metric, value);
    }
}
