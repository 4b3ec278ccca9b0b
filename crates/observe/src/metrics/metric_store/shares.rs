//! How much of the store log lines may take. Functions write what they like, and each of their lines could name a new metric:
//! a group's lines have a share of the series and of what is written down in a minute, and those of all groups together have
//! one, which leaves room for the metrics of functions and for what clients put.
//!
//! Which group's a series is stays in memory: after a restart it is the first one's that uses it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::SERIES_MOST;
use crate::metrics::resolution::StorageResolution;
use crate::metrics::series::Series;
use crate::store::group::GroupKey;

/// What is known of a series.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The minute of its last value.
    pub(super) last: u32,
    /// The group whose share it is in.
    pub(super) by: Option<GroupKey>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    series: usize,
    /// Of their names.
    bytes: usize,
    /// Minutes and seconds of series that were begun in this minute.
    points: [usize; 2],
}

/// Two hundred metrics of a group may have a value in every second. Those of all groups fill the part of the disk that seconds
/// have of the default cap in some three hours.
const OF_GROUP: Share = Share { series: 2000, bytes: 2 << 20, points: [4000, 12_000] };
const OF_ALL: Share = Share { series: 20_000, bytes: 20 << 20, points: [40_000, 60_000] };
/// Where there are so many series of all kinds, lines make no new ones.
const SERIES_FOR_LINES: usize = SERIES_MOST / 5 * 4;

#[derive(Debug, Default)]
pub(super) struct Shares {
    minute: u32,
    all: Share,
    groups: HashMap<GroupKey, Share>,
}

impl Share {
    fn has_room_for(&self, bytes: usize, most: &Self) -> bool {
        self.series < most.series && self.bytes + bytes <= most.bytes
    }

    fn add(&mut self, bytes: usize) {
        self.series += 1;
        self.bytes += bytes;
    }
}

impl Shares {
    /// Whether a group may begin another minute, or second, of a series.
    pub(super) fn may_begin(&mut self, group: &GroupKey, now: u32, of: StorageResolution) -> bool {
        if self.minute != now {
            self.minute = now;
            self.all.points = [0, 0];
            self.groups.retain(|_, share| {
                share.points = [0, 0];
                share.series > 0
            });
        }
        let own = self.groups.get(group).copied().unwrap_or_default();
        let of = of as usize;
        own.points[of] < OF_GROUP.points[of] && self.all.points[of] < OF_ALL.points[of]
    }

    /// It did.
    pub(super) fn begin(&mut self, group: &GroupKey, of: StorageResolution) {
        self.all.points[of as usize] += 1;
        self.groups.entry(group.clone()).or_default().points[of as usize] += 1;
    }

    /// Takes a series into a group's share; `false` where that is full. `new`: the store has no such series yet.
    pub(super) fn take(&mut self, group: &GroupKey, series: &Series, known: usize, new: bool) -> bool {
        let bytes = series.bytes();
        let own = self.groups.get(group).copied().unwrap_or_default();
        let room = own.has_room_for(bytes, &OF_GROUP) && self.all.has_room_for(bytes, &OF_ALL);
        if !room || (new && known >= SERIES_FOR_LINES) {
            return false;
        }
        self.all.add(bytes);
        self.groups.entry(group.clone()).or_default().add(bytes);
        true
    }

    /// Counts anew, after series went.
    pub(super) fn count(&mut self, known: &BTreeMap<Arc<Series>, Known>) {
        for share in self.groups.values_mut().chain([&mut self.all]) {
            (share.series, share.bytes) = (0, 0);
        }
        for (series, known) in known {
            let Some(group) = &known.by else { continue };
            self.all.add(series.bytes());
            self.groups.entry(group.clone()).or_default().add(series.bytes());
        }
    }
}
