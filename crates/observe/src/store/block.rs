//! A block: some thousand events of a group, compressed together, with what tells whether a search needs it: times,
//! streams, words. `docs/log-store.md` has the layout.
//!
//! Deliberately not here: how they are made (`packer`), where they stand (`segment`).

mod packer;

use std::collections::BTreeMap;

pub(crate) use self::packer::Packer;
use super::tail::{self, Run};
use super::varint::{take, take_signed};

/// Of the newest layout: `lkb` and a number.
const MAGIC: [u8; 4] = *b"lkb1";
/// Bytes before the streams and words.
pub(crate) const HEAD: usize = 72;
/// Some message has a backslash.
const ESCAPES: u32 = 1;
/// No block says it is larger: its memory is taken before its checksum is known.
const LARGEST: u32 = 1 << 30;

/// What is kept in memory of each block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Which of the group's blocks, in the order they were begun.
    pub number: u64,
    /// Where it begins in its segment.
    pub offset: u64,
    pub streams_length: u32,
    pub filter_length: u32,
    pub payload_length: u32,
    pub raw_length: u32,
    pub payload_checksum: u32,
    pub events: u32,
    pub min: u64,
    pub max: u64,
    /// Bytes of all messages.
    pub text: u64,
    pub escapes: bool,
    /// In order of their ids.
    pub streams: Box<[Share]>,
}

/// What of a block, or of all, is one stream's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub stream: u32,
    pub events: u64,
    pub min: u64,
    pub max: u64,
    /// The last time something came.
    pub ingested: u64,
}

impl Share {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.ingested = self.ingested.max(other.ingested);
    }
}

impl Entry {
    /// Bytes in the file.
    pub(crate) fn length(&self) -> u64 {
        HEAD as u64
            + u64::from(self.streams_length)
            + u64::from(self.filter_length)
            + u64::from(self.payload_length)
    }

    pub(crate) fn filter_offset(&self) -> u64 {
        self.offset + HEAD as u64 + u64::from(self.streams_length)
    }

    pub(crate) fn payload_offset(&self) -> u64 {
        self.filter_offset() + u64::from(self.filter_length)
    }

    pub(crate) fn has_stream(&self, streams: &[u32]) -> bool {
        self.streams.iter().any(|share| streams.binary_search(&share.stream).is_ok())
    }
}

/// What every stream has of a tail, in order of their ids.
pub(crate) fn shares(tail: &[u8]) -> Vec<Share> {
    shares_of(tail::runs(tail))
}

fn shares_of<'t>(runs: impl IntoIterator<Item = Run<'t>>) -> Vec<Share> {
    let mut shares: BTreeMap<u32, Share> = BTreeMap::new();
    for run in runs {
        let times = || run.events().map(|(at, _)| at);
        let (Some(min), Some(max)) = (times().min(), times().max()) else { continue };
        let share =
            Share { stream: run.stream, events: u64::from(run.count), min, max, ingested: run.ingested };
        shares.entry(run.stream).and_modify(|all| all.merge(&share)).or_insert(share);
    }
    shares.into_values().collect()
}

impl Entry {
    fn head(&self, shared: &[u8], filter: &[u8]) -> Vec<u8> {
        let mut head = Vec::with_capacity(self.length() as usize);
        head.extend_from_slice(&MAGIC);
        head.extend_from_slice(&[0; 4]);
        for value in [
            self.streams_length,
            self.filter_length,
            self.payload_length,
            self.raw_length,
            self.payload_checksum,
            self.events,
            if self.escapes { ESCAPES } else { 0 },
            0,
        ] {
            head.extend_from_slice(&value.to_le_bytes());
        }
        for value in [self.number, self.min, self.max, self.text] {
            head.extend_from_slice(&value.to_le_bytes());
        }
        let checksum = checksum(&head, shared, filter);
        head[4..8].copy_from_slice(&checksum.to_le_bytes());
        head
    }

    /// Lengths of streams and words, by a block's first bytes; `None` where they are none.
    pub(crate) fn lengths(head: &[u8; HEAD]) -> Option<(u32, u32)> {
        let (streams, filter) = (word(head, 8), word(head, 12));
        (head[..4] == MAGIC && streams < LARGEST && filter < LARGEST).then_some((streams, filter))
    }

