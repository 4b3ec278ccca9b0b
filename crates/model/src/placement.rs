//! Where an invocation goes: the decision alone, over counts.

/// What there is when an invocation arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fleet {
    /// Frozen environments of the version.
    pub idle: usize,
    /// Environments being started, no invocation bound to them.
    pub starting: usize,
    /// Invocations that wait for an environment, this one not among them.
    pub waiting: usize,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Run in the most recently used idle environment.
    UseIdle,
    /// Start an environment, and wait for the first that becomes free, new or used.
    StartAndWait,
    /// Enough are being started: wait for the first that becomes free.
    Wait,
}

/// Decides for one invocation.
#[must_use]
pub fn place(fleet: Fleet) -> Placement {
    if fleet.idle > 0 {
        Placement::UseIdle
    } else if fleet.starting > fleet.waiting {
        Placement::Wait
    } else {
        Placement::StartAndWait
    }
}

#[cfg(test)]
mod tests {
    use super::{Fleet, Placement, place};

    #[test]
    fn decides() {
        for (idle, starting, waiting, expected) in [
            (1, 0, 0, Placement::UseIdle),
            (2, 5, 5, Placement::UseIdle),
            (0, 0, 0, Placement::StartAndWait),
            (0, 1, 1, Placement::StartAndWait),
            (0, 2, 1, Placement::Wait),
        ] {
            assert_eq!(place(Fleet { idle, starting, waiting }), expected);
        }
    }
}
