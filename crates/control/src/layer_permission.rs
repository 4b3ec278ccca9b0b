//! Who may use a layer version: its policy, by statements.
//!
//! Deliberately not here: what a policy says of a request (`model::policy`), and who asks for that.

use lambkin_model::Error;
use lambkin_model::catalog::{CatalogError, ResourcePolicy};
use lambkin_model::layer::{LayerVersion, LayerVersionName};
use lambkin_model::policy::{Document, Permission};

use crate::Control;
use crate::layer::unknown_version;
use crate::permission::{no_statement, sized, statement_exists};

impl Control {
    /// AddLayerVersionPermission: the statement, as it stands in the policy from now on, and the policy's revision.
    pub async fn add_layer_version_permission(
        &self,
        name: &LayerVersionName,
        permission: &Permission<'_>,
        revision_id: Option<&str>,
    ) -> Result<(String, String), Error> {
        let statement = permission.statement(&name.to_string())?;
        let revision = (self.ambient.uuid)();
        self.change_layer_version(name, |version| {
            check_revision(version.policy.as_ref(), revision_id)?;
            let before = version.policy.as_ref().map(|policy| &policy.document);
            if before.is_some_and(|before| before.has(permission.sid)) {
                return Err(statement_exists(permission.sid));
            }
            let document = Document::with(before, statement.clone()).map_err(Error::InvalidParameterValue)?;
            version.policy = Some(sized(document, &revision)?);
            Ok(())
        })
        .await?;
        tracing::info!(layer = %name, sid = permission.sid, principal = permission.principal, "permission added");
        Ok((statement.to_string(), revision))
    }

    /// RemoveLayerVersionPermission.
    pub async fn remove_layer_version_permission(
        &self,
        name: &LayerVersionName,
        sid: &str,
        revision_id: Option<&str>,
    ) -> Result<(), Error> {
        let revision = (self.ambient.uuid)();
        self.change_layer_version(name, |version| {
            check_revision(version.policy.as_ref(), revision_id)?;
            let policy = version.policy.as_ref().filter(|policy| policy.document.has(sid));
            let policy = policy.ok_or_else(|| no_statement(sid))?;
            version.policy =
                policy.document.without(sid).map(|document| sized(document, &revision)).transpose()?;
            Ok(())
        })
        .await?;
        tracing::info!(layer = %name, sid, "permission removed");
        Ok(())
    }

    /// GetLayerVersionPolicy.
    pub fn layer_version_policy(&self, name: &LayerVersionName) -> Result<ResourcePolicy, Error> {
        let version = self.layer_version(name).ok_or_else(|| unknown_version(name))?;
        version
            .record
            .policy
            .clone()
            .ok_or_else(|| Error::ResourceNotFound("No policy is associated with the given resource.".into()))
    }

    async fn change_layer_version(
        &self,
        name: &LayerVersionName,
        change: impl Fn(&mut LayerVersion) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            let before = self.layer_version(name).ok_or_else(|| unknown_version(name))?;
            let mut version = before.record.clone();
            change(&mut version)?;
            match self.layer_versions.put(Some(before.revision), version).await {
                Ok(_) => return Ok(()),
                // It changed otherwise meanwhile, or went: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
            }
        }
    }
}

fn check_revision(policy: Option<&ResourcePolicy>, given: Option<&str>) -> Result<(), Error> {
    match given {
        Some(given) if policy.is_none_or(|policy| policy.revision_id != given) => {
            Err(Error::PolicyRevisionMismatch { api: "GetLayerPolicy" })
        }
        Some(_) | None => Ok(()),
    }
}
