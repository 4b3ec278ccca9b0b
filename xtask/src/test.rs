//! `cargo xtask test`: every ring, with its set-up. On a fresh machine it needs Rust, Python 3 and
//! npm; everything else is fetched, pinned, under `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;

use crate::browser;
use crate::chaos;
use crate::debian::Program;
use crate::tools::{self, EVERYTHING, Result, SDK_RUST};

/// The aws CLI 2: what Python's packages have is version 1, which tails no logs.
const AWS_CLI: Program = Program {
    name: "aws-cli",
    known: &["/usr/local/bin/aws", "/usr/bin/aws", "/opt/homebrew/bin/aws"],
    packages: "awscli",
    start: r#"#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
export PYTHONPATH="$here/usr/lib/python3/dist-packages"
exec /usr/bin/python3 "$here/usr/bin/aws" "$@"
"#,
    version: "aws-cli/2",
};

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
    let mut untested = Vec::new();
    let result = rings(only, arguments, &mut untested);
    for what in untested {
        eprintln!("NOT TESTED: {what}");
    }
    result
}

/// What this machine could not test is added to `untested`, unless it was the one ring that was asked for.
fn rings(only: Option<Ring>, arguments: &[String], untested: &mut Vec<&str>) -> Result {
    let wanted = |ring| only.is_none_or(|only| only == ring);
    if wanted(Ring::Rust) {
        let mut nextest = tools::cargo_tool("nextest")?;
        match nats_server() {
            Some(server) => {
                nextest.env("LAMBKIN_NATS_SERVER", server);
            }
            None => {
                untested
                    .push("the stores on NATS JetStream; there is no nats-server here, and apt-get has none");
            }
        }
        tools::run(nextest.arg("run").args(EVERYTHING))?;
        tools::run_cargo(&[&["test", "--doc", "--quiet"], &EVERYTHING[..]].concat())?;
    }
    if only == Some(Ring::Rust) {
        return Ok(());
    }
    let lambkin = tools::checked_lambkin()?;
    let runtimes = tools::scratch("runtimes");
    tools::run(tools::command(&lambkin).args(["runtimes", "install", "--runtimes"]).arg(&runtimes))?;
    if wanted(Ring::Bootstrap) {
        tools::run(tools::command("bash").arg("runtimes/node/test/run.sh").arg(runtimes.join("node")))?;
        if cfg!(target_os = "linux") {
            let mut nextest = tools::cargo_tool("nextest")?;
            nextest.arg("run").args(EVERYTHING).args(["--run-ignored=only", "every_node"]);
            tools::run(nextest.env("LAMBKIN_RUNTIMES", &runtimes))?;
        }
    }
    if wanted(Ring::Clients) {
        let sdk = tools::root().join("tests/clients/sdk-js");
        tools::run(tools::command("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(sdk))?;
        let target = tools::scratch("sdk-rust").display().to_string();
        tools::run_cargo(&["build", "--locked", "--manifest-path", SDK_RUST, "--target-dir", &target])?;
        let aws_cli = AWS_CLI.find();
        if aws_cli.is_none() {
            untested.push("`aws logs tail`; there is no aws CLI 2 here, and apt-get has none");
        }
        // Files side by side, the longest first: most of their time they wait. An argument of the caller's counts more.
        let side_by_side = ["--numprocesses=2", "--dist=loadfile"].map(String::from);
        let aws_cli = aws_cli.map(|program| ("LAMBKIN_AWS_CLI", program));
        pytest("tests/clients", &lambkin, &runtimes, aws_cli, &[&side_by_side, arguments].concat())?;
    }
    if wanted(Ring::Browser) {
        match browser::chromium() {
            Some(chromium) => browser::ring(&chromium, &lambkin, &runtimes)?,
            None if only.is_some() => return Err(format!("NOT TESTED: {}", browser::MISSING)),
            None => untested.push(browser::MISSING),
        }
    }
    // The layer that forgets is Linux's.
    if wanted(Ring::Chaos) && cfg!(target_os = "linux") {
        chaos::ring(&lambkin, &runtimes, if only.is_some() { arguments } else { &[] })?;
    }
    Ok(())
}

/// The machine's nats-server, or else Debian's, unpacked under `target/`. The tests of the stores on NATS need one;
/// where none can be had, this says so, and so do they.
fn nats_server() -> Option<PathBuf> {
    let place = tools::scratch("nats");
    let fetched = place.join("usr/sbin/nats-server");
    let known = ["nats-server".into(), PathBuf::from("/usr/sbin/nats-server"), fetched.clone()];
    let works = |server: &Path| {
        Command::new(server).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    if let Some(server) = known.into_iter().find(|server| works(server)) {
        return Some(server);
    }
    let script = "apt-get --quiet download nats-server && dpkg --extract nats-server_*.deb .";
    let fetch = || {
        std::fs::create_dir_all(&place).ok()?;
        Command::new("sh").args(["-c", script]).current_dir(&place).status().ok()
    };
    if fetch().is_some_and(|status| status.success()) && works(&fetched) {
        return Some(fetched);
    }
    None
}

/// The tests of a directory, against this binary.
pub(crate) fn pytest(
    directory: &str,
    lambkin: &Path,
    runtimes: &Path,
    variables: impl IntoIterator<Item = (&'static str, PathBuf)>,
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

/// Python of a virtual environment with exactly the pinned packages.
pub(crate) fn venv() -> Result<PathBuf> {
    let place = tools::scratch("venv");
    let python = place.join("bin/python");
    let requirements = tools::root().join("tests/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements)
        .map_err(|error| format!("{}: {error}", requirements.display()))?;
    let stamp = place.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    tools::run(tools::command("python3").args(["-m", "venv", "--clear"]).arg(&place))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    tools::run(tools::command(&python).args(pip).arg(&requirements))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}
