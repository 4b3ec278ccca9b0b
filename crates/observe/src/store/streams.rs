//! The streams of a group: names, ids, and what each has. Blocks know ids alone, so a deleted stream's events are
//! nobody's, and a new stream of that name begins without them. Kept in a file of frames that only grows, and is
//! written anew when most of it is about streams that are gone.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::block::Share;
use super::tail::{frame, put_frame};

const FILE: &str = "streams";
const MADE: u8 = 0;
const DELETED: u8 = 1;
/// Fewer dead entries than this are not worth a new file.
const DEAD: u64 = 1000;

#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub name: Arc<str>,
    /// In milliseconds since 1970.
    pub created: u64,
    /// What it has; none where there are no events.
    pub share: Option<Share>,
}

#[derive(Debug, Default)]
pub(crate) struct Streams {
    by_name: BTreeMap<Arc<str>, u32>,
    by_id: HashMap<u32, Stream>,
    /// The id of the next one.
    next: u32,
    /// Whole frames end here.
    length: u64,
}

impl Streams {
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut streams = Self::default();
        let (mut rest, mut dead) = (&bytes[..], 0);
        while let Some((body, left)) = frame(rest) {
            rest = left;
            let Some((kind, id, created, name)) = entry(body) else { continue };
            streams.next = streams.next.max(id + 1);
            if kind == MADE {
                streams.insert(id, created, name.into());
            } else {
                streams.forget(id);
                dead += 1;
            }
        }
        streams.length = (bytes.len() - rest.len()) as u64;
        if dead > DEAD && dead > streams.by_id.len() as u64 {
            streams.write_anew(&path)?;
        }
        Ok(streams)
    }

    fn write_anew(&mut self, path: &Path) -> io::Result<()> {
        let mut bytes = Vec::new();
        for (id, stream) in &self.by_id {
            put_frame(&mut bytes, &body(MADE, *id, stream.created, &stream.name));
        }
        let beside = path.with_extension("new");
        fs::write(&beside, &bytes)?;
        fs::rename(&beside, path)?;
        self.length = bytes.len() as u64;
        Ok(())
    }

    fn insert(&mut self, id: u32, created: u64, name: Arc<str>) {
        self.by_name.insert(Arc::clone(&name), id);
        self.by_id.insert(id, Stream { name, created, share: None });
    }

    fn forget(&mut self, id: u32) {
        if let Some(stream) = self.by_id.remove(&id)
            && self.by_name.get(&stream.name) == Some(&id)
        {
            self.by_name.remove(&stream.name);
        }
    }

    fn append(&mut self, directory: &Path, body: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, body);
        let path = directory.join(FILE);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.write_all_at(&bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn create(&mut self, directory: &Path, name: &str, now: u64) -> io::Result<u32> {
        let id = self.next;
        self.append(directory, &body(MADE, id, now, name))?;
        self.next += 1;
        self.insert(id, now, name.into());
        Ok(id)
    }

    pub(crate) fn delete(&mut self, directory: &Path, id: u32) -> io::Result<()> {
        self.append(directory, &body(DELETED, id, 0, ""))?;
        self.forget(id);
        Ok(())
    }

    /// Ids that blocks know and the file may not, after a power cut, are not given again.
    pub(crate) fn seen(&mut self, share: &Share) {
        self.next = self.next.max(share.stream + 1);
        self.add(share);
    }

    pub(crate) fn add(&mut self, share: &Share) {
        if let Some(stream) = self.by_id.get_mut(&share.stream) {
            match &mut stream.share {
                Some(all) => all.merge(share),
                none => *none = Some(*share),
            }
        }
    }

    /// Forgets what streams have, to be counted anew. Answers those that had something.
    pub(crate) fn reset(&mut self) -> Vec<u32> {
        let taken = self.by_id.iter_mut().filter_map(|(id, stream)| stream.share.take().map(|_| *id));
        taken.collect()
    }

    pub(crate) fn id(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Stream> {
        self.by_id.get(&id)
    }

    /// By name, from this prefix on.
    pub(crate) fn with_prefix<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (u32, &'s Stream)> {
        self.by_name
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(name, _)| name.starts_with(prefix))
            .filter_map(|(_, id)| Some((*id, self.by_id.get(id)?)))
    }
}

fn body(kind: u8, id: u32, created: u64, name: &str) -> Vec<u8> {
    let mut body = vec![kind];
    body.extend_from_slice(&id.to_le_bytes());
    body.extend_from_slice(&created.to_le_bytes());
    body.extend_from_slice(name.as_bytes());
    body
}

fn entry(body: &[u8]) -> Option<(u8, u32, u64, &str)> {
    let (kind, rest) = body.split_first()?;
    let id = u32::from_le_bytes(*rest.first_chunk()?);
    let created = u64::from_le_bytes(*rest.get(4..)?.first_chunk()?);
    Some((*kind, id, created, std::str::from_utf8(rest.get(12..)?).ok()?))
}
