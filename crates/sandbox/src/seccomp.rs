//! The system calls that a function's processes may make: a seccomp filter, built once and
//! installed between `fork` and `execve`.
//!
//! A *deny list over a known range*: what the table (`policy`) names is refused, other numbers that
//! we know are allowed, numbers that we do not know (newer kernels, x32) do not exist. An allow list
//! would be tighter, but native addons, child processes and other languages' runtimes behind an exec
//! wrapper call nearly everything, and AWS's microVM lets them. The filter is a wall behind the
//! namespaces and the empty capability sets, not the only one. What unpacks packages needs few calls, and has
//! an allow list (`confined`).
//!
//! Deliberately not here: what the calls may reach (mounts, Landlock, the network namespace) and
//! limits. seccomp does not see behind pointers.

#![expect(unsafe_code, reason = "installing a filter has no safe interface")]

mod assembler;
mod confined;
mod guarded;
mod policy;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::LazyLock;

use libc::sock_filter;

/// A filter ready to be installed.
#[derive(Debug)]
pub(crate) struct Filter(Box<[sock_filter]>);

impl Filter {
    /// The one for functions. The first call builds it; it is to be made before the first `fork`, so
    /// that no child builds its own.
    pub(crate) fn for_functions() -> &'static Self {
        static FILTER: LazyLock<Filter> =
            LazyLock::new(|| Filter(assembler::assemble(&policy::segments(&policy::rules(), policy::ALLOW))));
        &FILTER
    }

    /// The one for everything in a jail whose way out is lambkin's own sockets (`guarded`). It comes before
    /// that for functions, which is then above it: the kernel takes the stricter of two answers, and
    /// an error is stricter than to ask.
    pub(crate) fn for_guarded() -> &'static Self {
        static FILTER: LazyLock<Filter> = LazyLock::new(|| {
            Filter(assembler::assemble(&policy::segments(&guarded::rules(), policy::ALLOW)))
        });
        &FILTER
    }

    /// The one for a process that reads what strangers sent and writes files (`confined`).
    pub(crate) fn for_confined() -> Self {
        Self(assembler::assemble(&policy::segments(&confined::rules(), policy::REFUSE)))
    }

    /// Installs it for the calling thread and all that it will start; it cannot be taken away again.
    /// `no_new_privs` must be set (`capabilities`), else the kernel asks for `CAP_SYS_ADMIN`.
    ///
    /// One system call, nothing is allocated.
    pub(crate) fn install(&self) -> io::Result<()> {
        self.load(0).map(drop)
    }

    /// The same, and gives where the calls are told that it does not answer itself. Who waits for an answer that
    /// is being made is interrupted by its end alone, so that no call is told twice.
    pub(crate) fn install_and_listen(&self) -> io::Result<OwnedFd> {
        let listener =
            self.load(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)?;
        let listener = RawFd::try_from(listener).map_err(io::Error::other)?;
        // SAFETY: with this flag the kernel gives a new descriptor, which nobody else owns.
        Ok(unsafe { OwnedFd::from_raw_fd(listener) })
    }

    fn load(&self, flags: libc::c_ulong) -> io::Result<libc::c_long> {
        let length = u16::try_from(self.0.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len: length, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: the kernel copies the program, which outlives the call, and writes nothing.
        let done = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                flags,
                std::ptr::from_ref(&program),
            )
        };
        if done >= 0 { Ok(done) } else { Err(io::Error::last_os_error()) }
    }
}
