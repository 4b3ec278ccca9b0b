//! Subscriptions: their record and attributes, and what can be subscribed.
//!
//! Deliberately not here: filter policies themselves (`pattern`); delivering.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SnsError;
use crate::pattern::{FilterPolicy, Scope};
use crate::record::{Record, ResourceKey};
use crate::time::Timestamp;
use crate::{jackson, sns::parse_arn};

/// What a topic delivers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A queue.
    Sqs,
    /// A function.
    Lambda,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqs => "sqs",
            Self::Lambda => "lambda",
        })
    }
}

impl Protocol {
    /// Reads one; AWS's others are refused with the reason.
    pub fn parse(text: &str) -> Result<Self, SnsError> {
        match text {
            "sqs" => Ok(Self::Sqs),
            "lambda" => Ok(Self::Lambda),
            "http" | "https" | "email" | "email-json" | "sms" | "application" | "firehose" => {
                Err(SnsError::parameter(format!(
                    "Protocol Reason: lambkin delivers to sqs and lambda, and not to {text}"
                )))
            }
            _ => {
                Err(SnsError::parameter(format!("Amazon SNS does not support this protocol string: {text}")))
            }
        }
    }
}

/// Checks what is to be subscribed.
pub fn check_endpoint(protocol: Protocol, endpoint: &str) -> Result<(), SnsError> {
    let parts = parse_arn("Endpoint", endpoint).unwrap_or([""; 6]);
    match (protocol, parts) {
        (Protocol::Sqs, ["arn", _, "sqs", region, account, name]) if named(region, account, name) => {
            if name.ends_with(".fifo") {
                let reason = "FIFO SQS Queues can not be subscribed to standard SNS topics";
                return Err(SnsError::parameter(format!("Invalid parameter: Endpoint Reason: {reason}")));
            }
            Ok(())
        }
        (Protocol::Lambda, ["arn", _, "lambda", region, account, name])
            if named(region, account, name)
                && name.strip_prefix("function:").is_some_and(|name| {
                    !name.is_empty()
                        && name.split(':').count() <= 2
                        && name.split(':').all(|part| !part.is_empty())
                }) =>
        {
            Ok(())
        }
        (Protocol::Sqs, _) => Err(SnsError::parameter("SQS endpoint ARN")),
        (Protocol::Lambda, _) => Err(SnsError::parameter("Lambda endpoint ARN")),
    }
}

fn named(region: &str, account: &str, name: &str) -> bool {
    !region.is_empty()
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
}

/// A subscription's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic's account and region, and as name the topic's, a colon and a UUID.
    pub key: ResourceKey,
    /// Identity of the topic it belongs to: without that one it is none.
    pub topic: String,
    /// What kind of endpoint.
    pub protocol: Protocol,
    /// ARN of the queue or function.
    pub endpoint: String,
    /// What can be set.
    pub attributes: SubscriptionAttributes,
    /// When it was made.
    pub created: Timestamp,
}

impl Record for Subscription {
    const KIND: &'static str = "subscription";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl Subscription {
    /// `arn:aws:sns:us-east-1:000000000000:topic:uuid`.
    #[must_use]
    pub fn arn(&self) -> String {
        self.key.arn("sns")
    }

    /// Its topic.
    #[must_use]
    pub fn topic_key(&self) -> ResourceKey {
        Self::topic_of(&self.key)
    }

    /// The topic of the subscription of this key.
    #[must_use]
    pub fn topic_of(key: &ResourceKey) -> ResourceKey {
        let name = key.name.split_once(':').map_or(&*key.name, |(topic, _)| topic);
        ResourceKey { account: Arc::clone(&key.account), region: Arc::clone(&key.region), name: name.into() }
    }

    /// `GetSubscriptionAttributes`.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<String, String> {
        let set = &self.attributes;
        let mut all = BTreeMap::from([
            ("ConfirmationWasAuthenticated", "true".to_owned()),
            ("Endpoint", self.endpoint.clone()),
            ("Owner", self.key.account.to_string()),
            ("PendingConfirmation", "false".to_owned()),
            ("Protocol", self.protocol.to_string()),
            ("RawMessageDelivery", set.raw_message_delivery.to_string()),
            ("SubscriptionArn", self.arn()),
            ("SubscriptionPrincipal", format!("arn:aws:iam::{}:root", self.key.account)),
            ("TopicArn", self.topic_key().arn("sns")),
        ]);
        if let Some(policy) = &set.filter_policy {
            all.insert("FilterPolicy", policy.clone());
            // AWS shows the scope only beside a policy.
            let scope = match set.filter_policy_scope {
                Scope::MessageAttributes => "MessageAttributes",
                Scope::MessageBody => "MessageBody",
            };
            all.insert("FilterPolicyScope", scope.to_owned());
        }
        if let Some(policy) = &set.redrive_policy {
            all.insert("RedrivePolicy", policy.clone());
        }
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// What can be set of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SubscriptionAttributes {
    /// `FilterPolicy`, as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_policy: Option<String>,
    /// `FilterPolicyScope`.
    #[serde(default)]
    pub filter_policy_scope: Scope,
    /// `RawMessageDelivery`.
    #[serde(default)]
    pub raw_message_delivery: bool,
    /// `RedrivePolicy`, as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive_policy: Option<String>,
}

