//! How much memory the execution environments may use together: a share of what lambkin itself can
//! have, which is the machine's or that of the control groups it lives in, whichever is least.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `--memory-share`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MemoryShare {
    /// A part of the memory; more than 1 overcommits it.
    Of(f64),
    /// No bound.
    None,
}

impl std::str::FromStr for MemoryShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "none" => Ok(Self::None),
            Ok(share) if share > 0.0 && share <= 1000.0 => Ok(Self::Of(share)),
            Ok(_) | Err(_) => Err("a part of the memory such as 0.8, or none".into()),
        }
    }
}

/// Bytes for the environments, and the bytes there are. `None` where there is no bound.
pub(crate) fn budget(share: MemoryShare) -> Option<(u64, u64)> {
    let MemoryShare::Of(share) = share else { return None };
    let Some(memory) = available(Path::new("/")) else {
        tracing::warn!(
            "this machine does not say how much memory it has: environments are not bounded by it"
        );
        return None;
    };
    Some((part(memory, share), memory))
}

/// How many processes are booted ahead where nobody said it.
pub(crate) fn warm_pool() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    usual_warm_pool(available(Path::new("/")), cores)
}

/// None on a small machine: each takes 10 MB that functions could have.
fn usual_warm_pool(memory: Option<u64>, cores: usize) -> usize {
    const SMALL: u64 = 2 << 30;
    if memory.is_some_and(|memory| memory >= SMALL) { 2 * cores } else { 0 }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share need not be exact to the byte, and none is negative"
)]
fn part(memory: u64, share: f64) -> u64 {
    (memory as f64 * share) as u64
}

/// In bytes. `root` is `/` but in tests.
fn available(root: &Path) -> Option<u64> {
    let machine = read(&root.join("proc/meminfo")).and_then(|text| total(&text)).or_else(from_sysctl);
    let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
    limits(root, &groups).into_iter().chain(machine).min()
}

/// `MemTotal` of `/proc/meminfo`.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The limits of its control groups: the own one's and those of all above, each of which holds too.
fn limits(root: &Path, groups: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        // Version 2 has one hierarchy, version 1 one for the memory.
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            named if named.split(',').any(|name| name == "memory") => {
                ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mount = root.join(mount);
        // In a namespace of its own the path may lead above what is mounted: that is the top.
        let own: PathBuf = Path::new(path)
            .components()
            .filter(|part| matches!(part, std::path::Component::Normal(_)))
            .collect();
        let steps = own.ancestors().map(|above| mount.join(above).join(file));
        // `max` is no limit; version 1 says a number larger than any machine.
        found.extend(steps.filter_map(|file| read(&file)?.trim().parse::<u64>().ok()));
    }
    found
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// macOS has no `/proc`.
fn from_sysctl() -> Option<u64> {
    let said = Command::new("/usr/sbin/sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    String::from_utf8(said.stdout).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_small_machine_boots_nothing_ahead() {
        for (memory, cores, expected) in
            [(None, 4, 0), (Some((2 << 30) - 1), 4, 0), (Some(2 << 30), 4, 8), (Some(64 << 30), 1, 2)]
        {
            assert_eq!(super::usual_warm_pool(memory, cores), expected, "{memory:?} {cores}");
        }
    }

    #[test]
    fn reads_shares() {
        for (text, expected) in [
            ("0.8", Some(MemoryShare::Of(0.8))),
            ("1", Some(MemoryShare::Of(1.0))),
            ("2.5", Some(MemoryShare::Of(2.5))),
            ("none", Some(MemoryShare::None)),
            ("0", None),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("80%", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
        assert_eq!(part(2 * GIB, 0.5), GIB);
        assert_eq!(budget(MemoryShare::None), None);
    }

    #[test]
    fn the_least_of_machine_and_control_groups_counts() {
        let group = |path: &str, limit: &str| (format!("sys/fs/cgroup/{path}"), limit.to_owned());
        for (what, cgroup, files, expected) in [
            ("no group", "", vec![], 4 * GIB),
            ("version 2, none set", "0::/a/b\n", vec![group("a/b/memory.max", "max\n")], 4 * GIB),
            ("version 2", "0::/a/b\n", vec![group("a/b/memory.max", "1073741824\n")], GIB),
            (
                "one above is smaller",
                "0::/a/b\n",
                vec![group("a/b/memory.max", "3221225472\n"), group("a/memory.max", "2147483648\n")],
                2 * GIB,
            ),
            ("the top of a namespace", "0::/\n", vec![group("memory.max", "1073741824\n")], GIB),
            ("above the namespace", "0::/../x\n", vec![group("memory.max", "1073741824\n")], GIB),
            (
                "version 1",
                "5:cpu,cpuacct:/c\n4:memory:/c\n0::/\n",
                vec![group("memory/c/memory.limit_in_bytes", "1073741824\n")],
                GIB,
            ),
            (
                "version 1, none set",
                "4:memory:/c\n",
                vec![group("memory/c/memory.limit_in_bytes", "9223372036854771712\n")],
                4 * GIB,
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            let mut files = files;
            files.push(("proc/meminfo".into(), "MemTotal:        4194304 kB\nMemFree: 1 kB\n".into()));
            files.push(("proc/self/cgroup".into(), cgroup.into()));
            for (path, text) in files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            assert_eq!(available(root.path()), Some(expected), "{what}");
        }
    }

    #[test]
    fn this_machine_has_some() {
        assert!(available(Path::new("/")).unwrap() > 64 << 20);
    }
}
