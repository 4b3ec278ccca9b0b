//! What an environment tells of an invocation: log lines, the answer, its span, its metrics.

use lambkin_model::Error;
use lambkin_model::fault;
use lambkin_model::invocation::{FunctionError, Outcome, Reply};
use lambkin_model::lifecycle::{Line, Status, Verdict};
use lambkin_model::metric::{FunctionMetric, Subject};
use lambkin_model::platform_line::Facts;

use super::{Environment, Expects};
use crate::assignment::Assignment;
use crate::capture;
use crate::traced::Ran;

impl Environment {
    pub(super) fn say(&mut self, line: Line) {
        match line {
            Line::Start => {
                let tail = self.assignment.as_ref().is_some_and(|assignment| assignment.invocation.log_tail);
                self.capture.begin(tail);
            }
            Line::Report { took, status, .. } => {
                self.reported = true;
                self.trace(status);
                self.measured(&[(FunctionMetric::Duration, took.as_secs_f64() * 1000.0)]);
                if let Some(running) = &mut self.running {
                    self.peak_memory = self.peak_memory.max(running.measure_memory());
                }
                self.mailbox.room.measured(self.peak_memory);
            }
            Line::InitStart(_)
            | Line::InitReport { .. }
            | Line::TimedOut(_)
            | Line::Fault(_)
            | Line::End { .. } => self.drain_output(),
        }
        let facts = Facts {
            at: capture::now(),
            request_id: self.request_id,
            error_type: self.posted.error.as_ref().map(|error| error.error_type.as_str()),
            peak_memory: self.peak_memory,
            trace: self.traced.filter(|traced| traced.active).map(|traced| traced.told),
        };
        if let Some(text) = self.speaker.say(line, &facts) {
            self.capture.push(facts.at, text.into());
        }
    }

    pub(super) fn answer(&mut self, verdict: Verdict) {
        let (Some(assignment), Some(id)) = (self.assignment.take(), self.request_id) else { return };
        if !self.is_free && !self.comes_back {
            self.comes_back = true;
            self.fleet.comes_back();
        }
        self.expects = Expects::Next;
        let provisioned = self.kept_run.take().is_some_and(|run| run.is_provisioned);
        if let Some(api) = self.running.as_mut().and_then(|running| running.api.as_mut()) {
            api.given = None;
        }
        let unhandled = |payload| Ok(Outcome { error: Some(FunctionError::Unhandled), payload });
        let generation = self.fleet.launch.configuration().runtime.generation();
        let outcome = match verdict {
            Verdict::Posted(_) => Ok(self.posted.take_outcome()),
            Verdict::InitFailed => unhandled(self.posted.take_outcome().payload),
            Verdict::Exited(status) => unhandled(fault::exited(generation, id, status)),
            Verdict::TimedOut => unhandled(fault::timed_out(id, assignment.timeout)),
            Verdict::LaunchFailed => Err(Error::Service(self.launch_error.take().unwrap_or_default())),
        };
        // Before the answer: who has it and asks how often it ran finds it counted.
        if let Ok(outcome) = &outcome {
            let failed = f64::from(u8::from(outcome.error.is_some()));
            self.measured(&[
                (FunctionMetric::Invocations, 1.0),
                (FunctionMetric::Errors, failed),
                (FunctionMetric::Throttles, 0.0),
            ]);
            if self.fleet.keeping.provisioned() > 0 {
                let metric = if provisioned {
                    FunctionMetric::ProvisionedConcurrencyInvocations
                } else {
                    FunctionMetric::ProvisionedConcurrencySpilloverInvocations
                };
                self.measured(&[(metric, 1.0)]);
            }
        }
        if assignment.invocation.log_tail {
            self.held = Some((assignment, outcome));
        } else {
            self.reply(*assignment, outcome);
        }
    }

    /// The invocation is over: it is told of, and the init that it had inside.
    fn trace(&mut self, status: Status) {
        let inside = self.init.take();
        let (Some(traced), Some(id)) = (&self.traced, self.request_id) else { return };
        if traced.spans.is_none() {
            return;
        }
        let (traces, launch) = (&*self.told.traces, &self.fleet.launch);
        if let Some(init) = inside {
            traced.init(traces, launch, init, true);
        }
        let ran = Ran {
            began: self.began,
            request_id: id.to_string(),
            qualifier: self.qualifier.as_deref(),
            cold: self.cold || inside.is_some(),
            instance: self.capture.stream(),
            status,
            error_type: self.posted.error.as_ref().map(|error| error.error_type.as_str()),
        };
        traced.invocation(traces, launch, ran);
    }

    /// How many of what is provisioned run now, where something is; with each invocation, so that none is missed.
    pub(super) fn measure_kept(&self) {
        let keeping = &self.fleet.keeping;
        let provisioned = keeping.provisioned();
        if provisioned == 0 {
            return;
        }
        let busy = keeping.busy() as f64;
        self.measured(&[
            (FunctionMetric::ProvisionedConcurrentExecutions, busy),
            (FunctionMetric::ProvisionedConcurrencyUtilization, busy / provisioned as f64),
        ]);
    }

    fn measured(&self, values: &[(FunctionMetric, f64)]) {
        let launch = &self.fleet.launch;
        let (qualifier, version) = (self.qualifier.as_deref(), Some(&*launch.executed_version));
        self.told.metrics.record(
            self.began,
            Subject::Function { key: &launch.key, qualifier, version },
            values,
        );
    }

    pub(super) fn reply(&mut self, assignment: Assignment, outcome: Result<Outcome, Error>) {
        tracing::debug!(
            function = %self.fleet.launch.key.name,
            id = %assignment.invocation.request_id,
            failed = !matches!(outcome, Ok(Outcome { error: None, .. })),
            "invoked"
        );
        let (log_tail, sampled) = (self.capture.take_tail(), assignment.traced.is_some());
        let executed_version = self.fleet.launch.executed_version.clone();
        assignment.answer(outcome.map(|outcome| Reply { outcome, executed_version, log_tail, sampled }));
    }
}
