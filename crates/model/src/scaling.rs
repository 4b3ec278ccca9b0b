//! Scaling of a published version: AWS's `FunctionScalingConfig`. On AWS it is for functions on a capacity provider's instances;
//! here the machine is the capacity provider of every function.
//!
//! Deliberately not here: what environments follow from it (`kept`), and who throttles (`invoke`).

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::catalog::Head;
use crate::time::Timestamp;
use crate::version::Version;

/// Bounds of a version's environments. `None`: not said, which keeps none and limits nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScalingConfig {
    /// `MinExecutionEnvironments`: kept initialised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u32>,
    /// `MaxExecutionEnvironments`; none at all deactivates the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

/// What is configured for a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scaling {
    /// What was asked for.
    pub config: ScalingConfig,
    /// When a caller last said so.
    pub last_modified: Timestamp,
}

impl ScalingConfig {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the version has no environments and takes no invocations.
    #[must_use]
    pub fn deactivates(&self) -> bool {
        self.max == Some(0)
    }

    /// What is in effect while `allocated` environments of those to be kept are initialised, and there are `environments`
    /// in all.
    #[must_use]
    pub fn applied(&self, allocated: usize, environments: usize) -> Self {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            min: self.min.map(|min| min.min(count(allocated))),
            max: self.max.map(|max| max.max(count(environments))),
        }
    }
}

impl Head {
    /// What is said of a version.
    #[must_use]
    pub fn scaling(&self, version: Version) -> ScalingConfig {
        match version {
            Version::Published(number) => {
                self.scaling.get(&number).map(|scaling| scaling.config).unwrap_or_default()
            }
            Version::Latest => ScalingConfig::default(),
        }
    }

    /// Environments that its versions keep for their scaling.
    #[must_use]
    pub fn total_min(&self) -> u32 {
        let min = self.scaling.values().map(|scaling| scaling.config.min.unwrap_or_default());
        min.fold(0, u32::saturating_add)
    }

    /// Whether a version may be scaled so, where the versions of all other functions keep `others` environments, and `limit` is
    /// how many executions the account may have at once.
    pub fn check_scaling(
        &self,
        number: u64,
        wanted: ScalingConfig,
        limit: usize,
        others: usize,
    ) -> Result<(), Error> {
        let min = wanted.min.unwrap_or_default();
        if let Some(max) = wanted.max {
            if min > max {
                return Err(Error::InvalidParameterValue(format!(
                    "MinExecutionEnvironments [{min}] must not be greater than MaxExecutionEnvironments [{max}]."
                )));
            }
            let provisioned =
                self.keeps().get(&Version::Published(number)).map_or(0, |keep| keep.provisioned);
            if provisioned > max {
                return Err(Error::InvalidParameterValue(format!(
                    "MaxExecutionEnvironments [{max}] must not be lower than the version's provisioned concurrency \
                     [{provisioned}]."
                )));
            }
        }
        let own = self.total_min() - self.scaling(Version::Published(number)).min.unwrap_or_default();
        let left = limit.saturating_sub(others).saturating_sub(own as usize);
        if min as usize > left {
            return Err(Error::InvalidParameterValue(format!(
                "MinExecutionEnvironments [{min}] must not be greater than what is left of the account's concurrency \
                 [{left}]."
            )));
        }
        Ok(())
    }

    /// Whether a version may have `wanted` environments provisioned instead of `own` of those that it has.
    pub(crate) fn check_max(&self, version: Version, own: u32, wanted: u32) -> Result<(), Error> {
        let Some(max) = self.scaling(version).max else { return Ok(()) };
        let others = self.keeps().get(&version).map_or(0, |keep| keep.provisioned.saturating_sub(own));
        if others.saturating_add(wanted) <= max {
            return Ok(());
        }
        Err(Error::InvalidParameterValue(format!(
            "Requested Provisioned Concurrency must not be greater than the version's MaxExecutionEnvironments [{max}]."
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_applied_is_what_there_is() {
        let config = |min, max| ScalingConfig { min, max };
        for (wanted, allocated, environments, applied) in [
            (config(None, None), 3, 3, config(None, None)),
            (config(Some(2), Some(4)), 0, 0, config(Some(0), Some(4))),
            (config(Some(2), Some(4)), 1, 3, config(Some(1), Some(4))),
            (config(Some(2), Some(4)), 2, 4, config(Some(2), Some(4))),
            // Kept for others too.
            (config(Some(2), None), 5, 9, config(Some(2), None)),
            // More run than there may be from now on.
            (config(Some(0), Some(1)), 0, 3, config(Some(0), Some(3))),
            (config(None, Some(0)), 0, 1, config(None, Some(1))),
        ] {
            assert_eq!(wanted.applied(allocated, environments), applied, "{wanted:?}");
        }
    }
}
