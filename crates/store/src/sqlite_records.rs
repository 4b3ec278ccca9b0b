//! The records port on SQLite, for any kind: the file, the writer and the snapshot code of the heads.
//!
//! Deliberately not here: what the records say.

use std::fmt;
use std::sync::Arc;

use lambkin_model::Pending;
use lambkin_model::catalog::{CatalogError, Revision, Stored};
use lambkin_model::record::{Record, RecordWatcher, Records, ResourceKey};

use crate::catalog_writer::CatalogWriter;
use crate::kind::Of;
use crate::snapshot::Snapshot;

/// The records of one kind in the catalog's SQLite file, with their content in memory.
pub struct SqliteRecords<R: Record> {
    pub(crate) snapshot: Arc<Snapshot<Of<R>>>,
    pub(crate) writer: Arc<CatalogWriter>,
}

impl<R: Record> fmt::Debug for SqliteRecords<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRecords").field("kind", &R::KIND).finish_non_exhaustive()
    }
}

impl<R: Record> Records<R> for SqliteRecords<R> {
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
        Box::pin(self.writer.write(&self.snapshot, record.key().clone(), expected, Some(record)))
    }

    fn delete(&self, expected: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(
            async move { self.writer.write(&self.snapshot, key, Some(expected), None).await.map(|_| ()) },
        )
    }
}
