//! On this machine's kernel: limits bite, frozen stands still, killed is dead, removed is gone.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use super::super::{Abilities, Ability, Cgroups, Feature, Limits, Version, kill};
use super::bed::{Bed, PATIENCE, await_that, ended, finish, read, start, usage};
use crate::proc;

const MIB: u64 = 1 << 20;
const FREE: Limits = Limits { memory: 512 * MIB, processes: 256, cpu: None };

#[test]
fn memory_bites_and_spares_who_is_small() {
    for bed in Bed::all() {
        if !bed.has("the memory limit", &bed.cgroups.abilities().memory) {
            continue;
        }
        let group = bed.group("memory");
        group.limit(&Limits { memory: 32 * MIB, ..FREE }).expect("limits");
        // The shell stands for the jail's init.
        let mut child = start(&group, &["sh", "-c", "tail /dev/zero; test $? = 137"]);
        let status = ended(&mut child);
        assert!(status.success(), "{status} {bed}");
        assert_eq!(group.out_of_memory_kills(), 1, "{bed}");
        let peak = group.peak_memory().expect("a peak");
        assert!((28 * MIB..=32 * MIB).contains(&peak), "{peak} {bed}");
        assert!(group.memory().expect("memory") < peak, "{bed}");
        assert!(group.remove(PATIENCE));
    }
}

#[test]
fn a_group_without_a_second_process_dies_of_its_memory() {
    for bed in Bed::all() {
        if !bed.has("a memory bomb", &bed.cgroups.abilities().memory) {
            continue;
        }
        let group = bed.group("bomb");
        group.limit(&FREE).expect("limits");
        group.limit(&Limits { memory: 16 * MIB, ..FREE }).expect("less");
        let mut child = start(&group, &["tail", "/dev/zero"]);
        assert_eq!(ended(&mut child).signal(), Some(9), "{bed}");
        assert_eq!(group.out_of_memory_kills(), 1);
        assert!(group.remove(PATIENCE));
    }
}

#[test]
fn limits_rise_and_fall_at_any_time() {
    for bed in Bed::all() {
        let Ability::Have { how } = bed.cgroups.abilities().memory else {
            bed.has("changing limits", &bed.cgroups.abilities().memory);
            continue;
        };
        let group = bed.group("late");
        let child = start(&group, &["sleep", "60"]);
        let files: &[&str] = match how {
            Version::V1 => &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
            Version::V2 => &["memory.max"],
        };
        for memory in [64 * MIB, 16 * MIB, 128 * MIB, 32 * MIB] {
            group.limit(&Limits { memory, ..FREE }).expect("limits");
            for file in files {
                // Where the kernel does not count swap there is only the first.
                if group.serving(Feature::Memory).expect("memory").read(&group.name, file).is_some() {
                    assert_eq!(
                        read(&group, Feature::Memory, file).trim_ascii(),
                        memory.to_string(),
                        "{file}"
                    );
                }
            }
        }
        finish(&group, child);
    }
}

#[test]
fn a_fork_bomb_stays_small() {
    for bed in Bed::all() {
        if !bed.has("the limit of processes", &bed.cgroups.abilities().pids) {
            continue;
        }
        let group = bed.group("forks");
        group.limit(&Limits { processes: 20, ..FREE }).expect("limits");
        let mut child = start(&group, &["sh", "-c", "while :; do sleep 60 & done"]);
        assert!(!ended(&mut child).success(), "{bed}");
        let processes = group.processes();
        assert!((10..=20).contains(&processes), "{processes} {bed}");
        finish(&group, child);
    }
}

#[test]
fn the_cpu_quota_holds_and_can_be_lifted() {
    for bed in Bed::all() {
        if !bed.has("the CPU quota", &bed.cgroups.abilities().cpu) {
            continue;
        }
        let group = bed.group("cpu");
        let tenth = Some(Duration::from_millis(2));
        group.limit(&Limits { cpu: tenth, ..FREE }).expect("limits");
        let child = start(&group, &["yes"]);
        match group.serving(Feature::Cpu).expect("cpu").version {
            Version::V1 => {
                assert_eq!(read(&group, Feature::Cpu, "cpu.cfs_period_us"), "20000\n");
                assert_eq!(read(&group, Feature::Cpu, "cpu.cfs_quota_us"), "2000\n");
            }
            Version::V2 => assert_eq!(read(&group, Feature::Cpu, "cpu.max"), "2000 20000\n"),
        }
        // What it had before it had joined does not count.
        let (start, before) = (Instant::now(), usage(&group));
        await_that("it has used 60 ms", || usage(&group) - before > Duration::from_millis(60));
        // 600 ms, less what the first periods may give in advance on each CPU.
        assert!(start.elapsed() > Duration::from_millis(300), "{:?} {bed}", start.elapsed());
        let throttled = || {
            let text = read(&group, Feature::Cpu, "cpu.stat");
            super::super::hierarchy::entry(&text, "nr_throttled").expect("nr_throttled")
        };
        assert!(throttled() > 0, "{bed}");

        group.limit(&FREE).expect("lifted");
        let (before, at_rest) = (throttled(), usage(&group));
        await_that("it runs on", || usage(&group) - at_rest > Duration::from_millis(60));
        // The one it was in when it was lifted may still count.
        assert!(throttled() <= before + 1, "{} {before} {bed}", throttled());
        finish(&group, child);
    }
}

