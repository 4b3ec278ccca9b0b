//! The lifecycle of an execution environment as a pure value:
//! `Cold → Init → Frozen ⇄ Invoke → Shutdown → Gone`, and Reset (crash, timeout) back to Cold.
//!
//! [`Lifecycle::on`] takes an event and the time and says what to do; [`Lifecycle::deadline`] says
//! when it wants to be asked again. No await, no clock, no wildcard arm. Every event of a process
//! carries its run number, so a dead process's late words are refused. Data (payloads, log text)
//! stays with the driver: here are only the decisions.

use std::time::Duration;

use crate::exit::ExitStatus;
use crate::quota;
use crate::time::Moment;

mod action;
mod event;
#[cfg(test)]
mod tests;

pub use action::{Action, Line, Phase, Status, Verdict};
pub use event::{Ending, Event, Run};

/// How long a process that announced its end (a failed init) may take for it, and how long a
/// killed one may take to be gone before it is killed again. Microseconds; lambkin's own figure.
const END_MICROS: u64 = 2_000_000;

/// How a process ends that was killed and whose end did not come in time to be seen.
const KILLED: ExitStatus = ExitStatus::Signal(9);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No process. `fresh` until `Start`; afterwards an invocation may come and init runs inside it.
    Cold {
        fresh: bool,
    },
    Init {
        run: Run,
        since: Moment,
        deadline: Moment,
        failed: bool,
        /// Killed for breaking the rules: nothing it says counts any more, its end is awaited.
        broken: bool,
    },
    Frozen {
        run: Run,
        init: Option<Duration>,
    },
    Invoke(Invoke),
    /// Killed; its end is awaited.
    Dying {
        run: Run,
        deadline: Moment,
    },
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Invoke {
    run: Run,
    since: Moment,
    timeout: u64,
    deadline: Moment,
    /// Init Duration to report.
    init: Option<Duration>,
    step: Step,
    /// As in an init.
    broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Init inside the invocation.
    Init { failed: bool },
    /// The handler runs; `started` once a streamed response began.
    Handler { started: bool },
    /// The result is out, the process is not ready yet.
    Ended(Ending),
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    state: State,
    last_run: Run,
    retiring: bool,
    /// `Free` was said and no invocation has come since.
    free: bool,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { state: State::Cold { fresh: true }, last_run: Run(0), retiring: false, free: false }
    }
}

impl Lifecycle {
    /// Whether an invocation can be given now.
    #[must_use]
    pub fn accepts(&self) -> bool {
        !self.retiring && matches!(self.state, State::Cold { fresh: false } | State::Frozen { .. })
    }

