//! The plain-process launcher behind the model's `Launcher` port: each environment's process has
//! its own session, directories and a clean environment, and dies with all that it started.
//!
//! lambkin itself never forks. It starts itself once more as the *spawner*, one thread without a
//! runtime, and talks to it over a socket; only the spawner forks, reaps and kills. The rest of
//! this crate is the supervisor's side. `unsafe` stays in `child` and `signals`.
//!
//! Deliberately not here: isolation. Functions run as lambkin's own user and see the host; the
//! jail comes as another `Launcher` beside this one.

#[cfg(target_os = "linux")]
#[cfg_attr(not(test), expect(dead_code, reason = "the jail that calls it comes next"))]
mod base;
#[cfg(target_os = "linux")]
#[cfg_attr(not(test), expect(dead_code, reason = "the jail that calls it comes next"))]
mod capabilities;
#[cfg(target_os = "linux")]
#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "the jail that calls it comes next"))]
mod cgroup;
mod child;
mod directory;
#[cfg(all(test, target_os = "linux"))]
mod forked;
#[cfg(target_os = "linux")]
#[cfg_attr(not(test), expect(dead_code, reason = "the jail that calls it comes next"))]
mod landlock;
mod launcher;
mod peak_memory;
mod proc;
mod sandbox;
#[cfg(target_os = "linux")]
#[cfg_attr(not(test), expect(dead_code, reason = "the jail that calls it comes next"))]
mod seccomp;
mod signals;
mod spawner;
mod spawner_process;
mod supervisor;
mod tree;
mod wire;

pub use launcher::{Config, ProcessLauncher};
pub use spawner::run_spawner;

/// First argument of a program that is to be the spawner; it then calls [`run_spawner`] before
/// anything else.
pub const SPAWNER_ARGUMENT: &str = "__spawner";
