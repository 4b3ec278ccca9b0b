//! Amazon SNS's operations: a document of the service model in, one out.
//!
//! Deliberately not here: what the operations mean (`events`), reading and writing documents (`wire`).

mod input;

use std::collections::BTreeMap;
use std::sync::Arc;

use lambkin_events::sns::{Page, Published, SnsError};
use lambkin_model::catalog::Stored;
use lambkin_model::record::ResourceKey;
use lambkin_model::sns::{MESSAGE_BYTES, Message, Subscription, check_batch, parse_arn};

use crate::Api;
use crate::api::Call;
use crate::constraint;
use crate::node::{Node, map, text};
use crate::service_model::SNS;
use crate::wire::Request;

use input::Input;

/// What an operation answers; `None`: it has no output.
type Output = Result<Option<Node<'static>>, SnsError>;

impl Api {
    pub(crate) async fn operate_sns(&self, call: &Call<'_>, request: &Request<'_>) -> Output {
        constraint::check(&SNS, request.operation, &request.input)
            .map_err(|error| SnsError::Validation(error.to_string()))?;
        let input = Input { node: &request.input, call };
        let sns = &self.events.sns;
        match &*request.operation.name {
            "CreateTopic" => {
                let key = input.key(input.wanted("Name"));
                if input.text("DataProtectionPolicy").is_some_and(|policy| !policy.is_empty()) {
                    let reason = "DataProtectionPolicy: lambkin does not inspect messages";
                    return Err(SnsError::parameter(reason));
                }
                sns.create_topic(&key, &input.pairs("Attributes"), input.tags()).await?;
                Ok(Some(map([("TopicArn", text(key.arn("sns")))])))
            }
            "DeleteTopic" => sns.delete_topic(&input.topic("TopicArn")?).await.map(|()| None),
            "ListTopics" => {
                let page = sns.list_topics(call.account, &call.region, input.token())?;
                let topic = |key: &ResourceKey| map([("TopicArn", text(key.arn("sns")))]);
                Ok(Some(listed("Topics", page, topic)))
            }
            "GetTopicAttributes" => Ok(Some(attributes(sns.topic_attributes(&input.topic("TopicArn")?)?))),
            "SetTopicAttributes" => {
                let (name, value) = (input.wanted("AttributeName"), input.text("AttributeValue"));
                let topic = input.topic("TopicArn")?;
                sns.set_topic_attribute(&topic, name, value.unwrap_or_default()).await.map(|()| None)
            }
            "Subscribe" => {
                let (topic, protocol) = (input.topic("TopicArn")?, input.wanted("Protocol"));
                let endpoint = input.text("Endpoint").unwrap_or_default();
                let arn = sns.subscribe(&topic, protocol, endpoint, &input.pairs("Attributes")).await?;
                Ok(Some(map([("SubscriptionArn", text(arn))])))
            }
            "ConfirmSubscription" => {
                let arn = sns.confirm_subscription(&input.topic("TopicArn")?, input.wanted("Token"))?;
                Ok(Some(map([("SubscriptionArn", text(arn))])))
            }
            "Unsubscribe" => sns.unsubscribe(&input.subscription()?).await.map(|()| None),
            "ListSubscriptions" => {
                let page = sns.list_subscriptions(call.account, &call.region, input.token())?;
                Ok(Some(listed("Subscriptions", page, subscription)))
            }
            "ListSubscriptionsByTopic" => {
                let page = sns.list_subscriptions_by_topic(&input.topic("TopicArn")?, input.token())?;
                Ok(Some(listed("Subscriptions", page, subscription)))
            }
            "GetSubscriptionAttributes" => {
                Ok(Some(attributes(sns.subscription_attributes(&input.subscription()?)?)))
            }
            "SetSubscriptionAttributes" => {
                let (name, value) = (input.wanted("AttributeName"), input.text("AttributeValue"));
                let key = input.subscription()?;
                sns.set_subscription_attribute(&key, name, value.unwrap_or_default()).await.map(|()| None)
            }
            "Publish" => self.publish(&input).await,
            "PublishBatch" => self.publish_batch(&input).await,
            "TagResource" => {
                sns.tag_topic(&input.topic("ResourceArn")?, input.tags()).await?;
                Ok(Some(map::<&str>([])))
            }
            "UntagResource" => {
                sns.untag_topic(&input.topic("ResourceArn")?, &input.texts("TagKeys")).await?;
                Ok(Some(map::<&str>([])))
            }
            "ListTagsForResource" => {
                let tags = sns.topic_tags(&input.topic("ResourceArn")?)?.into_iter();
                let tags = tags.map(|(key, value)| map([("Key", text(key)), ("Value", text(value))]));
                Ok(Some(map([("Tags", Node::List(tags.collect()))])))
            }
            other => Err(SnsError::UnsupportedOperation(other.to_owned())),
        }
    }

