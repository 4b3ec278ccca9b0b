//! `cargo xtask check`: what needs no running program.

use crate::tools::{self, Result};

pub(crate) fn run() -> Result {
    tools::run_cargo(&["fmt", "--all", "--check"])?;
    tools::run_cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ])?;
    // Advisories need their database from the network at every run; they are checked where that is
    // wanted, by `cargo deny check advisories`.
    tools::run(tools::cargo_tool("deny")?.args(["check", "bans", "licenses", "sources"]))
}
