//! `cargo xtask bench`: builds lambkin and what measures it. `benches/` has the measuring.

use std::ffi::OsString;
use std::process::Command;

use crate::tools::{self, Result};

/// Optimised both: the log store and SQLite are measured in the benchmark's own process too.
const BUILD: [&str; 4] = ["build", "--release", "--package", "lambkin-bench"];
/// Which takes another binary.
const LAMBKIN: &str = "--lambkin";

pub(crate) fn run(arguments: &[OsString]) -> Result {
    tools::run_cargo(&BUILD)?;
    // In the directory that the arguments' paths are meant in.
    let mut command = Command::new(tools::root().join("target/release/lambkin-bench"));
    let given = |argument: &OsString| argument.to_string_lossy().starts_with(LAMBKIN);
    if !arguments.iter().any(given) {
        command.arg(LAMBKIN).arg(tools::lambkin()?);
    }
    tools::run(command.arg("--runtimes").arg(tools::scratch("runtimes")).args(arguments))
}
