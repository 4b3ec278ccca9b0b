//! One sandbox: today a plain process with a directory of its own, behind the port that the jail
//! will stand behind too.
//!
//! lambkin itself never forks. It re-executes itself as the *spawner*, a single-threaded process that
//! starts and reaps functions' processes, and that kills every one of them when its socket to
//! lambkin closes, however lambkin ended. Deliberately not here: what a function is, when it runs.

mod child;
mod connection;
mod launcher;
mod process;
mod spawner;
mod tree;
mod wire;

pub use launcher::{Config, ProcessLauncher};
pub use spawner::run_spawner;

/// First argument of a program that is to be the spawner; it then calls [`run_spawner`] before
/// anything else.
pub const SPAWNER_ARGUMENT: &str = "__spawner";
