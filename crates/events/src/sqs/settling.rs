//! What is done with received messages: deleting them and changing their visibility, by receipt handle.

use std::time::Duration;

use lambkin_model::queue::{Peeked, QueueError};
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::{Queue, Receipt, VISIBILITY_SECONDS};

use super::{Sqs, SqsError, identity, unavailable};

impl Sqs {
    /// Deletes each handle's message. One that is gone already is no error, and neither is, on a standard
    /// queue, one that another has received since: it stays.
    pub async fn delete(&self, key: &ResourceKey, handles: Vec<String>) -> Vec<Result<(), SqsError>> {
        let Some(queue) = self.queue(key) else {
            return handles.iter().map(|_| Err(SqsError::QueueDoesNotExist)).collect();
        };
        let queue = &queue.record;
        let mut results = Vec::with_capacity(handles.len());
        let mut settled = Vec::new();
        for (index, handle) in handles.iter().enumerate() {
            match self.good(queue, handle).await {
                Ok(Some(receipt)) => {
                    settled.push((index, receipt));
                    results.push(Ok(()));
                }
                Ok(None) => results.push(Ok(())),
                Err(error) => results.push(Err(error)),
            }
        }
        let posts = settled.iter().map(|(_, receipt)| (receipt.handle.clone(), Vec::new())).collect();
        let done = if settled.is_empty() { Vec::new() } else { self.0.store.settle(posts).await };
        for ((index, _), done) in settled.iter().zip(done) {
            results[*index] = match done {
                Ok(()) => Ok(()),
                Err(QueueError::Stale) if queue.is_fifo() => Err(expired(&handles[*index])),
                Err(QueueError::Stale) => Ok(()),
                Err(
                    error @ (QueueError::Full(_) | QueueError::TooLarge { .. } | QueueError::Unavailable(_)),
                ) => Err(unavailable(&error)),
            };
        }
        results
    }

    /// From now on each handle's message is nobody else's for so many seconds.
    pub async fn change_visibility(
        &self,
        key: &ResourceKey,
        changes: Vec<(String, i64)>,
    ) -> Vec<Result<(), SqsError>> {
        let Some(queue) = self.queue(key) else {
            return changes.iter().map(|_| Err(SqsError::QueueDoesNotExist)).collect();
        };
        let mut results = Vec::with_capacity(changes.len());
        for (handle, seconds) in changes {
            results.push(self.change_one(&queue.record, &handle, seconds).await);
        }
        results
    }

    async fn change_one(&self, queue: &Queue, handle: &str, seconds: i64) -> Result<(), SqsError> {
        let unchangeable = || {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            SqsError::value(handle, "ReceiptHandle", reason)
        };
        let receipt = self.good(queue, handle).await?.ok_or_else(unchangeable)?;
        if seconds < 0 {
            super::check_visibility(seconds)?;
        }
        let held = i64::try_from(self.now().0.saturating_sub(receipt.at.0) / 1_000_000).unwrap_or(i64::MAX);
        if held.saturating_add(seconds) > VISIBILITY_SECONDS {
            let reason = format!(
                "Total VisibilityTimeout for the message is beyond the limit [{VISIBILITY_SECONDS} seconds]"
            );
            return Err(SqsError::value(&seconds.to_string(), "VisibilityTimeout", &reason));
        }
        // A lease that is over is not taken up again: SQS says so in no way, and the message stays visible.
        let standing = self.standing(queue, &receipt).await?;
        if standing.is_some_and(|peeked| peeked.received == receipt.received && peeked.ready <= self.now()) {
            return Ok(());
        }
        let lease = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        match self.0.store.extend(&receipt.handle, lease).await {
            Ok(()) => Ok(()),
            Err(QueueError::Stale) => Err(unchangeable()),
            Err(error @ (QueueError::Full(_) | QueueError::TooLarge { .. } | QueueError::Unavailable(_))) => {
                Err(unavailable(&error))
            }
        }
    }

    /// What a handle says, where it is one of this queue's; `None`: of a message that is gone. A FIFO queue
    /// also wants it not to have expired, so that no message is deleted that its successor waits for.
    async fn good(&self, queue: &Queue, handle: &str) -> Result<Option<Receipt>, SqsError> {
        let receipt = Receipt::decode(handle).filter(|receipt| receipt.queue == identity(queue));
        let receipt = receipt.ok_or_else(|| SqsError::ReceiptHandleIsInvalid(handle.to_owned()))?;
        if !queue.is_fifo() {
            return Ok(Some(receipt));
        }
        match self.standing(queue, &receipt).await? {
            None => Ok(None),
            Some(peeked) if peeked.received == receipt.received && peeked.ready > self.now() => {
                Ok(Some(receipt))
            }
            Some(_) => Err(expired(handle)),
        }
    }

    /// How the message of a receipt stands now; `None`: it is gone.
    async fn standing(&self, queue: &Queue, receipt: &Receipt) -> Result<Option<Peeked>, SqsError> {
        let after = receipt.sequence.saturating_sub(1);
        let peeked = self.0.store.peek(&queue.store_name(), after, 1).await;
        let first = peeked.map_err(|error| unavailable(&error))?.into_iter().next();
        Ok(first.filter(|peeked| peeked.sequence == receipt.sequence))
    }
}

fn expired(handle: &str) -> SqsError {
    SqsError::value(handle, "ReceiptHandle", "The receipt handle has expired.")
}