    /// When to send [`Event::Tick`] unless something else happens before. Wherever a process may
    /// run there is one.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Cold { .. } | State::Frozen { .. } | State::Gone => None,
            State::Init { deadline, .. } | State::Dying { deadline, .. } => Some(deadline),
            State::Invoke(invoke) => Some(invoke.deadline),
        }
    }

    /// Takes an event at a time; `actions` are to be done in order.
    pub fn on(&mut self, event: Event, now: Moment, actions: &mut Vec<Action>) {
        match event {
            Event::Start => {
                if self.state == (State::Cold { fresh: true }) && !self.retiring {
                    let run = self.launch(Phase::Init, actions);
                    let deadline = now.plus(quota::INIT_MICROS);
                    self.state = State::Init { run, since: now, deadline, failed: false, broken: false };
                }
            }
            Event::Invoke { timeout } => self.invoke(timeout, now, actions),
            Event::LaunchFailed(run) => self.launch_failed(run, now, actions),
            Event::InitFailed(run) => self.init_failed(run, now),
            Event::Ready(run) => self.ready(run, now, actions),
            Event::ResponseStarted(run) => {
                if let State::Invoke(invoke) = &mut self.state
                    && invoke.run == run
                    && let Step::Handler { started } = &mut invoke.step
                {
                    *started = true;
                }
            }
            Event::ResponseEnded(run, ending) => self.response_ended(run, ending, actions),
            Event::Broken(run) => {
                if self.running() == Some(run) {
                    self.broken(now, actions);
                }
            }
            Event::Exited(run, status) => self.exited(run, status, now, actions),
            Event::Tick => {
                if self.deadline().is_some_and(|deadline| deadline <= now) {
                    self.overdue(now, actions);
                }
            }
            Event::Retire => self.retire(now, actions),
        }
    }

    fn running(&self) -> Option<Run> {
        match self.state {
            State::Cold { .. } | State::Gone => None,
            State::Init { run, .. } | State::Frozen { run, .. } | State::Dying { run, .. } => Some(run),
            State::Invoke(invoke) => Some(invoke.run),
        }
    }

    fn launch(&mut self, phase: Phase, actions: &mut Vec<Action>) -> Run {
        self.last_run = Run(self.last_run.0 + 1);
        actions.extend([Action::Line(Line::InitStart(phase)), Action::Launch(self.last_run)]);
        self.last_run
    }

    fn invoke(&mut self, timeout: u64, now: Moment, actions: &mut Vec<Action>) {
        if !self.accepts() {
            return;
        }
        self.free = false;
        let (run, init, step) = match self.state {
            State::Frozen { run, init } => {
                actions.extend([Action::Thaw(run), Action::Line(Line::Start), Action::Deliver(run)]);
                (run, init, Step::Handler { started: false })
            }
            // A suppressed init: it has the function's time, and no Init Duration is reported.
            State::Cold { .. } => (self.launch(Phase::Invoke, actions), None, Step::Init { failed: false }),
            State::Init { .. } | State::Invoke(_) | State::Dying { .. } | State::Gone => return,
        };
        let deadline = now.plus(timeout);
        self.state = State::Invoke(Invoke { run, since: now, timeout, deadline, init, step, broken: false });
    }

    fn launch_failed(&mut self, run: Run, now: Moment, actions: &mut Vec<Action>) {
        if self.running() != Some(run) {
            return;
        }
        match self.state {
            State::Init { since, .. } => {
                let (took, status) = (now.since(since), Status::LaunchFailed);
                actions.push(Action::Line(Line::InitReport { phase: Phase::Init, took, status }));
            }
            State::Invoke(invoke) => {
                conclude(invoke, Verdict::LaunchFailed, Status::LaunchFailed, now, actions)
            }
            State::Cold { .. } | State::Frozen { .. } | State::Dying { .. } | State::Gone => return,
        }
        self.end(actions);
    }

    fn init_failed(&mut self, event_run: Run, now: Moment) {
        match &mut self.state {
            State::Init { run, failed, deadline, broken: false, .. } if *run == event_run => {
                *failed = true;
                *deadline = (*deadline).min(now.plus(END_MICROS));
            }
            State::Invoke(Invoke { run, step: Step::Init { failed }, deadline, broken: false, .. })
                if *run == event_run =>
            {
                *failed = true;
                *deadline = (*deadline).min(now.plus(END_MICROS));
            }
            State::Cold { .. }
            | State::Init { .. }
            | State::Frozen { .. }
            | State::Invoke(_)
            | State::Dying { .. }
            | State::Gone => {}
        }
    }

    fn ready(&mut self, run: Run, now: Moment, actions: &mut Vec<Action>) {
        if self.running() != Some(run) {
            return;
        }
        match &mut self.state {
            State::Init { broken: true, .. } | State::Invoke(Invoke { broken: true, .. }) => {}
            State::Init { failed: true, .. } => self.broken(now, actions),
            State::Init { since, .. } => {
                let took = now.since(*since);
                let status = Status::Success;
                actions.push(Action::Line(Line::InitReport { phase: Phase::Init, took, status }));
                self.freeze(run, Some(took), now, actions);
            }
            State::Invoke(invoke) => match invoke.step {
                Step::Init { failed: true } => self.broken(now, actions),
                Step::Init { failed: false } => {
                    invoke.step = Step::Handler { started: false };
                    let took = now.since(invoke.since);
                    let status = Status::Success;
                    actions.extend([
                        Action::Line(Line::InitReport { phase: Phase::Invoke, took, status }),
                        Action::Line(Line::Start),
                        Action::Deliver(run),
                    ]);
                }
                // "next" without a result, and with nothing to give again: the rules are broken.
                Step::Handler { .. } => self.broken(now, actions),
                Step::Ended(ending) => {
                    let status = ending_status(ending);
                    finish_lines(*invoke, status, now, actions);
                    self.freeze(run, None, now, actions);
                }
            },
            // Twice "next": it is waiting already.
            State::Frozen { .. } => {}
            State::Cold { .. } | State::Dying { .. } | State::Gone => {}
        }
    }

    fn freeze(&mut self, run: Run, init: Option<Duration>, now: Moment, actions: &mut Vec<Action>) {
        if self.retiring {
            self.kill(run, now, actions);
            return;
        }
        self.state = State::Frozen { run, init };
        actions.push(Action::Freeze(run));
        self.set_free(actions);
    }

    fn set_free(&mut self, actions: &mut Vec<Action>) {
        if !self.free && !self.retiring {
            self.free = true;
            actions.push(Action::Free);
        }
    }

    fn response_ended(&mut self, run: Run, ending: Ending, actions: &mut Vec<Action>) {
        // A second result, or one of a dead process, is refused.
        if let State::Invoke(invoke) = &mut self.state
            && invoke.run == run
            && !invoke.broken
            && matches!(invoke.step, Step::Handler { .. })
        {
            invoke.step = Step::Ended(ending);
            // Free first: who reads the answer and asks again finds this environment.
            self.set_free(actions);
            actions.push(Action::Answer(Verdict::Posted(ending)));
        }
    }

    fn exited(&mut self, run: Run, status: ExitStatus, now: Moment, actions: &mut Vec<Action>) {
        if self.running() != Some(run) {
            return;
        }
        match self.state {
            State::Init { since, failed, .. } => {
                let status = if failed { Status::InitError } else { Status::Exited(status) };
                let took = now.since(since);
                actions.push(Action::Line(Line::InitReport { phase: Phase::Init, took, status }));
            }
            State::Frozen { .. } | State::Dying { .. } => {}
            State::Invoke(invoke) => match invoke.step {
                Step::Init { failed: true } => {
                    conclude(invoke, Verdict::InitFailed, Status::InitError, now, actions);
                }
                Step::Init { failed: false } | Step::Handler { .. } | Step::Ended(_) => {
                    conclude(invoke, Verdict::Exited(status), Status::Exited(status), now, actions);
                }
            },
            State::Cold { .. } | State::Gone => return,
        }
        self.end(actions);
    }

    /// The process is gone: Reset to Cold, or the end.
    fn end(&mut self, actions: &mut Vec<Action>) {
        if self.retiring {
            self.state = State::Gone;
            actions.push(Action::Gone);
        } else {
            self.state = State::Cold { fresh: false };
            self.set_free(actions);
        }
    }

    fn overdue(&mut self, now: Moment, actions: &mut Vec<Action>) {
        match self.state {
            State::Init { run, since, failed, broken, .. } => {
                let status = match (failed, broken) {
                    (true, _) => Status::InitError,
                    (false, true) => Status::Exited(KILLED),
                    (false, false) => Status::Timeout,
                };
                let took = now.since(since);
                actions.push(Action::Line(Line::InitReport { phase: Phase::Init, took, status }));
                self.kill(run, now, actions);
            }
            State::Invoke(invoke) => {
                let (verdict, status) = match invoke.step {
                    Step::Init { failed: true } => (Verdict::InitFailed, Status::InitError),
                    Step::Init { failed: false } | Step::Handler { .. } | Step::Ended(_) if invoke.broken => {
                        (Verdict::Exited(KILLED), Status::Exited(KILLED))
                    }
                    Step::Init { failed: false } | Step::Handler { .. } | Step::Ended(_) => {
                        (Verdict::TimedOut, Status::Timeout)
                    }
                };
                conclude(invoke, verdict, status, now, actions);
                self.kill(invoke.run, now, actions);
            }
            State::Dying { run, .. } => self.kill(run, now, actions),
            State::Cold { .. } | State::Frozen { .. } | State::Gone => {}
        }
    }

    /// Kills a process that broke the rules. Its end follows and says the rest; where it does not,
    /// the deadline does.
    fn broken(&mut self, now: Moment, actions: &mut Vec<Action>) {
        match &mut self.state {
            State::Init { run, deadline, broken, .. }
            | State::Invoke(Invoke { run, deadline, broken, .. }) => {
                *broken = true;
                *deadline = (*deadline).min(now.plus(END_MICROS));
                actions.push(Action::Kill(*run));
            }
            // The next invocation must not be given to a process that is about to end.
            State::Frozen { run, .. } => {
                let run = *run;
                self.kill(run, now, actions);
            }
            State::Cold { .. } | State::Dying { .. } | State::Gone => {}
        }
    }

    fn kill(&mut self, run: Run, now: Moment, actions: &mut Vec<Action>) {
        self.state = State::Dying { run, deadline: now.plus(END_MICROS) };
        actions.push(Action::Kill(run));
    }

    fn retire(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.retiring = true;
        match self.state {
            State::Cold { .. } => self.end(actions),
            State::Init { run, .. } | State::Frozen { run, .. } => self.kill(run, now, actions),
            State::Invoke(_) | State::Dying { .. } | State::Gone => {}
        }
    }
}

