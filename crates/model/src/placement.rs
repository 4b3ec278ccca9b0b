//! Where an invocation goes: the decision alone, over counts.

use std::time::Duration;

/// Invocations shorter than this are over sooner than an idle process is awake with its memory in the
/// caches. Measured: at 16 connections on 2 cores, waking one of 16 processes for each invocation of
/// some 50 µs gives two thirds of the throughput of keeping 2 of them busy.
const BRISK: Duration = Duration::from_micros(400);

/// What there is when an invocation arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fleet {
    /// Frozen environments of the version.
    pub idle: usize,
    /// Environments being started, no invocation bound to them.
    pub starting: usize,
    /// Environments that run an invocation.
    pub running: usize,
    /// Invocations that wait for an environment, this one not among them.
    pub waiting: usize,
    /// Invocations that linger for a running environment although there is an idle one for each.
    pub lingering: usize,
    /// How long invocations of the version take lately, at the longest.
    pub lately: Duration,
    /// Cores of this machine.
    pub cores: usize,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Run in the most recently used idle environment.
    UseIdle,
    /// Every core is busy and running environments are about to become free: wait for one, and take
    /// an idle one if that does not happen within a millisecond.
    Linger,
    /// Start an environment, and wait for the first that becomes free, new or used.
    StartAndWait,
    /// Enough are being started: wait for the first that becomes free.
    Wait,
}

/// Decides for one invocation.
#[must_use]
pub fn place(fleet: Fleet) -> Placement {
    if fleet.idle > fleet.lingering {
        let brisk = fleet.lately < BRISK;
        if brisk && fleet.running >= fleet.cores { Placement::Linger } else { Placement::UseIdle }
    } else if fleet.starting > fleet.waiting {
        Placement::Wait
    } else {
        Placement::StartAndWait
    }
}

/// The new value of [`Fleet::lately`] after an invocation that took `took`: the longest, forgotten by
/// an eighth with each shorter one.
#[must_use]
pub fn lately(before: Duration, took: Duration) -> Duration {
    took.max(before - before / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides() {
        let (brisk, slow) = (Duration::from_micros(50), Duration::from_millis(5));
        for (idle, starting, running, waiting, lingering, lately, expected) in [
            (1, 0, 0, 0, 0, brisk, Placement::UseIdle),
            (2, 5, 1, 5, 0, brisk, Placement::UseIdle),
            (2, 0, 2, 0, 0, slow, Placement::UseIdle),
            (2, 0, 2, 0, 0, brisk, Placement::Linger),
            (2, 0, 2, 0, 1, brisk, Placement::Linger),
            (2, 0, 2, 0, 2, brisk, Placement::StartAndWait),
            (0, 0, 2, 0, 0, brisk, Placement::StartAndWait),
            (0, 1, 2, 1, 0, brisk, Placement::StartAndWait),
            (0, 2, 2, 1, 0, brisk, Placement::Wait),
        ] {
            let fleet = Fleet { idle, starting, running, waiting, lingering, lately, cores: 2 };
            assert_eq!(place(fleet), expected, "{fleet:?}");
        }
    }

    #[test]
    fn one_long_invocation_is_remembered_for_a_while() {
        let mut recent = lately(Duration::ZERO, Duration::from_millis(3));
        let mut count = 0;
        while recent >= BRISK {
            recent = lately(recent, Duration::from_micros(50));
            count += 1;
        }
        assert!((10..30).contains(&count), "{count}");
    }
}
