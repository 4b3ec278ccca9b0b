//! Sending: what a message needs to be sent to a queue of its kind, and what the sender learns.
//!
//! Deliberately not here: characters, sizes and names (`model::sqs`).

use std::sync::Arc;
use std::time::Duration;

use lambkin_model::queue::{Message, MessageId, Post, Sent};
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::{
    DELAY_SECONDS, DeduplicationScope, Fifo, MessageAttribute, Queue, check_batch, check_batch_ids,
    check_batch_size, check_body, check_message_attributes, check_system_attributes, content_deduplication,
    is_group, md5_of_attributes, md5_of_body, size,
};

use super::envelope::Envelope;
use super::{Sqs, SqsError, unavailable};

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its text.
    pub body: String,
    /// Its attributes.
    pub attributes: Vec<MessageAttribute>,
    /// There is only `AWSTraceHeader`.
    pub system_attributes: Vec<MessageAttribute>,
    /// `DelaySeconds`; `None`: the queue's.
    pub delay: Option<i64>,
    /// `MessageGroupId`.
    pub group: Option<String>,
    /// `MessageDeduplicationId`.
    pub deduplication: Option<String>,
    /// `SenderId`.
    pub sender: String,
    /// `X-Amzn-Trace-Id` of the request, which AWS keeps where there is no `AWSTraceHeader`.
    pub trace_id: Option<String>,
}

/// What the sender learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// The message's id, or that of the message it repeats.
    pub id: String,
    /// `SequenceNumber`, of FIFO queues.
    pub sequence: Option<String>,
    /// Of what was sent.
    pub md5_of_body: String,
    /// Of what was sent.
    pub md5_of_attributes: Option<String>,
    /// Of what was sent.
    pub md5_of_system_attributes: Option<String>,
}

/// What the entries of a batch are called.
const ENTRIES: &str = "SendMessageBatchRequestEntry";

impl Sqs {
    /// Sends each for itself, all in one write: durable when it answers.
    pub async fn send(&self, key: &ResourceKey, entries: Vec<Entry>) -> Vec<Result<SentMessage, SqsError>> {
        let Some(queue) = self.queue(key) else {
            return entries.iter().map(|_| Err(SqsError::QueueDoesNotExist)).collect();
        };
        let prepared: Vec<_> =
            entries.into_iter().map(|entry| self.prepare(&queue.record, entry, false)).collect();
        self.post(prepared).await
    }

    /// `SendMessageBatch`: what is wrong with the batch itself, or with a message to a FIFO queue, fails all.
    pub async fn send_batch(
        &self,
        key: &ResourceKey,
        entries: Vec<(String, Entry)>,
    ) -> Result<Vec<(String, Result<SentMessage, SqsError>)>, SqsError> {
        let queue = self.require(key)?;
        check_batch(entries.len(), ENTRIES)?;
        let ids: Vec<&str> = entries.iter().map(|(id, _)| id.as_str()).collect();
        check_batch_ids(&ids)?;
        check_batch_size(entries.iter().map(|(_, entry)| size(&entry.body, &entry.attributes)).sum())?;
        let (ids, entries): (Vec<String>, Vec<Entry>) = entries.into_iter().unzip();
        let mut prepared = Vec::with_capacity(ids.len());
        for (index, entry) in entries.into_iter().enumerate() {
            let post = self.prepare(&queue.record, entry, true).map_err(|error| match error {
                SqsError::MissingParameter(name) if name == "MessageBody" => {
                    SqsError::MissingParameter(format!("{ENTRIES}.{}.{name}", index + 1))
                }
                error => error,
            });
            match post {
                Err(error) if queue.record.is_fifo() => return Err(error),
                post => prepared.push(post),
            }
        }
        Ok(ids.into_iter().zip(self.post(prepared).await).collect())
    }

