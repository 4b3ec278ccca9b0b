//! IAM's roles: create, change, look up, delete; and what a function's own may do.
//!
//! Deliberately not here: customer managed policies (`managed_policy`).

use std::collections::BTreeMap;
use std::sync::Arc;

use lambkin_model::catalog::{CatalogError, Stored};
use lambkin_model::iam::{self, Attached, IamError, Role};
use lambkin_model::policy::Document;
use lambkin_model::record::{Record, Records};

use crate::Control;

/// Records that are looked at together.
const BATCH: usize = 100;

/// CreateRole. What is empty was not given.
#[derive(Debug, Clone, Default)]
pub struct CreateRole {
    /// `[\w+=,.@-]{1,64}`.
    pub name: String,
    /// With a slash at both ends.
    pub path: String,
    /// Who may assume it, as JSON.
    pub trust: String,
    /// Free text.
    pub description: Option<String>,
    /// Seconds.
    pub max_session: i64,
    /// Names and values.
    pub tags: Vec<(String, String)>,
}

/// What a role's session may do.
#[derive(Debug, Clone)]
pub struct RoleSession {
    /// The role's ARN.
    pub arn: String,
    /// Its id.
    pub id: String,
    /// All of its policies.
    pub documents: Vec<Document>,
}

impl Control {
    /// CreateRole.
    pub async fn create_role(&self, account: &str, request: CreateRole) -> Result<Role, IamError> {
        let CreateRole { name, path, trust, description, max_session, tags: given } = request;
        let trust = iam::trust(&trust)?;
        let mut tags = BTreeMap::new();
        iam::tag(&mut tags, &given)?;
        let key = iam::key(account, &name);
        let id = iam::id("AROA", &(self.ambient.uuid)());
        let role = Role {
            key,
            id,
            name,
            path,
            trust,
            description,
            max_session,
            tags,
            inline: BTreeMap::new(),
            attached: Vec::new(),
            created: (self.ambient.now)(),
            deleted: false,
        };
        let exists =
            || IamError::EntityAlreadyExists(format!("Role with name {} already exists.", role.name));
        let before = self.roles.get(&role.key);
        if before.as_ref().is_some_and(|before| !before.record.deleted) {
            return Err(exists());
        }
        let there = self.roles.all();
        if there.iter().filter(|role| &*role.record.key.account == account).count() >= iam::ROLES {
            return Err(IamError::LimitExceeded(format!(
                "Cannot exceed quota for RolesPerAccount: {}",
                iam::ROLES
            )));
        }
        match self.roles.put(before.map(|before| before.revision), role.clone()).await {
            Ok(_) => {}
            Err(CatalogError::Conflict) => return Err(exists()),
            Err(CatalogError::Unavailable(reason)) => return Err(IamError::Failure(reason)),
        }
        tracing::info!(role = %role.arn(), "created");
        Ok(role)
    }

    /// GetRole.
    pub fn role(&self, account: &str, name: &str) -> Result<Arc<Stored<Role>>, IamError> {
        let found = self.roles.get(&iam::key(account, name)).filter(|role| !role.record.deleted);
        found.ok_or_else(|| unknown(name))
    }

