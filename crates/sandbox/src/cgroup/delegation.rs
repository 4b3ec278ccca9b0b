//! Passing v2 controllers on from our own group to groups below it.
//!
//! v2 allows that only where the group has no processes itself (the real root excepted). We are in it,
//! so we have to step aside into a group of our own; that is done only where nobody but us and our
//! children lives there. A service manager that gives a service its group for itself calls that
//! delegation (`Delegate=yes`).

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use rustix::io::Errno;

use super::Version;
use crate::proc;

/// Where lambkin itself steps aside to.
pub(super) const SUPERVISOR: &str = "lambkin-supervisor";

/// What gives lambkin a v2 group for itself.
fn how_to_get_it() -> &'static str {
    if rustix::process::geteuid().is_root() {
        "start it by systemd-run --scope -p Delegate=yes, or as a service with Delegate=yes (examples/systemd)"
    } else {
        "start it by systemd-run --user --scope -p Delegate=yes, or as a service with Delegate=yes (examples/systemd)"
    }
}

/// Sees that the groups below `own` get the controllers. What is refused is listed with the reason; the
/// others are had. `me` and its children may be moved.
pub(super) fn pass_on(own: &Path, wanted: &[&'static str], me: i32) -> Vec<(&'static str, String)> {
    let offered = words(&own.join("cgroup.controllers"));
    let passed = words(&own.join("cgroup.subtree_control"));
    let mut refused = Vec::new();
    let mut missing = Vec::new();
    for controller in wanted {
        if !offered.iter().any(|word| word == controller) {
            let offered = if offered.is_empty() { "none".to_owned() } else { offered.join(" ") };
            refused.push((
                *controller,
                format!(
                    "the group {} is not given the controller (it has: {offered}); {}",
                    own.display(),
                    how_to_get_it()
                ),
            ));
        } else if !passed.iter().any(|word| word == controller) {
            missing.push(*controller);
        }
    }
    if missing.is_empty() {
        return refused;
    }
    // Not left to the kernel to refuse: it lets a group with processes pass on `cpu` or `pids` alone, and makes it
    // a threaded one, below which no process can be put any more.
    let enabled = if is_in_use(own) { Err(Errno::BUSY) } else { enable(own, &missing) };
    match enabled {
        Err(Errno::BUSY) => match step_aside(own, me) {
            Ok(moved) => {
                let failed = one_by_one(own, &missing);
                if failed.len() == missing.len() {
                    step_back(own, &moved);
                }
                refused.extend(failed);
            }
            Err(why) => refused.extend(missing.iter().map(|controller| (*controller, why.clone()))),
        },
        Err(_) => refused.extend(one_by_one(own, &missing)),
        Ok(()) => {}
    }
    refused
}

/// Whether processes live in it. The real root, which has no type, may have them.
fn is_in_use(group: &Path) -> bool {
    group.join("cgroup.type").exists() && living(group).is_ok_and(|living| !living.is_empty())
}

/// One that cannot be had takes the others with it when they are asked for together.
fn one_by_one(own: &Path, missing: &[&'static str]) -> Vec<(&'static str, String)> {
    let refused = |controller: &&'static str| {
        let errno = enable(own, &[*controller]).err()?;
        Some((*controller, refusal(Version::V2, &own.join("cgroup.subtree_control"), errno)))
    };
    missing.iter().filter_map(refused).collect()
}

pub(super) fn enable(group: &Path, controllers: &[&str]) -> Result<(), Errno> {
    let text: Vec<String> = controllers.iter().map(|controller| format!("+{controller}")).collect();
    write(&group.join("cgroup.subtree_control"), &text.join(" "))
}

/// Moves this process and its children out of `own`; says which.
fn step_aside(own: &Path, me: i32) -> Result<Vec<i32>, String> {
    let aside = own.join(SUPERVISOR);
    let mut moved = Vec::new();
    // Again as long as there is somebody: children may have come meanwhile. Not for ever.
    for _ in 0..8 {
        let living = living(own).map_err(|error| format!("{}: {error}", own.display()))?;
        if living.is_empty() {
            return Ok(moved);
        }
        let ours = family(me);
        let foreign = living.iter().filter(|pid| !ours.contains(pid)).count();
        if foreign > 0 {
            step_back(own, &moved);
            return Err(format!(
                "{foreign} other processes live in our own group {}, and v2 gives limits only below groups \
                 without processes; {}",
                own.display(),
                how_to_get_it()
            ));
        }
        if let Err(error) = fs::create_dir(&aside)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(format!("{}: {error}; {}", aside.display(), how_to_get_it()));
        }
        for pid in living {
            match write(&aside.join("cgroup.procs"), &pid.to_string()) {
                Ok(()) => moved.push(pid),
                // It has just ended.
                Err(Errno::SRCH) => {}
                Err(errno) => {
                    step_back(own, &moved);
                    return Err(refusal(Version::V2, &aside.join("cgroup.procs"), errno));
                }
            }
        }
    }
    step_back(own, &moved);
    Err(format!("new processes keep coming into our own group {}", own.display()))
}

/// It did not help: all as it was.
fn step_back(own: &Path, moved: &[i32]) {
    for pid in moved {
        // One that has ended needs no place.
        let _ = write(&own.join("cgroup.procs"), &pid.to_string());
    }
    // Stays where it was there before and somebody lives in it.
    let _ = fs::remove_dir(own.join(SUPERVISOR));
}

/// A process and all below it.
fn family(me: i32) -> HashSet<i32> {
    let mut family = HashSet::new();
    let mut found = vec![me];
    while let Some(pid) = found.pop() {
        if family.insert(pid) {
            found.extend(proc::children(pid));
        }
    }
    family
}

fn living(group: &Path) -> io::Result<Vec<i32>> {
    let text = fs::read_to_string(group.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

fn words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn write(file: &Path, text: &str) -> Result<(), Errno> {
    let written = || fs::OpenOptions::new().write(true).truncate(true).open(file)?.write_all(text.as_bytes());
    // The kernel's own errors all have a number; a short write does not happen to so few bytes.
    written().map_err(|error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Why a group cannot be had, and what would help.
pub(super) fn refusal(version: Version, path: &Path, errno: Errno) -> String {
    let path = path.display();
    match (errno, version) {
        (Errno::ACCESS | Errno::PERM, Version::V1) => format!("{path}: no permission; lambkin must be root"),
        (Errno::ACCESS | Errno::PERM, Version::V2) => {
            format!("{path}: no permission; run lambkin as root, or {}", how_to_get_it())
        }
        (Errno::ROFS, Version::V1 | Version::V2) => {
            format!("{path}: mounted read-only, as in a container without privileges")
        }
        (errno, Version::V1 | Version::V2) => format!("{path}: {errno}"),
    }
}
