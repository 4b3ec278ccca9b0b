use bytes::Bytes;
use lambkin_model::log::LogEvent;
use lambkin_model::time::Timestamp;
use proptest::prelude::*;

use super::packer::WORTH;
use super::*;
use crate::store::words::Gatherer;

#[test]
fn words_that_are_gathered_beside_are_the_same() {
    let (mut file, mut gatherer) = (Vec::new(), Gatherer::default());
    for number in 0..10_000_u64 {
        let text = format!("line {number} of {}", number * 7919);
        gatherer.add(text.as_bytes());
        tail::put(&mut file, 1, number, &[LogEvent { at: Timestamp(number * 1000), message: text.into() }]);
    }
    assert!(file.len() >= WORTH);
    let mut packer = Packer::new().unwrap();
    // The second time with what the first one left.
    for _ in 0..2 {
        let (block, entry) = packer.pack(9, &file).unwrap().unwrap();
        let filter = &block[entry.filter_offset() as usize..entry.payload_offset() as usize];
        assert_eq!(filter, gatherer.filter());
        let mut unpacked = Unpacked::default();
        let mut zstd = zstd::bulk::Decompressor::new().unwrap();
        unpacked.unpack(&mut zstd, &entry, &block[entry.payload_offset() as usize..]).unwrap();
        assert_eq!(unpacked.events().count(), 10_000);
    }
}

proptest! {
    #[test]
    fn what_is_packed_comes_back(runs in prop::collection::vec(
        (0_u32..5, 0_u64..1 << 42, prop::collection::vec((0_u64..1 << 42, "(?s).{0,12}"), 0..5)), 0..8)
    ) {
        let mut file = Vec::new();
        let mut expected = Vec::new();
        for (stream, ingested, events) in &runs {
            let events: Vec<LogEvent> = events
                .iter()
                .map(|(at, text)| LogEvent { at: Timestamp(at * 1000), message: Bytes::from(text.clone()) })
                .collect();
            tail::put(&mut file, *stream, *ingested, &events);
            for event in events {
                expected.push((*stream, *ingested, event.at.millis(), event.message));
            }
        }
        let packed = Packer::new().unwrap().pack(9, &file).unwrap();
        prop_assert_eq!(packed.is_none(), expected.is_empty());
        let Some((block, entry)) = packed else { return Ok(()) };
        prop_assert_eq!(block.len() as u64, entry.length());
        let head: &[u8; HEAD] = block.first_chunk().unwrap();
        let (streams, filter) = Entry::lengths(head).unwrap();
        let (rest, payload) = block[HEAD..].split_at((streams + filter) as usize);
        let (streams, filter) = rest.split_at(streams as usize);
        prop_assert_eq!(Entry::read(0, head, streams, filter), Some(entry.clone()));
        let mut unpacked = Unpacked::default();
        let mut zstd = zstd::bulk::Decompressor::new().unwrap();
        prop_assert!(unpacked.unpack(&mut zstd, &entry, payload).is_some());
        let read: Vec<_> = unpacked
            .events()
            .map(|event| (event.stream, event.ingested, event.at, Bytes::copy_from_slice(event.message)))
            .collect();
        prop_assert_eq!(read, expected);
        let mut damaged = *head;
        damaged[30] ^= 1;
        prop_assert_eq!(Entry::read(0, &damaged, streams, filter), None);
    }
}
