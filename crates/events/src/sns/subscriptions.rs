//! Subscriptions: making, listing, changing and ending them.
//!
//! Deliberately not here: delivering.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambkin_model::catalog::Stored;
use lambkin_model::record::ResourceKey;
use lambkin_model::sns::{
    FILTER_POLICIES, PAGE, Protocol, SUBSCRIPTIONS, Subscription, SubscriptionAttributes, Topic,
    check_endpoint,
};

use super::{Page, Sns, SnsError, TRIES, page, resume, unwritten};

impl Sns {
    /// `Subscribe`: the same again is the same subscription, where what is given is what it has.
    pub async fn subscribe(
        &self,
        topic: &ResourceKey,
        protocol: &str,
        endpoint: &str,
        attributes: &[(String, String)],
    ) -> Result<String, SnsError> {
        let protocol = Protocol::parse(protocol)?;
        check_endpoint(protocol, endpoint)?;
        let given = || attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut wanted = SubscriptionAttributes::default();
        wanted.change(given(), protocol, true)?;
        let topic = self.require(topic)?;
        let there = self.subscriptions_of(&topic.record);
        let same = |each: &&Arc<Stored<Subscription>>| {
            each.record.protocol == protocol && each.record.endpoint == endpoint
        };
        if let Some(same) = there.iter().find(same) {
            let mut changed = same.record.attributes.clone();
            changed.change(given(), protocol, true)?;
            if changed != same.record.attributes {
                let reason = "Attributes Reason: Subscription already exists with different attributes";
                return Err(SnsError::parameter(reason));
            }
            return Ok(same.record.arn());
        }
        if there.len() >= SUBSCRIPTIONS {
            return Err(SnsError::SubscriptionLimitExceeded);
        }
        let filters = there.iter().filter(|each| each.record.attributes.filter_policy.is_some()).count();
        if wanted.filter_policy.is_some() && filters >= FILTER_POLICIES {
            return Err(SnsError::FilterPolicyLimitExceeded);
        }
        let key = &topic.record.key;
        let name = format!("{}:{}", key.name, self.uuid());
        let subscription = Subscription {
            key: ResourceKey { name: name.into(), ..key.clone() },
            topic: topic.record.identity.clone(),
            protocol,
            endpoint: endpoint.to_owned(),
            attributes: wanted,
            created: self.now(),
        };
        let own = subscription.key.clone();
        match self.0.subscriptions.put(None, subscription).await.map_err(unwritten) {
            Ok(_) => self.settle_subscription(&topic.record, &own, same).await,
            Err(error) => Err(error.unwrap_or(SnsError::ConcurrentAccess)),
        }
    }

    /// Looks whether somebody else did the same, or deleted the topic, while a subscription was written:
    /// of two the first by name stays, for both.
    async fn settle_subscription(
        &self,
        topic: &Topic,
        own: &ResourceKey,
        same: impl Fn(&&Arc<Stored<Subscription>>) -> bool,
    ) -> Result<String, SnsError> {
        let gone = self.topic(&topic.key).is_none_or(|now| now.record.identity != topic.identity);
        let there = self.subscriptions_of(topic);
        let first = there.iter().find(same).map(|first| first.record.key.clone());
        if !gone && first.as_ref() == Some(own) {
            return Ok(own.arn("sns"));
        }
        if let Some(mine) = self.0.subscriptions.get(own) {
            let deleted = self.0.subscriptions.delete(mine.revision, own.clone()).await;
            if let Err(Some(error)) = deleted.map_err(unwritten) {
                return Err(error);
            }
        }
        first.filter(|_| !gone).map(|first| first.arn("sns")).ok_or(SnsError::TopicNotFound)
    }

