//! The jail: sandboxes that see neither the host nor each other (`spec`: SPECIFICATION.md, "Jail").
//!
//! lambkin asks the *spawner* (`spawner`, one thread) for a *shell*: new namespaces around an *init*
//! (`init`, PID 1 in there), a read-only root, a group of its own, no code yet. Code and runtime are
//! mounted into a shell when an environment needs one; then init starts the function's process and
//! walls it in (`function`). The rest is lambkin's side: `keeper` asks the spawner, `shell` is one
//! jail, `stock` has some ready and ends those that are done, `launcher` makes sandboxes of them,
//! `outside` is their way to the internet.

mod disk;
mod egress;
mod freezer;
mod function;
mod guard;
mod init;
mod keeper;
mod launcher;
mod meminfo;
mod mounting;
mod nat;
mod netlink;
mod outside;
mod root;
mod rules;
mod run;
mod sample;
mod sandbox;
mod shell;
mod spawner;
mod stock;
mod system;
mod users;
mod wire;

pub use guard::guard_is_possible;
pub use launcher::{JailConfig, JailLauncher};
pub use nat::nat_is_possible;
pub(crate) use spawner::run_spawner;

/// Last argument of the program that is to be the jail's spawner.
pub(crate) const SPAWNER_KIND: &str = "jail";
