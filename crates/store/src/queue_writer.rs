//! The thread that alone works at the queues' file. What comes in while it syncs shares the next transaction and
//! its one sync; a transaction that only leases makes none. Answers go out after the commit.
//!
//! A receive that waits is kept here and costs nothing until something is sent to its queue, released in it, or
//! becomes due; who waits longest is served first.
//!
//! Deliberately not here: what the requests do.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::queue::{Arrivals, QueueError, QueueName};
use rusqlite::ErrorCode;

use crate::queue_desk::Desk;
use crate::queue_request::{Posted, Receiving, Request, Step, Work};
use crate::sqlite_file::is_passing;

/// Requests of one transaction, and KiB of them: bounds how long the first of them waits for the last.
const BATCH: usize = 256;
const BATCH_SIZE: u32 = 16 << 10;
/// After so long without a request it is time to tidy.
const IDLE: Duration = Duration::from_millis(300);

/// How long whoever waits is left waiting after a transaction that failed, in microseconds.
const RETRY: i64 = 100_000;

/// Who is told of arrivals, by the prefix of queues' names.
pub(crate) type Watchers = Mutex<Vec<(String, Arc<Arrivals>)>>;

/// Receives that wait for messages of one queue.
#[derive(Default)]
struct Waiting {
    line: VecDeque<Receiving>,
    /// When something of the queue becomes due, where that is known to be of interest.
    alarm: Option<i64>,
    /// When the line has got this long, those that were given up are taken out of it.
    sweep: usize,
}

pub(crate) struct Writer {
    desk: Desk,
    watchers: Arc<Watchers>,
    waiting: HashMap<QueueName, Waiting>,
    alarms: BTreeSet<(i64, QueueName)>,
    /// Requests that take more than one transaction.
    again: VecDeque<Box<dyn Request>>,
    /// Why nothing is done any more.
    broken: Option<String>,
    tidy: Tidy,
}

/// Whether the file has to be tidied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tidy {
    /// Nothing was done since it was tidied.
    Done,
    /// When nobody has asked for anything for a while.
    Idle,
    /// It is being tidied, piece by piece, whenever nobody asks for anything.
    More,
}

impl Writer {
    pub(crate) fn new(desk: Desk, watchers: Arc<Watchers>) -> Self {
        let (waiting, alarms, again) = Default::default();
        // What a former process left is tidied too.
        Self { desk, watchers, waiting, alarms, again, broken: None, tidy: Tidy::Idle }
    }