#[test]
fn what_is_frozen_stands_still() {
    for bed in Bed::all() {
        if !bed.has("freezing", &bed.cgroups.abilities().freeze) {
            continue;
        }
        let (group, clock) = (bed.group("frozen"), bed.group("clock"));
        let children = [start(&group, &["yes"]), start(&clock, &["yes"])];
        await_that("it runs", || usage(&group) > Duration::from_millis(5));
        for _ in 0..3 {
            group.freeze().expect("freeze");
            await_that("it is frozen", || group.is_frozen());
            let (stood, ran) = (usage(&group), usage(&clock));
            await_that("the other runs", || usage(&clock) - ran > Duration::from_millis(20));
            // The end of its last turn is counted after v2 has said that it is frozen: 12 µs were seen.
            assert!(usage(&group) - stood < Duration::from_millis(2), "{:?} {bed}", usage(&group) - stood);
            assert!(group.is_frozen());
            group.thaw().expect("thaw");
            await_that("it runs again", || usage(&group) - stood > Duration::from_millis(5));
            assert!(!group.is_frozen());
        }
        for (group, child) in [&group, &clock].into_iter().zip(children) {
            finish(group, child);
        }
    }
}

#[test]
fn nobody_escapes_a_kill() {
    const FAMILY: &str =
        "setsid sleep 60 & setsid sh -c 'sleep 60 & sleep 60' & (sleep 60 &) ; exec sleep 60";
    for bed in Bed::all() {
        if !bed.has("killing", &bed.cgroups.abilities().kill) {
            continue;
        }
        for (name, freezes, singly) in [
            ("running", false, false),
            ("frozen", true, false),
            ("singly", false, true),
            ("both", true, true),
        ] {
            let group = bed.group(name);
            let mut child = start(&group, &["sh", "-c", FAMILY]);
            await_that("all have started", || group.processes() == 6);
            assert!(!group.remove(Duration::ZERO), "removed with processes in it");
            let pids = group.pids();
            if freezes {
                group.freeze().expect("freeze");
                await_that("it is frozen", || group.is_frozen());
            }
            if singly {
                kill::one_by_one(&group, PATIENCE).expect("kill");
            } else {
                group.kill().expect("kill");
            }
            assert_eq!(ended(&mut child).signal(), Some(9), "{name} {bed}");
            await_that("all are dead", || {
                pids.iter().all(|pid| proc::Stat::of(*pid).is_none_or(|stat| stat.is_zombie()))
            });
            // The next process in it must run.
            let mut next = start(&group, &["true"]);
            assert!(ended(&mut next).success(), "{name} {bed}");
            assert!(group.remove(PATIENCE), "{name} {bed}");
        }
    }
}

#[test]
fn who_forks_all_the_time_is_killed_too() {
    for bed in Bed::all() {
        let abilities = bed.cgroups.abilities();
        if !bed.has("killing who forks", &abilities.kill) || !bed.has("killing who forks", &abilities.pids) {
            continue;
        }
        for singly in [false, true] {
            let group = bed.group("chains");
            group.limit(&FREE).expect("limits");
            // Each starts its successor and ends: no number lives longer than about a millisecond.
            let link = "sh -c \"$0\" \"$0\" &";
            let chains = "for i in 1 2 3 4 5 6 7 8; do sh -c \"$0\" \"$0\" & done";
            let mut child = start(&group, &["sh", "-c", chains, link]);
            await_that("they have come far", || usage(&group) > Duration::from_millis(50));
            assert!(group.processes() > 0, "{bed}");
            if singly {
                kill::one_by_one(&group, PATIENCE).expect("kill");
            } else {
                group.kill().expect("kill");
            }
            ended(&mut child);
            assert!(group.remove(PATIENCE), "{:?} {bed}", group.pids());
        }
    }
}

