//! Where an invocation goes, what its environment counts, and who makes room for it: the decisions
//! alone, over counts.

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

/// What an environment counts of the machine's memory, in bytes: its function's `memory` until it
/// was measured, and then the most it was `measured` to use (0: not yet), which the kernel's mark
/// never forgets. More than the function's memory it may not use, and where that is more than the
/// whole `budget` it has the budget for itself.
#[must_use]
pub fn charge(memory: u64, measured: u64, budget: u64) -> u64 {
    let most = memory.min(budget);
    if measured == 0 { most } else { measured.min(most) }
}

/// How many idle environments are to go, where `excess` environments are too many and `short` bytes
/// are missing. `idle` is what each of them counts, the one idle longest first.
///
/// Where all of them together would not free enough bytes, none goes for the memory's sake: what
/// runs has to end first, and they may still be of use.
#[must_use]
pub fn retire(idle: impl IntoIterator<Item = u64>, excess: usize, short: u64) -> usize {
    let (mut count, mut freed, mut enough) = (0, 0_u64, (short == 0).then_some(0));
    for bytes in idle {
        count += 1;
        freed = freed.saturating_add(bytes);
        if freed >= short && enough.is_none() {
            enough = Some(count);
        }
    }
    enough.unwrap_or(0).max(excess.min(count))
}

#[cfg(test)]
mod tests {
    use super::{Fleet, Placement, charge, place, retire};

    #[test]
    fn charges() {
        for (memory, measured, budget, expected) in [
            (128, 0, 1000, 128),
            (128, 50, 1000, 50),
            (128, 128, 1000, 128),
            // Without a jail nothing holds it to its memory.
            (128, 300, 1000, 128),
            (3008, 0, 1000, 1000),
            (3008, 60, 1000, 60),
            (3008, 2000, 1000, 1000),
        ] {
            assert_eq!(charge(memory, measured, budget), expected, "{memory} {measured} {budget}");
        }
    }

    #[test]
    fn retires() {
        for (idle, excess, short, expected) in [
            (&[][..], 0, 0, 0),
            (&[], 1, 0, 0),
            (&[], 0, 1, 0),
            (&[50, 50, 50], 0, 0, 0),
            (&[50, 50, 50], 1, 0, 1),
            (&[50, 50, 50], 9, 0, 3),
            (&[50, 50, 50], 0, 1, 1),
            (&[50, 50, 50], 0, 50, 1),
            (&[50, 50, 50], 0, 51, 2),
            (&[50, 50, 50], 0, 150, 3),
            // They would go in vain.
            (&[50, 50, 50], 0, 151, 0),
            (&[50, 50, 50], 1, 151, 1),
            (&[10, 200, 10], 0, 100, 2),
            (&[10, 200, 10], 3, 100, 3),
        ] {
            assert_eq!(retire(idle.iter().copied(), excess, short), expected, "{idle:?} {excess} {short}");
        }
    }

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
