//! Stepping aside, with the real kernel's refusal. Any controller shows it; here one that v1 leaves to v2
//! on most machines, or that a service manager delegates, is passed on to groups of the test's own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};

use rustix::fs::FlockOperation;

use super::super::delegation::{SUPERVISOR, enable, pass_on};
use super::super::discovery::Machine;
use super::super::{Version, mounts};
use crate::proc;

const CONTROLLERS: [&str; 2] = ["hugetlb", "pids"];

/// A v2 group that is given the controller, as a service manager does it.
struct Service {
    path: PathBuf,
    controller: &'static str,
    children: Vec<Child>,
    /// Other tests that do the same wait.
    _lock: File,
    undo: Option<PathBuf>,
}

impl Service {
    fn new(name: &str) -> Result<Self, String> {
        let machine = Machine::this();
        let places = mounts::places(&machine.groups, &machine.mountinfo);
        let place = places.into_iter().find(|place| place.version == Version::V2).ok_or("no v2")?;
        let own = place.own?;
        // Where no process may be beside groups, this one leaves first, as lambkin does.
        let _ = pass_on(&own, &CONTROLLERS, proc::own_pid());
        let own =
            if own.ends_with(SUPERVISOR) { own.parent().expect("a group above").to_owned() } else { own };
        let offered =
            fs::read_to_string(own.join("cgroup.controllers")).map_err(|error| error.to_string())?;
        let is_offered = |controller: &&str| offered.split_ascii_whitespace().any(|word| word == *controller);
        let controller = CONTROLLERS.into_iter().find(is_offered);
        let controller =
            controller.ok_or_else(|| format!("{} has none of {CONTROLLERS:?}", own.display()))?;
        let lock = File::open(&own).map_err(|error| error.to_string())?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|error| error.to_string())?;
        let passed =
            fs::read_to_string(own.join("cgroup.subtree_control")).map_err(|error| error.to_string())?;
        let is_passed = passed.split_ascii_whitespace().any(|word| word == controller);
        if !is_passed {
            enable(&own, &[controller])
                .map_err(|errno| format!("{} keeps {controller}: {errno}", own.display()))?;
        }
        let undo = (!is_passed).then(|| own.clone());
        let path = own.join(format!("{name}-{}", proc::own_pid()));
        let made = fs::create_dir(&path);
        let service = Self { path, controller, children: Vec::new(), _lock: lock, undo };
        made.map_err(|error| error.to_string())?;
        Ok(service)
    }

    fn start(&mut self, program: &[&str]) -> i32 {
        let child = Command::new(program[0]).args(&program[1..]).spawn().expect("a process");
        let pid = child.id().cast_signed();
        self.children.push(child);
        fs::write(self.path.join("cgroup.procs"), pid.to_string()).expect("moved");
        pid
    }

    fn living(&self, below: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.path.join(below).join("cgroup.procs")).unwrap_or_default();
        text.lines().map(|line| line.parse().expect("a pid")).collect()
    }

    fn passed(&self) -> String {
        fs::read_to_string(self.path.join("cgroup.subtree_control")).expect("subtree_control")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for path in [self.path.join(SUPERVISOR), self.path.clone()] {
            // Also what the children have started. Before 5.14 these have to sleep to their end.
            let _ = fs::write(path.join("cgroup.kill"), "1");
            self.children.iter_mut().for_each(|child| drop(child.kill()));
            super::bed::await_that("a group is removed", || !path.exists() || fs::remove_dir(&path).is_ok());
        }
        self.children.iter_mut().for_each(|child| drop(child.wait()));
        if let Some(own) = &self.undo {
            let _ = fs::write(own.join("cgroup.subtree_control"), format!("-{}", self.controller));
        }
    }
}

fn service(name: &str) -> Option<Service> {
    Service::new(name).map_err(|why| eprintln!("NOT TESTED: stepping aside ({name}): {why}")).ok()
}

#[test]
fn who_lives_alone_steps_aside_with_the_children() {
    let Some(mut service) = service("alone") else { return };
    let me = service.start(&["sh", "-c", "sleep 60 & wait"]);
    super::bed::await_that("it has a child", || !proc::children(me).is_empty());
    let child = proc::children(me)[0];
    if !service.living("").contains(&child) {
        // It was there before the shell was moved.
        fs::write(service.path.join("cgroup.procs"), child.to_string()).expect("moved");
    }
    assert_eq!(pass_on(&service.path, &[service.controller], me), []);
    assert_eq!(service.passed().trim_ascii(), service.controller);
    assert_eq!(service.living(""), Vec::<i32>::new());
    let mut aside = service.living(SUPERVISOR);
    aside.sort_unstable();
    let mut ours = vec![me, child];
    ours.sort_unstable();
    assert_eq!(aside, ours);
    // Once more changes nothing.
    assert_eq!(pass_on(&service.path, &[service.controller], me), []);
}

#[test]
fn others_are_not_moved() {
    let Some(mut service) = service("shared") else { return };
    let me = service.start(&["sleep", "60"]);
    let other = service.start(&["sleep", "60"]);
    let refused = pass_on(&service.path, &[service.controller, "none-such"], me);
    let why = |controller| &refused.iter().find(|(of, _)| *of == controller).expect("refused").1;
    assert!(why(service.controller).starts_with("1 other processes live"), "{refused:?}");
    assert!(why(service.controller).contains("Delegate=yes"));
    assert!(why("none-such").contains("is not given the controller"), "{refused:?}");
    let mut living = service.living("");
    living.sort_unstable();
    let mut both = vec![me, other];
    both.sort_unstable();
    assert_eq!(living, both);
    assert!(!service.path.join(SUPERVISOR).exists());
}

#[test]
fn a_group_without_processes_needs_nobody_to_move() {
    let Some(service) = service("empty") else { return };
    assert_eq!(pass_on(&service.path, &[service.controller], proc::own_pid()), []);
    assert_eq!(service.passed().trim_ascii(), service.controller);
}
