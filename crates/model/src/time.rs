//! Points in time as values. Nothing here reads a clock.

use std::time::Duration;

/// A monotonic instant, in microseconds since the process's own start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The instant `micros` later.
    #[must_use]
    pub fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The time since `earlier`; zero where that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Wall-clock time, in microseconds since 1970 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Milliseconds since 1970, as log events and deadlines count.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0 / 1000
    }

    fn jiff(self) -> jiff::Timestamp {
        i64::try_from(self.0)
            .ok()
            .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
            .unwrap_or_default()
    }

    /// `2026-01-02T03:04:05.678Z`, as log lines print it.
    #[must_use]
    pub fn iso(self) -> String {
        self.jiff().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// `2026-01-02T03:04:05.678+0000`, as `LastModified` prints it.
    #[must_use]
    pub fn last_modified(self) -> String {
        self.jiff().strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
    }

    /// `2026/01/02`, as log stream names begin.
    #[must_use]
    pub fn date_path(self) -> String {
        self.jiff().strftime("%Y/%m/%d").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_aws_does() {
        let at = Timestamp(1_767_323_045_678_901);
        assert_eq!(at.iso(), "2026-01-02T03:04:05.678Z");
        assert_eq!(at.last_modified(), "2026-01-02T03:04:05.678+0000");
        assert_eq!(at.date_path(), "2026/01/02");
    }
}
