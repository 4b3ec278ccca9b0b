//! Periods of `bin`, `datefloor` and `dateceil`: a length, or months of the calendar (UTC).

const DAY: f64 = 864e5;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Period {
    Millis(f64),
    Months(f64),
}

impl Period {
    /// `5` and `m`; every name of a unit may have an s.
    pub(super) fn of(count: f64, unit: &str) -> Option<Self> {
        let unit = if unit.len() > 1 {
            unit.strip_suffix('s').filter(|rest| *rest != "m").unwrap_or(unit)
        } else {
            unit
        };
        let millis = |length: f64| Self::Millis(count * length);
        let period = match unit {
            "ms" | "msec" | "millisecond" => millis(1.0),
            "s" | "sec" | "second" => millis(1e3),
            "m" | "min" | "minute" => millis(6e4),
            "h" | "hr" | "hour" => millis(36e5),
            "d" | "day" => millis(DAY),
            "w" | "week" => millis(7.0 * DAY),
            "mo" | "mon" | "month" => Self::Months(count),
            "q" | "qtr" | "quarter" => Self::Months(3.0 * count),
            "y" | "yr" | "year" => Self::Months(12.0 * count),
            _ => return None,
        };
        // Less than a millisecond, or more than there is time, is none.
        let (Self::Millis(length) | Self::Months(length)) = period;
        (1.0..=1e13).contains(&length).then_some(period)
    }

    /// Where the period of this moment begins.
    pub(super) fn floor(self, at: f64) -> f64 {
        match self {
            Self::Millis(length) => (at / length).floor() * length,
            Self::Months(length) => begin_of((month_of(at) / length).floor() * length),
        }
    }

    /// Where the next period begins, unless one begins at this moment.
    pub(super) fn ceil(self, at: f64) -> f64 {
        let floor = self.floor(at);
        match self {
            _ if floor == at => at,
            Self::Millis(length) => floor + length,
            Self::Months(length) => begin_of(month_of(floor) + length),
        }
    }
}

/// Months since 1970 that are over at a moment.
fn month_of(at: f64) -> f64 {
    let mut month = (at / (365.2425 / 12.0 * DAY)).floor();
    while begin_of(month) > at {
        month -= 1.0;
    }
    while begin_of(month + 1.0) <= at {
        month += 1.0;
    }
    month
}

/// The first moment of a month, counted from January 1970.
fn begin_of(month: f64) -> f64 {
    let year = 1970.0 + (month / 12.0).floor();
    let in_year = month.rem_euclid(12.0);
    let before = year - 1.0;
    let leaps = |year: f64| (year / 4.0).floor() - (year / 100.0).floor() + (year / 400.0).floor();
    let is_leap = leaps(year) > leaps(before);
    const LENGTHS: [f64; 12] = [31.0, 28.0, 31.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0, 30.0, 31.0];
    let days: f64 = LENGTHS[..in_year as usize].iter().sum();
    let leap_day = if is_leap && in_year > 1.0 { 1.0 } else { 0.0 };
    ((year - 1970.0) * 365.0 + leaps(before) - leaps(1969.0) + days + leap_day) * DAY
}

#[cfg(test)]
mod tests {
    use super::super::value::shown_time;
    use super::*;

    #[test]
    fn months_are_the_calendars() {
        for (count, unit, at, floor, ceil) in [
            (1.0, "mo", 1_709_210_096_789.0, "2024-02-01 00:00:00.000", "2024-03-01 00:00:00.000"),
            (1.0, "months", 1_709_251_200_000.0, "2024-03-01 00:00:00.000", "2024-03-01 00:00:00.000"),
            (1.0, "q", 1_735_689_599_999.0, "2024-10-01 00:00:00.000", "2025-01-01 00:00:00.000"),
            (2.0, "years", 1_735_689_600_000.0, "2024-01-01 00:00:00.000", "2026-01-01 00:00:00.000"),
            (1.0, "y", 0.0, "1970-01-01 00:00:00.000", "1970-01-01 00:00:00.000"),
            (90.0, "mins", 5_400_001.0, "1970-01-01 01:30:00.000", "1970-01-01 03:00:00.000"),
            (1.0, "ms", 7.0, "1970-01-01 00:00:00.007", "1970-01-01 00:00:00.007"),
        ] {
            let period = Period::of(count, unit).unwrap();
            assert_eq!(shown_time(period.floor(at) as u64), floor, "{count}{unit} of {at}");
            assert_eq!(shown_time(period.ceil(at) as u64), ceil, "{count}{unit} of {at}");
        }
        assert_eq!(Period::of(0.0, "m"), None);
        assert_eq!(Period::of(1.0, "x"), None);
        assert_eq!(Period::of(1e300, "y"), None);
    }
}
