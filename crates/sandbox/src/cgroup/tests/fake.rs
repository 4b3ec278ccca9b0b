//! Machines other than this one, as directories with the files that their kernels show. What the kernel
//! would do with what is written is not tried here.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use super::super::delegation::refusal;
use super::super::discovery::Machine;
use super::super::{Ability, Cgroups, Group, Limits, Version, limits};
use crate::proc;

const V2: &str = "28 22 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const SERVICE: &str = "sys/fs/cgroup/system.slice/lambkin.service";
const V1: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "freezer"];

struct Fake {
    root: tempfile::TempDir,
    groups: String,
    mountinfo: String,
    release: &'static str,
}

impl Fake {
    fn new(groups: &str, mountinfo: &str) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        Self { root, groups: groups.to_owned(), mountinfo: mountinfo.to_owned(), release: "6.12.3-amd64\n" }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn files(&self, directory: &str, files: &[(&str, &str)]) {
        let directory = self.path(directory);
        fs::create_dir_all(&directory).expect("a directory");
        files.iter().for_each(|(name, text)| fs::write(directory.join(name), text).expect("a file"));
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("a file")
    }

    fn discover(&self) -> Cgroups {
        let machine = Machine {
            root: self.root.path().to_owned(),
            groups: self.groups.clone(),
            mountinfo: self.mountinfo.clone(),
            release: self.release.to_owned(),
            pid: proc::own_pid(),
        };
        Cgroups::on(&machine, "t0")
    }

    /// As systemd starts a service that may have these controllers.
    fn service(controllers: &str) -> Self {
        let fake = Self::new("0::/system.slice/lambkin.service\n", V2);
        fake.files(
            SERVICE,
            &[("cgroup.controllers", controllers), ("cgroup.subtree_control", ""), ("cgroup.procs", "")],
        );
        fake.files(
            &format!("{SERVICE}/lambkin-t0"),
            &[
                ("cgroup.subtree_control", ""),
                ("cpu.stat", "usage_usec 0\nuser_usec 0\n"),
                ("cgroup.freeze", "0\n"),
                ("cgroup.kill", ""),
            ],
        );
        fake
    }

    /// Every v1 controller alone in its hierarchy, our own group being the root of each.
    fn v1() -> Self {
        let (mut groups, mut mountinfo) = (String::new(), String::new());
        for (number, name) in V1.into_iter().enumerate() {
            groups += &format!("{}:{name}:/\n", number + 1);
            mountinfo += &format!("3{number} 25 0:3{number} / /cg/{name} rw - cgroup cgroup rw,{name}\n");
        }
        let fake = Self::new(&(groups + "0::/\n"), &mountinfo);
        V1.iter().for_each(|name| fake.files(&format!("cg/{name}"), &[]));
        fake
    }
}

/// In the order of `Abilities`: the version, or words of the reason.
fn check(cgroups: &Cgroups, expected: [Result<Version, &str>; 6]) {
    let abilities = cgroups.abilities();
    let found = [
        &abilities.memory,
        &abilities.cpu,
        &abilities.pids,
        &abilities.freeze,
        &abilities.kill,
        &abilities.clone_into,
    ];
    for (ability, wanted) in found.into_iter().zip(expected) {
        match (ability, wanted) {
            (Ability::Have { how }, Ok(version)) => assert_eq!(*how, version, "{abilities:?}"),
            (Ability::Missing { why }, Err(words)) => assert!(why.contains(words), "{words:?}: {why:?}"),
            (_, wanted) => panic!("not {wanted:?}: {ability:?} of {abilities:?}"),
        }
    }
}

#[test]
fn a_delegated_service_has_it_all() {
    let fake = Fake::service("cpuset cpu io memory hugetlb pids rdma\n");
    let cgroups = fake.discover();
    check(&cgroups, [Ok(Version::V2); 6]);
    assert_eq!(fake.read(&format!("{SERVICE}/cgroup.subtree_control")), "+memory +cpu +pids");
    // One by one below: the last stands there.
    assert_eq!(fake.read(&format!("{SERVICE}/lambkin-t0/cgroup.subtree_control")), "+pids");
    assert_eq!(cgroups.hierarchies.len(), 1);
}

#[test]
fn what_is_passed_on_already_is_not_written_again() {
    let fake = Fake::service("cpu memory pids\n");
    fake.files(SERVICE, &[("cgroup.subtree_control", "cpu memory pids\n")]);
    check(&fake.discover(), [Ok(Version::V2); 6]);
    assert_eq!(fake.read(&format!("{SERVICE}/cgroup.subtree_control")), "cpu memory pids\n");
}

