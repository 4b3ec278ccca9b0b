//! What the kernel says of the host's processes and groups.

use std::fs;
use std::path::PathBuf;

fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("processes");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// A field of `/proc/PID/stat`, counted from 1 after the program's name: 1 is the state, 2 the parent.
fn stat(pid: i32, field: usize) -> Option<String> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    line.rsplit_once(") ")?.1.split(' ').nth(field - 1).map(str::to_owned)
}

pub(crate) fn is_alive(pid: i32) -> bool {
    stat(pid, 1).is_some_and(|state| state != "Z" && state != "X")
}

pub(crate) fn is_stopped(pid: i32) -> bool {
    stat(pid, 1).is_some_and(|state| state == "T")
}

/// All below it that live, itself not.
pub(crate) fn descendants(of: u32) -> Vec<i32> {
    let all: Vec<(i32, i32)> =
        all().into_iter().filter_map(|pid| Some((pid, stat(pid, 2)?.parse().ok()?))).collect();
    let mut found = vec![of.cast_signed()];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| pid));
        next += 1;
    }
    found.into_iter().skip(1).filter(|pid| is_alive(*pid)).collect()
}

/// Those below this process that have this name.
pub(crate) fn named(name: &str) -> Vec<i32> {
    let is =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name);
    descendants(std::process::id()).into_iter().filter(is).collect()
}

/// Of the whole machine, those with this text in their command line.
pub(crate) fn with_text(text: &str) -> Vec<i32> {
    let own = std::process::id().cast_signed();
    let has = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    all().into_iter().filter(|pid| *pid != own && is_alive(*pid)).filter(has).collect()
}

/// The users of a process as the host sees them.
pub(crate) fn user(pid: i32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).expect("its users");
    line.split_ascii_whitespace().next().expect("a user").parse().expect("a number")
}

/// Groups below `lambkin-<tag>` that are left on this machine.
pub(crate) fn groups(tag: &str) -> Vec<PathBuf> {
    let name = format!("lambkin-{tag}");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let mut left = Vec::new();
    for mount in mounts.lines().filter(|line| line.contains(" - cgroup")) {
        let mut directories = vec![PathBuf::from(mount.split(' ').nth(4).expect("a mount point"))];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if directory.ends_with(&name) {
                    left.push(entry.path());
                }
                directories.push(entry.path());
            }
        }
    }
    left
}
