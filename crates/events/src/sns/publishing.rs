//! Publishing: from a message to what has to be sent for it, and one write for all of that.
//!
//! Deliberately not here: checks of the message itself (`model::sns`).

use std::sync::atomic::Ordering;

use bytes::Bytes;
use lambkin_model::queue::Post;
use lambkin_model::record::ResourceKey;
use lambkin_model::sns::{Message, Notification, Protocol, typed};

use super::fan_out::{FanOut, Subscriber};
use super::{Sns, SnsError, unsent};
use crate::target::{Delivery, Sender, Undeliverable};

/// Base64 of `unsigned`. A real one would need a key and a certificate that no client has a reason to trust;
/// those that verify find neither a signature nor a certificate, and refuse.
const SIGNATURE: &str = "dW5zaWduZWQ=";
/// Who sends, to a function's policy.
const SERVICE: &str = "sns.amazonaws.com";
/// Most attributes of a queue's message: with more of them a raw delivery cannot be made.
const QUEUE_ATTRIBUTES: usize = 10;

/// A message that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its UUID.
    pub message_id: String,
}

impl Sns {
    /// `Publish`: answers once the message is on disk for each subscriber that takes it.
    pub async fn publish(&self, topic: &ResourceKey, message: &Message) -> Result<Published, SnsError> {
        let mut published = self.publish_batch(topic, std::slice::from_ref(message)).await?;
        published.pop().ok_or_else(|| SnsError::Internal("nothing was published".into()))
    }

    /// `PublishBatch`: all of the messages, or none.
    pub async fn publish_batch(
        &self,
        topic: &ResourceKey,
        messages: &[Message],
    ) -> Result<Vec<Published>, SnsError> {
        let fan_out = self.fan_out(topic)?;
        let mut posts = Vec::new();
        let published = messages.iter().map(|message| self.post(&fan_out, message, &mut posts)).collect();
        if !posts.is_empty() {
            self.0.queues.send(posts).await.map_err(unsent)?;
        }
        Ok(published)
    }

    /// Adds what has to be sent for a message.
    pub(super) fn post(&self, fan_out: &FanOut, message: &Message, posts: &mut Vec<Post>) -> Published {
        let message_id = self.uuid();
        let timestamp = self.now().iso();
        let topic = &fan_out.topic.record;
        let topic_arn = topic.arn();
        for subscriber in &fan_out.subscribers {
            let protocol = subscriber.subscription.record.protocol;
            let text = message.text_to(protocol);
            let passes = subscriber
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(message.attributes.iter().map(typed), text.as_bytes()));
            if !passes {
                continue;
            }
            let notification = Notification {
                message_id: &message_id,
                topic_arn: &topic_arn,
                subscription_arn: &subscriber.arn,
                subject: message.subject.as_deref(),
                text,
                timestamp: &timestamp,
                signature_version: topic.attributes.signature_version.unwrap_or(1),
                signature: SIGNATURE,
                address: &self.0.address,
                attributes: &message.attributes,
            };
            self.deliver(subscriber, message, &notification, posts);
        }
        Published { message_id }
    }

    /// One notification: to the subscriber, or else to its dead-letter queue, or else it is lost, counted and
    /// logged. A target that is not there is not tried again, as SNS does not.
    fn deliver(
        &self,
        subscriber: &Subscriber,
        message: &Message,
        notification: &Notification<'_>,
        posts: &mut Vec<Post>,
    ) {
        let record = &subscriber.subscription.record;
        let raw = record.attributes.raw_message_delivery;
        let delivery = |body: String| Delivery {
            body: Bytes::from(body),
            subject: None,
            attributes: if raw { message.attributes.clone() } else { Vec::new() },
            trace_id: message.trace_id.clone(),
            group: message.group.as_deref().map(str::to_owned),
            deduplication: None,
            sender: None,
        };
        // What a queue gets: the subscriber, or the dead-letter queue of whatever it is.
        let to_queue = || delivery(if raw { notification.text.to_owned() } else { notification.body() });
        let sent = match record.protocol {
            Protocol::Sqs if raw && message.attributes.len() > QUEUE_ATTRIBUTES => Err(Undeliverable {
                target: record.endpoint.clone(),
                code: "InvalidParameterValue".into(),
                message: "a raw delivery has at most 10 message attributes".into(),
            }),
            Protocol::Sqs => self.0.targets.posts(&record.endpoint, &to_queue()),
            Protocol::Lambda => {
                let sender = Sender { service: SERVICE, source: notification.topic_arn.to_owned() };
                let event = Delivery { group: None, sender: Some(sender), ..delivery(notification.event()) };
                self.0.targets.posts(&record.endpoint, &event)
            }
        };
        let error = match sent {
            Ok(sent) => return posts.extend(sent),
            Err(error) => error,
        };
        let Some(dead_letters) = &subscriber.dead_letters else {
            return self.lose(subscriber, notification, &error);
        };
        tracing::info!(subscription = subscriber.arn, %error, "a notification goes to the dead-letter queue");
        match self.0.targets.posts(dead_letters, &to_queue()) {
            Ok(sent) => posts.extend(sent),
            Err(error) => self.lose(subscriber, notification, &error),
        }
    }

    fn lose(&self, subscriber: &Subscriber, notification: &Notification<'_>, error: &Undeliverable) {
        self.0.undelivered.fetch_add(1, Ordering::Relaxed);
        let message = notification.message_id;
        tracing::warn!(subscription = subscriber.arn, message, %error, "a notification could not be delivered");
    }
}
