//! Running other programs, and having those that a machine may lack.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Pinned, as every tool of the tests.
const CARGO_DENY: &str = "0.20.2";
const CARGO_NEXTEST: &str = "0.9.143";

/// What a command of ours says when it fails.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the workspace").to_owned()
}

/// Where set-up goes: kept between runs, removed by `cargo clean`.
pub(crate) fn scratch(name: &str) -> PathBuf {
    root().join("target").join("xtask").join(name)
}

/// A command in the workspace's directory.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Runs it, showing what it is; a failure is an error.
pub(crate) fn run(command: &mut Command) -> Result {
    eprintln!("$ {}", line(command));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{}: {status}", line(command))),
        Err(error) => Err(format!("{}: {error}", line(command))),
    }
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// All builds of xtask have the console in them, or none: what had another would be built again.
fn with_console(mut command: Command) -> Command {
    if std::env::var_os("LAMBKIN_CONSOLE").is_none() {
        command.env("LAMBKIN_CONSOLE", "1");
    }
    command
}

fn cargo() -> Command {
    with_console(command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())))
}

/// `cargo ARGUMENTS`.
pub(crate) fn run_cargo(arguments: &[&str]) -> Result {
    run(cargo().args(arguments))
}

/// What `cargo ARGUMENTS` writes on standard output.
pub(crate) fn cargo_output(arguments: &[&str]) -> Result<String> {
    let mut command = cargo();
    command.args(arguments).stderr(Stdio::inherit());
    eprintln!("$ {}", line(&command));
    let output = command.output().map_err(|error| format!("{}: {error}", line(&command)))?;
    if !output.status.success() {
        return Err(format!("{}: {}", line(&command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Everything, with every feature. Each selection of packages and features has dependencies of its own to build,
/// which is most of what the rings cost on a fresh machine: so all of them select this.
pub(crate) const EVERYTHING: [&str; 2] = ["--workspace", "--all-features"];

/// The AWS SDK for Rust on the clients' tour: a workspace of its own, so that nothing else builds the SDK.
pub(crate) const SDK_RUST: &str = "tests/clients/sdk-rust/Cargo.toml";

/// The release binary, built.
pub(crate) fn lambkin() -> Result<PathBuf> {
    run_cargo(&["build", "--release", "--package", "lambkin"])?;
    Ok(root().join("target/release/lambkin"))
}

/// The binary that the rings are run on: the developer's, with its checks of overflow and its debug assertions.
pub(crate) fn checked_lambkin() -> Result<PathBuf> {
    // With the tests, for whose sake some dependencies have other features.
    run_cargo(&[&["build"], &EVERYTHING[..], &["--bins", "--tests"]].concat())?;
    Ok(root().join("target/debug/lambkin"))
}

/// The machine's own `cargo SUBCOMMAND`, or else one installed under `target/`.
pub(crate) fn cargo_tool(subcommand: &str) -> Result<Command> {
    let own = cargo().args([subcommand, "--version"]).output().is_ok_and(|output| output.status.success());
    if own {
        let mut tool = cargo();
        tool.arg(subcommand);
        return Ok(tool);
    }
    let version = match subcommand {
        "deny" => CARGO_DENY,
        "nextest" => CARGO_NEXTEST,
        other => return Err(format!("no version of cargo-{other} is pinned")),
    };
    let place = scratch("tools");
    let binary = place.join("bin").join(format!("cargo-{subcommand}"));
    if !binary.is_file() {
        let (name, place) = (format!("cargo-{subcommand}"), place.display().to_string());
        // Unoptimised: it is built for longer than it runs.
        run_cargo(&["install", "--debug", "--locked", "--version", version, "--root", &place, &name])?;
    }
    let mut tool = with_console(command(binary));
    tool.arg(subcommand);
    Ok(tool)
}
