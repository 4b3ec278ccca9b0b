//! Aliases: create, change, look up, list, delete.
//!
//! Deliberately not here: which of an alias's versions runs an invocation (`model::alias`), and when.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use lambkin_model::Error;
use lambkin_model::alias::{Additional, Alias, Weight};
use lambkin_model::catalog::{Head, Stored};
use lambkin_model::name::FunctionKey;
use lambkin_model::version::Version;

use crate::Control;

/// CreateAlias.
#[derive(Debug, Clone, Default)]
pub struct CreateAlias {
    /// `$LATEST` or a number.
    pub version: String,
    /// Free text.
    pub description: String,
    /// Versions and their weights.
    pub weights: BTreeMap<String, f64>,
}

/// UpdateAlias. `None` leaves a setting as it is.
#[derive(Debug, Clone, Default)]
pub struct UpdateAlias {
    /// `$LATEST` or a number.
    pub version: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Versions and their weights; empty: none any more.
    pub weights: Option<BTreeMap<String, f64>>,
    /// Only where the alias's `RevisionId` is still this.
    pub revision_id: Option<String>,
}

impl Control {
    /// CreateAlias.
    pub async fn create_alias(
        &self,
        key: &FunctionKey,
        name: &str,
        request: CreateAlias,
    ) -> Result<Alias, Error> {
        // AWS looks for the version first, and says so where the function is missing.
        let unknown = || Error::FunctionNotFound { arn: key.qualified_arn(&request.version) };
        let revision_id = (self.ambient.uuid)();
        let stored = self
            .change_head(key, unknown, |head| {
                let alias = Alias {
                    version: version(head, &request.version)?,
                    additional: None,
                    description: request.description.clone(),
                    revision_id: revision_id.clone(),
                };
                if head.aliases.contains_key(name) {
                    let arn = head.key.qualified_arn(name);
                    return Err(Error::ResourceConflict(format!("Alias already exists: {arn}")));
                }
                let alias = routed(head, alias, &request.weights)?;
                head.aliases.insert(name.to_owned(), alias);
                Ok(())
            })
            .await?;
        tracing::info!(function = %key.name, alias = name, version = request.version, "alias created");
        Ok(stored.record.aliases[name].clone())
    }

    /// UpdateAlias: the next invocation goes by it.
    pub async fn update_alias(
        &self,
        key: &FunctionKey,
        name: &str,
        request: UpdateAlias,
    ) -> Result<Alias, Error> {
        let unknown = || Error::ResourceNotFound(format!("Alias not found: {}", key.qualified_arn(name)));
        let revision_id = (self.ambient.uuid)();
        let stored = self
            .change_head(key, unknown, |head| {
                let before = head.aliases.get(name).ok_or_else(unknown)?;
                if request.revision_id.as_ref().is_some_and(|given| *given != before.revision_id) {
                    return Err(Error::RevisionMismatch);
                }
                let mut alias = Alias { revision_id: revision_id.clone(), ..before.clone() };
                if let Some(given) = &request.version {
                    alias.version = version(head, given)?;
                }
                if let Some(description) = &request.description {
                    alias.description.clone_from(description);
                }
                let alias = match &request.weights {
                    Some(weights) => routed(head, alias, weights)?,
                    None => {
                        alias.check()?;
                        alias
                    }
                };
                head.aliases.insert(name.to_owned(), alias);
                Ok(())
            })
            .await?;
        let alias = stored.record.aliases[name].clone();
        tracing::info!(function = %key.name, alias = name, version = %alias.version, "alias updated");
        Ok(alias)
    }

    /// GetAlias.
    pub fn alias(&self, key: &FunctionKey, name: &str) -> Result<Alias, Error> {
        let head = self.catalog.head(key);
        let alias = head.and_then(|head| head.record.aliases.get(name).cloned());
        alias.ok_or_else(|| {
            Error::ResourceNotFound(format!("Cannot find alias arn: {}", key.qualified_arn(name)))
        })
    }

    /// ListAliases: in order of names, after `after`, at most `limit`; only those that go to `version` first where it
    /// is given.
    pub fn aliases(
        &self,
        key: &FunctionKey,
        version: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Alias)>, Error> {
        let head = self.head(key)?;
        let wanted = |alias: &Alias| version.is_none_or(|version| alias.version.to_string() == version);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let later = head.record.aliases.range::<str, _>((from, Bound::Unbounded));
        let chosen = later.filter(|(_, alias)| wanted(alias)).take(limit);
        Ok(chosen.map(|(name, alias)| (name.clone(), alias.clone())).collect())
    }

