//! Control groups: one for each environment, which limits its memory, CPU and processes, freezes it,
//! and kills all of it at once.
//!
//! Machines differ: v2 with controllers, v1 alone, or both (v1 limits, a bare v2 group freezes and
//! kills). All groups are `lambkin-<tag>/<environment>` below our own group in each hierarchy, so that
//! limits put on lambkin itself hold for its functions too.
//!
//! Deliberately not here: who joins. A new process enters its v2 group as it is cloned
//! ([`Group::leaf`]) and the others by itself ([`Group::joins`]): the first write to `cgroup.procs` after
//! 100 ms of quiet takes 8 ms, of which the spawner must not have any part. Nothing is ever mounted, and
//! no group is touched that is not lambkin's own.

mod delegation;
mod discovery;
mod group;
mod hierarchy;
mod kill;
mod limits;
mod mounts;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use group::Group;
pub(crate) use limits::Limits;

use hierarchy::Hierarchy;

/// How long what an earlier lambkin left may take to die.
const SWEEP_PATIENCE: Duration = Duration::from_secs(2);
const TAG_LENGTH: usize = 32;
const NAME_LENGTH: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "cgroup v1",
            Self::V2 => "cgroup v2",
        })
    }
}

/// What a group is asked for. Each is served by one hierarchy at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feature {
    Memory,
    Cpu,
    Pids,
    /// CPU time used.
    Usage,
    Freeze,
    Kill,
    CloneInto,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ability {
    Have { how: Version },
    Missing { why: String },
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Have { how } => how.fmt(f),
            Self::Missing { why } => write!(f, "missing: {why}"),
        }
    }
}

/// What groups can do on this machine. What is missing is left out by [`Group`] without an error: who
/// must have it asks here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub(crate) memory: Ability,
    pub(crate) cpu: Ability,
    pub(crate) pids: Ability,
    pub(crate) freeze: Ability,
    /// Of all processes in one step, or of frozen ones one by one.
    pub(crate) kill: Ability,
    /// A process can be born in its group: `clone3(CLONE_INTO_CGROUP)`.
    pub(crate) clone_into: Ability,
}

/// What this machine lets lambkin do with groups, found once.
#[derive(Debug)]
pub(crate) struct Cgroups {
    hierarchies: Arc<Vec<Hierarchy>>,
    abilities: Abilities,
}

impl Cgroups {
    /// Makes the group `lambkin-<tag>` wherever that is possible. May move this process and its children
    /// into a group beside it, where v2 demands that and the group is ours alone. The tag (1-32 of a-z
    /// and 0-9) tells lambkins apart that run at the same time; the caller sees to it that no two have the
    /// same.
    pub(crate) fn discover(tag: &str) -> Self {
        Self::on(&discovery::Machine::this(), tag)
    }

    fn on(machine: &discovery::Machine, tag: &str) -> Self {
        assert!(is_name(tag, TAG_LENGTH) && !tag.contains('-'), "a tag is 1-32 of a-z and 0-9: {tag:?}");
        let (hierarchies, abilities) = discovery::discover(machine, &format!("lambkin-{tag}"));
        Self { hierarchies: Arc::new(hierarchies), abilities }
    }

    pub(crate) fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    /// Kills and removes all groups with this tag; says how many are gone. Blocks up to two seconds. Only
    /// before the first [`make`](Self::make).
    pub(crate) fn sweep(&self) -> usize {
        let mut names: Vec<String> = self.hierarchies.iter().flat_map(Hierarchy::groups).collect();
        names.sort_unstable();
        names.dedup();
        let groups: Vec<Group> =
            names.into_iter().map(|name| Group::open(Arc::clone(&self.hierarchies), name)).collect();
        let deadline = Instant::now() + SWEEP_PATIENCE;
        let patience = || deadline.saturating_duration_since(Instant::now());
        // All are told before any is waited for. Who is still there then says `remove`.
        groups.iter().for_each(|group| drop(group.kill_within(patience())));
        let is_removed = |group: &&Group| {
            group.remove(patience() / 2)
                // A process that had not joined its v2 group yet is only found in the others.
                || (kill::one_by_one(group, patience()).is_ok() && group.remove(patience()))
        };
        let removed = groups.iter().filter(is_removed).count();
        if removed < groups.len() {
            tracing::warn!("{} groups of an earlier lambkin cannot be removed", groups.len() - removed);
        }
        removed
    }

    /// A new group in every hierarchy in use, without limits.
    pub(crate) fn make(&self, name: &str) -> io::Result<Group> {
        if !is_name(name, NAME_LENGTH) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} cannot name a group")));
        }
        Group::make(Arc::clone(&self.hierarchies), name.to_owned())
    }

    /// Removes `lambkin-<tag>`, where it has no groups any more. Controllers that v2 was made to pass on
    /// stay passed on, and this process stays where it stepped aside to.
    pub(crate) fn close(&self) {
        for hierarchy in self.hierarchies.iter() {
            if let Err(errno) = hierarchy.close() {
                tracing::debug!("{} stays: {errno}", hierarchy.path().display());
            }
        }
    }
}

fn is_name(name: &str, length: usize) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=length).contains(&name.len()) && name.bytes().all(is_allowed)
}
