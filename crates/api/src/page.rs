//! One page of a list of Lambda's: after which item it begins, how many it has, and the marker of the next.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambkin_model::Error;

use crate::node::Node;

pub(crate) struct Page {
    after: Option<String>,
    limit: usize,
}

impl Page {
    /// As `Marker` and `MaxItems` ask for it, with at most so many items.
    pub(crate) fn asked(input: &Node<'_>, most: usize) -> Result<Self, Error> {
        let marker = input.text("Marker").filter(|marker| !marker.is_empty());
        let read = |marker| String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok();
        let after = marker.map(|marker| read(marker).ok_or_else(invalid)).transpose()?;
        let asked = input.integer("MaxItems").and_then(|items| usize::try_from(items).ok());
        Ok(Self { after, limit: asked.unwrap_or(most).min(most) })
    }

    /// The last item of the page before, as it was called there.
    pub(crate) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The same, where items are called by more than text.
    pub(crate) fn after_as<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Error> {
        self.after().map(|after| read(after).ok_or_else(invalid)).transpose()
    }

    /// How many to look for: one more than the page has, to know whether another follows.
    pub(crate) fn wanted(&self) -> usize {
        self.limit + 1
    }

    /// Leaves what the page has; the marker of the next one, by what its last item is called.
    pub(crate) fn cut<T>(&self, found: &mut Vec<T>, called: impl FnOnce(&T) -> String) -> Option<String> {
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        found.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(called(last)))
    }
}

fn invalid() -> Error {
    Error::InvalidParameterValue("Invalid Marker".into())
}
