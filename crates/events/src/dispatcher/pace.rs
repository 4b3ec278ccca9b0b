//! How many events of one function run at once. The more the better, as long as more are done for it: on
//! a function that waits for others the number grows to whatever the door takes, on one that computes it stays
//! near the number of cores. A throttle makes it smaller, so that synchronous calls get through.
//!
//! Deliberately not here: what runs. This is a value that is told what happened and when.

use std::time::Duration;

use lambkin_model::error::ThrottleReason;
use tokio::time::Instant;

/// Where it begins.
const FIRST: usize = 4;
/// Shortest time over which a rate means something.
const ROUND: Duration = Duration::from_millis(20);
/// Rounds between two looks at whether more, or less, would do.
const ROUNDS: u32 = 8;
/// While it doubles, by so much more must be done.
const DOUBLING_GAIN: f64 = 1.25;
/// What a larger window must gain to stay.
const GROWING_GAIN: f64 = 1.05;
/// What a smaller window may lose to stay.
const SHRINKING_LOSS: f64 = 0.98;

/// The window of one function.
#[derive(Debug)]
pub(crate) struct Pace {
    window: usize,
    most: usize,
    trying: Trying,
    /// Ends per second at the window that is kept.
    best: f64,
    began: Instant,
    ended: usize,
    /// Whether the window was used up all the round.
    full: bool,
    rounds: u32,
    /// Times in a row that nothing ran.
    refusals: u8,
    resume: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trying {
    Doubling,
    Nothing,
    More(usize),
    Less(usize),
}

impl Pace {
    pub(crate) fn new(now: Instant, most: usize) -> Self {
        Self {
            window: FIRST.min(most).max(1),
            most: most.max(1),
            trying: Trying::Doubling,
            best: 0.0,
            began: now,
            ended: 0,
            full: true,
            rounds: 0,
            refusals: 0,
            resume: None,
        }
    }

    /// How many may run.
    pub(crate) fn window(&self) -> usize {
        self.window
    }

    /// Until when nothing is to be started.
    pub(crate) fn paused(&self, now: Instant) -> Option<Instant> {
        self.resume.filter(|resume| *resume > now)
    }

    /// Something changed: it may be worth another try at once.
    pub(crate) fn resume(&mut self) {
        self.resume = None;
        self.refusals = 0;
    }

    /// There was less to do than the window allows: this round says nothing.
    pub(crate) fn starved(&mut self) {
        self.full = false;
    }

    /// An attempt ended, well or not.
    pub(crate) fn ended(&mut self, now: Instant) {
        self.refusals = 0;
        self.resume = None;
        self.ended += 1;
        let passed = now.saturating_duration_since(self.began);
        if self.ended < self.window.max(FIRST) || passed < ROUND {
            return;
        }
        if self.full {
            #[expect(clippy::cast_precision_loss, reason = "counts of a moment")]
            let rate = self.ended as f64 / passed.as_secs_f64();
            self.learn(rate);
        }
        self.begin(now);
    }

    fn begin(&mut self, now: Instant) {
        (self.began, self.ended, self.full) = (now, 0, true);
    }

    fn learn(&mut self, rate: f64) {
        match self.trying {
            Trying::Doubling if self.window < self.most && rate > self.best * DOUBLING_GAIN => {
                self.best = rate;
                self.window = (self.window * 2).min(self.most);
            }
            Trying::Doubling => {
                // The last doubling brought nothing.
                if rate <= self.best * DOUBLING_GAIN {
                    self.window = (self.window / 2).max(1);
                }
                self.best = self.best.max(rate);
                self.keep();
            }
            Trying::More(before) => {
                if rate > self.best * GROWING_GAIN {
                    self.best = rate;
                } else {
                    self.window = before;
                }
                self.keep();
            }
            Trying::Less(before) => {
                if rate >= self.best * SHRINKING_LOSS {
                    self.best = rate;
                } else {
                    self.window = before;
                }
                self.keep();
            }
            Trying::Nothing => {
                // What is usual may change with what the events are.
                self.best = self.best * 0.7 + rate * 0.3;
                self.rounds += 1;
                let step = (self.window / 4).max(1);
                if self.rounds.is_multiple_of(2 * ROUNDS) && self.window > 1 {
                    self.trying = Trying::Less(self.window);
                    self.window -= step.min(self.window - 1);
                } else if self.rounds.is_multiple_of(ROUNDS) && self.window < self.most {
                    self.trying = Trying::More(self.window);
                    self.window = (self.window + step).min(self.most);
                }
            }
        }
    }

