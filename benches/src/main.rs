//! `cargo xtask bench`: lambkin in its default configuration against others, in interleaved rounds of one run, so that a
//! noisy machine disturbs both alike. Prints a table of medians and ratios; it judges nothing.

mod control;
mod control_seed;
mod events;
mod http;
mod invocations;
mod load;
mod logs;
mod pinned;
mod server;
mod starts;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;

use crate::server::RUNTIME;
use crate::starts::Bed;
use crate::table::Table;

/// What is said when something fails.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

/// Speed and memory, as ratios of one run
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
pub(crate) struct Bench {
    /// Short rounds, to see that it works
    #[arg(long)]
    quick: bool,
    /// Only starts of environments, freezing and idle environments
    #[arg(long)]
    starts: bool,
    /// Only events and queues, against synchronous invocations and raw SQLite
    #[arg(long, conflicts_with = "starts")]
    events: bool,
    /// Only logs, against SQLite rows, gzip and zstd
    #[arg(long, conflicts_with_all = ["starts", "events"])]
    logs: bool,
    /// Only many functions, versions, aliases, signatures and streams, against few, one, none
    #[arg(long, conflicts_with_all = ["starts", "events", "logs"])]
    control: bool,
    /// This binary, instead of a release build of what is here
    #[arg(long)]
    lambkin: PathBuf,
    /// Where Node.js binaries are, or are to be
    #[arg(long)]
    runtimes: PathBuf,
}

fn main() -> ExitCode {
    match Bench::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Bench {
    fn run(&self) -> Result {
        let install = Command::new(&self.lambkin)
            .args(["runtimes", "install", RUNTIME, "--runtimes"])
            .arg(&self.runtimes)
            .stdout(Stdio::null())
            .status();
        if !install.is_ok_and(|status| status.success()) {
            return Err(format!("{} does not install {RUNTIME}", self.lambkin.display()));
        }
        let (quick, lambkin, runtimes) = (self.quick, &*self.lambkin, &*self.runtimes);
        let mut table = Table::default();
        if self.events {
            let scale = if quick { events::Scale::QUICK } else { events::Scale::WHOLE };
            events::run(&scale, lambkin, runtimes, &mut table)?;
        } else if self.logs {
            let scale = if quick { logs::Scale::QUICK } else { logs::Scale::WHOLE };
            logs::run(&scale, lambkin, runtimes, &mut table)?;
        } else if self.control {
            let scale = if quick { control::Scale::QUICK } else { control::Scale::WHOLE };
            control::run(&scale, lambkin, runtimes, &mut table)?;
        } else {
            let node = &*node_binary(lambkin, runtimes)?;
            if !self.starts {
                let scale = if quick { invocations::Scale::QUICK } else { invocations::Scale::WHOLE };
                invocations::run(&scale, self, node, &mut table)?;
            }
            let (rounds, colds) = if quick { (3, 5) } else { (10, 20) };
            Bed { lambkin, runtimes, node, rounds, colds }.run(&mut table)?;
        }
        table.print();
        Ok(())
    }
}

fn node_binary(lambkin: &Path, runtimes: &Path) -> Result<PathBuf> {
    let output = Command::new(lambkin).args(["runtimes", "list", "--runtimes"]).arg(runtimes).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with(RUNTIME)).ok_or("the runtime is not listed")?;
    line.split('\t').nth(3).map(PathBuf::from).ok_or_else(|| format!("it is not installed: {line}"))
}
