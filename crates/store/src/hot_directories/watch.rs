//! The watch of one directory: whether anything in it changed, and whether it still is where it was.
//!
//! Deliberately not here: which directories may be watched.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lambkin_model::hot_code::Changes;
use notify::event::{CreateKind, EventKind, MetadataKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

/// Most directories of one function's hot code: the kernel watches each by itself, and has some ten thousand for a user.
pub(super) const WATCHES: usize = 8_000;

#[derive(Debug)]
pub(super) struct Watch {
    directory: PathBuf,
    mark: Arc<AtomicU64>,
    /// It was removed or moved: what is in its place is not watched. Its inode may be the same.
    gone: Arc<AtomicBool>,
    /// Another directory may come in its place.
    identity: Identity,
    /// Its thread ends with it.
    _watcher: RecommendedWatcher,
}

/// Device and inode.
type Identity = (u64, u64);

fn identity(directory: &Path) -> io::Result<Identity> {
    fs::metadata(directory).map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Watch {
    pub(super) fn new(directory: &Path) -> Result<Self, String> {
        let identity = identity(directory).map_err(|error| error.to_string())?;
        let mut left = WATCHES;
        count(directory, &mut left)?;
        let (mark, gone) = (Arc::new(AtomicU64::new(next_mark())), Arc::<AtomicBool>::default());
        let (changed, going, root) = (Arc::clone(&mark), Arc::clone(&gone), directory.to_owned());
        let tell = move |event: notify::Result<notify::Event>| {
            let event = event.as_ref();
            if event.is_ok_and(|event| event.kind == EventKind::Create(CreateKind::Folder)) {
                left = left.saturating_sub(1);
            }
            // With too many it is watched anew, which is refused.
            if left == 0 || event.map_or(true, |event| ends(event, &root)) {
                going.store(true, Ordering::Release);
            }
            if event.map_or(true, changes) {
                changed.store(next_mark(), Ordering::Release);
            }
        };
        // What a link leads to is not the directory's.
        let config = notify::Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(tell, config).map_err(|error| error.to_string())?;
        watcher.watch(directory, RecursiveMode::Recursive).map_err(|error| error.to_string())?;
        Ok(Self { directory: directory.to_owned(), mark, gone, identity, _watcher: watcher })
    }

    pub(super) fn is_good(&self) -> bool {
        !self.gone.load(Ordering::Acquire)
    }
}

impl Changes for Watch {
    fn mark(&self) -> u64 {
        // What happens to a directory above it nobody tells.
        if self.is_good() && identity(&self.directory).ok() != Some(self.identity) {
            self.gone.store(true, Ordering::Release);
            self.mark.store(next_mark(), Ordering::Release);
        }
        self.mark.load(Ordering::Acquire)
    }
}

/// Numbers of changes, of all directories: none comes twice.
fn next_mark() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Takes the directories below one from `left`.
fn count(directory: &Path, left: &mut usize) -> Result<(), String> {
    *left = left.checked_sub(1).ok_or_else(|| format!("it has more than {WATCHES} directories"))?;
    // What cannot be read is not watched either.
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    let below = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(below).try_for_each(|entry| count(&entry.path(), left))
}

/// Reading is none, and what the kernel could not tell is one.
fn changes(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(MetadataKind::AccessTime)) => {
            event.need_rescan()
        }
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// Whether the directory itself is no more where it was.
fn ends(event: &notify::Event, root: &Path) -> bool {
    let away = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
    away && event.paths.iter().any(|path| path == root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_no_change() {
        use notify::event::{AccessKind, CreateKind, Flag};
        let event = |kind| notify::Event::new(kind);
        assert!(!changes(&event(EventKind::Access(AccessKind::Any))));
        assert!(changes(&event(EventKind::Create(CreateKind::File))));
        assert!(changes(&event(EventKind::Access(AccessKind::Any)).set_flag(Flag::Rescan)));
    }
}
