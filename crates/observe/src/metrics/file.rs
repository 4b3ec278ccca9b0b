//! Files of metrics: frames that are only ever appended, each with its length, checksum and times. A frame holds new series,
//! which are numbered in the order they come in, or statistics by slot (`resolution`) and series. What a crash cut off is cut at the next
//! start.
//!
//! Deliberately not here: which files there are and what is still in memory (`metric_store`).

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::series::Series;
use super::statistics::Statistics;

/// How every file begins; the last digit is the format.
const MAGIC: &[u8; 8] = b"LKMETRI1";
/// Length and checksum of what follows, kind, first and last slot.
const HEAD: usize = 4 + 4 + 1 + 4 + 4;
const SERIES: u8 = 1;
const POINTS: u8 = 2;
/// Largest frame, packed and unpacked: what is longer was never written.
const FRAME_BYTES: usize = 64 << 20;
/// Most points of one frame.
pub(super) const FRAME_POINTS: usize = 50_000;
const LEVEL: i32 = 1;

/// One file, as far as it was written.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Slots of its points; `None`: it has none.
    pub(super) slots: Option<(u32, u32)>,
}

/// Statistics of a series in a slot.
pub(super) type Point = (u32, Arc<Series>, Statistics);

/// A frame of points.
#[derive(Serialize, Deserialize)]
struct Points {
    flushed: Flushed,
    /// Slot, series and statistics.
    points: Vec<(u32, u32, Statistics)>,
}

/// How far memory was written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Flushed {
    /// Counts on from file to file.
    pub(super) number: u64,
    /// Everything of earlier slots was written.
    pub(super) before: u32,
}

struct Head {
    length: usize,
    sum: u32,
    kind: u8,
    slots: (u32, u32),
}

impl Head {
    fn bytes(kind: u8, slots: (u32, u32), packed: &[u8]) -> io::Result<Vec<u8>> {
        let length = u32::try_from(packed.len()).map_err(|_| broken("a frame is too long"))?;
        let mut bytes = Vec::with_capacity(HEAD + packed.len());
        bytes.extend(length.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.push(kind);
        bytes.extend(slots.0.to_le_bytes());
        bytes.extend(slots.1.to_le_bytes());
        bytes.extend(packed);
        let sum = crc32fast::hash(&bytes[8..]);
        bytes[4..8].copy_from_slice(&sum.to_le_bytes());
        Ok(bytes)
    }

    fn read(bytes: &[u8; HEAD]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        Self { length: word(0) as usize, sum: word(4), kind: bytes[8], slots: (word(9), word(13)) }
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Any value, small.
pub(super) fn pack(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let bytes = postcard::to_stdvec(value).map_err(io::Error::other)?;
    zstd::bulk::compress(&bytes, LEVEL)
}

pub(super) fn unpack<T: DeserializeOwned>(packed: &[u8]) -> io::Result<T> {
    let bytes = zstd::bulk::decompress(packed, FRAME_BYTES)?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}

/// A file that is written.
pub(super) struct Writer {
    file: File,
    pub(super) extent: Extent,
    series: HashMap<Arc<Series>, u32>,
}

impl Writer {
    pub(super) fn create(directory: &Path, number: u64) -> io::Result<Self> {
        let path = directory.join(format!("{number:010}.metrics"));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        file.write_all(MAGIC)?;
        let extent = Extent { number, path, bytes: MAGIC.len() as u64, slots: None };
        Ok(Self { file, extent, series: HashMap::new() })
    }

    /// Goes on with a file that was read.
    pub(super) fn reopen(extent: Extent, series: Vec<Arc<Series>>) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).open(&extent.path)?;
        file.set_len(extent.bytes)?;
        file.seek(SeekFrom::End(0))?;
        let series = series.into_iter().zip(0..).collect();
        Ok(Self { file, extent, series })
    }

    /// Appends points, all or none of them.
    pub(super) fn append(&mut self, points: &[Point], flushed: Flushed) -> io::Result<()> {
        let Some(first) = points.iter().map(|(slot, ..)| *slot).min() else { return Ok(()) };
        let last = points.iter().map(|(slot, ..)| *slot).max().unwrap_or(first);
        let mut fresh: Vec<Arc<Series>> = Vec::new();
        let mut numbers: HashMap<Arc<Series>, u32> = HashMap::new();
        let mut lines = Vec::with_capacity(points.len());
        for (slot, series, statistics) in points {
            let known = self.series.get(series).or_else(|| numbers.get(series)).copied();
            let number = match known {
                Some(number) => number,
                None => {
                    let number = u32::try_from(self.series.len() + fresh.len())
                        .map_err(|_| broken("a file has too many series"))?;
                    fresh.push(Arc::clone(series));
                    numbers.insert(Arc::clone(series), number);
                    number
                }
            };
            lines.push((*slot, number, statistics.clone()));
        }
        let mut bytes = Vec::new();
        if !fresh.is_empty() {
            let fresh: Vec<&Series> = fresh.iter().map(|series| &**series).collect();
            bytes = Head::bytes(SERIES, (first, last), &pack(&fresh)?)?;
        }
        bytes.extend(Head::bytes(POINTS, (first, last), &pack(&Points { flushed, points: lines })?)?);
        if let Err(error) = self.file.write_all(&bytes) {
            // What is there of it would be in the way of the next.
            self.file.set_len(self.extent.bytes)?;
            self.file.seek(SeekFrom::Start(self.extent.bytes))?;
            return Err(error);
        }
        self.series.extend(numbers);
        self.extent.bytes += bytes.len() as u64;
        self.extent.slots = Some(widened(self.extent.slots, (first, last)));
        Ok(())
    }
}

fn widened(of: Option<(u32, u32)>, by: (u32, u32)) -> (u32, u32) {
    of.map_or(by, |of| (of.0.min(by.0), of.1.max(by.1)))
}

/// Reads the frames of a file, or of its beginning.
struct Frames {
    file: BufReader<File>,
    at: u64,
    end: u64,
}

impl Frames {
    fn open(path: &Path, end: Option<u64>) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = end.map_or_else(|| file.metadata().map(|file| file.len()), Ok)?;
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(broken("it is no file of metrics, or a newer lambkin's"));
        }
        Ok(Self { file, at: MAGIC.len() as u64, end })
    }

    /// The next frame's head, and its content where it is `wanted`; `None` at the end.
    fn next(&mut self, wanted: impl Fn(&Head) -> bool) -> io::Result<Option<(Head, Option<Vec<u8>>)>> {
        if self.at == self.end {
            return Ok(None);
        }
        let mut bytes = [0; HEAD];
        if self.end - self.at < HEAD as u64 {
            return Err(broken("a frame is cut off"));
        }
        self.file.read_exact(&mut bytes)?;
        let head = Head::read(&bytes);
        let next = self.at + (HEAD + head.length) as u64;
        if head.length > FRAME_BYTES || next > self.end {
            return Err(broken("a frame is cut off"));
        }
        let content = if wanted(&head) {
            let mut packed = vec![0; head.length];
            self.file.read_exact(&mut packed)?;
            let mut sum = crc32fast::Hasher::new();
            sum.update(&bytes[8..]);
            sum.update(&packed);
            if sum.finalize() != head.sum {
                return Err(broken("a frame is not what was written"));
            }
            Some(packed)
        } else {
            self.file.seek_relative(i64::try_from(head.length).unwrap_or(i64::MAX))?;
            None
        };
        self.at = next;
        Ok(Some((head, content)))
    }
}

