//! Access keys: what a caller signs with, and what it may do. The port says which there are now.
//!
//! Deliberately not here: signatures, and where keys are kept.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::policy::Document;
use crate::time::Timestamp;

/// One key. Its serde form, secret and all, is what is on disk: whoever verifies must sign again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `AKIA` and sixteen more.
    pub id: String,
    /// What is signed with.
    pub secret: String,
    /// Whose it is: the user's name in ARNs.
    pub name: String,
    /// Whose account that user is of, where it is not the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What it may do; without any: everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Document>,
    /// When it was made.
    pub created: Timestamp,
}

impl Key {
    /// Its user's account, to a server of this one.
    #[must_use]
    pub fn account<'k>(&'k self, servers: &'k str) -> &'k str {
        self.account.as_deref().unwrap_or(servers)
    }

    /// The ARN of the user who has it.
    #[must_use]
    pub fn arn(&self, servers: &str) -> String {
        format!("arn:aws:iam::{}:user/{}", self.account(servers), self.name)
    }
}

/// Never says the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// The keys that are good at one moment.
#[derive(Debug, Default)]
pub struct KeyRing(HashMap<String, Arc<Key>>);

impl KeyRing {
    /// The key of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Key>> {
        self.0.get(id)
    }

    /// Whether no request can be signed so that it passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Key> for KeyRing {
    fn from_iter<T: IntoIterator<Item = Key>>(keys: T) -> Self {
        Self(keys.into_iter().map(|key| (key.id.clone(), Arc::new(key))).collect())
    }
}

/// Port: the keys as they are now. Asked at each request, it must be quick.
pub trait Keys: fmt::Debug + Send + Sync {
    /// `None`: signatures are not verified. A ring without keys: none is good.
    fn ring(&self) -> Option<Arc<KeyRing>>;
}

/// Where signatures are never verified.
#[derive(Debug, Clone, Copy)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn ring(&self) -> Option<Arc<KeyRing>> {
        None
    }
}
