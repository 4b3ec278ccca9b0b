//! What was decided about a group, as its directory has it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
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
            Ok(bytes) => match serde_json::from_slice::<Self>(&bytes) {
                Ok(settings) if settings.format > FORMAT => {
                    Err(io::Error::other("the log group was written by a newer lambkin"))
                }
                Ok(settings) => Ok(settings),
                // Torn by others than lambkin: its events are worth more than what was decided about them.
                Err(error) => {
                    tracing::error!(group = name, %error, "a log group's settings cannot be read: it begins with none");
                    Self::begin(directory, name, now)
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::begin(directory, name, now),
            Err(error) => Err(error),
        }
    }

    fn begin(directory: &Path, name: &str, now: u64) -> io::Result<Self> {
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

    /// Unlike events these are there after a power cut too: they are few, and a group is nothing without them.
    pub(super) fn write(&self, directory: &Path) -> io::Result<()> {
        let beside = directory.join("group.new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_data()?;
        fs::rename(beside, directory.join(SETTINGS))
    }

    /// Events before this are not shown any more.
    pub(crate) fn horizon(&self, now: u64) -> u64 {
        self.retention_days.map_or(0, |days| now.saturating_sub(u64::from(days) * DAY))
    }
}
