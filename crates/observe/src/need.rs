//! What a message must have for a search to match it, as far as words can tell: blocks without it are not read.
//!
//! Deliberately not here: whether a message matches; that is asked of each that is read.

use crate::store::words::{hash, is_kept};
use crate::word::words;

/// Words that must be there. It may ask for less than the search does, never for more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// Any message may match.
    Nothing,
    /// The hash of a word.
    Word(u64),
    All(Vec<Need>),
    Any(Vec<Need>),
    /// What a JSON text says: in a message with a backslash it may stand otherwise.
    Unescaped(Box<Need>),
}

impl Need {
    /// All words of a text that is looked for, with whole words at its ends.
    pub(crate) fn words(text: &[u8]) -> Self {
        let kept = words(text).filter(|word| is_kept(word));
        Self::all(kept.map(|word| Self::Word(hash(word))))
    }

    pub(crate) fn all(needs: impl IntoIterator<Item = Self>) -> Self {
        let mut needs: Vec<Self> = needs.into_iter().filter(|need| *need != Self::Nothing).collect();
        match needs.len() {
            0 => Self::Nothing,
            1 => needs.remove(0),
            _ => Self::All(needs),
        }
    }

    pub(crate) fn any(needs: impl IntoIterator<Item = Self>) -> Self {
        let needs: Vec<Self> = needs.into_iter().collect();
        if needs.is_empty() || needs.contains(&Self::Nothing) { Self::Nothing } else { Self::Any(needs) }
    }

    pub(crate) fn unescaped(self) -> Self {
        if self == Self::Nothing { self } else { Self::Unescaped(Box::new(self)) }
    }
}
