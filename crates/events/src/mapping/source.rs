//! What a mapping needs of the service that has its queue, and the SQS-compatible service as that.
//!
//! Deliberately not here: the service itself (`sqs`); what mappings do with it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambkin_model::Pending;
use lambkin_model::mapping::record::{AttributeValue, MessageAttribute, SourceMessage};
use lambkin_model::record::{RecordWatcher, Records, ResourceKey};
use lambkin_model::sqs::{self, Queue, md5_of_attributes, md5_of_body};

use tokio::task::JoinSet;

use crate::sqs::{Ask, ReceivedMessage, Sqs, SqsError};

/// Why a queue did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// There is no such queue; the text is AWS's (aws-behaviour 63).
    #[error(
        "SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist."
    )]
    NoQueue,
    /// Anything else that SQS said.
    #[error("SQS Error Message: {0}")]
    Refused(String),
}

/// What a mapping has to know of its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceQueue {
    /// New at each creation.
    pub identity: String,
    /// Its visibility timeout.
    pub visibility: Duration,
}

/// Port: queues that mappings poll.
pub trait Source: Send + Sync {
    /// The queue; `None`: there is none of this name.
    fn queue(&self, queue: &ResourceKey) -> Option<SourceQueue>;

    /// Tells `watcher` of every change of a queue from now on.
    fn watch(&self, watcher: RecordWatcher);

    /// Up to `max` messages, invisible for `visibility` from now; waits for the first one. The answer may be
    /// dropped: its messages become visible again, at once or after their time.
    fn receive(
        &self,
        queue: &ResourceKey,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> Pending<'_, Result<Vec<SourceMessage>, SourceError>>;

    /// Deletes messages by their receipt handles, with an answer for each.
    fn delete(&self, queue: &ResourceKey, handles: Vec<String>) -> Pending<'_, Vec<Result<(), SourceError>>>;

    /// Sets for how long messages are invisible from now, in their order, with an answer for each.
    fn change_visibility(
        &self,
        queue: &ResourceKey,
        handles: Vec<(String, Duration)>,
    ) -> Pending<'_, Vec<Result<(), SourceError>>>;
}

/// The queues of the SQS-compatible service.
pub struct SqsSource {
    sqs: Sqs,
    records: Arc<dyn Records<Queue>>,
}

impl SqsSource {
    /// Of this service, whose records these are.
    #[must_use]
    pub fn new(sqs: Sqs, records: Arc<dyn Records<Queue>>) -> Self {
        Self { sqs, records }
    }
}

impl Source for SqsSource {
    fn queue(&self, queue: &ResourceKey) -> Option<SourceQueue> {
        let stored = self.records.get(queue)?;
        let visibility = stored.record.attributes.visibility();
        Some(SourceQueue { identity: stored.record.identity.clone(), visibility })
    }

    fn watch(&self, watcher: RecordWatcher) {
        self.records.watch(watcher);
    }

    fn receive(
        &self,
        queue: &ResourceKey,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> Pending<'_, Result<Vec<SourceMessage>, SourceError>> {
        let queue = queue.clone();
        Box::pin(async move {
            let ask = Ask { max, visibility: Some(visibility), wait, attempt: None };
            let received = self.sqs.receive(&queue, ask).await.map_err(refused)?;
            Ok(received.into_iter().map(message).collect())
        })
    }

    fn delete(&self, queue: &ResourceKey, handles: Vec<String>) -> Pending<'_, Vec<Result<(), SourceError>>> {
        let queue = queue.clone();
        Box::pin(async move {
            let answers = self.sqs.delete(&queue, handles).await;
            answers.into_iter().map(|answer| answer.map_err(refused)).collect()
        })
    }

    fn change_visibility(
        &self,
        queue: &ResourceKey,
        handles: Vec<(String, Duration)>,
    ) -> Pending<'_, Vec<Result<(), SourceError>>> {
        let queue = queue.clone();
        Box::pin(async move {
            // Whole seconds, and rather one more: a message must not come back too early.
            let seconds =
                |lease: Duration| i64::try_from(lease.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
            let mut changes: Vec<(String, i64)> =
                handles.into_iter().map(|(handle, lease)| (handle, seconds(lease))).collect();
            let mut parts = JoinSet::new();
            while !changes.is_empty() {
                let rest = changes.split_off(changes.len().min(AT_ONCE));
                let part = std::mem::replace(&mut changes, rest);
                let (sqs, queue, left) = (self.sqs.clone(), queue.clone(), changes.len());
                parts.spawn(async move { (left, sqs.change_visibility(&queue, part).await) });
            }
            let mut answers = parts.join_all().await;
            answers.sort_by_key(|(left, _)| std::cmp::Reverse(*left));
            let answers = answers.into_iter().flat_map(|(_, part)| part);
            answers.map(|answer| answer.map_err(refused)).collect()
        })
    }
}