    /// Runs until the inbox is closed and empty.
    pub(crate) fn run(mut self, inbox: &Receiver<Posted>) {
        loop {
            let mut batch = Vec::new();
            match self.next(inbox) {
                Ok(posted) => self.gather(inbox, posted, &mut batch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            batch.extend(self.again.drain(..).map(Work::Other));
            let due = self.due();
            if batch.is_empty() && due.is_empty() && !self.desk.has_graves() {
                self.tidy();
                continue;
            }
            if self.tidy == Tidy::Done {
                self.tidy = Tidy::Idle;
            }
            self.work(batch, due);
            if self.desk.room.was_refused() {
                // What was settled is room that the disk does not have yet, and who is refused asks again: there
                // may be no moment without a request.
                self.tidy = Tidy::More;
                self.tidy();
            }
        }
    }

    /// The next request, or that it is time for something else.
    fn next(&mut self, inbox: &Receiver<Posted>) -> Result<Posted, RecvTimeoutError> {
        let alarm = self.alarms.first().map(|(then, _)| *then);
        let busy = !self.again.is_empty() || self.desk.has_graves() || self.tidy == Tidy::More;
        let wait = if self.broken.is_some() {
            None
        } else if busy {
            Some(Duration::ZERO)
        } else {
            let alarm = alarm.map(|then| self.desk.clock.until(then));
            let idle = (self.tidy == Tidy::Idle).then_some(IDLE);
            alarm.into_iter().chain(idle).min()
        };
        match wait {
            Some(wait) => inbox.recv_timeout(wait),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// This request and those behind it that fit into a transaction.
    fn gather(&self, inbox: &Receiver<Posted>, first: Posted, batch: &mut Vec<Work>) {
        let mut size = first.size;
        batch.push(first.work);
        while batch.len() < BATCH
            && size < BATCH_SIZE
            && let Ok(posted) = inbox.try_recv()
        {
            size += posted.size;
            batch.push(posted.work);
        }
    }

    /// Queues that are waited for and have something due.
    fn due(&mut self) -> Vec<QueueName> {
        let mut due = Vec::new();
        if self.alarms.is_empty() {
            return due;
        }
        let now = self.desk.clock.tick();
        while let Some((then, name)) = self.alarms.pop_first() {
            if then > now {
                self.alarms.insert((then, name));
                break;
            }
            if let Some(waiting) = self.waiting.get_mut(&name) {
                waiting.alarm = None;
            }
            due.push(name);
        }
        due
    }

    fn tidy(&mut self) {
        if self.broken.is_some() || self.tidy == Tidy::Done {
            return;
        }
        match self.desk.tidy() {
            Ok(more) => self.tidy = if more { Tidy::More } else { Tidy::Done },
            Err(error) if is_passing(&error) => {
                tracing::warn!(%error, "the queues' file could not be tidied");
                self.tidy = Tidy::Done;
                self.roll_back();
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Does the batch in one transaction, or, where that fails and may pass, each request in its own.
    fn work(&mut self, batch: Vec<Work>, due: Vec<QueueName>) {
        if let Some(reason) = &self.broken {
            let error = QueueError::Unavailable(reason.clone());
            batch.into_iter().for_each(|work| refuse(work, error.clone()));
            return;
        }
        let mut transaction =
            Transaction { batch, due, touched: BTreeSet::new(), done: Vec::new(), steps: Vec::new() };
        let error = match self.transact(&mut transaction) {
            Ok(()) => return self.finish(transaction),
            Err(error) => error,
        };
        // Those that were served wait again, in their old order.
        for receiving in transaction.done.drain(..).rev() {
            self.waiting.entry(receiving.name.clone()).or_default().line.push_front(receiving);
        }
        if !is_passing(&error) {
            self.fail(&error);
            let reason = self.broken.clone().unwrap_or_default();
            let batch = transaction.batch.into_iter();
            return batch.for_each(|work| refuse(work, QueueError::Unavailable(reason.clone())));
        }
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            self.desk.room.is_full();
        }
        let later = self.desk.clock.tick() + RETRY;
        for name in std::mem::take(&mut transaction.due) {
            if let Some(waiting) = self.waiting.get_mut(&name) {
                waiting.alarm = Some(later);
                self.alarms.insert((later, name));
            }
        }
        if !self.roll_back() {
            return transaction
                .batch
                .into_iter()
                .for_each(|work| refuse(work, crate::queue_request::closed()));
        }
        if transaction.batch.len() == 1 {
            tracing::error!("the queues cannot be written: {error}");
            let answer = match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => QueueError::Full("the disk is full".into()),
                _ => QueueError::Unavailable(format!("the queues cannot be written: {error}")),
            };
            return transaction.batch.into_iter().for_each(|work| refuse(work, answer.clone()));
        }
        // One message that is too large must not fail the others with it.
        for work in transaction.batch {
            self.work(vec![work], Vec::new());
        }
    }

    fn transact(&mut self, transaction: &mut Transaction) -> Result<(), rusqlite::Error> {
        let durable = transaction.batch.iter().any(|work| match work {
            Work::Receive(_) => false,
            Work::Other(request) => request.is_durable(),
        });
        self.desk.begin(durable)?;
        transaction.steps.clear();
        for work in &mut transaction.batch {
            let step = match work {
                Work::Receive(receiving) => {
                    // Whoever waits already comes first.
                    let name = receiving.name.clone();
                    self.serve(&name, &mut transaction.done)?;
                    receiving.attempt(&mut self.desk)?
                }
                Work::Other(request) => request.attempt(&mut self.desk)?,
            };
            transaction.steps.push(step);
        }
        let mut names = std::mem::take(&mut self.desk.touched);
        names.extend(transaction.due.iter().cloned());
        for name in &names {
            self.serve(name, &mut transaction.done)?;
        }
        // Some of this batch may have come before what they wait for.
        for (work, step) in transaction.batch.iter_mut().zip(&mut transaction.steps) {
            if let (Work::Receive(receiving), Step::Wait) = (work, &step)
                && names.contains(&receiving.name)
            {
                *step = receiving.attempt(&mut self.desk)?;
            }
        }
        transaction.touched = names;
        self.desk.bury()?;
        self.desk.commit()
    }

    /// Gives waiting receives what there is, those that have waited longest first.
    fn serve(&mut self, name: &QueueName, done: &mut Vec<Receiving>) -> Result<(), rusqlite::Error> {
        let Some(waiting) = self.waiting.get_mut(name) else { return Ok(()) };
        while let Some(mut receiving) = waiting.line.pop_front() {
            match receiving.attempt(&mut self.desk) {
                Ok(Step::Done) => done.push(receiving),
                Ok(Step::Wait | Step::Again) => {
                    waiting.line.push_front(receiving);
                    break;
                }
                Err(error) => {
                    waiting.line.push_front(receiving);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The transaction is on disk, as far as it has to be: tells the watchers and answers.
    fn finish(&mut self, transaction: Transaction) {
        let arrived = std::mem::take(&mut self.desk.arrived);
        if !arrived.is_empty() {
            let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for name in &arrived {
                for (_, watcher) in watchers.iter().filter(|(prefix, _)| name.0.starts_with(prefix)) {
                    watcher(name);
                }
            }
        }
        let mut waits = transaction.touched;
        waits.extend(transaction.done.iter().map(|receiving| receiving.name.clone()));
        transaction.done.into_iter().for_each(Receiving::answer);
        for (work, step) in transaction.batch.into_iter().zip(transaction.steps) {
            match (work, step) {
                (Work::Receive(receiving), Step::Wait | Step::Again) => {
                    waits.insert(receiving.name.clone());
                    self.park(receiving);
                }
                (Work::Receive(receiving), Step::Done) => {
                    // Its lease's end is of interest to others.
                    waits.insert(receiving.name.clone());
                    receiving.answer();
                }
                (Work::Other(request), Step::Again) => self.again.push_back(request),
                (Work::Other(request), Step::Done | Step::Wait) => request.answer(),
            }
        }
        for name in waits {
            self.set_alarm(name);
        }
    }

    fn park(&mut self, receiving: Receiving) {
        /// Shorter lines are not looked through.
        const SHORT: usize = 16;
        let waiting = self.waiting.entry(receiving.name.clone()).or_default();
        waiting.line.push_back(receiving);
        if waiting.line.len() > waiting.sweep.max(SHORT) {
            waiting.line.retain(|receiving| !receiving.is_abandoned());
            waiting.sweep = 2 * waiting.line.len();
        }
    }

    /// Sets the time at which somebody who waits for this queue can be served.
    fn set_alarm(&mut self, name: QueueName) {
        let Some(waiting) = self.waiting.get_mut(&name) else { return };
        if let Some(then) = waiting.alarm.take() {
            self.alarms.remove(&(then, name.clone()));
        }
        if waiting.line.is_empty() {
            self.waiting.remove(&name);
            return;
        }
        match self.desk.next_due(&name) {
            Ok(Some(then)) => {
                waiting.alarm = Some(then);
                self.alarms.insert((then, name));
            }
            Ok(None) => {}
            Err(error) => tracing::error!("the queues cannot be read: {error}"),
        }
    }

    /// Whether it worked; where not, nothing is done any more.
    fn roll_back(&mut self) -> bool {
        match self.desk.roll_back() {
            Ok(()) => true,
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    fn fail(&mut self, error: &rusqlite::Error) {
        let reason = format!(
            "the queues' disk failed ({error}); nothing is sent or received until lambkin starts again"
        );
        tracing::error!("{reason}");
        for (_, waiting) in self.waiting.drain() {
            for receiving in waiting.line {
                receiving.refuse(QueueError::Unavailable(reason.clone()));
            }
        }
        for request in self.again.drain(..) {
            request.refuse(QueueError::Unavailable(reason.clone()));
        }
        self.alarms.clear();
        // What comes of it is for the next opening to find out; the file must not stay locked meanwhile.
        if let Err(error) = self.desk.file.roll_back() {
            tracing::error!("the queues' last transaction could not be undone: {error}");
        }
        self.broken = Some(reason);
    }
}

struct Transaction {
    batch: Vec<Work>,
    due: Vec<QueueName>,
    touched: BTreeSet<QueueName>,
    /// Receives that waited and were served.
    done: Vec<Receiving>,
    /// What each of the batch came to.
    steps: Vec<Step>,
}

fn refuse(work: Work, error: QueueError) {
    match work {
        Work::Receive(receiving) => receiving.refuse(error),
        Work::Other(request) => request.refuse(error),
    }
}
