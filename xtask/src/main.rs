//! The project's own commands, `cargo xtask VERB`. Each does its own set-up under `target/`.

mod bench;
mod bench_cold;
mod bench_events;
mod chaos;
mod check;
mod http;
mod load;
mod pinned;
mod server;
mod test;
mod tools;

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
    /// Format, lints, dependencies
    Check,
    /// Speed and memory, as ratios against a bare Node.js server in the same run
    Bench {
        /// Short rounds, to see that it works
        #[arg(long)]
        quick: bool,
        /// Only starts of environments, freezing and idle environments
        #[arg(long, conflicts_with = "events")]
        starts: bool,
        /// Only events and queues, against synchronous invocations and raw SQLite
        #[arg(long)]
        events: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Test { ring, pytest } => test::run(ring, &pytest),
        Verb::Chaos { cycles, seed, forgetful } => chaos::run(&chaos::Chaos { cycles, seed, forgetful }),
        Verb::Check => check::run(),
        Verb::Bench { quick, starts, events } => {
            let part = if starts { Some(bench::Part::Starts) } else { events.then_some(bench::Part::Events) };
            bench::run(quick, part)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
