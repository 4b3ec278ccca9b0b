//! Which resources an operation is on, as policies name them. A request may spell one in several ways (a name, an ARN of
//! another partition, a number with zeros); policies are asked about one spelling, which is made of what the operation will find.
//!
//! Deliberately not here: what policies say of them.

use std::borrow::Cow;

use lambkin_control::layer_key;
use lambkin_model::Error;
use lambkin_model::iam;
use lambkin_model::layer::{self, LayerVersionName};
use lambkin_model::name::FunctionReference;
use lambkin_model::record::ResourceKey;

use crate::Api;
use crate::api::Call;
use crate::layers;
use crate::node::Node;
use crate::service_model::MODEL;

/// Where IAM knows no resource.
const ALL: &str = "*";

/// One resource.
pub(super) struct Target<'i> {
    arn: Cow<'i, str>,
    /// What has a policy of its own.
    pub(super) named: Option<Named>,
    /// The function that `lambda:FunctionArn` is, where the resource is none.
    pub(super) function: Option<String>,
}

pub(super) enum Named {
    Function(FunctionReference),
    Layer(LayerVersionName),
}

impl<'i> Target<'i> {
    fn of(arn: impl Into<Cow<'i, str>>) -> Self {
        Self { arn: arn.into(), named: None, function: None }
    }

    pub(super) fn arn(&self) -> Cow<'_, str> {
        match &self.named {
            Some(Named::Function(reference)) => Cow::Owned(reference.arn()),
            Some(Named::Layer(name)) => Cow::Owned(name.to_string()),
            None => Cow::Borrowed(&self.arn),
        }
    }
}

impl Named {
    fn target(self) -> Target<'static> {
        Target { named: Some(self), ..Target::of("") }
    }
}

impl Api {
    /// All that an operation is on: at least one. What does not say what it names is an error, and never everything.
    pub(super) fn targets<'i>(
        &self,
        call: &Call<'_>,
        service: &str,
        operation: &str,
        input: &'i Node<'_>,
    ) -> Result<Vec<Target<'i>>, Error> {
        let own = |rest: &str| format!("arn:aws:{service}:{}:{}:{rest}", call.region, call.account);
        let given = |names: &[&str]| names.iter().find_map(|name| input.text(name)).map(plain);
        let of = |arn: Option<Cow<'i, str>>| Target::of(arn.unwrap_or(Cow::Borrowed(ALL)));
        Ok(match service {
            "lambda" if operation.contains("EventSourceMapping") => self.of_mapping(call, input)?,
            "lambda" => vec![of_lambda(call, operation, input)?],
            "sqs" => {
                let queue = input.text("QueueUrl").map(|url| url.rsplit('/').next().unwrap_or(url));
                let task = || self.events.sqs.move_source(input.text("TaskHandle")?);
                vec![match queue.or_else(|| input.text("QueueName")) {
                    Some(name) => Target::of(own(name)),
                    None => of(given(&["SourceArn"]).or_else(|| Some(task()?.arn("sqs").into()))),
                }]
            }
            "sns" if operation == "CreateTopic" => vec![of(input.text("Name").map(|name| own(name).into()))],
            "sns" => vec![of(given(&["TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn"]))],
            "logs" => of_logs(call, input),
            "iam" => vec![self.of_iam(call, operation, input)],
            "events" | "s3" => vec![of(given(&["Arn"]))],
            _ => vec![Target::of(ALL)],
        })
    }

    /// A role or a policy; lists are of everything.
    fn of_iam<'i>(&self, call: &Call<'_>, operation: &str, input: &'i Node<'_>) -> Target<'i> {
        let path = input.text("Path").unwrap_or("/");
        match (input.text("RoleName"), input.text("PolicyName")) {
            (Some(name), _) => Target::of(match self.control.role(call.account, name) {
                Ok(role) => role.record.arn(),
                Err(_) => iam::arn(call.account, "role", path, name),
            }),
            (None, Some(name)) if operation == "CreatePolicy" => {
                Target::of(iam::arn(call.account, "policy", path, name))
            }
            _ => Target::of(
                input.text("PolicyArn").or_else(|| input.text("RoleArn")).map_or(ALL.into(), plain),
            ),
        }
    }

    /// A mapping, with the functions that it invokes and is to invoke.
    fn of_mapping(&self, call: &Call<'_>, input: &Node<'_>) -> Result<Vec<Target<'static>>, Error> {
        let key = input.text("UUID").map(|uuid| ResourceKey {
            account: call.account.into(),
            region: (&*call.region).into(),
            name: uuid.into(),
        });
        let stored = key.as_ref().and_then(|key| self.events.mappings.get(key).ok());
        let stored = stored.map(|mapping| mapping.record.function_arn());
        let named = input.text("FunctionName").map(|_| call.reference(input)).transpose()?;
        let mut functions: Vec<Option<String>> =
            stored.into_iter().chain(named.map(|reference| reference.arn())).map(Some).collect();
        if functions.is_empty() {
            functions.push(None);
        }
        let arn = |key: &ResourceKey| {
            format!("arn:aws:lambda:{}:{}:event-source-mapping:{}", key.region, key.account, key.name)
        };
        let arn = key.as_ref().map_or(ALL.to_owned(), arn);
        Ok(functions.into_iter().map(|function| Target { function, ..Target::of(arn.clone()) }).collect())
    }
}

