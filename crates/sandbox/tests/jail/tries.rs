//! Attacks that are single steps: each is tried in the jail and must end with a known error, and is
//! tried outside by the same code, where it must succeed: plainly, or where that would harm the
//! machine or needs more than this user has, as the root of namespaces of its own.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use lambkin_model::exit::ExitStatus;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use crate::bed::{Bed, PROGRAM, directory, spec};
use crate::calls::{self, Outcome, name};
use crate::report::{Report, is_root};
use crate::rows::{ROWS, Row};
use crate::sandboxes::read;
use crate::waiting::{run, within};

/// As which programs this one starts itself: what tries a row's steps, and the way into namespaces
/// of its own.
pub(crate) const PROBE: &str = "__probe";
pub(crate) const OWN: &str = "__own";
pub(crate) const OWN_INIT: &str = "__own_init";

const PLAIN: &str = "plain";
const JAIL: &str = "jail";

/// A file of the host that no jail may show.
const MARKER: &str = "LAMBKIN_TEST_MARKER";
/// What stands for `/` where something is written: nothing in the jail.
const ROOT: &str = "LAMBKIN_TEST_ROOT";

/// One step of an attack. Outcomes are `done` or errors' names, several with `|` between.
pub(crate) struct Try {
    what: &'static str,
    act: fn() -> Outcome,
    inside: &'static str,
    /// The same where lambkin is an ordinary user's.
    ordinary: &'static str,
    /// Without a jail.
    outside: &'static str,
    /// Whether it may be tried on the machine itself.
    plain: bool,
}

pub(crate) const fn attempt(what: &'static str, act: fn() -> Outcome, inside: &'static str) -> Try {
    Try { what, act, inside, ordinary: inside, outside: "done", plain: true }
}

impl Try {
    /// What shows that it gets through, where that is not success: an error from behind the wall.
    pub(crate) const fn outside(self, outside: &'static str) -> Self {
        Self { outside, ..self }
    }

    pub(crate) const fn for_an_ordinary_user(self, ordinary: &'static str) -> Self {
        Self { ordinary, ..self }
    }

    /// It would harm the machine.
    pub(crate) const fn only_in_namespaces(self) -> Self {
        Self { plain: false, ..self }
    }
}

fn is_one_of(outcome: &str, expected: &str) -> bool {
    expected.split('|').any(|one| one == outcome)
}

/// What was tried and what came of it.
type Outcomes = HashMap<String, String>;

fn outcomes(output: &str) -> Outcomes {
    output.lines().filter_map(|line| line.split_once('\t')).map(|(a, b)| (a.into(), b.into())).collect()
}

/// A row that consists of steps.
pub(crate) fn test(row: &Row, report: &mut Report) {
    let place = directory();
    let marker = place.path().join("marker");
    fs::write(&marker, "a secret of the host").expect("a marker");
    let tree = place.path().join("tree");
    for name in ["var/task", "var/lang/bin", "var/runtime", "opt", "etc", "usr/lib", "dev", "tmp"] {
        fs::create_dir_all(tree.join(name)).expect("a directory");
    }
    for file in ["etc/passwd", "var/task/probe", "var/lang/bin/node"] {
        fs::write(tree.join(file), "").expect("a file");
    }
    put_links(&tree.join("var/task"), &marker);
    let outside = |words: &[&str]| {
        let mut command = Command::new("/proc/self/exe");
        command.args(words).env(MARKER, &marker).env(ROOT, &tree).stdin(Stdio::null());
        outcomes(&String::from_utf8_lossy(&command.output().expect("this program").stdout))
    };
    let plain = outside(&[PROBE, row.name, PLAIN]);
    let own = outside(&[OWN, row.name]);
    let jail = inside(row, &marker);

    let nothing = "nothing was said".to_owned();
    let mut through = Vec::new();
    for Try { what, inside, ordinary, outside, .. } in row.tries {
        let inside = if is_root() { inside } else { ordinary };
        let [jail, plain, own] = [&jail, &plain, &own].map(|all| all.get(*what).unwrap_or(&nothing));
        if !is_one_of(jail, inside) {
            through.push(format!("{what}: {jail} instead of {inside}"));
        } else if is_one_of(plain, outside) || is_one_of(own, outside) {
            report.held();
        } else {
            report.not_tested(format!(
                "{what}: {jail} in the jail, but outside too: {plain}; in own namespaces: {own}"
            ));
        }
    }
    assert!(through.is_empty(), "{}", through.join("\n"));
}

fn put_links(code: &Path, marker: &Path) {
    let links =
        [("to-marker", marker), ("to-root", Path::new("/")), ("up", Path::new("../../../../../../.."))];
    for (name, target) in links {
        symlink(target, code.join(name)).expect("a link");
    }
}

fn inside(row: &Row, marker: &Path) -> Outcomes {
    let mut output = String::new();
    run(async {
        let bed = Bed::new().await;
        put_links(&bed.directory.path().join("code"), marker);
        let command = [PROGRAM, PROBE, row.name, JAIL].map(str::to_owned);
        let mut spec = spec(bed.directory.path(), command.into());
        spec.variables.insert(MARKER.into(), marker.to_string_lossy().into_owned());
        spec.variables.insert(ROOT.into(), String::new());
        let mut sandbox = bed.open(spec).await;
        // The second time shows that the first did init no harm.
        for _ in 0..2 {
            let process = within(sandbox.start()).await.expect("a process");
            output = read(process.output).await;
            assert_eq!(within(process.exit).await, ExitStatus::Code(0), "{output}");
        }
        drop(sandbox);
        bed.end().await;
    });
    outcomes(&output)
}

/// Tries a row's steps. In the jail, in own namespaces, or plainly those that may be tried so.
pub(crate) fn probe(row: &str, place: &str) {
    let row = ROWS.iter().find(|candidate| candidate.name == row).expect("a row");
    for Try { what, act, plain, .. } in row.tries {
        if *plain || place != PLAIN {
            println!("{what}\t{}", name(act()));
        }
    }
}

/// Becomes root of namespaces of its own, and goes on as their init.
pub(crate) fn own(row: &str) -> ExitCode {
    let entered = calls::enter_own_namespaces();
    if let Err(error) = entered {
        println!("own namespaces\t{}", name(Err(error)));
        return ExitCode::FAILURE;
    }
    let status = Command::new("/proc/self/exe").args([OWN_INIT, row]).status().expect("this program");
    ExitCode::from(if status.success() { 0 } else { 1 })
}

/// PID 1 there, with a process besides that may be harmed.
pub(crate) fn own_init(row: &str) -> ExitCode {
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).expect("private mounts");
    mount("proc", "/proc", "proc", MountFlags::empty(), None).expect("/proc");
    let mut beside = Command::new("sleep").arg("60").spawn().expect("sleep");
    let status = Command::new("/proc/self/exe").args([PROBE, row, OWN]).status().expect("this program");
    // May have been killed.
    let _ = beside.kill();
    beside.wait().expect("its end");
    ExitCode::from(if status.success() { 0 } else { 1 })
}

pub(crate) fn marker() -> String {
    std::env::var(MARKER).expect("a marker")
}

pub(crate) fn below_root(path: &str) -> String {
    std::env::var(ROOT).expect("a root") + path
}

/// In place of what would harm the machine: fails where all of its users are there.
pub(crate) fn assert_contained() {
    let map = fs::read_to_string("/proc/self/uid_map").expect("a map of users");
    assert!(!map.contains("4294967295"), "not on the machine itself");
}