    /// What is to be posted for an entry, and what its sender will learn but for the sequence number.
    pub(super) fn prepare(
        &self,
        queue: &Queue,
        entry: Entry,
        batch: bool,
    ) -> Result<(Post, SentMessage), SqsError> {
        if entry.body.is_empty() {
            return Err(SqsError::MissingParameter("MessageBody".into()));
        }
        check_body(&entry.body, &entry.attributes, queue.attributes.maximum_message_size)?;
        check_message_attributes(&entry.attributes)?;
        check_system_attributes(&entry.system_attributes)?;
        for (name, text) in
            [("MessageGroupId", &entry.group), ("MessageDeduplicationId", &entry.deduplication)]
        {
            if let Some(text) = text
                && !is_group(text)
            {
                let reason = format!(
                    "{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
                );
                return Err(SqsError::value(text, name, &reason));
            }
        }
        let delay = delay(queue, entry.delay)?;
        let (lane, deduplication, remembered) = match queue.attributes.fifo {
            Some(fifo) => {
                let ordered = ordered(fifo, &entry, batch)?;
                (Some(ordered.group), Some(ordered.deduplication), Some(ordered.remembered))
            }
            None => match &entry.deduplication {
                None => (None, None, None),
                Some(id) => return Err(not_of_this_type(id, "MessageDeduplicationId")),
            },
        };
        let id = MessageId((self.0.ambient.uuid)());
        let sent = SentMessage {
            id: text(id),
            sequence: queue.attributes.fifo.map(|_| String::new()),
            md5_of_body: md5_of_body(&entry.body),
            md5_of_attributes: md5_of_attributes(&entry.attributes),
            md5_of_system_attributes: md5_of_attributes(&entry.system_attributes),
        };
        let mut envelope = Envelope::new(entry.body, &entry.attributes, entry.sender);
        let trace = entry.system_attributes.first();
        let trace = trace.map(|each| String::from_utf8_lossy(&each.value).into_owned());
        envelope.trace_header = trace.or(entry.trace_id);
        // On a standard queue a group is only passed on: AWS uses it to be fair, never to order.
        envelope.group = entry.group;
        envelope.deduplication = deduplication;
        let message = Message {
            id,
            lane,
            deduplication: remembered,
            sent: None,
            delay,
            mark: 0,
            content: envelope.encode(),
        };
        Ok(((queue.store_name(), message), sent))
    }

    async fn post(
        &self,
        prepared: Vec<Result<(Post, SentMessage), SqsError>>,
    ) -> Vec<Result<SentMessage, SqsError>> {
        let posts: Vec<Post> = prepared.iter().flatten().map(|(post, _)| post.clone()).collect();
        if posts.is_empty() {
            return prepared.into_iter().map(|each| each.map(|(_, sent)| sent)).collect();
        }
        let mut stored = match self.0.store.send(posts).await {
            Ok(stored) => stored.into_iter(),
            Err(error) => {
                let error = unavailable(&error);
                return prepared.into_iter().map(|each| each.and(Err(error.clone()))).collect();
            }
        };
        let learn = |mut sent: SentMessage, stored: Option<Sent>| {
            let stored = stored
                .ok_or_else(|| SqsError::Unavailable("The store did not say where the message is.".into()))?;
            sent.id = text(stored.id);
            sent.sequence = sent.sequence.map(|_| sequence(stored.sequence));
            Ok(sent)
        };
        prepared.into_iter().map(|each| each.and_then(|(_, sent)| learn(sent, stored.next()))).collect()
    }
}

/// What orders a message of a FIFO queue.
struct Ordered {
    group: Arc<str>,
    deduplication: String,
    /// By which the store knows a repetition.
    remembered: Arc<str>,
}

fn ordered(fifo: Fifo, entry: &Entry, batch: bool) -> Result<Ordered, SqsError> {
    let Some(group) = &entry.group else {
        let missing = SqsError::MissingParameter("MessageGroupId".into());
        // Recorded: the same text by another code.
        return Err(if batch { SqsError::InvalidParameterValue(missing.to_string()) } else { missing });
    };
    let deduplication = match &entry.deduplication {
        Some(id) => id.clone(),
        None if fifo.content_based => content_deduplication(&entry.body),
        None => {
            return Err(SqsError::InvalidParameterValue(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
                    .into(),
            ));
        }
    };
    let remembered = match fifo.scope {
        DeduplicationScope::Queue => deduplication.as_str().into(),
        // No group has a space.
        DeduplicationScope::MessageGroup => format!("{group} {deduplication}").into(),
    };
    Ok(Ordered { group: group.as_str().into(), deduplication, remembered })
}

fn delay(queue: &Queue, given: Option<i64>) -> Result<Duration, SqsError> {
    let seconds = match given {
        None => queue.attributes.delay.into(),
        Some(seconds) if !(0..=DELAY_SECONDS).contains(&seconds) => {
            let reason = format!("DelaySeconds must be >= 0 and <= {DELAY_SECONDS}.");
            return Err(SqsError::value(&seconds.to_string(), "DelaySeconds", &reason));
        }
        Some(0) if queue.is_fifo() => queue.attributes.delay.into(),
        Some(seconds) if queue.is_fifo() => {
            return Err(not_of_this_type(&seconds.to_string(), "DelaySeconds"));
        }
        Some(seconds) => u64::try_from(seconds).unwrap_or_default(),
    };
    Ok(Duration::from_secs(seconds))
}

pub(super) fn not_of_this_type(value: &str, parameter: &str) -> SqsError {
    SqsError::value(value, parameter, "The request include parameter that is not valid for this queue type.")
}

/// A message's id as clients see it.
pub(super) fn text(id: MessageId) -> String {
    uuid::Uuid::from_bytes(id.0).to_string()
}

/// Twenty digits, as AWS's have.
pub(super) fn sequence(sequence: u64) -> String {
    (10_000_000_000_000_000_000 + sequence).to_string()
}