fn of_lambda<'i>(call: &Call<'_>, operation: &str, input: &'i Node<'_>) -> Result<Target<'i>, Error> {
    let parse = |name: &str, qualifier| FunctionReference::parse(name, qualifier, call.account, &call.region);
    if let Some(name) = input.text("FunctionName") {
        let qualified = takes_qualifier(operation);
        let mut reference = parse(name, input.text("Qualifier").filter(|_| qualified))?;
        if !qualified {
            reference.qualifier = None;
        }
        return Ok(Named::Function(reference).target());
    }
    if let Some(name) = input.text("LayerName") {
        let layer = layer_key(name, call.account, &call.region).ok_or_else(layers::nothing)?;
        return Ok(match input.integer("VersionNumber") {
            Some(number) => {
                let version = u64::try_from(number).unwrap_or_default();
                Named::Layer(LayerVersionName { layer, version }).target()
            }
            None => Target::of(layer::arn(&layer)),
        });
    }
    if let Some(arn) = input.text("Arn") {
        return Ok(Named::Layer(LayerVersionName::parse(arn).ok_or_else(layers::nothing)?).target());
    }
    let Some(arn) = input.text("Resource").or_else(|| input.text("ResourceArn")) else {
        return Ok(Target::of(ALL));
    };
    Ok(match arn.splitn(7, ':').collect::<Vec<_>>()[..] {
        [_, _, _, region, account, "event-source-mapping", uuid] => Target::of(format!(
            "arn:aws:lambda:{region}:{account}:event-source-mapping:{}",
            uuid.to_ascii_lowercase()
        )),
        [_, _, _, _, _, kind, _] if kind != "function" => Target::of(plain(arn)),
        _ => Named::Function(parse(arn, None)?).target(),
    })
}

/// Whether an operation acts on the version or alias that is named. All others act on the function, whatever else is said.
fn takes_qualifier(operation: &str) -> bool {
    let modelled =
        || MODEL.operation(operation).map(|operation| MODEL.members(operation)).unwrap_or_default();
    // Its qualifier can be in the name alone.
    operation == "InvokeAsync" || modelled().iter().any(|member| &*member.name == "Qualifier")
}

/// The groups by whatever member and spelling, `*` where none is named.
fn of_logs<'i>(call: &Call<'_>, input: &'i Node<'_>) -> Vec<Target<'i>> {
    let single = ["logGroupName", "logGroupIdentifier", "logGroupArn"];
    let lists = ["logGroupNames", "logGroupIdentifiers"];
    let single = single.into_iter().filter_map(|member| input.text(member)).map(str::to_owned);
    let listed = lists.into_iter().flat_map(|member| input.list(member).unwrap_or_default());
    let group = |given: String| match given.strip_prefix("arn:") {
        Some(_) => format!("{}:*", plain(given.strip_suffix(":*").unwrap_or(&given))),
        None => format!("arn:aws:logs:{}:{}:log-group:{given}:*", call.region, call.account),
    };
    let mut targets: Vec<Target<'i>> = single.chain(listed).map(|given| Target::of(group(given))).collect();
    // Of tags IAM wants the group's ARN by itself.
    let tagged = input.text("resourceArn").map(|arn| plain(arn.strip_suffix(":*").unwrap_or(arn)));
    targets.extend(tagged.map(Target::of));
    if targets.is_empty() {
        targets.push(Target::of(ALL));
    }
    targets
}

/// An ARN of AWS's first partition: lambkin has no other, and services here do not look at it.
fn plain(arn: &str) -> Cow<'_, str> {
    match arn.strip_prefix("arn:").and_then(|rest| rest.split_once(':')) {
        Some((partition, rest)) if partition != "aws" => Cow::Owned(format!("arn:aws:{rest}")),
        Some(_) | None => Cow::Borrowed(arn),
    }
}
