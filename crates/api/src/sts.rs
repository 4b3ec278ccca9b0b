//! AWS STS: who is asking. Its other operations make credentials, and those come from `lambkin keys` alone.
//!
//! Deliberately not here: roles that can be assumed.

use std::sync::Arc;

use http::StatusCode;
use lambkin_model::keys::Key;
use lambkin_model::services::Caller;

use crate::Api;
use crate::api::Call;
use crate::node::Node;
use crate::wire::{Fault, Request};

impl Api {
    pub(crate) fn operate_sts(
        &self,
        call: &Call<'_>,
        request: &Request<'_>,
    ) -> Result<Option<Node<'static>>, Fault> {
        match &*request.operation.name {
            "GetCallerIdentity" => {
                let (id, arn) = match call.caller {
                    Some(caller) => self.caller_identity(caller),
                    None => identity(call.account, call.key),
                };
                let account = call.key.map_or(call.account, |key| key.account(call.account));
                let text = |name: &'static str, value: String| (name.into(), Node::Text(value.into()));
                Ok(Some(Node::Map(vec![
                    text("UserId", id),
                    text("Account", account.to_owned()),
                    text("Arn", arn),
                ])))
            }
            other => Err(Fault {
                status: StatusCode::BAD_REQUEST,
                shape: "com.amazon.coral.service#InvalidActionException",
                code: "InvalidAction",
                sender: true,
                detail: None,
                message: format!(
                    "lambkin does not do STS's {other}: credentials are made by `lambkin keys`."
                ),
            }),
        }
    }
}

impl Api {
    /// Id and ARN of a function's session of its role.
    pub(crate) fn caller_identity(&self, caller: &Caller) -> (String, String) {
        let id = self.control.role_id(&caller.role);
        session(&self.config.account, caller, id.as_deref().unwrap_or("AROALAMBKIN"))
    }
}

/// Id and ARN of a function's session of the role of this id.
pub(crate) fn session(account: &str, caller: &Caller, role_id: &str) -> (String, String) {
    let role = caller.role.rsplit('/').next().unwrap_or_default();
    let function = &caller.function.name;
    (format!("{role_id}:{function}"), format!("arn:aws:sts::{account}:assumed-role/{role}/{function}"))
}

/// Id and ARN: a key's user, or, where nothing is verified, the account's owner.
pub(crate) fn identity(account: &str, key: Option<&Arc<Key>>) -> (String, String) {
    match key {
        Some(key) => (key.id.replacen("AKIA", "AIDA", 1), key.arn(account)),
        None => (account.to_owned(), format!("arn:aws:iam::{account}:root")),
    }
}
