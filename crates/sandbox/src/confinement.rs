//! The walls around a process of lambkin's own that reads what strangers sent: it makes plain files below one
//! directory, and whatever becomes of it, it can do nothing else.
//!
//! No jail: there is no root of its own, as nothing is executed, and what is not below the directory cannot be
//! opened. Deliberately not here: what the process is for.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use crate::seccomp::Filter;
use crate::{capabilities, landlock};

/// What a confined process may use. Beyond the first two it is killed, beyond others its calls fail.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Seconds of processor time.
    pub cpu_seconds: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of memory, with its program's.
    pub memory_bytes: u64,
}

/// Confines the calling process, which must have one thread, to the directory, for good; it ends with the thread
/// that has started it. Other descriptors that are open stay so. Where the kernel's Landlock knows less, other files
/// can be read and written as far as this user may, without any privilege.
///
/// # Errors
///
/// Where the kernel refuses a part of it; the process is to end.
pub fn confine(directory: BorrowedFd<'_>, bounds: Bounds) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let limits = [
        (Resource::Core, 0),
        (Resource::Cpu, bounds.cpu_seconds),
        (Resource::Fsize, bounds.file_bytes),
        (Resource::As, bounds.memory_bytes),
    ];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    capabilities::set_dumpable(false)?;
    match capabilities::drop_bounding() {
        // An ordinary user may not. Nothing comes of that set without executing a program.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
        done => done?,
    }
    capabilities::drop_held()?;
    landlock::restrict_to(directory)?;
    Filter::for_confined().install()
}

#[cfg(test)]
mod tests;
