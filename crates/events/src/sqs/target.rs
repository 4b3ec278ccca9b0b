//! Queues as targets: of dead letters, destinations, topics and redrives.

use lambkin_model::queue::Post;
use lambkin_model::sqs::{MessageAttribute, SqsError, key_of_arn};

use super::{Entry, Sqs};
use crate::target::{Delivery, Target, Undeliverable};

impl Target for Sqs {
    fn posts(&self, arn: &str, delivery: &Delivery) -> Result<Vec<Post>, Undeliverable> {
        let refused = |error: SqsError| Undeliverable {
            target: arn.to_owned(),
            code: code(&error).to_owned(),
            message: error.to_string(),
        };
        let key = key_of_arn(arn).ok_or_else(|| refused(SqsError::InvalidAddress(arn.to_owned())))?;
        let queue = self.require(&key).map_err(refused)?;
        let fifo = queue.record.is_fifo();
        let trace = delivery.trace_id.iter().map(|value| MessageAttribute {
            name: "AWSTraceHeader".into(),
            data_type: "String".into(),
            value: value.clone().into(),
        });
        let entry = Entry {
            body: String::from_utf8_lossy(&delivery.body).into_owned(),
            attributes: delivery.attributes.clone(),
            system_attributes: trace.collect(),
            delay: None,
            group: delivery.group.clone(),
            // A standard queue has none, whatever a FIFO topic before it had.
            deduplication: delivery.deduplication.clone().filter(|_| fifo),
            sender: key.account.to_string(),
            trace_id: None,
        };
        let (post, _) = self.prepare(&queue.record, entry, false).map_err(refused)?;
        Ok(vec![post])
    }

    fn check(&self, arn: &str) -> Result<(), Undeliverable> {
        let queue = key_of_arn(arn).and_then(|key| self.queue(&key));
        queue.map(|_| ()).ok_or_else(|| Undeliverable {
            target: arn.to_owned(),
            code: code(&SqsError::QueueDoesNotExist).to_owned(),
            message: SqsError::QueueDoesNotExist.to_string(),
        })
    }
}

/// AWS's code for what a delivery can meet. The whole table, with statuses, is `api`'s.
fn code(error: &SqsError) -> &'static str {
    match error {
        SqsError::QueueDoesNotExist => "AWS.SimpleQueueService.NonExistentQueue",
        SqsError::InvalidAddress(_) => "InvalidAddress",
        SqsError::MissingParameter(_) => "MissingParameter",
        SqsError::InvalidMessageContents(_) => "InvalidMessageContents",
        SqsError::Unavailable(_) => "ServiceUnavailable",
        SqsError::QueueNameExists(_)
        | SqsError::PurgeQueueInProgress(_)
        | SqsError::InvalidAttributeName(_)
        | SqsError::InvalidAttributeValue(_)
        | SqsError::InvalidParameterValue(_)
        | SqsError::EmptyBatchRequest(_)
        | SqsError::TooManyEntriesInBatchRequest(_)
        | SqsError::BatchEntryIdsNotDistinct(_)
        | SqsError::InvalidBatchEntryId
        | SqsError::BatchRequestTooLong(_)
        | SqsError::ReceiptHandleIsInvalid(_)
        | SqsError::OverLimit(_)
        | SqsError::ResourceNotFound(_)
        | SqsError::UnsupportedOperation(_)
        | SqsError::InvalidAction(_)
        | SqsError::Malformed(_) => "InvalidParameterValue",
    }
}
