//! IAM's customer managed policies and their versions, of which one counts.
//!
//! Deliberately not here: roles that have them (`role`), and AWS's own (`model::iam`).

use std::collections::BTreeMap;
use std::sync::Arc;

use lambkin_model::catalog::{CatalogError, Stored};
use lambkin_model::iam::{self, IamError, ManagedPolicy, PolicyVersion};

use crate::Control;

/// CreatePolicy. What is empty was not given.
#[derive(Debug, Clone, Default)]
pub struct CreatePolicy {
    /// `[\w+=,.@-]{1,128}`.
    pub name: String,
    /// With a slash at both ends.
    pub path: String,
    /// What it says, as JSON.
    pub document: String,
    /// Free text.
    pub description: Option<String>,
    /// Names and values.
    pub tags: Vec<(String, String)>,
}

impl Control {
    /// CreatePolicy.
    pub async fn create_policy(
        &self,
        account: &str,
        request: CreatePolicy,
    ) -> Result<ManagedPolicy, IamError> {
        let CreatePolicy { name, path, document, description, tags: given } = request;
        let (document, created) = (iam::managed(&document)?, (self.ambient.now)());
        let mut tags = BTreeMap::new();
        iam::tag(&mut tags, &given)?;
        let policy = ManagedPolicy {
            key: iam::key(account, &name),
            id: iam::id("ANPA", &(self.ambient.uuid)()),
            name,
            path,
            description,
            tags,
            versions: vec![PolicyVersion { number: 1, document, created }],
            default: 1,
            last: 1,
            created,
            updated: created,
        };
        let there = self.managed_policies.all();
        if there.iter().filter(|policy| &*policy.record.key.account == account).count() >= iam::POLICIES {
            let limit = iam::POLICIES;
            return Err(IamError::LimitExceeded(format!(
                "Cannot exceed quota for PoliciesPerAccount: {limit}"
            )));
        }
        match self.managed_policies.put(None, policy.clone()).await {
            Ok(_) => {}
            Err(CatalogError::Conflict) => {
                return Err(IamError::EntityAlreadyExists(format!(
                    "A policy called {} already exists. Duplicate names are not allowed.",
                    policy.name
                )));
            }
            Err(CatalogError::Unavailable(reason)) => return Err(IamError::Failure(reason)),
        }
        tracing::info!(policy = %policy.arn(), "created");
        Ok(policy)
    }

    /// GetPolicy.
    pub fn managed_policy(&self, account: &str, arn: &str) -> Result<Arc<Stored<ManagedPolicy>>, IamError> {
        let key = iam::key_of_arn(arn, "policy").filter(|key| &*key.account == account);
        let found = key.and_then(|key| self.managed_policies.get(&key));
        let found = found.filter(|policy| policy.record.arn() == arn);
        found.ok_or_else(|| IamError::NoSuchEntity(format!("Policy {arn} was not found.")))
    }

    /// How many roles have it.
    #[must_use]
    pub fn attachments(&self, policy: &ManagedPolicy) -> usize {
        let has = |attached: &iam::Attached| attached.id.as_ref() == Some(&policy.id);
        self.roles.all().iter().filter(|role| role.record.attached.iter().any(has)).count()
    }

    /// CreatePolicyVersion.
    pub async fn create_policy_version(
        &self,
        account: &str,
        arn: &str,
        document: &str,
        default: bool,
    ) -> Result<(PolicyVersion, bool), IamError> {
        let (document, created) = (iam::managed(document)?, (self.ambient.now)());
        self.change_policy(account, arn, |policy| {
            if policy.versions.len() >= iam::VERSIONS {
                return Err(IamError::LimitExceeded(format!(
                    "A managed policy can have up to {} versions. Before you create a new version, you must delete an existing version.",
                    iam::VERSIONS
                )));
            }
            policy.last += 1;
            let version = PolicyVersion { number: policy.last, document: document.clone(), created };
            policy.versions.push(version.clone());
            policy.updated = created;
            if default {
                policy.default = policy.last;
            }
            Ok((version, default))
        })
        .await
    }

    /// SetDefaultPolicyVersion.
    pub async fn set_default_policy_version(
        &self,
        account: &str,
        arn: &str,
        version: &str,
    ) -> Result<(), IamError> {
        let now = (self.ambient.now)();
        self.change_policy(account, arn, |policy| {
            policy.default = version_of(policy, version)?.number;
            policy.updated = now;
            Ok(())
        })
        .await
    }

    /// DeletePolicyVersion.
    pub async fn delete_policy_version(
        &self,
        account: &str,
        arn: &str,
        version: &str,
    ) -> Result<(), IamError> {
        self.change_policy(account, arn, |policy| {
            let number = version_of(policy, version)?.number;
            if number == policy.default {
                return Err(IamError::DeleteConflict(
                    "Cannot delete the default version of a policy.".into(),
                ));
            }
            policy.versions.retain(|version| version.number != number);
            Ok(())
        })
        .await
    }

    /// DeletePolicy. A role that is given it in the same moment has one that is gone, and says nothing.
    pub async fn delete_policy(&self, account: &str, arn: &str) -> Result<(), IamError> {
        loop {
            let policy = self.managed_policy(account, arn)?;
            if self.attachments(&policy.record) > 0 {
                return Err(IamError::DeleteConflict("Cannot delete a policy attached to entities.".into()));
            }
            if policy.record.versions.len() > 1 {
                return Err(IamError::DeleteConflict(
                    "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
                     The default version is deleted with the policy."
                        .into(),
                ));
            }
            match self.managed_policies.delete(policy.revision, policy.record.key.clone()).await {
                Ok(()) => {
                    tracing::info!(policy = arn, "deleted");
                    return Ok(());
                }
                // It was changed meanwhile: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(IamError::Failure(reason)),
            }
        }
    }

    async fn change_policy<T>(
        &self,
        account: &str,
        arn: &str,
        change: impl Fn(&mut ManagedPolicy) -> Result<T, IamError>,
    ) -> Result<T, IamError> {
        loop {
            let before = self.managed_policy(account, arn)?;
            let mut policy = before.record.clone();
            let changed = change(&mut policy)?;
            match self.managed_policies.put(Some(before.revision), policy).await {
                Ok(_) => {
                    tracing::info!(policy = arn, "changed");
                    return Ok(changed);
                }
                // Another was faster: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(IamError::Failure(reason)),
            }
        }
    }
}

/// The version of a policy that `v2` is.
pub fn version_of<'p>(policy: &'p ManagedPolicy, version: &str) -> Result<&'p PolicyVersion, IamError> {
    let number = version.strip_prefix('v').and_then(|number| number.parse().ok());
    number.and_then(|number| policy.version(number)).ok_or_else(|| {
        IamError::NoSuchEntity(format!(
            "Policy {} version {version} does not exist or is not attachable.",
            policy.arn()
        ))
    })
}
