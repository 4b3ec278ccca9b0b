//! All environments of one function version: the idle ones, most recently used last, and the
//! invocations that wait for one.
//!
//! An environment is in `idle` or runs, never both; every change is made under one short lock, so
//! an idle environment is given either an invocation or its retirement.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use lambkin_model::placement::{self, Placement};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

use crate::assignment::Assignment;
use crate::keeping::{KeepFailure, Keeping, Kept};
use crate::launch::Launch;
use crate::memory::Room;
use crate::permit::Executions;

/// What an environment is told.
#[derive(Debug)]
pub(crate) enum Message {
    /// Run this.
    Assign(Box<Assignment>),
    /// Go.
    Retire,
}

/// Where an environment is reached. Its mailbox holds two: it is given one invocation at a time,
/// and at most one retirement follows; more would be a bug and panics.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    pub(crate) sender: mpsc::Sender<Message>,
    /// What its environment counts of the machine's memory.
    pub(crate) room: Arc<Room>,
}

impl Mailbox {
    pub(crate) const CAPACITY: usize = 2;

    fn send(&self, message: Message) {
        if matches!(message, Message::Retire) {
            self.room.leaves();
        }
        match self.sender.try_send(message) {
            Ok(()) => {}
            // The environment's task is gone, as at a shutdown: dropping the message answers it.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                unreachable!("an environment has one invocation at a time")
            }
        }
    }
}

pub(crate) struct Fleet {
    pub(crate) launch: Launch,
    /// Of the function, whichever its fleets.
    pub(crate) executions: Arc<Executions>,
    pub(crate) keeping: Arc<Keeping>,
    /// Revision of the head that it was last seen to fit.
    pub(crate) revision: AtomicU64,
    /// Environments of all fleets, for the cap on processes.
    total: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Most recently used last.
    idle: Vec<(Mailbox, Instant)>,
    /// Bounded by the permits: each waiting invocation holds one.
    waiting: VecDeque<Box<Assignment>>,
    starting: usize,
    /// Environments, starting ones among them, but not those that were told to go.
    alive: usize,
    retired: bool,
}

/// What the invoker has to do after placing an invocation.
pub(crate) enum Placed {
    /// Nothing: it is on its way.
    Done,
    /// Start an environment.
    Start,
    /// The fleet was retired meanwhile: here it is back.
    Retired(Box<Assignment>),
}

/// How an environment became free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freed {
    /// After its start.
    Started,
    /// After [`Fleet::comes_back`].
    Back,
    /// With its answer.
    Answered,
}

/// What an environment that became free is to do.
pub(crate) enum Next {
    /// Wait for its mailbox.
    Wait,
    /// Go: nobody wants it any more.
    Retire,
}

impl Fleet {
    pub(crate) fn new(
        launch: Launch,
        executions: Arc<Executions>,
        keeping: Arc<Keeping>,
        revision: u64,
        total: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            launch,
            executions,
            keeping,
            revision: AtomicU64::new(revision),
            total,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock().expect("no code panics under this lock");
        debug_assert!(state.waiting.len() <= state.starting, "each that waits has a start coming: {state:?}");
        debug_assert!(state.idle.is_empty() || state.waiting.is_empty(), "none waits beside an idle one");
        state
    }

    /// Gives an invocation to the most recently used idle environment, or lets it wait.
    pub(crate) fn place(&self, assignment: Box<Assignment>) -> Placed {
        let mut state = self.lock();
        if state.retired {
            return Placed::Retired(assignment);
        }
        let fleet = placement::Fleet {
            idle: state.idle.len(),
            starting: state.starting,
            waiting: state.waiting.len(),
        };
        match placement::place(fleet) {
            Placement::UseIdle => {
                if let Some((mailbox, _)) = state.idle.pop() {
                    mailbox.send(Message::Assign(assignment));
                }
                Placed::Done
            }
            Placement::Wait => {
                state.waiting.push_back(assignment);
                Placed::Done
            }
            Placement::StartAndWait => {
                state.waiting.push_back(assignment);
                self.begin(&mut state);
                Placed::Start
            }
        }
    }

    fn begin(&self, state: &mut State) {
        state.starting += 1;
        state.alive += 1;
        self.total.fetch_add(1, Ordering::AcqRel);
    }

    fn give_up(&self, state: &mut State) {
        state.starting -= 1;
        state.alive -= 1;
        self.total.fetch_sub(1, Ordering::AcqRel);
    }

    /// Counts the environments that are to be started so that as many are kept as were asked for.
    pub(crate) fn begin_missing(&self) -> usize {
        let mut state = self.lock();
        if state.retired || !self.keeping.may_start() {
            return 0;
        }
        let missing = self.keeping.requested().saturating_sub(state.alive);
        (0..missing).for_each(|_| self.begin(&mut state));
        missing
    }

    pub(crate) fn kept(&self) -> Kept {
        let (state, requested) = (self.lock(), self.keeping.requested());
        let allocated = state.alive.saturating_sub(state.starting).min(requested);
        let available = state.idle.len().min(requested);
        Kept { requested, allocated, available, failure: self.keeping.failure() }
    }

