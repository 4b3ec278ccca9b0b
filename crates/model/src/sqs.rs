//! Amazon SQS as rules: what a queue is, which attributes, messages and names it takes, and how it
//! words what it does not take.
//!
//! Deliberately not here: sending and receiving (`events`), protocols (`api`), any clock.

mod attributes;
mod digest;
mod error;
mod message;
mod move_task;
mod receipt;
mod redrive;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use attributes::{Attributes, DeduplicationScope, Fifo, FifoThroughputLimit, Measured};
pub use digest::{md5_of_attributes, md5_of_body};
pub use error::SqsError;
pub use message::{
    MessageAttribute, check_batch, check_batch_ids, check_batch_size, check_body, check_message_attributes,
    check_system_attributes, content_deduplication, is_group, selects, size,
};
pub use move_task::{MoveStatus, MoveTask};
pub use receipt::Receipt;
pub use redrive::{RedriveAllowPolicy, RedrivePermission, RedrivePolicy};

use crate::queue::QueueName;
use crate::record::{Record, ResourceKey};
use crate::time::Timestamp;

/// Largest message, and largest batch together, in bytes: 1 MiB since August 2025.
pub const MESSAGE_BYTES: usize = 1024 * 1024;
/// Most entries of a batch, and most messages of a receive.
pub const BATCH_ENTRIES: usize = 10;
/// Most messages of a queue that are received and not yet deleted; beyond it `OverLimit`.
pub const IN_FLIGHT: u64 = 120_000;
/// Longest visibility timeout, in seconds, over all changes of it: 12 hours.
pub const VISIBILITY_SECONDS: i64 = 43_200;
/// Longest delay, in seconds: 15 minutes.
pub const DELAY_SECONDS: i64 = 900;
/// Longest long poll, in seconds.
pub const WAIT_SECONDS: i64 = 20;
/// Most tags of a queue.
pub const TAGS: usize = 50;
/// `PurgeQueue` may be repeated after so many seconds.
pub const PURGE_SECONDS: u64 = 60;
/// Most queues of one page of `ListQueues`.
pub const PAGE: i64 = 1000;
/// Largest request body: ten entries of 1 MiB together, as JSON escapes or a form encodes them. lambkin's own bound.
pub const REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// First part of the names of SQS's queues in the store.
pub const PREFIX: &str = "sqs/";

/// A queue's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Account, region and name.
    pub key: ResourceKey,
    /// UUID, new at each creation: a queue deleted and created again is another one, and empty.
    pub identity: String,
    /// What can be set.
    pub attributes: Attributes,
    /// The queue's tags.
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created: Timestamp,
    /// When its attributes were last set.
    pub modified: Timestamp,
    /// Its latest message move tasks, as their source; the newest first, at most [`MoveTask::KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<MoveTask>,
}

impl Queue {
    /// Where its messages are.
    #[must_use]
    pub fn store_name(&self) -> QueueName {
        QueueName(format!("{PREFIX}{}", self.identity).into())
    }

    /// `arn:aws:sqs:us-east-1:000000000000:name`.
    #[must_use]
    pub fn arn(&self) -> String {
        self.key.arn("sqs")
    }

    /// Whether it is a FIFO queue.
    #[must_use]
    pub fn is_fifo(&self) -> bool {
        self.attributes.fifo.is_some()
    }
}

impl Record for Queue {
    const KIND: &'static str = "queue";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

/// The queue that an ARN names; `None`: it names no queue.
#[must_use]
pub fn key_of_arn(arn: &str) -> Option<ResourceKey> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, "sqs", region, account, name]
            if partition.starts_with("aws")
                && !region.is_empty()
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && !name.is_empty() =>
        {
            Some(ResourceKey {
                account: Arc::from(*account),
                region: Arc::from(*region),
                name: Arc::from(*name),
            })
        }
        _ => None,
    }
}

