//! Running rows, as root and as an ordinary user, and saying what came of them.

use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};

use crate::bed::{SETUID, Setuid};
use crate::rows::{ROWS, Row};
use crate::waiting::slowness;

/// As which program this one runs a row as another user.
pub(crate) const AS_USER: &str = "__as_user";

/// `nobody`.
const USER: u32 = 65_534;

const HELD: &str = "held";
const NOT_TESTED: &str = "NOT TESTED";

/// What one row found so far.
#[derive(Default)]
pub(crate) struct Report {
    held: usize,
    not_tested: Vec<String>,
}

impl Report {
    /// Something was tried, shown outside, and did not get through.
    pub(crate) fn held(&mut self) {
        self.held += 1;
    }

    pub(crate) fn not_tested(&mut self, why: impl Into<String>) {
        self.not_tested.push(why.into());
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// How one row went for one user.
struct Went {
    /// Lines as `Report` has them; empty where it failed.
    lines: Vec<String>,
    failed: bool,
}

/// Rows that held in all they tried, in a part of it, not tried at all, failed.
#[derive(Default)]
struct Counts {
    held: usize,
    partly: usize,
    not_tested: usize,
    failed: usize,
}

pub(crate) fn run(rows: Vec<&Row>) -> ExitCode {
    let mut counts = [Counts::default(), Counts::default()];
    let users = if is_root() { &["root", "user 65534"][..] } else { &["this user"] };
    for row in rows {
        for (index, user) in users.iter().enumerate() {
            let went = if index == 0 { here(row) } else { elsewhere(row) };
            let not_tested: Vec<_> = went.lines.iter().filter(|line| line.starts_with(NOT_TESTED)).collect();
            let held = went.lines.len() - not_tested.len();
            not_tested.iter().for_each(|line| println!("{} as {user}: {line}", row.name));
            let counts = &mut counts[index];
            let (counted, said) = match (went.failed, held, not_tested.len()) {
                (true, _, _) => (&mut counts.failed, "FAILED".to_owned()),
                (false, 0, _) => (&mut counts.not_tested, NOT_TESTED.to_owned()),
                (false, held, 0) => (&mut counts.held, format!("ok, {held} held")),
                (false, held, not) => (&mut counts.partly, format!("ok, {held} held, {not} {NOT_TESTED}")),
            };
            *counted += 1;
            println!("test {} as {user} ... {said}", row.name);
        }
    }
    for (user, Counts { held, partly, not_tested, failed }) in users.iter().zip(&counts) {
        println!(
            "attacks as {user}: {held} held, {partly} held in part, {not_tested} NOT TESTED, {failed} failed"
        );
    }
    if counts.iter().all(|counts| counts.failed == 0) { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn here(row: &Row) -> Went {
    let mut report = Report::default();
    let failed = catch_unwind(AssertUnwindSafe(|| (row.test)(row, &mut report))).is_err();
    let held = (0..report.held).map(|_| HELD.to_owned());
    let not_tested = report.not_tested.iter().map(|why| format!("{NOT_TESTED}: {why}"));
    Went { lines: held.chain(not_tested).collect(), failed }
}

/// The row once more, as an ordinary user.
fn elsewhere(row: &Row) -> Went {
    // An ordinary user cannot make such a file.
    let setuid = Setuid::make();
    let mut command = Command::new("/proc/self/exe");
    command.args([AS_USER, row.name]).uid(USER).gid(USER).env_clear().current_dir("/");
    command.env("PATH", "/usr/bin:/bin").env("RUST_BACKTRACE", "0");
    command.env("LAMBKIN_TEST_SLOWNESS", slowness().to_string());
    if let Some(setuid) = &setuid {
        command.env(SETUID, setuid.path());
    }
    let output = command.stderr(std::process::Stdio::inherit()).output().expect("this program");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Went { lines: text.lines().map(str::to_owned).collect(), failed: !output.status.success() }
}

/// As that user: the row's lines on standard output.
pub(crate) fn as_user(name: &str) -> ExitCode {
    let row = ROWS.iter().find(|row| row.name == name).expect("a row");
    let went = here(row);
    went.lines.iter().for_each(|line| println!("{line}"));
    ExitCode::from(if went.failed { 101 } else { 0 })
}