fn ending_status(ending: Ending) -> Status {
    match ending {
        Ending::Success => Status::Success,
        Ending::Error => Status::Error,
    }
}

/// An invocation that ends otherwise than by "next": its lines, and its answer if it has none yet.
fn conclude(invoke: Invoke, verdict: Verdict, status: Status, now: Moment, actions: &mut Vec<Action>) {
    if let Step::Init { .. } = invoke.step {
        let took = now.since(invoke.since);
        actions.push(Action::Line(Line::InitReport { phase: Phase::Invoke, took, status }));
        actions.push(Action::Line(Line::Start));
    }
    finish_lines(invoke, status, now, actions);
    // After REPORT, as public logs of 2017 to 2019 have it.
    match status {
        Status::Exited(status) => actions.push(Action::Line(Line::Fault(status))),
        Status::Timeout => actions.push(Action::Line(Line::TimedOut(invoke.timeout))),
        Status::Success | Status::Error | Status::InitError | Status::LaunchFailed => {}
    }
    match invoke.step {
        Step::Init { .. } | Step::Handler { .. } => actions.push(Action::Answer(verdict)),
        Step::Ended(_) => {}
    }
}

fn finish_lines(invoke: Invoke, status: Status, now: Moment, actions: &mut Vec<Action>) {
    let took = now.since(invoke.since);
    actions.push(Action::Line(Line::End { took, status }));
    actions.push(Action::Line(Line::Report { took, init: invoke.init, status }));
}
