//! Who may use a function: the policies of functions, versions and aliases, by statements
//! (AddPermission) or as a whole (PutResourcePolicy). Both change the same document.
//!
//! Deliberately not here: what a policy says of a request (`model::policy`), and who asks for that.

use lambkin_model::Error;
use lambkin_model::catalog::{Head, ResourcePolicy};
use lambkin_model::name::{FunctionReference, LATEST};
use lambkin_model::policy::{Document, Kind, Permission, RESOURCE_POLICY_BYTES};

use crate::Control;

impl Control {
    /// AddPermission: the statement, as it stands in the policy from now on.
    pub async fn add_permission(
        &self,
        reference: &FunctionReference,
        permission: &Permission<'_>,
        revision_id: Option<&str>,
    ) -> Result<String, Error> {
        if reference.qualifier.as_deref() == Some(LATEST) {
            return Err(Error::InvalidParameterValue(
                "We currently do not support adding policies for $LATEST.".into(),
            ));
        }
        self.known(reference)?;
        let statement = permission.statement(&reference.arn())?;
        let text = statement.to_string();
        let revision = (self.ambient.uuid)();
        self.change_head(
            &reference.key,
            || unknown(reference),
            |head| {
                check_revision(head, reference, revision_id)?;
                let before = head.policies.get(qualifier(reference)).map(|policy| &policy.document);
                if before.is_some_and(|before| before.has(permission.sid)) {
                    return Err(statement_exists(permission.sid));
                }
                let document = Document::with(before, statement.clone()).map_err(invalid)?;
                set(head, reference, Some(document), &revision)
            },
        )
        .await?;
        tracing::info!(function = %reference.key.name, sid = permission.sid, principal = permission.principal, "permission added");
        Ok(text)
    }

    /// RemovePermission.
    pub async fn remove_permission(
        &self,
        reference: &FunctionReference,
        sid: &str,
        revision_id: Option<&str>,
    ) -> Result<(), Error> {
        let revision = (self.ambient.uuid)();
        let no_function = || Error::ResourceNotFound(format!("No policy found for: {}", reference.key.arn()));
        self.change_head(&reference.key, no_function, |head| {
            let Some(policy) = head.policies.get(qualifier(reference)) else {
                return Err(Error::ResourceNotFound(
                    "No policy is associated with the given resource.".into(),
                ));
            };
            if !policy.document.has(sid) {
                return Err(no_statement(sid));
            }
            check_revision(head, reference, revision_id)?;
            let left = policy.document.without(sid);
            set(head, reference, left, &revision)
        })
        .await?;
        tracing::info!(function = %reference.key.name, sid, "permission removed");
        Ok(())
    }

    /// GetPolicy, GetResourcePolicy.
    pub fn resource_policy(&self, reference: &FunctionReference) -> Result<ResourcePolicy, Error> {
        let found = self.catalog.head(&reference.key).and_then(|head| {
            let document = head.record.policies.get(qualifier(reference))?.document.clone();
            // What AddPermission is told of is the function itself, not its version.
            (reference.qualifier.as_deref() != Some(LATEST)).then(|| ResourcePolicy {
                document,
                revision_id: current(&head.record, reference).to_owned(),
            })
        });
        found.ok_or_else(no_policy)
    }

    /// PutResourcePolicy: instead of what there was.
    pub async fn put_resource_policy(
        &self,
        reference: &FunctionReference,
        text: &str,
        revision_id: Option<&str>,
    ) -> Result<ResourcePolicy, Error> {
        self.known(reference)?;
        let document = Document::read(text, Kind::Resource).map_err(invalid)?;
        let revision = (self.ambient.uuid)();
        self.change_head(
            &reference.key,
            || unknown(reference),
            |head| {
                check_revision(head, reference, revision_id)?;
                set(head, reference, Some(document.clone()), &revision)
            },
        )
        .await?;
        tracing::info!(function = %reference.key.name, "resource policy set");
        Ok(ResourcePolicy { document, revision_id: revision })
    }

    /// DeleteResourcePolicy.
    pub async fn delete_resource_policy(
        &self,
        reference: &FunctionReference,
        revision_id: Option<&str>,
    ) -> Result<(), Error> {
        let revision = (self.ambient.uuid)();
        self.change_head(&reference.key, no_policy, |head| {
            if !head.policies.contains_key(qualifier(reference)) {
                return Err(no_policy());
            }
            check_revision(head, reference, revision_id)?;
            set(head, reference, None, &revision)
        })
        .await?;
        tracing::info!(function = %reference.key.name, "resource policy deleted");
        Ok(())
    }

    /// Whether there is what the reference names, in AddPermission's words.
    fn known(&self, reference: &FunctionReference) -> Result<(), Error> {
        self.function(reference).map(drop).map_err(|error| match (&error, reference.qualifier.as_deref()) {
            (Error::FunctionNotFound { .. }, Some(name))
                if self.head(&reference.key).is_ok() && !name.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                Error::ResourceNotFound(format!("Cannot find alias arn: {}", reference.arn()))
            }
            _ => error,
        })
    }
}

/// A policy's revision is the function's own, as on AWS; of a version or an alias it is the policy's.
fn current<'h>(head: &'h Head, reference: &FunctionReference) -> &'h str {
    match reference.qualifier.as_deref() {
        None | Some(LATEST) => &head.latest.revision_id,
        Some(qualifier) => head.policies.get(qualifier).map_or("", |policy| &policy.revision_id),
    }
}

fn check_revision(head: &Head, reference: &FunctionReference, given: Option<&str>) -> Result<(), Error> {
    match given {
        Some(given) if given != current(head, reference) => {
            Err(Error::PolicyRevisionMismatch { api: "GetPolicy" })
        }
        Some(_) | None => Ok(()),
    }
}

fn set(
    head: &mut Head,
    reference: &FunctionReference,
    document: Option<Document>,
    revision: &str,
) -> Result<(), Error> {
    let name = qualifier(reference).to_owned();
    match document {
        Some(document) => {
            head.policies.insert(name, sized(document, revision)?);
        }
        None => drop(head.policies.remove(&name)),
    }
    if qualifier(reference) == LATEST {
        revision.clone_into(&mut head.latest.revision_id);
    }
    Ok(())
}

/// The policy, where it is not too long.
pub(crate) fn sized(document: Document, revision: &str) -> Result<ResourcePolicy, Error> {
    let length = document.text().len();
    if length > RESOURCE_POLICY_BYTES {
        return Err(Error::PolicyLengthExceeded { length, limit: RESOURCE_POLICY_BYTES });
    }
    Ok(ResourcePolicy { document, revision_id: revision.to_owned() })
}

pub(crate) fn statement_exists(sid: &str) -> Error {
    Error::ResourceConflict(format!(
        "The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the existing statement."
    ))
}

pub(crate) fn no_statement(sid: &str) -> Error {
    Error::ResourceNotFound(format!("Statement {sid} is not found in resource policy."))
}

fn qualifier(reference: &FunctionReference) -> &str {
    reference.qualifier.as_deref().unwrap_or(LATEST)
}

fn unknown(reference: &FunctionReference) -> Error {
    Error::FunctionNotFound { arn: reference.arn() }
}

fn no_policy() -> Error {
    Error::ResourceNotFound("The resource you requested does not exist.".into())
}

fn invalid(why: String) -> Error {
    Error::InvalidParameterValue(why)
}
