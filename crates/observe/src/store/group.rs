//! A log group: a directory with its settings, its streams, segments of blocks, and a tail. What comes is appended to
//! the tail as it is; a tail that is long enough becomes a block. Whoever changes it holds `writing`; readers take a
//! snapshot and then need no lock.
//!
//! Deliberately not here: which groups there are (`groups`), searches (`search`).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lambkin_model::log::LogEvent;
use serde::{Deserialize, Serialize};

use super::block::{Packer, shares};
use super::import;
use super::segment::{self, Segment};
use super::streams::{Stream, Streams};
use super::tail;

const TAIL: &str = ".tail";
pub(crate) const SETTINGS: &str = "group.json";
const DAY: u64 = 24 * 60 * 60 * 1000;
/// A segment has the events of a day at most, so that retention finds something to delete.
const SEGMENT_SPAN: u64 = DAY;
const FORMAT: u32 = 1;

/// A group's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// Twelve digits.
    pub account: Arc<str>,
    /// `us-east-1`.
    pub region: Arc<str>,
    /// `/aws/lambda/hello`.
    pub name: Arc<str>,
}

/// What was decided about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    format: u32,
    name: String,
    /// In milliseconds since 1970.
    pub created: u64,
    /// Events older than so many days go; `None`: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// By key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// It is not deleted as long as this is set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletion_protected: bool,
}

impl Settings {
    /// Events before this are not shown any more.
    pub(crate) fn horizon(&self, now: u64) -> u64 {
        self.retention_days.map_or(0, |days| now.saturating_sub(u64::from(days) * DAY))
    }
}

/// Sizes of the store's parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// A tail of so many bytes becomes a block.
    pub block: u64,
    /// A segment of so many bytes is followed by another.
    pub segment: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    pub number: u64,
    pub length: u64,
    pub events: u64,
    pub min: u64,
    pub max: u64,
    pub text: u64,
}

impl Tail {
    fn empty(number: u64) -> Self {
        Self { number, length: 0, events: 0, min: u64::MAX, max: 0, text: 0 }
    }
}

pub(crate) struct State {
    pub settings: Settings,
    pub streams: Streams,
    /// In the order they were begun.
    pub segments: Vec<Arc<Segment>>,
    pub tail: Tail,
    /// What older lambkins wrote is taken in. Until then readers wait for whoever does that.
    whole: bool,
}

/// What only who changes the group needs.
#[derive(Default)]
pub(crate) struct Writing {
    tail: Option<File>,
    scratch: Vec<u8>,
    deleted: bool,
}

pub(crate) struct Group {
    pub(crate) key: GroupKey,
    directory: PathBuf,
    sizes: Sizes,
    writing: Mutex<Writing>,
    /// `None` until someone wants it.
    state: RwLock<Option<State>>,
}

/// A group as it was at one moment.
pub(crate) struct Snapshot {
    pub segments: Vec<Arc<Segment>>,
    pub tail: Option<(File, Tail)>,
    pub settings: Settings,
}

/// What a group has and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes on disk.
    pub bytes: u64,
    /// Time of the last event of its oldest part.
    pub oldest: u64,
}

/// What was dropped.
pub(crate) struct Dropped {
    pub events: u64,
    pub until: u64,
}

