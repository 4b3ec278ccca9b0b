//! What a jail reaches by network: its own loopback and lambkin's two listeners on it (`reach`), and
//! with `nat` and `user` the internet (in a small world of network namespaces: `world`).
//! A program of its own rather than libtest's: it starts itself as the spawner, and in a jail as the
//! function that tries (`probe`).

#![cfg(target_os = "linux")]

mod bed;
mod nat;
mod probe;
mod reach;
mod user;
mod world;

use std::panic::catch_unwind;
use std::process::ExitCode;

/// As which program it starts itself in a jail.
const PROBE: &str = "__probe";
/// Measures instead of testing.
const COSTS: &str = "costs";

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(lambkin_sandbox::SPAWNER_ARGUMENT) => lambkin_sandbox::run_spawner(),
        Some(PROBE) => probe::run(&arguments[1..]),
        Some(COSTS) => {
            reach::costs();
            nat::costs();
            user::costs();
        }
        Some(nat::INSIDE) => nat::inside(&arguments[1]),
        Some(user::INSIDE) => user::inside(&arguments[1], &arguments[2]),
        Some(user::WITHIN) => user::within_world(&arguments[1]),
        Some(user::HOLDER) => return user::hold(&arguments[1]),
        Some(nat::HOLDER) => return nat::hold(&arguments[1]),
        Some(_) | None => return test(&arguments),
    }
    ExitCode::SUCCESS
}

fn tests() -> impl Iterator<Item = &'static Test> {
    reach::TESTS.iter().chain(nat::TESTS).chain(user::TESTS)
}

/// The part of libtest's command line that cargo and nextest use.
fn test(arguments: &[String]) -> ExitCode {
    let said = |word| arguments.iter().any(|argument| argument == word);
    if said("--list") {
        if !said("--ignored") {
            tests().for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let is_wanted = |name: &str| {
        let fits =
            |word: &&String| if said("--exact") { **word == name } else { name.contains(word.as_str()) };
        wanted.is_empty() || wanted.iter().any(fits)
    };
    let mut code = ExitCode::SUCCESS;
    for (name, test) in tests().filter(|(name, _)| is_wanted(name)) {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        if !passed {
            code = ExitCode::from(101);
        }
    }
    code
}
