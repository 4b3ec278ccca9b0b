//! Receiving: long polls, dead letters, messages that are too old, and the quota of messages in flight.
//!
//! Deliberately not here: what of a message a client asked to see (`api`).

use std::time::Duration;

use lambkin_model::queue::{Lease, Message, Post, Receive, Received};
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::{
    BATCH_ENTRIES, IN_FLIGHT, MessageAttribute, Queue, Receipt, SqsError, VISIBILITY_SECONDS, is_group,
};
use lambkin_model::time::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::envelope::Envelope;
use super::sending::{not_of_this_type, sequence, text};
use super::{Sqs, identity, unavailable};

/// What is asked of [`Sqs::receive`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// At most so many messages, ten at most.
    pub max: usize,
    /// For how long they are nobody else's; `None`: as the queue says.
    pub visibility: Option<Duration>,
    /// How long to wait for the first one.
    pub wait: Duration,
    /// `ReceiveRequestAttemptId`.
    pub attempt: Option<String>,
}

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Its id.
    pub id: String,
    /// To delete it with.
    pub receipt: String,
    /// Its text.
    pub body: String,
    /// All of its attributes.
    pub attributes: Vec<MessageAttribute>,
    /// `SenderId`.
    pub sender: String,
    /// `SentTimestamp`.
    pub sent: Timestamp,
    /// `ApproximateReceiveCount`.
    pub received: u32,
    /// `ApproximateFirstReceiveTimestamp`.
    pub first_received: Timestamp,
    /// `AWSTraceHeader`.
    pub trace_header: Option<String>,
    /// `MessageGroupId`.
    pub group: Option<String>,
    /// `MessageDeduplicationId`.
    pub deduplication: Option<String>,
    /// `SequenceNumber`, of FIFO queues.
    pub sequence: Option<String>,
    /// `DeadLetterQueueSourceArn`.
    pub dead_letter_source: Option<String>,
}

impl Sqs {
    /// Up to `ask.max` messages. Those that were received too often go to the dead-letter queue instead,
    /// and those past their retention go.
    pub async fn receive(&self, key: &ResourceKey, ask: Ask) -> Result<Vec<ReceivedMessage>, SqsError> {
        let stored = self.require(key)?;
        let queue = &stored.record;
        let visibility = ask.visibility.unwrap_or(queue.attributes.visibility());
        let attempt = match ask.attempt {
            Some(id) if !queue.is_fifo() => return Err(not_of_this_type(&id, "ReceiveRequestAttemptId")),
            Some(id) if !is_group(&id) => {
                let reason = "ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in \
                              length.";
                return Err(SqsError::value(&id, "ReceiveRequestAttemptId", reason));
            }
            attempt => attempt.map(|id| (queue.identity.clone(), id)),
        };
        if let Some(attempt) = &attempt
            && let Some(again) = self.repeat(attempt, visibility).await
        {
            return Ok(again);
        }
        let end = Instant::now() + ask.wait;
        let max = ask.max.min(BATCH_ENTRIES);
        if !self.has_room(queue, max).await? {
            if ask.wait.is_zero() && !queue.is_fifo() {
                return Err(SqsError::OverLimit(format!(
                    "Too many messages in flight: the queue has reached the quota of {IN_FLIGHT}."
                )));
            }
            // AWS says nothing to long polls and to FIFO queues.
            self.until_closed(end).await;
            return Ok(Vec::new());
        }
        loop {
            let wait = if *self.0.closing.borrow() { Duration::ZERO } else { end - Instant::now().min(end) };
            let asked = Receive { max, lease: Lease::For(visibility), wait };
            let name = queue.store_name();
            let received = tokio::select! {
                biased;
                received = self.0.store.receive(&name, asked) => received.map_err(|error| unavailable(&error))?,
                () = self.closed(), if !wait.is_zero() => Vec::new(),
            };
            if received.is_empty() {
                return Ok(Vec::new());
            }
            self.0.in_flight.handed_out(&queue.identity, received.len());
            let messages = self.sort_out(queue, received).await;
            if !messages.is_empty() {
                if let Some(attempt) = attempt {
                    self.0.attempts.remember(attempt, &messages);
                }
                return Ok(messages);
            }
        }
    }