/// Checks a new queue's name. The suffix of a FIFO queue counts.
pub fn check_name(name: &str, fifo: bool) -> Result<(), SqsError> {
    let plain = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !text.is_empty()
    };
    if name.is_empty() {
        return Err(SqsError::InvalidParameterValue("Queue name cannot be empty".into()));
    }
    if fifo {
        return match name.strip_suffix(".fifo") {
            Some(stem) if plain(stem) && name.len() <= 80 => Ok(()),
            Some(_) | None => Err(SqsError::InvalidParameterValue(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with \
                 .fifo suffix and be 1 to 80 in length."
                    .into(),
            )),
        };
    }
    if plain(name) && name.len() <= 80 {
        return Ok(());
    }
    Err(SqsError::InvalidParameterValue(
        "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length".into(),
    ))
}

/// Checks what a queue's tags would be.
pub fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), SqsError> {
    let wrong = |text: String| Err(SqsError::InvalidParameterValue(text));
    if tags.len() > TAGS {
        return wrong(format!("Too many tags added for queue. The maximum is {TAGS}."));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 {
            return wrong("Tag keys must be between 1 and 128 characters in length.".into());
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return wrong("Tag keys cannot start with the reserved prefix 'aws:'.".into());
        }
        if value.chars().count() > 256 {
            return wrong("Tag values must be between 0 and 256 characters in length.".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "q".repeat(80);
        for (name, fifo, fine) in [
            ("orders", false, true),
            ("Or_d-ers1", false, true),
            (&*long, false, true),
            (&*format!("{long}q"), false, false),
            ("", false, false),
            ("or.ders", false, false),
            ("orders.fifo", false, false),
            ("ordérs", false, false),
            ("orders.fifo", true, true),
            ("orders", true, false),
            (".fifo", true, false),
            (&*format!("{}.fifo", &long[..75]), true, true),
            (&*format!("{}.fifo", &long[..76]), true, false),
        ] {
            assert_eq!(check_name(name, fifo).is_ok(), fine, "{name} {fifo}");
        }
    }

    /// As the first lambkin that had queues wrote them.
    #[test]
    fn reads_the_kept_record() {
        let kept = r#"{"key":{"account":"000000000000","region":"us-east-1","name":"q.fifo"},"identity":"0b0e7a90-8f0a-4b6c-9c0e-0d0c0b0a0908",
            "attributes":{"delay":5,"maximum_message_size":1024,"retention":60,"wait":20,"visibility":0,
              "redrive":{"target":{"account":"000000000000","region":"us-east-1","name":"dead.fifo"},"max_receive_count":3},
              "redrive_allow":{"permission":"ByQueue","sources":["arn:aws:sqs:us-east-1:000000000000:a.fifo"]},
              "fifo":{"content_based":true,"scope":"MessageGroup","throughput":"PerMessageGroupId"}},
            "tags":{"k":"v"},"created":1767225600000000,"modified":1767225600000001,
            "moves":[{"id":"i","destination":null,"rate":10,"started":1767225600000002,"to_move":9,"moved":3,"status":"Running","failure":null}]}"#;
        let queue: Queue = serde_json::from_str(kept).unwrap();
        assert_eq!((queue.attributes.visibility, queue.moves[0].moved, queue.is_fifo()), (0, 3, true));
        let written = serde_json::to_value(&queue).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(kept).unwrap());
    }

    #[test]
    fn arns() {
        let key = key_of_arn("arn:aws:sqs:eu-west-1:000000000000:q").unwrap();
        assert_eq!(key.to_string(), "000000000000/eu-west-1/q");
        assert_eq!(key.arn("sqs"), "arn:aws:sqs:eu-west-1:000000000000:q");
        for arn in [
            "dummy",
            "arn:aws:sns:eu-west-1:000000000000:q",
            "arn:aws:sqs:eu-west-1:0:q",
            "arn:aws:sqs::000000000000:q",
        ] {
            assert_eq!(key_of_arn(arn), None, "{arn}");
        }
    }

    #[test]
    fn tags() {
        let tags = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(check_tags(&tags("team", "")), Ok(()));
        assert!(check_tags(&tags("", "x")).is_err());
        assert!(check_tags(&tags("AWS:x", "x")).is_err());
        assert!(check_tags(&tags("k", &"v".repeat(257))).is_err());
        let many = (0..=TAGS).map(|n| (n.to_string(), String::new())).collect();
        assert!(check_tags(&many).is_err());
    }
}
