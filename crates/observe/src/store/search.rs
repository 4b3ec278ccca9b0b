//! Searching a group: which blocks may have what is wanted, and of what they have the first or last events, in the
//! order of their times, one page at a time. A page needs the memory of one block and of itself, however many there are.
//!
//! Deliberately not here: the languages in which something is wanted.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::block::{Entry, Event, Unpacked};
use super::group::{Group, Snapshot, Tail};
use super::segment::{read_filter, read_payload};
use super::tail;
use super::words::may_have;
use crate::need::Need;

/// Where an event stands among all of its group: in the order of times, then as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Milliseconds since 1970.
    pub at: u64,
    /// Which block.
    pub block: u64,
    /// Which event of the block.
    pub index: u32,
}

impl Position {
    /// Before all events of this time.
    #[must_use]
    pub fn of(at: u64) -> Self {
        Self { at, block: 0, index: 0 }
    }

    /// The next one, whatever stands there.
    #[must_use]
    pub fn after(self) -> Self {
        Self { index: self.index.saturating_add(1), ..self }
    }

    /// Where it stands among those that came.
    pub(crate) fn arrival(self) -> Arrival {
        Arrival { block: self.block, index: self.index }
    }

    fn flipped(self) -> Self {
        Self { at: !self.at, block: !self.block, index: !self.index }
    }
}

/// Where an event stands among all of its group in the order they came, whatever their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Arrival {
    /// Which block.
    pub block: u64,
    /// Which event of the block.
    pub index: u32,
}

impl Arrival {
    /// All that came and will come.
    pub(crate) const EVER: Range<Self> =
        Self { block: 0, index: 0 }..Self { block: u64::MAX, index: u32::MAX };
}

/// What messages are wanted.
pub(crate) trait Filter {
    /// What they must have.
    fn need(&self) -> &Need;
    /// Whether some message of these, one after the other, may be wanted.
    fn may_match(&self, messages: &[u8]) -> bool;
    fn matches(&self, message: &[u8]) -> bool;
}

/// What is wanted of a group.
pub(crate) struct Wanted<'w> {
    pub from: Position,
    /// Not this one any more.
    pub until: Position,
    /// Those that came in here.
    pub arrived: Range<Arrival>,
    /// Ids in order; `None`: all.
    pub streams: Option<Vec<u32>>,
    pub filter: Option<&'w dyn Filter>,
    /// The last events instead of the first.
    pub newest: bool,
    pub limit: usize,
    /// Bytes of messages; one event is always answered.
    pub bytes: usize,
    /// After this, what was found so far is answered, where that gets on.
    pub deadline: Instant,
}

/// An event that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub position: Position,
    /// The stream's name.
    pub stream: Arc<str>,
    /// When it came, in milliseconds since 1970.
    pub ingested: u64,
    /// What it says.
    pub message: Bytes,
}

/// A page of what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// In the order of their positions.
    pub events: Vec<Found>,
    /// Where the next page begins (or, of the newest, ends before); `None`: there was no more.
    pub next: Option<Position>,
}

/// A block, or the tail.
#[derive(Clone)]
enum Source<'s> {
    Block(&'s Arc<Path>, &'s Arc<Entry>),
    Tail(&'s File, Tail),
}

impl Source<'_> {
    fn range(&self) -> (u64, u64, u64) {
        match self {
            Self::Block(_, entry) => (entry.min, entry.max, entry.number),
            Self::Tail(_, tail) => (tail.min, tail.max, tail.number),
        }
    }
}

