//! What one environment may use, and how that is written into its group.
//!
//! Deliberately not here: the limits of a single process (`RLIMIT_*`), and the file system's.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::hierarchy::Hierarchy;
use super::{Feature, Version};

/// The kernel's own default of 100 ms would stop a function for up to 93 ms at 128 MB; 20 ms is a
/// compromise with the cost of the timers.
pub(crate) const CPU_PERIOD: Duration = Duration::from_millis(20);
/// The kernel refuses less (`min_cfs_quota_period`).
const SMALLEST_QUOTA: Duration = Duration::from_millis(1);
/// "At 1,769 MB, a function has the equivalent of one vCPU", Lambda Developer Guide, "Memory".
const MB_PER_CPU: u64 = 1_769;
/// Processes and threads of an environment, Lambda Developer Guide, "Lambda quotas".
const PROCESSES: u32 = 1_024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes. There is never swap beside it.
    pub(crate) memory: u64,
    /// Processes and threads.
    pub(crate) processes: u32,
    /// CPU time per [`CPU_PERIOD`]; `None` is unlimited.
    pub(crate) cpu: Option<Duration>,
}

impl Limits {
    /// As AWS gives them to a function of this memory size. The CPU is not limited during init: node
    /// would take 335 ms to start with the share of 128 MB instead of 21.
    pub(crate) fn for_memory_mb(mb: u32, init: bool) -> Self {
        let nanos = u64::try_from(CPU_PERIOD.as_nanos()).unwrap_or(u64::MAX);
        let share = Duration::from_nanos(nanos * u64::from(mb) / MB_PER_CPU).max(SMALLEST_QUOTA);
        Self { memory: u64::from(mb) << 20, processes: PROCESSES, cpu: if init { None } else { Some(share) } }
    }
}

/// Settings that never change, into a group that is new.
pub(super) fn prepare(hierarchy: &Hierarchy, group: &str) -> io::Result<()> {
    for feature in &hierarchy.serves {
        match (feature, hierarchy.version) {
            (Feature::Memory, Version::V1) => {
                // Only matters where the kernel does not count swap: then `memory.memsw.*` is missing.
                // `memory.kmem.*` is left alone: the kernel counts its own memory into the limit anyway
                // (4.5), a second limit for it never worked well and is gone (5.16).
                put_if_there(hierarchy, group, "memory.swappiness", "0")?;
            }
            (Feature::Memory, Version::V2) => {
                // Missing where the kernel has no swap.
                put_if_there(hierarchy, group, "memory.swap.max", "0")?;
                // The jail's init lives in the same group. It must outlive the function that was killed
                // for its memory, to say so; as a group they would all die. Missing before 4.19.
                put_if_there(hierarchy, group, "memory.oom.group", "0")?;
            }
            (Feature::Cpu, Version::V1) => {
                put(hierarchy, group, "cpu.cfs_period_us", &CPU_PERIOD.as_micros().to_string())?;
            }
            (Feature::Cpu, Version::V2)
            | (Feature::Pids | Feature::Usage | Feature::Freeze | Feature::Kill | Feature::CloneInto, _) => {}
        }
    }
    Ok(())
}

/// Limits that this hierarchy serves. The others are another's, or nobody's (see `Abilities`).
pub(super) fn apply(hierarchy: &Hierarchy, group: &str, limits: &Limits) -> io::Result<()> {
    for feature in &hierarchy.serves {
        match (feature, hierarchy.version) {
            (Feature::Memory, Version::V1) => memory_v1(hierarchy, group, limits.memory)?,
            (Feature::Memory, Version::V2) => {
                put(hierarchy, group, "memory.max", &limits.memory.to_string())?;
            }
            (Feature::Cpu, Version::V1) => cpu_v1(hierarchy, group, limits.cpu)?,
            (Feature::Cpu, Version::V2) => {
                let quota =
                    limits.cpu.map_or_else(|| "max".to_owned(), |quota| quota.as_micros().to_string());
                let text = format!("{quota} {}", CPU_PERIOD.as_micros());
                put(hierarchy, group, "cpu.max", &text)?;
            }
            (Feature::Pids, Version::V1 | Version::V2) => {
                put(hierarchy, group, "pids.max", &limits.processes.to_string())?;
            }
            (Feature::Usage | Feature::Freeze | Feature::Kill | Feature::CloneInto, _) => {}
        }
    }
    Ok(())
}

/// The limit of memory and swap together must never be below that of memory alone: a limit that
/// falls is set first, one that rises is set second.
fn memory_v1(hierarchy: &Hierarchy, group: &str, bytes: u64) -> io::Result<()> {
    const MEMORY: &str = "memory.limit_in_bytes";
    const WITH_SWAP: &str = "memory.memsw.limit_in_bytes";
    let bytes = bytes.to_string();
    match hierarchy.write(group, MEMORY, &bytes) {
        Err(Errno::INVAL) => {
            put(hierarchy, group, WITH_SWAP, &bytes)?;
            put(hierarchy, group, MEMORY, &bytes)
        }
        done => {
            done.map_err(|errno| failed(hierarchy, group, MEMORY, errno))?;
            put_if_there(hierarchy, group, WITH_SWAP, &bytes)
        }
    }
}

fn cpu_v1(hierarchy: &Hierarchy, group: &str, quota: Option<Duration>) -> io::Result<()> {
    const QUOTA: &str = "cpu.cfs_quota_us";
    const UNLIMITED: &str = "-1";
    let text = quota.map_or_else(|| UNLIMITED.to_owned(), |quota| quota.as_micros().to_string());
    match hierarchy.write(group, QUOTA, &text) {
        // v1 refuses more than a group above may have (`tg_cfs_schedulable_down`), where v2 takes the
        // lesser. That group's own limit holds in any case.
        Err(Errno::INVAL) if quota.is_some() => put(hierarchy, group, QUOTA, UNLIMITED),
        done => done.map_err(|errno| failed(hierarchy, group, QUOTA, errno)),
    }
}

fn put(hierarchy: &Hierarchy, group: &str, file: &str, text: &str) -> io::Result<()> {
    hierarchy.write(group, file, text).map_err(|errno| failed(hierarchy, group, file, errno))
}

fn put_if_there(hierarchy: &Hierarchy, group: &str, file: &str, text: &str) -> io::Result<()> {
    match hierarchy.write(group, file, text) {
        Err(Errno::NOENT) => Ok(()),
        done => done.map_err(|errno| failed(hierarchy, group, file, errno)),
    }
}

fn failed(hierarchy: &Hierarchy, group: &str, file: &str, errno: Errno) -> io::Error {
    let path = hierarchy.path().join(group).join(file);
    io::Error::new(errno.kind(), format!("{}: {errno}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vcpu_is_1769_mb() {
        let cpu = |mb| Limits::for_memory_mb(mb, false).cpu.map(|quota| quota.as_micros());
        assert_eq!(cpu(1_769), Some(20_000));
        assert_eq!(cpu(128), Some(1_447));
        assert_eq!(cpu(10_240), Some(115_771));
        // Less than the kernel takes.
        assert_eq!(cpu(64), Some(1_000));
        let init = Limits::for_memory_mb(128, true);
        assert_eq!(init, Limits { memory: 134_217_728, processes: 1_024, cpu: None });
    }
}
