//! The rights to concurrent executions: how many run, of the account, of each function and of each version. What is
//! allowed is `model::concurrency`'s to say.
//!
//! What is provisioned of a version is set aside for it: its executions up to that many take nothing from the others;
//! those beyond are *spilled* and take part in what is left, of the function's reservation or of the account. A version may
//! have a bound of its own, which is set aside of nothing.
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
    pub(crate) versions: BTreeMap<Version, Claim>,
}

/// What a version has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) provisioned: usize,
    /// Most that run at once.
    pub(crate) most: Option<usize>,
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
    /// `NONE` where the version has no bound of its own.
    most: AtomicUsize,
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

fn bound(count: &AtomicUsize) -> Option<usize> {
    Some(get(count)).filter(|bound| *bound != NONE)
}

impl Function {
    fn reserved(&self) -> Option<usize> {
        bound(&self.reserved)
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
            Some(Claims { reserved: None, versions })
                if versions.is_empty() && !functions.contains_key(key) => {}
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
            Arc::new(Executions { account, function, running, provisioned, most: AtomicUsize::new(NONE) })
        });
        Arc::clone(executions)
    }

    fn claim(&mut self, account: &Arc<Account>, claims: &Claims) {
        for version in claims.versions.keys() {
            self.version(account, *version);
        }
        let mut counts = account.lock();
        self.function.change(&mut counts, |function| {
            let (mut spilled, mut provisioned) = (0, 0);
            for (version, executions) in &self.versions {
                let own = claims.versions.get(version).copied().unwrap_or_default();
                set(&executions.provisioned, own.provisioned);
                set(&executions.most, own.most.unwrap_or(NONE));
                provisioned += own.provisioned;
                spilled += executions.spilled();
            }
            set(&function.spilled, spilled);
            set(&function.provisioned, provisioned);
            set(&function.reserved, claims.reserved.unwrap_or(NONE));
        });
        drop(counts);
        // Those that nobody uses: a fleet has its own.
        self.versions.retain(|version, executions| {
            claims.versions.contains_key(version) || Arc::strong_count(executions) > 1
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
            version: bound(&self.most).map(|most| (most, running)),
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
mod tests;