impl Group {
    pub(crate) fn new(key: GroupKey, directory: PathBuf, sizes: Sizes) -> Self {
        Self { key, directory, sizes, writing: Mutex::default(), state: RwLock::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<State>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<State>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses the state, read from disk where it is not yet.
    pub(crate) fn with<T>(
        &self,
        now: u64,
        packer: Option<&mut Packer>,
        use_it: impl FnOnce(&State) -> T,
    ) -> io::Result<T> {
        if let Some(state) = self.read().as_ref().filter(|state| state.whole) {
            return Ok(use_it(state));
        }
        let mut writing = self.lock();
        self.load(&mut writing, now, packer)?;
        drop(writing);
        self.read().as_ref().map(use_it).ok_or_else(gone)
    }

    /// Reads the group from disk, and takes in what older lambkins wrote.
    fn load(&self, writing: &mut Writing, now: u64, packer: Option<&mut Packer>) -> io::Result<()> {
        if self.read().is_some() {
            return Ok(());
        }
        if writing.deleted {
            return Err(gone());
        }
        fs::create_dir_all(&self.directory)?;
        let settings = match fs::read(self.directory.join(SETTINGS)) {
            Ok(bytes) => {
                let settings: Settings = serde_json::from_slice(&bytes)?;
                if settings.format > FORMAT {
                    return Err(io::Error::other("the log group was written by a newer lambkin"));
                }
                settings
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let settings = Settings {
                    format: FORMAT,
                    name: self.key.name.to_string(),
                    created: now,
                    retention_days: None,
                    tags: BTreeMap::new(),
                    deletion_protected: false,
                };
                self.write_settings(&settings)?;
                settings
            }
            Err(error) => return Err(error),
        };
        let mut streams = Streams::open(&self.directory)?;
        let (mut segment_files, mut tails, mut old) = (Vec::new(), Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if name.ends_with(segment::SUFFIX) {
                segment_files.push(path);
            } else if name.ends_with(TAIL) {
                tails.push(path);
            } else if name.ends_with(import::SUFFIX) {
                old.push(path);
            }
        }
        segment_files.sort();
        let mut segments = Vec::new();
        for (index, path) in segment_files.iter().enumerate() {
            let segment = Segment::open(path, index + 1 == segment_files.len())?;
            if segment.blocks.is_empty() {
                fs::remove_file(path)?;
            } else {
                segments.push(Arc::new(segment));
            }
        }
        for block in segments.iter().flat_map(|segment| &segment.blocks) {
            block.streams.iter().for_each(|share| streams.seen(share));
        }
        let next = segments.last().and_then(|last| last.blocks.last()).map_or(1, |block| block.number + 1);
        let mut tail = Tail::empty(next);
        for path in tails {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).unwrap_or(0);
            if number < next {
                // It was made a block, and lambkin ended before it could be removed.
                fs::remove_file(path)?;
                continue;
            }
            let bytes = fs::read(&path)?;
            let whole = tail::whole(&bytes);
            if whole < bytes.len() {
                tracing::warn!(file = %path.display(), bytes = bytes.len() - whole, "a torn end was cut off");
                OpenOptions::new().write(true).open(&path)?.set_len(whole as u64)?;
            }
            tail = Tail { length: whole as u64, ..Tail::empty(number) };
            tail.text = tail::runs(&bytes[..whole])
                .flat_map(|run| run.events())
                .map(|(_, message)| message.len() as u64)
                .sum();
            for share in shares(&bytes[..whole]) {
                tail.events += share.events;
                tail.min = tail.min.min(share.min);
                tail.max = tail.max.max(share.max);
                streams.seen(&share);
            }
        }
        writing.tail = None;
        *self.write() = Some(State { settings, streams, segments, tail, whole: old.is_empty() });
        if old.is_empty() {
            return Ok(());
        }
        old.sort();
        let taken_in = self.import_all(writing, packer, &old, now);
        // Also where something went wrong: what is not taken in stays for the next start, and the rest is there.
        if let Some(state) = &mut *self.write() {
            state.whole = true;
        }
        taken_in
    }

    fn import_all(
        &self,
        writing: &mut Writing,
        packer: Option<&mut Packer>,
        files: &[PathBuf],
        now: u64,
    ) -> io::Result<()> {
        let mut own = None;
        let packer = match packer {
            Some(packer) => packer,
            None => own.insert(Packer::new()?),
        };
        files.iter().try_for_each(|file| self.import(writing, packer, file, now))
    }

    /// Takes in a stream's file of an older lambkin. Events that are there already came of it before lambkin was
    /// killed in the middle of this: no other stream has that name, as none was written since.
    fn import(&self, writing: &mut Writing, packer: &mut Packer, path: &Path, now: u64) -> io::Result<()> {
        let Some(name) = import::stream_name(path)? else { return Ok(()) };
        let there = self.read().as_ref().and_then(|state| {
            let id = state.streams.id(&name)?;
            Some(state.streams.get(id)?.share?.events)
        });
        import::read(path, there.unwrap_or(0), &mut |events| {
            self.append_locked(writing, packer, &name, events, now)
        })?;
        import::remove(path)
    }

    fn write_settings(&self, settings: &Settings) -> io::Result<()> {
        let path = self.directory.join(SETTINGS);
        let beside = self.directory.join("group.new");
        fs::write(&beside, serde_json::to_vec_pretty(settings)?)?;
        fs::rename(beside, path)
    }

    /// Changes the settings; nothing changes where they cannot be written.
    pub(crate) fn set(&self, now: u64, change: impl FnOnce(&mut Settings)) -> io::Result<()> {
        let mut writing = self.lock();
        self.load(&mut writing, now, None)?;
        let mut settings = self.read().as_ref().ok_or_else(gone)?.settings.clone();
        change(&mut settings);
        self.write_settings(&settings)?;
        if let Some(state) = &mut *self.write() {
            state.settings = settings;
        }
        Ok(())
    }

    /// Makes a stream; `false` where there is one.
    pub(crate) fn create_stream(&self, name: &str, now: u64) -> io::Result<bool> {
        let mut writing = self.lock();
        self.load(&mut writing, now, None)?;
        let mut state = self.write();
        let state = state.as_mut().ok_or_else(gone)?;
        if state.streams.id(name).is_some() {
            return Ok(false);
        }
        state.streams.create(&self.directory, name, now).map(|_| true)
    }

    /// Deletes a stream; `false` where there is none.
    pub(crate) fn delete_stream(&self, name: &str, now: u64) -> io::Result<bool> {
        let mut writing = self.lock();
        self.load(&mut writing, now, None)?;
        let mut state = self.write();
        let state = state.as_mut().ok_or_else(gone)?;
        let Some(id) = state.streams.id(name) else { return Ok(false) };
        state.streams.delete(&self.directory, id).map(|()| true)
    }

    /// Appends events to a stream, made where there is none. On an error nothing of them is there.
    pub(crate) fn append(
        &self,
        packer: &mut Packer,
        stream: &str,
        events: &[LogEvent],
        now: u64,
    ) -> io::Result<()> {
        let mut writing = self.lock();
        // Someone may have removed the files while the tail was open: what is written there is lost.
        if writing.tail.as_ref().is_some_and(|tail| tail.metadata().is_ok_and(|tail| tail.nlink() == 0)) {
            writing.tail = None;
            *self.write() = None;
        }
        self.load(&mut writing, now, Some(packer))?;
        self.append_locked(&mut writing, packer, stream, events, now)
    }

    fn append_locked(
        &self,
        writing: &mut Writing,
        packer: &mut Packer,
        stream: &str,
        events: &[LogEvent],
        now: u64,
    ) -> io::Result<()> {
        let times = || events.iter().map(|event| event.at.millis());
        let (Some(min), Some(max)) = (times().min(), times().max()) else { return Ok(()) };
        let (id, tail) = {
            let mut state = self.write();
            let state = state.as_mut().ok_or_else(gone)?;
            let id = match state.streams.id(stream) {
                Some(id) => id,
                None => state.streams.create(&self.directory, stream, now)?,
            };
            (id, state.tail)
        };
        writing.scratch.clear();
        tail::put(&mut writing.scratch, id, now, events);
        if writing.tail.is_none() {
            let path = segment::file(&self.directory, tail.number, TAIL);
            writing.tail =
                Some(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?);
        }
        let file = writing.tail.as_ref().ok_or_else(gone)?;
        if let Err(error) = file.write_all_at(&writing.scratch, tail.length) {
            // Opened anew at the next try; what this leaves is written over.
            let _ = file.set_len(tail.length);
            writing.tail = None;
            return Err(error);
        }
        let length = tail.length + writing.scratch.len() as u64;
        if let Some(state) = &mut *self.write() {
            let text = events.iter().map(|event| event.message.len() as u64).sum::<u64>();
            let events = events.len() as u64;
            state.streams.add(&super::block::Share { stream: id, events, min, max, ingested: now });
            state.tail = Tail {
                number: tail.number,
                length,
                events: tail.events + events,
                min: tail.min.min(min),
                max: tail.max.max(max),
                text: tail.text + text,
            };
        }
        if length >= self.sizes.block
            && let Err(error) = self.seal(writing, packer)
        {
            // The events are there; the next append tries again.
            tracing::warn!(group = %self.key.name, %error, "log events could not be compressed");
        }
        Ok(())
    }

    /// Makes a block of the tail.
    fn seal(&self, writing: &mut Writing, packer: &mut Packer) -> io::Result<()> {
        let (tail, mut segment) = {
            let state = self.read();
            let state = state.as_ref().ok_or_else(gone)?;
            (state.tail, state.segments.last().map(Arc::clone))
        };
        let Some(file) = &writing.tail else { return Ok(()) };
        writing.scratch.resize(tail.length as usize, 0);
        file.read_exact_at(&mut writing.scratch, 0)?;
        let Some((block, entry)) = packer.pack(tail.number, &writing.scratch)? else { return Ok(()) };
        let follows = segment.as_ref().is_some_and(|segment| {
            let begun = segment.blocks.first().map_or(0, |first| first.min);
            segment.length < self.sizes.segment && entry.max.saturating_sub(begun) < SEGMENT_SPAN
        });
        if !follows {
            segment = None;
        }
        let mut segment = segment.unwrap_or_else(|| Arc::new(Segment::begin(&self.directory, tail.number)));
        // A copy of its index where someone reads.
        Arc::make_mut(&mut segment).append(&block, entry)?;
        if let Some(state) = &mut *self.write() {
            if follows {
                state.segments.pop();
            }
            state.segments.push(segment);
            state.tail = Tail::empty(tail.number + 1);
        }
        writing.tail = None;
        writing.scratch = Vec::new();
        fs::remove_file(segment::file(&self.directory, tail.number, TAIL))
    }

    /// Closes the tail's file until something comes.
    pub(crate) fn rest(&self) {
        let mut writing = self.lock();
        writing.tail = None;
        writing.scratch = Vec::new();
    }

    pub(crate) fn snapshot(&self, now: u64) -> io::Result<Snapshot> {
        let taken: io::Result<Snapshot> = self.with(now, None, |state| {
            let tail = if state.tail.length > 0 {
                let path = segment::file(&self.directory, state.tail.number, TAIL);
                Some((File::open(path)?, state.tail))
            } else {
                None
            };
            Ok(Snapshot { segments: state.segments.clone(), tail, settings: state.settings.clone() })
        })?;
        match taken {
            // Its files were taken away while it ran.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let settings = self.with(now, None, |state| state.settings.clone())?;
                Ok(Snapshot { segments: Vec::new(), tail: None, settings })
            }
            taken => taken,
        }
    }

