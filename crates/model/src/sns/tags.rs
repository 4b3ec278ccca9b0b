//! Tags of topics.
//!
//! Deliberately not here: where they are kept.

use std::collections::BTreeMap;

use super::{SnsError, TAGS};

/// Tags as a request has them, without a key twice.
pub fn check_tags(tags: Vec<(String, String)>) -> Result<BTreeMap<String, String>, SnsError> {
    let count = tags.len();
    for (key, value) in &tags {
        let characters = key.chars().count();
        if !(1..=128).contains(&characters) || key.to_ascii_lowercase().starts_with("aws:") {
            return Err(SnsError::parameter("TagKey"));
        }
        if value.chars().count() > 256 {
            return Err(SnsError::parameter("TagValue"));
        }
    }
    let tags: BTreeMap<_, _> = tags.into_iter().collect();
    if tags.len() < count {
        return Err(SnsError::parameter("Duplicated keys are not allowed."));
    }
    if tags.len() > TAGS { Err(SnsError::TagLimitExceeded) } else { Ok(tags) }
}

/// Adds tags, or changes their values.
pub fn merge_tags(
    tags: &mut BTreeMap<String, String>,
    more: BTreeMap<String, String>,
) -> Result<(), SnsError> {
    tags.extend(more);
    if tags.len() > TAGS { Err(SnsError::TagLimitExceeded) } else { Ok(()) }
}
