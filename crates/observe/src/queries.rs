//! Queries that were started: what they ask, how far they are, what they found. Each is run by whoever started it, on a
//! thread of theirs.
//!
//! Deliberately not here: the language (`insights`).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::insights::{Query, Run, Source};
use crate::log_store::Asked;
use crate::log_writer::millis;
use crate::logs::{Logs, LogsError};
use crate::need::Need;
use crate::store::group::GroupKey;
use crate::store::search::{Arrival, Filter, Position};

/// Most queries at once, as on AWS.
const RUNNING: usize = 30;
/// Queries that are remembered, and for how long.
const REMEMBERED: usize = 1000;
const MEMORY: Duration = Duration::from_secs(60 * 60);
/// Bytes of results that are remembered; beyond, the oldest query's go.
const RESULT_BYTES: usize = 64 << 20;
/// A query ends after this time, as on AWS.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// A row of a result: names and values.
pub type ResultRow = Vec<(String, String)>;

/// How far a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryStatus {
    /// It waits for its turn.
    Scheduled,
    /// It looks.
    Running,
    /// It has found what there is.
    Complete,
    /// It was stopped.
    Cancelled,
    /// It wanted more memory than it gets, or the store failed.
    Failed,
    /// It took an hour.
    Timeout,
}

impl QueryStatus {
    /// AWS's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Running => "Running",
            Self::Complete => "Complete",
            Self::Cancelled => "Cancelled",
            Self::Failed => "Failed",
            Self::Timeout => "Timeout",
        }
    }

    fn is_over(self) -> bool {
        match self {
            Self::Scheduled | Self::Running => false,
            Self::Complete | Self::Cancelled | Self::Failed | Self::Timeout => true,
        }
    }
}

/// How much a query has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scanned {
    /// Events that came through its filters.
    pub matched: u64,
    /// Events that were read.
    pub events: u64,
    /// Bytes of their messages.
    pub bytes: u64,
}

/// A query's state and what it found.
#[derive(Debug, Clone)]
pub struct Progress {
    /// How far it is.
    pub status: QueryStatus,
    /// How much it has looked at.
    pub scanned: Scanned,
    /// What it found.
    pub rows: Arc<Vec<ResultRow>>,
    /// In milliseconds.
    pub took: u64,
}

/// A query that was started.
#[derive(Debug)]
pub struct Started {
    /// Its id.
    pub id: String,
    /// Of these groups.
    pub groups: Vec<GroupKey>,
    /// As it was written.
    pub text: String,
    /// In milliseconds since 1970.
    pub created: u64,
    began: Instant,
    from: Position,
    until: Position,
    query: Query,
    stop: AtomicBool,
    progress: Mutex<Progress>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Queries {
    all: Mutex<VecDeque<Arc<Started>>>,
}

/// What is asked.
#[derive(Debug)]
pub struct Asking<'a> {
    /// The query's new id.
    pub id: String,
    /// Of these groups.
    pub groups: Vec<GroupKey>,
    /// From this second since 1970.
    pub start: i64,
    /// To the end of this one.
    pub end: i64,
    /// In the query language.
    pub text: &'a str,
    /// Most results, where the query says none.
    pub limit: Option<usize>,
}

