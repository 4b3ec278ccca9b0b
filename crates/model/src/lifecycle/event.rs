//! What can happen to an execution environment.

use crate::exit::ExitStatus;

/// Number of a process of one environment, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run(pub u32);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Init ahead of any invocation is wanted. Once, first.
    Start,
    /// An invocation was accepted, with the function's timeout in microseconds. Only where
    /// [`Lifecycle::accepts`](super::Lifecycle::accepts).
    Invoke {
        /// Microseconds.
        timeout: u64,
    },
    /// No process could be started.
    LaunchFailed(Run),
    /// The process reported that its init failed; it exits next.
    InitFailed(Run),
    /// The process asks for the next invocation.
    Ready(Run),
    /// A streaming handler's response began.
    ResponseStarted(Run),
    /// The invocation's result is complete.
    ResponseEnded(Run, Ending),
    /// The process broke the rules of the channel or closed it.
    Broken(Run),
    /// The process, and all it started, has ended.
    Exited(Run, ExitStatus),
    /// The time is (at least) the deadline's.
    Tick,
    /// The environment is not wanted any more: go when the running invocation is over.
    Retire,
}

/// How a posted result ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// A result.
    Success,
    /// An error that the function reported.
    Error,
}
