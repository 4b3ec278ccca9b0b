//! Killing all that a process has started, whatever it did to get away: new process groups, new
//! sessions, double forks.
//!
//! Whose an orphan is, its session tells, or the environment's id in its variables. Code that
//! changes both (a program started with an empty environment in a new session, whose parent then
//! ends) is not found before nothing else runs; so is a chain of processes that fork faster than
//! they are killed. The jail's pid namespace closes both.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::proc;

/// How long an orphan without variables may be inside `execve` rather than hiding.
const EXECVE: Duration = Duration::from_millis(100);

/// A tree whose first process, the leader, was reaped.
pub(crate) struct Remains<'a> {
    /// Also the number of its session and its process group.
    pub(crate) leader: Pid,
    /// Text in the variables of all of it.
    pub(crate) marker: &'a [u8],
    /// When the leader ended.
    pub(crate) since: Instant,
}

/// Kills a process and all below it. Only for children of the spawner and what is below them: such
/// a process is reaped by its parent, or by the spawner after its parent was killed here, so that
/// its number is not another process's yet.
pub(crate) fn kill_down(pid: i32) {
    let mut found = vec![pid];
    while let Some(pid) = found.pop() {
        // Asked before it is killed: afterwards they are the spawner's.
        found.extend(proc::children(pid));
        if let Some(pid) = Pid::from_raw(pid) {
            // Fails where it has just gone.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// Kills the leader's process group, in one step that no fork slips through.
pub(crate) fn kill_group(leader: Pid) {
    // Fails where nothing is left of it.
    let _ = kill_process_group(leader, Signal::KILL);
}

/// Kills those of the spawner's adopted children that belong to one of the trees, and says for each
/// tree whether something of it may be left. `spare` says who is the leader of a running tree.
pub(crate) fn sweep(remains: &[Remains<'_>], spare: impl Fn(i32) -> bool) -> Vec<bool> {
    let mut left = vec![false; remains.len()];
    for pid in proc::children(proc::own_pid()) {
        if spare(pid) {
            continue;
        }
        let Some(stat) = proc::Stat::of(pid) else { continue };
        if stat.is_zombie() {
            continue;
        }
        if stat.is_exiting() {
            // Whose it is cannot be seen any more, and its children come to the spawner only when
            // it has ended.
            left.fill(true);
            continue;
        }
        let variables = proc::variables(pid);
        let mut belongs = false;
        for (tree, left) in remains.iter().zip(&mut left) {
            if stat.session == tree.leader.as_raw_pid() || proc::contains(&variables, tree.marker) {
                belongs = true;
                *left = true;
            } else if variables.is_empty() && tree.since.elapsed() < EXECVE {
                *left = true;
            }
        }
        if belongs {
            kill_down(pid);
        }
    }
    left
}

/// Kills every process of this machine whose variables contain one of the markers: what is left of
/// environments whose spawner was killed. Waits up to `patience` for them to be gone; says whether
/// they are.
pub(crate) fn kill_marked(markers: &[String], patience: Duration) -> bool {
    const PAUSE: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + patience;
    if markers.is_empty() {
        return true;
    }
    loop {
        let mut left = false;
        for pid in proc::pids() {
            left |= kill_if_marked(pid, markers);
        }
        if !left || Instant::now() > deadline {
            return !left;
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(target_os = "linux")]
fn kill_if_marked(pid: i32, markers: &[String]) -> bool {
    use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};
    // Opened before it is looked at, so that what is killed is what was looked at.
    let Some(Ok(process)) = Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return false;
    };
    let variables = proc::variables(pid);
    let marked = markers.iter().any(|marker| proc::contains(&variables, marker.as_bytes()));
    marked && pidfd_send_signal(process, Signal::KILL).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn kill_if_marked(_: i32, _: &[String]) -> bool {
    false
}
