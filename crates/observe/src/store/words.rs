//! Which words a block has: a Bloom filter of 5 bits for each distinct word and three probes, so that a word that is
//! not there is looked for in vain in one block of eleven. Words of a request id or a number stand in few blocks, and
//! a search for one reads those alone.
//!
//! Deliberately not here: what a search needs (`Need`, made by the languages).

use crate::need::Need;
use crate::word::is_word;

const BITS_FOR_EACH: usize = 5;
const PROBES: u32 = 3;
/// Shorter words are everywhere.
const SHORTEST: usize = 3;
/// Words up to this length that have a digit are in every block: parts of UUIDs, of times, of durations.
const NUMBER: usize = 4;

/// Whether a word is remembered at all.
pub(crate) fn is_kept(word: &[u8]) -> bool {
    word.len() >= SHORTEST && (word.len() > NUMBER || !word.iter().any(u8::is_ascii_digit))
}

/// A word's hash: written out, because it is on disk.
pub(crate) fn hash(word: &[u8]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64 ^ word.len() as u64;
    let (chunks, rest) = word.as_chunks::<8>();
    for chunk in chunks {
        hash = mix(hash ^ u64::from_le_bytes(*chunk));
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = mix(hash ^ u64::from_le_bytes(last));
    }
    hash
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (value ^ value >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// Gathers the words of one block; kept between blocks for its memory.
#[derive(Default)]
pub(crate) struct Gatherer {
    /// Hashes in open addressing; zero is free.
    seen: Vec<u64>,
    count: usize,
}

impl Gatherer {
    pub(crate) fn clear(&mut self) {
        self.seen.fill(0);
        self.count = 0;
    }

    /// All words of a message.
    pub(crate) fn add(&mut self, message: &[u8]) {
        let mut begin = 0;
        let mut digits = false;
        for (at, byte) in message.iter().enumerate() {
            if is_word(*byte) {
                digits |= byte.is_ascii_digit();
                continue;
            }
            self.word(&message[begin..at], digits);
            begin = at + 1;
            digits = false;
        }
        self.word(&message[begin..], digits);
    }

    fn word(&mut self, word: &[u8], digits: bool) {
        if word.len() >= SHORTEST && (word.len() > NUMBER || !digits) {
            self.insert(hash(word) | 1 << 63);
        }
    }

    fn insert(&mut self, hash: u64) {
        if self.seen.len() < 2 * (self.count + 1) {
            let grown = vec![0; (self.seen.len() * 2).max(4096)];
            for old in std::mem::replace(&mut self.seen, grown).into_iter().filter(|old| *old != 0) {
                let slot = self.slot(old);
                self.seen[slot] = old;
            }
        }
        let slot = self.slot(hash);
        if self.seen[slot] == 0 {
            self.seen[slot] = hash;
            self.count += 1;
        }
    }

    /// Where the hash is, or would be.
    fn slot(&self, hash: u64) -> usize {
        let mask = self.seen.len() - 1;
        let mut slot = hash as usize & mask;
        while self.seen[slot] != 0 && self.seen[slot] != hash {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// The filter's bytes; empty where there are no words.
    pub(crate) fn filter(&self) -> Vec<u8> {
        let bytes = (self.count * BITS_FOR_EACH).div_ceil(8);
        let mut bits = vec![0_u8; bytes];
        for hash in self.seen.iter().filter(|hash| **hash != 0) {
            for bit in probes(*hash, bytes) {
                bits[bit / 8] |= 1 << (bit % 8);
            }
        }
        bits
    }
}

fn probes(hash: u64, bytes: usize) -> impl Iterator<Item = usize> {
    let hash = hash | 1 << 63;
    let bits = bytes as u64 * 8;
    let (one, two) = (hash & 0xFFFF_FFFF, hash >> 32 | 1);
    // Multiplied instead of divided: the high half of a 32-bit fraction times the size.
    (0..u64::from(PROBES)).map(move |probe| {
        let mixed = one.wrapping_add(probe.wrapping_mul(two)) & 0xFFFF_FFFF;
        ((mixed * bits) >> 32) as usize
    })
}

/// Whether a block with this filter may have what is needed. `escapes`: some message has a backslash, so that what a
/// JSON text says need not stand in it letter by letter.
pub(crate) fn may_have(filter: &[u8], escapes: bool, need: &Need) -> bool {
    match need {
        Need::Nothing => true,
        Need::Word(hash) => {
            !filter.is_empty() && probes(*hash, filter.len()).all(|bit| filter[bit / 8] & 1 << (bit % 8) != 0)
        }
        Need::All(needs) => needs.iter().all(|need| may_have(filter, escapes, need)),
        Need::Any(needs) => needs.iter().any(|need| may_have(filter, escapes, need)),
        Need::Unescaped(need) => escapes || may_have(filter, escapes, need),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_there_are_found_and_few_others() {
        let mut gatherer = Gatherer::default();
        for number in 0..20_000_u64 {
            gatherer.add(format!("id-{:08x} said \"word{number}\" x=7", mix(number)).as_bytes());
        }
        let filter = gatherer.filter();
        assert_eq!(filter.len(), (40_001 * BITS_FOR_EACH).div_ceil(8));
        let may = |word: String| may_have(&filter, false, &Need::words(word.as_bytes()));
        assert!((0..20_000_u64).all(|number| may(format!("word{number}"))));
        let wrong = (0..20_000).filter(|number| may(format!("other{number}"))).count();
        assert!(wrong < 20_000 / 8, "{wrong} of 20,000");
        assert!(may("7".into()) && may("said".into()));
        gatherer.clear();
        assert!(gatherer.filter().is_empty());
        assert!(!may_have(&[], false, &Need::words(b"said")));
    }
}
