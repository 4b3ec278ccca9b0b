//! What the environments may use of the machine's memory, and who waits for room. What an
//! environment counts, and which idle ones go, is `model::placement`'s to say.
//!
//! Deliberately not here: how much there is (the server asks the machine), and holding a process to
//! its function's memory, which is the sandbox's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use lambkin_model::placement::charge;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

#[derive(Debug)]
pub(crate) struct Memory {
    /// Bytes.
    budget: u64,
    used: Mutex<Used>,
    /// One waits for room, the others wait for their turn, in order.
    turn: Semaphore,
    /// Somebody has the turn: only then is it told of changes.
    wanted: AtomicBool,
    changed: Notify,
}

/// In bytes.
#[derive(Debug, Default)]
struct Used {
    all: u64,
    /// Of environments that were told to go and are still there.
    leaving: u64,
}

/// An environment's part of the memory; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    memory: Arc<Memory>,
    /// The function's memory, in bytes.
    size: u64,
    /// What it counts now, and whether it was told to go. Changed under the lock of `memory` alone.
    counted: AtomicU64,
    leaving: AtomicBool,
    /// Its part in what a fleet or the pool counts.
    share: Share,
}

/// Bytes that the environments of a fleet count together, or the processes of the pool.
pub(crate) type Share = Arc<AtomicU64>;

/// The right to wait for room.
pub(crate) struct Turn<'a> {
    memory: &'a Memory,
    _permit: SemaphorePermit<'a>,
}

impl Memory {
    pub(crate) fn new(budget: Option<u64>) -> Self {
        Self {
            budget: budget.unwrap_or(u64::MAX),
            used: Mutex::default(),
            turn: Semaphore::new(1),
            wanted: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// Most bytes that they may; `None`: there is no bound.
    pub(crate) fn limit(&self) -> Option<u64> {
        Some(self.budget).filter(|budget| *budget < u64::MAX)
    }

    /// Bytes that environments count now.
    pub(crate) fn used(&self) -> u64 {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().expect("no code panics under this lock")
    }

    /// Room for an environment of a function with so many bytes, where nobody waits for some.
    pub(crate) fn room_now(self: &Arc<Self>, size: u64, share: &Share) -> Option<Room> {
        let _turn = self.turn.try_acquire().ok()?;
        self.room(size, share).ok()
    }

    /// Room, or how many bytes are missing beyond those that are about to be given back.
    fn room(self: &Arc<Self>, size: u64, share: &Share) -> Result<Room, u64> {
        let counted = charge(size, 0, self.budget);
        let mut used = self.lock();
        let wanted = used.all.saturating_add(counted);
        if wanted > self.budget {
            return Err((wanted - self.budget).saturating_sub(used.leaving));
        }
        used.all = wanted;
        drop(used);
        share.fetch_add(counted, Ordering::Relaxed);
        let (counted, leaving) = (AtomicU64::new(counted), AtomicBool::new(false));
        Ok(Room { memory: Arc::clone(self), size, counted, leaving, share: Arc::clone(share) })
    }

    pub(crate) async fn turn(&self) -> Option<Turn<'_>> {
        let permit = self.turn.acquire().await.ok()?;
        self.wanted.store(true, Ordering::Relaxed);
        Some(Turn { memory: self, _permit: permit })
    }

    /// Who waits looks again.
    pub(crate) fn stir(&self) {
        if self.wanted.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }
}

impl Turn<'_> {
    pub(crate) fn room(&self, memory: &Arc<Memory>, size: u64, share: &Share) -> Result<Room, u64> {
        memory.room(size, share)
    }

    /// Something changed since the last look.
    pub(crate) async fn changed(&self) {
        self.memory.changed.notified().await;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.memory.wanted.store(false, Ordering::Relaxed);
    }
}

impl Room {
    /// The most its environment was seen to use.
    pub(crate) fn measured(&self, bytes: u64) {
        let counted = charge(self.size, bytes, self.memory.budget);
        if counted == self.counted.load(Ordering::Relaxed) {
            return;
        }
        let mut used = self.memory.lock();
        let before = self.counted.swap(counted, Ordering::Relaxed);
        used.all = used.all - before + counted;
        self.share.fetch_add(counted, Ordering::Relaxed);
        self.share.fetch_sub(before, Ordering::Relaxed);
        if self.leaving.load(Ordering::Relaxed) {
            used.leaving = used.leaving - before + counted;
        }
        drop(used);
        self.memory.stir();
    }

    pub(crate) fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// Its environment was told to go.
    pub(crate) fn leaves(&self) {
        let mut used = self.memory.lock();
        if !self.leaving.swap(true, Ordering::Relaxed) {
            used.leaving += self.counted();
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Its environment became free.
    pub(crate) fn freed(&self) {
        self.memory.stir();
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut used = self.memory.lock();
        used.all -= self.counted();
        self.share.fetch_sub(self.counted(), Ordering::Relaxed);
        if self.leaving.load(Ordering::Relaxed) {
            used.leaving -= self.counted();
        }
        drop(used);
        self.memory.stir();
    }
}
