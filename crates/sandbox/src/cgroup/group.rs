//! The group of one environment, in all hierarchies that are in use.
//!
//! Dropping it does nothing to the kernel's group: [`Group::remove`] does, when its processes are gone.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::hierarchy::Hierarchy;
use super::kill;
use super::limits::{self, Limits};
use super::{Feature, Version};

/// How long killing may take where the kernel does not do it in one step.
const KILL_PATIENCE: Duration = Duration::from_secs(2);
/// A dying process is usually gone after some milliseconds.
const PAUSE: Duration = Duration::from_micros(500);

#[derive(Debug)]
pub(crate) struct Group {
    pub(super) hierarchies: Arc<Vec<Hierarchy>>,
    pub(super) name: String,
    /// Kept open: they are used in each invocation, or by `clone3`. Nothing else is, as there may be
    /// thousands of groups and the number of descriptors is limited.
    leaf: Option<OwnedFd>,
    freezer: Option<(Version, OwnedFd)>,
    peak: Option<OwnedFd>,
}

impl Group {
    pub(super) fn make(hierarchies: Arc<Vec<Hierarchy>>, name: String) -> io::Result<Self> {
        for (index, hierarchy) in hierarchies.iter().enumerate() {
            let made = hierarchy
                .make(&name)
                .map_err(|errno| {
                    let path = hierarchy.path().join(&name);
                    io::Error::new(errno.kind(), format!("{}: {errno}", path.display()))
                })
                .and_then(|()| {
                    limits::prepare(hierarchy, &name).inspect_err(|_| {
                        // What it failed for is said.
                        let _ = hierarchy.remove(&name);
                    })
                });
            if let Err(error) = made {
                for hierarchy in &hierarchies[..index] {
                    let _ = hierarchy.remove(&name);
                }
                return Err(error);
            }
        }
        Ok(Self::open(hierarchies, name))
    }

    /// One that is there already, perhaps not in all hierarchies.
    pub(super) fn open(hierarchies: Arc<Vec<Hierarchy>>, name: String) -> Self {
        let serving = |feature| serving(&hierarchies, feature);
        let leaf = serving(Feature::CloneInto).and_then(|hierarchy| hierarchy.directory_of(&name).ok());
        let freezer = serving(Feature::Freeze).and_then(|hierarchy| {
            let file = match hierarchy.version {
                Version::V1 => "freezer.state",
                Version::V2 => "cgroup.freeze",
            };
            Some((hierarchy.version, hierarchy.open(&name, file, OFlags::WRONLY).ok()?))
        });
        let peak = serving(Feature::Memory).and_then(|hierarchy| {
            let files: &[&str] = match hierarchy.version {
                Version::V1 => &["memory.max_usage_in_bytes"],
                // The peak came with 5.19.
                Version::V2 => &["memory.peak", "memory.current"],
            };
            files.iter().find_map(|file| hierarchy.open(&name, file, OFlags::RDONLY).ok())
        });
        Self { leaf, freezer, peak, hierarchies, name }
    }

    pub(super) fn serving(&self, feature: Feature) -> Option<&Hierarchy> {
        serving(&self.hierarchies, feature)
    }