    async fn publish(&self, input: &Input<'_>) -> Output {
        if input.text("PhoneNumber").is_some() {
            return Err(SnsError::parameter("PhoneNumber Reason: lambkin sends no SMS"));
        }
        let topic = match (input.text("TopicArn"), input.text("TargetArn")) {
            (Some(_), Some(_)) => {
                return Err(SnsError::parameter("Only one of TopicArn and TargetArn can be specified"));
            }
            (Some(_), None) => input.topic("TopicArn")?,
            (None, Some(arn)) => {
                // Anything but a topic would be a device.
                if parse_arn("TargetArn", arn)?[5].contains('/') {
                    let reason = "TargetArn Reason: No endpoint found for the target arn specified";
                    return Err(SnsError::parameter(reason));
                }
                input.topic("TargetArn")?
            }
            (None, None) => {
                let reason = "TopicArn or TargetArn Reason: no value for required parameter";
                return Err(SnsError::parameter(reason));
            }
        };
        let message = input.message()??;
        let published = self.events.sns.publish(&topic, &message).await?;
        Ok(Some(map([("MessageId", text(published.message_id))])))
    }

    async fn publish_batch(&self, input: &Input<'_>) -> Output {
        let topic = input.topic("TopicArn")?;
        let entries = input.entries();
        check_batch(&entries.iter().map(|(id, _)| *id).collect::<Vec<_>>())?;
        self.events.sns.topic(&topic).ok_or(SnsError::TopicNotFound)?;
        let mut good = Vec::new();
        let mut failed = Vec::new();
        for (id, entry) in &entries {
            match entry.message()? {
                Ok(message) => good.push((*id, message)),
                Err(error) => failed.push(failure(id, &error)),
            }
        }
        let (ids, messages): (Vec<&str>, Vec<Message>) = good.into_iter().unzip();
        if messages.iter().map(Message::bytes).sum::<usize>() > MESSAGE_BYTES {
            return Err(SnsError::BatchRequestTooLong);
        }
        let published = self.events.sns.publish_batch(&topic, &messages).await?;
        let success = |(id, Published { message_id }): (&str, Published)| {
            map([("Id", text(id.to_owned())), ("MessageId", text(message_id))])
        };
        let successful = ids.into_iter().zip(published).map(success).collect();
        Ok(Some(map([("Successful", Node::List(successful)), ("Failed", Node::List(failed))])))
    }
}

fn failure(id: &str, error: &SnsError) -> Node<'static> {
    map([
        ("Id", text(id.to_owned())),
        ("Code", text("InvalidParameter")),
        ("Message", text(error.to_string())),
        ("SenderFault", Node::Boolean(true)),
    ])
}

fn subscription(of: &Arc<Stored<Subscription>>) -> Node<'static> {
    let of = &of.record;
    map([
        ("SubscriptionArn", text(of.arn())),
        ("Owner", text(of.key.account.to_string())),
        ("Protocol", text(of.protocol.to_string())),
        ("Endpoint", text(of.endpoint.clone())),
        ("TopicArn", text(of.topic_key().arn("sns"))),
    ])
}

fn attributes(all: BTreeMap<String, String>) -> Node<'static> {
    map([("Attributes", map(all.into_iter().map(|(name, value)| (name, text(value)))))])
}

fn listed<T>(name: &'static str, page: Page<T>, shown: impl Fn(&T) -> Node<'static>) -> Node<'static> {
    let items = Node::List(page.items.iter().map(shown).collect());
    let next = page.next.map(|token| ("NextToken", text(token)));
    map([(name, items)].into_iter().chain(next))
}
