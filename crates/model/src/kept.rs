//! Environments that a version keeps initialised, and how many it may have at all: one number each, whoever asked for them:
//! provisioned concurrency of versions and aliases, and a version's scaling.
//!
//! Deliberately not here: who starts them (`invoke`), and what may be configured (`provisioned`, `scaling`).

use std::collections::BTreeMap;

use crate::catalog::Head;
use crate::name::FunctionKey;
use crate::provisioned::Status;
use crate::time::Timestamp;
use crate::version::Version;

/// What a version is to have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Those of its environments that are provisioned: they are set aside of the account's concurrency.
    pub provisioned: u32,
    /// `MinExecutionEnvironments`; those that are provisioned count for it.
    pub min: u32,
    /// `MaxExecutionEnvironments`.
    pub max: Option<u32>,
    /// When a caller last said so.
    pub asked: Timestamp,
}

impl Keep {
    /// How many are to be kept.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.provisioned.max(self.min).min(self.max.unwrap_or(u32::MAX))
    }

    /// Why not all that is provisioned can be kept, as after an alias has moved to this version.
    #[must_use]
    pub fn shortage(&self) -> Option<KeepFailure> {
        let max = self.max.filter(|max| self.provisioned > *max)?;
        let reason = format!("the version's MaxExecutionEnvironments is {max}");
        Some(KeepFailure::Capacity(reason))
    }

    fn provision(&mut self, count: u32, asked: Timestamp) {
        self.provisioned = self.provisioned.saturating_add(count);
        self.asked = self.asked.max(asked);
    }
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
    /// There is no room for it.
    Capacity(String),
    /// The platform could not make it.
    Platform(String),
}

impl KeepFailure {
    /// AWS's `StateReasonCode` of a version that lacks environments, and what is to be said.
    #[must_use]
    pub fn state_reason(&self) -> (&'static str, String) {
        match self {
            Self::Init => ("FunctionError.RuntimeInitError", "The function's init failed.".into()),
            Self::Capacity(reason) => ("InsufficientCapacity", reason.clone()),
            Self::Platform(reason) => ("InternalError", reason.clone()),
        }
    }
}

impl Kept {
    /// What of it is there for one who asked for `wanted` of them, beside others.
    #[must_use]
    pub fn share(self, wanted: u32) -> Self {
        let wanted = wanted as usize;
        Self {
            requested: self.requested.min(wanted),
            allocated: self.allocated.min(wanted),
            available: self.available.min(wanted),
            failure: self.failure,
        }
    }

    /// The status that this is.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.failure {
            Some(KeepFailure::Init) => Status::Failed("FUNCTION_ERROR_INIT_FAILURE".into()),
            Some(KeepFailure::Capacity(reason) | KeepFailure::Platform(reason)) => {
                Status::Failed(reason.clone())
            }
            None if self.allocated >= self.requested => Status::Ready,
            None => Status::InProgress,
        }
    }
}

/// Port: how far the data plane is with keeping.
pub trait Provisioning: Send + Sync {
    /// Of one version.
    fn kept(&self, key: &FunctionKey, version: Version) -> Kept;

    /// All environments of a version, kept or not, but for those that were told to go.
    fn environments(&self, key: &FunctionKey, version: Version) -> usize;
}

impl Head {
    /// What each version is to have, where anything is said of it. A weighted alias shares what it has between its versions
    /// by weight, as AWS does in a shift of traffic.
    #[must_use]
    pub fn keeps(&self) -> BTreeMap<Version, Keep> {
        let mut keeps: BTreeMap<Version, Keep> = BTreeMap::new();
        for (number, scaling) in &self.scaling {
            let (min, max) = (scaling.config.min.unwrap_or_default(), scaling.config.max);
            let keep = Keep { provisioned: 0, min, max, asked: scaling.last_modified };
            keeps.insert(Version::Published(*number), keep);
        }
        for (qualifier, provisioned) in &self.provisioned {
            let alias = self.aliases.get(qualifier);
            let Some(first) = self.version(Some(qualifier)) else { continue };
            let second = alias.and_then(|alias| alias.additional).map_or(0, |additional| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a share of a u32"
                )]
                let share = (f64::from(provisioned.requested) * additional.weight.share()).round() as u32;
                if share > 0 && self.state(additional.version).is_some() {
                    keeps.entry(additional.version).or_default().provision(share, provisioned.last_modified);
                }
                share
            });
            if provisioned.requested > second {
                let first = keeps.entry(first).or_default();
                first.provision(provisioned.requested - second, provisioned.last_modified);
            }
        }
        keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_for_all_who_asked() {
        for (provisioned, min, max, count, is_short) in [
            (0, 0, None, 0, false),
            (3, 0, None, 3, false),
            (0, 2, None, 2, false),
            (3, 2, None, 3, false),
            (1, 2, Some(2), 2, false),
            (3, 0, Some(3), 3, false),
            (3, 1, Some(2), 2, true),
            (1, 0, Some(0), 0, true),
        ] {
            let keep = Keep { provisioned, min, max, asked: Timestamp(0) };
            assert_eq!((keep.count(), keep.shortage().is_some()), (count, is_short), "{keep:?}");
        }
    }

    #[test]
    fn statuses() {
        let kept = |requested, allocated, failure| Kept { requested, allocated, available: 0, failure };
        for (kept, expected) in [
            (kept(2, 0, None), Status::InProgress),
            (kept(2, 1, None), Status::InProgress),
            (kept(2, 2, None), Status::Ready),
            (kept(1, 0, Some(KeepFailure::Init)), Status::Failed("FUNCTION_ERROR_INIT_FAILURE".into())),
            (kept(1, 0, Some(KeepFailure::Capacity("no room".into()))), Status::Failed("no room".into())),
            (kept(1, 0, Some(KeepFailure::Platform("no jail".into()))), Status::Failed("no jail".into())),
            // Of three that others want too, both of these are there.
            (kept(3, 2, None).share(2), Status::Ready),
            (kept(3, 1, None).share(2), Status::InProgress),
        ] {
            assert_eq!(kept.status(), expected, "{kept:?}");
        }
    }
}