impl SubscriptionAttributes {
    /// Sets attributes together, in `Subscribe` (`subscribes`) or in `SetSubscriptionAttributes`.
    pub fn change<'a>(
        &mut self,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
        protocol: Protocol,
        subscribes: bool,
    ) -> Result<(), SnsError> {
        let prefix = if subscribes { "Attributes Reason: " } else { "" };
        for (name, value) in attributes {
            self.set(name, value, protocol, prefix)?;
        }
        self.filter(prefix).map(|_| ())
    }

    /// The filter policy, read; `None`: everything passes.
    pub fn filter(&self, prefix: &str) -> Result<Option<FilterPolicy>, SnsError> {
        let policy = self.filter_policy.as_deref();
        policy
            .map(|policy| FilterPolicy::parse(policy, self.filter_policy_scope, prefix))
            .transpose()
            .map_err(SnsError::InvalidParameter)
    }

    /// The queue that gets what cannot be delivered.
    #[must_use]
    pub fn dead_letter_target(&self) -> Option<String> {
        let policy: Value = serde_json::from_str(self.redrive_policy.as_deref()?).ok()?;
        policy.get("deadLetterTargetArn")?.as_str().map(str::to_owned)
    }

    fn set(&mut self, name: &str, value: &str, protocol: Protocol, prefix: &str) -> Result<(), SnsError> {
        let refused = |reason: String| Err(SnsError::InvalidParameter(format!("{prefix}{reason}")));
        match name {
            // An empty object is how Terraform takes a policy away.
            "FilterPolicy" if matches!(value.trim(), "" | "{}") => self.filter_policy = None,
            "FilterPolicy" => self.filter_policy = Some(value.to_owned()),
            "FilterPolicyScope" => {
                self.filter_policy_scope = match value {
                    "MessageAttributes" => Scope::MessageAttributes,
                    "MessageBody" => Scope::MessageBody,
                    _ => {
                        return refused(format!(
                            "FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
                        ));
                    }
                }
            }
            "RawMessageDelivery" => {
                self.raw_message_delivery = match value.to_ascii_lowercase().as_str() {
                    "true" if protocol == Protocol::Lambda => {
                        return refused(
                            "Delivery protocol [lambda] does not support raw message delivery.".into(),
                        );
                    }
                    "true" => true,
                    "false" => false,
                    _ => {
                        return refused(format!(
                            "RawMessageDelivery: Invalid value [{value}]. Must be true or false."
                        ));
                    }
                }
            }
            "RedrivePolicy" if value.is_empty() => self.redrive_policy = None,
            "RedrivePolicy" => {
                check_redrive_policy(value).or_else(|reason| refused(format!("RedrivePolicy: {reason}")))?;
                self.redrive_policy = Some(value.to_owned());
            }
            "DeliveryPolicy" => {
                return refused("DeliveryPolicy: lambkin delivers to no HTTP endpoints".into());
            }
            "SubscriptionRoleArn" => {
                return refused("SubscriptionRoleArn: lambkin delivers to no Firehose streams".into());
            }
            "ReplayPolicy" => return refused("ReplayPolicy: lambkin has no FIFO topics".into()),
            _ if !prefix.is_empty() => return refused(format!("Unknown attribute {name}")),
            _ => return Err(SnsError::parameter("AttributeName")),
        }
        Ok(())
    }
}

fn check_redrive_policy(text: &str) -> Result<(), String> {
    let policy: Value = serde_json::from_str(text).map_err(|error| {
        let complaint = jackson::complaint(text.as_bytes()).unwrap_or_else(|| error.to_string());
        format!("failed to parse JSON. {complaint}")
    })?;
    let arn = policy.get("deadLetterTargetArn").and_then(Value::as_str).unwrap_or_default();
    match parse_arn("", arn) {
        Ok(["arn", _, "sqs", region, account, name]) if named(region, account, name) => {
            if name.ends_with(".fifo") {
                return Err("deadLetterTargetArn must be a standard queue for a standard topic".into());
            }
            Ok(())
        }
        Ok(_) | Err(_) => Err("deadLetterTargetArn is an invalid arn".into()),
    }
}
