//! Makes a block of a tail: what its events say is compressed, and their words are gathered, side by side.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Entry, shares_of};
use crate::store::tail::{self, Run};
use crate::store::varint::{put, put_signed};
use crate::store::words::Gatherer;

/// Of lines with ids and times in them zstd's quickest level makes less than its default, 3, and in a third of the time: its
/// matches are longer. Of other text it makes up to a tenth more.
const LEVEL: i32 = 1;
/// A tail of so many bytes is worth a thread for its words: they take as long as zstd does, a millisecond or two.
pub(super) const WORTH: usize = 256 << 10;

/// Makes blocks; kept between them for its memory.
pub(crate) struct Packer {
    words: Option<Gatherer>,
    raw: Vec<u8>,
    zstd: zstd::bulk::Compressor<'static>,
}

impl Packer {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { words: None, raw: Vec::new(), zstd: zstd::bulk::Compressor::new(LEVEL)? })
    }

    /// The block of a tail's events, and its entry at the beginning of a file; `None` where the tail is empty.
    pub(crate) fn pack(&mut self, number: u64, tail: &[u8]) -> std::io::Result<Option<(Vec<u8>, Entry)>> {
        // Once, because that verifies them.
        let runs: Vec<Run<'_>> = tail::runs(tail).collect();
        let streams = shares_of(runs.iter().copied());
        let (Some(min), Some(max)) =
            (streams.iter().map(|share| share.min).min(), streams.iter().map(|share| share.max).max())
        else {
            return Ok(None);
        };
        let Self { words, raw, zstd } = self;
        let messages = || runs.iter().flat_map(Run::events).map(|(_, message)| message);
        raw.clear();
        let (mut ingested, mut at) = (0, min);
        let (mut events, mut text) = (0_u32, 0_u64);
        put(raw, runs.len() as u64);
        for run in &runs {
            put(raw, u64::from(run.stream));
            put(raw, u64::from(run.count));
            put_signed(raw, (run.ingested.wrapping_sub(ingested)).cast_signed());
            ingested = run.ingested;
        }
        for (time, _) in runs.iter().flat_map(Run::events) {
            put_signed(raw, time.wrapping_sub(at).cast_signed());
            at = time;
        }
        messages().for_each(|message| put(raw, message.len() as u64));
        let begin = raw.len();
        for message in messages() {
            raw.extend_from_slice(message);
            events += 1;
            text += message.len() as u64;
        }
        let escapes = memchr::memchr(b'\\', &raw[begin..]).is_some();
        let gathered = words.take().unwrap_or_default();
        let (payload, (gathered, filter)) =
            beside(tail.len() >= WORTH, || zstd.compress(raw), || gathered.filter_of(messages()));
        *words = Some(gathered);
        let payload = payload?;
        let mut shared = Vec::new();
        put(&mut shared, streams.len() as u64);
        let mut before = 0;
        for share in &streams {
            put(&mut shared, u64::from(share.stream - before));
            put(&mut shared, share.events);
            put(&mut shared, share.min - min);
            put(&mut shared, share.max - share.min);
            put_signed(&mut shared, share.ingested.wrapping_sub(share.max).cast_signed());
            before = share.stream;
        }
        let entry = Entry {
            number,
            offset: 0,
            streams_length: shared.len() as u32,
            filter_length: filter.len() as u32,
            payload_length: payload.len() as u32,
            raw_length: raw.len() as u32,
            payload_checksum: crc32fast::hash(&payload),
            events,
            min,
            max,
            text,
            escapes,
            streams: streams.into(),
        };
        let mut block = entry.head(&shared, &filter);
        block.extend_from_slice(&shared);
        block.extend_from_slice(&filter);
        block.extend_from_slice(&payload);
        Ok(Some((block, entry)))
    }
}

/// Does both, at the same time where that is worth a thread and there is one to be had.
fn beside<A, B: Send>(worth: bool, one: impl FnOnce() -> A, other: impl FnOnce() -> B + Send) -> (A, B) {
    let other = Mutex::new(Some(other));
    let run = || other.lock().unwrap_or_else(PoisonError::into_inner).take().map(|other| other());
    thread::scope(|scope| {
        let started =
            worth.then(|| thread::Builder::new().name("lambkin-words".into()).spawn_scoped(scope, run));
        let one = one();
        let there = match started {
            Some(Ok(started)) => started.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Some(Err(_)) | None => run(),
        };
        (one, there.expect("it runs once"))
    })
}
