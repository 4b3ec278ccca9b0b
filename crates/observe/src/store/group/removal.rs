//! What goes: what is older than the group's retention, and the oldest where all groups together have too much.

use std::fs;
use std::io;

use super::{Group, TAIL, Tail, Writing, gone};
use crate::store::block::shares;
use crate::store::segment;

/// What was dropped.
pub(crate) struct Dropped {
    pub events: u64,
    pub until: u64,
}

impl Group {
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
}
