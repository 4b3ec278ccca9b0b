//! Where code comes from: the request itself, an object of a bucket, or a directory that is the code as it is.
//!
//! Deliberately not here: what a package is (the code store), and where buckets are.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::Error;
use lambkin_model::bucket::{BucketError, ObjectName};
use lambkin_model::code::{Code, CodeSha256};
use lambkin_model::hot_code::HOT_RELOAD;
use lambkin_model::quota;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Control;
use crate::function::code_error;
use crate::layer::CodeOf;

/// Objects that are in memory at once, and the longest wait of others.
const FETCHES: usize = 2;
const TURN: Duration = Duration::from_secs(60);

/// A bound on objects in memory.
pub(crate) struct Fetches(Semaphore);

impl Default for Fetches {
    fn default() -> Self {
        Self(Semaphore::new(FETCHES))
    }
}

/// What a request gives as its code.
#[derive(Debug, Clone)]
pub enum CodeSource {
    /// A zip file.
    Zip(Bytes),
    /// One in a bucket; of the bucket `hot-reload` a directory.
    Object(ObjectName),
}

impl Default for CodeSource {
    fn default() -> Self {
        Self::Zip(Bytes::new())
    }
}

impl Control {
    /// Keeps it. `dry_run`: looks at it only.
    pub(crate) async fn take(&self, source: CodeSource, dry_run: bool) -> Result<(Code, CodeOf), Error> {
        if let CodeSource::Object(object) = &source
            && object.bucket == HOT_RELOAD
        {
            let code = self.hot(object).await?;
            let of = CodeOf::of(&code);
            return Ok((code, of));
        }
        let (_turn, zip) = self.zip(source).await?;
        if dry_run {
            let (code, contents) = self.code.check(zip).await.map_err(code_error)?;
            return Ok((code, CodeOf::Checked(contents)));
        }
        let code = self.code.put(zip).await.map_err(code_error)?;
        let of = CodeOf::of(&code);
        Ok((code, of))
    }

    /// Keeps what must be a zip file.
    pub(crate) async fn take_zip(&self, source: CodeSource) -> Result<Code, Error> {
        if matches!(&source, CodeSource::Object(object) if object.bucket == HOT_RELOAD) {
            return Err(invalid("lambkin reloads the code of functions only, no layers.".into()));
        }
        self.take(source, false).await.map(|(code, _)| code)
    }

    async fn zip(&self, source: CodeSource) -> Result<(Option<SemaphorePermit<'_>>, Bytes), Error> {
        let object = match source {
            CodeSource::Zip(zip) => return Ok((None, zip)),
            CodeSource::Object(object) => object,
        };
        let Some(buckets) = &self.buckets else {
            return Err(invalid(
                "lambkin has no buckets. Start it with --buckets DIR or with an entry for s3 in --external FILE.".into(),
            ));
        };
        let turn = tokio::time::timeout(TURN, self.fetches.0.acquire()).await;
        let turn = turn.ok().and_then(Result::ok);
        let turn = turn.ok_or_else(|| Error::Service("lambkin is busy with other objects".into()))?;
        match buckets.get(object, quota::UNZIPPED_BYTES).await {
            Ok(zip) => Ok((Some(turn), zip)),
            Err(BucketError::Refused { code, message }) => Err(invalid(format!(
                "Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"
            ))),
            // What is larger zipped is larger unzipped.
            Err(BucketError::TooLarge) => {
                Err(invalid(format!("Unzipped size must be smaller than {} bytes", quota::UNZIPPED_BYTES)))
            }
            Err(BucketError::Unavailable(reason)) => Err(Error::Service(reason)),
        }
    }

    /// The object under the one name that it has: of the bucket `hot-reload` the directory's path without links.
    pub async fn named(&self, object: ObjectName) -> Result<ObjectName, Error> {
        if object.bucket != HOT_RELOAD {
            return Ok(object);
        }
        let code = self.hot(&object).await?;
        Ok(ObjectName { key: code.directory.unwrap_or_default(), ..object })
    }

    async fn hot(&self, object: &ObjectName) -> Result<Code, Error> {
        let Some(hot_code) = &self.hot_code else {
            return Err(invalid(
                "lambkin reloads code only of directories that its operator named with --hot-reload DIR."
                    .into(),
            ));
        };
        if object.version.is_some() {
            return Err(invalid("A directory has no versions (S3ObjectVersion).".into()));
        }
        let (directory, sdk_packages) = hot_code.look(PathBuf::from(&object.key)).await.map_err(invalid)?;
        let directory = directory.into_os_string().into_string();
        let directory = directory.map_err(|_| invalid("The directory's name is not UTF-8.".into()))?;
        let sha256 = CodeSha256::of(format!("{HOT_RELOAD}:{directory}").as_bytes());
        Ok(Code { sha256, size: 0, sdk_packages, directory: Some(directory) })
    }
}

/// A version never changes, and hot code does.
pub(crate) fn publishable(code: &Code) -> Result<(), Error> {
    match &code.directory {
        Some(directory) => Err(invalid(format!(
            "A version cannot be published of code that is reloaded as it changes ({directory})."
        ))),
        None => Ok(()),
    }
}

fn invalid(text: String) -> Error {
    Error::InvalidParameterValue(text)
}