/// What of a snapshot has events in these times and streams, the first (or last) ones first.
fn sources<'s>(snapshot: &'s Snapshot, wanted: &Wanted<'_>) -> Vec<Source<'s>> {
    let inside = |min: u64, max: u64| {
        max >= wanted.from.at
            && (min < wanted.until.at || (min == wanted.until.at && wanted.until != Position::of(min)))
    };
    let came = |number: u64| number >= wanted.arrived.start.block && number <= wanted.arrived.end.block;
    let mut sources = Vec::new();
    for segment in &snapshot.segments {
        let blocks = segment.blocks.iter().filter(|entry| came(entry.number));
        for entry in blocks.filter(|entry| inside(entry.min, entry.max)) {
            if wanted.streams.as_ref().is_none_or(|streams| entry.has_stream(streams)) {
                sources.push(Source::Block(&segment.path, entry));
            }
        }
    }
    if let Some((file, tail)) = &snapshot.tail
        && came(tail.number)
        && inside(tail.min, tail.max)
    {
        sources.push(Source::Tail(file, *tail));
    }
    if wanted.newest {
        sources.sort_by_key(|source| std::cmp::Reverse((source.range().1, source.range().2)));
    } else {
        sources.sort_by_key(|source| (source.range().0, source.range().2));
    }
    sources
}

/// Reads blocks and tails; keeps its memory between them.
pub(crate) struct Reader {
    zstd: zstd::bulk::Decompressor<'static>,
    unpacked: Unpacked,
    bytes: Vec<u8>,
    open: Option<(Arc<Path>, File)>,
}

impl Reader {
    pub(crate) fn new() -> io::Result<Self> {
        let zstd = zstd::bulk::Decompressor::new()?;
        Ok(Self { zstd, unpacked: Unpacked::default(), bytes: Vec::new(), open: None })
    }

    /// Hands on the events of a source that are in time, of the streams and match.
    fn read(
        &mut self,
        source: &Source<'_>,
        wanted: &Wanted<'_>,
        take: &mut dyn FnMut(Position, &Event<'_>),
    ) -> io::Result<()> {
        let number = source.range().2;
        let mut each = |event: &Event<'_>| {
            let position = Position { at: event.at, block: number, index: event.index };
            let matches = position >= wanted.from
                && position < wanted.until
                && wanted.arrived.contains(&position.arrival())
                && wanted.streams.as_ref().is_none_or(|streams| streams.binary_search(&event.stream).is_ok())
                && wanted.filter.is_none_or(|filter| filter.matches(event.message));
            if matches {
                take(position, event);
            }
        };
        match source {
            Source::Tail(file, tail) => {
                use std::os::unix::fs::FileExt;
                self.bytes.resize(tail.length as usize, 0);
                file.read_exact_at(&mut self.bytes, 0)?;
                let mut index = 0;
                for run in tail::runs(&self.bytes) {
                    for (at, message) in run.events() {
                        each(&Event { index, stream: run.stream, at, ingested: run.ingested, message });
                        index += 1;
                    }
                }
            }
            Source::Block(path, entry) => {
                if self.open.as_ref().is_none_or(|(open, _)| open != *path) {
                    match File::open(path) {
                        Ok(file) => self.open = Some((Arc::clone(path), file)),
                        // Dropped since the snapshot.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                        Err(error) => return Err(error),
                    }
                }
                let Some((_, file)) = &self.open else { return Ok(()) };
                if let Some(filter) = wanted.filter
                    && *filter.need() != Need::Nothing
                {
                    read_filter(file, entry, &mut self.bytes)?;
                    if !may_have(&self.bytes, entry.escapes, filter.need()) {
                        return Ok(());
                    }
                }
                read_payload(file, entry, &mut self.bytes)?;
                if self.unpacked.unpack(&mut self.zstd, entry, &self.bytes).is_none() {
                    tracing::error!(file = %path.display(), offset = entry.offset, "a damaged block of log events is passed over");
                    return Ok(());
                }
                if wanted.filter.is_none_or(|filter| filter.may_match(self.unpacked.text())) {
                    self.unpacked.events().for_each(|event| each(&event));
                }
            }
        }
        Ok(())
    }
}

