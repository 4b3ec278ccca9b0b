//! Finding out what groups can do on this machine, by making lambkin's own and looking.
//!
//! v2 goes first: what it can do is not asked of v1, and a v1 hierarchy nothing is asked of gets no
//! groups, as each takes 10 to 33 µs of every environment's start.

use std::fs;
use std::path::{Path, PathBuf};

use super::delegation::{self, SUPERVISOR};
use super::hierarchy::Hierarchy;
use super::mounts::{self, Place};
use super::{Abilities, Ability, Feature, Version};
use crate::proc;

/// Since which kernel a process can be cloned into a group. No file tells.
const CLONE_INTO_CGROUP: (u32, u32) = (5, 7);

/// Controllers that limit something, in both versions.
const LIMITING: [(&str, Feature); 3] =
    [("memory", Feature::Memory), ("cpu", Feature::Cpu), ("pids", Feature::Pids)];

/// What is looked at.
pub(super) struct Machine {
    /// `/`, but in tests.
    pub(super) root: PathBuf,
    /// `/proc/self/cgroup`.
    pub(super) groups: String,
    /// `/proc/self/mountinfo`.
    pub(super) mountinfo: String,
    /// `uname -r`.
    pub(super) release: String,
    pub(super) pid: i32,
}

impl Machine {
    pub(super) fn this() -> Self {
        // What cannot be read has no groups in it, and every ability is missing.
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            root: PathBuf::from("/"),
            groups: read("/proc/self/cgroup"),
            mountinfo: read("/proc/self/mountinfo"),
            release: read("/proc/sys/kernel/osrelease"),
            pid: proc::own_pid(),
        }
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// What was found, as it is found.
#[derive(Default)]
struct Findings {
    hierarchies: Vec<Hierarchy>,
    refusals: Vec<(Feature, String)>,
}

impl Findings {
    fn serving(&self, feature: Feature) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.serves.contains(&feature))
    }

    fn refuse(&mut self, features: &[Feature], why: &str) {
        self.refusals.extend(features.iter().map(|feature| (*feature, why.to_owned())));
    }

    fn ability(&self, feature: Feature) -> Ability {
        if let Some(hierarchy) = self.serving(feature) {
            return Ability::Have { how: hierarchy.version };
        }
        let mut reasons: Vec<&str> =
            self.refusals.iter().filter(|(of, _)| *of == feature).map(|(_, why)| why.as_str()).collect();
        reasons.dedup();
        if reasons.is_empty() {
            reasons.push("this machine has no cgroup hierarchy for it");
        }
        Ability::Missing { why: reasons.join("; ") }
    }
}

/// Makes the group `name` below our own in each hierarchy of use.
pub(super) fn discover(machine: &Machine, name: &str) -> (Vec<Hierarchy>, Abilities) {
    let places = mounts::places(&machine.groups, &machine.mountinfo);
    let mut findings = Findings::default();
    for place in places.iter().filter(|place| place.version == Version::V2) {
        let elsewhere = |controller: &str| {
            let has = |place: &Place| place.controllers.iter().any(|name| name == controller);
            places.iter().any(|place| place.version == Version::V1 && has(place))
        };
        unified(&mut findings, machine, place, name, elsewhere);
    }
    for place in places.iter().filter(|place| place.version == Version::V1) {
        legacy(&mut findings, machine, place, name);
    }
    let abilities = Abilities {
        memory: findings.ability(Feature::Memory),
        cpu: findings.ability(Feature::Cpu),
        pids: findings.ability(Feature::Pids),
        freeze: findings.ability(Feature::Freeze),
        kill: findings.ability(Feature::Kill),
        clone_into: findings.ability(Feature::CloneInto),
    };
    (findings.hierarchies, abilities)
}

