//! Where lambkin keeps what must outlive it: the catalog and the queues on SQLite, deployment packages as
//! files, Node.js's compile caches, and `Faulty<T>`, which fails on purpose. One data directory belongs to one process at a time.
//!
//! Deliberately not here: what the records mean (`control`), HTTP, processes, log events
//! (`observe`). Log lines never go into SQL rows.

mod catalog_file;
mod catalog_writer;
mod code_sweep;
mod directory_lock;
mod entry_path;
mod faulty;
mod file_code_store;
mod file_compile_caches;
mod hot_directories;
mod kind;
#[cfg(feature = "nats")]
mod nats;
mod package;
mod package_stack;
mod package_tree;
mod queue_clock;
mod queue_desk;
mod queue_file;
mod queue_lease;
mod queue_request;
mod queue_room;
mod queue_tally;
mod queue_writer;
mod sdk_references;
mod snapshot;
mod sqlite_catalog;
mod sqlite_file;
mod sqlite_queues;
mod sqlite_records;
mod symlink;
mod unpacker;
mod writer_thread;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use faulty::{Faulty, Plan};
pub use file_code_store::FileCodeStore;
pub use file_compile_caches::FileCompileCaches;
pub use hot_directories::HotDirectories;
pub use kind::Kinds;
#[cfg(feature = "nats")]
pub use nats::{NatsConfig, NatsQueues, NatsStore};
pub use queue_room::QueueConfig;
pub use sdk_references::sdk_references;
pub use sqlite_catalog::SqliteCatalog;
pub use sqlite_queues::SqliteQueues;
pub use sqlite_records::SqliteRecords;
pub use unpacker::{ANSWER_BYTES, Unpacker, unpack_here};

use catalog_writer::CatalogWriter;
use directory_lock::DirectoryLock;
use lambkin_model::record::Record;

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the directory.
    #[error(
        "{} is in use by another lambkin{}; stop it or give this one a directory of its own",
        directory.display(),
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The data directory.
        directory: PathBuf,
        /// Process id of the holder, where it could be read.
        holder: Option<u32>,
    },
    /// A file or directory could not be made, read or locked.
    #[error("{}: {source}", path.display())]
    Io {
        /// What could not be reached.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The catalog is not a catalog, is damaged, or was written by a newer lambkin.
    #[error("the catalog {} cannot be opened: {reason}", path.display())]
    Catalog {
        /// The catalog's file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The queues' file is not one, is damaged, or was written by a newer lambkin.
    #[error("the queues {} cannot be opened: {reason}", path.display())]
    Queues {
        /// The queues' file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A record of the catalog cannot be read. Nothing is dropped: lambkin does not start.
    #[error("the catalog {} has a record that cannot be read, {key}: {reason}", path.display())]
    Record {
        /// The catalog's file.
        path: PathBuf,
        /// The record's key.
        key: String,
        /// Why.
        reason: String,
    },
}

/// How a data directory is opened.
#[derive(Debug, Default)]
pub struct StoreConfig {
    /// The kinds of records beside the catalog's own.
    pub kinds: Kinds,
    /// Bounds of the queues.
    pub queues: QueueConfig,
    /// Who unpacks packages; without, the store itself does.
    pub unpacker: Option<Arc<dyn Unpacker>>,
}

/// An open data directory: its lock, its catalog, its deployment packages and its queues.
///
/// The lock is held until this and all that was handed out of it is dropped.
#[derive(Debug)]
pub struct Store {
    kinds: Kinds,
    writer: Arc<CatalogWriter>,
    catalog: Arc<SqliteCatalog>,
    code: Arc<FileCodeStore>,
    compile_caches: Arc<FileCompileCaches>,
    queues: Arc<SqliteQueues>,
}

impl Store {
    /// Locks and opens a data directory; makes it (readable by its owner alone) where there is none.
    ///
    /// What a process killed in the middle of `put` left behind is removed. Blocking.
    pub fn open(directory: &Path, config: StoreConfig) -> Result<Self, OpenError> {
        let lock = Arc::new(DirectoryLock::take(directory)?);
        let kinds = config.kinds.with_catalog();
        let writer =
            Arc::new(CatalogWriter::open(&directory.join("catalog.sqlite"), Arc::clone(&lock), &kinds)?);
        let snapshot = kinds.snapshot().expect("heads are registered above");
        let versions = kinds.snapshot().expect("versions are too");
        let catalog = Arc::new(SqliteCatalog { snapshot, versions, writer: Arc::clone(&writer) });
        let code =
            Arc::new(FileCodeStore::open(&directory.join("code"), Arc::clone(&lock), config.unpacker)?);
        let caches = FileCompileCaches::open(&directory.join("compile-caches"), Arc::clone(&lock))?;
        let compile_caches = Arc::new(caches);
        let queues = SqliteQueues::open(&directory.join("queues.sqlite"), config.queues, lock)?;
        Ok(Self { kinds, writer, catalog, code, compile_caches, queues: Arc::new(queues) })
    }

    /// The catalog.
    #[must_use]
    pub fn catalog(&self) -> Arc<SqliteCatalog> {
        Arc::clone(&self.catalog)
    }

    /// The records of a kind.
    ///
    /// # Panics
    ///
    /// Where the store was opened without that kind.
    #[must_use]
    pub fn records<R: Record>(&self) -> Arc<SqliteRecords<R>> {
        let snapshot = self.kinds.snapshot();
        let snapshot = snapshot.unwrap_or_else(|| panic!("the store was opened without {} records", R::KIND));
        Arc::new(SqliteRecords { snapshot, writer: Arc::clone(&self.writer) })
    }

    /// The deployment packages.
    #[must_use]
    pub fn code(&self) -> Arc<FileCodeStore> {
        Arc::clone(&self.code)
    }

    /// Node.js's compile caches.
    #[must_use]
    pub fn compile_caches(&self) -> Arc<FileCompileCaches> {
        Arc::clone(&self.compile_caches)
    }

    /// The queues.
    #[must_use]
    pub fn queues(&self) -> Arc<SqliteQueues> {
        Arc::clone(&self.queues)
    }

    /// Closes for writing: queued writes are finished, later ones are answered `Unavailable`;
    /// reads of catalog and packages go on. Blocking, for at most `deadline`; `false` where that was too
    /// short.
    #[must_use]
    pub fn close(&self, deadline: Duration) -> bool {
        let begun = Instant::now();
        self.code.close();
        let queues = self.queues.close(deadline);
        self.writer.close(deadline.saturating_sub(begun.elapsed())) && queues
    }
}