    fn keep(&mut self) {
        self.trying = Trying::Nothing;
    }

    /// The door was shut while `others` of the function's events ran. `pause` is how long to wait where
    /// there are none, whose end would open it.
    pub(crate) fn throttled(
        &mut self,
        now: Instant,
        reason: ThrottleReason,
        others: usize,
        pause: impl FnOnce(u8) -> Duration,
    ) {
        self.trying = Trying::Nothing;
        self.begin(now);
        self.window = match reason {
            // Its own bound: it is found, and nobody else suffers.
            ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded => others,
            // Everybody's: half is left to others.
            ThrottleReason::ConcurrentInvocationLimitExceeded | ThrottleReason::CallerRateLimitExceeded => {
                others / 2
            }
        }
        .clamp(1, self.most);
        if others == 0 {
            self.refused(now, pause);
        }
    }

    /// Nothing runs, and another try would find as much.
    pub(crate) fn refused(&mut self, now: Instant, pause: impl FnOnce(u8) -> Duration) {
        self.window = 1;
        self.trying = Trying::Doubling;
        self.best = 0.0;
        self.begin(now);
        self.resume = Some(now + pause(self.refusals));
        self.refusals = self.refusals.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of a function whose rate depends on the window; answers with the window at the end.
    fn settle(pace: &mut Pace, now: &mut Instant, rounds: usize, rate: impl Fn(usize) -> f64) -> usize {
        for _ in 0..rounds {
            let window = pace.window();
            let ends = window.max(FIRST).max((rate(window) * 0.021) as usize + 1);
            let each = Duration::from_secs_f64(1.0 / rate(window));
            for _ in 0..ends {
                *now += each;
                pace.ended(*now);
            }
        }
        pace.window()
    }

    #[test]
    fn finds_how_many_are_of_use() {
        for (what, most, rate, window) in [
            // A second each, however many: as many as the door takes.
            ("waits", 900, (|window| window as f64) as fn(usize) -> f64, 800..=900),
            // Two cores, a millisecond each.
            ("computes", 900, |window| 1000.0 * window.min(2) as f64, 1..=8),
            // Sixteen at a time, somewhere behind it.
            ("is bounded", 900, |window| 100.0 * window.min(16) as f64, 12..=24),
            ("is alone", 1, |window| window as f64, 1..=1),
        ] {
            let mut now = Instant::now();
            let mut pace = Pace::new(now, most);
            let found = settle(&mut pace, &mut now, 400, rate);
            assert!(window.contains(&found), "{what}: {found}");
        }
    }

    #[test]
    fn throttles_make_it_smaller_and_pauses_grow() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now, 900);
        settle(&mut pace, &mut now, 20, |window| window as f64);
        assert!(pace.window() > 100);
        let (own, all) = (
            ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded,
            ThrottleReason::ConcurrentInvocationLimitExceeded,
        );
        let pause = |refusals: u8| Duration::from_secs(1 << refusals);
        pace.throttled(now, own, 60, pause);
        assert_eq!((pace.window(), pace.paused(now)), (60, None));
        pace.throttled(now, all, 60, pause);
        assert_eq!((pace.window(), pace.paused(now)), (30, None));
        for seconds in [1, 2, 4] {
            pace.throttled(now, all, 0, pause);
            let resume = now + Duration::from_secs(seconds);
            assert_eq!((pace.window(), pace.paused(now)), (1, Some(resume)));
            now = resume;
            assert_eq!(pace.paused(now), None);
        }
        pace.ended(now);
        pace.throttled(now, own, 0, pause);
        assert_eq!(pace.paused(now), Some(now + Duration::from_secs(1)), "from the beginning again");
        pace.resume();
        assert_eq!(pace.paused(now), None);
    }
}