    /// A stream's name by its id; `None`: it was deleted.
    pub(crate) fn stream_name(&self, id: u32) -> Option<Arc<str>> {
        self.read()
            .as_ref()
            .and_then(|state| state.streams.get(id).map(|stream: &Stream| Arc::clone(&stream.name)))
    }

    pub(crate) fn extent(&self, now: u64) -> io::Result<Extent> {
        self.with(now, None, |state| {
            let segments = state.segments.iter().map(|segment| segment.length).sum::<u64>();
            let oldest = state.segments.first().map_or(state.tail.max, |first| first.max());
            Extent { bytes: segments + state.tail.length, oldest }
        })
    }

    /// Deletes what is older than the group's retention.
    pub(crate) fn expire(&self, now: u64) -> io::Result<()> {
        let horizon = self.with(now, None, |state| state.settings.horizon(now))?;
        if horizon == 0 {
            return Ok(());
        }
        let mut writing = self.lock();
        loop {
            let part = {
                let state = self.read();
                let Some(state) = state.as_ref() else { return Ok(()) };
                match state.segments.iter().position(|segment| segment.max() < horizon) {
                    Some(index) => Some(index),
                    None if state.tail.length > 0 && state.tail.max < horizon => None,
                    None => return Ok(()),
                }
            };
            self.remove(&mut writing, part)?;
        }
    }

