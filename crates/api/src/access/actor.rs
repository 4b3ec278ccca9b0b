//! Who calls, as policies see it: a user who has a key, or a function's session of a role that was created here.
//!
//! Deliberately not here: functions whose role was not, and callers without keys. No policy bounds those.

use std::borrow::Cow;

use lambkin_model::keys::Key;
use lambkin_model::policy::{Context, Document, Identity, Principal};
use lambkin_model::services::Caller;

use crate::Api;
use crate::sts;

pub(crate) struct Actor<'a> {
    /// The user's, or the session's.
    pub(super) arn: String,
    /// All of its policies; `None`: it may do everything.
    pub(super) documents: Option<Cow<'a, [Document]>>,
    /// Of another account than what is here: it needs a resource's word too, and owns nothing here.
    pub(super) foreign: bool,
    of: Of<'a>,
}

enum Of<'a> {
    Key(&'a Key),
    Role { arn: String, user: String },
}

impl Api {
    /// The function, or whose key signed; `None`: nobody whom a policy bounds.
    pub(crate) fn actor<'a>(&self, caller: Option<&Caller>, key: Option<&'a Key>) -> Option<Actor<'a>> {
        match caller {
            Some(caller) => self.role_actor(caller),
            None => key.map(|key| Actor::of_key(key, &self.config.account)),
        }
    }

    /// A function as its role's session; `None`: its role was never created here.
    pub(crate) fn role_actor(&self, caller: &Caller) -> Option<Actor<'static>> {
        let session = self.control.role_session(&caller.role)?;
        let (user, arn) = sts::session(&self.config.account, caller, &session.id);
        let of = Of::Role { arn: session.arn, user };
        Some(Actor { arn, documents: Some(Cow::Owned(session.documents)), foreign: false, of })
    }
}

impl<'a> Actor<'a> {
    pub(crate) fn of_key(key: &'a Key, account: &str) -> Self {
        let documents = Some(Cow::Borrowed(&*key.policies)).filter(|documents| !documents.is_empty());
        let foreign = key.account(account) != account;
        Self { arn: key.arn(account), documents, foreign, of: Of::Key(key) }
    }

    pub(crate) fn principal<'s>(&'s self, account: &'s str) -> Principal<'s> {
        let role = match &self.of {
            Of::Key(_) => None,
            Of::Role { arn, .. } => Some(&**arn),
        };
        Principal::Aws { account: self.account(account), arn: &self.arn, role }
    }

    /// Its own account, where what is here is of `owner`.
    pub(super) fn account<'s>(&'s self, owner: &'s str) -> &'s str {
        match &self.of {
            Of::Key(key) => key.account(owner),
            Of::Role { .. } => owner,
        }
    }

    /// Whether there is anything that it may not do, for all that is known of it alone.
    pub(super) fn is_bounded(&self) -> bool {
        self.foreign || self.documents.is_some()
    }

    pub(crate) fn identity(&self) -> Identity<'_> {
        self.documents.as_deref().map_or(Identity::Unrestricted, Identity::Documents)
    }

    /// What conditions may ask for of who calls.
    pub(crate) fn say(&self, context: Context, account: &str) -> Context {
        let context = context.with("aws:PrincipalAccount", self.account(account));
        match &self.of {
            Of::Key(key) => context
                .with("aws:PrincipalArn", &*self.arn)
                .with("aws:PrincipalType", "User")
                .with("aws:username", key.name.as_str()),
            Of::Role { arn, user } => context
                .with("aws:PrincipalArn", &**arn)
                .with("aws:PrincipalType", "AssumedRole")
                .with("aws:userid", &**user),
        }
    }
}