/// A controller that v1 has is not v2's, however it is asked.
fn unified(
    findings: &mut Findings,
    machine: &Machine,
    place: &Place,
    name: &str,
    is_v1: impl Fn(&str) -> bool,
) {
    let limiting: Vec<_> = LIMITING.into_iter().filter(|(controller, _)| !is_v1(controller)).collect();
    let mut all: Vec<Feature> = limiting.iter().map(|(_, feature)| *feature).collect();
    all.extend([Feature::Usage, Feature::Freeze, Feature::Kill, Feature::CloneInto]);
    let own = match &place.own {
        Ok(own) => machine.path(own),
        Err(why) => return findings.refuse(&all, why),
    };
    // A lambkin has stepped aside already: an earlier part of this process, or the one that started it.
    let own = match own.parent() {
        Some(above) if own.ends_with(SUPERVISOR) => above.to_owned(),
        Some(_) | None => own,
    };
    let mut hierarchy = match Hierarchy::prepare(Version::V2, &own, name) {
        Ok(hierarchy) => hierarchy,
        Err(errno) => {
            return findings.refuse(&all, &delegation::refusal(Version::V2, &own.join(name), errno));
        }
    };

    let controllers: Vec<&'static str> = limiting.iter().map(|(controller, _)| *controller).collect();
    let refused = delegation::pass_on(&own, &controllers, machine.pid);
    for (controller, feature) in limiting {
        if let Some((_, why)) = refused.iter().find(|(of, _)| *of == controller) {
            findings.refuse(&[feature], why);
        } else if let Err(errno) = delegation::enable(hierarchy.path(), &[controller]) {
            let file = hierarchy.path().join("cgroup.subtree_control");
            findings.refuse(&[feature], &delegation::refusal(Version::V2, &file, errno));
        } else {
            hierarchy.serves.push(feature);
        }
    }

    if hierarchy.entry("", "cpu.stat", "usage_usec").is_some() {
        hierarchy.serves.push(Feature::Usage);
    }
    if hierarchy.has("cgroup.freeze") {
        hierarchy.serves.push(Feature::Freeze);
    } else {
        findings.refuse(&[Feature::Freeze], "this kernel's cgroup v2 cannot freeze (5.2 can)");
    }
    // Without cgroup.kill (5.14) frozen processes are killed one by one.
    if hierarchy.has("cgroup.kill") || hierarchy.has("cgroup.freeze") {
        hierarchy.serves.push(Feature::Kill);
    } else {
        findings.refuse(&[Feature::Kill], "this kernel's cgroup v2 can neither freeze nor kill (5.2 can)");
    }
    if release(&machine.release).is_some_and(|release| release >= CLONE_INTO_CGROUP) {
        hierarchy.serves.push(Feature::CloneInto);
    } else {
        let why = format!("the kernel {:?} is older than 5.7", machine.release.trim_ascii());
        findings.refuse(&[Feature::CloneInto], &why);
    }
    findings.hierarchies.push(hierarchy);
}

fn legacy(findings: &mut Findings, machine: &Machine, place: &Place, name: &str) {
    let mut features = Vec::new();
    for controller in &place.controllers {
        match controller.as_str() {
            "memory" => features.push(Feature::Memory),
            "cpu" => features.push(Feature::Cpu),
            "cpuacct" => features.push(Feature::Usage),
            "pids" => features.push(Feature::Pids),
            "freezer" => features.extend([Feature::Freeze, Feature::Kill]),
            _ => {}
        }
    }
    features.retain(|feature| findings.serving(*feature).is_none());
    if features.is_empty() {
        return;
    }
    let own = match &place.own {
        Ok(own) => machine.path(own),
        Err(why) => return findings.refuse(&features, why),
    };
    match Hierarchy::prepare(Version::V1, &own, name) {
        Ok(mut hierarchy) => {
            if features.contains(&Feature::Memory) {
                // Before 5.11 a group's limit held for groups below it only where this was set before
                // they were made. Newer kernels know nothing else.
                let _ = hierarchy.write("", "memory.use_hierarchy", "1");
            }
            hierarchy.serves = features;
            findings.hierarchies.push(hierarchy);
        }
        Err(errno) => findings.refuse(&features, &delegation::refusal(Version::V1, &own.join(name), errno)),
    }
}

/// `6.18.44-something` => (6, 18)
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