    /// ListRoles: in order of names, after `after`, at most `limit` of those whose path begins so.
    #[must_use]
    pub fn list_roles(
        &self,
        account: &str,
        path: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Role>>> {
        let fits = |role: &Role| !role.deleted && role.path.starts_with(path);
        listed(&*self.roles, account, after, limit, fits)
    }

    /// Changes a role that there is.
    pub async fn change_role<T>(
        &self,
        account: &str,
        name: &str,
        change: impl Fn(&mut Role) -> Result<T, IamError>,
    ) -> Result<T, IamError> {
        loop {
            let before = self.role(account, name)?;
            let mut role = before.record.clone();
            let changed = change(&mut role)?;
            if role == before.record {
                return Ok(changed);
            }
            match self.roles.put(Some(before.revision), role).await {
                Ok(_) => {
                    tracing::info!(role = %before.record.arn(), "changed");
                    return Ok(changed);
                }
                // Another was faster: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(IamError::Failure(reason)),
            }
        }
    }

    /// DeleteRole. Where functions have it a mark stays, by which they may do nothing.
    pub async fn delete_role(&self, account: &str, name: &str) -> Result<(), IamError> {
        self.sweep_roles(account).await?;
        loop {
            let before = self.role(account, name)?;
            let conflict = |what: &str| {
                Err(IamError::DeleteConflict(format!("Cannot delete entity, must {what} first.")))
            };
            if before.record.attached.iter().any(|attached| self.attached(attached).is_some()) {
                return conflict("detach all policies");
            }
            if !before.record.inline.is_empty() {
                return conflict("delete policies");
            }
            let gone = if self.is_role_used(&before.record.arn()) {
                let role = Role { deleted: true, attached: Vec::new(), ..before.record.clone() };
                self.roles.put(Some(before.revision), role).await.map(drop)
            } else {
                self.roles.delete(before.revision, before.record.key.clone()).await
            };
            match gone {
                Ok(()) => {
                    tracing::info!(role = %before.record.arn(), "deleted");
                    return Ok(());
                }
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(IamError::Failure(reason)),
            }
        }
    }

    /// Marks of roles that no function has any more go.
    async fn sweep_roles(&self, account: &str) -> Result<(), IamError> {
        let marks = self.roles.all().into_iter().filter(|role| {
            role.record.deleted
                && &*role.record.key.account == account
                && !self.is_role_used(&role.record.arn())
        });
        for mark in marks {
            match self.roles.delete(mark.revision, mark.record.key.clone()).await {
                Ok(()) | Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(IamError::Failure(reason)),
            }
        }
        Ok(())
    }

    fn is_role_used(&self, arn: &str) -> bool {
        self.catalog.all().iter().any(|head| head.record.latest.configuration.role == arn)
            || self.catalog.versions().iter().any(|body| body.record.version.configuration.role == arn)
    }

    /// AttachRolePolicy. One that is attached already stays.
    pub async fn attach_role_policy(&self, account: &str, name: &str, arn: &str) -> Result<(), IamError> {
        let id = match iam::aws_managed(arn) {
            Some(_) => None,
            None => {
                let policy = self.managed_policy(account, arn).map_err(|_| {
                    IamError::NoSuchEntity(format!("Policy {arn} does not exist or is not attachable."))
                })?;
                Some(policy.record.id.clone())
            }
        };
        let attached = Attached { arn: arn.to_owned(), id };
        self.change_role(account, name, |role| {
            // What was deleted meanwhile takes no place.
            role.attached.retain(|attached| self.attached(attached).is_some());
            if role.attached.contains(&attached) {
                return Ok(());
            }
            if role.attached.len() >= iam::POLICIES_PER_ROLE {
                let limit = iam::POLICIES_PER_ROLE;
                return Err(IamError::LimitExceeded(format!(
                    "Cannot exceed quota for PoliciesPerRole: {limit}"
                )));
            }
            role.attached.push(attached.clone());
            Ok(())
        })
        .await
    }

    /// DetachRolePolicy.
    pub async fn detach_role_policy(&self, account: &str, name: &str, arn: &str) -> Result<(), IamError> {
        self.change_role(account, name, |role| {
            let before = role.attached.len();
            role.attached.retain(|attached| attached.arn != arn);
            if role.attached.len() == before {
                return Err(IamError::NoSuchEntity(format!("Policy {arn} was not found.")));
            }
            Ok(())
        })
        .await
    }

    /// What a managed policy of a role says; `None`: it is gone.
    #[must_use]
    pub fn attached(&self, attached: &Attached) -> Option<Document> {
        let Some(id) = &attached.id else { return iam::aws_managed(&attached.arn).cloned() };
        let policy = self.managed_policies.get(&iam::key_of_arn(&attached.arn, "policy")?)?;
        policy.record.document().filter(|_| policy.record.id == *id).cloned()
    }

    /// The id of a function's role; `None`: it was never created here.
    #[must_use]
    pub fn role_id(&self, arn: &str) -> Option<String> {
        self.role_of_arn(arn).map(|role| role.record.id.clone())
    }

    /// Also where only its mark is left.
    fn role_of_arn(&self, arn: &str) -> Option<Arc<Stored<Role>>> {
        self.roles.get(&iam::key_of_arn(arn, "role")?).filter(|role| role.record.arn() == arn)
    }

    /// What a function's role lets it do; `None`: the role was never created here, and bounds nothing.
    #[must_use]
    pub fn role_session(&self, arn: &str) -> Option<RoleSession> {
        let role = self.role_of_arn(arn)?;
        let attached = role.record.attached.iter().filter_map(|attached| self.attached(attached));
        let documents = role.record.inline.values().cloned().chain(attached).collect();
        Some(RoleSession { arn: arn.to_owned(), id: role.record.id.clone(), documents })
    }
}

/// In order of keys, after `after`, at most `limit` of those that fit.
pub(crate) fn listed<R: Record>(
    records: &dyn Records<R>,
    account: &str,
    after: Option<&str>,
    limit: usize,
    fits: impl Fn(&R) -> bool,
) -> Vec<Arc<Stored<R>>> {
    let region = iam::key(account, "").region;
    let mut found = Vec::new();
    let mut after = after.map(Arc::<str>::from);
    while found.len() < limit {
        let batch = records.list(account, &region, after.as_deref(), BATCH);
        let Some(last) = batch.last() else { break };
        after = Some(Arc::clone(&last.record.key().name));
        let fit = batch.into_iter().filter(|stored| fits(&stored.record));
        found.extend(fit.take(limit - found.len()));
    }
    found
}

fn unknown(name: &str) -> IamError {
    IamError::NoSuchEntity(format!("The role with name {name} cannot be found."))
}
