//! Who gets a topic's messages: its subscriptions with their filters read, kept until one of them or the
//! topic changes.
//!
//! Deliberately not here: what they get.

use std::collections::HashMap;
use std::sync::Arc;

use lambkin_model::catalog::Stored;
use lambkin_model::pattern::FilterPolicy;
use lambkin_model::record::ResourceKey;
use lambkin_model::sns::{SUBSCRIPTIONS, Subscription, Topic};

use super::{Sns, SnsError, locked};

/// A topic and its subscribers.
pub(super) struct FanOut {
    pub(super) topic: Arc<Stored<Topic>>,
    pub(super) subscribers: Vec<Subscriber>,
}

/// A subscription and its filter.
pub(super) struct Subscriber {
    pub(super) arn: String,
    pub(super) subscription: Arc<Stored<Subscription>>,
    pub(super) filter: Option<FilterPolicy>,
    pub(super) dead_letters: Option<String>,
}

/// Those of topics that were published to. One for each topic there is, at most.
#[derive(Default)]
pub(super) struct FanOuts {
    known: HashMap<ResourceKey, Arc<FanOut>>,
    /// Changes so far: what was read before one is not kept after it.
    changes: u64,
}

impl FanOuts {
    pub(super) fn forget(&mut self, topic: &ResourceKey) {
        self.changes += 1;
        self.known.remove(topic);
    }
}

impl Sns {
    pub(super) fn fan_out(&self, key: &ResourceKey) -> Result<Arc<FanOut>, SnsError> {
        let changes = {
            let fan_outs = locked(&self.0.fan_outs);
            if let Some(known) = fan_outs.known.get(key) {
                return Ok(Arc::clone(known));
            }
            fan_outs.changes
        };
        let topic = self.require(key)?;
        let subscribers = self.subscriptions_of(&topic.record).into_iter().map(subscriber).collect();
        let fan_out = Arc::new(FanOut { topic, subscribers });
        let mut fan_outs = locked(&self.0.fan_outs);
        if fan_outs.changes == changes {
            fan_outs.known.insert(key.clone(), Arc::clone(&fan_out));
        }
        Ok(fan_out)
    }

    /// A topic's own subscriptions, not what a deleted one of its name has left.
    pub(super) fn subscriptions_of(&self, topic: &Topic) -> Vec<Arc<Stored<Subscription>>> {
        let mut all = self.subscriptions_named(&topic.key, SUBSCRIPTIONS);
        all.retain(|each| each.record.topic == topic.identity);
        all
    }

    /// Subscriptions of whatever topic has or had this name.
    pub(super) fn subscriptions_named(
        &self,
        topic: &ResourceKey,
        limit: usize,
    ) -> Vec<Arc<Stored<Subscription>>> {
        let prefix = format!("{}:", topic.name);
        let all = self.0.subscriptions.list(&topic.account, &topic.region, Some(&prefix), limit);
        all.into_iter().take_while(|each| each.record.key.name.starts_with(&prefix)).collect()
    }
}

fn subscriber(subscription: Arc<Stored<Subscription>>) -> Subscriber {
    let record = &subscription.record;
    Subscriber {
        arn: record.arn(),
        // It was checked when it was set.
        filter: record.attributes.filter("").unwrap_or_else(|error| {
            tracing::error!(subscription = record.arn(), %error, "a filter policy that cannot be read lets all pass");
            None
        }),
        dead_letters: record.attributes.dead_letter_target(),
        subscription,
    }
}
