//! Provisioned concurrency: environments of a version that are initialised before anyone asks, set aside for it of the
//! account's concurrency.
//!
//! Deliberately not here: what environments follow from it (`kept`), who starts them (`invoke`), and who keeps the
//! configurations (`control`).

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::catalog::Head;
use crate::concurrency::minimum_unreserved;
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

impl Head {
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
        if let Some(version) = version {
            self.check_max(version, own, wanted)?;
        }
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
