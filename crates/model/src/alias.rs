//! Aliases: a name for a version, or for two between which invocations are divided by weight.
//!
//! Deliberately not here: chance. Whoever invokes hands in a number.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::version::Version;

/// The share of invocations that go to an alias's second version, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(f64);

/// It is never NaN.
impl Eq for Weight {}

impl Weight {
    /// `None` where it is no share.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }

    /// From 0 to 1.
    #[must_use]
    pub fn share(self) -> f64 {
        self.0
    }
}

/// The second version of a weighted alias: AWS's `AdditionalVersionWeights`, which has at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Additional {
    /// Always a published one.
    pub version: Version,
    /// Its share.
    pub weight: Weight,
}

/// An alias of a function; its name is the key that the head has it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Alias {
    /// Where all invocations go, or those that the second version does not get.
    pub version: Version,
    /// The second version.
    pub additional: Option<Additional>,
    /// Free text, at most 256 characters.
    pub description: String,
    /// UUID; changes with every change. Empty in a record of a format before 4, which had no more than the version.
    pub revision_id: String,
}

/// As it stands in a record.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    /// Before format 4.
    Version(Version),
    Alias {
        version: Version,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        additional: Option<Additional>,
        description: String,
        revision_id: String,
    },
}

impl From<Written> for Alias {
    fn from(written: Written) -> Self {
        match written {
            Written::Version(version) => {
                Self { version, additional: None, description: String::new(), revision_id: String::new() }
            }
            Written::Alias { version, additional, description, revision_id } => {
                Self { version, additional, description, revision_id }
            }
        }
    }
}

impl From<Alias> for Written {
    fn from(alias: Alias) -> Self {
        let is_old = alias.is_old();
        let Alias { version, additional, description, revision_id } = alias;
        if is_old {
            Self::Version(version)
        } else {
            Self::Alias { version, additional, description, revision_id }
        }
    }
}

impl Alias {
    /// A format before 4 can say all of it.
    pub(crate) fn is_old(&self) -> bool {
        self.revision_id.is_empty() && self.description.is_empty() && self.additional.is_none()
    }

    /// The version that runs an invocation. `chance` gives a number from 0 to below 1, each as likely as any
    /// other, and is only asked where there is a choice.
    pub fn pick(&self, chance: impl FnOnce() -> f64) -> Version {
        match self.additional {
            Some(Additional { version, weight }) if chance() < weight.share() => version,
            Some(_) | None => self.version,
        }
    }

    /// Both versions, the first and the second.
    pub fn versions(&self) -> impl Iterator<Item = Version> {
        std::iter::once(self.version).chain(self.additional.map(|additional| additional.version))
    }

    /// Whether the two versions go together. That they are there is the caller's to see.
    pub fn check(&self) -> Result<(), Error> {
        match self.additional {
            Some(Additional { version, .. }) if version == self.version => {
                Err(Error::InvalidParameterValue(format!(
                    "Invalid function version {version}. Function version {version} is already included in routing \
                     configuration."
                )))
            }
            Some(_) if self.version == Version::Latest => Err(Error::UntypedParameterValue(
                "$LATEST is not supported for an alias pointing to more than 1 version".into(),
            )),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(version: Version, additional: Option<(u64, f64)>) -> Alias {
        let additional = additional.map(|(number, share)| Additional {
            version: Version::Published(number),
            weight: Weight::new(share).unwrap(),
        });
        Alias { version, additional, description: String::new(), revision_id: "r".into() }
    }

    #[test]
    fn picks() {
        const ONE: Version = Version::Published(1);
        const TWO: Version = Version::Published(2);
        let below_one = 1.0 - f64::EPSILON / 2.0;
        for (additional, chance, expected) in [
            (None, 0.0, ONE),
            (Some((2, 0.1)), 0.0, TWO),
            (Some((2, 0.1)), 0.099_999, TWO),
            (Some((2, 0.1)), 0.1, ONE),
            (Some((2, 0.1)), below_one, ONE),
            (Some((2, 0.0)), 0.0, ONE),
            (Some((2, 1.0)), below_one, TWO),
        ] {
            assert_eq!(alias(ONE, additional).pick(|| chance), expected, "{additional:?} {chance}");
        }
        assert_eq!(alias(ONE, None).pick(|| unreachable!("there is no choice")), ONE);
        assert_eq!(alias(Version::Latest, None).pick(|| unreachable!()), Version::Latest);
    }

    #[test]
    fn a_split_is_what_its_weight_says() {
        let alias = alias(Version::Published(1), Some((2, 0.1)));
        let second = (0..1000).filter(|n| alias.pick(|| f64::from(*n) / 1000.0) == Version::Published(2));
        assert_eq!(second.count(), 100);
    }

    #[test]
    fn weights() {
        for (share, expected) in [
            (0.0, true),
            (0.5, true),
            (1.0, true),
            (-0.0, true),
            (-0.1, false),
            (1.1, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
        ] {
            assert_eq!(Weight::new(share).is_some(), expected, "{share}");
        }
    }

    #[test]
    fn versions_that_do_not_go_together() {
        for (alias, expected) in [
            (alias(Version::Published(1), None), ""),
            (alias(Version::Latest, None), ""),
            (alias(Version::Published(1), Some((2, 0.5))), ""),
            (
                alias(Version::Published(2), Some((2, 0.5))),
                "Invalid function version 2. Function version 2 is already included in routing configuration.",
            ),
            (
                alias(Version::Latest, Some((2, 0.5))),
                "$LATEST is not supported for an alias pointing to more than 1 version",
            ),
        ] {
            let said = alias.check().err().map(|error| error.to_string()).unwrap_or_default();
            assert_eq!(said, expected, "{alias:?}");
        }
    }

    #[test]
    fn records_of_both_formats() {
        for json in [
            r#""2""#,
            r#""$LATEST""#,
            r#"{"version":"2","description":"","revision_id":"r"}"#,
            r#"{"version":"1","additional":{"version":"2","weight":0.1},"description":"d","revision_id":"r"}"#,
        ] {
            let alias: Alias = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&alias).unwrap(), json);
        }
    }
}
