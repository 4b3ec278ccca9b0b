//! Booted processes that no function has yet (`docs/channel.md`, "generic"): taken by the next cold
//! start of their kind, never given back, refilled behind everything else that starts, let go where
//! the memory is wanted.
//!
//! One task keeps them (`keep`). Deliberately not here: how many are kept (`model::pool`), and what
//! makes a function one that may take one (`launch.rs`).

mod counts;
mod kind;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use lambkin_model::figure::Figure;
use lambkin_model::pool::{Demand, shares};
use lambkin_model::runtime::RuntimeProvider;
use lambkin_model::sandbox::Launcher;
use lambkin_model::time::Moment;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};

use crate::gate::{Gate, Turn};
use crate::memory::{Memory, Room};
use counts::Counts;
pub(crate) use kind::Kind;
pub(crate) use worker::{Assigned, Booted};

/// Cold starts that ask at once. When full, the next ones wait to be heard, which takes microseconds.
const ASKS: usize = 64;

/// Bytes that a booted process counts: 6 to 10 MiB were measured, and its jail.
const BOOTED_BYTES: u64 = 16 << 20;

/// How often those that nobody wants any more are let go.
const BEAT: Duration = Duration::from_secs(2);

/// After a boot that failed, which is said in the log.
const PAUSE: Duration = Duration::from_secs(1);

/// What the pool boots with.
pub(crate) struct Means {
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) runtimes: Arc<dyn RuntimeProvider>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) memory: Arc<Memory>,
    /// Most processes.
    pub(crate) size: usize,
}

/// The way to the pool.
#[derive(Clone)]
pub(crate) struct Pool {
    asks: mpsc::Sender<Ask>,
    ready: Shelf,
    counts: Arc<Counts>,
}

struct Ask {
    kind: Kind,
    answer: oneshot::Sender<Booted>,
}

impl Pool {
    /// The pool, and the task that keeps it: it ends when the last `Pool` is gone, with every process
    /// that it has.
    pub(crate) fn new(means: Means) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, asks) = mpsc::channel(ASKS);
        let counts = Arc::new(Counts::new(means.size));
        let ready = Shelf::default();
        let keeper = Keeper {
            means,
            counts: Arc::clone(&counts),
            ready: ready.clone(),
            epoch: Instant::now(),
            demands: HashMap::new(),
            next: 0,
            paused: None,
        };
        (Self { asks: sender, ready, counts }, keeper.keep(asks))
    }

    /// For a cold start of this kind, which counts as demand. `None` where none is ready.
    pub(crate) async fn take(&self, kind: Kind) -> Option<Booted> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { kind, answer }).await.ok()?;
        answered.await.ok()
    }

    /// Lets go of those that wait longest, until so many bytes are given back; of none where all of
    /// them are not enough. Whether they are.
    pub(crate) fn make_room(&self, bytes: u64) -> bool {
        let mut ready = self.ready.lock();
        let count = usize::try_from(bytes.div_ceil(BOOTED_BYTES)).unwrap_or(usize::MAX);
        if count > ready.len() {
            return false;
        }
        for Ready { room, .. } in ready.drain(..count) {
            room.leaves();
        }
        true
    }

    pub(crate) fn figures(&self) -> Vec<Figure> {
        self.counts.figures()
    }
}

/// A process that waits, in the hands of a task that sees its end. Dropping this lets it go.
struct Ready {
    number: u64,
    kind: Kind,
    take: oneshot::Sender<oneshot::Sender<Booted>>,
    room: Arc<Room>,
}

/// Those that wait, the oldest first.
#[derive(Default, Clone)]
struct Shelf(Arc<Mutex<Vec<Ready>>>);

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Vec<Ready>> {
        self.0.lock().expect("no code panics under this lock")
    }
}

struct Keeper {
    means: Means,
    counts: Arc<Counts>,
    epoch: Instant,
    demands: HashMap<Kind, Demand>,
    ready: Shelf,
    next: u64,
    /// Nothing is booted until then.
    paused: Option<Instant>,
}

