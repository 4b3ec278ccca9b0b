//! The rights to concurrent executions: how many run, of the account, of each function and of each version. What is
//! allowed is `model::concurrency`'s to say.
//!
//! What is provisioned of a version is set aside for it: its executions up to that many take nothing from the others;
//! those beyond are *spilled* and take part in what is left, of the function's reservation or of the account.
//!
//! One short lock instead of atomics: a reservation that comes or goes moves what runs from one
//! count to the other, and no count is ever wrong (`measure_permits` says what it costs).

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use lambkin_model::concurrency::{Load, admit};
use lambkin_model::error::ThrottleReason;
use lambkin_model::name::FunctionKey;
use lambkin_model::provisioned::Initialization;
use lambkin_model::version::Version;

use crate::starts::{Level, Started, Starts};

/// Of one account: all regions share the machine.
#[derive(Debug)]
pub(crate) struct Permits {
    account: Arc<Account>,
    /// Bounded by the functions of the catalog and their versions.
    functions: Mutex<HashMap<FunctionKey, Known>>,
}

#[derive(Debug)]
struct Known {
    function: Arc<Function>,
    versions: BTreeMap<Version, Arc<Executions>>,
}

#[derive(Debug)]
struct Account {
    limit: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    running: usize,
    /// Spilled ones of functions without reserved concurrency.
    unreserved_running: usize,
    /// Set aside for functions.
    reserved: usize,
    /// Most of `running` and `unreserved_running` since the last look.
    peaks: (usize, usize),
}

/// What a function has set aside, as its head says it.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) reserved: Option<usize>,
    pub(crate) provisioned: BTreeMap<Version, usize>,
}

/// A function's executions. All counts, here and in [`Executions`], are only touched under the lock of the account's.
#[derive(Debug)]
struct Function {
    running: AtomicUsize,
    /// Most of them since the last look.
    peak: AtomicUsize,
    /// Beyond what is provisioned of their versions.
    spilled: AtomicUsize,
    /// Of all its versions.
    provisioned: AtomicUsize,
    /// `NONE` where nothing is reserved.
    reserved: AtomicUsize,
    /// Not under the lock.
    starts: Starts,
}

/// What there is of a function at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) running: usize,
    pub(crate) provisioned: usize,
    pub(crate) started: Started,
}

/// A version's executions.
#[derive(Debug)]
pub(crate) struct Executions {
    account: Arc<Account>,
    function: Arc<Function>,
    running: AtomicUsize,
    provisioned: AtomicUsize,
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

fn get(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed)
}

fn set(count: &AtomicUsize, value: usize) {
    count.store(value, Ordering::Relaxed);
}

impl Function {
    fn reserved(&self) -> Option<usize> {
        Some(get(&self.reserved)).filter(|reserved| *reserved != NONE)
    }

    /// What is set aside for it.
    fn set_aside(&self) -> usize {
        self.reserved().unwrap_or_else(|| get(&self.provisioned))
    }

    /// Its executions that take part in what is left of the account.
    fn unreserved_running(&self) -> usize {
        if self.reserved().is_none() { get(&self.spilled) } else { 0 }
    }

    /// Changes its counts, and the account's with them.
    fn change(&self, counts: &mut Counts, change: impl FnOnce(&Self)) {
        let (aside, unreserved) = (self.set_aside(), self.unreserved_running());
        change(self);
        counts.reserved = counts.reserved - aside + self.set_aside();
        counts.unreserved_running = counts.unreserved_running - unreserved + self.unreserved_running();
    }
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        Self { account: Arc::new(Account { limit, counts: Mutex::default() }), functions: Mutex::default() }
    }

    fn functions(&self) -> MutexGuard<'_, HashMap<FunctionKey, Known>> {
        self.functions.lock().expect("no code panics under this lock")
    }

    /// A version's executions: the same for every fleet of it.
    pub(crate) fn version(&self, key: &FunctionKey, version: Version) -> Arc<Executions> {
        let mut functions = self.functions();
        let known = functions.entry(key.clone()).or_insert_with(Known::new);
        known.version(&self.account, version)
    }

    /// A function was changed or went. `claims` looks it up, under the lock, so that the last of several changes is
    /// the one that stays: `None` is no function.
    pub(crate) fn changed(&self, key: &FunctionKey, claims: impl FnOnce() -> Option<Claims>) {
        let mut functions = self.functions();
        match claims() {
            Some(Claims { reserved: None, provisioned })
                if provisioned.is_empty() && !functions.contains_key(key) => {}
            Some(claims) => {
                let known = functions.entry(key.clone()).or_insert_with(Known::new);
                known.claim(&self.account, &claims);
            }
            // What still runs is the account's from now on.
            None => {
                if let Some(mut known) = functions.remove(key) {
                    known.claim(&self.account, &Claims::default());
                }
            }
        }
    }

    /// The most that ran at once since the last look, of the account (all, and those for which nothing is set aside) and of
    /// each function that had any.
    pub(crate) fn peaks(&self) -> ((usize, usize), Vec<(FunctionKey, usize)>) {
        let functions = self.functions();
        let mut counts = self.account.lock();
        let now = (counts.running, counts.unreserved_running);
        let account = std::mem::replace(&mut counts.peaks, now);
        let of_functions = functions.iter().filter_map(|(key, known)| {
            let function = &known.function;
            let peak = function.peak.swap(function.running.load(Ordering::Relaxed), Ordering::Relaxed);
            (peak > 0).then(|| (key.clone(), peak))
        });
        (account, of_functions.collect())
    }

    /// Of every function that is known here.
    pub(crate) fn counted(&self) -> Vec<(FunctionKey, Counted)> {
        let functions = self.functions();
        let counted = |Known { function, .. }: &Known| Counted {
            running: get(&function.running),
            provisioned: get(&function.provisioned),
            started: function.starts.counted(),
        };
        functions.iter().map(|(key, known)| (key.clone(), counted(known))).collect()
    }

    /// What is left to functions for which nothing is set aside.
    pub(crate) fn unreserved(&self) -> usize {
        self.account.limit.saturating_sub(self.account.lock().reserved)
    }
}