    /// The directory for `clone3(CLONE_INTO_CGROUP)`.
    pub(crate) fn leaf(&self) -> Option<BorrowedFd<'_>> {
        self.leaf.as_ref().map(OwnedFd::as_fd)
    }

    /// Open `cgroup.procs` of all hierarchies but [`leaf`](Self::leaf)'s. A new process writes `0`, itself,
    /// into each, before it enters a cgroup namespace (else it sees itself outside of it) and before it
    /// gives up its rights (kernels before 5.16 ask the writer for them, not who opened the file).
    pub(crate) fn joins(&self) -> io::Result<Vec<OwnedFd>> {
        self.hierarchies
            .iter()
            .filter(|hierarchy| !hierarchy.serves.contains(&Feature::CloneInto))
            .map(|hierarchy| Ok(hierarchy.open(&self.name, "cgroup.procs", OFlags::WRONLY)?))
            .collect()
    }

    /// At any time, also with processes in it. Fails where the group uses more memory than v1 can free at
    /// once; v2 kills instead. What the machine cannot limit is left out, see `Abilities`.
    pub(crate) fn limit(&self, limits: &Limits) -> io::Result<()> {
        self.hierarchies.iter().try_for_each(|hierarchy| limits::apply(hierarchy, &self.name, limits))
    }

    /// Takes effect some microseconds later; on v1 it may take milliseconds.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        self.put_freezer(b"FROZEN", b"1")
    }

    /// On the way of an invocation: one write.
    pub(crate) fn thaw(&self) -> io::Result<()> {
        self.put_freezer(b"THAWED", b"0")
    }

    fn put_freezer(&self, v1: &[u8], v2: &[u8]) -> io::Result<()> {
        let Some((version, file)) = &self.freezer else { return Err(io::ErrorKind::Unsupported.into()) };
        let word = match version {
            Version::V1 => v1,
            Version::V2 => v2,
        };
        rustix::io::pwrite(file, word, 0)?;
        Ok(())
    }

    pub(crate) fn is_frozen(&self) -> bool {
        let Some(hierarchy) = self.serving(Feature::Freeze) else { return false };
        match hierarchy.version {
            Version::V1 => hierarchy
                .read(&self.name, "freezer.state")
                .is_some_and(|state| state.trim_ascii() == "FROZEN"),
            Version::V2 => hierarchy.entry(&self.name, "cgroup.events", "frozen") == Some(1),
        }
    }

    /// Kills all processes, frozen ones too, and leaves the group thawed. They may take a while to be gone,
    /// see [`remove`](Self::remove). Where the kernel cannot do it in one step (before 5.14, or v1 alone),
    /// blocks until the group is empty, two seconds at most.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.kill_within(KILL_PATIENCE)
    }

    pub(super) fn kill_within(&self, patience: Duration) -> io::Result<()> {
        let hierarchy = self.serving(Feature::Kill).filter(|hierarchy| hierarchy.version == Version::V2);
        match hierarchy.map(|hierarchy| hierarchy.write(&self.name, "cgroup.kill", "1")) {
            // The next process that is born in it must not be stopped. And one that is frozen in v1 takes
            // no notice of a signal.
            Some(Ok(())) if self.freezer.is_some() => self.thaw(),
            Some(Ok(())) => Ok(()),
            Some(Err(Errno::NOENT)) | None => kill::one_by_one(self, patience),
            Some(Err(errno)) => Err(errno.into()),
        }
    }

    /// The most memory the group has ever used, in bytes: with page cache, tmpfs and kernel memory. What is
    /// used now, where the kernel keeps no peak. On the way of an invocation: one read.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let mut buffer = [0; 24];
        let length = rustix::io::pread(self.peak.as_ref()?, &mut buffer, 0).ok()?;
        std::str::from_utf8(&buffer[..length]).ok()?.trim_ascii().parse().ok()
    }

    /// Bytes in use.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> Option<u64> {
        let hierarchy = self.serving(Feature::Memory)?;
        let file = match hierarchy.version {
            Version::V1 => "memory.usage_in_bytes",
            Version::V2 => "memory.current",
        };
        hierarchy.number(&self.name, file)
    }

    /// How many processes the kernel killed because the group had no more memory.
    #[cfg(test)]
    pub(crate) fn out_of_memory_kills(&self) -> u64 {
        let Some(hierarchy) = self.serving(Feature::Memory) else { return 0 };
        let file = match hierarchy.version {
            // The line came with 4.13.
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        hierarchy.entry(&self.name, file, "oom_kill").unwrap_or(0)
    }

    /// How many processes live in it; those that have ended and wait to be reaped do not.
    pub(crate) fn processes(&self) -> usize {
        self.pids().len()
    }

    /// In any of the hierarchies: one that has just started may not be in all of them yet.
    pub(super) fn pids(&self) -> Vec<i32> {
        let mut pids: Vec<i32> =
            self.hierarchies.iter().flat_map(|hierarchy| hierarchy.pids(&self.name)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// CPU time of all processes it ever had.
    #[cfg(test)]
    pub(crate) fn cpu_usage(&self) -> Option<Duration> {
        let hierarchy = self.serving(Feature::Usage)?;
        match hierarchy.version {
            Version::V1 => hierarchy.number(&self.name, "cpuacct.usage").map(Duration::from_nanos),
            Version::V2 => hierarchy.entry(&self.name, "cpu.stat", "usage_usec").map(Duration::from_micros),
        }
    }

    /// Blocks, up to `patience`, while processes are still dying; says whether the group is gone.
    /// Processes that nobody has killed keep it.
    pub(crate) fn remove(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let left =
                self.hierarchies.iter().filter(|hierarchy| hierarchy.remove(&self.name).is_err()).count();
            if left == 0 || Instant::now() >= deadline {
                return left == 0;
            }
            thread::sleep(PAUSE);
        }
    }
}

fn serving(hierarchies: &[Hierarchy], feature: Feature) -> Option<&Hierarchy> {
    hierarchies.iter().find(|hierarchy| hierarchy.serves.contains(&feature))
}
