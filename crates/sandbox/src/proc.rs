//! What `/proc` says about processes: who is whose child, in which session, with which variables.
//!
//! Every answer may be outdated when it is read: a process that has gone meanwhile is "nothing",
//! never an error. On systems without this `/proc` every answer is "nothing".

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// A line of `/proc/PID/stat`, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    state: u8,
    parent: i32,
    pub(crate) session: i32,
    memory: u64,
}

impl Stat {
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// proc_pid_stat(5). The second field is the program's name in parentheses and may have both
    /// spaces and parentheses in it.
    fn parse(line: &[u8]) -> Option<Self> {
        let after_name = line.iter().rposition(|byte| *byte == b')')? + 2;
        let mut fields = std::str::from_utf8(line.get(after_name..)?).ok()?.split(' ');
        // Fields 3, 4, 6 and 23.
        let state = *fields.next()?.as_bytes().first()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        let memory = fields.nth(16)?.parse().ok()?;
        Some(Self { state, parent, session, memory })
    }

    /// It has ended and waits to be reaped.
    pub(crate) fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// It has given its memory back and will end, but its children are still its own.
    pub(crate) fn is_exiting(&self) -> bool {
        self.memory == 0
    }
}

/// The variables a process was started with, NUL-separated; empty where it has none, is exiting,
/// or is inside `execve`.
pub(crate) fn variables(pid: i32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

pub(crate) fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

/// Bytes that a process has for itself: anonymous and shared memory, without files' pages.
#[cfg(target_os = "linux")]
pub(crate) fn private_memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = |line: &str| {
        let rest = line.strip_prefix("RssAnon:").or_else(|| line.strip_prefix("RssShmem:"))?;
        rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    status.lines().filter_map(kilobytes).sum::<u64>() * 1024
}

/// This process.
pub(crate) fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

/// All processes.
pub(crate) fn pids() -> Vec<i32> {
    numbers(Path::new("/proc"))
}

/// Children of all threads of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    // Needs CONFIG_PROC_CHILDREN, which every distribution sets.
    static LISTED: OnceLock<bool> = OnceLock::new();
    if !*LISTED.get_or_init(|| Path::new("/proc/thread-self/children").exists()) {
        return children_by_parent(pid);
    }
    let mut children = Vec::new();
    for thread in numbers(Path::new(&format!("/proc/{pid}/task"))) {
        let list = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
        children.extend(list.split_ascii_whitespace().filter_map(|child| child.parse::<i32>().ok()));
    }
    children
}

fn children_by_parent(pid: i32) -> Vec<i32> {
    pids().into_iter().filter(|child| Stat::of(*child).is_some_and(|stat| stat.parent == pid)).collect()
}

fn numbers(directory: &Path) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_stat_line_whose_name_has_parentheses() {
        let line = b"42 (a) R (b) S 7 40 41 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 999 123456 10 0\n";
        let stat = Stat::parse(line).expect("a stat line");
        assert_eq!(stat, Stat { state: b'S', parent: 7, session: 41, memory: 123_456 });
        assert!(!stat.is_zombie() && !stat.is_exiting());
        assert_eq!(Stat::parse(b"42 (a"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn private_memory_grows_with_what_is_used() {
        let before = private_memory(own_pid());
        let used = vec![1_u8; 8 << 20];
        let after = private_memory(own_pid());
        assert!(before > 0 && after >= before + (7 << 20), "{before} {after} {}", used.len());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn both_ways_find_the_same_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let (me, pid) = (own_pid(), child.id().cast_signed());
        assert!(children(me).contains(&pid));
        assert!(children_by_parent(me).contains(&pid));
        assert_eq!(Stat::of(pid).map(|stat| stat.parent), Some(me));
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert_eq!(Stat::of(pid), None);
    }
}
