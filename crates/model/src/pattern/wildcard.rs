//! Texts with `*` in them. Trying one takes time in proportion to the text's length, whatever the pattern:
//! between two stars the first place that fits is as good as any later one.
//!
//! Deliberately not here: the other comparisons.

/// A text with stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wildcard {
    /// What stands between the stars, the first and the last at the ends; at least one.
    parts: Vec<String>,
}

impl Wildcard {
    /// Reads one: `\*` and `\\` are the characters themselves. The refusals are AWS's.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = vec![String::new()];
        let mut star_before = false;
        let mut characters = text.chars().enumerate();
        while let Some((at, character)) = characters.next() {
            let literal = match character {
                '*' if star_before => {
                    return Err(format!("Consecutive wildcard characters at pos {}", at - 1));
                }
                '*' => {
                    parts.push(String::new());
                    star_before = true;
                    continue;
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('*' | '\\'))) => escaped,
                    _ => return Err(format!("Invalid escape character at pos {at}")),
                },
                character => character,
            };
            star_before = false;
            if let Some(part) = parts.last_mut() {
                part.push(literal);
            }
        }
        Ok(Self { parts })
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|only| only == text);
        };
        let Some(rest) = text.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        middle.iter().all(|part| match rest.find(part.as_str()) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }
}
