//! What policies say of a request. An explicit denial wins; what nobody allows is denied.
//!
//! Deliberately not here: boundaries, session policies and those of an organisation, which lambkin does not have.

use std::fmt;

use super::Document;
use super::statement::Meant;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal<'a> {
    /// Nobody who says a name.
    Anonymous,
    /// A service of AWS's: `sns.amazonaws.com`.
    Service(&'a str),
    /// A user or a role's session.
    Aws {
        /// Twelve digits.
        account: &'a str,
        /// `arn:aws:iam::000000000000:user/name`, `arn:aws:sts::000000000000:assumed-role/role/session`.
        arn: &'a str,
        /// The role's own ARN, of a role's session.
        role: Option<&'a str>,
    },
}

/// Keys of a request that conditions ask for, each with its values. Names compare without regard to case.
#[derive(Debug, Clone, Default)]
pub struct Context(Vec<(&'static str, Vec<String>)>);

impl Context {
    /// With a key more.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.push((key, vec![value.into()]));
        self
    }

    pub(super) fn get(&self, key: &str) -> Option<&[String]> {
        let (_, values) = self.0.iter().find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        Some(values)
    }
}

/// What documents say of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement denies it.
    Denied,
    /// A statement allows it to the caller.
    Allowed,
    /// A statement allows it to the caller's account, whose own policies decide.
    Delegated,
    /// No statement speaks of it.
    Silent,
}

/// What these documents say.
pub fn decide<'d>(
    documents: impl IntoIterator<Item = &'d Document>,
    principal: &Principal<'_>,
    action: &str,
    resource: &str,
    context: &Context,
) -> Decision {
    let mut best = None;
    for statement in documents.into_iter().flat_map(|document| &document.statements) {
        let Some(meant) = statement.speaks(principal, action, resource, context) else { continue };
        if !statement.allow {
            return Decision::Denied;
        }
        best = best.max(Some(meant));
    }
    match best {
        Some(Meant::Itself) => Decision::Allowed,
        Some(Meant::Account) => Decision::Delegated,
        None => Decision::Silent,
    }
}

/// What the caller's own policies are.
#[derive(Debug, Clone, Copy)]
pub enum Identity<'a> {
    /// None that could say yes: a service, or nobody.
    None,
    /// It may do everything.
    Unrestricted,
    /// These.
    Documents(&'a [Document]),
}

/// A request, as policies see it.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Who calls.
    pub principal: Principal<'a>,
    /// What its own policies are.
    pub identity: Identity<'a>,
    /// `lambda:InvokeFunction`.
    pub action: &'a str,
    /// The resource's ARN, `*` for none in particular.
    pub resource: &'a str,
    /// Whose account the resource is of.
    pub owner: &'a str,
    /// The resource's own policy.
    pub policy: Option<&'a Document>,
    /// What else conditions may ask for.
    pub context: &'a Context,
}

/// Why a request is denied. Its text is the end of AWS's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// By a statement of the caller's policies.
    ByIdentity,
    /// By a statement of the resource's policy.
    ByResource,
    /// The caller's policies say nothing; the action.
    NotByIdentity(String),
    /// The resource's policy says nothing; the action.
    NotByResource(String),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByIdentity => f.write_str("with an explicit deny in an identity-based policy"),
            Self::ByResource => f.write_str("with an explicit deny in a resource-based policy"),
            Self::NotByIdentity(action) => {
                write!(f, "because no identity-based policy allows the {action} action")
            }
            Self::NotByResource(action) => {
                write!(f, "because no resource-based policy allows the {action} action")
            }
        }
    }
}

/// Whether the request may be done: within an account either side's word is enough, from another both are needed.
pub fn authorize(access: &Access<'_>) -> Result<(), Denial> {
    let Access { principal, identity, action, resource, owner, policy, context } = *access;
    let by_resource = decide(policy, &principal, action, resource, context);
    let by_identity = match identity {
        Identity::None => Decision::Silent,
        Identity::Unrestricted => Decision::Allowed,
        Identity::Documents(documents) => decide(documents, &principal, action, resource, context),
    };
    if by_identity == Decision::Denied {
        return Err(Denial::ByIdentity);
    }
    if by_resource == Decision::Denied {
        return Err(Denial::ByResource);
    }
    let identity_allows = by_identity == Decision::Allowed;
    let (allowed, missing) = match principal {
        Principal::Aws { account, .. } if account == owner => {
            (identity_allows || by_resource == Decision::Allowed, Denial::NotByIdentity(action.to_owned()))
        }
        Principal::Aws { .. } => {
            let resource_allows = matches!(by_resource, Decision::Allowed | Decision::Delegated);
            let missing = if resource_allows {
                Denial::NotByIdentity(action.to_owned())
            } else {
                Denial::NotByResource(action.to_owned())
            };
            (identity_allows && resource_allows, missing)
        }
        Principal::Anonymous | Principal::Service(_) => {
            (by_resource == Decision::Allowed, Denial::NotByResource(action.to_owned()))
        }
    };
    if allowed { Ok(()) } else { Err(missing) }
}
