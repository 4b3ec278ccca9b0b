//! Patterns of terms: all of them must be there, none of those with `-`; where there are only terms with `?`, one of
//! them must be.

use memchr::memmem::Finder;
use regex::bytes::Regex;

use super::PatternError;
use super::cursor::Cursor;
use crate::need::Need;
use crate::word;

#[derive(Debug)]
enum Term {
    Words { text: String, finder: Box<Finder<'static>> },
    Regex(Regex),
}

impl Term {
    fn words(text: String) -> Self {
        let finder = Box::new(Finder::new(text.as_bytes()).into_owned());
        Self::Words { text, finder }
    }

    fn matches(&self, message: &[u8]) -> bool {
        match self {
            Self::Words { text, finder } => word::contains(message, text.as_bytes(), finder),
            Self::Regex(regex) => regex.is_match(message),
        }
    }

    /// Whether one of many messages, without anything between them, may have it.
    fn may_match(&self, messages: &[u8]) -> bool {
        match self {
            Self::Words { finder, .. } => finder.find(messages).is_some(),
            // It may ask for the end of a message.
            Self::Regex(_) => true,
        }
    }

    fn need(&self) -> Need {
        match self {
            Self::Words { text, .. } => Need::words(text.as_bytes()),
            Self::Regex(_) => Need::Nothing,
        }
    }
}

#[derive(Debug)]
pub(super) struct Terms {
    all: Vec<Term>,
    any: Vec<Term>,
    none: Vec<Term>,
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Terms, PatternError> {
    let mut terms = Terms { all: Vec::new(), any: Vec::new(), none: Vec::new() };
    let mut all_of_them = false;
    loop {
        cursor.skip_spaces();
        let Some(first) = cursor.peek() else { break };
        let to = match first {
            '-' => &mut terms.none,
            '?' => &mut terms.any,
            _ => &mut terms.all,
        };
        if matches!(first, '-' | '?') {
            cursor.next();
        }
        let before = cursor.clone();
        if cursor.eat("\"") {
            let text = cursor.quoted('"')?;
            // AWS's page has `" "` for everything, lines of one word too.
            let everything = first == '"' && text.trim().is_empty();
            if text.is_empty() && !everything {
                return Err(before.error("a term is empty"));
            }
            if everything {
                all_of_them = true;
            } else {
                to.push(Term::words(text));
            }
        } else if cursor.eat("%") {
            to.push(Term::Regex(cursor.regex()?));
        } else {
            let text = cursor.take_while(|each| !each.is_whitespace());
            if text.is_empty() {
                return Err(before.error("a term is expected"));
            }
            if let Some((at, odd)) = text
                .char_indices()
                .find(|(_, each)| each.is_ascii() && !each.is_ascii_alphanumeric() && *each != '_')
            {
                let mut there = before;
                there.eat(&text[..at]);
                return Err(
                    there.error(format!("invalid character '{odd}' in term '{text}', which wants quotes"))
                );
            }
            to.push(Term::words(text.to_owned()));
        }
        if cursor.peek().is_some_and(|next| !next.is_whitespace()) {
            return Err(cursor.error("a space is expected between terms"));
        }
    }
    // As AWS does: beside others, optional terms say nothing.
    if all_of_them || !terms.all.is_empty() || !terms.none.is_empty() {
        terms.any.clear();
    }
    Ok(terms)
}

impl Terms {
    pub(super) fn matches(&self, message: &[u8]) -> bool {
        self.all.iter().all(|term| term.matches(message))
            && !self.none.iter().any(|term| term.matches(message))
            && (self.any.is_empty() || self.any.iter().any(|term| term.matches(message)))
    }

    pub(super) fn may_match(&self, messages: &[u8]) -> bool {
        self.all.iter().all(|term| term.may_match(messages))
            && (self.any.is_empty() || self.any.iter().any(|term| term.may_match(messages)))
    }

    pub(super) fn need(&self) -> Need {
        let any =
            if self.any.is_empty() { Need::Nothing } else { Need::any(self.any.iter().map(Term::need)) };
        Need::all(self.all.iter().map(Term::need).chain([any]))
    }
}
