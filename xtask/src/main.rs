//! The project's own commands, `cargo xtask VERB`. Each does its own set-up under `target/`.

mod bench;
mod browser;
mod chaos;
mod check;
mod coverage;
mod debian;
mod fuzz;
mod guest;
mod guest_disk;
mod guest_initramfs;
mod set_up;
mod test;
mod tools;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Every test ring: rules and engine, jail, bootstrap, clients
    Test {
        /// Only this ring
        #[arg(long, value_enum)]
        ring: Option<test::Ring>,
        /// Arguments for pytest, after --
        #[arg(last = true)]
        pytest: Vec<String>,
    },
    /// Kills lambkin with `kill -9` over and over while clients use it; nothing acknowledged may be lost
    Chaos {
        /// Kills
        #[arg(long, default_value_t = 200)]
        cycles: u32,
        /// Seed of a former run
        #[arg(long)]
        seed: Option<u32>,
        /// Also undo, at each kill, what lambkin had not synced, as a power cut does (Linux)
        #[arg(long)]
        forgetful: bool,
    },
    /// Malformed requests, made from AWS's service models: none may be answered by a 5xx, or hurt lambkin
    Fuzz {
        /// How many
        #[arg(long, default_value_t = 100_000)]
        requests: u32,
        /// Seed of a former run
        #[arg(long)]
        seed: Option<u32>,
        /// Only this request of the seed
        #[arg(long, requires = "seed")]
        number: Option<u32>,
    },
    /// lambkin on systemd and cgroup v2 alone, in a small machine of qemu's (x86_64 Linux with Debian's packages)
    Guest {
        /// Only the parts whose names begin so
        #[arg(long)]
        only: Option<String>,
    },
    /// Which of Lambda's operations are built, into the README
    Coverage,
    /// Format, lints, dependencies
    Check,
    /// Speed and memory, as ratios against a bare Node.js server in the same run
    #[command(disable_help_flag = true)]
    Bench {
        /// `--help` says which
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Test { ring, pytest } => test::run(ring, &pytest),
        Verb::Chaos { cycles, seed, forgetful } => chaos::run(&chaos::Chaos { cycles, seed, forgetful }),
        Verb::Fuzz { requests, seed, number } => fuzz::run(requests, seed, number),
        Verb::Guest { only } => guest::run(only.as_deref()),
        Verb::Coverage => coverage::run(),
        Verb::Check => check::run(),
        Verb::Bench { arguments } => bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
