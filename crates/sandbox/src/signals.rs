//! Signals of the spawner: `SIGCHLD` wakes its `poll`, the rest must not end it; and the way back
//! to the defaults for the processes it starts.
//!
//! Deliberately not here: reaping. A wake-up says only "look", and says it once however many died.

#![expect(unsafe_code, reason = "signal dispositions have no safe interface")]

use std::io;
use std::os::fd::{IntoRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Writing end of the wake-up pipe.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// Makes `SIGCHLD` write into a pipe and gives its reading end. The signals that a terminal or a
/// service manager sends to a whole group are ignored: the spawner ends with lambkin's socket, not
/// before, or a function could not finish after Ctrl-C.
pub(crate) fn install() -> io::Result<OwnedFd> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    // Never closed: the handler may use it until the process ends.
    WAKE.store(writer.into_raw_fd(), Ordering::Relaxed);
    // SAFETY: a zeroed `sigaction` is a valid one (empty mask, no flags); `wake` has the signature
    // of a handler without SA_SIGINFO and calls only `write`, which is async-signal-safe.
    let installed = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = wake as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
        libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut())
    };
    if installed != 0 {
        return Err(io::Error::last_os_error());
    }
    ignore(&TERMINAL);
    Ok(reader.into())
}

/// For a parent that never waits: the kernel reaps its children.
#[cfg(target_os = "linux")]
pub(crate) fn ignore_children() {
    ignore(&TERMINAL);
    ignore(&[libc::SIGCHLD]);
}

/// For a process that ends with its socket, not before.
#[cfg(target_os = "linux")]
pub(crate) fn ignore_terminal() {
    ignore(&TERMINAL);
}

/// What a terminal or a service manager sends to a whole group.
const TERMINAL: [libc::c_int; 5] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE];

fn ignore(signals: &[libc::c_int]) {
    for signal in signals {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { libc::signal(*signal, libc::SIG_IGN) };
    }
}

extern "C" fn wake(_: libc::c_int) {
    // SAFETY: one byte from a live stack slot; a full pipe (EAGAIN) already wakes. `errno` is put
    // back because the interrupted code may be about to read it.
    unsafe {
        let errno = errno_location();
        let before = *errno;
        libc::write(WAKE.load(Ordering::Relaxed), (&raw const WAKE).cast(), 1);
        *errno = before;
    }
}

/// Address of this thread's `errno`.
///
/// # Safety
/// Valid only for the calling thread.
unsafe fn errno_location() -> *mut libc::c_int {
    #[cfg(target_os = "linux")]
    // SAFETY: no preconditions.
    unsafe {
        libc::__errno_location()
    }
    #[cfg(not(target_os = "linux"))]
    // SAFETY: no preconditions.
    unsafe {
        libc::__error()
    }
}

/// By system call: libc keeps signals 32 and 33 to itself, and who started lambkin may ignore them.
#[cfg(target_os = "linux")]
fn set_default(signal: libc::c_int) {
    /// The kernel's `sigaction` is four words at the most, and its set of 64 signals one.
    const DEFAULT: [u64; 4] = [0; 4];
    const SET_BYTES: usize = 8;
    // SAFETY: all zeros mean the default action, no flags and an empty mask; nothing is written.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            DEFAULT.as_ptr(),
            std::ptr::null_mut::<u64>(),
            SET_BYTES,
        );
    }
}

#[cfg(not(target_os = "linux"))]
fn set_default(signal: libc::c_int) {
    // SAFETY: the default action runs no code of ours.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Default dispositions and an empty mask, as a login would give them. `execve` resets handlers
/// only: what is ignored (`SIGPIPE` in every Rust program) would stay ignored in Node.js's children.
pub(crate) fn restore_defaults() {
    // 64 is the highest on Linux; those that do not exist or may not be changed give EINVAL.
    for signal in 1..=64 {
        set_default(signal);
    }
    // SAFETY: the set is initialised by `sigemptyset` before it is read.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}
