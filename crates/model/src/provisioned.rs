//! Provisioned concurrency: environments of a version that are initialised before anyone asks, set aside for it of the
//! account's concurrency.
//!
//! Deliberately not here: who starts them (`invoke`), and who keeps the configurations (`control`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::catalog::Head;
use crate::concurrency::minimum_unreserved;
use crate::name::FunctionKey;
use crate::time::Timestamp;
use crate::version::Version;

/// AWS's `AWS_LAMBDA_INITIALIZATION_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialization {
    /// For an invocation that waits.
    OnDemand,
    /// Before any.
    Provisioned,
}

impl Initialization {
    /// The variable's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Provisioned => "provisioned-concurrency",
        }
    }
}

/// What is configured for a version or an alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioned {
    /// Environments, at least one.
    pub requested: u32,
    /// When a caller last said so.
    pub last_modified: Timestamp,
}

/// What is there of the environments that are to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// How many were asked for.
    pub requested: usize,
    /// Those that are initialised, running ones among them; at most `requested`.
    pub allocated: usize,
    /// Those of them that could take an invocation now.
    pub available: usize,
    /// Why the last start failed, until one succeeds.
    pub failure: Option<KeepFailure>,
}

/// Why an environment could not be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepFailure {
    /// The function's own init failed.
    Init,
    /// The platform could not make it.
    Platform(String),
}

/// AWS's `Status`, and its `StatusReason` of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Some are still missing.
    InProgress,
    /// All are there.
    Ready,
    /// Why some are not.
    Failed(String),
}

impl Kept {
    /// The status that this is.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.failure {
            Some(KeepFailure::Init) => Status::Failed("FUNCTION_ERROR_INIT_FAILURE".into()),
            Some(KeepFailure::Platform(reason)) => Status::Failed(reason.clone()),
            None if self.allocated >= self.requested => Status::Ready,
            None => Status::InProgress,
        }
    }
}

/// Port: how far the data plane is with keeping.
pub trait Provisioning: Send + Sync {
    /// Of one version.
    fn kept(&self, key: &FunctionKey, version: Version) -> Kept;
}

impl Head {
    /// How many environments each version keeps. A weighted alias shares what it has between its versions by weight, as
    /// AWS does in a shift of traffic.
    #[must_use]
    pub fn kept(&self) -> BTreeMap<Version, Provisioned> {
        let mut kept: BTreeMap<Version, Provisioned> = BTreeMap::new();
        let mut add = |version: Version, requested: u32, last_modified: Timestamp| {
            if requested > 0 && self.state(version).is_some() {
                let entry = kept.entry(version).or_insert(Provisioned { requested: 0, last_modified });
                entry.requested = entry.requested.saturating_add(requested);
                entry.last_modified = entry.last_modified.max(last_modified);
            }
        };
        for (qualifier, Provisioned { requested, last_modified }) in &self.provisioned {
            let alias = self.aliases.get(qualifier);
            let Some(first) = self.version(Some(qualifier)) else { continue };
            let second = alias.and_then(|alias| alias.additional).map_or(0, |additional| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a share of a u32"
                )]
                let share = (f64::from(*requested) * additional.weight.share()).round() as u32;
                add(additional.version, share, *last_modified);
                share
            });
            add(first, requested - second, *last_modified);
        }
        kept
    }

    /// All that is configured.
    #[must_use]
    pub fn total_provisioned(&self) -> u32 {
        self.provisioned.values().fold(0, |total, each| total.saturating_add(each.requested))
    }

    /// What is set aside for it of the account's concurrency: what it has reserved, or else what is provisioned.
    #[must_use]
    pub fn set_aside(&self) -> u32 {
        self.reserved_concurrency.unwrap_or_else(|| self.total_provisioned())
    }

    /// Whether a qualifier may have `wanted` environments provisioned, where `others` is what all other functions have
    /// set aside of the account's `limit`. The texts are recorded from AWS.
    pub fn check_provisioned(
        &self,
        qualifier: &str,
        wanted: u32,
        limit: usize,
        others: usize,
    ) -> Result<(), Error> {
        let version = self.version(Some(qualifier));
        if version == Some(Version::Latest) {
            return Err(Error::InvalidParameterValue(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions.".into(),
            ));
        }
        match self.aliases.get(qualifier) {
            Some(alias) if alias.additional.is_some() => {
                return Err(Error::InvalidParameterValue(
                    "Alias with weights can not be used with Provisioned Concurrency".into(),
                ));
            }
            Some(alias) if self.provisioned.contains_key(&alias.version.to_string()) => {
                return Err(Error::ResourceConflict(
                    "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
                        .into(),
                ));
            }
            Some(_) => {}
            None => {
                let pointed = self.aliases.iter().any(|(name, alias)| {
                    self.provisioned.contains_key(name) && alias.versions().any(|each| Some(each) == version)
                });
                if pointed {
                    return Err(Error::ResourceConflict(
                        "Version is pointed by a Provisioned Concurrency alias".into(),
                    ));
                }
            }
        }
        let own = self.provisioned.get(qualifier).map_or(0, |before| before.requested);
        let total = u64::from(self.total_provisioned() - own) + u64::from(wanted);
        if let Some(reserved) = self.reserved_concurrency {
            return if total > u64::from(reserved) {
                Err(Error::InvalidParameterValue(
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution \
                     for function"
                        .into(),
                ))
            } else {
                Ok(())
            };
        }
        let left = limit.saturating_sub(others) as u64;
        if total > left {
            return Err(Error::UntypedParameterValue(format!(
                "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [{left}]."
            )));
        }
        let minimum = minimum_unreserved(limit);
        if left - total < minimum as u64 {
            return Err(Error::UntypedParameterValue(format!(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below \
                 its minimum value of [{minimum}]."
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let kept = |requested, allocated, failure| Kept { requested, allocated, available: 0, failure };
        for (kept, expected) in [
            (kept(2, 0, None), Status::InProgress),
            (kept(2, 1, None), Status::InProgress),
            (kept(2, 2, None), Status::Ready),
            (kept(1, 0, Some(KeepFailure::Init)), Status::Failed("FUNCTION_ERROR_INIT_FAILURE".into())),
            (kept(1, 0, Some(KeepFailure::Platform("no room".into()))), Status::Failed("no room".into())),
        ] {
            assert_eq!(kept.status(), expected, "{kept:?}");
        }
    }
}
