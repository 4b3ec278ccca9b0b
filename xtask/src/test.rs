//! `cargo xtask test`: every ring, with its set-up (`set_up`).

use std::path::Path;

use clap::ValueEnum;

use crate::browser;
use crate::chaos;
use crate::set_up::{Ready, venv};
use crate::tools::{self, EVERYTHING, Result};

/// The rings of tests.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ring {
    /// Rules, ports, engine, processes: everything in Rust
    Rust,
    /// The bootstrap against a fake supervisor, on every Node.js
    Bootstrap,
    /// The binary with boto3, the aws CLI and the AWS SDKs for JavaScript and Rust; the semantics table
    Clients,
    /// The console in Chromium
    Browser,
    /// `kill -9` and power cuts while clients use it
    Chaos,
}

pub(crate) fn run(only: Option<Ring>, arguments: &[String]) -> Result {
    let wanted = |ring| only.is_none_or(|only| only == ring);
    let ready = Ready::for_rings(wanted)?;
    let result = rings(&ready, only, arguments);
    for what in ready.programs.untested() {
        eprintln!("NOT TESTED: {what}");
    }
    result
}

fn rings(ready: &Ready, only: Option<Ring>, arguments: &[String]) -> Result {
    let wanted = |ring| only.is_none_or(|only| only == ring);
    let Ready { lambkin, runtimes, programs } = ready;
    if wanted(Ring::Rust) {
        let mut nextest = tools::cargo_tool("nextest")?;
        if let Some(Ok(server)) = &programs.nats_server {
            nextest.env("LAMBKIN_NATS_SERVER", server);
        }
        tools::run(nextest.arg("run").args(EVERYTHING))?;
        tools::run_cargo(&[&["test", "--doc", "--quiet"], &EVERYTHING[..]].concat())?;
    }
    if wanted(Ring::Bootstrap) {
        tools::run(tools::command("bash").arg("runtimes/node/test/run.sh").arg(runtimes.join("node")))?;
        if cfg!(target_os = "linux") {
            let mut nextest = tools::cargo_tool("nextest")?;
            nextest.arg("run").args(EVERYTHING).args(["--run-ignored=only", "every_node"]);
            tools::run(nextest.env("LAMBKIN_RUNTIMES", runtimes))?;
        }
    }
    if wanted(Ring::Clients) {
        // Files side by side, the longest first: most of their time they wait. An argument of the caller's counts more.
        let side_by_side = ["--numprocesses=3", "--dist=loadfile"].map(String::from);
        let aws_cli = programs.aws_cli.iter().flatten().map(|program| ("LAMBKIN_AWS_CLI", program.as_path()));
        pytest("tests/clients", lambkin, runtimes, aws_cli, &[&side_by_side, arguments].concat())?;
    }
    if wanted(Ring::Browser) {
        match &programs.chromium {
            Some(Ok(chromium)) => browser::ring(chromium, lambkin, runtimes)?,
            // Of a ring that was asked for by its name nothing was done.
            Some(Err(missing)) if only.is_some() => return Err(missing.clone()),
            _ => {}
        }
    }
    // The layer that forgets is Linux's.
    if wanted(Ring::Chaos) && cfg!(target_os = "linux") {
        chaos::ring(lambkin, runtimes, if only.is_some() { arguments } else { &[] })?;
    }
    Ok(())
}

/// The tests of a directory, against this binary.
pub(crate) fn pytest<'a>(
    directory: &str,
    lambkin: &Path,
    runtimes: &Path,
    variables: impl IntoIterator<Item = (&'static str, &'a Path)>,
    arguments: &[String],
) -> Result {
    let python = venv()?;
    // The aws CLI of the venv comes first.
    let bin = python.parent().expect("an executable is in a directory").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(bin).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(paths).map_err(|error| error.to_string())?;
    tools::run(
        tools::command(python)
            .args(["-m", "pytest", directory])
            .args(arguments)
            .env("PATH", path)
            .env("LAMBKIN_BIN", lambkin)
            .env("LAMBKIN_RUNTIMES", runtimes)
            .envs(variables),
    )
}