/// What is in a file, as far as it is whole.
pub(super) struct Scanned {
    pub(super) extent: Extent,
    /// In the order of their numbers.
    pub(super) series: Vec<Arc<Series>>,
    /// Of the last frame.
    pub(super) flushed: Option<Flushed>,
    /// Why it is not read any further.
    pub(super) broken: Option<io::Error>,
}

/// Looks through a file: at every frame where it may have been cut off, else at its series alone.
pub(super) fn scan(number: u64, path: &Path, wholly: bool) -> io::Result<Scanned> {
    let mut frames = Frames::open(path, None)?;
    let extent = Extent { number, path: path.to_owned(), bytes: frames.at, slots: None };
    let mut scanned = Scanned { extent, series: Vec::new(), flushed: None, broken: None };
    loop {
        let read = frames.next(|head| wholly || head.kind == SERIES).and_then(|next| {
            let Some((head, content)) = next else { return Ok(false) };
            match (head.kind, content) {
                (SERIES, Some(content)) => {
                    let fresh: Vec<Series> = unpack(&content)?;
                    scanned.series.extend(fresh.into_iter().map(Arc::new));
                }
                (POINTS, Some(content)) => scanned.flushed = Some(unpack::<Points>(&content)?.flushed),
                (POINTS, None) => {}
                (_, _) => return Err(broken("a frame of an unknown kind")),
            }
            if head.kind == POINTS {
                scanned.extent.slots = Some(widened(scanned.extent.slots, head.slots));
            }
            Ok(true)
        });
        match read {
            Ok(true) => scanned.extent.bytes = frames.at,
            Ok(false) => return Ok(scanned),
            Err(error) => {
                scanned.broken = Some(error);
                return Ok(scanned);
            }
        }
    }
}

/// Hands on the points of these series from a slot up to, not with, another.
pub(super) fn read(
    extent: &Extent,
    wanted: &HashMap<&Series, usize>,
    slots: (u32, u32),
    take: &mut dyn FnMut(usize, u32, &Statistics),
) -> io::Result<()> {
    let mut frames = Frames::open(&extent.path, Some(extent.bytes))?;
    let mut places: Vec<Option<usize>> = Vec::new();
    let within = |head: &Head| head.slots.0 < slots.1 && head.slots.1 >= slots.0;
    while let Some((head, content)) = frames.next(|head| head.kind == SERIES || within(head))? {
        let Some(content) = content else { continue };
        if head.kind == SERIES {
            let fresh: Vec<Series> = unpack(&content)?;
            places.extend(fresh.iter().map(|series| wanted.get(series).copied()));
            continue;
        }
        for (slot, number, statistics) in unpack::<Points>(&content)?.points {
            let place = places.get(number as usize).copied().flatten();
            if let Some(place) = place.filter(|_| (slots.0..slots.1).contains(&slot)) {
                take(place, slot, &statistics);
            }
        }
    }
    Ok(())
}
