//! Reading a group from its directory, once, and taking in what older lambkins wrote there.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Group, Settings, State, TAIL, Tail, Writing, gone};
use crate::store::block::{Packer, shares};
use crate::store::import;
use crate::store::segment::{self, Segment};
use crate::store::streams::Streams;
use crate::store::tail;

impl Group {
    /// Reads the group from disk, and takes in what older lambkins wrote.
    pub(super) fn load(
        &self,
        writing: &mut Writing,
        now: u64,
        packer: Option<&mut Packer>,
    ) -> io::Result<()> {
        if self.read().is_some() {
            return Ok(());
        }
        if writing.deleted {
            return Err(gone());
        }
        fs::create_dir_all(&self.directory)?;
        let settings = Settings::open(&self.directory, &self.key.name, now)?;
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
}
