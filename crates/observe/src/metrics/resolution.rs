//! How finely values are kept. Everything is kept by the minute, as a sum of whatever was put; what is put with
//! `StorageResolution` 1 is kept by the second beside that, for as long as CloudWatch has it by the second. So nothing has to be
//! rolled up when that time is over: what is older is a minute already.

use crate::log_writer::millis;

/// `StorageResolution`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageResolution {
    /// 60: by the minute.
    Standard,
    /// 1: by the second too.
    High,
}

impl StorageResolution {
    /// By its seconds, of which CloudWatch knows two.
    pub(crate) fn of(seconds: i64) -> Option<Self> {
        match seconds {
            60 => Some(Self::Standard),
            1 => Some(Self::High),
            _ => None,
        }
    }
}

/// When values are, and how finely that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    /// Since 1970.
    pub(crate) second: u32,
    pub(crate) resolution: StorageResolution,
}

impl At {
    /// In a minute since 1970.
    pub(super) fn minute(minute: u32) -> Self {
        Self { second: minute.saturating_mul(60), resolution: StorageResolution::Standard }
    }
}

/// What is kept of one resolution. Times are counted in slots, which are whole minutes or seconds since 1970.
#[derive(Debug)]
pub(super) struct Resolution {
    /// Seconds of a slot.
    pub(super) seconds: u32,
    /// Slots that are kept.
    pub(super) kept: u32,
    /// A file ends with so many slots, if not before, so that what is too old can go.
    pub(super) of_file: u32,
    /// Most statistics in memory, and their bytes with those of their series, as the file of open slots has them; beyond, they
    /// are written down early.
    pub(super) open_most: usize,
    pub(super) open_bytes: usize,
    /// Its file of open slots.
    pub(super) open_file: &'static str,
}

/// 15 days of minutes.
pub(super) const MINUTES: Resolution = Resolution {
    seconds: 60,
    kept: 15 * 24 * 60,
    of_file: 24 * 60,
    open_most: 100_000,
    open_bytes: 32 << 20,
    open_file: "open-minutes",
};

/// Three hours of seconds. Of a series there are sixty in a minute, so a frame of them has many times what there is of minutes.
pub(super) const SECONDS: Resolution = Resolution {
    seconds: 1,
    kept: 3 * 60 * 60,
    of_file: 15 * 60,
    open_most: 60_000,
    open_bytes: 16 << 20,
    open_file: "open-seconds",
};

impl Resolution {
    /// The slot of a second.
    pub(super) fn slot(&self, second: u32) -> u32 {
        second / self.seconds
    }

    /// The oldest slot that is kept at a second.
    pub(super) fn oldest(&self, now: u32) -> u32 {
        self.slot(now).saturating_sub(self.kept)
    }
}

/// This second since 1970.
pub(super) fn this_second() -> u32 {
    u32::try_from(millis() / 1000).unwrap_or(u32::MAX)
}

/// This minute since 1970.
pub(super) fn this_minute() -> u32 {
    this_second() / 60
}