#[test]
fn leftovers_of_the_same_tag_are_swept() {
    for (bed, other) in Bed::all().into_iter().zip(Bed::all()) {
        if !bed.has("sweeping", &bed.cgroups.abilities().kill) {
            continue;
        }
        let left = [bed.group("left"), bed.group("frozen"), bed.group("empty")];
        let alive = other.group("alive");
        let mut children = [start(&left[0], &["yes"]), start(&left[1], &["sleep", "60"])];
        let bystander = start(&alive, &["sleep", "60"]);
        left[1].freeze().expect("freeze");
        // One that died before it had joined everywhere.
        let (last, others) = bed.cgroups.hierarchies.split_last().expect("a hierarchy");
        let half = "0123456789abcdef";
        last.make(half).expect("a group");
        drop(left);

        assert_eq!(bed.cgroups.sweep(), 4, "{bed}");
        for hierarchy in others.iter().chain([last]) {
            assert_eq!(hierarchy.groups(), Vec::<String>::new());
        }
        for child in &mut children {
            assert_eq!(ended(child).signal(), Some(9));
        }
        assert_eq!(alive.processes(), 1);
        finish(&alive, bystander);

        let paths: Vec<_> =
            bed.cgroups.hierarchies.iter().map(|hierarchy| hierarchy.path().to_owned()).collect();
        assert!(paths.iter().all(|path| path.is_dir()));
        bed.cgroups.close();
        assert!(paths.iter().all(|path| !path.exists()), "{paths:?}");
    }
}

#[test]
fn what_has_only_joined_v1_is_swept_too() {
    let [bed, _] = Bed::all();
    let abilities = bed.cgroups.abilities();
    let is_hybrid = abilities.kill == Ability::Have { how: Version::V2 }
        && abilities.pids == Ability::Have { how: Version::V1 };
    if !is_hybrid {
        eprintln!("NOT TESTED: sweeping half-joined processes: no v1 limits beside v2 here");
        return;
    }
    let group = bed.group("half");
    let mut child = start(&group, &["sleep", "60"]);
    let v2 = group.serving(Feature::Kill).expect("v2").path().parent().expect("our own group").to_owned();
    fs::write(v2.join("cgroup.procs"), child.id().to_string()).expect("moved out of the leaf");
    assert_eq!(bed.cgroups.sweep(), 1);
    assert_eq!(ended(&mut child).signal(), Some(9));
}

#[test]
fn names_are_checked_and_used_once() {
    let [bed, _] = Bed::all();
    for name in ["", "..", "a/b", "A", &"a".repeat(65)] {
        assert!(bed.cgroups.make(name).is_err(), "{name:?}");
    }
    if !bed.has("making a group twice", &bed.cgroups.abilities().freeze) {
        return;
    }
    let group = bed.group("once");
    assert!(bed.cgroups.make("once").is_err());
    // And what was there before the refusal still is.
    let child = start(&group, &["sleep", "60"]);
    assert_eq!(group.processes(), 1);
    finish(&group, child);
    assert!(group.remove(Duration::ZERO), "removing what is removed");
}

#[test]
fn a_second_lambkin_finds_what_the_first_found() {
    let [bed, _] = Bed::all();
    let again = Cgroups::discover(&bed.tag);
    assert_eq!(again.abilities(), bed.cgroups.abilities());
}

/// Run as such: `setpriv --reuid 65534 --regid 65534 --clear-groups` before the test program.
#[test]
fn an_ordinary_user_is_told_why() {
    if rustix::process::geteuid().is_root() {
        eprintln!("NOT TESTED: abilities of an ordinary user, as this is root");
        return;
    }
    for bed in Bed::all() {
        let abilities = bed.cgroups.abilities();
        eprintln!("{bed}");
        if !bed.cgroups.hierarchies.is_empty() {
            eprintln!("NOT TESTED: abilities of an ordinary user, as groups are delegated to this one");
            continue;
        }
        let Abilities { memory, cpu, pids, freeze, kill, clone_into } = abilities;
        for ability in [memory, cpu, pids, freeze, kill, clone_into] {
            let Ability::Missing { why } = ability else { panic!("{ability:?} without groups") };
            let reasons = ["no permission", "not mounted", "mounted read-only", "not below it", "no cgroup"];
            assert!(reasons.iter().any(|reason| why.contains(reason)), "{why:?}");
        }
        let group = bed.group("nothing");
        group.limit(&FREE).expect("limits");
        assert!(group.leaf().is_none() && group.joins().expect("joins").is_empty());
        assert!(group.freeze().is_err() && group.peak_memory().is_none());
        assert!(group.remove(Duration::ZERO));
    }
}
