//! Amazon SNS as rules: what topics and subscriptions are, which attributes, names and messages they take, how
//! SNS words what it does not take, and what a subscriber is told.
//!
//! Deliberately not here: publishing (`events`), protocols (`api`), any clock.

mod arn;
mod error;
mod message;
mod notification;
mod subscription;
mod tags;
mod topic;

pub use arn::{parse_arn, subscription_key, topic_key};
pub use error::SnsError;
pub use message::{
    Message, OfferedAttribute, check_batch, check_group, check_message, check_subject, message_attribute,
    structured, typed,
};
pub use notification::Notification;
pub use subscription::{Protocol, Subscription, SubscriptionAttributes, check_endpoint};
pub use tags::{check_tags, merge_tags};
pub use topic::{Topic, TopicAttributes, check_topic_name};

/// Largest message, its attributes included, and largest batch together, in bytes: 256 KB.
pub const MESSAGE_BYTES: usize = 262_144;
/// Longest subject, in characters.
pub const SUBJECT_CHARACTERS: usize = 100;
/// Most entries of a batch.
pub const BATCH_ENTRIES: usize = 10;
/// Topics or subscriptions of one page of a list.
pub const PAGE: usize = 100;
/// Most topics of an account and region.
pub const TOPICS: usize = 100_000;
/// Most subscriptions of a topic. lambkin's own bound: a message goes to all of them in one write. AWS's is 12,500,000.
pub const SUBSCRIPTIONS: usize = 10_000;
/// Most filter policies of a topic.
pub const FILTER_POLICIES: usize = 200;
/// Largest request body, in bytes: 256 KB as a form encodes them. lambkin's own bound.
pub const REQUEST_BYTES: usize = 2 * 1024 * 1024;
/// Most tags of a topic.
pub const TAGS: usize = 50;

#[cfg(test)]
mod tests;