    /// `Unsubscribe`; what is not there is no error.
    pub async fn unsubscribe(&self, key: &ResourceKey) -> Result<(), SnsError> {
        for _ in 0..TRIES {
            let Some(there) = self.0.subscriptions.get(key) else { return Ok(()) };
            match self.0.subscriptions.delete(there.revision, key.clone()).await.map_err(unwritten) {
                Ok(()) => {
                    let count = |topic: &mut Topic| {
                        topic.subscriptions_deleted += 1;
                        Ok(())
                    };
                    // The subscription is gone, whether it was counted or not.
                    if let Err(error) = self.change_topic(&there.record.topic_key(), count).await {
                        tracing::debug!(subscription = %key, %error, "an ended subscription was not counted");
                    }
                    return Ok(());
                }
                Err(None) => {}
                Err(Some(error)) => return Err(error),
            }
        }
        Err(SnsError::ConcurrentAccess)
    }

    /// `GetSubscriptionAttributes`.
    pub fn subscription_attributes(&self, key: &ResourceKey) -> Result<BTreeMap<String, String>, SnsError> {
        self.subscription(key).map(|there| there.record.attributes())
    }

    /// `SetSubscriptionAttributes`.
    pub async fn set_subscription_attribute(
        &self,
        key: &ResourceKey,
        name: &str,
        value: &str,
    ) -> Result<(), SnsError> {
        for _ in 0..TRIES {
            let there = self.subscription(key)?;
            let mut subscription = there.record.clone();
            subscription.attributes.change([(name, value)], subscription.protocol, false)?;
            let filters = there.record.attributes.filter_policy.is_none()
                && subscription.attributes.filter_policy.is_some();
            if filters && self.filters(&there.record) >= FILTER_POLICIES {
                return Err(SnsError::FilterPolicyLimitExceeded);
            }
            match self.0.subscriptions.put(Some(there.revision), subscription).await.map_err(unwritten) {
                Ok(_) => return Ok(()),
                Err(None) => {}
                Err(Some(error)) => return Err(error),
            }
        }
        Err(SnsError::ConcurrentAccess)
    }

    /// `ListSubscriptions`.
    pub fn list_subscriptions(
        &self,
        account: &str,
        region: &str,
        token: Option<&str>,
    ) -> Result<Page<Arc<Stored<Subscription>>>, SnsError> {
        let after = resume(token)?;
        let all = self.0.subscriptions.list(account, region, after.as_deref(), PAGE + 1);
        Ok(page(all, PAGE, |each| each.record.key.name.to_string()))
    }

    /// `ListSubscriptionsByTopic`.
    pub fn list_subscriptions_by_topic(
        &self,
        topic: &ResourceKey,
        token: Option<&str>,
    ) -> Result<Page<Arc<Stored<Subscription>>>, SnsError> {
        let after = resume(token)?;
        let topic = self.require(topic)?;
        let mut all = self.subscriptions_of(&topic.record);
        all.retain(|each| after.as_deref().is_none_or(|after| &*each.record.key.name > after));
        Ok(page(all, PAGE, |each| each.record.key.name.to_string()))
    }

    /// `ConfirmSubscription`. Queues and functions need no confirmation, so there is never a token to
    /// confirm one with.
    pub fn confirm_subscription(&self, topic: &ResourceKey, token: &str) -> Result<String, SnsError> {
        if token.len() < 64 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SnsError::InvalidToken);
        }
        tracing::debug!(%topic, "a token that lambkin never gave");
        Err(SnsError::parameter("Token"))
    }

    /// A subscription of a topic that is there.
    fn subscription(&self, key: &ResourceKey) -> Result<Arc<Stored<Subscription>>, SnsError> {
        let there = self.0.subscriptions.get(key).ok_or(SnsError::SubscriptionNotFound)?;
        let topic = self.topic(&there.record.topic_key());
        if topic.is_some_and(|topic| topic.record.identity == there.record.topic) {
            Ok(there)
        } else {
            Err(SnsError::SubscriptionNotFound)
        }
    }

    fn filters(&self, of: &Subscription) -> usize {
        let all = self.subscriptions_named(&of.topic_key(), SUBSCRIPTIONS);
        all.iter().filter(|each| each.record.attributes.filter_policy.is_some()).count()
    }
}
