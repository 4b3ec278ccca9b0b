//! The queues' time: the wall's, which leases need over restarts, but never backwards and never twice the same.
//!
//! Deliberately not here: what the times are for.

use std::time::{Duration, Instant, SystemTime};

use crate::queue_desk::signed;

/// Microseconds since 1970. It runs with the machine's monotonic clock and follows the wall's only forwards: were
/// the wall's set back, messages would not be ready for as long.
pub(crate) struct QueueClock {
    base: i64,
    begun: Instant,
    last: i64,
}

impl QueueClock {
    /// Not before `noted`, a former process's time.
    pub(crate) fn new(noted: i64) -> Self {
        Self { base: noted.max(wall()), begun: Instant::now(), last: noted }
    }

    /// Now, later than any time answered before.
    pub(crate) fn tick(&mut self) -> i64 {
        let wall = wall();
        let passed = signed(u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX));
        // The machine slept, or its clock was put forward.
        self.base = self.base.max(wall - passed);
        self.last = (self.base + passed).max(self.last + 1);
        self.last
    }

    /// When a message is said to have been sent.
    pub(crate) fn wall(&self) -> i64 {
        wall()
    }

    /// How long it is until then.
    pub(crate) fn until(&mut self, then: i64) -> Duration {
        Duration::from_micros(u64::try_from(then - self.tick()).unwrap_or(0))
    }
}

fn wall() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    signed(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
