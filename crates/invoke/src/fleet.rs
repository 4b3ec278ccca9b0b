//! All environments of one function version: the idle ones, most recently used last, and the
//! invocations that wait for one.
//!
//! An environment is in `idle` or runs, never both; every change is made under one short lock, so
//! an idle environment is given either an invocation or its retirement.

mod census;
mod mailbox;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use lambkin_model::kept::{KeepFailure, Kept};
use lambkin_model::placement::{self, Placement};
use lambkin_model::provisioned::Initialization;
use tokio::time::{Duration, Instant};

use crate::assignment::Assignment;
use crate::compile_cache::Caching;
use crate::keeping::Keeping;
use crate::launch::Launch;
use crate::memory::Share;
use crate::permit::Executions;
pub(crate) use census::Census;
use census::State;
pub(crate) use mailbox::{Mailbox, Message};

pub(crate) struct Fleet {
    pub(crate) launch: Launch,
    /// Of the function, whichever its fleets.
    pub(crate) executions: Arc<Executions>,
    pub(crate) keeping: Arc<Keeping>,
    pub(crate) caching: Arc<Caching>,
    /// Revision of the head that it was last seen to fit.
    pub(crate) revision: AtomicU64,
    /// Environments of all fleets, for the cap on processes.
    total: Arc<AtomicUsize>,
    /// What its environments count of the machine's memory.
    pub(crate) memory: Share,
    state: Mutex<State>,
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
        caching: Arc<Caching>,
        revision: u64,
        total: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            launch,
            executions,
            keeping,
            caching,
            revision: AtomicU64::new(revision),
            total,
            memory: Share::default(),
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
                // Those that are kept come first; without any the last one is the one.
                let kept =
                    |(mailbox, _): &(Mailbox, Instant)| mailbox.initialization == Initialization::Provisioned;
                let last = state.idle.len().saturating_sub(1);
                let at =
                    if state.kept > 0 { state.idle.iter().rposition(kept).unwrap_or(last) } else { last };
                let (mailbox, _) = state.idle.remove(at);
                mailbox.send(Message::Assign(assignment));
                drop(state);
                self.executions.warm();
                Placed::Done
            }
            Placement::Wait => {
                state.waiting.push_back(assignment);
                Placed::Done
            }
            Placement::StartAndWait => {
                state.waiting.push_back(assignment);
                self.begin(&mut state, Initialization::OnDemand);
                Placed::Start
            }
        }
    }

    fn begin(&self, state: &mut State, initialization: Initialization) {
        state.starting += 1;
        state.live += 1;
        if initialization == Initialization::Provisioned {
            state.kept += 1;
            state.kept_starting += 1;
        }
        self.total.fetch_add(1, Ordering::AcqRel);
    }

    fn give_up(&self, state: &mut State, initialization: Initialization) {
        state.starting -= 1;
        state.live -= 1;
        if initialization == Initialization::Provisioned {
            state.kept = state.kept.saturating_sub(1);
            state.kept_starting -= 1;
        }
        self.total.fetch_sub(1, Ordering::AcqRel);
    }

    /// How its environments are now.
    pub(crate) fn census(&self) -> Census {
        let state = self.lock();
        let (starting, idle, leaving) = (state.starting, state.idle.len(), state.leaving);
        Census {
            starting,
            idle,
            busy: state.live.saturating_sub(starting + idle + leaving),
            leaving,
            memory: self.memory.load(Ordering::Relaxed),
        }
    }

    /// Counts the environments that are to be started so that as many are kept as were asked for. Where the version may
    /// have no more, others that are idle go for them; those that run are waited for.
    pub(crate) fn begin_missing(&self) -> usize {
        let mut state = self.lock();
        if state.retired || !self.keeping.may_start() {
            return 0;
        }
        let missing = self.keeping.requested().saturating_sub(state.kept);
        let mut begun = 0;
        while begun < missing {
            if state.staying() >= self.keeping.most() {
                let Some(at) = state.spare() else { break };
                self.dismiss(&mut state, at);
            }
            self.begin(&mut state, Initialization::Provisioned);
            begun += 1;
        }
        begun
    }

    /// Environments that were not told to go.
    pub(crate) fn staying(&self) -> usize {
        self.lock().staying()
    }

    pub(crate) fn kept(&self) -> Kept {
        let (state, requested) = (self.lock(), self.keeping.requested());
        let allocated = state.kept.saturating_sub(state.kept_starting).min(requested);
        let idle = state.idle.iter();
        let available = idle.filter(|(each, _)| each.initialization == Initialization::Provisioned).count();
        let available = available.min(requested);
        Kept { requested, allocated, available, failure: self.keeping.failure() }
    }

    /// Where there are more than are to be kept, or may be: those that are idle go now, the others when they become free.
    pub(crate) fn trim(&self) {
        let mut state = self.lock();
        let mut surplus = state.surplus(self.keeping.requested());
        let mut at = 0;
        while surplus > 0 && at < state.idle.len() {
            if state.idle[at].0.initialization == Initialization::Provisioned {
                surplus -= 1;
                self.dismiss(&mut state, at);
            } else {
                at += 1;
            }
        }
        while state.staying() > self.keeping.most()
            && let Some(at) = state.spare()
        {
            self.dismiss(&mut state, at);
        }
    }

    /// Retires the idle environment at this place.
    fn dismiss(&self, state: &mut State, at: usize) {
        let (mailbox, _) = state.idle.remove(at);
        state.leaves(&mailbox);
        state.left(&mailbox);
        mailbox.send(Message::Retire);
    }

    /// Takes an idle environment back whose process has ended, where another is to be kept instead.
    pub(crate) fn withdraw(&self, mailbox: &Mailbox) -> bool {
        if mailbox.initialization == Initialization::OnDemand {
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
    pub(crate) fn still_wanted(&self, initialization: Initialization) -> bool {
        let mut state = self.lock();
        state.waiting.retain(|assignment| !assignment.is_abandoned());
        let kept = match initialization {
            Initialization::Provisioned => !state.retired && state.surplus(self.keeping.requested()) == 0,
            Initialization::OnDemand => false,
        };
        let wanted = state.waiting.len() >= state.starting || kept;
        if !wanted {
            self.give_up(&mut state, initialization);
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
                if mailbox.initialization == Initialization::Provisioned {
                    state.kept_starting -= 1;
                    self.keeping.started(cold.clone());
                }
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
        let kept = mailbox.initialization == Initialization::Provisioned;
        let (requested, most) = (self.keeping.requested(), self.keeping.most());
        if state.retired
            || state.staying() > most
            || (kept && (cold.is_some() || state.surplus(requested) > 0))
        {
            state.leaves(mailbox);
            return Next::Retire;
        }
        state.idle.push((mailbox.clone(), Instant::now()));
        // One that is to be kept could not start beside this one.
        if state.kept < requested && state.staying() >= most {
            self.keeping.stir();
        }
        Next::Wait
    }

    /// An environment could not be made: one waiting invocation is to be told, unless there are
    /// starts enough without it.
    pub(crate) fn start_failed(&self, initialization: Initialization) -> Option<Box<Assignment>> {
        let mut state = self.lock();
        state.waiting.retain(|assignment| !assignment.is_abandoned());
        self.give_up(&mut state, initialization);
        if state.waiting.len() > state.starting { state.waiting.pop_front() } else { None }
    }

    /// An environment is gone. Where it was to become free (it was ended by force, or by a bug), who
    /// counted on it is told: dropping an invocation answers it.
    pub(crate) fn gone(&self, mailbox: &Mailbox, started: bool, counted_on: bool) {
        let mut state = self.lock();
        if counted_on {
            state.starting -= 1;
            if state.waiting.len() > state.starting {
                state.waiting.pop_front();
            }
        }
        if !mailbox.room.is_leaving() {
            state.left(mailbox);
        }
        state.live -= 1;
        state.leaving -= usize::from(mailbox.is_leaving());
        if !started && mailbox.initialization == Initialization::Provisioned {
            state.kept_starting -= 1;
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
        while !state.idle.is_empty() {
            self.dismiss(&mut state, 0);
        }
    }

    /// Retires environments that have been idle for `limit`.
    pub(crate) fn retire_idle(&self, limit: Duration) {
        let mut state = self.lock();
        // The least recently used come first.
        while let Some(at) = state.spare()
            && state.idle[at].1.elapsed() >= limit
        {
            self.dismiss(&mut state, at);
        }
    }

    /// Its idle environments that may go, the least recently used first: since when, and what each
    /// counts of the machine's memory.
    pub(crate) fn idle(&self) -> Vec<(Instant, u64)> {
        let state = self.lock();
        let spare = state.idle.iter().filter(|(mailbox, _)| mailbox.may_go());
        spare.map(|(mailbox, since)| (*since, mailbox.room.counted())).collect()
    }

    /// Retires the least recently used idle environment.
    pub(crate) fn retire_oldest(&self) {
        let mut state = self.lock();
        if let Some(at) = state.spare() {
            self.dismiss(&mut state, at);
        }
    }
}
