//! Topics: their record and attributes. What an attribute would do and lambkin does not is refused when it
//! is set; AWS's defaults are shown.
//!
//! Deliberately not here: subscriptions; where records are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::SnsError;
use crate::record::{Record, ResourceKey};
use crate::time::Timestamp;

/// A topic's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Account, region and name.
    pub key: ResourceKey,
    /// UUID, new at each creation: subscriptions belong to one of them, not to a name.
    pub identity: String,
    /// What can be set.
    pub attributes: TopicAttributes,
    /// The topic's tags.
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created: Timestamp,
    /// Subscriptions that were ended, AWS's `SubscriptionsDeleted`.
    #[serde(default)]
    pub subscriptions_deleted: u64,
}

impl Record for Topic {
    const KIND: &'static str = "topic";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl Topic {
    /// `arn:aws:sns:us-east-1:000000000000:name`.
    #[must_use]
    pub fn arn(&self) -> String {
        self.key.arn("sns")
    }

    /// `GetTopicAttributes`, in order of names, with so many subscriptions.
    #[must_use]
    pub fn attributes(&self, confirmed: usize) -> BTreeMap<String, String> {
        let mut all = self.attributes.set();
        all.entry("DisplayName").or_default();
        all.insert("EffectiveDeliveryPolicy", delivery_policy());
        all.insert("Owner", self.key.account.to_string());
        all.insert("Policy", self.policy());
        all.insert("SubscriptionsConfirmed", confirmed.to_string());
        all.insert("SubscriptionsDeleted", self.subscriptions_deleted.to_string());
        all.insert("SubscriptionsPending", "0".into());
        all.insert("TopicArn", self.arn());
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The policy of a topic that was given none: its owner may do everything.
    fn policy(&self) -> String {
        let actions = [
            "GetTopicAttributes",
            "SetTopicAttributes",
            "AddPermission",
            "RemovePermission",
            "DeleteTopic",
            "Subscribe",
            "ListSubscriptionsByTopic",
            "Publish",
        ];
        json!({
            "Version": "2008-10-17",
            "Id": "__default_policy_ID",
            "Statement": [{
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": actions.map(|action| format!("SNS:{action}")),
                "Resource": self.arn(),
                "Condition": {"StringEquals": {"AWS:SourceOwner": &*self.key.account}},
            }],
        })
        .to_string()
    }
}

/// How HTTP endpoints would be tried again; lambkin delivers to none.
fn delivery_policy() -> String {
    json!({"http": {
        "defaultHealthyRetryPolicy": {
            "minDelayTarget": 20,
            "maxDelayTarget": 20,
            "numRetries": 3,
            "numMaxDelayRetries": 0,
            "numNoDelayRetries": 0,
            "numMinDelayRetries": 0,
            "backoffFunction": "linear",
        },
        "disableSubscriptionOverrides": false,
        "defaultRequestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
    }})
    .to_string()
}

/// What can be set of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TopicAttributes {
    /// `DisplayName`: only e-mail and SMS would show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// `SignatureVersion`: what the notifications say; `None`: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_version: Option<u8>,
    /// `TracingConfig` was set, to the only value that lambkin does: `PassThrough`.
    #[serde(default)]
    pub passes_trace: bool,
}

impl TopicAttributes {
    /// Sets one, in `CreateTopic` (`creates`) or in `SetTopicAttributes`.
    pub fn change(&mut self, name: &str, value: &str, creates: bool) -> Result<(), SnsError> {
        let prefix = if creates { "Attributes Reason: " } else { "" };
        let refused = |reason: String| Err(SnsError::InvalidParameter(format!("{prefix}{reason}")));
        match name {
            "DisplayName" if value.chars().count() > 100 => {
                refused("DisplayName must be at most 100 characters long".into())
            }
            "DisplayName" => {
                self.display_name = Some(value.to_owned());
                Ok(())
            }
            "SignatureVersion" => {
                let Ok(version @ (1 | 2)) = value.parse() else {
                    return refused(format!("SignatureVersion: Invalid value [{value}]. Must be 1 or 2."));
                };
                self.signature_version = Some(version);
                Ok(())
            }
            "TracingConfig" => match value {
                "PassThrough" => {
                    self.passes_trace = true;
                    Ok(())
                }
                "Active" => refused("TracingConfig: lambkin passes traces through and records none".into()),
                _ => {
                    refused(format!("TracingConfig: Invalid value [{value}]. Must be Active or PassThrough."))
                }
            },
            "FifoTopic" if creates => match value.to_ascii_lowercase().as_str() {
                "false" => Ok(()),
                "true" => refused("FifoTopic: lambkin has no FIFO topics".into()),
                _ => refused(format!("FifoTopic: Invalid value [{value}]. Must be true or false.")),
            },
            "ContentBasedDeduplication" | "FifoThroughputScope" | "ArchivePolicy" => {
                refused(format!("{name}: lambkin has no FIFO topics"))
            }
            // What leaves things as they are.
            "Policy" | "DeliveryPolicy" | "KmsMasterKeyId" | "DataProtectionPolicy" if value.is_empty() => {
                Ok(())
            }
            "Policy" => refused(
                "Policy: lambkin asks no topic's policy yet: a topic's policy would allow and deny nothing"
                    .into(),
            ),
            "DeliveryPolicy" => refused("DeliveryPolicy: lambkin delivers to no HTTP endpoints".into()),
            "KmsMasterKeyId" => refused("KmsMasterKeyId: lambkin does not encrypt what it keeps".into()),
            "DataProtectionPolicy" => {
                refused("DataProtectionPolicy: lambkin does not inspect messages".into())
            }
            name if is_feedback(name) => {
                refused(format!("{name}: lambkin logs deliveries itself, not with a role"))
            }
            _ if creates => refused(format!("Unknown attribute {name}")),
            _ => Err(SnsError::parameter("AttributeName")),
        }
    }

    /// What was set.
    fn set(&self) -> BTreeMap<&'static str, String> {
        let tracing = self.passes_trace.then(|| "PassThrough".to_owned());
        let version = self.signature_version.map(|version| version.to_string());
        let all = [
            ("DisplayName", self.display_name.clone()),
            ("SignatureVersion", version),
            ("TracingConfig", tracing),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Whether all that was set here is the same there.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        let other = other.set();
        self.set().iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

/// `SQSSuccessFeedbackRoleArn` and its kind.
fn is_feedback(name: &str) -> bool {
    let endpoint =
        ["HTTP", "Firehose", "Lambda", "Application", "SQS"].iter().any(|kind| name.starts_with(kind));
    let kinds = ["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"];
    endpoint && kinds.iter().any(|kind| name.ends_with(kind))
}

/// Checks a new topic's name.
pub fn check_topic_name(name: &str) -> Result<(), SnsError> {
    let plain = |text: &str| {
        (1..=256).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.strip_suffix(".fifo").is_some_and(plain) {
        return Err(SnsError::parameter("Topic Name Reason: lambkin has no FIFO topics"));
    }
    if plain(name) { Ok(()) } else { Err(SnsError::parameter("Topic Name")) }
}