impl Queries {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Started>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a query and remembers it; [`Started::run`] runs it.
    pub fn start(&self, logs: &Logs, asking: Asking<'_>) -> Result<Arc<Started>, LogsError> {
        if asking.end < asking.start {
            return Err(LogsError::InvalidParameter("endTime must not be before startTime".into()));
        }
        let query = Query::parse(asking.text, asking.limit).map_err(|error| LogsError::MalformedQuery {
            message: format!("{} at character {}", error.message, error.at + 1),
            start: error.at,
            end: error.at + 1,
        })?;
        for group in &asking.groups {
            logs.settings(group)?;
        }
        let position = |seconds: i64| {
            // AWS takes milliseconds too.
            let seconds = if seconds > 100_000_000_000 { seconds / 1000 } else { seconds };
            Position::of(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
        };
        let started = Arc::new(Started {
            id: asking.id,
            groups: asking.groups,
            text: asking.text.to_owned(),
            created: millis(),
            began: Instant::now(),
            from: position(asking.start),
            until: position(asking.end.saturating_add(1)),
            query,
            stop: AtomicBool::new(false),
            progress: Mutex::new(Progress {
                status: QueryStatus::Scheduled,
                scanned: Scanned::default(),
                rows: Arc::default(),
                took: 0,
            }),
        });
        let mut all = self.lock();
        all.retain(|query| query.began.elapsed() < MEMORY || !query.progress().status.is_over());
        if all.iter().filter(|query| !query.progress().status.is_over()).count() >= RUNNING {
            return Err(LogsError::LimitExceeded(
                "Account maximum query concurrency limit of [30] reached.".into(),
            ));
        }
        let bytes = |query: &Arc<Started>| {
            let rows = query.progress().rows;
            rows.iter().flatten().map(|(name, value)| name.len() + value.len()).sum::<usize>()
        };
        let mut kept: usize = all.iter().map(bytes).sum();
        while (kept > RESULT_BYTES || all.len() >= REMEMBERED)
            && let Some(oldest) = all.iter().position(|query| query.progress().status.is_over())
        {
            kept -= all.remove(oldest).as_ref().map_or(0, bytes);
        }
        all.push_back(Arc::clone(&started));
        Ok(started)
    }

    /// A query by its id.
    pub fn get(&self, id: &str) -> Result<Arc<Started>, LogsError> {
        let found = self.lock().iter().find(|query| query.id == id).cloned();
        found.ok_or_else(|| LogsError::NotFound(format!("Query {id} does not exist")))
    }

    /// All of them, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Started>> {
        self.lock().iter().rev().cloned().collect()
    }
}

impl Started {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Ends it; `false` where it was over.
    pub fn stop(&self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        let mut progress = self.lock();
        let stopped = !progress.status.is_over();
        if stopped {
            progress.status = QueryStatus::Cancelled;
        }
        stopped
    }

    /// Looks. Blocking, until it is over.
    pub fn run(&self, logs: &Logs) {
        {
            let mut progress = self.lock();
            if progress.status.is_over() {
                return;
            }
            progress.status = QueryStatus::Running;
        }
        let mut run = Run::new(&self.query);
        let mut scanned = Scanned::default();
        let need = self.query.need();
        let filter = Needed { need };
        let mut failed = None;
        for group in &self.groups {
            let asked = Asked {
                from: self.from,
                until: self.until,
                arrived: Arrival::EVER,
                streams: None,
                prefix: None,
                filter: Some(&filter),
                newest: true,
                limit: 0,
                bytes: 0,
                deadline: self.began + LONGEST,
            };
            let log = format!("{}:{}", group.account, group.name);
            let mut goes_on = true;
            let done = logs.store().scan(
                group,
                &asked,
                &mut || !self.stop.load(Ordering::Relaxed) && self.began.elapsed() < LONGEST,
                &mut |position, stream, event| {
                    if !goes_on {
                        return false;
                    }
                    scanned.events += 1;
                    scanned.bytes += event.message.len() as u64;
                    let message = String::from_utf8_lossy(event.message);
                    let source =
                        Source { position, ingested: event.ingested, log: &log, stream, message: &message };
                    goes_on = run.take(source);
                    goes_on
                },
            );
            if let Err(error) = done {
                tracing::error!(%error, "a query failed");
                failed = Some("the log store failed");
            }
        }
        scanned.matched = run.matched();
        let late = self.began.elapsed() >= LONGEST;
        let result = if let Some(failed) = failed { Err(failed) } else { run.finish() };
        let mut progress = self.lock();
        progress.scanned = scanned;
        progress.took = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if progress.status.is_over() {
            return;
        }
        progress.status = match result {
            Ok(_) if late => QueryStatus::Timeout,
            Ok(rows) => {
                progress.rows = Arc::new(rows);
                QueryStatus::Complete
            }
            Err(reason) => {
                tracing::warn!(query = self.id, reason, "a query failed");
                QueryStatus::Failed
            }
        };
    }
}

/// Blocks that may have what a query needs; which events match is the query's to say.
struct Needed {
    need: Need,
}

impl Filter for Needed {
    fn need(&self) -> &Need {
        &self.need
    }

    fn may_match(&self, _: &[u8]) -> bool {
        true
    }

    fn matches(&self, _: &[u8]) -> bool {
        true
    }
}