    /// Reads a block's first bytes, its streams and its words; `None` where they are not what was written.
    pub(crate) fn read(offset: u64, head: &[u8; HEAD], streams: &[u8], filter: &[u8]) -> Option<Self> {
        if checksum(head, streams, filter) != word(head, 4) || head[..4] != MAGIC {
            return None;
        }
        let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let min = long(48);
        let mut rest = streams;
        let count = take(&mut rest)?;
        let mut shares = Vec::new();
        let mut before = 0;
        for _ in 0..count {
            let stream = before + u32::try_from(take(&mut rest)?).ok()?;
            let events = take(&mut rest)?;
            let first = min + take(&mut rest)?;
            let last = first + take(&mut rest)?;
            let ingested = last.wrapping_add(take_signed(&mut rest)?.cast_unsigned());
            shares.push(Share { stream, events, min: first, max: last, ingested });
            before = stream;
        }
        let raw_length = word(head, 20);
        (raw_length < LARGEST).then(|| Self {
            number: long(40),
            offset,
            streams_length: word(head, 8),
            filter_length: word(head, 12),
            payload_length: word(head, 16),
            raw_length,
            payload_checksum: word(head, 24),
            events: word(head, 28),
            min,
            max: long(56),
            text: long(64),
            escapes: word(head, 32) & ESCAPES != 0,
            streams: shares.into(),
        })
    }
}

fn word(head: &[u8; HEAD], at: usize) -> u32 {
    u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"))
}

/// Of all but the checksum itself and the payload, which has its own.
fn checksum(head: &[u8], streams: &[u8], filter: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[8..]);
    hasher.update(streams);
    hasher.update(filter);
    hasher.finalize()
}

/// One event of a block or a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event<'b> {
    /// In the order they came in their block.
    pub index: u32,
    pub stream: u32,
    pub at: u64,
    pub ingested: u64,
    pub message: &'b [u8],
}

/// A block's events, read.
#[derive(Default)]
pub(crate) struct Unpacked {
    raw: Vec<u8>,
    runs: Vec<(u32, u32, u64)>,
    times: Vec<u64>,
    /// Where each message ends.
    ends: Vec<u32>,
    messages: usize,
}

impl Unpacked {
    /// Reads a payload; `None` where it is not what was written.
    pub(crate) fn unpack(
        &mut self,
        zstd: &mut zstd::bulk::Decompressor<'static>,
        entry: &Entry,
        payload: &[u8],
    ) -> Option<()> {
        if crc32fast::hash(payload) != entry.payload_checksum {
            return None;
        }
        self.raw.clear();
        self.raw.reserve(entry.raw_length as usize);
        zstd.decompress_to_buffer(payload, &mut self.raw).ok()?;
        let mut rest = &self.raw[..];
        self.runs.clear();
        let mut ingested = 0_u64;
        for _ in 0..take(&mut rest)? {
            let (stream, count) = (take(&mut rest)? as u32, take(&mut rest)? as u32);
            ingested = ingested.wrapping_add(take_signed(&mut rest)?.cast_unsigned());
            self.runs.push((stream, count, ingested));
        }
        self.times.clear();
        let mut at = entry.min;
        for _ in 0..entry.events {
            at = at.wrapping_add(take_signed(&mut rest)?.cast_unsigned());
            self.times.push(at);
        }
        self.ends.clear();
        let mut end = 0_u64;
        for _ in 0..entry.events {
            end += take(&mut rest)?;
            self.ends.push(u32::try_from(end).ok()?);
        }
        self.messages = self.raw.len() - rest.len();
        (rest.len() as u64 == end).then_some(())
    }

    /// All messages, one after the other.
    pub(crate) fn text(&self) -> &[u8] {
        &self.raw[self.messages..]
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let streams = self
            .runs
            .iter()
            .flat_map(|(stream, count, ingested)| std::iter::repeat_n((*stream, *ingested), *count as usize));
        let mut begin = 0;
        let text = self.text();
        streams.zip(&self.times).zip(&self.ends).enumerate().map(
            move |(index, (((stream, ingested), at), end))| {
                let message = &text[begin..*end as usize];
                begin = *end as usize;
                Event { index: index as u32, stream, at: *at, ingested, message }
            },
        )
    }
}

#[cfg(test)]
mod tests;
