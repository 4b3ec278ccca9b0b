//! Where buckets are: the directories of `--buckets DIR`, and what an entry of `--external` for s3 leads to. A bucket that is
//! a directory is the one that is meant.
//!
//! Deliberately not here: signed requests (`external`), and directories that are code as they are (`lambkin_store`).

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use lambkin_model::Pending;
use lambkin_model::bucket::{BucketError, Buckets, ObjectName};

use crate::external::Couriers;

/// All that there are.
#[derive(Clone)]
pub(crate) struct Sources {
    directory: Option<PathBuf>,
    elsewhere: Option<Arc<Couriers>>,
}

impl Sources {
    /// `None`: there are none.
    pub(crate) fn new(
        directory: Option<PathBuf>,
        couriers: Option<Arc<Couriers>>,
    ) -> Result<Option<Self>, String> {
        if let Some(directory) = directory.as_ref().filter(|directory| !directory.is_dir()) {
            return Err(format!("{} is not a directory (--buckets)", directory.display()));
        }
        let elsewhere = couriers.filter(|couriers| couriers.has_buckets());
        Ok((directory.is_some() || elsewhere.is_some()).then_some(Self { directory, elsewhere }))
    }

    fn read(&self, object: &ObjectName, limit: u64) -> Result<Bytes, BucketError> {
        // What answers elsewhere may take them for steps, to an object that nobody was allowed.
        if object.key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(BucketError::no_such_key());
        }
        let named = self.directory.as_deref().filter(|_| !object.bucket.contains('/'));
        let bucket = named.and_then(|directory| child(directory, &object.bucket));
        match (bucket.filter(|bucket| bucket.is_dir()), &self.elsewhere) {
            (Some(bucket), _) => read(&bucket, object, limit),
            (None, Some(couriers)) => couriers.object(object, limit),
            (None, None) => Err(BucketError::no_such_bucket()),
        }
    }
}

impl Buckets for Sources {
    fn get(&self, object: ObjectName, limit: u64) -> Pending<'_, Result<Bytes, BucketError>> {
        let sources = self.clone();
        Box::pin(async move {
            // As long as the agent's own timeouts at the most.
            let read = tokio::task::spawn_blocking(move || sources.read(&object, limit));
            read.await.map_err(|error| BucketError::Unavailable(error.to_string()))?
        })
    }
}

/// What has this name, which nothing else has: a right is given to a name.
fn child(directory: &Path, name: &str) -> Option<PathBuf> {
    let plain = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    (plain && !name.contains('\0')).then(|| directory.join(name))
}

/// A file below a bucket's directory; links that lead out of it lead nowhere.
fn read(bucket: &Path, object: &ObjectName, limit: u64) -> Result<Bytes, BucketError> {
    if object.version.is_some() {
        return Err(BucketError::no_such_version());
    }
    let unavailable = |error: std::io::Error| BucketError::Unavailable(format!("{}: {error}", object.arn()));
    let bucket = fs::canonicalize(bucket).map_err(unavailable)?;
    let file = child(&bucket, &object.key).and_then(|path| fs::canonicalize(path).ok());
    let file = file.filter(|file| file.starts_with(&bucket) && file.is_file());
    let file = file.ok_or_else(BucketError::no_such_key)?;
    let mut content = Vec::new();
    let read = File::open(file).and_then(|file| file.take(limit + 1).read_to_end(&mut content));
    read.map_err(unavailable)?;
    if content.len() as u64 > limit { Err(BucketError::TooLarge) } else { Ok(content.into()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_of_buckets_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        fs::create_dir_all(at("buckets/b/deep")).unwrap();
        for path in ["secret", "buckets/loose", "buckets/b/a.zip", "buckets/b/deep/c d.zip"] {
            fs::write(at(path), path).unwrap();
        }
        symlink(at("secret"), at("buckets/b/out")).unwrap();
        symlink("a.zip", at("buckets/b/in")).unwrap();
        let sources = Sources::new(Some(at("buckets")), None).unwrap().unwrap();
        let name =
            |bucket: &str, key: &str| ObjectName { bucket: bucket.into(), key: key.into(), version: None };
        let (bucket, key) = (BucketError::no_such_bucket(), BucketError::no_such_key());
        for (object, expected) in [
            (name("b", "a.zip"), Ok("buckets/b/a.zip")),
            (name("b", "in"), Ok("buckets/b/a.zip")),
            (name("b", "deep/c d.zip"), Ok("buckets/b/deep/c d.zip")),
            (name("b", "deep"), Err(&key)),
            (name("b", "missing"), Err(&key)),
            (name("b", "out"), Err(&key)),
            (name("b", "../loose"), Err(&key)),
            (name("b", "deep/../a.zip"), Err(&key)),
            (name("b", "./a.zip"), Err(&key)),
            (name("b", "deep/./c d.zip"), Err(&key)),
            (name("b", "deep//c d.zip"), Err(&key)),
            (name("b", "a.zip/"), Err(&key)),
            (name("b/deep", "c d.zip"), Err(&bucket)),
            (name("b", "/etc/passwd"), Err(&key)),
            (name("b", "a\0"), Err(&key)),
            (name("..", "secret"), Err(&bucket)),
            (name("loose", "a"), Err(&bucket)),
            (name("no", "a"), Err(&bucket)),
        ] {
            let found = sources.read(&object, 100);
            assert_eq!(found, expected.map(Bytes::from).map_err(Clone::clone), "{object:?}");
        }
        let object = name("b", "a.zip");
        assert_eq!(sources.read(&object, 14), Err(BucketError::TooLarge));
        assert!(sources.read(&object, 15).is_ok());
        let version = ObjectName { version: Some("1".into()), ..object };
        assert_eq!(sources.read(&version, 100), Err(BucketError::no_such_version()));
        assert!(Sources::new(None, None).unwrap().is_none());
        assert!(Sources::new(Some(at("missing")), None).is_err());
    }
}
