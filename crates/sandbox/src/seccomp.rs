//! The system calls that a function's processes may make: a seccomp filter, built once and
//! installed between `fork` and `execve`.
//!
//! A *deny list over a known range*: what the table (`policy`) names is refused, other numbers that
//! we know are allowed, numbers that we do not know (newer kernels, x32) do not exist. An allow list
//! would be tighter, but native addons, child processes and other languages' runtimes behind an exec
//! wrapper call nearly everything, and AWS's microVM lets them. The filter is a wall behind the
//! namespaces and the empty capability sets, not the only one.
//!
//! Deliberately not here: what the calls may reach (mounts, Landlock, the network namespace) and
//! limits. seccomp does not see behind pointers.

#![expect(unsafe_code, reason = "installing a filter has no safe interface")]

mod assembler;
mod policy;
#[cfg(test)]
mod tests;

use std::io;
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
            LazyLock::new(|| Filter(assembler::assemble(&policy::segments(&policy::rules()))));
        &FILTER
    }

    /// Installs it for the calling thread and all that it will start; it cannot be taken away again.
    /// `no_new_privs` must be set (`capabilities`), else the kernel asks for `CAP_SYS_ADMIN`.
    ///
    /// One system call, nothing is allocated.
    pub(crate) fn install(&self) -> io::Result<()> {
        let length = u16::try_from(self.0.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len: length, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: the kernel copies the program, which outlives the call, and writes nothing.
        let done = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, std::ptr::from_ref(&program))
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
