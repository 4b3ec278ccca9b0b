//! For tests: something tried in a process of its own, since what a jail takes away does not come back.

#![expect(unsafe_code, reason = "fork and what is done between it and execve have no safe interface")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use rustix::thread::UnshareFlags;

/// The exit code of a copy of this process that ends with what `inside` returns, 0 to 253; 254 where
/// it panicked.
pub(crate) fn code(inside: impl FnOnce() -> i32) -> i32 {
    let status = status(inside);
    assert!(libc::WIFEXITED(status), "ended with {status:x}");
    libc::WEXITSTATUS(status)
}

/// The same, as `waitpid` says it.
pub(crate) fn status(inside: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the copy has one thread; glibc keeps its allocator usable there, and `inside` takes no
    // lock that another test's thread may have held. It ends in `_exit`.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = catch_unwind(AssertUnwindSafe(inside)).unwrap_or(254);
        // SAFETY: ends the copy without its parent's exit handlers.
        unsafe { libc::_exit(code) }
    }
    let mut status = 0;
    // SAFETY: writes the status of a child of ours.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

/// Does something between `fork` and `execve`.
pub(crate) fn before_program(
    command: &mut Command,
    prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: as in `status`.
    unsafe { command.pre_exec(prepare) };
}

/// Puts the calling process, which must have one thread, into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: descriptors are not unshared, only namespaces.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}
