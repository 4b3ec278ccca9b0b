//! The catalog's SQLite file: tables, reading, and transactions of compare-and-set changes.
//!
//! Deliberately not here: what is in a record beyond its bytes, threads, the in-memory snapshot.

use std::path::Path;

use lambkin_model::catalog::Revision;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::OpenError;
use crate::kind::Kinds;
use crate::sqlite_file::{self, Layout};

const LAYOUT: Layout = Layout {
    // "lmbk".
    application: 0x6c6d_626b,
    version: 1,
    tables: TABLES,
    before: "",
};

/// `last_revision` outlives the records, so that no revision is ever given twice.
const TABLES: &str = "
    CREATE TABLE records (
        key TEXT NOT NULL PRIMARY KEY,
        revision INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE counter (
        id INTEGER NOT NULL PRIMARY KEY CHECK (id = 0),
        last_revision INTEGER NOT NULL
    ) STRICT;
    INSERT INTO counter VALUES (0, 0);
";

/// A write, as bytes: `body` is `None` where the record goes.
#[derive(Debug)]
pub(crate) struct Change {
    pub key: String,
    pub expected: Option<Revision>,
    pub body: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(crate) struct CatalogFile {
    connection: Connection,
    last_revision: u64,
}

impl CatalogFile {
    /// Opens or makes the file and reads every record into the snapshot of its kind. A file that is refused is
    /// left as it is.
    pub(crate) fn open(path: &Path, kinds: &Kinds) -> Result<Self, OpenError> {
        let refuse = |reason: String| OpenError::Catalog { path: path.to_owned(), reason };
        let failed = |error: rusqlite::Error| refuse(error.to_string());
        let connection = sqlite_file::open(path, &LAYOUT).map_err(refuse)?;
        let last_revision = connection
            .query_row("SELECT last_revision FROM counter", [], |row| row.get::<_, i64>(0))
            .map_err(failed)?;
        let last_revision =
            u64::try_from(last_revision).map_err(|_| refuse("its revision counter is negative".into()))?;
        read_records(&connection, path, kinds)?;
        Ok(Self { connection, last_revision })
    }

    /// Makes all the changes in one transaction, on disk when this answers: for each its new
    /// revision, or `None` where the record was not at the expected one. On an error, nothing changed
    /// (but see `is_passing`).
    pub(crate) fn apply<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change>,
    ) -> Result<Vec<Option<Revision>>, rusqlite::Error> {
        let mut last_revision = self.last_revision;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut answers = Vec::new();
        for change in changes {
            let next = last_revision + 1;
            let expected = change.expected.map(|revision| number(revision.0));
            let written = match (&change.body, expected) {
                (Some(body), Some(expected)) => transaction
                    .prepare_cached("UPDATE records SET revision = ?1, body = ?2 WHERE key = ?3 AND revision = ?4")?
                    .execute(params![number(next), body, change.key, expected])?,
                (Some(body), None) => transaction
                    .prepare_cached(
                        "INSERT INTO records (key, revision, body) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                    )?
                    .execute(params![change.key, number(next), body])?,
                (None, Some(expected)) => transaction
                    .prepare_cached("DELETE FROM records WHERE key = ?1 AND revision = ?2")?
                    .execute(params![change.key, expected])?,
                (None, None) => 0,
            };
            if written == 1 {
                last_revision = next;
                answers.push(Some(Revision(next)));
            } else {
                answers.push(None);
            }
        }
        if last_revision == self.last_revision {
            return Ok(answers);
        }
        transaction
            .prepare_cached("UPDATE counter SET last_revision = ?1")?
            .execute(params![number(last_revision)])?;
        transaction.commit()?;
        self.last_revision = last_revision;
        Ok(answers)
    }
}

/// SQLite's integers are signed. At a million writes a second the sign is 292,000 years away.
fn number(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn read_records(connection: &Connection, path: &Path, kinds: &Kinds) -> Result<(), OpenError> {
    let failed =
        |error: rusqlite::Error| OpenError::Catalog { path: path.to_owned(), reason: error.to_string() };
    let mut statement = connection.prepare("SELECT key, revision, body FROM records").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let key: String = row.get(0).map_err(failed)?;
        let revision: i64 = row.get(1).map_err(failed)?;
        let body = row.get_ref(2).map_err(failed)?.as_blob().map_err(|error| failed(error.into()))?;
        let refuse = |reason: String| OpenError::Record { path: path.to_owned(), key: key.clone(), reason };
        let kind = key.split_once('/').and_then(|(kind, _)| kinds.of(kind));
        let kind = kind.ok_or_else(|| refuse("it is of a kind that this lambkin does not know".into()))?;
        let revision = u64::try_from(revision).map_err(|_| refuse("its revision is negative".into()))?;
        kind.load(&key, Revision(revision), body).map_err(refuse)?;
    }
    Ok(())
}
