//! What comes: appended to the tail, and a tail that is long enough becomes a block.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use lambkin_model::log::LogEvent;

use super::settings::DAY;
use super::{Group, TAIL, Tail, Writing, gone};
use crate::store::block::{Packer, Share};
use crate::store::segment::{self, Segment};
use crate::store::tail;

/// A segment has the events of a day at most, so that retention finds something to delete.
const SEGMENT_SPAN: u64 = DAY;

impl Group {
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
        self.append_locked(&mut writing, packer, stream, events, now)?;
        self.news.send_replace(());
        Ok(())
    }

    pub(super) fn append_locked(
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
            state.streams.add(&Share { stream: id, events, min, max, ingested: now });
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
}
