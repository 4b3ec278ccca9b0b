//! Tests with real processes. A program of its own rather than libtest's: it starts itself as the
//! spawner, which must have one thread, and as a lambkin to be killed.

mod bed;
#[path = "../common/cases.rs"]
mod cases;
#[path = "../common/command_line.rs"]
mod command_line;
mod directories;
mod kill;
#[path = "../common/sandboxes.rs"]
mod sandboxes;
mod start;
#[path = "../common/waiting.rs"]
mod waiting;

use std::process::ExitCode;

/// As which programs it starts itself.
const VICTIM: &str = "__victim";
const DESCRIPTORS: &str = "__descriptors";
const FLOOD: &str = "__flood";
/// Measures instead of testing.
const COSTS: &str = "costs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(lambkin_sandbox::SPAWNER_ARGUMENT) => lambkin_sandbox::run_spawner(),
        Some(VICTIM) => kill::victim(&arguments[1], &arguments[2]),
        Some(DESCRIPTORS) => start::print_descriptors(),
        Some(FLOOD) => start::flood(),
        Some(COSTS) => start::costs(),
        Some(_) | None => return cases::run(&arguments, &[start::TESTS, kill::TESTS, directories::TESTS]),
    }
    ExitCode::SUCCESS
}
