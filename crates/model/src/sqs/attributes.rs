//! A queue's attributes: which there are, what each takes, how they are printed.
//!
//! Deliberately not here: whether a dead-letter queue exists (`events`), message attributes (`message`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{MESSAGE_BYTES, Queue, RedriveAllowPolicy, RedrivePolicy, SqsError};
use crate::queue::Counts;

/// What can be set of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// `DelaySeconds`: a new message is not received before.
    pub delay: u32,
    /// `MaximumMessageSize`, in bytes.
    pub maximum_message_size: u32,
    /// `MessageRetentionPeriod`, in seconds.
    pub retention: u32,
    /// `ReceiveMessageWaitTimeSeconds`: how long a receive waits that does not say.
    pub wait: u32,
    /// `VisibilityTimeout`, in seconds, of a receive that does not say.
    pub visibility: u32,
    /// `RedrivePolicy`.
    pub redrive: Option<RedrivePolicy>,
    /// `RedriveAllowPolicy`.
    pub redrive_allow: Option<RedriveAllowPolicy>,
    /// What only FIFO queues have.
    pub fifo: Option<Fifo>,
}

/// What only FIFO queues have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fifo {
    /// `ContentBasedDeduplication`: a message without an id of its own has its body's SHA-256.
    pub content_based: bool,
    /// `DeduplicationScope`.
    pub scope: DeduplicationScope,
    /// `FifoThroughputLimit`. lambkin throttles neither.
    pub throughput: FifoThroughputLimit,
}

/// Among which messages a deduplication id is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeduplicationScope {
    /// All of the queue.
    Queue,
    /// Those of its message group.
    MessageGroup,
}

/// What AWS's throughput quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FifoThroughputLimit {
    /// All of the queue.
    PerQueue,
    /// Each message group by itself.
    PerMessageGroupId,
}

/// What is not set but found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// What is in the queue.
    pub counts: Counts,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            delay: 0,
            maximum_message_size: u32::try_from(MESSAGE_BYTES).expect("a constant"),
            retention: 345_600,
            wait: 0,
            visibility: 30,
            redrive: None,
            redrive_allow: None,
            fifo: None,
        }
    }
}

/// What `GetQueueAttributes` may be asked for beside what can be set.
const READ_ONLY: [&str; 6] = [
    "QueueArn",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
];
/// What can be set; the last three only in name, and no queue has them.
const SETTABLE: [&str; 15] = [
    "VisibilityTimeout",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
    "Policy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
];

impl Attributes {
    /// Those of a new queue. The name says whether it is to be a FIFO queue, and `FifoQueue` must agree.
    pub fn create(name: &str, given: &[(String, String)]) -> Result<Self, SqsError> {
        let said = given.iter().find(|(name, _)| name == "FifoQueue").map(|(_, value)| value.as_str());
        let fifo = match said {
            None => false,
            Some("true") => true,
            // As the service says to a standard queue's `FifoQueue`, whatever its value is.
            Some("false") => return Err(unknown("FifoQueue")),
            Some(_) => return Err(invalid("FifoQueue")),
        };
        super::check_name(name, fifo)?;
        let mut new = Self::default();
        if fifo {
            new.fifo = Some(Fifo {
                content_based: false,
                scope: DeduplicationScope::Queue,
                throughput: FifoThroughputLimit::PerQueue,
            });
        }
        new.with(given)
    }

