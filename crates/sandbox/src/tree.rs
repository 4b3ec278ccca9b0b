//! Who descends from whom, read from `/proc`: killing a sandbox means killing everything it started,
//! also what left its process group and whose parents are gone.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::process::{Pid, Signal};

/// All processes at one moment: parent by child.
pub(crate) struct Tree(HashMap<i32, i32>);

impl Tree {
    pub(crate) fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Self(pids.filter_map(|pid| Some((pid, parent(pid)?))).collect())
    }

    /// Everything below `root`.
    pub(crate) fn descendants(&self, root: i32) -> HashSet<i32> {
        let mut found = HashSet::new();
        let mut last = usize::MAX;
        // Each round goes one generation down; trees are shallow.
        while last != found.len() {
            last = found.len();
            for (child, parent) in &self.0 {
                if *parent == root || found.contains(parent) {
                    found.insert(*child);
                }
            }
        }
        found
    }

    pub(crate) fn children(&self, root: i32) -> impl Iterator<Item = i32> + '_ {
        self.0.iter().filter(move |(_, parent)| **parent == root).map(|(child, _)| *child)
    }
}

/// The parent of a process that is not a zombie: those are dead already and wait for their parent.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, parentheses too.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z" && state != "X").then_some(parent)
}

/// Whether a process was started with this text in its environment. Code that clears its environment
/// and leaves its parents escapes this; only the jail's pid namespace holds such code.
pub(crate) fn is_marked(pid: i32, marker: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.windows(marker.len()).any(|window| window == marker.as_bytes()))
}

pub(crate) fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // Gone already is as good.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

pub(crate) fn kill_group(leader: i32) {
    if let Some(pid) = Pid::from_raw(leader) {
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}
