//! Words: runs of letters, digits, underscores and whatever is not ASCII. Filter patterns match whole words, and
//! blocks of the store remember which words are in them.
//!
//! Deliberately not here: which words are worth remembering (`store::words`).

/// Whether a byte is part of a word.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The high bits of those of eight bytes that are part of a word: `is_word`, eight at a time.
fn word_bits(eight: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let low = eight & !HIGH;
    // Of bytes below 0x80, those that are at least `least`: adding what is missing to 0x80 carries into no other byte.
    let from = |bytes: u64, least: u64| bytes + (0x80 - least) * ONES;
    let folded = low | (0x20 * ONES);
    let letters = from(folded, 0x61) & !from(folded, 0x7B);
    let digits = from(low, 0x30) & !from(low, 0x3A);
    let underscores = from(low, 0x5F) & !from(low, 0x60);
    (letters | digits | underscores | eight) & HIGH
}

/// Hands on the words of a text, in order: `words` for who reads megabytes. 64 bytes at once become a bit each, and
/// only where a word begins or ends is anything decided.
pub(crate) fn each_word<'t>(text: &'t [u8], mut take: impl FnMut(&'t [u8])) {
    let (mut begin, mut inside) = (0, false);
    for (index, piece) in text.chunks(64).enumerate() {
        let mut padded = [0; 64];
        let whole: &[u8; 64] = match piece.try_into() {
            Ok(whole) => whole,
            Err(_) => {
                padded[..piece.len()].copy_from_slice(piece);
                &padded
            }
        };
        let mut bits = 0;
        for eight in whole.as_chunks::<8>().0.iter().rev() {
            // The high bits of eight bytes, side by side.
            let gathered = word_bits(u64::from_le_bytes(*eight)).wrapping_mul(0x0002_0408_1020_4081) >> 56;
            bits = bits << 8 | gathered;
        }
        let mut edges = bits ^ (bits << 1 | u64::from(inside));
        while edges != 0 {
            let at = index * 64 + edges.trailing_zeros() as usize;
            edges &= edges - 1;
            if inside {
                take(&text[begin..at]);
            } else {
                begin = at;
            }
            inside = !inside;
        }
    }
    if inside {
        take(&text[begin..]);
    }
}

/// The words of a text, in order.
pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !is_word(*byte)).filter(|word| !word.is_empty())
}

/// Whether `text` has `needle` at a place where no word is cut.
pub(crate) fn contains(text: &[u8], needle: &[u8], finder: &memchr::memmem::Finder<'_>) -> bool {
    let (Some(first), Some(last)) = (needle.first(), needle.last()) else { return true };
    let mut from = 0;
    while let Some(found) = finder.find(&text[from..]) {
        let (begin, end) = (from + found, from + found + needle.len());
        let cut_before = is_word(*first) && begin > 0 && is_word(text[begin - 1]);
        let cut_after = is_word(*last) && end < text.len() && is_word(text[end]);
        if !cut_before && !cut_after {
            return true;
        }
        from = begin + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn both(text: &[u8]) -> (Vec<&[u8]>, Vec<&[u8]>) {
        let mut quick = Vec::new();
        each_word(text, |word| quick.push(word));
        (quick, words(text).collect())
    }

    #[test]
    fn every_byte_is_of_a_word_or_not_beside_every_other() {
        for first in 0..=255 {
            for second in 0..=255 {
                let text = [first, second, b'a', first, b' ', second];
                let (quick, plain) = both(&text);
                assert_eq!(quick, plain, "{text:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn words_are_the_same_both_ways(
            text in prop::collection::vec(
                prop_oneof![any::<u8>(), prop::sample::select(&b"ab09_ -/:@[`{\x7f\x80"[..])], 0..300)
        ) {
            let (quick, plain) = both(&text);
            prop_assert_eq!(quick, plain);
        }
    }
}
