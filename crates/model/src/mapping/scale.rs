//! How many batches of a mapping run at once: as AWS says of its pollers, few at first, more while
//! messages wait, fewer when the function fails or is throttled.
//!
//! Deliberately not here: batches; clocks (time is an argument).

use crate::time::Moment;

/// Batches at once where it begins.
pub const FIRST: usize = 5;
/// More of them a minute, while messages wait.
pub const MORE_A_MINUTE: u64 = 300;
/// Most of them.
pub const MOST: usize = 1000;

const MINUTE: u64 = 60_000_000;
/// It does not grow for so long after the function did not cope, in microseconds.
const REST: u64 = 10_000_000;

/// The bound on a mapping's batches, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    limit: usize,
    /// Since when messages have waited for a batch to end, less what was paid out of it.
    waiting: Option<Moment>,
    /// It does not grow before.
    rest: Moment,
}

impl Default for Scale {
    fn default() -> Self {
        Self { limit: FIRST, waiting: None, rest: Moment::default() }
    }
}

impl Scale {
    /// Batches that may run at once, by `MaximumConcurrency`.
    #[must_use]
    pub fn limit(&self, maximum: Option<u32>) -> usize {
        self.limit.min(most(maximum))
    }

    /// All that may run do, and messages wait: as time goes on there may be more. Says when the next one
    /// may run; `None`: not before one ends.
    pub fn wait(&mut self, now: Moment, maximum: Option<u32>) -> Option<Moment> {
        let step = MINUTE / MORE_A_MINUTE;
        let since = (*self.waiting.get_or_insert(now)).max(self.rest);
        let more = u64::try_from(now.since(since).as_micros()).unwrap_or(u64::MAX) / step;
        self.limit = self.limit.saturating_add(usize::try_from(more).unwrap_or(usize::MAX)).min(MOST);
        let since = since.plus(more * step);
        self.waiting = Some(since);
        (self.limit < most(maximum)).then(|| since.plus(step))
    }

    /// Nothing waits any more.
    pub fn empty(&mut self) {
        self.waiting = None;
        self.limit = self.limit.min(FIRST);
    }

    /// The function was throttled.
    pub fn throttled(&mut self, now: Moment) {
        self.rest(now);
        self.limit = (self.limit / 2).max(1);
    }

    /// The function failed, or could not be run. As failures are, it does not go below two.
    pub fn failed(&mut self, now: Moment) {
        self.rest(now);
        self.limit = self.limit.min((self.limit * 3 / 4).max(2));
    }

    fn rest(&mut self, now: Moment) {
        self.waiting = None;
        self.rest = now.plus(REST);
    }

    /// A batch was processed: what was taken away by failures comes back.
    pub fn succeeded(&mut self) {
        if self.limit < FIRST {
            self.limit += 1;
        }
    }
}

fn most(maximum: Option<u32>) -> usize {
    maximum.map_or(MOST, |maximum| usize::try_from(maximum).unwrap_or(MOST).min(MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn grows_by_three_hundred_a_minute_while_messages_wait() {
        let mut scale = Scale::default();
        assert_eq!((scale.limit(None), scale.limit(Some(2))), (5, 2));
        assert_eq!(scale.wait(Moment(0), None), Some(Moment(SECOND / 5)));
        assert_eq!(scale.limit(None), 5);
        scale.wait(Moment(10 * SECOND), None);
        assert_eq!(scale.limit(None), 55);
        // Asked often or seldom, it is the same.
        for at in (10 * SECOND..20 * SECOND).step_by(7_777) {
            scale.wait(Moment(at), None);
        }
        scale.wait(Moment(20 * SECOND), None);
        assert_eq!(scale.limit(None), 105);
        assert_eq!(scale.wait(Moment(1_000 * SECOND), None), None);
        assert_eq!((scale.limit(None), scale.limit(Some(17))), (1000, 17));
        scale.empty();
        assert_eq!(scale.limit(None), 5);
    }

    #[test]
    fn a_maximum_is_waited_for_no_longer() {
        let mut scale = Scale::default();
        assert_eq!(scale.wait(Moment(0), Some(5)), None);
        assert_eq!(scale.wait(Moment(0), Some(6)), Some(Moment(SECOND / 5)));
    }

    #[test]
    fn shrinks_when_the_function_does_not_cope_and_comes_back() {
        let mut scale = Scale::default();
        scale.wait(Moment(0), None);
        scale.wait(Moment(11 * SECOND), None);
        assert_eq!(scale.limit(None), 60);
        let failures: Vec<usize> = (0..4)
            .map(|_| {
                scale.failed(Moment(11 * SECOND));
                scale.limit(None)
            })
            .collect();
        assert_eq!(failures, [45, 33, 24, 18]);
        for _ in 0..20 {
            scale.failed(Moment(11 * SECOND));
        }
        assert_eq!(scale.limit(None), 2);
        for _ in 0..20 {
            scale.throttled(Moment(11 * SECOND));
        }
        assert_eq!(scale.limit(None), 1);
        // A failure after a throttle does not raise it.
        scale.failed(Moment(11 * SECOND));
        assert_eq!(scale.limit(None), 1);
        // It rests for ten seconds before it grows by itself.
        assert_eq!(scale.wait(Moment(12 * SECOND), None), Some(Moment(21 * SECOND + SECOND / 5)));
        assert_eq!(scale.limit(None), 1);
        for _ in 0..20 {
            scale.succeeded();
        }
        assert_eq!(scale.limit(None), 5);
    }
}
