//! Amazon SQS's operations: a document of the service model in, one out. The same for both protocols.
//!
//! Deliberately not here: what the operations mean (`events`), reading and writing documents (`wire`).

mod answer;
mod input;

use std::time::Duration;

use lambkin_events::sqs::{Ask, SqsError, check_visibility};
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::{WAIT_SECONDS, check_batch, check_batch_ids};

use crate::Api;
use crate::api::Call;
use crate::constraint;
use crate::node::{Node, map, text};
use crate::service_model::SQS;
use crate::wire::Request;

use answer::rendered;
use input::Input;

/// What an operation answers; `None`: it has no output.
type Output = Result<Option<Node<'static>>, SqsError>;

impl Api {
    pub(crate) async fn operate_sqs(&self, call: &Call<'_>, request: &Request<'_>) -> Output {
        constraint::check_sqs(&SQS, request.operation, &request.input)?;
        let input = Input { node: &request.input, call };
        match &*request.operation.name {
            "CreateQueue" => self.create_queue(call, &input).await,
            "GetQueueUrl" => self.get_queue_url(call, &input),
            "ListQueues" => self.list_queues(call, &input),
            "DeleteQueue" => self.events.sqs.delete_queue(&input.queue()?).await.map(|()| None),
            "PurgeQueue" => self.events.sqs.purge_queue(&input.queue()?).await.map(|()| None),
            "GetQueueAttributes" => {
                let attributes =
                    self.events.sqs.queue_attributes(&input.queue()?, &input.texts("AttributeNames")).await?;
                let attributes = attributes.into_iter().map(|(name, value)| (name, text(value)));
                Ok(Some(map([("Attributes", map(attributes))])))
            }
            "SetQueueAttributes" => {
                let given = input.pairs("Attributes");
                if given.is_empty() {
                    return Err(SqsError::MissingParameter("Attributes".into()));
                }
                self.events.sqs.set_attributes(&input.queue()?, &given).await.map(|()| None)
            }
            "TagQueue" => {
                let tags = input.pairs("Tags");
                if tags.is_empty() {
                    return Err(SqsError::MissingParameter("Tags".into()));
                }
                self.events.sqs.tag(&input.queue()?, tags.into_iter().collect()).await.map(|()| None)
            }
            "UntagQueue" => {
                let keys = input.texts("TagKeys");
                if keys.is_empty() {
                    return Err(SqsError::MissingParameter("TagKeys".into()));
                }
                self.events.sqs.untag(&input.queue()?, &keys).await.map(|()| None)
            }
            "ListQueueTags" => {
                let queue = self.events.sqs.queue(&input.queue()?).ok_or(SqsError::QueueDoesNotExist)?;
                let tags = queue.record.tags.iter().map(|(key, value)| (key.clone(), text(value.clone())));
                Ok(Some(map([("Tags", map(tags))])))
            }
            "ListDeadLetterSourceQueues" => {
                let page = self.events.sqs.dead_letter_sources(
                    &input.queue()?,
                    input.integer("MaxResults"),
                    input.text("NextToken"),
                )?;
                Ok(Some(answer::page(call, "queueUrls", page)))
            }
            "SendMessage" => self.send_message(&input).await,
            "SendMessageBatch" => self.send_message_batch(&input).await,
            "ReceiveMessage" => self.receive_message(&input).await,
            "DeleteMessage" => {
                let handle = input.wanted("ReceiptHandle").to_owned();
                let done = self.events.sqs.delete(&input.queue()?, vec![handle]).await;
                done.into_iter().collect::<Result<(), _>>().map(|()| None)
            }
            "DeleteMessageBatch" => self.delete_message_batch(&input).await,
            "ChangeMessageVisibility" => {
                let done = self.events.sqs.change_visibility(&input.queue()?, vec![input.visibility()]).await;
                done.into_iter().collect::<Result<(), _>>().map(|()| None)
            }
            "ChangeMessageVisibilityBatch" => self.change_message_visibility_batch(&input).await,
            "StartMessageMoveTask" => {
                let (source, destination) = (input.wanted("SourceArn"), input.text("DestinationArn"));
                let rate = input.integer("MaxNumberOfMessagesPerSecond");
                let handle = self.events.sqs.start_move(source, destination, rate).await?;
                Ok(Some(map([("TaskHandle", text(handle))])))
            }
            "ListMessageMoveTasks" => {
                let tasks =
                    self.events.sqs.list_moves(input.wanted("SourceArn"), input.integer("MaxResults"))?;
                Ok(Some(answer::moves(input.wanted("SourceArn"), tasks)))
            }
            "CancelMessageMoveTask" => {
                let moved = self.events.sqs.cancel_move(input.wanted("TaskHandle")).await?;
                Ok(Some(map([("ApproximateNumberOfMessagesMoved", answer::number(moved))])))
            }
            "AddPermission" | "RemovePermission" => Err(SqsError::UnsupportedOperation(
                "lambkin asks no queue's policy yet: a queue's permissions would allow and deny nothing."
                    .into(),
            )),
            other => Err(SqsError::InvalidAction(other.to_owned())),
        }
    }

