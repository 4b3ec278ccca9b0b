//! Objects in buckets: the port to where code can be taken from.
//!
//! Deliberately not here: what an object is used for, and directories that are code as they are (`hot_code`).

use bytes::Bytes;

use crate::Pending;

/// An object, as S3 names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// `S3Bucket`.
    pub bucket: String,
    /// `S3Key`.
    pub key: String,
    /// `S3ObjectVersion`.
    pub version: Option<String>,
}

impl ObjectName {
    /// The object's ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:s3:::{}/{}", self.bucket, self.key)
    }
}

/// Why an object could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// S3's own refusal, by its code.
    #[error("{code}: {message}")]
    Refused {
        /// `NoSuchKey`.
        code: String,
        /// Its text.
        message: String,
    },
    /// It is larger than was asked for.
    #[error("the object is too large")]
    TooLarge,
    /// There are no buckets, or they could not be reached.
    #[error("{0}")]
    Unavailable(String),
}

impl BucketError {
    /// S3's words.
    #[must_use]
    pub fn no_such_bucket() -> Self {
        Self::refused("NoSuchBucket", "The specified bucket does not exist")
    }

    /// S3's words.
    #[must_use]
    pub fn no_such_key() -> Self {
        Self::refused("NoSuchKey", "The specified key does not exist.")
    }

    /// S3's words.
    #[must_use]
    pub fn no_such_version() -> Self {
        Self::refused("NoSuchVersion", "The specified version does not exist.")
    }

    fn refused(code: &str, message: &str) -> Self {
        Self::Refused { code: code.into(), message: message.into() }
    }
}

/// Port: buckets.
pub trait Buckets: Send + Sync {
    /// An object's content, of at most `limit` bytes.
    fn get(&self, object: ObjectName, limit: u64) -> Pending<'_, Result<Bytes, BucketError>>;
}
