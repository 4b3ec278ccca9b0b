//! The rights to concurrent executions: how many run, of the account and of each function. What is
//! allowed is `model::concurrency`'s to say.
//!
//! One short lock instead of atomics: a reservation that comes or goes moves what runs from one
//! count to the other, and no count is ever wrong. Getting a permit and giving it back takes 44 ns
//! together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use lambkin_model::concurrency::{Load, admit};
use lambkin_model::error::ThrottleReason;
use lambkin_model::name::FunctionKey;

/// Of one account: all regions share the machine.
#[derive(Debug)]
pub(crate) struct Permits {
    account: Arc<Account>,
    /// Bounded by the functions of the catalog.
    functions: Mutex<HashMap<FunctionKey, Arc<Executions>>>,
}

#[derive(Debug)]
struct Account {
    limit: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    running: usize,
    /// Of functions without reserved concurrency.
    unreserved_running: usize,
    reserved: usize,
}

/// A function's executions.
#[derive(Debug)]
pub(crate) struct Executions {
    account: Arc<Account>,
    /// Both are only touched under the lock of the account's counts.
    running: AtomicUsize,
    /// `NONE` where nothing is reserved.
    reserved: AtomicUsize,
}

const NONE: usize = usize::MAX;

/// The right to one concurrent execution. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Executions>);

impl Account {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no code panics under this lock")
    }
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        Self { account: Arc::new(Account { limit, counts: Mutex::default() }), functions: Mutex::default() }
    }

    fn functions(&self) -> MutexGuard<'_, HashMap<FunctionKey, Arc<Executions>>> {
        self.functions.lock().expect("no code panics under this lock")
    }

    /// The function's executions: the same for every fleet of it.
    pub(crate) fn function(&self, key: &FunctionKey) -> Arc<Executions> {
        let mut functions = self.functions();
        let function = functions.entry(key.clone()).or_insert_with(|| self.executions());
        Arc::clone(function)
    }

    fn executions(&self) -> Arc<Executions> {
        let (running, reserved) = (AtomicUsize::new(0), AtomicUsize::new(NONE));
        Arc::new(Executions { account: Arc::clone(&self.account), running, reserved })
    }

    /// A function was changed or went. `reserved` looks it up, under the lock, so that the last
    /// of several changes is the one that stays: `None` is no function, `Some(None)` no reservation.
    pub(crate) fn changed(&self, key: &FunctionKey, reserved: impl FnOnce() -> Option<Option<u32>>) {
        let mut functions = self.functions();
        match reserved() {
            Some(None) if !functions.contains_key(key) => {}
            Some(reserved) => {
                let function = functions.entry(key.clone()).or_insert_with(|| self.executions());
                function.reserve(reserved.map(|count| count as usize));
            }
            // What still runs is the account's from now on.
            None => {
                if let Some(function) = functions.remove(key) {
                    function.reserve(None);
                }
            }
        }
    }

    /// What is left to functions without reserved concurrency.
    pub(crate) fn unreserved(&self) -> usize {
        self.account.limit.saturating_sub(self.account.lock().reserved)
    }
}

impl Executions {
    /// The right to one more, where it is left.
    pub(crate) fn acquire(self: &Arc<Self>) -> Result<Permit, ThrottleReason> {
        let mut counts = self.account.lock();
        let (running, reserved) = (self.running.load(Ordering::Relaxed), self.reserved());
        admit(Load {
            limit: self.account.limit,
            running: counts.running,
            unreserved_running: counts.unreserved_running,
            reserved: counts.reserved,
            own: reserved.map(|reserved| (reserved, running)),
        })?;
        counts.running += 1;
        counts.unreserved_running += usize::from(reserved.is_none());
        self.running.store(running + 1, Ordering::Relaxed);
        drop(counts);
        Ok(Permit(Arc::clone(self)))
    }

    fn reserved(&self) -> Option<usize> {
        Some(self.reserved.load(Ordering::Relaxed)).filter(|reserved| *reserved != NONE)
    }

    fn reserve(&self, reserved: Option<usize>) {
        let mut counts = self.account.lock();
        let (before, running) = (self.reserved(), self.running.load(Ordering::Relaxed));
        counts.reserved = counts.reserved - before.unwrap_or(0) + reserved.unwrap_or(0);
        if before.is_none() {
            counts.unreserved_running -= running;
        }
        if reserved.is_none() {
            counts.unreserved_running += running;
        }
        self.reserved.store(reserved.unwrap_or(NONE), Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.0.account.lock();
        counts.running -= 1;
        counts.unreserved_running -= usize::from(self.0.reserved().is_none());
        let running = self.0.running.load(Ordering::Relaxed);
        self.0.running.store(running - 1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> FunctionKey {
        FunctionKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
    }

    /// Running, of them unreserved, and reserved.
    fn counts(permits: &Permits) -> (usize, usize, usize) {
        let counts = permits.account.lock();
        (counts.running, counts.unreserved_running, counts.reserved)
    }

    #[test]
    fn what_runs_moves_with_its_function() {
        let permits = Permits::new(10);
        let f = permits.function(&key("f"));
        let running = [f.acquire().unwrap(), f.acquire().unwrap()];
        assert_eq!(counts(&permits), (2, 2, 0));
        permits.changed(&key("f"), || Some(Some(4)));
        assert_eq!(counts(&permits), (2, 0, 4));
        permits.changed(&key("f"), || Some(Some(1)));
        assert_eq!(counts(&permits), (2, 0, 1));
        assert_eq!(
            f.acquire().unwrap_err(),
            ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded
        );
        // Deleted, and made again while both still run.
        permits.changed(&key("f"), || None);
        assert_eq!(counts(&permits), (2, 2, 0));
        permits.changed(&key("f"), || Some(Some(3)));
        let again = permits.function(&key("f")).acquire().unwrap();
        assert_eq!(counts(&permits), (3, 2, 3));
        drop((running, again));
        assert_eq!(counts(&permits), (0, 0, 3));
        permits.changed(&key("f"), || Some(None));
        assert_eq!((counts(&permits), permits.unreserved()), ((0, 0, 0), 10));
    }

    /// Run with `--run-ignored only`, in release.
    #[test]
    #[ignore = "measures, and holds nothing"]
    fn measure_permits() {
        let permits = Permits::new(10);
        let f = permits.function(&key("f"));
        let begin = std::time::Instant::now();
        for _ in 0..10_000_000 {
            drop(std::hint::black_box(f.acquire()));
        }
        println!("a permit and back: {:?}", begin.elapsed() / 10_000_000);
    }
}
