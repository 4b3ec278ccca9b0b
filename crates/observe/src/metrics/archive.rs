//! What is kept of one resolution: a directory of files, and in memory what is not written down yet. Slots that are over are
//! written down together; the others are in a small file of their own, which is written anew all the time: what came after its
//! last writing is lost at a `kill -9`.
//!
//! Deliberately not here: which series there may be (`metric_store`), what a file is made of (`file`).

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::file::{self, Extent, FRAME_POINTS, Flushed, Point, Writer};
use super::resolution::{Resolution, this_second};
use super::series::Series;
use super::statistics::Statistics;

pub(super) struct Archive {
    resolution: &'static Resolution,
    directory: PathBuf,
    /// Bytes on disk beyond which the oldest go, with a warning.
    pub(super) cap: u64,
    /// Slot by slot; most are of the current minute.
    pub(super) open: BTreeMap<u32, HashMap<Arc<Series>, Statistics>>,
    open_count: usize,
    pub(super) open_bytes: usize,
    /// Older files, the oldest first.
    pub(super) files: Vec<Extent>,
    pub(super) writer: Writer,
    flushed: Flushed,
    /// The file of open slots is behind.
    behind: bool,
    failing: bool,
}

/// The file of slots that are not over.
#[derive(Serialize, Deserialize)]
struct Kept {
    flushed: Flushed,
    points: Vec<(u32, Series, Statistics)>,
}

/// Series with the last slot of which there may be something.
pub(super) type LastSlots = BTreeMap<Arc<Series>, u32>;