impl Keeper {
    async fn keep(mut self, mut asks: mpsc::Receiver<Ask>) {
        let mut boot: JoinSet<Option<(Kind, Booted, Room)>> = JoinSet::new();
        let mut waiting: JoinSet<u64> = JoinSet::new();
        let mut beat = tokio::time::interval(BEAT);
        loop {
            if boot.is_empty()
                && let Some((kind, room, turn)) = self.next_boot()
            {
                let booting = worker::boot(Arc::clone(&self.means.launcher), kind, turn);
                boot.spawn(async move { booting.await.map(|(kind, booted)| (kind, booted, room)) });
            }
            tokio::select! {
                biased;
                ask = asks.recv() => match ask {
                    Some(ask) => self.give(ask),
                    None => break,
                },
                Some(number) = waiting.join_next(), if !waiting.is_empty() => {
                    // Taken or let go, and not here any more, or dead.
                    let number = number.ok();
                    self.ready.lock().retain(|ready| Some(ready.number) != number);
                }
                Some(booted) = boot.join_next(), if !boot.is_empty() => match booted {
                    Ok(Some((kind, booted, room))) => self.booted(kind, booted, room, &mut waiting),
                    Ok(None) | Err(_) => self.paused = Some(Instant::now() + PAUSE),
                },
                () = self.means.gate.ended(), if boot.is_empty() => {}
                _ = beat.tick() => self.retire(),
            }
            self.counts.ready(self.ready.lock().iter().map(|ready| &ready.kind));
        }
        boot.shutdown().await;
        self.ready.lock().clear();
        while waiting.join_next().await.is_some() {}
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn give(&mut self, Ask { kind, answer }: Ask) {
        let now = self.now();
        self.demands.entry(kind.clone()).or_insert_with(|| Demand::new(now)).add(now);
        let mut answer = answer;
        let mut waiting = self.ready.lock();
        while let Some(index) = waiting.iter().position(|ready| ready.kind == kind) {
            match waiting.remove(index).take.send(answer) {
                Ok(()) => return self.counts.asked(&kind, true),
                // It has just ended.
                Err(back) => answer = back,
            }
        }
        self.counts.asked(&kind, false);
    }

    fn booted(&mut self, kind: Kind, booted: Booted, room: Room, waiting: &mut JoinSet<u64>) {
        self.next += 1;
        let (take, taken) = oneshot::channel();
        let room = Arc::new(room);
        waiting.spawn(worker::wait(self.next, booted, taken, Arc::clone(&room)));
        self.ready.lock().push(Ready { number: self.next, kind, take, room });
        // Who waits for room may want this one's.
        self.means.memory.stir();
    }

    /// How many of each kind are wanted now.
    fn wanted(&self) -> Vec<(&Kind, usize)> {
        let now = self.now();
        let (kinds, levels): (Vec<_>, Vec<_>) =
            self.demands.iter().map(|(kind, demand)| (kind, demand.level(now))).unzip();
        kinds.into_iter().zip(shares(&levels, self.means.size)).collect()
    }

    fn waiting(&self) -> usize {
        self.ready.lock().len()
    }

    fn count(&self, kind: &Kind) -> usize {
        self.ready.lock().iter().filter(|ready| ready.kind == *kind).count()
    }

    /// What is missing most, with room for it, and the right to boot it.
    fn next_boot(&mut self) -> Option<(Kind, Room, Turn)> {
        if self.paused.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        self.paused = None;
        let missing = |(kind, wanted): (&Kind, usize)| {
            Some((wanted.checked_sub(self.count(kind)).filter(|missing| *missing > 0)?, kind.clone()))
        };
        let wanted = self.wanted().into_iter().filter_map(missing).max_by_key(|(missing, _)| *missing);
        let (_, kind) = wanted?;
        // Of another kind that is wanted less now.
        if self.waiting() >= self.means.size {
            self.retire();
        }
        if self.waiting() >= self.means.size || !kind.is_installed(&*self.means.runtimes) {
            return None;
        }
        // Before anything is booted: it would be for nothing, and over and over.
        let room = self.means.memory.room_now(BOOTED_BYTES, self.counts.memory())?;
        self.means.gate.turn_if_idle().map(|turn| (kind, room, turn))
    }

    /// Lets go of what is not wanted any more, the oldest first, and of runtimes that are gone.
    fn retire(&mut self) {
        let now = self.now();
        let runtimes = Arc::clone(&self.means.runtimes);
        self.demands.retain(|kind, demand| !demand.is_forgotten(now) && kind.is_installed(&*runtimes));
        let mut wanted: HashMap<Kind, usize> =
            self.wanted().into_iter().map(|(kind, count)| (kind.clone(), count)).collect();
        // The newest stay.
        let mut waiting = self.ready.lock();
        let mut kept = Vec::new();
        for ready in waiting.drain(..).rev() {
            match wanted.get_mut(&ready.kind) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    kept.push(ready);
                }
                Some(_) | None => {}
            }
        }
        kept.reverse();
        *waiting = kept;
    }
}
