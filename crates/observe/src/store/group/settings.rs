//! What was decided about a group, as its directory has it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub(crate) const SETTINGS: &str = "group.json";
pub(super) const DAY: u64 = 24 * 60 * 60 * 1000;
const FORMAT: u32 = 1;

/// What was decided about a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    format: u32,
    name: String,
    /// In milliseconds since 1970.
    pub created: u64,
    /// Events older than so many days go; `None`: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// By key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// It is not deleted as long as this is set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deletion_protected: bool,
}

impl Settings {
    /// Of the group of this directory, which gets some where it has none; `name` and `now` are for those.
    pub(super) fn open(directory: &Path, name: &str, now: u64) -> io::Result<Self> {
        match fs::read(directory.join(SETTINGS)) {
            Ok(bytes) => {
                let settings: Self = serde_json::from_slice(&bytes)?;
                if settings.format > FORMAT {
                    return Err(io::Error::other("the log group was written by a newer lambkin"));
                }
                Ok(settings)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let settings = Self {
                    format: FORMAT,
                    name: name.to_owned(),
                    created: now,
                    retention_days: None,
                    tags: BTreeMap::new(),
                    deletion_protected: false,
                };
                settings.write(directory)?;
                Ok(settings)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        let beside = directory.join("group.new");
        fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
        fs::rename(beside, directory.join(SETTINGS))
    }

    /// Events before this are not shown any more.
    pub(crate) fn horizon(&self, now: u64) -> u64 {
        self.retention_days.map_or(0, |days| now.saturating_sub(u64::from(days) * DAY))
    }
}