struct Candidate {
    /// In the order of the page.
    key: Position,
    found: Found,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// One page.
pub(crate) fn page(group: &Group, now: u64, wanted: &Wanted<'_>) -> io::Result<Page> {
    let snapshot = group.snapshot(now)?;
    let from = wanted.from.max(Position::of(snapshot.settings.horizon(now)));
    let wanted =
        &Wanted { from, streams: wanted.streams.clone(), arrived: wanted.arrived.clone(), ..*wanted };
    let key = |position: Position| if wanted.newest { position.flipped() } else { position };
    // The last of them on top, to go where an earlier one comes.
    let mut heap: BinaryHeap<Candidate> = BinaryHeap::new();
    let (mut bytes, mut full) = (0, false);
    let mut reader = Reader::new()?;
    let mut cut = None;
    for source in sources(&snapshot, wanted) {
        let (min, max, _) = source.range();
        let edge = if wanted.newest { !max } else { min };
        if full && heap.peek().is_some_and(|last| edge > last.key.at) {
            break;
        }
        let begun = if wanted.newest { edge > !wanted.until.at } else { edge > wanted.from.at };
        if begun && Instant::now() > wanted.deadline {
            // What comes before the edge is known.
            cut = Some(edge);
            break;
        }
        reader.read(&source, wanted, &mut |position, event| {
            let key = key(position);
            if full && heap.peek().is_some_and(|last| key > last.key) {
                return;
            }
            let Some(stream) = group.stream_name(event.stream) else { return };
            let message = Bytes::copy_from_slice(event.message);
            bytes += message.len();
            heap.push(Candidate {
                key,
                found: Found { position, stream, ingested: event.ingested, message },
            });
            while heap.len() > wanted.limit || (bytes > wanted.bytes && heap.len() > 1) {
                full = true;
                bytes -= heap.pop().map_or(0, |last| last.found.message.len());
            }
        })?;
    }
    let mut candidates = heap.into_sorted_vec();
    if let Some(edge) = cut {
        candidates.retain(|candidate| candidate.key.at < edge);
    }
    let next = match (cut, candidates.last()) {
        (Some(edge), _) if wanted.newest => Some(Position::of((!edge).saturating_add(1))),
        (Some(edge), _) => Some(Position::of(edge)),
        (None, Some(last)) if full && wanted.newest => Some(last.found.position),
        (None, Some(last)) if full => Some(last.found.position.after()),
        (None, _) => None,
    };
    let mut events: Vec<Found> = candidates.into_iter().map(|candidate| candidate.found).collect();
    if wanted.newest {
        events.reverse();
    }
    Ok(Page { events, next })
}

/// Hands on all events, in no order across blocks. `false` from `take_block`, which is asked before each, or from
/// `take` ends it.
pub(crate) fn scan(
    group: &Group,
    now: u64,
    wanted: &Wanted<'_>,
    take_block: &mut dyn FnMut() -> bool,
    take: &mut dyn FnMut(Position, &Arc<str>, &Event<'_>) -> bool,
) -> io::Result<()> {
    let snapshot = group.snapshot(now)?;
    let from = wanted.from.max(Position::of(snapshot.settings.horizon(now)));
    let wanted =
        &Wanted { from, streams: wanted.streams.clone(), arrived: wanted.arrived.clone(), ..*wanted };
    let mut reader = Reader::new()?;
    let mut last: Option<(u32, Option<Arc<str>>)> = None;
    let mut goes_on = true;
    for source in sources(&snapshot, wanted) {
        if !goes_on || !take_block() {
            break;
        }
        reader.read(&source, wanted, &mut |position, event| {
            if last.as_ref().is_none_or(|(id, _)| *id != event.stream) {
                last = Some((event.stream, group.stream_name(event.stream)));
            }
            if let Some((_, Some(name))) = &last
                && goes_on
            {
                goes_on = take(position, name, event);
            }
        })?;
    }
    Ok(())
}
