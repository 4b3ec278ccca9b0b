//! Versions of a function: which there are, what a published one is, and when publishing makes a new one.
//!
//! A published version's body is a record of its own, written before the head names it and never changed; the head
//! has its number, the record's name, and its state.
//!
//! Deliberately not here: aliases (`alias`), and who writes the records (`control`).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::function::{Configuration, FunctionVersion, LastUpdate, State};
use crate::name::{FunctionKey, LATEST};
use crate::record::{Record, ResourceKey};

/// `$LATEST` or the number of a published version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// The only one that can change.
    Latest,
    /// A published one, counted from 1.
    Published(u64),
}

impl Version {
    /// `$LATEST` or a number as lambkin writes it; `None` where the text is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == LATEST {
            return Some(Self::Latest);
        }
        let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        canonical.then(|| text.parse().ok().map(Self::Published))?
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str(LATEST),
            Self::Published(number) => write!(f, "{number}"),
        }
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("neither $LATEST nor a version's number"))
    }
}

/// Whether AWS takes a qualifier for a version, there or not; any other is an alias's name.
#[must_use]
pub fn is_number(qualifier: &str) -> bool {
    !qualifier.is_empty() && qualifier.bytes().all(|byte| byte.is_ascii_digit())
}

/// A published version as its function's head has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Name of its record, new for each: two that publish at once never write the same.
    pub id: Arc<str>,
    /// `Pending` while what it was published with is being got.
    #[serde(default = "active", skip_serializing_if = "is_active")]
    pub state: State,
}

fn active() -> State {
    State::Active
}

fn is_active(state: &State) -> bool {
    *state == State::Active
}

impl Published {
    /// AWS's `LastUpdateStatus` of a version in this state.
    #[must_use]
    pub fn last_update(&self) -> Option<LastUpdate> {
        match &self.state {
            State::Pending => None,
            State::Active | State::Deactivated => Some(LastUpdate::Successful),
            State::Failed { code, reason } => {
                Some(LastUpdate::Failed { code: code.clone(), reason: reason.clone() })
            }
        }
    }
}

/// The body of a published version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedVersion {
    /// Account, region, and the name that the head has.
    pub key: ResourceKey,
    /// Of which function: with the key's account and region that is its head's key.
    pub function: Arc<str>,
    /// As `$LATEST` was, with its own number, description and `RevisionId`.
    pub version: FunctionVersion,
    /// What `$LATEST`'s description was, where the version was given one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description_of_latest: Option<String>,
}

impl Record for PublishedVersion {
    const KIND: &'static str = "version";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl PublishedVersion {
    /// `$LATEST` as it is, under this number. `id` names its record and is its `RevisionId`.
    #[must_use]
    pub fn new(
        function: &FunctionKey,
        latest: &FunctionVersion,
        number: u64,
        id: String,
        description: Option<String>,
    ) -> Self {
        let mut version = latest.clone();
        version.version = number.to_string();
        version.state = State::Active;
        version.last_update = Some(LastUpdate::Successful);
        let given = description.map(|given| std::mem::replace(&mut version.configuration.description, given));
        let key = record_key(function, &id);
        version.revision_id = id;
        Self { key, function: Arc::clone(&function.name), version, description_of_latest: given }
    }

    /// Which function it is of.
    #[must_use]
    pub fn function_key(&self) -> FunctionKey {
        FunctionKey {
            account: Arc::clone(&self.key.account),
            region: Arc::clone(&self.key.region),
            name: Arc::clone(&self.function),
        }
    }

    /// Whether `$LATEST` is still what was published: AWS makes no new version of the same then.
    #[must_use]
    pub fn is_of(&self, latest: &FunctionVersion) -> bool {
        let published = &self.version.configuration;
        let description = self.description_of_latest.as_ref().unwrap_or(&published.description);
        let configuration = Configuration { description: description.clone(), ..published.clone() };
        self.version.code == latest.code && configuration == latest.configuration
    }
}

/// The key of a version's record.
#[must_use]
pub fn record_key(function: &FunctionKey, id: &str) -> ResourceKey {
    let FunctionKey { account, region, name: _ } = function;
    ResourceKey { account: Arc::clone(account), region: Arc::clone(region), name: id.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_texts() {
        for (text, expected) in [
            ("$LATEST", Some(Version::Latest)),
            ("1", Some(Version::Published(1))),
            ("18446744073709551615", Some(Version::Published(u64::MAX))),
            ("18446744073709551616", None),
            ("0", None),
            ("01", None),
            ("", None),
            ("1a", None),
            ("live", None),
            ("$latest", None),
        ] {
            assert_eq!(Version::parse(text), expected, "{text}");
            if let Some(version) = expected {
                assert_eq!(version.to_string(), text);
            }
        }
        for (qualifier, expected) in
            [("1", true), ("007", true), ("v1", false), ("$LATEST", false), ("", false)]
        {
            assert_eq!(is_number(qualifier), expected, "{qualifier}");
        }
    }
}
