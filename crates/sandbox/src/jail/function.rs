//! What a function's process is made into before its program runs: its user, its limits, and the
//! walls around it (capabilities, Landlock, seccomp).

use rustix::io::Errno;
use rustix::process::{Gid, Resource, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::wire::{At as _, Failure, Ids};
use crate::capabilities;
use crate::child::limit;
use crate::landlock;
use crate::seccomp::Filter;

/// The user and group of functions, as recorded on AWS (`sbx_user1051`).
pub(super) const USER: u32 = 993;
pub(super) const GROUP: u32 = 990;

/// Processes and threads, as recorded on AWS.
const PROCESSES: u64 = 742;

/// `RLIMIT_MEMLOCK`, as recorded on AWS.
const LOCKED_MEMORY: u64 = 64 * 1024;

/// Signals that wait, and timers that will send one. The kernel counts those of all jails as lambkin's
/// user's too, and refuses that user (the host's root) more than it allows itself: some ten thousands.
const PENDING_SIGNALS: u64 = 256;

/// Bytes in message queues, counted like that against 800 KiB. Nobody needs one: they are not mounted.
const MESSAGE_QUEUES: u64 = 0;

/// When memory runs out the kernel is to take the function, not init.
const OUT_OF_MEMORY_SCORE: &str = "500";

/// Init's user, once the users are mapped: the new namespace's root, where it has one.
pub(super) fn become_root_inside(ids: Ids) -> Result<(), Failure> {
    match ids {
        Ids::Pair { .. } => {
            set_thread_groups(&[]).at("leaving the host's groups")?;
            set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at("becoming the jail's root")?;
            set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at("becoming the jail's root")
        }
        // It is who it is, and may not change its groups; those it has count for nothing, as only
        // this one user is mapped.
        Ids::Single => Ok(()),
    }
}

/// The last step before the program.
pub(super) fn confine(ids: Ids, tcp: landlock::Tcp) -> Result<(), Errno> {
    // Fails where the system keeps it higher already.
    let _ = std::fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_SCORE);
    limit(Resource::Nproc, PROCESSES)?;
    limit(Resource::Memlock, LOCKED_MEMORY)?;
    limit(Resource::Sigpending, PENDING_SIGNALS)?;
    limit(Resource::Msgqueue, MESSAGE_QUEUES)?;
    let raw = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    capabilities::drop_bounding().map_err(raw)?;
    match ids {
        Ids::Pair { .. } => {
            let (user, group) = (Uid::from_raw(USER), Gid::from_raw(GROUP));
            set_thread_res_gid(group, group, group)?;
            set_thread_res_uid(user, user, user)?;
        }
        Ids::Single => {}
    }
    capabilities::drop_all().map_err(raw)?;
    // Said at the start what this kernel's can do.
    landlock::restrict(tcp).map_err(raw)?;
    Filter::for_functions().install().map_err(raw)
}
