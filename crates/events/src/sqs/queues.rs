//! Queues themselves: creating, finding, listing, changing and deleting them.
//!
//! Deliberately not here: messages.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambkin_model::catalog::CatalogError;
use lambkin_model::queue::{Counts, QueueName};
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::{
    Attributes, Measured, PAGE, PREFIX, PURGE_SECONDS, Queue, RedrivePolicy, check_tags,
};

use super::{Sqs, SqsError, locked, unavailable};

/// Some of a list, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Queues, in order of names.
    pub queues: Vec<ResourceKey>,
    /// For the next page; `None`: this was the last.
    pub next: Option<String>,
}

/// Most tries of a change that others come between.
const TRIES: usize = 16;

impl Sqs {
    /// `CreateQueue`: the same again is no error where what is given is what the queue has.
    pub async fn create_queue(
        &self,
        key: ResourceKey,
        given: &[(String, String)],
        tags: BTreeMap<String, String>,
    ) -> Result<(), SqsError> {
        let attributes = Attributes::create(&key.name, given)?;
        check_tags(&tags)?;
        self.check_redrive(&key, &attributes, given)?;
        for _ in 0..TRIES {
            if let Some(there) = self.queue(&key) {
                return match there.record.attributes.differing(&attributes, given) {
                    None => Ok(()),
                    Some(name) => Err(SqsError::QueueNameExists(name.to_owned())),
                };
            }
            let now = self.now();
            let queue = Queue {
                key: key.clone(),
                identity: uuid::Uuid::from_bytes((self.0.ambient.uuid)()).to_string(),
                attributes: attributes.clone(),
                tags: tags.clone(),
                created: now,
                modified: now,
                moves: Vec::new(),
            };
            match self.0.records.put(None, queue).await {
                Ok(_) => return Ok(()),
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(why)) => return Err(SqsError::Unavailable(why)),
            }
        }
        Err(contended())
    }

    /// `DeleteQueue`: with all that is in it.
    pub async fn delete_queue(&self, key: &ResourceKey) -> Result<(), SqsError> {
        for _ in 0..TRIES {
            let queue = self.require(key)?;
            match self.0.records.delete(queue.revision, key.clone()).await {
                Ok(()) => {
                    if let Err(error) = self.0.store.purge(&queue.record.store_name()).await {
                        // Nobody can reach them any more, and the sweeper tries again.
                        tracing::warn!(queue = %key, %error, "messages of a deleted queue are left");
                    }
                    return Ok(());
                }
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(why)) => return Err(SqsError::Unavailable(why)),
            }
        }
        Err(contended())
    }

    /// `PurgeQueue`: all is gone when it answers. Once a minute.
    pub async fn purge_queue(&self, key: &ResourceKey) -> Result<(), SqsError> {
        let queue = self.require(key)?;
        let now = self.now();
        {
            let mut purged = locked(&self.0.purged);
            purged.retain(|_, at| now.0.saturating_sub(at.0) < PURGE_SECONDS * 1_000_000);
            if purged.contains_key(&queue.record.identity) {
                return Err(SqsError::PurgeQueueInProgress(key.name.to_string()));
            }
            purged.insert(queue.record.identity.clone(), now);
        }
        let done = self.0.store.purge(&queue.record.store_name()).await;
        done.map_err(|error| {
            locked(&self.0.purged).remove(&queue.record.identity);
            unavailable(&error)
        })
    }

    /// `GetQueueAttributes`.
    pub async fn queue_attributes(
        &self,
        key: &ResourceKey,
        names: &[String],
    ) -> Result<Vec<(&'static str, String)>, SqsError> {
        let queue = self.require(key)?;
        let counts =
            if Queue::is_counted(names) { self.counts(&queue.record).await? } else { Counts::default() };
        queue.record.listing(names, &Measured { counts })
    }

    /// What is in a queue.
    pub async fn counts(&self, queue: &Queue) -> Result<Counts, SqsError> {
        self.0.store.counts(&queue.store_name()).await.map_err(|error| unavailable(&error))
    }

    /// Every queue, with what is in it.
    pub async fn counts_of_all(&self) -> Result<Vec<(Queue, Counts)>, SqsError> {
        let filled = self.0.store.counts_of_all(PREFIX).await.map_err(|error| unavailable(&error))?;
        let filled: HashMap<QueueName, Counts> = filled.into_iter().collect();
        let counted = |queue: Queue| {
            let counts = filled.get(&queue.store_name()).copied().unwrap_or_default();
            (queue, counts)
        };
        Ok(self.all_queues().into_iter().map(counted).collect())
    }

    /// `SetQueueAttributes`: all or none of them.
    pub async fn set_attributes(
        &self,
        key: &ResourceKey,
        given: &[(String, String)],
    ) -> Result<(), SqsError> {
        self.update(key, |queue| {
            let attributes = queue.attributes.with(given)?;
            self.check_redrive(key, &attributes, given)?;
            queue.attributes = attributes;
            queue.modified = self.now();
            Ok(())
        })
        .await
    }

    /// `TagQueue`.
    pub async fn tag(&self, key: &ResourceKey, tags: BTreeMap<String, String>) -> Result<(), SqsError> {
        self.update(key, |queue| {
            queue.tags.extend(tags.clone());
            check_tags(&queue.tags)
        })
        .await
    }

    /// `UntagQueue`.
    pub async fn untag(&self, key: &ResourceKey, names: &[String]) -> Result<(), SqsError> {
        self.update(key, |queue| {
            queue.tags.retain(|name, _| !names.contains(name));
            Ok(())
        })
        .await
    }

    /// `ListQueues`: those whose names begin with `prefix`. Only a request that says how many gets pages;
    /// the others get the first thousand.
    pub fn list_queues(
        &self,
        account: &str,
        region: &str,
        prefix: &str,
        max: Option<i64>,
        token: Option<&str>,
    ) -> Result<Page, SqsError> {
        self.page(account, region, prefix, max, token, |_| true)
    }

    /// `ListDeadLetterSourceQueues`.
    pub fn dead_letter_sources(
        &self,
        key: &ResourceKey,
        max: Option<i64>,
        token: Option<&str>,
    ) -> Result<Page, SqsError> {
        self.require(key)?;
        self.page(&key.account, &key.region, "", max, token, |queue| {
            queue.attributes.redrive.as_ref().is_some_and(|redrive| redrive.target == *key)
        })
    }

    /// The queues whose dead letters this one has.
    #[must_use]
    pub fn redriving_to(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        let feeds = |queue: &Queue| queue.attributes.redrive.as_ref().is_some_and(|to| to.target == *key);
        let queues = self.0.records.all().into_iter().filter(|queue| feeds(&queue.record));
        queues.map(|queue| queue.record.key.clone()).collect()
    }

    fn page(
        &self,
        account: &str,
        region: &str,
        prefix: &str,
        max: Option<i64>,
        token: Option<&str>,
        wanted: impl Fn(&Queue) -> bool,
    ) -> Result<Page, SqsError> {
        let limit = max.unwrap_or(PAGE);
        let Some(limit) = usize::try_from(limit).ok().filter(|limit| (1..=1000).contains(limit)) else {
            let reason = "MaxResults must be an integer between 1 and 1000.";
            return Err(SqsError::value(&limit.to_string(), "MaxResults", reason));
        };
        let mut after = match token {
            None => None,
            Some(token) => {
                let name = URL_SAFE_NO_PAD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
                let reason = "Invalid or expired next token.";
                Some(name.ok_or_else(|| SqsError::value(token, "NextToken", reason))?)
            }
        };
        let mut queues = Vec::new();
        if after.is_none() && !prefix.is_empty() {
            // The list begins behind a name, and the prefix itself may be one.
            let first = ResourceKey { account: account.into(), region: region.into(), name: prefix.into() };
            queues.extend(
                self.queue(&first)
                    .filter(|queue| wanted(&queue.record))
                    .map(|queue| queue.record.key.clone()),
            );
            after = Some(prefix.to_owned());
        }
        // One more than fit says whether there is a next page.
        while queues.len() <= limit {
            let some = self.0.records.list(account, region, after.as_deref(), 1000);
            let Some(last) = some.last() else { break };
            after = Some(last.record.key.name.to_string());
            let before = some.len();
            let matching = some.iter().take_while(|queue| queue.record.key.name.starts_with(prefix));
            let matching: Vec<_> = matching.collect();
            let ended = matching.len() < before;
            queues.extend(
                matching.iter().filter(|queue| wanted(&queue.record)).map(|queue| queue.record.key.clone()),
            );
            if ended {
                break;
            }
        }
        let more = queues.len() > limit;
        queues.truncate(limit);
        let next = queues.last().filter(|_| more && max.is_some());
        let next = next.map(|key| URL_SAFE_NO_PAD.encode(key.name.as_bytes()));
        Ok(Page { queues, next })
    }

    /// Every queue, in order of keys.
    #[must_use]
    pub fn all_queues(&self) -> Vec<Queue> {
        self.0.records.all().iter().map(|queue| queue.record.clone()).collect()
    }

    /// Changes a record, again where another change came between.
    pub(super) async fn update(
        &self,
        key: &ResourceKey,
        change: impl Fn(&mut Queue) -> Result<(), SqsError>,
    ) -> Result<(), SqsError> {
        for _ in 0..TRIES {
            let stored = self.require(key)?;
            let mut queue = stored.record.clone();
            change(&mut queue)?;
            if queue == stored.record {
                return Ok(());
            }
            match self.0.records.put(Some(stored.revision), queue).await {
                Ok(_) => return Ok(()),
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(why)) => return Err(SqsError::Unavailable(why)),
            }
        }
        Err(contended())
    }

    /// A new dead-letter queue is there, of the same kind, and lets this queue name it.
    fn check_redrive(
        &self,
        key: &ResourceKey,
        attributes: &Attributes,
        given: &[(String, String)],
    ) -> Result<(), SqsError> {
        let Some((_, text)) = given.iter().find(|(name, _)| name == "RedrivePolicy") else { return Ok(()) };
        let Some(RedrivePolicy { target, .. }) = &attributes.redrive else { return Ok(()) };
        let wrong = |reason: &str| Err(SqsError::value(text, "RedrivePolicy", reason));
        if target.account != key.account {
            return wrong("Dead-letter target owner should be same as the source.");
        }
        if target.region != key.region {
            return wrong("Dead-letter target must be in same region as the source.");
        }
        let Some(dead_letters) = self.queue(target) else {
            return wrong("Dead letter target does not exist.");
        };
        let dead_letters = &dead_letters.record;
        if dead_letters.is_fifo() != attributes.fifo.is_some() {
            return wrong("Dead-letter queue must be same type of queue as the source.");
        }
        let allow = dead_letters.attributes.redrive_allow.as_ref();
        if allow.is_some_and(|allow| !allow.allows(&key.arn("sqs"))) {
            return wrong(
                "The redrive allow policy of the dead-letter queue does not permit this source queue.",
            );
        }
        Ok(())
    }
}

fn contended() -> SqsError {
    SqsError::Unavailable("The queue is being changed by many requests at once; try again.".into())
}
