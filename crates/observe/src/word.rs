//! Words: runs of letters, digits, underscores and whatever is not ASCII. Filter patterns match whole words, and
//! blocks of the store remember which words are in them.
//!
//! Deliberately not here: which words are worth remembering (`store::words`).

/// Whether a byte is part of a word.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
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
