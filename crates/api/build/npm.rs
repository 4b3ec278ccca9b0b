//! The console's packages and pages, by the machine's npm: its registry and proxy settings hold.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Builds the console's pages into `out` by the program `npm`; says what is missing where that cannot be.
pub(crate) fn build(npm: &str, console: &Path, out: &Path) -> Result<(), String> {
    let run = |arguments: &[&str]| run(npm, console, arguments);
    run(&["--version"]).map_err(|_| "there is no npm on this machine".to_owned())?;
    let lock = console.join("package-lock.json");
    let wanted = fs::read(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    // Says for which lockfile the packages are complete.
    let stamp = console.join("node_modules/.lambkin-lock");
    if fs::read(&stamp).ok().as_ref() != Some(&wanted) {
        run(&["ci", "--no-audit", "--no-fund"])?;
        fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    }
    let out = out.to_str().ok_or("the build's directory is not UTF-8")?;
    run(&["run", "build", "--", "--outDir", out, "--emptyOutDir", "--logLevel", "warn"])
}

fn run(program: &str, console: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut npm = Command::new(program);
    npm.args(arguments).current_dir(console).stdin(Stdio::null()).env_remove("NODE_OPTIONS");
    let output = npm.output().map_err(|error| format!("npm cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    eprintln!("{said}");
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(format!("`npm {}` failed ({}): {last}", arguments.join(" "), output.status))
}
