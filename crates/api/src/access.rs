//! What a caller may do: which action of IAM's an operation is, on which resource, and what policies say.
//!
//! Deliberately not here: who the caller is (`signature`, `callers`), and the rules themselves (`model::policy`).

mod actor;
mod deeds;
mod resource;

use std::net::IpAddr;

use http::request::Parts;
use lambkin_control::layer_key;
use lambkin_model::Error;
use lambkin_model::name::{FunctionReference, LATEST};
use lambkin_model::policy::{Access, Context, Decision, authorize, decide};

use crate::Api;
use crate::api::Call;
use crate::callers::Door;
use crate::gate;
use crate::layers;
use crate::node::Node;
use crate::route::{Matched, query_value};

pub(crate) use actor::Actor;
use resource::{Named, Target};

/// The actions that reading lambkin's own pages is, and writing what is kept there.
const READ: &str = "lambkin:Read";
const WRITE: &str = "lambkin:Write";

impl Api {
    /// Whether this call may do this operation on all that its input names. Of whom no policy bounds nothing is asked.
    pub(crate) fn authorize(
        &self,
        call: &Call<'_>,
        service: &str,
        operation: &str,
        input: &Node<'_>,
    ) -> Result<(), Error> {
        let Some(actor) = &call.actor else { return Ok(()) };
        if actor.foreign {
            nothing_of_its_own(call, actor, input)?;
        }
        match self.targets(call, service, operation, input) {
            Ok(targets) => targets
                .iter()
                .try_for_each(|target| self.authorize_on(call, actor, service, operation, target)),
            // The operation says so itself to who may do everything.
            Err(_) if !actor.is_bounded() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn authorize_on(
        &self,
        call: &Call<'_>,
        actor: &Actor<'_>,
        service: &str,
        operation: &str,
        target: &Target<'_>,
    ) -> Result<(), Error> {
        let (mut of_function, mut of_layer) = (None, None);
        match &target.named {
            Some(Named::Function(reference)) => of_function = self.control.head(&reference.key).ok(),
            Some(Named::Layer(name)) => of_layer = self.control.layer_version(name),
            None => {}
        }
        let of_function = of_function.as_ref().and_then(|stored| {
            let Some(Named::Function(reference)) = &target.named else { return None };
            stored.record.policies.get(reference.qualifier.as_deref().unwrap_or(LATEST))
        });
        let of_layer = of_layer.as_ref().and_then(|layer| layer.record.policy.as_ref());
        let policy = of_function.or(of_layer).map(|policy| &policy.document);
        // The usual case, which costs nothing.
        if !actor.is_bounded() && policy.is_none() {
            return Ok(());
        }
        // The one whose name in a signature's scope is not its own.
        let prefix = if service == "monitoring" { "cloudwatch" } else { service };
        let action = format!("{prefix}:{}", action(service, operation));
        let resource = target.arn();
        let context = actor.say(of_request(&call.region, call.door.peer, call.door.secure), call.account);
        // Roles are passed to functions alone.
        let context = match operation {
            "PassRole" => context.with("iam:PassedToService", "lambda.amazonaws.com"),
            _ => context,
        };
        let function = match &target.named {
            Some(Named::Function(_)) => Some(resource.to_string()),
            Some(Named::Layer(_)) | None => target.function.clone(),
        };
        let context = match function {
            Some(function) => context.with("lambda:FunctionArn", function),
            None => context,
        };
        let arn = &actor.arn;
        let access = Access {
            principal: actor.principal(call.account),
            identity: actor.identity(),
            action: &action,
            resource: &resource,
            owner: call.account,
            policy,
            context: &context,
        };
        authorize(&access).map_err(|denial| {
            Error::AccessDenied(format!(
                "User: {arn} is not authorized to perform: {action} on resource: {resource} {denial}"
            ))
        })
    }

    /// Whether this caller may read lambkin's own pages, which say what all functions and queues are at (`lambkin:Read` on `*`),
    /// or write what is kept there (`lambkin:Write`).
    pub(crate) fn authorize_page(
        &self,
        actor: &Actor<'_>,
        parts: &Parts,
        door: &Door,
        reads: bool,
    ) -> Result<(), Error> {
        let action = if reads { READ } else { WRITE };
        let account = &*self.config.account;
        if !actor.is_bounded() {
            return Ok(());
        }
        let documents = actor.documents.as_deref().unwrap_or_default();
        let (arn, principal) = (&actor.arn, actor.principal(account));
        let region = gate::region(parts, &self.config.default_region);
        let context = actor.say(of_request(&region, door.peer, door.secure), account);
        // Nothing here says a word for another account.
        if !actor.foreign && decide(documents, &principal, action, "*", &context) == Decision::Allowed {
            return Ok(());
        }
        Err(Error::AccessDenied(format!("User: {arn} is not authorized to perform: {action} on resource: *")))
    }
}

/// What another account's caller names without an account is its own, and none of that is here.
fn nothing_of_its_own(call: &Call<'_>, actor: &Actor<'_>, input: &Node<'_>) -> Result<(), Error> {
    let account = actor.account(call.account);
    if let Some(name) = input.text("FunctionName")
        && let Ok(own) = FunctionReference::parse(name, None, account, &call.region)
    {
        return Err(Error::ResourceNotFound(format!("Function not found: {}", own.arn())));
    }
    if input.text("LayerName").is_some_and(|name| layer_key(name, account, &call.region).is_some()) {
        return Err(layers::nothing());
    }
    Ok(())
}

/// What conditions may ask for, of any request.
pub(crate) fn of_request(region: &str, peer: IpAddr, secure: bool) -> Context {
    let now = crate::api::now();
    Context::default()
        .with("aws:RequestedRegion", region)
        .with("aws:SourceIp", peer.to_canonical().to_string())
        .with("aws:SecureTransport", secure.to_string())
        .with("aws:CurrentTime", now.iso())
        .with("aws:EpochTime", (now.0 / 1_000_000).to_string())
}

/// What can be read of an operation's input before its body: the function and its qualifier.
pub(crate) fn operation_input<'r>(matched: &Matched<'_, 'r>, parts: &'r Parts) -> Node<'r> {
    let name = matched.label("FunctionName").map(|name| ("FunctionName".into(), Node::Text(name)));
    let query = parts.uri.query().unwrap_or_default();
    let qualifier = query_value(query, "Qualifier").map(|value| ("Qualifier".into(), Node::Text(value)));
    Node::Map(name.into_iter().chain(qualifier).collect())
}

/// IAM's name of an operation.
fn action<'o>(service: &str, operation: &'o str) -> &'o str {
    match (service, operation) {
        ("lambda", "Invoke" | "InvokeWithResponseStream") => "InvokeFunction",
        ("lambda", "GetLayerVersionByArn") => "GetLayerVersion",
        ("sqs" | "sns", batch) => batch.strip_suffix("Batch").unwrap_or(batch),
        (_, operation) => operation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions() {
        for (service, operation, expected) in [
            ("lambda", "Invoke", "InvokeFunction"),
            ("lambda", "InvokeWithResponseStream", "InvokeFunction"),
            ("lambda", "ListFunctions", "ListFunctions"),
            ("sqs", "SendMessageBatch", "SendMessage"),
            ("sns", "PublishBatch", "Publish"),
            ("sts", "GetCallerIdentity", "GetCallerIdentity"),
        ] {
            assert_eq!(action(service, operation), expected);
        }
    }
}
