//! `RedrivePolicy` and `RedriveAllowPolicy`: JSON texts in, values out, and AWS's words for what is wrong.
//!
//! Deliberately not here: whether the dead-letter queue exists.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{SqsError, key_of_arn};
use crate::record::ResourceKey;

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedrivePolicy {
    /// The dead-letter queue.
    pub target: ResourceKey,
    /// A message received so often and not deleted goes there.
    pub max_receive_count: u32,
}

/// Which queues may name a queue as their dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveAllowPolicy {
    /// All, none, or those below.
    pub permission: RedrivePermission,
    /// ARNs of at most ten queues.
    pub sources: Vec<String>,
}

/// AWS's `redrivePermission`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RedrivePermission {
    /// Every queue of the account and region.
    AllowAll,
    /// None.
    DenyAll,
    /// The listed ones.
    ByQueue,
}

const POLICY: &str = "RedrivePolicy";
const ALLOW: &str = "RedriveAllowPolicy";

impl RedrivePolicy {
    /// Reads the attribute's text.
    pub fn parse(text: &str) -> Result<Self, SqsError> {
        let wrong = |reason: &str| SqsError::value(text, POLICY, reason);
        let map: Map<String, Value> = serde_json::from_str(text).map_err(|_| {
            SqsError::InvalidAttributeValue(
                "Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is not a valid JSON map.".into(),
            )
        })?;
        for name in ["maxReceiveCount", "deadLetterTargetArn"] {
            if !map.contains_key(name) {
                return Err(wrong(&format!("Redrive policy does not contain mandatory attribute: {name}.")));
            }
        }
        if map.len() > 2 {
            return Err(wrong(
                "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].",
            ));
        }
        // A number, or a text that is one, as older tools write it.
        let count = match &map["maxReceiveCount"] {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            other @ (Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
        };
        let max_receive_count =
            count.parse().ok().filter(|count| (1..=1000).contains(count)).ok_or_else(|| {
                wrong(&format!(
                    "Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive."
                ))
            })?;
        let target = map["deadLetterTargetArn"].as_str().and_then(key_of_arn);
        let target = target.ok_or_else(|| wrong("Invalid value for deadLetterTargetArn."))?;
        Ok(Self { target, max_receive_count })
    }

    /// The attribute's text.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":{}}}"#,
            self.target.arn("sqs"),
            self.max_receive_count
        )
    }
}

