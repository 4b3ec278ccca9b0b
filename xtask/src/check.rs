//! `cargo xtask check`: what needs no running program.

use crate::tools::{self, EVERYTHING, Result};

pub(crate) fn run() -> Result {
    tools::run_cargo(&["fmt", "--all", "--check"])?;
    let denied = ["--all-targets", "--", "--deny", "warnings"];
    tools::run_cargo(&[&["clippy"], &EVERYTHING[..], &denied].concat())?;
    // Advisories need their database from the network at every run; they are checked where that is
    // wanted, by `cargo deny check advisories`.
    tools::run(tools::cargo_tool("deny")?.args(["check", "bans", "licenses", "sources"]))
}