    /// The messages to hand out; the others are settled.
    async fn sort_out(&self, queue: &Queue, received: Vec<Received>) -> Vec<ReceivedMessage> {
        let now = self.now();
        let retention = u64::from(queue.attributes.retention) * 1_000_000;
        let redrive = queue.attributes.redrive.as_ref();
        let dead_letters = redrive.and_then(|redrive| self.queue(&redrive.target));
        let mut settled = Vec::new();
        let mut messages = Vec::new();
        for each in received {
            if each.sent.0 + retention <= now.0 {
                settled.push((each.handle, Vec::new()));
                continue;
            }
            let envelope = match Envelope::decode(&each.content) {
                Ok(envelope) => envelope,
                Err(error) => {
                    // It stays where it is: a newer lambkin may read it.
                    tracing::error!(queue = %queue.key, sequence = each.sequence, error, "a message cannot be read");
                    continue;
                }
            };
            let too_often = redrive.is_some_and(|redrive| each.received > redrive.max_receive_count);
            match &dead_letters {
                // Without its dead-letter queue a message goes on being received.
                Some(target) if too_often => {
                    let post = dead_letter(queue, &target.record, &each, envelope);
                    settled.push((each.handle, vec![post]));
                }
                Some(_) | None => messages.push(message(queue, each, envelope, now)),
            }
        }
        if !settled.is_empty() {
            for result in self.0.store.settle(settled).await {
                if let Err(error) = result {
                    // Its lease ends, and the next receive tries again.
                    tracing::warn!(queue = %queue.key, %error, "a dead letter could not be moved");
                }
            }
        }
        messages
    }

    /// What an attempt of this id got, where all of it is still its.
    async fn repeat(&self, attempt: &(String, String), visibility: Duration) -> Option<Vec<ReceivedMessage>> {
        let again = self.0.attempts.answer(attempt)?;
        for message in &again {
            let receipt = Receipt::decode(&message.receipt)?;
            if self.0.store.extend(&receipt.handle, visibility).await.is_err() {
                self.0.attempts.forget(attempt);
                return None;
            }
        }
        Some(again)
    }

    async fn has_room(&self, queue: &Queue, max: usize) -> Result<bool, SqsError> {
        if self.0.in_flight.fits(&queue.identity, max) {
            return Ok(true);
        }
        let counts = self.0.store.counts(&queue.store_name()).await.map_err(|error| unavailable(&error))?;
        self.0.in_flight.counted(&queue.identity, counts.in_flight);
        Ok(counts.in_flight < IN_FLIGHT)
    }

    async fn closed(&self) {
        // The sender lives as long as this.
        let _ = self.0.closing.subscribe().wait_for(|closing| *closing).await;
    }

    async fn until_closed(&self, end: Instant) {
        tokio::select! {
            () = self.closed() => {}
            () = sleep_until(end) => {}
        }
    }
}

/// Checks `VisibilityTimeout` of a receive.
pub fn check_visibility(seconds: i64) -> Result<Duration, SqsError> {
    match u64::try_from(seconds) {
        Ok(valid) if seconds <= VISIBILITY_SECONDS => Ok(Duration::from_secs(valid)),
        Ok(_) | Err(_) => {
            let reason = format!("Must be >= 0 and <= {VISIBILITY_SECONDS}, if provided.");
            Err(SqsError::value(&seconds.to_string(), "VisibilityTimeout", &reason))
        }
    }
}

fn message(queue: &Queue, each: Received, envelope: Envelope, now: Timestamp) -> ReceivedMessage {
    let receipt = Receipt {
        queue: identity(queue),
        sequence: each.sequence,
        received: each.received,
        at: now,
        handle: each.handle,
    };
    ReceivedMessage {
        id: text(each.id),
        receipt: receipt.encode(),
        attributes: envelope.attributes(),
        body: envelope.body,
        sender: envelope.sender,
        sent: each.sent,
        received: envelope.received_before + each.received,
        first_received: each.first_received,
        trace_header: envelope.trace_header,
        group: envelope.group,
        deduplication: envelope.deduplication,
        sequence: queue.is_fifo().then(|| sequence(each.sequence)),
        dead_letter_source: envelope.dead_letter_source,
    }
}

/// The message as it goes to the dead-letter queue, with its id, and without the deduplication that
/// would drop what was there five minutes ago.
fn dead_letter(queue: &Queue, target: &Queue, each: &Received, mut envelope: Envelope) -> Post {
    envelope.dead_letter_source = Some(queue.arn());
    // The last receive was nobody's.
    envelope.received_before += each.received - 1;
    let message = Message {
        id: each.id,
        lane: each.lane.clone(),
        deduplication: None,
        // A standard queue's retention counts from the first send; a FIFO queue's begins again.
        sent: (!target.is_fifo()).then_some(each.sent),
        delay: Duration::ZERO,
        mark: 0,
        content: envelope.encode(),
    };
    (target.store_name(), message)
}
