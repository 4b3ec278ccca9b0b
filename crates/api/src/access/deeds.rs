//! What lambkin will do in a caller's stead: invoke a function for a subscription or a mapping, send to a destination. Who
//! asks for it must be allowed to do it itself, or a policy would bound only what is done directly.
//!
//! Deliberately not here: what lambkin does for a function by itself: its log, its events, its destinations.

use lambkin_model::Error;
use lambkin_model::sqs;

use crate::Api;
use crate::api::Call;
use crate::node::Node;

impl Api {
    /// Whether this call may itself do what its operation makes lambkin do later. Of whom no policy bounds nothing is asked.
    pub(crate) fn authorize_deeds(
        &self,
        call: &Call<'_>,
        service: &str,
        operation: &str,
        input: &Node<'_>,
    ) -> Result<(), Error> {
        if call.actor.as_ref().is_none_or(|actor| !actor.is_bounded()) {
            return Ok(());
        }
        match (service, operation) {
            ("lambda", "CreateFunction" | "UpdateFunctionConfiguration") => {
                if let Some(role) = input.text("Role") {
                    self.authorize(call, "iam", "PassRole", &named("RoleArn", role))?;
                }
                let layers = input.list("Layers").unwrap_or_default();
                layers.iter().try_for_each(|arn| {
                    self.authorize(call, "lambda", "GetLayerVersionByArn", &named("Arn", arn))
                })?;
                let target = input.get("DeadLetterConfig").and_then(|config| config.text("TargetArn"));
                self.authorize_delivery(call, target)
            }
            ("lambda", "PutFunctionEventInvokeConfig" | "UpdateFunctionEventInvokeConfig") => {
                let config = input.get("DestinationConfig");
                ["OnSuccess", "OnFailure"].into_iter().try_for_each(|member| {
                    let target = config.and_then(|config| config.get(member)?.text("Destination"));
                    self.authorize_delivery(call, target)
                })
            }
            ("lambda", "CreateEventSourceMapping" | "UpdateEventSourceMapping") => {
                self.authorize_delivery(
                    call,
                    input.text("FunctionName").map(|_| function(call, input)).transpose()?.as_deref(),
                )?;
                let source = input.text("EventSourceArn").filter(|arn| sqs::key_of_arn(arn).is_some());
                ["ReceiveMessage", "DeleteMessage"].into_iter().try_for_each(|operation| {
                    source.map_or(Ok(()), |arn| {
                        self.authorize(call, "sqs", operation, &named("SourceArn", arn))
                    })
                })
            }
            ("sns", "Subscribe") => {
                self.authorize_delivery(call, input.text("Endpoint"))?;
                let attributes: Vec<(String, String)> = input.texts("Attributes").unwrap_or_default();
                let policies = attributes.iter().filter(|(name, _)| name == "RedrivePolicy");
                policies.map(|(_, policy)| policy).try_for_each(|policy| self.authorize_redrive(call, policy))
            }
            ("sns", "SetSubscriptionAttributes") if input.text("AttributeName") == Some("RedrivePolicy") => {
                self.authorize_redrive(call, input.text("AttributeValue").unwrap_or_default())
            }
            ("sqs", "StartMessageMoveTask") => match input.text("DestinationArn") {
                Some(arn) => self.authorize_delivery(call, Some(arn)),
                // Back to where they came from.
                None => {
                    let source = input.text("SourceArn").and_then(sqs::key_of_arn);
                    let former =
                        source.map(|source| self.events.sqs.redriving_to(&source)).unwrap_or_default();
                    former.iter().try_for_each(|key| self.authorize_delivery(call, Some(&key.arn("sqs"))))
                }
            },
            _ => Ok(()),
        }
    }

    /// Where a subscription's dead letters go.
    fn authorize_redrive(&self, call: &Call<'_>, policy: &str) -> Result<(), Error> {
        let policy: serde_json::Value = serde_json::from_str(policy).unwrap_or_default();
        self.authorize_delivery(call, policy["deadLetterTargetArn"].as_str())
    }

    /// What takes a delivery; what nothing can be sent to is refused by the operation.
    fn authorize_delivery(&self, call: &Call<'_>, target: Option<&str>) -> Result<(), Error> {
        let Some(arn) = target.filter(|arn| !arn.is_empty()) else { return Ok(()) };
        match arn.split(':').nth(2) {
            Some("lambda") => self.authorize(call, "lambda", "Invoke", &named("FunctionName", arn)),
            Some("sqs") => self.authorize(call, "sqs", "SendMessage", &named("SourceArn", arn)),
            Some("sns") => self.authorize(call, "sns", "Publish", &named("TopicArn", arn)),
            Some("events") => self.authorize(call, "events", "PutEvents", &named("Arn", arn)),
            Some("s3") => self.authorize(call, "s3", "PutObject", &named("Arn", &format!("{arn}/*"))),
            Some(_) | None => Ok(()),
        }
    }
}

fn function(call: &Call<'_>, input: &Node<'_>) -> Result<String, Error> {
    call.reference(input).map(|reference| reference.arn())
}

fn named(member: &'static str, arn: &str) -> Node<'static> {
    Node::Map(vec![(member.into(), Node::Text(arn.to_owned().into()))])
}
