//! Topics themselves: creating, listing, changing, tagging and deleting them.
//!
//! Deliberately not here: subscriptions but for their end with the topic.

use std::collections::BTreeMap;

use lambkin_model::record::ResourceKey;
use lambkin_model::sns::{
    PAGE, SUBSCRIPTIONS, TOPICS, Topic, TopicAttributes, check_tags, check_topic_name, merge_tags,
};

use super::{Page, Sns, SnsError, TRIES, page, resume, unwritten};

impl Sns {
    /// `CreateTopic`: the same again is no error where what is given is what the topic has.
    pub async fn create_topic(
        &self,
        key: &ResourceKey,
        attributes: &[(String, String)],
        tags: Vec<(String, String)>,
    ) -> Result<(), SnsError> {
        check_topic_name(&key.name)?;
        let mut wanted = TopicAttributes::default();
        for (name, value) in attributes {
            wanted.change(name, value, true)?;
        }
        let tags = check_tags(tags)?;
        for _ in 0..TRIES {
            if let Some(there) = self.topic(key) {
                let there = &there.record;
                if !wanted.agrees_with(&there.attributes) {
                    let reason = "Attributes Reason: Topic already exists with different attributes";
                    return Err(SnsError::parameter(reason));
                }
                if tags.iter().any(|(name, value)| there.tags.get(name) != Some(value)) {
                    return Err(SnsError::parameter("Tags Reason: Topic already exists with different tags"));
                }
                return Ok(());
            }
            if self.0.topics.list(&key.account, &key.region, None, TOPICS).len() >= TOPICS {
                return Err(SnsError::TopicLimitExceeded);
            }
            // What a deletion has left that did not come to its end.
            self.end_subscriptions(key).await?;
            let topic = Topic {
                key: key.clone(),
                identity: self.uuid(),
                attributes: wanted.clone(),
                tags: tags.clone(),
                created: self.now(),
                subscriptions_deleted: 0,
            };
            match self.0.topics.put(None, topic).await.map_err(unwritten) {
                Ok(_) => return Ok(()),
                Err(None) => {}
                Err(Some(error)) => return Err(error),
            }
        }
        Err(SnsError::ConcurrentAccess)
    }

    /// `DeleteTopic`, with its subscriptions; one that is not there is no error.
    pub async fn delete_topic(&self, key: &ResourceKey) -> Result<(), SnsError> {
        for _ in 0..TRIES {
            let Some(topic) = self.topic(key) else { return Ok(()) };
            match self.0.topics.delete(topic.revision, key.clone()).await.map_err(unwritten) {
                // From here on nobody publishes to them, whatever becomes of the rest.
                Ok(()) => return self.end_subscriptions(key).await,
                Err(None) => {}
                Err(Some(error)) => return Err(error),
            }
        }
        Err(SnsError::ConcurrentAccess)
    }

    /// Removes the subscriptions of a name that no topic has.
    async fn end_subscriptions(&self, topic: &ResourceKey) -> Result<(), SnsError> {
        for left in self.subscriptions_named(topic, SUBSCRIPTIONS) {
            let deleted = self.0.subscriptions.delete(left.revision, left.record.key.clone()).await;
            if let Err(Some(error)) = deleted.map_err(unwritten) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// `ListTopics`.
    pub fn list_topics(
        &self,
        account: &str,
        region: &str,
        token: Option<&str>,
    ) -> Result<Page<ResourceKey>, SnsError> {
        let after = resume(token)?;
        let topics = self.0.topics.list(account, region, after.as_deref(), PAGE + 1);
        let keys = topics.iter().map(|topic| topic.record.key.clone()).collect();
        Ok(page(keys, PAGE, |key| key.name.to_string()))
    }

    /// `GetTopicAttributes`.
    pub fn topic_attributes(&self, key: &ResourceKey) -> Result<BTreeMap<String, String>, SnsError> {
        let fan_out = self.fan_out(key)?;
        Ok(fan_out.topic.record.attributes(fan_out.subscribers.len()))
    }

    /// `SetTopicAttributes`.
    pub async fn set_topic_attribute(
        &self,
        key: &ResourceKey,
        name: &str,
        value: &str,
    ) -> Result<(), SnsError> {
        self.change_topic(key, |topic| topic.attributes.change(name, value, false)).await
    }

    /// `TagResource`.
    pub async fn tag_topic(&self, key: &ResourceKey, tags: Vec<(String, String)>) -> Result<(), SnsError> {
        let tags = check_tags(tags)?;
        self.change_topic(key, |topic| merge_tags(&mut topic.tags, tags.clone())).await.map_err(resource)
    }

    /// `UntagResource`.
    pub async fn untag_topic(&self, key: &ResourceKey, names: &[String]) -> Result<(), SnsError> {
        let untag = |topic: &mut Topic| {
            topic.tags.retain(|name, _| !names.contains(name));
            Ok(())
        };
        self.change_topic(key, untag).await.map_err(resource)
    }

    /// `ListTagsForResource`.
    pub fn topic_tags(&self, key: &ResourceKey) -> Result<BTreeMap<String, String>, SnsError> {
        self.require(key).map(|topic| topic.record.tags.clone()).map_err(resource)
    }

    pub(super) async fn change_topic(
        &self,
        key: &ResourceKey,
        change: impl Fn(&mut Topic) -> Result<(), SnsError>,
    ) -> Result<(), SnsError> {
        for _ in 0..TRIES {
            let there = self.require(key)?;
            let mut topic = there.record.clone();
            change(&mut topic)?;
            match self.0.topics.put(Some(there.revision), topic).await.map_err(unwritten) {
                Ok(_) => return Ok(()),
                Err(None) => {}
                Err(Some(error)) => return Err(error),
            }
        }
        Err(SnsError::ConcurrentAccess)
    }
}

/// Where tags are concerned SNS says so of a missing topic.
fn resource(error: SnsError) -> SnsError {
    if error == SnsError::TopicNotFound { SnsError::ResourceNotFound } else { error }
}
