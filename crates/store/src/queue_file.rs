//! The queues' SQLite file: tables, transactions, and each statement that is run on them.
//!
//! A message's row and its content are apart, so that a lease rewrites some hundred bytes and not the content.
//! What a message's deletion frees is used again; when the file has been idle, free pages at its end are given
//! back to the disk (`auto_vacuum = INCREMENTAL`), so that a drained backlog leaves a small file.
//!
//! Deliberately not here: what a lease or a lane is, and whatever is kept in memory.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lambkin_model::queue::MessageId;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::OpenError;
use crate::sqlite_file::{self, Layout};

const LAYOUT: Layout = Layout {
    // "lmbq".
    application: 0x6c6d_6271,
    version: 1,
    tables: TABLES,
    before: "PRAGMA auto_vacuum = INCREMENTAL",
};

/// Times are microseconds since 1970. `queue.name` is null once it is purged: its messages are nobody's and go
/// in pieces. `message.due` is when it can be received, null while it waits behind others of its lane; `ready` is
/// when its own delay or lease ends, the latter where
/// `receipt` is above 0; below it is the last one, which is over. `moved` marks a message that was first
/// sent before one that is ahead of it. `counter.sequence` is beyond any number given, `epoch` counts openings.
const TABLES: &str = "
    CREATE TABLE counter (
        id INTEGER NOT NULL PRIMARY KEY CHECK (id = 0),
        sequence INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        clock INTEGER NOT NULL
    ) STRICT;
    INSERT INTO counter VALUES (0, 1, 0, 0);
    CREATE TABLE queue (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE) STRICT;
    CREATE TABLE message (
        queue INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        due INTEGER,
        ready INTEGER NOT NULL,
        receipt INTEGER NOT NULL,
        received INTEGER NOT NULL,
        first_received INTEGER NOT NULL,
        sent INTEGER NOT NULL,
        moved INTEGER NOT NULL,
        mark INTEGER NOT NULL,
        id BLOB NOT NULL,
        lane TEXT,
        PRIMARY KEY (queue, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX message_due ON message (queue, due, seq) WHERE due IS NOT NULL;
    CREATE INDEX message_lane ON message (queue, lane, seq) WHERE lane IS NOT NULL;
    CREATE INDEX message_lane_lease ON message (queue, lane, ready) WHERE lane IS NOT NULL AND receipt > 0;
    CREATE INDEX message_moved ON message (queue, sent, seq) WHERE moved = 1;
    CREATE TABLE content (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE deduplication (
        queue INTEGER NOT NULL,
        text TEXT NOT NULL,
        seq INTEGER NOT NULL,
        id BLOB NOT NULL,
        until INTEGER NOT NULL,
        PRIMARY KEY (queue, text)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX deduplication_until ON deduplication (until);
";

/// SQLite's page cache in KiB: all the memory that a long queue costs.
const CACHE: i64 = 16 << 10;
/// Pages after which the write-ahead log is copied into the file and begun anew: 16 MiB.
const CHECKPOINT: i64 = 4096;

/// A message as it stands in the file, without its content.
#[derive(Debug, Clone)]
pub(crate) struct MessageRow {
    pub seq: i64,
    pub due: Option<i64>,
    pub ready: i64,
    pub receipt: i64,
    pub received: u32,
    pub first_received: i64,
    pub sent: i64,
    pub mark: u32,
    pub id: MessageId,
    pub lane: Option<Arc<str>>,
}

impl MessageRow {
    /// Whether its lease lasts at this time.
    pub(crate) fn is_leased(&self, now: i64) -> bool {
        self.receipt > 0 && self.ready > now
    }
}

/// What is known of a deduplication id.
pub(crate) struct Remembered {
    pub seq: i64,
    pub id: MessageId,
    pub until: i64,
}

/// The columns that `message` reads.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT m.seq, m.due, m.ready, m.receipt, m.received, m.first_received, m.sent, m.mark, m.id, m.lane",
            $rest
        )
    };
}

type Outcome<T> = Result<T, rusqlite::Error>;

pub(crate) struct QueueFile {
    connection: Connection,
    durable: bool,
}

impl QueueFile {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let refuse = |reason: String| OpenError::Queues { path: path.to_owned(), reason };
        let connection = sqlite_file::open(path, &LAYOUT).map_err(refuse)?;
        let set = |name, value| connection.pragma_update(None, name, value);
        set("cache_size", -CACHE)
            .and_then(|()| set("wal_autocheckpoint", CHECKPOINT))
            .map_err(|error| refuse(error.to_string()))?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection, durable: true })
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Outcome<usize> {
        self.connection.prepare_cached(sql)?.execute(values)
    }

    fn number(&self, sql: &str) -> Outcome<i64> {
        self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))
    }

    /// Begins a transaction; its commit is synced where it is durable. One that is not makes no sync, and is
    /// on disk with the next that is.
    pub(crate) fn begin(&mut self, durable: bool) -> Outcome<()> {
        if durable != self.durable {
            let level = if durable { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            self.connection.prepare_cached(level)?.execute([])?;
            self.durable = durable;
        }
        self.run("BEGIN", []).map(|_| ())
    }

    pub(crate) fn commit(&self) -> Outcome<()> {
        self.run("COMMIT", []).map(|_| ())
    }

    /// SQLite has rolled back by itself after some errors.
    pub(crate) fn roll_back(&self) -> Outcome<()> {
        if self.connection.is_autocommit() { Ok(()) } else { self.run("ROLLBACK", []).map(|_| ()) }
    }

    /// Bytes of the file that are in use.
    pub(crate) fn used(&self) -> Outcome<u64> {
        let pages = self.number("PRAGMA page_count")? - self.number("PRAGMA freelist_count")?;
        Ok(u64::try_from(pages * self.number("PRAGMA page_size")?).unwrap_or(0))
    }

    /// Gives up to so many free pages back to the disk, where more than `keep` are free; says whether.
    pub(crate) fn shrink(&self, keep: u32, pages: u32) -> Outcome<bool> {
        if self.number("PRAGMA freelist_count")? <= i64::from(keep) {
            return Ok(false);
        }
        // The pragma frees one page at a step.
        let mut statement = self.connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(true)
    }

    /// Copies the write-ahead log into the file.
    pub(crate) fn checkpoint(&self) -> Outcome<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Counts an opening. Answers its number, a sequence number beyond all given, and the last time that was noted.
    pub(crate) fn enter(&self) -> Outcome<(i64, i64, i64)> {
        self.run("UPDATE counter SET epoch = epoch + 1", [])?;
        self.connection.query_row("SELECT epoch, sequence, clock FROM counter", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
    }

    pub(crate) fn set_sequence(&self, sequence: i64) -> Outcome<usize> {
        self.run("UPDATE counter SET sequence = ?1", [sequence])
    }

    pub(crate) fn set_clock(&self, clock: i64) -> Outcome<usize> {
        self.run("UPDATE counter SET clock = ?1", [clock])
    }

    /// Each queue's id, and its name where it was not purged.
    pub(crate) fn queues(&self) -> Outcome<Vec<(i64, Option<Arc<str>>)>> {
        let mut statement = self.connection.prepare_cached("SELECT id, name FROM queue ORDER BY id")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    pub(crate) fn make_queue(&self, name: &str) -> Outcome<i64> {
        self.run("INSERT INTO queue (name) VALUES (?1)", [name])?;
        Ok(self.connection.last_insert_rowid())
    }

    pub(crate) fn unname_queue(&self, queue: i64) -> Outcome<usize> {
        self.run("UPDATE queue SET name = NULL WHERE id = ?1", [queue])
    }

    /// Removes a queue that has no message and no deduplication id.
    pub(crate) fn remove_queue(&self, queue: i64) -> Outcome<usize> {
        self.run(
            "DELETE FROM queue WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM message WHERE queue = ?1)
             AND NOT EXISTS (SELECT 1 FROM deduplication WHERE queue = ?1)",
            [queue],
        )
    }

    /// Of each queue, how many messages there are and how many of them are not ready at this time.
    pub(crate) fn totals(&self, now: i64) -> Outcome<Vec<(i64, u64, u64)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT queue, count(*), count(*) FILTER (WHERE ready > ?1) FROM message GROUP BY queue",
        )?;
        let rows = statement.query_map([now], |row| Ok((row.get(0)?, count(row, 1)?, count(row, 2)?)))?;
        rows.collect()
    }

    /// When leases and delays of a queue end: the time, whether it is a lease, how many.
    pub(crate) fn ends(&self, queue: i64, now: i64) -> Outcome<Vec<(i64, bool, u64)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT ready, receipt > 0, count(*) FROM message WHERE queue = ?1 AND ready > ?2 GROUP BY 1, 2",
        )?;
        let rows = statement.query_map([queue, now], |row| Ok((row.get(0)?, row.get(1)?, count(row, 2)?)))?;
        rows.collect()
    }

    pub(crate) fn insert(&self, queue: i64, row: &MessageRow, moved: bool, body: &[u8]) -> Outcome<()> {
        self.run(
            "INSERT INTO message VALUES (?1, ?2, ?3, ?4, 0, 0, 0, ?5, ?6, ?7, ?8, ?9)",
            params![queue, row.seq, row.due, row.ready, row.sent, moved, row.mark, row.id.0, row.lane],
        )?;
        self.run("INSERT INTO content VALUES (?1, ?2)", params![row.seq, body]).map(|_| ())
    }

    /// Whether there was one.
    pub(crate) fn delete(&self, queue: i64, seq: i64) -> Outcome<bool> {
        let found = self.run("DELETE FROM message WHERE queue = ?1 AND seq = ?2", [queue, seq])? == 1;
        if found {
            self.run("DELETE FROM content WHERE seq = ?1", [seq])?;
        }
        Ok(found)
    }

    pub(crate) fn message(&self, queue: i64, seq: i64) -> Outcome<Option<MessageRow>> {
        let mut statement =
            self.connection.prepare_cached(select!(" FROM message m WHERE queue = ?1 AND seq = ?2"))?;
        statement.query_row([queue, seq], message).optional()
    }

    pub(crate) fn body(&self, seq: i64) -> Outcome<Bytes> {
        let mut statement = self.connection.prepare_cached("SELECT body FROM content WHERE seq = ?1")?;
        statement.query_row([seq], |row| body(row, 0))
    }

    /// Messages of a queue that are due, behind a place in the order of due times.
    pub(crate) fn due(
        &self,
        queue: i64,
        after: (i64, i64),
        now: i64,
        limit: usize,
    ) -> Outcome<Vec<MessageRow>> {
        let mut statement = self.connection.prepare_cached(select!(
            " FROM message m INDEXED BY message_due
              WHERE queue = ?1 AND (due, seq) > (?2, ?3) AND due <= ?4 ORDER BY due, seq LIMIT ?5"
        ))?;
        let rows = statement.query_map(params![queue, after.0, after.1, now, length(limit)], message)?;
        rows.collect()
    }

    /// When the next message becomes due.
    pub(crate) fn next_due(&self, queue: i64, now: i64) -> Outcome<Option<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT due FROM message INDEXED BY message_due
             WHERE queue = ?1 AND due > ?2 ORDER BY due LIMIT 1",
        )?;
        statement.query_row([queue, now], |row| row.get(0)).optional()
    }

    /// The first messages of a lane behind `after`.
    pub(crate) fn lane(&self, queue: i64, lane: &str, after: i64, limit: usize) -> Outcome<Vec<MessageRow>> {
        let mut statement = self.connection.prepare_cached(select!(
            " FROM message m INDEXED BY message_lane
              WHERE queue = ?1 AND lane = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4"
        ))?;
        let rows = statement.query_map(params![queue, lane, after, length(limit)], message)?;
        rows.collect()
    }

    /// When the last lease of a lane ends or ended.
    pub(crate) fn lane_lease(&self, queue: i64, lane: &str) -> Outcome<Option<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT ready FROM message INDEXED BY message_lane_lease
             WHERE queue = ?1 AND lane = ?2 AND receipt > 0 ORDER BY ready DESC LIMIT 1",
        )?;
        statement.query_row(params![queue, lane], |row| row.get(0)).optional()
    }

    /// Messages in order of their places, behind `after`.
    pub(crate) fn places(&self, queue: i64, after: i64, limit: usize) -> Outcome<Vec<MessageRow>> {
        let mut statement = self
            .connection
            .prepare_cached(select!(" FROM message m WHERE queue = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"))?;
        let rows = statement.query_map(params![queue, after, length(limit)], message)?;
        rows.collect()
    }

    /// Moved messages first sent before `then`, in the order of that, behind `after`.
    pub(crate) fn moved(
        &self,
        queue: i64,
        after: (i64, i64),
        then: i64,
        limit: usize,
    ) -> Outcome<Vec<MessageRow>> {
        let mut statement = self.connection.prepare_cached(select!(
            " FROM message m INDEXED BY message_moved
              WHERE queue = ?1 AND moved = 1 AND (sent, seq) > (?2, ?3) AND sent < ?4
              ORDER BY sent, seq LIMIT ?5"
        ))?;
        let rows = statement.query_map(params![queue, after.0, after.1, then, length(limit)], message)?;
        rows.collect()
    }

    /// When the oldest message of a queue was first sent. Whatever is behind the first place is younger than that
    /// one, or moved.
    pub(crate) fn oldest(&self, queue: i64) -> Outcome<Option<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT min(sent) FROM (
                SELECT sent FROM (SELECT sent FROM message WHERE queue = ?1 ORDER BY seq LIMIT 1)
                UNION ALL
                SELECT sent FROM (SELECT sent FROM message INDEXED BY message_moved
                    WHERE queue = ?1 AND moved = 1 ORDER BY sent LIMIT 1)
            )",
        )?;
        statement.query_row([queue], |row| row.get(0))
    }

    pub(crate) fn set_due(&self, queue: i64, seq: i64, due: i64) -> Outcome<usize> {
        self.run("UPDATE message SET due = ?3 WHERE queue = ?1 AND seq = ?2", [queue, seq, due])
    }

    /// Writes what leases, releases and their like change of a message.
    pub(crate) fn update(&self, queue: i64, row: &MessageRow) -> Outcome<usize> {
        self.run(
            "UPDATE message SET due = ?3, ready = ?4, receipt = ?5, received = ?6, first_received = ?7, mark = ?8
             WHERE queue = ?1 AND seq = ?2",
            params![
                queue,
                row.seq,
                row.due,
                row.ready,
                row.receipt,
                row.received,
                row.first_received,
                row.mark
            ],
        )
    }

    pub(crate) fn remembered(&self, queue: i64, text: &str) -> Outcome<Option<Remembered>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq, id, until FROM deduplication WHERE queue = ?1 AND text = ?2")?;
        let remembered =
            |row: &Row<'_>| Ok(Remembered { seq: row.get(0)?, id: id(row, 1)?, until: row.get(2)? });
        statement.query_row(params![queue, text], remembered).optional()
    }

    pub(crate) fn remember(&self, queue: i64, text: &str, what: &Remembered) -> Outcome<usize> {
        self.run(
            "INSERT OR REPLACE INTO deduplication VALUES (?1, ?2, ?3, ?4, ?5)",
            params![queue, text, what.seq, what.id.0, what.until],
        )
    }

    /// Forgets up to so many deduplication ids whose time is over; says how many.
    pub(crate) fn forget(&self, now: i64, limit: usize) -> Outcome<usize> {
        self.run(
            "DELETE FROM deduplication WHERE (queue, text) IN
                (SELECT queue, text FROM deduplication WHERE until <= ?1 ORDER BY until LIMIT ?2)",
            params![now, length(limit)],
        )
    }

    /// Removes up to `limit` messages and as many deduplication ids of a queue; whether any is left.
    pub(crate) fn clear(&self, queue: i64, limit: usize) -> Outcome<bool> {
        self.run(
            "DELETE FROM content WHERE seq IN (SELECT seq FROM message WHERE queue = ?1 ORDER BY seq LIMIT ?2)",
            params![queue, length(limit)],
        )?;
        let messages = self.run(
            "DELETE FROM message WHERE queue = ?1 AND seq IN
                (SELECT seq FROM message WHERE queue = ?1 ORDER BY seq LIMIT ?2)",
            params![queue, length(limit)],
        )?;
        let texts = self.run(
            "DELETE FROM deduplication WHERE queue = ?1 AND text IN
                (SELECT text FROM deduplication WHERE queue = ?1 LIMIT ?2)",
            params![queue, length(limit)],
        )?;
        Ok(messages == limit || texts == limit)
    }
}

fn message(row: &Row<'_>) -> Outcome<MessageRow> {
    Ok(MessageRow {
        seq: row.get(0)?,
        due: row.get(1)?,
        ready: row.get(2)?,
        receipt: row.get(3)?,
        received: row.get(4)?,
        first_received: row.get(5)?,
        sent: row.get(6)?,
        mark: row.get(7)?,
        id: id(row, 8)?,
        lane: row.get(9)?,
    })
}

fn id(row: &Row<'_>, column: usize) -> Outcome<MessageId> {
    let blob = row.get_ref(column)?.as_blob()?;
    blob.try_into()
        .map(MessageId)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error)))
}

fn body(row: &Row<'_>, column: usize) -> Outcome<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

fn count(row: &Row<'_>, column: usize) -> Outcome<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn length(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