    /// DeleteAlias, and what was configured for it. One that is not there has been deleted before.
    pub async fn delete_alias(&self, key: &FunctionKey, name: &str) -> Result<(), Error> {
        let before: Arc<Stored<Head>> = self.head(key)?;
        if !before.record.aliases.contains_key(name) {
            return Ok(());
        }
        let unknown = || Error::FunctionNotFound { arn: key.arn() };
        self.change_head(key, unknown, |head| {
            head.aliases.remove(name);
            head.event_invoke.remove(name);
            head.policies.remove(name);
            head.provisioned.remove(name);
            Ok(())
        })
        .await?;
        tracing::info!(function = %key.name, alias = name, "alias deleted");
        Ok(())
    }
}

/// The version of this name, where the function has it.
fn version(head: &Head, name: &str) -> Result<Version, Error> {
    let version = Version::parse(name).filter(|version| head.state(*version).is_some());
    version.ok_or_else(|| Error::FunctionNotFound { arn: head.key.qualified_arn(name) })
}

/// The alias with these weights instead of what it had.
fn routed(head: &Head, mut alias: Alias, weights: &BTreeMap<String, f64>) -> Result<Alias, Error> {
    if weights.len() > 1 {
        return Err(Error::InvalidParameterValue(
            "Number of items in AdditionalVersionWeights cannot be greater than 1".into(),
        ));
    }
    alias.additional = None;
    if let Some((name, share)) = weights.first_key_value() {
        // The constraints are checked: a number of digits, and a share. What is not there is said after the rest.
        let second = Version::parse(name).unwrap_or(Version::Published(0));
        let weight = Weight::new(*share)
            .ok_or_else(|| Error::InvalidParameterValue(format!("{share} is no weight of a version.")))?;
        alias.additional = Some(Additional { version: second, weight });
        alias.check()?;
        version(head, name)?;
    }
    Ok(alias)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lambkin_model::code::{Code, CodeSha256};
    use lambkin_model::function::{Configuration, FunctionVersion, State};
    use lambkin_model::name::LATEST;
    use lambkin_model::runtime::Runtime;
    use lambkin_model::time::Timestamp;
    use lambkin_model::version::Published;

    use super::*;

    /// With versions 1 and 2.
    fn head() -> Head {
        let latest = FunctionVersion {
            version: LATEST.into(),
            configuration: Configuration::new(
                Runtime::from_name("nodejs22.x").unwrap(),
                "arn:aws:iam::000000000000:role/r".into(),
                "index.handler".into(),
            ),
            code: Code {
                sha256: CodeSha256([1; 32]),
                size: 1,
                sdk_packages: BTreeSet::new(),
                directory: None,
            },
            revision_id: "r".into(),
            last_modified: Timestamp(0),
            state: State::Active,
            last_update: None,
        };
        let key = FunctionKey { account: "0".into(), region: "r".into(), name: "f".into() };
        let mut head = Head::new(key, "i".into(), latest);
        for number in [1, 2] {
            head.versions.insert(number, Published { id: number.to_string().into(), state: State::Active });
        }
        head
    }

    #[test]
    fn weights_of_an_alias() {
        const THIRD: &str = "Function not found: arn:aws:lambda:r:0:function:f:3";
        let head = head();
        for (first, weights, expected) in [
            ("1", &[][..], ""),
            ("1", &[("2", 0.1)], ""),
            ("1", &[("2", 0.0)], ""),
            ("$LATEST", &[], ""),
            (
                "1",
                &[("1", 0.5), ("2", 0.5)],
                "Number of items in AdditionalVersionWeights cannot be greater than 1",
            ),
            (
                "1",
                &[("1", 0.5)],
                "Invalid function version 1. Function version 1 is already included in routing configuration.",
            ),
            (
                "$LATEST",
                &[("1", 0.5)],
                "$LATEST is not supported for an alias pointing to more than 1 version",
            ),
            ("1", &[("3", 0.5)], THIRD),
            ("3", &[], THIRD),
            ("1", &[("02", 0.5)], "Function not found: arn:aws:lambda:r:0:function:f:02"),
        ] {
            let weights = weights.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect();
            let said = version(&head, first).and_then(|version| {
                let (description, revision_id) = (String::new(), "a".into());
                routed(&head, Alias { version, additional: None, description, revision_id }, &weights)
            });
            assert_eq!(
                said.err().map(|error| error.to_string()).unwrap_or_default(),
                expected,
                "{first} {weights:?}"
            );
        }
    }
}
