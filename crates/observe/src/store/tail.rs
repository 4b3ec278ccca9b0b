//! The tail of a group: events that are not in a block yet, as they came, in a file of frames. Each frame has the
//! length of what follows and its checksum, so that one that was torn, and whatever is after it, is cut off.
//!
//! Deliberately not here: files.

use lambkin_model::log::LogEvent;

/// Length and checksum.
const FRAME_HEAD: usize = 8;
/// Stream, time of ingestion, number of events.
const RUN_HEAD: usize = 16;
/// Time and length.
const EVENT_HEAD: usize = 12;

/// Events of one stream that came together.
#[derive(Clone, Copy)]
pub(crate) struct Run<'t> {
    pub stream: u32,
    /// When they came, in milliseconds since 1970.
    pub ingested: u64,
    pub count: u32,
    events: &'t [u8],
}

impl<'t> Run<'t> {
    /// Times and messages.
    pub(crate) fn events(&self) -> impl Iterator<Item = (u64, &'t [u8])> + use<'t> {
        let mut rest = self.events;
        std::iter::from_fn(move || {
            let at = u64::from_le_bytes(*rest.first_chunk()?);
            let length = u32::from_le_bytes(*rest.get(8..)?.first_chunk()?) as usize;
            let message = rest.get(EVENT_HEAD..EVENT_HEAD + length)?;
            rest = &rest[EVENT_HEAD + length..];
            Some((at, message))
        })
    }
}

/// Appends a frame with these events.
pub(crate) fn put(to: &mut Vec<u8>, stream: u32, ingested: u64, events: &[LogEvent]) {
    let begin = to.len();
    to.extend_from_slice(&[0; FRAME_HEAD]);
    to.extend_from_slice(&stream.to_le_bytes());
    to.extend_from_slice(&ingested.to_le_bytes());
    to.extend_from_slice(&(events.len() as u32).to_le_bytes());
    for event in events {
        to.extend_from_slice(&event.at.millis().to_le_bytes());
        to.extend_from_slice(&(event.message.len() as u32).to_le_bytes());
        to.extend_from_slice(&event.message);
    }
    let body = begin + FRAME_HEAD;
    let length = (to.len() - body) as u32;
    let checksum = crc32fast::hash(&to[body..]);
    to[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
    to[begin + 4..body].copy_from_slice(&checksum.to_le_bytes());
}

/// The whole frames of a tail, in order.
pub(crate) fn runs(tail: &[u8]) -> impl Iterator<Item = Run<'_>> {
    let mut rest = tail;
    std::iter::from_fn(move || {
        let (body, left) = frame(rest)?;
        rest = left;
        run(body)
    })
}

/// How much of a file is whole frames.
pub(crate) fn whole(tail: &[u8]) -> usize {
    let mut rest = tail;
    while let Some((body, left)) = frame(rest) {
        if run(body).is_none() {
            break;
        }
        rest = left;
    }
    tail.len() - rest.len()
}

/// The first frame's body and what follows it.
pub(crate) fn frame(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_le_bytes(*from.first_chunk()?) as usize;
    let checksum = u32::from_le_bytes(*from.get(4..)?.first_chunk()?);
    let body = from.get(FRAME_HEAD..FRAME_HEAD + length)?;
    (crc32fast::hash(body) == checksum).then(|| (body, &from[FRAME_HEAD + length..]))
}

/// Appends a frame around these bytes.
pub(crate) fn put_frame(to: &mut Vec<u8>, body: &[u8]) {
    to.extend_from_slice(&(body.len() as u32).to_le_bytes());
    to.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    to.extend_from_slice(body);
}

fn run(body: &[u8]) -> Option<Run<'_>> {
    Some(Run {
        stream: u32::from_le_bytes(*body.first_chunk()?),
        ingested: u64::from_le_bytes(*body.get(4..)?.first_chunk()?),
        count: u32::from_le_bytes(*body.get(12..)?.first_chunk()?),
        events: body.get(RUN_HEAD..)?,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lambkin_model::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn events(messages: &[(u64, Vec<u8>)]) -> Vec<LogEvent> {
        let event = |(at, message): &(u64, Vec<u8>)| LogEvent {
            at: Timestamp(at * 1000),
            message: Bytes::copy_from_slice(message),
        };
        messages.iter().map(event).collect()
    }

    proptest! {
        #[test]
        fn what_is_whole_comes_back_however_it_is_torn(
            runs_of in prop::collection::vec(prop::collection::vec((0_u64..1 << 40, prop::collection::vec(any::<u8>(), 0..20)), 0..4), 1..6),
            torn in 0.0..1.0_f64,
            flip in 0.0..1.0_f64,
        ) {
            let mut file = Vec::new();
            let mut ends = vec![0];
            for (index, run) in runs_of.iter().enumerate() {
                put(&mut file, index as u32, 7, &events(run));
                ends.push(file.len());
            }
            let read = |file: &[u8]| -> Vec<Vec<(u64, Vec<u8>)>> {
                runs(file).map(|run| run.events().map(|(at, message)| (at, message.to_vec())).collect()).collect()
            };
            prop_assert_eq!(&read(&file), &runs_of);
            prop_assert_eq!(whole(&file), file.len());
            let length = (file.len() as f64 * torn) as usize;
            let kept = ends.iter().filter(|end| **end <= length).count() - 1;
            prop_assert_eq!(whole(&file[..length]), ends[kept]);
            prop_assert_eq!(&read(&file[..length])[..], &runs_of[..kept]);
            // A byte that is not what it was ends it there too.
            let at = (file.len() as f64 * flip) as usize;
            file[at] ^= 0x10;
            let before = ends.iter().filter(|end| **end <= at).count() - 1;
            prop_assert_eq!(whole(&file), ends[before]);
        }
    }
}
