//! The catalog port on SQLite: reads from the snapshot in memory, writes through the one writer.
//!
//! Deliberately not here: the rules of what may follow what in a record; they live in `control`.

use std::sync::Arc;
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::name::FunctionKey;
use lambkin_model::record::ResourceKey;
use lambkin_model::version::PublishedVersion;

use crate::catalog_writer::CatalogWriter;
use crate::kind::{Heads, Of};
use crate::snapshot::Snapshot;

/// The catalog's heads and versions in a SQLite file, with their content in memory.
#[derive(Debug)]
pub struct SqliteCatalog {
    pub(crate) snapshot: Arc<Snapshot<Heads>>,
    pub(crate) versions: Arc<Snapshot<Of<PublishedVersion>>>,
    pub(crate) writer: Arc<CatalogWriter>,
}

impl SqliteCatalog {
    /// Finishes the queued writes and ends the writer; later writes, those of other kinds of records too, are
    /// answered `Unavailable`, reads go on. Blocking, for at most `deadline`; `false` where that was too short.
    #[must_use]
    pub fn close(&self, deadline: Duration) -> bool {
        self.writer.close(deadline)
    }
}

impl CatalogRead for SqliteCatalog {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        self.snapshot.get(key)
    }

    fn heads(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Head>>> {
        self.snapshot.list(account, region, after, limit)
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.snapshot.all()
    }

    fn version(&self, key: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>> {
        self.versions.get(key)
    }

    fn watch(&self, watcher: Watcher) {
        self.snapshot.watch(watcher);
    }
}

impl Catalog for SqliteCatalog {
    fn put(&self, expected: Option<Revision>, head: Head) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(self.writer.write(&self.snapshot, head.key.clone(), expected, Some(head)))
    }

    fn delete(&self, expected: Revision, key: FunctionKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(
            async move { self.writer.write(&self.snapshot, key, Some(expected), None).await.map(|_| ()) },
        )
    }

    fn put_version(&self, version: PublishedVersion) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(self.writer.write(&self.versions, version.key.clone(), None, Some(version)))
    }

    fn delete_version(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(
            async move { self.writer.write(&self.versions, key, Some(expected), None).await.map(|_| ()) },
        )
    }

    fn versions(&self) -> Vec<Arc<Stored<PublishedVersion>>> {
        self.versions.all()
    }
}
