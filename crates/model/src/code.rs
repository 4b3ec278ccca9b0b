//! Deployment packages: the port to where they are kept.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Pending;

/// SHA-256 of a deployment package: its identity.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeSha256(pub [u8; 32]);

impl CodeSha256 {
    /// Of these bytes.
    #[must_use]
    pub fn of(zip: &[u8]) -> Self {
        use sha2::Digest;
        Self(sha2::Sha256::digest(zip).into())
    }

    /// Of several packages laid over each other, in this order; of one it is that one's. `None`: of none.
    #[must_use]
    pub fn of_stack(packages: &[Self]) -> Option<Self> {
        match packages {
            [] => None,
            [one] => Some(*one),
            several => {
                let mut text = b"stack".to_vec();
                several.iter().for_each(|package| text.extend_from_slice(&package.0));
                Some(Self::of(&text))
            }
        }
    }

    /// Lower-case hex, for file names.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As AWS's `CodeSha256` has it.
    #[must_use]
    pub fn base64(&self) -> String {
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, self.0)
    }

    /// From lower-case hex.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Debug for CodeSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl Serialize for CodeSha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hex())
    }
}

impl<'de> Deserialize<'de> for CodeSha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_hex(&text).ok_or_else(|| serde::de::Error::custom("not a SHA-256 in hex"))
    }
}

/// A kept deployment package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Of the zip file.
    pub sha256: CodeSha256,
    /// Bytes of the zip file.
    pub size: u64,
    /// Packages of the AWS SDK that the code refers to and does not carry.
    pub sdk_packages: BTreeSet<String>,
    /// The directory that is the code as it is (`hot_code`); nothing is kept of it. Since format 4 of heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// What is in a kept deployment package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Bytes of its files, unzipped.
    pub unzipped: u64,
    /// It has an executable in `extensions/`: a layer's are external extensions.
    pub extensions: bool,
}

/// Why a deployment package was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Not a zip file, broken, or with entries that are not kept: a path outside of the package,
    /// a device, too many entries. The text says which, for the log; clients get AWS's words.
    #[error("{0}")]
    Unusable(String),
    /// Larger than 250 MB unzipped, counted as written.
    #[error("Unzipped size must be smaller than 262144000 bytes")]
    UnzippedTooLarge,
    /// The disk is full, or the store is closed.
    #[error("{0}")]
    Unavailable(String),
}

/// The read side: what the invoke path needs.
pub trait CodeRead: Send + Sync {
    /// The package's files, unpacked: the directory that is `LAMBDA_TASK_ROOT`.
    fn unpacked(&self, sha256: CodeSha256) -> Option<PathBuf>;
}

/// Port: where deployment packages are kept, by their SHA-256.
pub trait CodeStore: CodeRead {
    /// Checks, keeps (on disk when this answers) and unpacks a package. Safe to repeat.
    fn put(&self, zip: Bytes) -> Pending<'_, Result<Code, CodeError>>;

    /// Checks a package as `put` does and keeps nothing (`DryRun`).
    fn check(&self, zip: Bytes) -> Pending<'_, Result<(Code, Contents), CodeError>>;

    /// What is in a kept package.
    fn contents(&self, sha256: CodeSha256) -> Pending<'_, Result<Contents, CodeError>>;

    /// Lays kept packages over each other, later ones over earlier ones, and keeps that as
    /// [`CodeSha256::of_stack`] of them, unpacked only. Safe to repeat.
    fn stack(&self, packages: Vec<CodeSha256>) -> Pending<'_, Result<(), CodeError>>;

    /// The zip file itself.
    fn zip(&self, sha256: CodeSha256) -> Option<PathBuf>;

    /// Removes packages that are not in `keep` and were not in it at the calls of the last
    /// `grace` either (running invocations finish on the code they began with). Returns how many went.
    fn sweep(
        &self,
        keep: HashSet<CodeSha256>,
        grace: std::time::Duration,
    ) -> Pending<'_, Result<usize, CodeError>>;
}
