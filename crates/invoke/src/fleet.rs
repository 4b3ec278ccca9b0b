//! All environments of one function version: the idle ones, most recently used last, and the
//! invocations that wait for one.
//!
//! An environment is in `idle` or runs, never both; every change is made under one short lock, so
//! an idle environment is given either an invocation or its retirement. For each invocation that
//! lingers for a running environment there is an idle one kept.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use lambkin_model::placement::{self, Placement};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

use crate::assignment::Assignment;
use crate::launch::Launch;

/// How long an invocation lingers for a running environment before it takes an idle one.
const LINGER: Duration = Duration::from_millis(1);

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
pub(crate) struct Mailbox(pub(crate) mpsc::Sender<Message>);

impl Mailbox {
    pub(crate) const CAPACITY: usize = 2;

    fn send(&self, message: Message) {
        match self.0.try_send(message) {
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
    /// Revision of the head that it was last seen to fit.
    pub(crate) revision: AtomicU64,
    cores: usize,
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
    /// Never more than there are idle environments.
    lingering: VecDeque<(Box<Assignment>, Instant)>,
    /// A task looks after those that linger.
    attended: bool,
    starting: usize,
    running: usize,
    lately: Duration,
    retired: bool,
}

impl State {
    fn use_idle(&mut self, assignment: Box<Assignment>) {
        if let Some((mailbox, _)) = self.idle.pop() {
            self.running += 1;
            mailbox.send(Message::Assign(assignment));
        }
    }

    /// The next invocation for an environment that became free.
    fn next(&mut self) -> Option<Box<Assignment>> {
        let lingering = std::iter::from_fn(|| self.lingering.pop_front()).map(|(assignment, _)| assignment);
        let mut next = lingering.chain(std::iter::from_fn(|| self.waiting.pop_front()));
        next.find(|assignment| !assignment.is_abandoned())
    }

    /// Idle environments that nobody lingers beside.
    fn spare(&self) -> usize {
        self.idle.len() - self.lingering.len()
    }
}

/// What the invoker has to do after placing an invocation.
pub(crate) enum Placed {
    /// Nothing: it is on its way.
    Done,
    /// Start an environment.
    Start,
    /// Look after those that linger: [`Fleet::attend`].
    Attend,
    /// The fleet was retired meanwhile: here it is back.
    Retired(Box<Assignment>),
}

/// What an environment that became free is to do.
pub(crate) enum Next {
    /// Wait for its mailbox.
    Wait,
    /// Go: nobody wants it any more.
    Retire,
}

impl Fleet {
    pub(crate) fn new(launch: Launch, revision: u64, cores: usize, total: Arc<AtomicUsize>) -> Self {
        Self { launch, revision: AtomicU64::new(revision), cores, total, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock().expect("no code panics under this lock");
        debug_assert!(state.waiting.len() <= state.starting, "each that waits has a start coming: {state:?}");
        debug_assert!(
            state.lingering.len() <= state.idle.len(),
            "each that lingers has an idle one: {state:?}"
        );
        debug_assert!(
            state.spare() == 0 || state.waiting.is_empty(),
            "none waits beside a spare one: {state:?}"
        );
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
            running: state.running,
            waiting: state.waiting.len(),
            lingering: state.lingering.len(),
            lately: state.lately,
            cores: self.cores,
        };
        match placement::place(fleet) {
            Placement::UseIdle => {
                state.use_idle(assignment);
                Placed::Done
            }
            Placement::Linger => {
                state.lingering.push_back((assignment, Instant::now()));
                if std::mem::replace(&mut state.attended, true) { Placed::Done } else { Placed::Attend }
            }
            Placement::Wait => {
                state.waiting.push_back(assignment);
                Placed::Done
            }
            Placement::StartAndWait => {
                state.waiting.push_back(assignment);
                state.starting += 1;
                self.total.fetch_add(1, Ordering::AcqRel);
                Placed::Start
            }
        }
    }

    /// Whether an environment about to be started is still wanted. Where not, it does not count as
    /// starting any more.
    pub(crate) fn still_wanted(&self) -> bool {
        let mut state = self.lock();
        state.waiting.retain(|assignment| !assignment.is_abandoned());
        let wanted = state.waiting.len() >= state.starting;
        if !wanted {
            state.starting -= 1;
            self.total.fetch_sub(1, Ordering::AcqRel);
        }
        wanted
    }

    /// Gives those that have lingered long enough to idle environments, until nobody lingers.
    pub(crate) async fn attend(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LINGER).await;
            let mut state = self.lock();
            while state.lingering.front().is_some_and(|(_, since)| since.elapsed() >= LINGER) {
                if let Some((assignment, _)) = state.lingering.pop_front() {
                    state.use_idle(assignment);
                }
            }
            if state.lingering.is_empty() {
                state.attended = false;
                return;
            }
        }
    }

    /// An environment became free: it takes the first that waits, or is idle. `took` is how long its
    /// invocation ran, `None` after its start.
    pub(crate) fn release(&self, mailbox: &Mailbox, took: Option<Duration>) -> Next {
        let mut state = self.lock();
        match took {
            Some(took) => {
                state.running -= 1;
                state.lately = placement::lately(state.lately, took);
            }
            None => state.starting -= 1,
        }
        if let Some(assignment) = state.next() {
            state.running += 1;
            mailbox.send(Message::Assign(assignment));
            // Those who lingered may have left a spare one behind.
            while state.spare() > 0
                && let Some(assignment) = state.waiting.pop_front()
            {
                state.use_idle(assignment);
            }
            return Next::Wait;
        }
        if state.retired {
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
        state.starting -= 1;
        self.total.fetch_sub(1, Ordering::AcqRel);
        if state.waiting.len() > state.starting { state.waiting.pop_front() } else { None }
    }

    /// An environment is gone. Where it never became free (it was ended by force, or by a bug), who
    /// counted on it is told: dropping an invocation answers it.
    pub(crate) fn gone(&self, never_free: bool) {
        if never_free {
            let mut state = self.lock();
            state.starting -= 1;
            if state.waiting.len() > state.starting {
                state.waiting.pop_front();
            }
        }
        self.total.fetch_sub(1, Ordering::AcqRel);
    }

    /// No new invocations: idle environments go now, running ones after their invocation. What
    /// waits was accepted before and still runs here.
    pub(crate) fn retire(&self) {
        let mut state = self.lock();
        state.retired = true;
        while let Some((assignment, _)) = state.lingering.pop_front() {
            state.use_idle(assignment);
        }
        for (mailbox, _) in state.idle.drain(..) {
            mailbox.send(Message::Retire);
        }
    }

    /// Retires environments that have been idle for `limit`.
    pub(crate) fn retire_idle(&self, limit: Duration) {
        let mut state = self.lock();
        // The least recently used come first.
        let spare = state.spare();
        let count = state.idle.iter().take(spare).take_while(|(_, since)| since.elapsed() >= limit).count();
        for (mailbox, _) in state.idle.drain(..count) {
            mailbox.send(Message::Retire);
        }
    }

    /// Since when its least recently used idle environment is idle.
    pub(crate) fn oldest_idle(&self) -> Option<Instant> {
        self.lock().idle.first().map(|(_, since)| *since)
    }

    /// Retires the least recently used idle environment.
    pub(crate) fn retire_oldest(&self) {
        let mut state = self.lock();
        if state.spare() > 0 {
            let (mailbox, _) = state.idle.remove(0);
            mailbox.send(Message::Retire);
        }
    }
}
