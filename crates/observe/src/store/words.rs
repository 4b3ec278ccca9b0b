//! Which words a block has: a Bloom filter of 5 bits for each distinct word and three probes, so that a word that is
//! not there is looked for in vain in one block of eleven. Words of a request id or a number stand in few blocks, and
//! a search for one reads those alone.
//!
//! Deliberately not here: what a search needs (`Need`, made by the languages).

use crate::need::Need;
use crate::word::each_word;

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
    if rest.is_empty() { hash } else { mix(hash ^ up_to_eight(rest)) }
}

/// One to seven bytes as the low ones of a number. Read as two fields that may overlap: a copy of so few bytes would cost
/// more than the hash.
fn up_to_eight(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * (length - 4));
    }
    let at = |index: usize| u64::from(bytes[index]) << (8 * index);
    at(0) | at(length / 2) | at(length - 1)
}

fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (value ^ value >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// Places for hashes that came lately.
const RECENT: usize = 1 << 12;
/// Bits of the estimate. A block of 1 MiB has some 60,000 distinct words, which it counts to a percent.
const ESTIMATE_BITS: usize = 1 << 17;

/// Gathers the words of one block; kept between blocks for its memory.
///
/// No table of all distinct words is kept, which would not stay in the processor's caches: a repeated word costs the
/// filter nothing, and how many are distinct, which is its size, is estimated.
pub(crate) struct Gatherer {
    /// Hashes in the order they came, without most that came before.
    hashes: Vec<u64>,
    /// The last hash of each place: words of a request come close together, and those of all lines again and again.
    recent: Box<[u64; RECENT]>,
    /// A bit for each hash.
    estimate: Box<[u64; ESTIMATE_BITS / 64]>,
}

impl Default for Gatherer {
    fn default() -> Self {
        Self {
            hashes: Vec::new(),
            recent: Box::new([0; RECENT]),
            estimate: Box::new([0; ESTIMATE_BITS / 64]),
        }
    }
}

impl Gatherer {
    pub(crate) fn clear(&mut self) {
        self.hashes.clear();
        self.recent.fill(0);
        self.estimate.fill(0);
    }

    /// All words of a message.
    pub(crate) fn add(&mut self, message: &[u8]) {
        each_word(message, |word| {
            if is_kept(word) {
                self.insert(hash(word) | 1 << 63);
            }
        });
    }

    fn insert(&mut self, hash: u64) {
        let recent = &mut self.recent[hash as usize % RECENT];
        if *recent == hash {
            return;
        }
        *recent = hash;
        self.hashes.push(hash);
        // Other bits than those of `recent`.
        let bit = (hash >> 32) as usize % ESTIMATE_BITS;
        self.estimate[bit / 64] |= 1 << (bit % 64);
    }

    /// About how many distinct words there are, by how many bits are still clear (linear counting).
    fn distinct(&self) -> usize {
        let set: u32 = self.estimate.iter().map(|bits| bits.count_ones()).sum();
        let bits = ESTIMATE_BITS as f64;
        let clear = bits - f64::from(set);
        let estimated = if clear > 0.0 { (bits * (bits / clear).ln()).round() } else { f64::INFINITY };
        self.hashes.len().min(estimated as usize)
    }

    /// The filter of these messages alone, and what it was made with.
    pub(crate) fn filter_of<'m>(mut self, messages: impl Iterator<Item = &'m [u8]>) -> (Self, Vec<u8>) {
        self.clear();
        messages.for_each(|message| self.add(message));
        let filter = self.filter();
        (self, filter)
    }

    /// The filter's bytes; empty where there are no words.
    pub(crate) fn filter(&self) -> Vec<u8> {
        let bytes = (self.distinct() * BITS_FOR_EACH).div_ceil(8);
        let mut bits = vec![0_u8; bytes];
        for hash in &self.hashes {
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

    /// Blocks on disk have bits of these.
    #[test]
    fn hashes_stay_what_they_are() {
        let plain = |word: &[u8]| {
            word.chunks(8).fold(0xCBF2_9CE4_8422_2325_u64 ^ word.len() as u64, |hash, chunk| {
                let mut padded = [0; 8];
                padded[..chunk.len()].copy_from_slice(chunk);
                mix(hash ^ u64::from_le_bytes(padded))
            })
        };
        let text: Vec<u8> = (1..=40).map(|byte| byte * 6).collect();
        for length in 0..=text.len() {
            assert_eq!(hash(&text[..length]), plain(&text[..length]), "{length} bytes");
        }
        assert_eq!(hash(b"RequestId"), 0x9E3B_DE2F_6847_A0B1);
    }

    #[test]
    fn a_filter_is_as_large_as_its_distinct_words_ask_for() {
        for (distinct, times) in
            [(1, 100_000), (1_000, 100), (5_000, 20), (20_000, 10), (400_000, 1), (400_000, 2)]
        {
            let mut gatherer = Gatherer::default();
            for _ in 0..times {
                for number in 0..distinct {
                    gatherer.insert(mix(number) | 1 << 63);
                }
            }
            let exact = distinct as usize * BITS_FOR_EACH / 8;
            let found = gatherer.filter().len();
            assert!(found.abs_diff(exact) <= exact / 50 + 1, "{distinct} words, {found} bytes, not {exact}");
        }
    }

    #[test]
    fn words_that_are_there_are_found_and_few_others() {
        let mut gatherer = Gatherer::default();
        for number in 0..20_000_u64 {
            gatherer.add(format!("id-{:08x} said \"word{number}\" x=7", mix(number)).as_bytes());
        }
        let filter = gatherer.filter();
        let exact = 40_001 * BITS_FOR_EACH / 8;
        assert!(filter.len().abs_diff(exact) < exact / 50, "{} bytes instead of {exact}", filter.len());
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
