//! `cargo xtask check`: what needs no running program.

use crate::tools::{self, EVERYTHING, Result, SDK_RUST};

pub(crate) fn run() -> Result {
    tools::run_cargo(&["fmt", "--all", "--check"])?;
    tools::run_cargo(&["fmt", "--check", "--manifest-path", SDK_RUST])?;
    let denied = ["--all-targets", "--", "--deny", "warnings"];
    tools::run_cargo(&[&["clippy"], &EVERYTHING[..], &denied].concat())?;
    // Advisories need their database from the network at every run; they are checked where that is
    // wanted, by `cargo deny check advisories`.
    tools::run(tools::cargo_tool("deny")?.args(["check", "bans", "licenses", "sources"]))?;
    // The walls are the workspace's; what it may be made of is the same.
    let of_sdk =
        ["--manifest-path", SDK_RUST, "check", "--allow", "license-not-encountered", "licenses", "sources"];
    tools::run(tools::cargo_tool("deny")?.args(of_sdk))
}