    async fn create_queue(&self, call: &Call<'_>, input: &Input<'_>) -> Output {
        let Some(name) = input.text("QueueName") else {
            return Err(SqsError::InvalidParameterValue(
                "Value for parameter QueueName is invalid. Reason: Must specify a queue name.".into(),
            ));
        };
        let key = input.key(name);
        let tags = input.pairs("tags").into_iter().collect();
        self.events.sqs.create_queue(key.clone(), &input.pairs("Attributes"), tags).await?;
        Ok(Some(map([("QueueUrl", text(answer::url(call, &key)))])))
    }

    fn get_queue_url(&self, call: &Call<'_>, input: &Input<'_>) -> Output {
        let mut key = input.key(input.wanted("QueueName"));
        if let Some(owner) = input.text("QueueOwnerAWSAccountId") {
            key = ResourceKey { account: owner.into(), ..key };
        }
        self.events.sqs.queue(&key).ok_or(SqsError::QueueDoesNotExist)?;
        Ok(Some(map([("QueueUrl", text(answer::url(call, &key)))])))
    }

    fn list_queues(&self, call: &Call<'_>, input: &Input<'_>) -> Output {
        let page = self.events.sqs.list_queues(
            call.account,
            &call.region,
            input.text("QueueNamePrefix").unwrap_or_default(),
            input.integer("MaxResults"),
            input.text("NextToken"),
        )?;
        Ok(Some(answer::page(call, "QueueUrls", page)))
    }

    async fn send_message(&self, input: &Input<'_>) -> Output {
        let entry = input.entry()?;
        let sent = self.events.sqs.send(&input.queue()?, vec![entry]).await;
        let sent = sent.into_iter().next().ok_or(SqsError::QueueDoesNotExist)??;
        Ok(Some(map(answer::sent(sent))))
    }

    async fn send_message_batch(&self, input: &Input<'_>) -> Output {
        let queue = input.queue()?;
        let entries = input.entries();
        let entries: Vec<_> = entries
            .iter()
            .map(|(id, entry)| Ok(((*id).to_owned(), entry.entry()?)))
            .collect::<Result<_, SqsError>>()?;
        let sent = self.events.sqs.send_batch(&queue, entries).await?;
        Ok(Some(answer::batch(sent, answer::sent)))
    }

    async fn delete_message_batch(&self, input: &Input<'_>) -> Output {
        let queue = input.queue()?;
        let entries = self.checked(input, "DeleteMessageBatchRequestEntry", &queue)?;
        let handles = entries.iter().map(|(_, entry)| entry.wanted("ReceiptHandle").to_owned()).collect();
        let done = self.events.sqs.delete(&queue, handles).await;
        let ids = entries.iter().map(|(id, _)| (*id).to_owned());
        Ok(Some(answer::batch(ids.zip(done), |()| Vec::new())))
    }

    async fn change_message_visibility_batch(&self, input: &Input<'_>) -> Output {
        let queue = input.queue()?;
        let entries = self.checked(input, "ChangeMessageVisibilityBatchRequestEntry", &queue)?;
        let changes = entries.iter().map(|(_, entry)| entry.visibility()).collect();
        let done = self.events.sqs.change_visibility(&queue, changes).await;
        let ids = entries.iter().map(|(id, _)| (*id).to_owned());
        Ok(Some(answer::batch(ids.zip(done), |()| Vec::new())))
    }

    /// A batch's entries by their ids, where queue and ids are good.
    fn checked<'i>(
        &self,
        input: &'i Input<'i>,
        entry: &'static str,
        queue: &ResourceKey,
    ) -> Result<Vec<(&'i str, Input<'i>)>, SqsError> {
        self.events.sqs.queue(queue).ok_or(SqsError::QueueDoesNotExist)?;
        let entries = input.entries();
        check_batch(entries.len(), entry)?;
        check_batch_ids(&entries.iter().map(|(id, _)| *id).collect::<Vec<_>>())?;
        Ok(entries)
    }

    async fn receive_message(&self, input: &Input<'_>) -> Output {
        let queue = input.queue()?;
        let record = self.events.sqs.queue(&queue).ok_or(SqsError::QueueDoesNotExist)?;
        let max = input.integer("MaxNumberOfMessages").unwrap_or(1);
        let Some(count) = usize::try_from(max).ok().filter(|max| (1..=10).contains(max)) else {
            let reason = "Must be between 1 and 10, if provided.";
            return Err(SqsError::value(&max.to_string(), "MaxNumberOfMessages", reason));
        };
        let wait = input.integer("WaitTimeSeconds").unwrap_or(record.record.attributes.wait.into());
        let Some(seconds) = u64::try_from(wait).ok().filter(|_| wait <= WAIT_SECONDS) else {
            let reason = format!("Must be >= 0 and <= {WAIT_SECONDS}, if provided.");
            return Err(SqsError::value(&wait.to_string(), "WaitTimeSeconds", &reason));
        };
        let visibility = input.integer("VisibilityTimeout").map(check_visibility).transpose()?;
        let mut system = input.texts("MessageSystemAttributeNames");
        system.extend(input.texts("AttributeNames"));
        answer::check_system_names(&system)?;
        let ask = Ask {
            max: count,
            visibility,
            wait: Duration::from_secs(seconds),
            attempt: input.text("ReceiveRequestAttemptId").map(str::to_owned),
        };
        let messages = self.events.sqs.receive(&queue, ask).await?;
        let names = input.texts("MessageAttributeNames");
        Ok(Some(rendered(messages, &system, &names)))
    }
}
