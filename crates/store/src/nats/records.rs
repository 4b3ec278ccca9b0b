//! The catalog and records ports on a JetStream key-value bucket: a write is a compare-and-set at the server, and
//! answers once its change has come back into the snapshot.
//!
//! Deliberately not here: what the records say.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use lambkin_model::Pending;
use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::name::FunctionKey;
use lambkin_model::record::{Record, RecordWatcher, Records, ResourceKey};
use lambkin_model::version::PublishedVersion;

use super::table::{Follower, Table, WriteError};
use crate::kind::{Heads, Kind, Kinds, Of};
use crate::snapshot::Snapshot;

/// The snapshots of all kinds, as a table's follower.
pub(super) struct Shelf(pub(super) Arc<Kinds>);

impl Follower for Shelf {
    fn follow(&self, key: &str, revision: u64, value: Option<&Bytes>) -> Result<(), String> {
        let text = text_key(key).ok_or("it is no key of a record")?;
        let kind = text.split_once('/').and_then(|(kind, _)| self.0.of(kind));
        let kind = kind.ok_or("it is of a kind that this lambkin does not know")?;
        kind.follow(&text, Revision(revision), value.map(|value| &**value))
    }
}

/// A record's key as the bucket has it: no dot or slash of a name's counts.
fn bucket_key(text: &str) -> String {
    let parts: Vec<String> = text.splitn(4, '/').map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    parts.join(".")
}

fn text_key(key: &str) -> Option<String> {
    let part = |part: &str| String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    Some(key.split('.').map(part).collect::<Option<Vec<_>>>()?.join("/"))
}

/// The records of one kind.
#[derive(Debug)]
pub struct NatsRecords<K: Kind> {
    pub(super) snapshot: Arc<Snapshot<K>>,
    pub(super) table: Arc<Table>,
}

impl<K: Kind> NatsRecords<K> {
    async fn write(
        &self,
        key: &K::Key,
        expected: Option<Revision>,
        record: Option<K::Record>,
    ) -> Result<Revision, CatalogError> {
        let key = bucket_key(&K::text_key(key));
        let value = record.as_ref().map(|record| Bytes::from(K::encode(record)));
        let written = match (expected, value) {
            (None, Some(value)) => self.table.create(&key, value).await,
            (None, None) => return Err(CatalogError::Conflict),
            (Some(expected), value) => self.table.write(&key, value, expected.0).await,
        };
        let revision = written.map_err(|error| match error {
            WriteError::Conflict => CatalogError::Conflict,
            WriteError::Unavailable(reason) => CatalogError::Unavailable(reason),
        })?;
        self.table.seen(revision).await.map_err(CatalogError::Unavailable)?;
        Ok(Revision(revision))
    }
}

impl<R: Record> Records<R> for NatsRecords<Of<R>> {
    fn get(&self, key: &ResourceKey) -> Option<Arc<Stored<R>>> {
        self.snapshot.get(key)
    }

    fn list(&self, account: &str, region: &str, after: Option<&str>, limit: usize) -> Vec<Arc<Stored<R>>> {
        self.snapshot.list(account, region, after, limit)
    }

    fn all(&self) -> Vec<Arc<Stored<R>>> {
        self.snapshot.all()
    }

    fn watch(&self, watcher: RecordWatcher) {
        self.snapshot.watch(watcher);
    }

    fn put(&self, expected: Option<Revision>, record: R) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(async move { self.write(&record.key().clone(), expected, Some(record)).await })
    }

    fn delete(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(async move { self.write(&key, Some(expected), None).await.map(|_| ()) })
    }
}

/// Functions' heads and the bodies of their published versions. A bucket's changes come in their order, so that
/// every machine has a body before the head that names it.
#[derive(Debug)]
pub struct NatsCatalog {
    pub(super) heads: Arc<NatsRecords<Heads>>,
    pub(super) versions: Arc<NatsRecords<Of<PublishedVersion>>>,
}

impl CatalogRead for NatsCatalog {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        self.heads.snapshot.get(key)
    }

    fn heads(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Head>>> {
        self.heads.snapshot.list(account, region, after, limit)
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.heads.snapshot.all()
    }

    fn version(&self, key: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>> {
        self.versions.snapshot.get(key)
    }

    fn watch(&self, watcher: Watcher) {
        self.heads.snapshot.watch(watcher);
    }
}

impl Catalog for NatsCatalog {
    fn put(&self, expected: Option<Revision>, head: Head) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(async move { self.heads.write(&head.key.clone(), expected, Some(head)).await })
    }

    fn delete(&self, expected: Revision, key: FunctionKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(async move { self.heads.write(&key, Some(expected), None).await.map(|_| ()) })
    }

    fn put_version(&self, version: PublishedVersion) -> Pending<'_, Result<Revision, CatalogError>> {
        self.versions.put(None, version)
    }

    fn delete_version(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        self.versions.delete(expected, key)
    }

    fn versions(&self) -> Vec<Arc<Stored<PublishedVersion>>> {
        self.versions.all()
    }
}
