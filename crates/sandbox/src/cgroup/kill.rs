//! Killing a group where the kernel does not do it in one step (`cgroup.kill`, 5.14).
//!
//! Processes are frozen first, so that none forks while the list is gone through, and thawed
//! afterwards: one that is frozen in v1 does not take notice of a signal.

use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::Group;
use crate::proc;

/// v1 may say FREEZING for some milliseconds; a process that is just ending may keep it there.
const FREEZE_PATIENCE: Duration = Duration::from_millis(20);
/// For those that were killed to be gone, before the list is read again.
const DEATH_PATIENCE: Duration = Duration::from_millis(5);
const PAUSE: Duration = Duration::from_micros(200);

/// Until nothing lives in the group, or for `patience`.
pub(super) fn one_by_one(group: &Group, patience: Duration) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        // Fails where there is no freezer: then it takes more rounds.
        let is_freezing = group.freeze().is_ok();
        if is_freezing {
            wait(FREEZE_PATIENCE, || group.is_frozen() || group.processes() == 0);
        }
        kill_listed(group);
        if is_freezing {
            group.thaw()?;
        }
        if wait(DEATH_PATIENCE, || group.processes() == 0) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let text = format!("{} processes are still there after {patience:?}", group.processes());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
    }
}

/// A process may end between the list and the signal and its number be another's: only what is
/// still listed when it is held is meant.
fn kill_listed(group: &Group) {
    let held: Vec<(i32, OwnedFd)> = group
        .pids()
        .into_iter()
        .filter(|pid| *pid != proc::own_pid())
        .filter_map(|pid| Some((pid, pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?)))
        .collect();
    let listed = group.pids();
    for (pid, process) in held {
        if listed.binary_search(&pid).is_ok() {
            // Fails where it has just ended.
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
    }
}

fn wait(patience: Duration, is_done: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if is_done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
}
