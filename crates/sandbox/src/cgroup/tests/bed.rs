//! Real groups for one test, and processes in them.

use std::fmt;
use std::os::fd::AsRawFd as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::super::discovery::Machine;
use super::super::{Ability, Cgroups, Feature, Group};
use crate::proc;

/// For a loaded machine; nothing here is expected to take long.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// `$LAMBKIN_TEST_SLOWNESS` times as long where a machine says that it is slow.
fn patience() -> Duration {
    let slowness = std::env::var("LAMBKIN_TEST_SLOWNESS").ok().and_then(|factor| factor.parse().ok());
    PATIENCE * slowness.unwrap_or(1)
}

pub(super) struct Bed {
    pub(super) tag: String,
    pub(super) cgroups: Cgroups,
    layout: &'static str,
}

impl Bed {
    fn new(layout: &'static str, machine: &Machine) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tag = format!("test{}x{number}", proc::own_pid());
        Self { cgroups: Cgroups::on(machine, &tag), tag, layout }
    }

    /// The machine as it is, and as it would be without v2.
    pub(super) fn all() -> [Self; 2] {
        let mut v1_alone = Machine::this();
        v1_alone.mountinfo = v1_alone
            .mountinfo
            .lines()
            .filter(|line| !line.contains(" - cgroup2 "))
            .fold(String::new(), |text, line| text + line + "\n");
        [Self::new("as it is", &Machine::this()), Self::new("without cgroup v2", &v1_alone)]
    }

    /// Says loudly what cannot be tried.
    pub(super) fn has(&self, test: &str, ability: &Ability) -> bool {
        match ability {
            Ability::Have { .. } => true,
            Ability::Missing { why } => {
                eprintln!("NOT TESTED: {test} on this machine {}: {why}", self.layout);
                false
            }
        }
    }

    pub(super) fn group(&self, name: &str) -> Group {
        self.cgroups.make(name).expect("a group")
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.cgroups.sweep();
        self.cgroups.close();
    }
}

impl fmt::Display for Bed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.layout, self.cgroups.abilities())
    }
}

/// A program that has joined the group in all hierarchies, by itself through descriptors of ours.
pub(super) fn start(group: &Group, program: &[&str]) -> Child {
    let joins = group.joins().expect("joins");
    let me = proc::own_pid();
    let mut files: Vec<String> =
        joins.iter().map(|join| format!("/proc/{me}/fd/{}", join.as_raw_fd())).collect();
    // Who can clone does not need to join this one.
    files.extend(group.leaf().map(|leaf| format!("/proc/{me}/fd/{}/cgroup.procs", leaf.as_raw_fd())));
    let child = Command::new("sh")
        .args(["-c", "for join in $JOINS; do echo 0 > $join || exit 90; done; exec \"$@\"", "sh"])
        .args(program)
        .env("JOINS", files.join(" "))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh");
    let pid = child.id().cast_signed();
    await_that("the process has joined all groups", || {
        let is_in = |hierarchy: &super::super::Hierarchy| hierarchy.pids(&group.name).contains(&pid);
        // It may have done its work already.
        group.hierarchies.iter().all(is_in) || proc::Stat::of(pid).is_none_or(|stat| stat.is_zombie())
    });
    child
}

pub(super) fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + patience();
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

/// Of a process that ends by itself or was killed.
pub(super) fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(status) = child.try_wait().expect("wait") {
            return status;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: the end of {}", child.id());
        std::thread::yield_now();
    }
}

/// CPU time; every machine here counts it.
pub(super) fn usage(group: &Group) -> Duration {
    group.cpu_usage().expect("the CPU time")
}

/// A file of the hierarchy that serves a feature.
pub(super) fn read(group: &Group, feature: Feature, file: &str) -> String {
    let hierarchy = group.serving(feature).expect("a hierarchy");
    hierarchy.read(&group.name, file).expect("a file")
}

/// Reaps a child that was killed, and sees the group go.
pub(super) fn finish(group: &Group, mut child: Child) {
    group.kill().expect("kill");
    ended(&mut child);
    assert!(group.remove(PATIENCE), "the group stays: {:?}", group.pids());
}