    /// Idle environments that may go: more than are kept.
    fn spare(&self, state: &State) -> usize {
        state.alive.saturating_sub(self.keeping.requested()).min(state.idle.len())
    }

    /// Takes an idle environment back whose process has ended, where another is to be kept instead.
    pub(crate) fn withdraw(&self, mailbox: &Mailbox) -> bool {
        if self.keeping.requested() == 0 {
            return false;
        }
        let mut state = self.lock();
        let at = state.idle.iter().position(|(idle, _)| idle.sender.same_channel(&mailbox.sender));
        if let Some(at) = at {
            state.idle.remove(at);
        }
        at.is_some()
    }

    /// Whether an environment about to be started is still wanted. Where not, it does not count as
    /// starting any more.
    pub(crate) fn still_wanted(&self) -> bool {
        let mut state = self.lock();
        state.waiting.retain(|assignment| !assignment.is_abandoned());
        let kept = !state.retired && state.alive <= self.keeping.requested();
        let wanted = state.waiting.len() >= state.starting || kept;
        if !wanted {
            self.give_up(&mut state);
        }
        wanted
    }

    /// An environment has answered and will be free when its process has been killed. Who comes
    /// meanwhile waits for it, as for one that starts: it has what the function left in `/tmp`.
    pub(crate) fn comes_back(&self) {
        self.lock().starting += 1;
    }

    /// An environment became free: it takes the first that waits, or is idle. `cold` says why where it
    /// has no process.
    pub(crate) fn release(&self, mailbox: &Mailbox, freed: Freed, cold: Option<KeepFailure>) -> Next {
        let mut state = self.lock();
        mailbox.room.freed();
        match freed {
            Freed::Started => {
                state.starting -= 1;
                self.keeping.started(cold.clone());
            }
            Freed::Back => state.starting -= 1,
            Freed::Answered => {}
        }
        while let Some(assignment) = state.waiting.pop_front() {
            if !assignment.is_abandoned() {
                mailbox.send(Message::Assign(assignment));
                return Next::Wait;
            }
        }
        // One that would have to run its init in an invocation is not kept: another is started.
        if state.retired || (cold.is_some() && self.keeping.requested() > 0) {
            return Next::Retire;
        }
        state.idle.push((mailbox.clone(), Instant::now()));
        Next::Wait
    }

    /// An environment could not be made: one waiting invocation is to be told, unless there are
    /// starts enough without it.
    pub(crate) fn start_failed(&self) -> Option<Box<Assignment>> {
        let mut state = self.lock();
        state.waiting.retain(|assignment| !assignment.is_abandoned());
        self.give_up(&mut state);
        if state.waiting.len() > state.starting { state.waiting.pop_front() } else { None }
    }

    /// An environment is gone. Where it was to become free (it was ended by force, or by a bug), who
    /// counted on it is told: dropping an invocation answers it.
    pub(crate) fn gone(&self, mailbox: &Mailbox, counted_on: bool) {
        let mut state = self.lock();
        if counted_on {
            state.starting -= 1;
            if state.waiting.len() > state.starting {
                state.waiting.pop_front();
            }
        }
        if !mailbox.room.is_leaving() {
            state.alive = state.alive.saturating_sub(1);
        }
        drop(state);
        self.keeping.stir();
        self.total.fetch_sub(1, Ordering::AcqRel);
    }

    /// No new invocations: idle environments go now, running ones after their invocation. What
    /// waits was accepted before and still runs here.
    pub(crate) fn retire(&self) {
        let mut state = self.lock();
        state.retired = true;
        state.alive = state.alive.saturating_sub(state.idle.len());
        for (mailbox, _) in state.idle.drain(..) {
            mailbox.send(Message::Retire);
        }
    }

    /// Retires environments that have been idle for `limit`.
    pub(crate) fn retire_idle(&self, limit: Duration) {
        let mut state = self.lock();
        // The least recently used come first.
        let count = state.idle.iter().take_while(|(_, since)| since.elapsed() >= limit).count();
        let count = count.min(self.spare(&state));
        state.alive = state.alive.saturating_sub(count);
        for (mailbox, _) in state.idle.drain(..count) {
            mailbox.send(Message::Retire);
        }
    }

    /// Its idle environments that may go, the least recently used first: since when, and what each
    /// counts of the machine's memory.
    pub(crate) fn idle(&self) -> Vec<(Instant, u64)> {
        let state = self.lock();
        let spare = state.idle.iter().take(self.spare(&state));
        spare.map(|(mailbox, since)| (*since, mailbox.room.counted())).collect()
    }

    /// Retires the least recently used idle environment.
    pub(crate) fn retire_oldest(&self) {
        let mut state = self.lock();
        if self.spare(&state) > 0 {
            state.alive -= 1;
            let (mailbox, _) = state.idle.remove(0);
            mailbox.send(Message::Retire);
        }
    }
}
