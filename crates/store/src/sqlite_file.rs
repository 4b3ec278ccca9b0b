//! What lambkin's SQLite files have in common: whether a file is ours and of a version that is known, its tables,
//! and which errors pass.
//!
//! Deliberately not here: any table.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

/// A kind of file.
pub(crate) struct Layout {
    /// SQLite's `application_id`.
    pub application: i64,
    /// Version of the tables, kept as SQLite's `user_version`.
    pub version: i64,
    /// Makes the tables.
    pub tables: &'static str,
    /// Settings that have to be made before there is a table.
    pub before: &'static str,
}

/// Opens or makes a file; says why where it is refused, and leaves it as it is then.
pub(crate) fn open(path: &Path, layout: &Layout) -> Result<Connection, String> {
    let text = |error: rusqlite::Error| error.to_string();
    let mut connection = Connection::open(path).map_err(text)?;
    // Someone may be looking into the file with SQLite's shell.
    connection.busy_timeout(Duration::from_secs(5)).map_err(text)?;
    let new = is_new(&connection, layout).map_err(text)??;
    if new {
        connection.execute_batch(layout.before).map_err(text)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(text)?;
    // In WAL mode only FULL syncs at each commit: "a write answers once it is on disk".
    connection.pragma_update(None, "synchronous", "FULL").map_err(text)?;
    if new {
        make_tables(&mut connection, layout).map_err(text)?;
    }
    Ok(connection)
}

/// Whether the same write may succeed later. After any other failure (the disk's own, above all)
/// it is not known what is on disk, and only opening the file again tells.
pub(crate) fn is_passing(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::TooBig
        )
    )
}

/// Whether the file is empty, or why it is none of ours.
fn is_new(connection: &Connection, layout: &Layout) -> Result<Result<bool, String>, rusqlite::Error> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let version = pragma("user_version")?;
    if version == 0 && tables == 0 {
        return Ok(Ok(true));
    }
    if version == 0 || pragma("application_id")? != layout.application {
        return Ok(Err("it is a database of another program".into()));
    }
    // Migrations of older tables begin here, when there are some.
    if version != layout.version {
        return Ok(Err(format!(
            "its tables are of version {version}, newer than this lambkin, which knows up to {}",
            layout.version
        )));
    }
    Ok(Ok(false))
}

/// In one transaction: a process killed in here leaves an empty file, which is new again.
fn make_tables(connection: &mut Connection, layout: &Layout) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(layout.tables)?;
    transaction.pragma_update(None, "application_id", layout.application)?;
    transaction.pragma_update(None, "user_version", layout.version)?;
    transaction.commit()
}