impl RedriveAllowPolicy {
    /// Reads the attribute's text.
    pub fn parse(text: &str) -> Result<Self, SqsError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "camelCase")]
        struct Wire {
            redrive_permission: Permission,
            source_queue_arns: Option<Vec<String>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        enum Permission {
            AllowAll,
            DenyAll,
            ByQueue,
        }
        let wrong = |reason: &str| {
            let reason = format!("Amazon SQS can't create the redrive allow policy. {reason}");
            Err(SqsError::value(text, ALLOW, &reason))
        };
        let wire: Wire = serde_json::from_str(text).map_err(|_| {
            SqsError::InvalidAttributeValue(
                "Invalid value for the parameter RedriveAllowPolicy. Reason: Amazon SQS can't create the redrive allow \
                 policy, as it\u{2019}s in an unsupported format."
                    .into(),
            )
        })?;
        let permission = match wire.redrive_permission {
            Permission::AllowAll => RedrivePermission::AllowAll,
            Permission::DenyAll => RedrivePermission::DenyAll,
            Permission::ByQueue => RedrivePermission::ByQueue,
        };
        let sources = wire.source_queue_arns;
        if permission == RedrivePermission::ByQueue {
            return match sources {
                Some(sources) if sources.len() > 10 => {
                    wrong("The maximum number of source queue ARNs you can specify is 10.")
                }
                Some(sources) if !sources.is_empty() => Ok(Self { permission, sources }),
                Some(_) | None => wrong(
                    "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values.",
                ),
            };
        }
        if sources.is_some() {
            return wrong(
                "To specify one or more source queue ARNs, you must set redrivePermission to byQueue.",
            );
        }
        Ok(Self { permission, sources: Vec::new() })
    }

    /// The attribute's text.
    #[must_use]
    pub fn text(&self) -> String {
        match self.permission {
            RedrivePermission::AllowAll => r#"{"redrivePermission":"allowAll"}"#.into(),
            RedrivePermission::DenyAll => r#"{"redrivePermission":"denyAll"}"#.into(),
            RedrivePermission::ByQueue => {
                serde_json::json!({ "redrivePermission": "byQueue", "sourceQueueArns": self.sources })
                    .to_string()
            }
        }
    }

    /// Whether the queue of this ARN may name the policy's queue.
    #[must_use]
    pub fn allows(&self, source: &str) -> bool {
        match self.permission {
            RedrivePermission::AllowAll => true,
            RedrivePermission::DenyAll => false,
            RedrivePermission::ByQueue => self.sources.iter().any(|each| each == source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DLQ: &str = "arn:aws:sqs:us-east-1:000000000000:dlq";

    #[test]
    fn redrive_policies() {
        let good = format!(r#"{{"deadLetterTargetArn":"{DLQ}","maxReceiveCount":3}}"#);
        assert_eq!(RedrivePolicy::parse(&good).unwrap().text(), good);
        let older = format!(r#"{{"maxReceiveCount":"3","deadLetterTargetArn":"{DLQ}"}}"#);
        assert_eq!(RedrivePolicy::parse(&older).unwrap().text(), good);
        let value = "Value {} for parameter RedrivePolicy is invalid. Reason: ";
        for (text, reason) in [
            ("[]", "Redrive policy is not a valid JSON map."),
            (
                r#"{"maxReceiveCount":3}"#,
                "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.",
            ),
            (
                r#"{"deadLetterTargetArn":"x"}"#,
                "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
            ),
            (
                r#"{"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}"#,
                "Invalid value for deadLetterTargetArn.",
            ),
            (
                r#"{"deadLetterTargetArn":"x","maxReceiveCount":-36}"#,
                "Invalid value for maxReceiveCount: -36, valid values are from 1 to 1000 both inclusive.",
            ),
            (
                r#"{"deadLetterTargetArn":"x","maxReceiveCount":1001}"#,
                "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive.",
            ),
            (
                r#"{"deadLetterTargetArn":"x","maxReceiveCount":1,"more":1}"#,
                "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].",
            ),
        ] {
            let said = RedrivePolicy::parse(text).unwrap_err().to_string();
            let expected = match text {
                "[]" => format!("Invalid value for the parameter RedrivePolicy. Reason: {reason}"),
                text => value.replace("{}", text) + reason,
            };
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn redrive_allow_policies() {
        for (text, source, allowed) in [
            (r#"{"redrivePermission":"allowAll"}"#, "arn:x", true),
            (r#"{"redrivePermission":"denyAll"}"#, "arn:x", false),
            (r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:x"]}"#, "arn:x", true),
            (r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:x"]}"#, "arn:y", false),
        ] {
            let policy = RedriveAllowPolicy::parse(text).unwrap();
            assert_eq!(policy.text(), text);
            assert_eq!(policy.allows(source), allowed, "{text}");
        }
        let eleven = serde_json::json!({ "redrivePermission": "byQueue", "sourceQueueArns": vec!["a"; 11] });
        for (text, words) in [
            ("7", "unsupported format"),
            (r#"{"redrivePermission":"some"}"#, "unsupported format"),
            (r#"{"redrivePermission":"denyAll","x":1}"#, "unsupported format"),
            (r#"{"redrivePermission":"byQueue"}"#, "one or more sourceQueueArns values"),
            (r#"{"redrivePermission":"byQueue","sourceQueueArns":[]}"#, "one or more sourceQueueArns values"),
            (
                r#"{"redrivePermission":"denyAll","sourceQueueArns":["a"]}"#,
                "must set redrivePermission to byQueue",
            ),
            (&eleven.to_string(), "you can specify is 10"),
        ] {
            let said = RedriveAllowPolicy::parse(text).unwrap_err().to_string();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