/// The kernel would let a group with processes pass on `pids` alone, and make a threaded one of it.
#[test]
fn a_group_in_use_is_not_asked_for_what_would_make_it_threaded() {
    let fake = Fake::service("pids\n");
    // Of two others.
    fake.files(SERVICE, &[("cgroup.type", "domain\n"), ("cgroup.procs", "1\n2\n")]);
    let others = Err("2 other processes live in our own group");
    let has_not = Err("is not given the controller");
    check(&fake.discover(), [has_not, has_not, others, Ok(Version::V2), Ok(Version::V2), Ok(Version::V2)]);
    assert_eq!(fake.read(&format!("{SERVICE}/cgroup.subtree_control")), "");
}

#[test]
fn a_user_service_is_given_what_its_manager_has() {
    let fake = Fake::service("memory pids\n");
    let why = Err("is not given the controller (it has: memory pids)");
    let (v2, cgroups) = (Ok(Version::V2), fake.discover());
    check(&cgroups, [v2, why, v2, v2, v2, v2]);
}

#[test]
fn who_has_stepped_aside_still_uses_the_group_above() {
    let mut fake = Fake::service("cpu memory pids\n");
    fake.groups = "0::/system.slice/lambkin.service/lambkin-supervisor\n".to_owned();
    let cgroups = fake.discover();
    check(&cgroups, [Ok(Version::V2); 6]);
    assert_eq!(cgroups.hierarchies[0].path(), fake.path(&format!("{SERVICE}/lambkin-t0")));
}

#[test]
fn older_kernels_have_less() {
    let mut fake = Fake::service("cpu memory pids\n");
    fake.release = "5.4.0-42-generic\n";
    fs::remove_file(fake.path(&format!("{SERVICE}/lambkin-t0/cgroup.kill"))).expect("removed");
    let (v2, cgroups) = (Ok(Version::V2), fake.discover());
    check(&cgroups, [v2, v2, v2, v2, v2, Err("5.4.0-42-generic\" is older than 5.7")]);
    // So the v2 group has to be joined too.
    fake.files(&format!("{SERVICE}/lambkin-t0/e"), &[("cgroup.procs", ""), ("memory.current", "7\n")]);
    let group = Group::open(Arc::clone(&cgroups.hierarchies), "e".to_owned());
    assert!(group.leaf().is_none());
    assert_eq!(group.joins().expect("joins").len(), 1);
    // No peak before 5.19.
    assert_eq!(group.peak_memory(), Some(7));

    fake.release = "4.19.0";
    fs::remove_file(fake.path(&format!("{SERVICE}/lambkin-t0/cgroup.freeze"))).expect("removed");
    check(
        &fake.discover(),
        [v2, v2, v2, Err("cannot freeze"), Err("neither freeze nor kill"), Err("older than 5.7")],
    );
}

#[test]
fn v1_alone() {
    let fake = Fake::v1();
    let (v1, cgroups) = (Ok(Version::V1), fake.discover());
    check(&cgroups, [v1, v1, v1, v1, v1, Err("cgroup v2 is not mounted")]);
    assert_eq!(cgroups.hierarchies.len(), 5);
    assert!(V1.iter().all(|name| fake.path(&format!("cg/{name}/lambkin-t0")).is_dir()));
    assert_eq!(fs::read_dir(fake.root.path()).expect("read").count(), 1, "something was made elsewhere");
}

#[test]
fn a_hybrid_uses_v1_only_for_what_v2_has_not() {
    let mut fake = Fake::v1();
    fake.mountinfo += "41 25 0:41 / /cg/unified rw - cgroup2 cgroup2 rw\n";
    fake.files(
        "cg/unified",
        &[("cgroup.controllers", "hugetlb\n"), ("cgroup.subtree_control", ""), ("cgroup.procs", "1\n")],
    );
    fake.files(
        "cg/unified/lambkin-t0",
        &[("cgroup.freeze", "0\n"), ("cgroup.kill", ""), ("cpu.stat", "usage_usec 12\n")],
    );
    let (v1, v2, cgroups) = (Ok(Version::V1), Ok(Version::V2), fake.discover());
    check(&cgroups, [v1, v1, v1, v2, v2, v2]);
    assert_eq!(fake.read("cg/unified/cgroup.subtree_control"), "");
    for (name, is_used) in
        [("memory", true), ("cpu", true), ("pids", true), ("cpuacct", false), ("freezer", false)]
    {
        assert_eq!(fake.path(&format!("cg/{name}/lambkin-t0")).exists(), is_used, "{name}");
    }
    cgroups.close();
    assert!(!fake.path("cg/memory/lambkin-t0").exists());
}

