//! Stores for many machines, on NATS JetStream 2.9 or later: records and queues of any number of processes, each
//! with a local snapshot that reads answer from. This is the proof that the ports fit, not the cluster itself.
//!
//! What a write answers is as durable as the server makes it: JetStream writes to its file at once and syncs it every
//! now and then, so it takes replicas on several machines to outlive the loss of power of one.
//!
//! Deliberately not here: who is in the cluster, and code; nothing of lambkin's binary uses it yet.

mod handle;
mod messages;
mod queue_view;
mod queues;
mod records;
mod table;

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;

pub use queues::NatsQueues;

use crate::kind::{Kind, Kinds};
use crate::queue_desk::LARGEST;
use records::{NatsCatalog, NatsRecords, Shelf};
use table::Table;

/// How long opening waits for the server and for what is in it.
const OPEN: Duration = Duration::from_secs(30);

/// Where the server is, and what is kept in it.
#[derive(Debug)]
pub struct NatsConfig {
    /// `nats://127.0.0.1:4222`.
    pub server: String,
    /// Begins the names of streams and buckets: letters, digits, `-` and `_`.
    pub prefix: String,
    /// Copies of each, on as many servers.
    pub replicas: usize,
    /// The kinds of records beside the catalog's own.
    pub kinds: Kinds,
}

/// Records and queues on NATS JetStream. To be dropped within a tokio runtime, whose tasks it has.
#[derive(Debug)]
pub struct NatsStore {
    kinds: Arc<Kinds>,
    records: Arc<Table>,
    queues: Arc<NatsQueues>,
}

impl NatsStore {
    /// Connects, makes what is not there, and waits until the snapshots have what is. Says why where it cannot.
    pub async fn open(config: NatsConfig) -> Result<Self, String> {
        let opening = Self::open_now(config);
        tokio::time::timeout(OPEN, opening).await.map_err(|_| "the NATS server does not answer in time")?
    }

    async fn open_now(config: NatsConfig) -> Result<Self, String> {
        let NatsConfig { server, prefix, replicas, kinds } = config;
        let client = async_nats::connect(&server).await.map_err(|error| format!("{server}: {error}"))?;
        let payload = client.server_info().max_payload;
        // Beside the content of a message there are its headers.
        if payload < LARGEST + 4096 {
            return Err(format!("{server} takes {payload} bytes a message; its max_payload must be 4 MB"));
        }
        let context = jetstream::new(client.clone());
        let kinds = Arc::new(kinds.with_catalog());
        let shelf = Arc::new(Shelf(Arc::clone(&kinds)));
        let bucket = format!("{prefix}-records");
        let records =
            Arc::new(Table::open(&client, &context, &bucket, replicas, Duration::ZERO, shelf).await?);
        let queues = Arc::new(NatsQueues::open(&client, &context, &prefix, replicas).await?);
        Ok(Self { kinds, records, queues })
    }

    fn of<K: Kind>(&self) -> Arc<NatsRecords<K>> {
        let snapshot = self.kinds.snapshot();
        let snapshot = snapshot.unwrap_or_else(|| panic!("the store was opened without {} records", K::KIND));
        Arc::new(NatsRecords { snapshot, table: Arc::clone(&self.records) })
    }

    /// The catalog.
    #[must_use]
    pub fn catalog(&self) -> Arc<impl lambkin_model::catalog::Catalog + use<>> {
        Arc::new(NatsCatalog { heads: self.of(), versions: self.of() })
    }

    /// The records of a kind.
    ///
    /// # Panics
    ///
    /// Where the store was opened without that kind.
    #[must_use]
    pub fn records<R: lambkin_model::record::Record>(
        &self,
    ) -> Arc<impl lambkin_model::record::Records<R> + use<R>> {
        self.of::<crate::kind::Of<R>>()
    }

    /// The queues.
    #[must_use]
    pub fn queues(&self) -> Arc<NatsQueues> {
        Arc::clone(&self.queues)
    }
}