impl Archive {
    /// Opens a directory, which is made where it is not there, and says which series it has.
    pub(super) fn open(
        directory: PathBuf,
        resolution: &'static Resolution,
        cap: u64,
    ) -> io::Result<(Self, LastSlots)> {
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        let mut found: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let number =
                path.file_name().and_then(|name| name.to_str()?.strip_suffix(".metrics")?.parse().ok());
            found.extend(number.map(|number| (number, path)));
        }
        found.sort_unstable();
        let (mut known, mut files, mut flushed) = (LastSlots::new(), Vec::new(), Flushed::default());
        let mut writer = None;
        let last = found.len().saturating_sub(1);
        for (index, (number, path)) in found.iter().enumerate() {
            let scanned = match file::scan(*number, path, index == last) {
                Ok(scanned) => scanned,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a file of metrics cannot be read; it is left as it is");
                    continue;
                }
            };
            if let Some(error) = scanned.broken {
                tracing::warn!(path = %path.display(), %error, bytes = scanned.extent.bytes, "a file of metrics ends early");
            }
            flushed = scanned.flushed.unwrap_or(flushed);
            if let Some((_, until)) = scanned.extent.slots {
                scanned.series.iter().for_each(|series| saw(&mut known, series, until));
            }
            if index == last {
                writer = Some(Writer::reopen(scanned.extent, scanned.series)?);
            } else {
                files.push(scanned.extent);
            }
        }
        let next = found.last().map_or(1, |(number, _)| number + 1);
        let writer = writer.map_or_else(|| Writer::create(&directory, next), Ok)?;
        let mut archive = Self {
            resolution,
            directory,
            cap,
            open: BTreeMap::new(),
            open_count: 0,
            open_bytes: 0,
            files,
            writer,
            flushed,
            behind: false,
            failing: false,
        };
        archive.restore(&mut known);
        Ok((archive, known))
    }

    /// The slots that were not over when lambkin ended.
    fn restore(&mut self, known: &mut LastSlots) {
        let kept = fs::read(self.path_of_open()).and_then(|bytes| {
            let (sum, packed) = bytes.split_at_checked(4).ok_or(io::ErrorKind::InvalidData)?;
            if sum != crc32fast::hash(packed).to_le_bytes() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            file::unpack::<Kept>(packed)
        });
        match kept {
            Ok(kept) => {
                // What was written down after this file was is not taken twice.
                let written = if kept.flushed.number < self.flushed.number { self.flushed.before } else { 0 };
                self.flushed =
                    if kept.flushed.number > self.flushed.number { kept.flushed } else { self.flushed };
                for (slot, series, statistics) in kept.points {
                    if slot >= written {
                        let series = Arc::new(series);
                        saw(known, &series, slot);
                        self.merge(slot, series, &statistics);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "the last minute of metrics could not be read"),
        }
    }

    pub(super) fn path_of_open(&self) -> PathBuf {
        self.directory.join(self.resolution.open_file)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum::<u64>() + self.writer.extent.bytes
    }

    /// Its files, as far as they are written now.
    pub(super) fn extents(&self) -> Vec<Extent> {
        self.files.iter().chain([&self.writer.extent]).cloned().collect()
    }

    /// Takes statistics of a series in a slot.
    pub(super) fn merge(&mut self, slot: u32, series: Arc<Series>, statistics: &Statistics) {
        if self.merge_into_open(slot, &series, statistics) {
            return;
        }
        self.open_count += 1;
        self.open_bytes += series.bytes() + statistics.bytes();
        self.open.entry(slot).or_default().insert(series, statistics.clone());
        self.behind = true;
        self.bound();
    }

    /// Does so where the series has values in the slot already; `false` where not.
    pub(super) fn merge_into_open(&mut self, slot: u32, series: &Series, statistics: &Statistics) -> bool {
        let Some(open) = self.open.get_mut(&slot).and_then(|open| open.get_mut(series)) else { return false };
        self.open_bytes -= open.bytes();
        open.merge(statistics);
        self.open_bytes += open.bytes();
        self.behind = true;
        self.bound();
        true
    }

    fn bound(&mut self) {
        if self.open_count > self.resolution.open_most || self.open_bytes > self.resolution.open_bytes {
            self.flush(u32::MAX);
        }
    }

    /// Writes down what is of the minutes before this one.
    pub(super) fn flush_before_minute(&mut self, minute: u32) {
        self.flush(self.resolution.slot(minute.saturating_mul(60)));
    }

    /// Writes down what is of slots before this one.
    pub(super) fn flush(&mut self, before: u32) {
        let later = self.open.split_off(&before);
        let over = std::mem::replace(&mut self.open, later);
        let points: Vec<Point> = over
            .into_iter()
            .flat_map(|(slot, open)| {
                open.into_iter().map(move |(series, statistics)| (slot, series, statistics))
            })
            .collect();
        self.open_count = self.open.values().map(HashMap::len).sum();
        self.open_bytes = self.open.values().flatten().map(|(series, of)| series.bytes() + of.bytes()).sum();
        if points.is_empty() {
            return;
        }
        let mut chunks = points.chunks(FRAME_POINTS);
        // Of several frames the last alone says that all is written: what it does not say so of is then taken twice at most.
        let mut written = 0;
        let failed = chunks.by_ref().find_map(|chunk| {
            let whole = written + chunk.len() == points.len();
            let before = if whole { before } else { self.flushed.before };
            let flushed = Flushed { number: self.flushed.number + 1, before };
            match self.rotate().and_then(|()| self.writer.append(chunk, flushed)) {
                Ok(()) => {
                    self.flushed = flushed;
                    written += chunk.len();
                    None
                }
                Err(error) => Some(error),
            }
        });
        if let Some(error) = failed {
            // Where the disk stays full, memory is bounded: the oldest go.
            let room = self.resolution.open_most.saturating_sub(self.open_count) / 2;
            for (slot, series, statistics) in points.into_iter().skip(written).rev().take(room) {
                self.open_bytes += series.bytes() + statistics.bytes();
                self.open_count += 1;
                self.open.entry(slot).or_default().entry(series).or_default().merge(&statistics);
                if self.open_bytes > self.resolution.open_bytes / 2 {
                    break;
                }
            }
            return self.told(Some(error));
        }
        // At once: until then a crash relies on what the last frame says.
        let kept = self.keep();
        self.told(kept.err());
    }

    /// A file takes a sixteenth of the cap, or so many slots.
    fn rotate(&mut self) -> io::Result<()> {
        if self.writer.extent.bytes < (self.cap / 16).max(1 << 16) && !self.is_over() {
            return Ok(());
        }
        let next = Writer::create(&self.directory, self.writer.extent.number + 1)?;
        let full = std::mem::replace(&mut self.writer, next);
        self.files.push(full.extent);
        Ok(())
    }

    /// Whether the time of the file that is written is.
    fn is_over(&self) -> bool {
        let of_file = |slot: u32| slot / self.resolution.of_file;
        let now = self.resolution.slot(this_second());
        self.writer.extent.slots.is_some_and(|(_, last)| of_file(last) < of_file(now))
    }

    /// Writes the slots that are not over, where something came since that was done last.
    pub(super) fn keep_what_is_open(&mut self) {
        if self.behind {
            let kept = self.keep();
            self.told(kept.err());
        }
    }

    pub(super) fn keep(&mut self) -> io::Result<()> {
        let points = self.open.iter().flat_map(|(slot, open)| {
            open.iter().map(|(series, statistics)| (*slot, Series::clone(series), statistics.clone()))
        });
        let packed = file::pack(&Kept { flushed: self.flushed, points: points.collect() })?;
        let mut bytes = crc32fast::hash(&packed).to_le_bytes().to_vec();
        bytes.extend(packed);
        let path = self.path_of_open();
        let new = path.with_extension("new");
        fs::write(&new, bytes)?;
        fs::rename(&new, &path)?;
        self.behind = false;
        Ok(())
    }

    /// Removes what is too old at a second since 1970, and the oldest of what is beyond the cap.
    pub(super) fn sweep(&mut self, now: u32) {
        let since = self.resolution.oldest(now);
        while let Some(oldest) = self.files.first() {
            let expired = oldest.slots.is_none_or(|(_, last)| last < since);
            let beyond = self.bytes() > self.cap;
            if !expired && !beyond {
                break;
            }
            if let Err(error) = fs::remove_file(&oldest.path) {
                tracing::error!(%error, path = %oldest.path.display(), "old metrics cannot be removed");
                break;
            }
            if !expired {
                let resolution = self.resolution.seconds;
                tracing::warn!(
                    cap = self.cap,
                    resolution,
                    "old metrics were dropped: they may take no more of the disk"
                );
            }
            self.files.remove(0);
        }
    }

    fn told(&mut self, error: Option<io::Error>) {
        match error {
            Some(error) if !std::mem::replace(&mut self.failing, true) => {
                tracing::error!(%error, "metrics cannot be written; they stay in memory");
            }
            Some(_) => {}
            None => self.failing = false,
        }
    }
}

fn saw(known: &mut LastSlots, series: &Arc<Series>, slot: u32) {
    let last = known.entry(Arc::clone(series)).or_insert(slot);
    *last = slot.max(*last);
}