impl Known {
    fn new() -> Self {
        let (running, peak, spilled, provisioned) = Default::default();
        let (reserved, starts) = (AtomicUsize::new(NONE), Starts::default());
        let function = Function { running, peak, spilled, provisioned, reserved, starts };
        Self { function: Arc::new(function), versions: BTreeMap::new() }
    }

    fn version(&mut self, account: &Arc<Account>, version: Version) -> Arc<Executions> {
        let executions = self.versions.entry(version).or_insert_with(|| {
            let (running, provisioned) = Default::default();
            let (account, function) = (Arc::clone(account), Arc::clone(&self.function));
            Arc::new(Executions { account, function, running, provisioned })
        });
        Arc::clone(executions)
    }

    fn claim(&mut self, account: &Arc<Account>, claims: &Claims) {
        for version in claims.provisioned.keys() {
            self.version(account, *version);
        }
        let mut counts = account.lock();
        self.function.change(&mut counts, |function| {
            let (mut spilled, mut provisioned) = (0, 0);
            for (version, executions) in &self.versions {
                let own = claims.provisioned.get(version).copied().unwrap_or(0);
                set(&executions.provisioned, own);
                provisioned += own;
                spilled += executions.spilled();
            }
            set(&function.spilled, spilled);
            set(&function.provisioned, provisioned);
            set(&function.reserved, claims.reserved.unwrap_or(NONE));
        });
        drop(counts);
        // Those that nobody uses: a fleet has its own.
        self.versions.retain(|version, executions| {
            claims.provisioned.contains_key(version) || Arc::strong_count(executions) > 1
        });
    }
}

impl Executions {
    fn spilled(&self) -> usize {
        get(&self.running).saturating_sub(get(&self.provisioned))
    }

    /// An environment started, for an invocation or ahead of any.
    pub(crate) fn started(&self, level: Level, initialization: Initialization) {
        self.function.starts.started(level, initialization);
    }

    /// An invocation found an environment.
    pub(crate) fn warm(&self) {
        self.function.starts.warm();
    }

    /// The right to one more, where it is left.
    pub(crate) fn acquire(self: &Arc<Self>) -> Result<Permit, ThrottleReason> {
        let mut counts = self.account.lock();
        let function = &self.function;
        let (running, provisioned) = (get(&self.running), get(&self.provisioned));
        let own = match function.reserved() {
            // Of a reservation, what is provisioned of other versions is set aside too.
            Some(reserved) if running >= provisioned => {
                Some((reserved, get(&function.provisioned) + get(&function.spilled)))
            }
            Some(reserved) => Some((reserved, get(&function.running))),
            None => (running < provisioned).then_some((provisioned, running)),
        };
        admit(Load {
            limit: self.account.limit,
            running: counts.running,
            unreserved_running: counts.unreserved_running,
            reserved: counts.reserved,
            own,
        })?;
        self.count(&mut counts, running + 1);
        counts.peaks = (counts.peaks.0.max(counts.running), counts.peaks.1.max(counts.unreserved_running));
        self.function.peak.fetch_max(self.function.running.load(Ordering::Relaxed), Ordering::Relaxed);
        drop(counts);
        Ok(Permit(Arc::clone(self)))
    }

