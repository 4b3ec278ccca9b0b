//! A log group: a directory with its settings, its streams, segments of blocks, and a tail. What comes is appended to
//! the tail as it is; a tail that is long enough becomes a block. Whoever changes it holds `writing`; readers take a
//! snapshot and then need no lock.
//!
//! Deliberately not here: which groups there are (`groups`), searches (`search`).

mod appending;
mod opening;
mod removal;
mod settings;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

pub(crate) use self::settings::SETTINGS;
pub use self::settings::Settings;
use super::block::Packer;
use super::search::Arrival;
use super::segment::{self, Segment};
use super::streams::{Stream, Streams};

const TAIL: &str = ".tail";

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

    /// Where the next event will stand.
    pub(crate) fn end(&self) -> Arrival {
        Arrival { block: self.number, index: u32::try_from(self.events).unwrap_or(u32::MAX) }
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
    /// Told of what comes and goes. Who waits costs nothing meanwhile.
    news: watch::Sender<()>,
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

impl Group {
    pub(crate) fn new(key: GroupKey, directory: PathBuf, sizes: Sizes) -> Self {
        Self {
            key,
            directory,
            sizes,
            writing: Mutex::default(),
            state: RwLock::default(),
            news: watch::Sender::new(()),
        }
    }

    /// Changes when something came, or a stream or the group itself went.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// How many watch it.
    pub(crate) fn followers(&self) -> usize {
        self.news.receiver_count()
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
    /// Changes the settings; nothing changes where they cannot be written.
    pub(crate) fn set(&self, now: u64, change: impl FnOnce(&mut Settings)) -> io::Result<()> {
        let mut writing = self.lock();
        self.load(&mut writing, now, None)?;
        let mut settings = self.read().as_ref().ok_or_else(gone)?.settings.clone();
        change(&mut settings);
        settings.write(&self.directory)?;
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
        state.streams.delete(&self.directory, id)?;
        self.news.send_replace(());
        Ok(true)
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

    /// Ends the group: its directory gets this name, and nothing is written any more.
    pub(crate) fn delete(&self, to: &Path) -> io::Result<()> {
        let mut writing = self.lock();
        writing.deleted = true;
        writing.tail = None;
        *self.write() = None;
        self.news.send_replace(());
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
