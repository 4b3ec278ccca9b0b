//! Log groups: made, listed, changed and deleted.

use std::collections::BTreeMap;

use super::{Listed, Logs, LogsError, PAGE, Result, token, unavailable};
use crate::store::group::{GroupKey, Settings};

/// Most tags of a group.
const TAGS: usize = 50;
/// The retentions that AWS has, in days.
pub const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// A group as it is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInfo {
    /// Which.
    pub key: GroupKey,
    /// What was decided about it.
    pub settings: Settings,
    /// Bytes of its messages.
    pub stored_bytes: u64,
}

/// The groups that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// Whose names begin so.
    Prefix(&'a str),
    /// Whose names have this in them, in any case.
    Part(&'a str),
    /// These.
    Names(&'a [String]),
}

impl Logs {
    /// `CreateLogGroup`.
    pub fn create_group(
        &self,
        key: &GroupKey,
        tags: BTreeMap<String, String>,
        protected: bool,
    ) -> Result<()> {
        if tags.len() > TAGS {
            return Err(LogsError::TooManyTags);
        }
        if !self.store.create_group(key).map_err(|error| unavailable(&error))? {
            return Err(LogsError::AlreadyExists("The specified log group already exists"));
        }
        self.set(key, |settings| {
            settings.tags = tags;
            settings.deletion_protected = protected;
        })
    }

    /// `DeleteLogGroup`.
    pub fn delete_group(&self, key: &GroupKey) -> Result<()> {
        if self.settings(key)?.deletion_protected {
            return Err(LogsError::Validation("The log group is protected from deletion".into()));
        }
        match self.store.delete_group(key) {
            Ok(true) => Ok(()),
            Ok(false) => Err(LogsError::GroupNotFound),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// `DescribeLogGroups`.
    pub fn groups(
        &self,
        account: &str,
        region: &str,
        named: Named<'_>,
        limit: Option<usize>,
        token: Option<&str>,
    ) -> Result<Listed<GroupInfo>> {
        let mut keys = match named {
            Named::Prefix(prefix) => self.store.groups(account, region, prefix),
            Named::Part(_) | Named::Names(_) => self.store.groups(account, region, ""),
        };
        match named {
            Named::Prefix(_) => {}
            Named::Part(part) => {
                let part = part.to_lowercase();
                keys.retain(|key| key.name.to_lowercase().contains(&part));
            }
            Named::Names(names) => keys.retain(|key| names.iter().any(|name| **name == *key.name)),
        }
        if let Some(after) = token {
            let after = token::read_text(after)?;
            keys.retain(|key| *key.name > *after);
        }
        let limit = limit.unwrap_or(PAGE);
        let more = keys.len() > limit;
        keys.truncate(limit);
        let next = keys.last().filter(|_| more).map(|last| token::text(&last.name));
        let mut items = Vec::new();
        for key in keys {
            // Deleted meanwhile: it is none.
            if let Some((settings, stored_bytes)) =
                self.store.describe(&key).map_err(|error| unavailable(&error))?
            {
                items.push(GroupInfo { key, settings, stored_bytes });
            }
        }
        Ok(Listed { items, next })
    }

    /// A group's settings.
    pub fn settings(&self, key: &GroupKey) -> Result<Settings> {
        let described = self.store.describe(key).map_err(|error| unavailable(&error))?;
        described.map(|(settings, _)| settings).ok_or(LogsError::GroupNotFound)
    }

    fn set(&self, key: &GroupKey, change: impl FnOnce(&mut Settings)) -> Result<()> {
        match self.store.set(key, change) {
            Ok(true) => Ok(()),
            Ok(false) => Err(LogsError::GroupNotFound),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// `PutRetentionPolicy` and `DeleteRetentionPolicy`.
    pub fn set_retention(&self, key: &GroupKey, days: Option<u32>) -> Result<()> {
        if let Some(days) = days.filter(|days| !RETENTIONS.contains(days)) {
            let values = RETENTIONS.map(|days| days.to_string()).join(", ");
            return Err(LogsError::InvalidParameter(format!(
                "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member \
                 must satisfy enum value set: [{values}]"
            )));
        }
        self.set(key, |settings| settings.retention_days = days)
    }

    /// `PutLogGroupDeletionProtection`.
    pub fn protect(&self, key: &GroupKey, protected: bool) -> Result<()> {
        self.set(key, |settings| settings.deletion_protected = protected)
    }

    /// `TagResource` and `TagLogGroup`.
    pub fn tag(&self, key: &GroupKey, tags: BTreeMap<String, String>) -> Result<()> {
        let mut all = self.settings(key)?.tags;
        all.extend(tags);
        if all.len() > TAGS {
            return Err(LogsError::TooManyTags);
        }
        self.set(key, |settings| settings.tags = all)
    }

    /// `UntagResource` and `UntagLogGroup`.
    pub fn untag(&self, key: &GroupKey, names: &[String]) -> Result<()> {
        self.set(key, |settings| settings.tags.retain(|name, _| !names.contains(name)))
    }
}
