//! What the lifecycle tells its driver to do, and what it has it say.

use std::time::Duration;

use super::event::{Ending, Run};
use crate::exit::ExitStatus;

/// What the driver is to do, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start the process.
    Launch(Run),
    /// Let it run.
    Thaw(Run),
    /// Send it the invocation.
    Deliver(Run),
    /// Stop it from running.
    Freeze(Run),
    /// Kill it and all it started.
    Kill(Run),
    /// Write a platform log line.
    Line(Line),
    /// Answer the invocation. Exactly once for each.
    Answer(Verdict),
    /// From now on the environment can be given its next invocation; it is taken up as soon as
    /// [`Lifecycle::accepts`](super::Lifecycle::accepts).
    Free,
    /// The environment is over.
    Gone,
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// With the posted result.
    Posted(Ending),
    /// Init inside it failed, with the posted error.
    InitFailed,
    /// The process ended without a result.
    Exited(ExitStatus),
    /// Its time was over.
    TimedOut,
    /// No process could be started: lambkin's failure.
    LaunchFailed,
}

/// A platform log line, without its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// INIT_START.
    InitStart(Phase),
    /// INIT_REPORT.
    InitReport {
        /// Where init ran.
        phase: Phase,
        /// How long.
        took: Duration,
        /// How it ended.
        status: Status,
    },
    /// START.
    Start,
    /// `Task timed out after …`, with the timeout in microseconds.
    TimedOut(u64),
    /// `Error: Runtime exited …`.
    Fault(ExitStatus),
    /// END.
    End {
        /// How long it ran.
        took: Duration,
        /// How it ended.
        status: Status,
    },
    /// REPORT.
    Report {
        /// How long it ran.
        took: Duration,
        /// Init Duration, where this was the first invocation after it.
        init: Option<Duration>,
        /// How it ended.
        status: Status,
    },
}

/// Where an init ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Ahead of the first invocation.
    Init,
    /// Inside an invocation, under the function's timeout.
    Invoke,
}

/// How an init or an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Well.
    Success,
    /// The function reported an error.
    Error,
    /// The error that the process posted before it failed in init.
    InitError,
    /// The process ended.
    Exited(ExitStatus),
    /// Time was over.
    Timeout,
    /// No process could be started.
    LaunchFailed,
}