    /// These with what is given set.
    pub fn with(&self, given: &[(String, String)]) -> Result<Self, SqsError> {
        let mut new = self.clone();
        for (name, value) in given {
            new.set(name, value)?;
        }
        if let Some(fifo) = new.fifo
            && fifo.throughput == FifoThroughputLimit::PerMessageGroupId
            && fifo.scope != DeduplicationScope::MessageGroup
        {
            return Err(SqsError::InvalidAttributeValue(
                "Invalid value for the parameter FifoThroughputLimit. Reason: The perMessageGroupId value is allowed only \
                 when the value for DeduplicationScope is messageGroup."
                    .into(),
            ));
        }
        Ok(new)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SqsError> {
        match name {
            "DelaySeconds" => self.delay = number(name, value, 0, 900)?,
            "MaximumMessageSize" => {
                self.maximum_message_size = number(name, value, 1024, Self::default().maximum_message_size)?;
            }
            "MessageRetentionPeriod" => self.retention = number(name, value, 60, 1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.wait = number(name, value, 0, 20)?,
            "VisibilityTimeout" => self.visibility = number(name, value, 0, 43_200)?,
            "RedrivePolicy" => {
                self.redrive = if value.is_empty() { None } else { Some(RedrivePolicy::parse(value)?) };
            }
            "RedriveAllowPolicy" => {
                self.redrive_allow =
                    if value.is_empty() { None } else { Some(RedriveAllowPolicy::parse(value)?) };
            }
            "FifoQueue" => match (self.fifo, value) {
                (None, _) => return Err(unknown(name)),
                (Some(_), "true") => {}
                (Some(_), _) => {
                    return Err(SqsError::InvalidAttributeValue(
                        "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
                            .into(),
                    ));
                }
            },
            "ContentBasedDeduplication" => self.fifo(name)?.content_based = boolean(name, value)?,
            "DeduplicationScope" => {
                self.fifo(name)?.scope = match value {
                    "queue" => DeduplicationScope::Queue,
                    "messageGroup" => DeduplicationScope::MessageGroup,
                    _ => return Err(invalid(name)),
                };
            }
            "FifoThroughputLimit" => {
                self.fifo(name)?.throughput = match value {
                    "perQueue" => FifoThroughputLimit::PerQueue,
                    "perMessageGroupId" => FifoThroughputLimit::PerMessageGroupId,
                    _ => return Err(invalid(name)),
                };
            }
            "SqsManagedSseEnabled" if !boolean(name, value)? => {}
            "SqsManagedSseEnabled" => {
                return unsupported(
                    "lambkin does not encrypt queues: SqsManagedSseEnabled can only be false.",
                );
            }
            "Policy" | "KmsMasterKeyId" if value.is_empty() => {}
            "Policy" => {
                return unsupported(
                    "lambkin asks no queue's policy yet: a queue's Policy would allow and deny nothing.",
                );
            }
            "KmsMasterKeyId" | "KmsDataKeyReusePeriodSeconds" => {
                return unsupported(&format!("lambkin has no KMS: a queue cannot have {name}."));
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    fn fifo(&mut self, name: &str) -> Result<&mut Fifo, SqsError> {
        self.fifo.as_mut().ok_or_else(|| unknown(name))
    }

    /// The first of `given` whose value here is not that of `other`.
    #[must_use]
    pub fn differing<'g>(&self, other: &Self, given: &'g [(String, String)]) -> Option<&'g str> {
        given.iter().map(|(name, _)| name.as_str()).find(|name| self.text(name) != other.text(name))
    }

    /// The printed value of an attribute that can be set, where it has one.
    fn text(&self, name: &str) -> Option<String> {
        let fifo = self.fifo.as_ref();
        match name {
            "DelaySeconds" => Some(self.delay.to_string()),
            "MaximumMessageSize" => Some(self.maximum_message_size.to_string()),
            "MessageRetentionPeriod" => Some(self.retention.to_string()),
            "ReceiveMessageWaitTimeSeconds" => Some(self.wait.to_string()),
            "VisibilityTimeout" => Some(self.visibility.to_string()),
            "RedrivePolicy" => self.redrive.as_ref().map(RedrivePolicy::text),
            "RedriveAllowPolicy" => self.redrive_allow.as_ref().map(RedriveAllowPolicy::text),
            "SqsManagedSseEnabled" => Some("false".into()),
            "FifoQueue" => fifo.map(|_| "true".into()),
            "ContentBasedDeduplication" => fifo.map(|fifo| fifo.content_based.to_string()),
            "DeduplicationScope" => fifo.map(|fifo| match fifo.scope {
                DeduplicationScope::Queue => "queue".into(),
                DeduplicationScope::MessageGroup => "messageGroup".into(),
            }),
            "FifoThroughputLimit" => fifo.map(|fifo| match fifo.throughput {
                FifoThroughputLimit::PerQueue => "perQueue".into(),
                FifoThroughputLimit::PerMessageGroupId => "perMessageGroupId".into(),
            }),
            _ => None,
        }
    }

    /// `VisibilityTimeout` as a time.
    #[must_use]
    pub fn visibility(&self) -> Duration {
        Duration::from_secs(self.visibility.into())
    }
}

impl Queue {
    /// What `GetQueueAttributes` answers for these names, in AWS's order; a name that no queue has is refused.
    pub fn listing(
        &self,
        names: &[String],
        measured: &Measured,
    ) -> Result<Vec<(&'static str, String)>, SqsError> {
        let all = names.iter().any(|name| name == "All");
        let known = |name: &str| name == "All" || READ_ONLY.contains(&name) || SETTABLE.contains(&name);
        if let Some(name) = names.iter().find(|name| !known(name)) {
            return Err(unknown(name));
        }
        let asked = |name: &str| all || names.iter().any(|each| each == name);
        let every = READ_ONLY.iter().chain(&SETTABLE[..12]).filter(|name| asked(name));
        Ok(every.filter_map(|name| Some((*name, self.attribute(name, measured)?))).collect())
    }

    /// Whether `names` ask for anything that has to be counted.
    #[must_use]
    pub fn is_counted(names: &[String]) -> bool {
        names.iter().any(|name| name == "All" || name.starts_with("ApproximateNumber"))
    }

    fn attribute(&self, name: &str, measured: &Measured) -> Option<String> {
        let seconds = |at: crate::time::Timestamp| (at.0 / 1_000_000).to_string();
        match name {
            "QueueArn" => Some(self.arn()),
            "ApproximateNumberOfMessages" => Some(measured.counts.visible.to_string()),
            "ApproximateNumberOfMessagesNotVisible" => Some(measured.counts.in_flight.to_string()),
            "ApproximateNumberOfMessagesDelayed" => Some(measured.counts.delayed.to_string()),
            "CreatedTimestamp" => Some(seconds(self.created)),
            "LastModifiedTimestamp" => Some(seconds(self.modified)),
            settable => self.attributes.text(settable),
        }
    }
}

fn number(name: &str, value: &str, least: u32, most: u32) -> Result<u32, SqsError> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = value.parse().ok().filter(|number| digits && (least..=most).contains(number));
    number.ok_or_else(|| invalid(name))
}

fn boolean(name: &str, value: &str) -> Result<bool, SqsError> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(name)),
    }
}

