//! The binary `lambkin`: configuration, wiring, signals, command line. The only place that names a
//! concrete store or jail.

mod arguments;
mod buckets;
mod collector;
mod doctor;
mod events;
mod events_command;
mod external;
mod generate_event_command;
mod keys;
mod keys_command;
mod logs_command;
mod memory_budget;
mod one_shot;
mod output;
mod own_api;
mod places;
mod process_figures;
mod queues_command;
mod role_credentials;
mod runtimes_command;
mod serve;
mod tls;
mod top_command;
mod trust;
#[cfg(target_os = "linux")]
mod unpacker;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::arguments::{Arguments, Command};

fn main() -> ExitCode {
    // Before anything starts a thread: the spawner is single-threaded, or it could not fork safely.
    if std::env::args_os().nth(1).is_some_and(|word| word == lambkin_sandbox::SPAWNER_ARGUMENT) {
        lambkin_sandbox::run_spawner();
    }
    #[cfg(target_os = "linux")]
    if std::env::args_os().nth(1).is_some_and(|word| word == unpacker::ARGUMENT) {
        return unpacker::run();
    }
    let arguments = Arguments::parse();
    let default_level = match arguments.command {
        Command::Serve(_) => "info",
        // Their own words go to a person; the log is for trouble.
        Command::Invoke(_)
        | Command::Runtimes(_)
        | Command::Queues(_)
        | Command::Events(_)
        | Command::Keys(_)
        | Command::Logs(_)
        | Command::Top(_)
        | Command::GenerateEvent(_)
        | Command::Doctor(_) => "warn",
    };
    let filter = EnvFilter::try_from_env("LAMBKIN_LOG").unwrap_or_else(|_| EnvFilter::new(default_level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    // One event loop: everything on the invoke path is short, what is long goes to blocking threads, and a
    // second loop would be woken for each event of the first, which costs more than the event.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the asynchronous runtime cannot be started: {error}")),
    };
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Serve(options) => serve::serve(*options).await.map(|()| ExitCode::SUCCESS),
            Command::Invoke(options) => one_shot::invoke(options).await,
            Command::Events(options) => events_command::run(options).map(|()| ExitCode::SUCCESS),
            Command::Keys(command) => keys_command::run(command).map(|()| ExitCode::SUCCESS),
            Command::Logs(options) => logs_command::run(options).map(|()| ExitCode::SUCCESS),
            Command::Top(options) => top_command::run(options).await.map(|()| ExitCode::SUCCESS),
            Command::Queues(options) => queues_command::run(options).map(|()| ExitCode::SUCCESS),
            Command::GenerateEvent(options) => {
                generate_event_command::run(&options).map(|()| ExitCode::SUCCESS)
            }
            Command::Doctor(options) => doctor::run(options).await.map(|()| ExitCode::SUCCESS),
            Command::Runtimes(command) => runtimes_command::run(command).await.map(|()| ExitCode::SUCCESS),
        }
    });
    // Nothing is waited for any more: what matters was closed above.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &str) -> ExitCode {
    eprintln!("lambkin: {error}");
    ExitCode::from(2)
}