/// The service changes one message after the other, so that thousands would take seconds; parts of so many
/// go side by side. What is received from a FIFO queue at once is less, and keeps its order.
const AT_ONCE: usize = 100;

fn refused(error: SqsError) -> SourceError {
    if error == SqsError::QueueDoesNotExist {
        SourceError::NoQueue
    } else {
        SourceError::Refused(error.to_string())
    }
}

/// A received message as mappings see it.
fn message(received: ReceivedMessage) -> SourceMessage {
    let fifo = received.sequence.is_some();
    let attributes = [
        ("ApproximateReceiveCount", Some(received.received.to_string())),
        ("AWSTraceHeader", received.trace_header),
        ("SentTimestamp", Some(received.sent.millis().to_string())),
        ("SequenceNumber", received.sequence),
        ("MessageGroupId", received.group.clone()),
        ("SenderId", Some(received.sender)),
        ("MessageDeduplicationId", received.deduplication),
        ("ApproximateFirstReceiveTimestamp", Some(received.first_received.millis().to_string())),
        ("DeadLetterQueueSourceArn", received.dead_letter_source),
    ];
    let present = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let attribute = |each: &sqs::MessageAttribute| {
        let value = if each.is_binary() {
            AttributeValue::Binary(STANDARD.encode(&each.value))
        } else {
            AttributeValue::Text(String::from_utf8_lossy(&each.value).into_owned())
        };
        (each.name.clone(), MessageAttribute { data_type: each.data_type.clone(), value })
    };
    SourceMessage {
        id: received.id,
        receipt_handle: received.receipt,
        md5_of_body: md5_of_body(&received.body),
        body: received.body,
        attributes: present.collect(),
        message_attributes: received.attributes.iter().map(attribute).collect(),
        md5_of_message_attributes: md5_of_attributes(&received.attributes),
        // A standard queue's groups share it fairly and keep no order.
        group: received.group.filter(|_| fifo),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lambkin_model::time::Timestamp;

    use super::*;

    #[test]
    fn messages_have_what_recordings_have() {
        let attribute = |name: &str, data_type: &str, value: &'static [u8]| sqs::MessageAttribute {
            name: name.into(),
            data_type: data_type.into(),
            value: Bytes::from_static(value),
        };
        let received = ReceivedMessage {
            id: "i".into(),
            receipt: "h".into(),
            body: "Test message.".into(),
            attributes: vec![attribute("n", "Number.int", b"6"), attribute("b", "Binary", &[1, 2])],
            sender: "AIDA".into(),
            sent: Timestamp(1_545_082_649_183_000),
            received: 1,
            first_received: Timestamp(1_545_082_649_185_000),
            trace_header: None,
            group: Some("g".into()),
            deduplication: Some("d".into()),
            sequence: Some("18849496460467696128".into()),
            dead_letter_source: None,
        };
        let standard = ReceivedMessage { sequence: None, deduplication: None, ..received.clone() };
        let fifo = message(received);
        let record: serde_json::Value = serde_json::from_str(&fifo.record("a", "r")).unwrap();
        assert_eq!(record["md5OfBody"], "e4e68fb7bd0e697a0ae8f1bb342846b3".to_owned().as_str());
        assert_eq!(
            record["attributes"],
            serde_json::json!({
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1545082649183",
                "SequenceNumber": "18849496460467696128",
                "MessageGroupId": "g",
                "SenderId": "AIDA",
                "MessageDeduplicationId": "d",
                "ApproximateFirstReceiveTimestamp": "1545082649185"
            })
        );
        assert_eq!(record["messageAttributes"]["n"]["stringValue"], "6");
        assert_eq!(record["messageAttributes"]["b"]["binaryValue"], "AQI=");
        assert!(record["md5OfMessageAttributes"].is_string());
        assert_eq!((fifo.group.as_deref(), message(standard).group), (Some("g"), None));
    }
}
