//! How many messages of a queue are visible, leased and delayed, without a look at them: leases and delays are
//! counted by when they end.
//!
//! Deliberately not here: which messages they are.

use std::collections::BTreeMap;
use std::time::Duration;

/// Counts of one queue.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// All messages.
    pub total: u64,
    /// Those held by this process.
    pub held: u64,
    pub leased: u64,
    pub delayed: u64,
    /// Leases and delays by the time they end. [`end`] keeps the number of different times small.
    ends: BTreeMap<i64, Ending>,
    /// Ends up to here are taken off.
    passed: i64,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Ending {
    leased: u64,
    delayed: u64,
}

impl Tally {
    /// Takes off what has ended by now.
    pub(crate) fn pass(&mut self, now: i64) {
        self.passed = self.passed.max(now);
        while let Some(entry) = self.ends.first_entry() {
            if *entry.key() > self.passed {
                return;
            }
            let ending = entry.remove();
            self.leased -= ending.leased;
            self.delayed -= ending.delayed;
        }
    }

    /// So many messages are leased or delayed until then.
    pub(crate) fn add(&mut self, until: i64, leased: bool, count: u64) {
        if until <= self.passed {
            return;
        }
        let ending = self.ends.entry(until).or_default();
        if leased {
            ending.leased += count;
            self.leased += count;
        } else {
            ending.delayed += count;
            self.delayed += count;
        }
    }

    /// A message is not leased or delayed any more.
    pub(crate) fn subtract(&mut self, until: i64, leased: bool) {
        if until <= self.passed {
            return;
        }
        let Some(ending) = self.ends.get_mut(&until) else { return };
        if leased {
            ending.leased -= 1;
            self.leased -= 1;
        } else {
            ending.delayed -= 1;
            self.delayed -= 1;
        }
        if *ending == Ending::default() {
            self.ends.remove(&until);
        }
    }

    pub(crate) fn visible(&self) -> u64 {
        self.total.saturating_sub(self.held + self.leased + self.delayed)
    }
}

/// When a lease or delay that begins now ends, up to a hundredth later: a queue has at most some 46,000 different
/// ends in twelve hours, however many messages it has.
pub(crate) fn end(now: i64, lasts: Duration) -> i64 {
    const SECOND: i64 = 1_000_000;
    let lasts = i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
    let grain = match lasts {
        ..=0 => return now,
        1..SECOND => 1_000,
        SECOND..10_000_000 => 10_000,
        10_000_000..100_000_000 => 100_000,
        _ => SECOND,
    };
    let until = now + lasts;
    until + (grain - until % grain) % grain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_has_not_ended() {
        let mut tally = Tally { total: 5, ..Tally::default() };
        tally.pass(10);
        tally.add(20, true, 2);
        tally.add(20, false, 1);
        tally.add(30, false, 1);
        tally.add(10, true, 1);
        assert_eq!((tally.visible(), tally.leased, tally.delayed), (1, 2, 2));
        tally.subtract(20, true);
        tally.subtract(30, false);
        assert_eq!((tally.visible(), tally.leased, tally.delayed), (3, 1, 1));
        tally.pass(20);
        tally.subtract(20, true);
        assert_eq!((tally.visible(), tally.leased, tally.delayed), (5, 0, 0));
        assert!(tally.ends.is_empty());
    }

    #[test]
    fn ends_are_few_and_never_early() {
        for (now, lasts, expected) in [
            (7, Duration::ZERO, 7),
            (7, Duration::from_micros(1), 1_000),
            (1_000, Duration::from_millis(5), 6_000),
            (1, Duration::from_secs(1), 1_010_000),
            (1, Duration::from_secs(30), 30_100_000),
            (1, Duration::from_secs(900), 901_000_000),
        ] {
            assert_eq!(end(now, lasts), expected);
        }
    }
}