fn invalid(name: &str) -> SqsError {
    SqsError::InvalidAttributeValue(format!("Invalid value for the parameter {name}."))
}

fn unknown(name: &str) -> SqsError {
    SqsError::InvalidAttributeName(format!("Unknown Attribute {name}."))
}

fn unsupported(why: &str) -> Result<(), SqsError> {
    Err(SqsError::UnsupportedOperation(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ResourceKey;
    use crate::time::Timestamp;

    fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn ranges() {
        for (name, good, bad) in [
            ("DelaySeconds", &["0", "900"][..], &["", " 6", "-45", "901", "544.43", "+5", "x"][..]),
            ("MaximumMessageSize", &["1024", "262144", "1048576"], &["1023", "1048577", "2000.43"]),
            ("MessageRetentionPeriod", &["60", "1209600"], &["59", "1209601"]),
            ("ReceiveMessageWaitTimeSeconds", &["0", "20"], &["21", "-1"]),
            ("VisibilityTimeout", &["0", "43200"], &["43201", "99999999999"]),
        ] {
            for value in good {
                let new = Attributes::default().with(&given(&[(name, value)])).unwrap();
                assert_eq!(new.text(name).as_deref(), Some(*value));
            }
            for value in bad {
                let error = Attributes::default().with(&given(&[(name, value)])).unwrap_err();
                let text = format!("Invalid value for the parameter {name}.");
                assert_eq!(error, SqsError::InvalidAttributeValue(text), "{name} {value}");
            }
        }
    }

    #[test]
    fn kinds_of_queues() {
        let create = |name: &str, pairs: &[(&str, &str)]| Attributes::create(name, &given(pairs));
        assert!(create("q.fifo", &[("FifoQueue", "true")]).unwrap().fifo.is_some());
        let unknown = |name: &str| SqsError::InvalidAttributeName(format!("Unknown Attribute {name}."));
        for (name, pairs, error) in [
            ("q", vec![("FifoQueue", "false")], unknown("FifoQueue")),
            ("q", vec![("ContentBasedDeduplication", "true")], unknown("ContentBasedDeduplication")),
            ("q", vec![("QueueArn", "x")], unknown("QueueArn")),
            ("q", vec![("Nothing", "x")], unknown("Nothing")),
        ] {
            assert_eq!(create(name, &pairs), Err(error));
        }
        let standard = Attributes::default();
        let fifo = create("q.fifo", &[("FifoQueue", "true")]).unwrap();
        // Recorded: test_set_unsupported_attribute_fifo.
        assert_eq!(standard.with(&given(&[("FifoQueue", "true")])), Err(unknown("FifoQueue")));
        assert_eq!(
            fifo.with(&given(&[("FifoQueue", "false")])).unwrap_err().to_string(),
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
        );
        assert!(fifo.with(&given(&[("FifoQueue", "true")])).is_ok());
        assert!(fifo.with(&given(&[("FifoThroughputLimit", "perMessageGroupId")])).is_err());
        let high =
            given(&[("FifoThroughputLimit", "perMessageGroupId"), ("DeduplicationScope", "messageGroup")]);
        assert!(fifo.with(&high).is_ok());
    }

    #[test]
    fn what_would_not_act_is_refused() {
        for (name, value) in [
            ("Policy", "{}"),
            ("KmsMasterKeyId", "alias/aws/sqs"),
            ("KmsDataKeyReusePeriodSeconds", "300"),
            ("SqsManagedSseEnabled", "true"),
        ] {
            let refused = Attributes::default().with(&given(&[(name, value)]));
            assert!(matches!(refused, Err(SqsError::UnsupportedOperation(_))), "{name}");
        }
        for (name, value) in [("Policy", ""), ("KmsMasterKeyId", ""), ("SqsManagedSseEnabled", "false")] {
            assert_eq!(Attributes::default().with(&given(&[(name, value)])), Ok(Attributes::default()));
        }
    }

    #[test]
    fn the_same_and_other_values() {
        let kept = Attributes::default().with(&given(&[("DelaySeconds", "5")])).unwrap();
        for (pairs, differing) in [
            (vec![], None),
            (vec![("DelaySeconds", "5")], None),
            (vec![("DelaySeconds", "05")], None),
            (vec![("VisibilityTimeout", "30"), ("DelaySeconds", "6")], Some("DelaySeconds")),
        ] {
            let pairs = given(&pairs);
            let other = Attributes::create("q", &pairs).unwrap();
            assert_eq!(kept.differing(&other, &pairs), differing);
        }
    }

    #[test]
    fn listings() {
        let key =
            ResourceKey { account: "000000000000".into(), region: "us-east-1".into(), name: "q".into() };
        let mut queue = Queue {
            key,
            identity: "i".into(),
            attributes: Attributes::default(),
            tags: std::collections::BTreeMap::new(),
            created: Timestamp(1_767_225_600_999_999),
            modified: Timestamp(1_767_225_601_000_000),
            moves: Vec::new(),
        };
        let measured = Measured { counts: Counts { visible: 3, in_flight: 2, delayed: 1, oldest: None } };
        let listed = |queue: &Queue, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            queue.listing(&names, &measured)
        };
        let all = listed(&queue, &["All"]).unwrap();
        let expected = [
            ("QueueArn", "arn:aws:sqs:us-east-1:000000000000:q"),
            ("ApproximateNumberOfMessages", "3"),
            ("ApproximateNumberOfMessagesNotVisible", "2"),
            ("ApproximateNumberOfMessagesDelayed", "1"),
            ("CreatedTimestamp", "1767225600"),
            ("LastModifiedTimestamp", "1767225601"),
            ("VisibilityTimeout", "30"),
            ("MaximumMessageSize", "1048576"),
            ("MessageRetentionPeriod", "345600"),
            ("DelaySeconds", "0"),
            ("ReceiveMessageWaitTimeSeconds", "0"),
            ("SqsManagedSseEnabled", "false"),
        ];
        let pairs: Vec<_> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(pairs, expected);
        assert_eq!(listed(&queue, &["Policy", "FifoQueue"]), Ok(vec![]));
        assert_eq!(listed(&queue, &["X"]).unwrap_err().to_string(), "Unknown Attribute X.");
        queue.attributes = Attributes::create("q.fifo", &given(&[("FifoQueue", "true")])).unwrap();
        assert_eq!(listed(&queue, &["All"]).unwrap().len(), 16);
    }
}