    /// Deletes the oldest part: a segment, or the tail where there is none.
    pub(crate) fn drop_oldest(&self) -> io::Result<Option<Dropped>> {
        let mut writing = self.lock();
        let part = {
            let state = self.read();
            let Some(state) = state.as_ref() else { return Ok(None) };
            if state.segments.is_empty() && state.tail.length == 0 {
                return Ok(None);
            }
            (!state.segments.is_empty()).then_some(0)
        };
        self.remove(&mut writing, part).map(Some)
    }

    /// Removes a segment, or the tail, and counts the streams anew. Streams without any event left go too: each
    /// environment of a function has one of its own.
    fn remove(&self, writing: &mut Writing, part: Option<usize>) -> io::Result<Dropped> {
        let mut guard = self.write();
        let state = guard.as_mut().ok_or_else(gone)?;
        let (path, dropped) = match part {
            Some(index) => {
                let segment = state.segments.remove(index);
                (segment.path.to_path_buf(), Dropped { events: segment.events(), until: segment.max() })
            }
            None => {
                writing.tail = None;
                let tail = std::mem::replace(&mut state.tail, Tail::empty(0));
                state.tail.number = tail.number + 1;
                let dropped = Dropped { events: tail.events, until: tail.max };
                (segment::file(&self.directory, tail.number, TAIL), dropped)
            }
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let had = state.streams.reset();
        for block in state.segments.iter().flat_map(|segment| &segment.blocks) {
            block.streams.iter().for_each(|share| state.streams.add(share));
        }
        if state.tail.length > 0 {
            let bytes = fs::read(segment::file(&self.directory, state.tail.number, TAIL))?;
            shares(&bytes).iter().for_each(|share| state.streams.add(share));
        }
        for id in had {
            if state.streams.get(id).is_some_and(|stream| stream.share.is_none()) {
                state.streams.delete(&self.directory, id)?;
            }
        }
        Ok(dropped)
    }

    /// Ends the group: its directory gets this name, and nothing is written any more.
    pub(crate) fn delete(&self, to: &Path) -> io::Result<()> {
        let mut writing = self.lock();
        writing.deleted = true;
        writing.tail = None;
        *self.write() = None;
        match fs::rename(&self.directory, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// The group was deleted while someone had it.
fn gone() -> io::Error {
    io::ErrorKind::NotFound.into()
}
