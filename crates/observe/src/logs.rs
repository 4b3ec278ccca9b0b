//! CloudWatch Logs as rules over the log store: which groups, streams and events it takes, how it words what it does
//! not, and what pages and tokens are. Blocking.
//!
//! Deliberately not here: the wire (`api`), queries (`insights`).

mod batch;
mod error;
mod events;
mod groups;
mod streams;
mod tail;
mod token;

use std::io;
use std::sync::Arc;

pub use batch::{BATCH_BYTES, EVENT_BYTES, Put, Rejected};
pub use error::LogsError;
pub use events::{Events, Filtered, Get};
pub use groups::{GroupInfo, Named, RETENTIONS};
pub use tail::{Tail, Tailed};
pub use token::event_id;

use crate::log_store::LogStore;

/// Most events of a batch and of a page.
pub const EVENTS: usize = 10_000;
/// Most groups or streams of a page.
const PAGE: usize = 50;

/// A page of a listing, and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// In order.
    pub items: Vec<T>,
    /// For the next page; `None`: there is none.
    pub next: Option<String>,
}

/// CloudWatch Logs over a store.
#[derive(Debug, Clone)]
pub struct Logs {
    store: Arc<LogStore>,
}

type Result<T> = std::result::Result<T, LogsError>;

fn unavailable(error: &io::Error) -> LogsError {
    // Deleted while it was looked at.
    if error.kind() == io::ErrorKind::NotFound {
        return LogsError::GroupNotFound;
    }
    tracing::error!(%error, "the log store failed");
    LogsError::Unavailable(format!("The log store failed: {error}"))
}

impl Logs {
    /// Over this store.
    #[must_use]
    pub fn new(store: Arc<LogStore>) -> Self {
        Self { store }
    }

    pub(crate) fn store(&self) -> &LogStore {
        &self.store
    }
}
