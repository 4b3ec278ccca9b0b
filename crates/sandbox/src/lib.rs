//! Sandboxes behind the model's `Launcher` port, of two kinds. In a *jail* a function sees neither the
//! host nor another function (`jail`, on Linux); as a *plain process* it has its own session,
//! directories and a clean environment, and no isolation.
//!
//! lambkin itself never forks. It starts itself once more as the *spawner*, one thread without a
//! runtime, and talks to it over a socket; only the spawner, and in a jail its init, forks and reaps.
//!
//! `unsafe` stays in `child`, `signals`, `seccomp`, `jail::system` and `jail::guard`.

#[cfg(target_os = "linux")]
mod base;
#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod cgroup;
mod child;
#[cfg(target_os = "linux")]
mod confinement;
mod directory;
mod finding;
#[cfg(all(test, target_os = "linux"))]
mod forked;
mod isolation;
#[cfg(target_os = "linux")]
mod jail;
#[cfg(target_os = "linux")]
mod landlock;
mod launcher;
mod network;
mod packets;
mod peak_memory;
mod pipes;
mod proc;
mod sandbox;
#[cfg(target_os = "linux")]
mod seccomp;
mod signals;
mod spawner;
mod spawner_process;
mod supervisor;
mod tree;
mod wire;

#[cfg(target_os = "linux")]
pub use confinement::{Bounds, confine};
pub use finding::Finding;
pub use isolation::{Isolated, Isolation};
#[cfg(target_os = "linux")]
pub use jail::{JailConfig, JailLauncher, guard_is_possible, nat_is_possible};
pub use launcher::{Config, ProcessLauncher};
pub use network::{Network, Subnet};
pub use spawner::run_spawner;

/// First argument of a program that is to be the spawner; it then calls [`run_spawner`] before
/// anything else.
pub const SPAWNER_ARGUMENT: &str = "__spawner";