    /// So many run from now on, one more or one less.
    fn count(&self, counts: &mut Counts, running: usize) {
        let (before, spilled) = (get(&self.running), self.spilled());
        set(&self.running, running);
        counts.running = counts.running - before + running;
        self.function.change(counts, |function| {
            set(&function.running, get(&function.running) - before + running);
            set(&function.spilled, get(&function.spilled) - spilled + self.spilled());
        });
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.0.account.lock();
        let running = get(&self.0.running);
        self.0.count(&mut counts, running - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> FunctionKey {
        FunctionKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() }
    }

    fn claims(reserved: Option<usize>, provisioned: &[(u64, usize)]) -> Claims {
        let provisioned = provisioned.iter().map(|(number, count)| (Version::Published(*number), *count));
        Claims { reserved, provisioned: provisioned.collect() }
    }

    /// Running, of them unreserved, and reserved.
    fn counts(permits: &Permits) -> (usize, usize, usize) {
        let counts = permits.account.lock();
        (counts.running, counts.unreserved_running, counts.reserved)
    }

    #[test]
    fn what_runs_moves_with_its_function() {
        let permits = Permits::new(10);
        let f = permits.version(&key("f"), Version::Latest);
        let running = [f.acquire().unwrap(), f.acquire().unwrap()];
        assert_eq!(counts(&permits), (2, 2, 0));
        permits.changed(&key("f"), || Some(claims(Some(4), &[])));
        assert_eq!(counts(&permits), (2, 0, 4));
        permits.changed(&key("f"), || Some(claims(Some(1), &[])));
        assert_eq!(counts(&permits), (2, 0, 1));
        assert_eq!(
            f.acquire().unwrap_err(),
            ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded
        );
        // Deleted, and made again while both still run.
        permits.changed(&key("f"), || None);
        assert_eq!(counts(&permits), (2, 2, 0));
        permits.changed(&key("f"), || Some(claims(Some(3), &[])));
        let again = permits.version(&key("f"), Version::Latest).acquire().unwrap();
        assert_eq!(counts(&permits), (3, 2, 3));
        drop((running, again));
        assert_eq!(counts(&permits), (0, 0, 3));
        permits.changed(&key("f"), || Some(claims(None, &[])));
        assert_eq!((counts(&permits), permits.unreserved()), ((0, 0, 0), 10));
    }

    #[test]
    fn peaks_are_of_the_time_since_the_last_look() {
        let permits = Permits::new(10);
        let (f, g) =
            (permits.version(&key("f"), Version::Latest), permits.version(&key("g"), Version::Latest));
        permits.changed(&key("g"), || Some(claims(Some(4), &[])));
        drop([f.acquire().unwrap(), f.acquire().unwrap()]);
        let stays = g.acquire().unwrap();
        let peaks = || {
            let (account, mut functions) = permits.peaks();
            functions.sort();
            (
                account,
                functions.into_iter().map(|(key, peak)| (key.name.to_string(), peak)).collect::<Vec<_>>(),
            )
        };
        assert_eq!(peaks(), ((2, 2), vec![("f".into(), 2), ("g".into(), 1)]));
        assert_eq!(peaks(), ((1, 0), vec![("g".into(), 1)]));
        drop(stays);
        assert_eq!(peaks().0, (1, 0));
        assert_eq!(peaks(), ((0, 0), vec![]));
    }

    #[test]
    fn what_is_provisioned_is_set_aside() {
        use ThrottleReason::ConcurrentInvocationLimitExceeded as Account;
        use ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded as Own;
        let permits = Permits::new(10);
        permits.changed(&key("f"), || Some(claims(None, &[(1, 4)])));
        assert_eq!((counts(&permits), permits.unreserved()), ((0, 0, 4), 6));
        let other = permits.version(&key("g"), Version::Latest);
        let others: Vec<_> = (0..6).map(|_| other.acquire().unwrap()).collect();
        assert_eq!(other.acquire().unwrap_err(), Account);
        // Its `$LATEST` has no part in it, version 1 has all of it and no more.
        assert_eq!(permits.version(&key("f"), Version::Latest).acquire().unwrap_err(), Account);
        let one = permits.version(&key("f"), Version::Published(1));
        let own: Vec<_> = (0..4).map(|_| one.acquire().unwrap()).collect();
        assert_eq!((counts(&permits), one.acquire().unwrap_err()), ((10, 6, 4), Account));
        // Lowered, what runs beyond it is the account's.
        permits.changed(&key("f"), || Some(claims(None, &[(1, 1)])));
        assert_eq!(counts(&permits), (10, 9, 1));
        drop((others, own));
        assert_eq!(counts(&permits), (0, 0, 1));
        // Of a reservation, the others of the function have what is left.
        permits.changed(&key("f"), || Some(claims(Some(5), &[(1, 3)])));
        let latest = permits.version(&key("f"), Version::Latest);
        let two = [latest.acquire().unwrap(), latest.acquire().unwrap()];
        assert_eq!((counts(&permits), latest.acquire().unwrap_err()), ((2, 0, 5), Own));
        let three: Vec<_> = (0..3).map(|_| one.acquire().unwrap()).collect();
        assert_eq!((counts(&permits), one.acquire().unwrap_err()), ((5, 0, 5), Own));
        permits.changed(&key("f"), || None);
        assert_eq!(counts(&permits), (5, 5, 0));
        drop((two, three));
        assert_eq!(counts(&permits), (0, 0, 0));
    }

    /// Run with `--run-ignored only`, in release.
    #[test]
    #[ignore = "measures, and holds nothing"]
    fn measure_permits() {
        let permits = Permits::new(10);
        let f = permits.version(&key("f"), Version::Latest);
        let begin = std::time::Instant::now();
        for _ in 0..10_000_000 {
            drop(std::hint::black_box(f.acquire()));
        }
        println!("a permit and back: {:?}", begin.elapsed() / 10_000_000);
    }
}