#[test]
fn nothing_is_never_an_error() {
    let none = "this machine has no cgroup hierarchy";
    check(&Fake::new("", "").discover(), [Err(none); 6]);
    check(&Fake::new("0::/\n", "").discover(), [Err("cgroup v2 is not mounted"); 6]);
    // Mounted elsewhere than where it says.
    let absent = Fake::new("0::/\n", V2);
    check(&absent.discover(), [Err("/sys/fs/cgroup/lambkin-t0: "); 6]);
    let cgroups = absent.discover();
    let group = cgroups.make("e").expect("a group of nothing");
    group.limit(&Limits::for_memory_mb(128, false)).expect("no limits");
    assert!(group.freeze().is_err() && group.thaw().is_err() && group.leaf().is_none());
    assert_eq!((group.processes(), group.memory(), group.cpu_usage()), (0, None, None));
    group.kill().expect("nobody to kill");
    assert!(group.remove(Duration::ZERO));
    assert_eq!(cgroups.sweep(), 0);
}

#[test]
fn reasons_say_what_would_help() {
    let path = Path::new("/sys/fs/cgroup/x");
    let text = |version, errno| refusal(version, path, errno);
    assert!(text(Version::V2, Errno::ACCESS).contains("-p Delegate=yes"));
    assert!(text(Version::V1, Errno::ACCESS).contains("must be root"));
    assert!(text(Version::V2, Errno::ROFS).contains("/sys/fs/cgroup/x: mounted read-only"));
}

#[test]
fn what_is_written_and_read_in_v2() {
    let fake = Fake::service("cpu memory pids\n");
    let e = format!("{SERVICE}/lambkin-t0/e");
    let writable =
        ["memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "pids.max", "cgroup.freeze"];
    fake.files(&e, &writable.map(|name| (name, "default")));
    fake.files(
        &e,
        &[
            ("cgroup.kill", ""),
            ("cgroup.freeze", "0\n"),
            ("cgroup.events", "populated 1\nfrozen 1\n"),
            ("cgroup.procs", "0\n12\n7\n12\n"),
            ("memory.current", "4096\n"),
            ("memory.peak", "8192\n"),
            ("memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\noom_group_kill 0\n"),
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 4\n"),
        ],
    );
    let cgroups = fake.discover();
    limits::prepare(&cgroups.hierarchies[0], "e").expect("settings");
    let group = Group::open(Arc::clone(&cgroups.hierarchies), "e".to_owned());
    let read = |name: &str| fake.read(&format!("{e}/{name}"));
    assert_eq!([read("memory.swap.max"), read("memory.oom.group")], ["0", "0"]);
    for (init, cpu) in [(true, "max 20000"), (false, "10000 20000")] {
        let limits =
            Limits { cpu: (!init).then_some(Duration::from_millis(10)), ..Limits::for_memory_mb(512, init) };
        group.limit(&limits).expect("limits");
        assert_eq!([read("memory.max"), read("pids.max"), read("cpu.max")], ["536870912", "1024", cpu]);
    }
    assert!(group.leaf().is_some() && group.joins().expect("joins").is_empty());
    group.freeze().expect("freeze");
    assert_eq!(read("cgroup.freeze"), "1\n");
    assert!(group.is_frozen());
    group.thaw().expect("thaw");
    assert_eq!(read("cgroup.freeze"), "0\n");
    group.freeze().expect("freeze");
    group.kill().expect("kill");
    assert_eq!([read("cgroup.kill"), read("cgroup.freeze")], ["1", "0\n"]);
    assert_eq!((group.memory(), group.peak_memory()), (Some(4096), Some(8192)));
    assert_eq!((group.out_of_memory_kills(), group.pids()), (3, vec![7, 12]));
    assert_eq!(group.cpu_usage(), Some(Duration::from_micros(1500)));

    // A limit that cannot be written is said; files that only some kernels have may be missing.
    for name in ["memory.swap.max", "memory.oom.group"] {
        fs::remove_file(fake.path(&format!("{e}/{name}"))).expect("removed");
    }
    limits::prepare(&cgroups.hierarchies[0], "e").expect("settings");
    fs::remove_file(fake.path(&format!("{e}/pids.max"))).expect("removed");
    let error = group.limit(&Limits::for_memory_mb(128, false)).expect_err("no pids.max");
    assert!(error.to_string().contains("lambkin-t0/e/pids.max"), "{error}");
}
