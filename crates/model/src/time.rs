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

    /// Reads a time of ISO 8601 with its zone, such as `2026-01-02T03:04:05Z`; none before 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(at.as_microsecond()).ok().map(Self)
    }

    /// `20260102T030405Z`, as signatures have it.
    #[must_use]
    pub fn basic(self) -> String {
        self.jiff().strftime("%Y%m%dT%H%M%SZ").to_string()
    }

    /// Reads that form, and no other.
    #[must_use]
    pub fn parse_basic(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
            return None;
        }
        let digits = |from: usize, to: usize| {
            let part = text.get(from..to)?;
            if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse::<i16>().ok() } else { None }
        };
        let two = |from: usize| i8::try_from(digits(from, from + 2)?).ok();
        let (year, month, day) = (digits(0, 4)?, two(4)?, two(6)?);
        let time = jiff::civil::DateTime::new(year, month, day, two(9)?, two(11)?, two(13)?, 0).ok()?;
        let time = jiff::tz::Offset::UTC.to_timestamp(time).ok()?;
        u64::try_from(time.as_microsecond()).ok().map(Self)
    }

    /// `2026-01-02T03:04:05.678+0000`, as `LastModified` prints it.
    #[must_use]
    pub fn last_modified(self) -> String {
        self.jiff().strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
    }

    /// `02/Jan/2026:03:04:05 +0000`, as a function URL's event has it.
    #[must_use]
    pub fn common_log(self) -> String {
        self.jiff().strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
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
        assert_eq!(at.common_log(), "02/Jan/2026:03:04:05 +0000");
    }
}
