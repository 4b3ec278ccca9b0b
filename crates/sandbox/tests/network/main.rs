//! What a jail reaches by network: its own loopback and lambkin's two listeners on it (`reach`), and
//! with `nat`, `user` and `host` the internet (in a small world of network namespaces: `world`).
//! A program of its own rather than libtest's: it starts itself as the spawner, and in a jail as the
//! function that tries (`probe`).

#![cfg(target_os = "linux")]

mod attacks;
mod bed;
#[path = "../common/cases.rs"]
mod cases;
#[path = "../common/command_line.rs"]
mod command_line;
mod family;
mod frozen;
mod host;
mod lacks;
mod nat;
mod probe;
mod reach;
mod traces;
mod user;
#[path = "../common/waiting.rs"]
mod waiting;
mod ways;
mod world;

use std::process::ExitCode;

/// As which program it starts itself in a jail.
const PROBE: &str = "__probe";
/// Measures instead of testing.
const COSTS: &str = "costs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(lambkin_sandbox::SPAWNER_ARGUMENT) => lambkin_sandbox::run_spawner(),
        Some(PROBE) => probe::run(&arguments[1..]),
        Some(COSTS) => {
            reach::costs();
            nat::costs();
            user::costs();
            host::costs();
        }
        Some(nat::INSIDE) => nat::inside(&arguments[1]),
        Some(user::INSIDE) => user::inside(&arguments[1], &arguments[2]),
        Some(user::WITHIN) => user::within_world(&arguments[1]),
        Some(host::INSIDE) => host::inside(&arguments[1], &arguments[2]),
        Some(host::WITHIN) => host::within_world(&arguments[1]),
        Some(host::WITHOUT) => return host::without(&arguments[1]),
        Some(user::HOLDER) => return user::hold(&arguments[1]),
        Some(nat::HOLDER) => return nat::hold(&arguments[1]),
        Some(_) | None => {
            return cases::run(&arguments, &[reach::TESTS, nat::TESTS, user::TESTS, host::TESTS]);
        }
    }
    ExitCode::SUCCESS
}
