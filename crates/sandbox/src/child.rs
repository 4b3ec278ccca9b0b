//! From `fork` to `execve`: what a process of a function is made into before its program runs.
//!
//! The spawner has one thread, so the child may allocate and call anything between the two. What
//! fails is told over a pipe that closes by itself when the program starts.

#![expect(unsafe_code, reason = "fork, execve and descriptor numbers have no safe interface")]

use std::ffi::{CStr, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Pid, Resource, Rlimit};

use crate::signals;
use crate::wire::{Plan, Step};

/// The process's end of the channel (`docs/channel.md`).
const CHANNEL: i32 = 3;

/// Open files, as recorded on AWS. Also what `select` and old programs can count to.
const OPEN_FILES: u64 = 1024;

/// Bytes of a core dump. Less than the smallest, so none is written; and other than 0 it also keeps the
/// kernel from starting the host's handler of crashes (`core_pattern` with a `|`), as root, outside.
const CORE: u64 = 1;

/// What a child is given besides its plan.
pub(crate) struct Descriptors {
    pub(crate) channel: OwnedFd,
    pub(crate) output: OwnedFd,
}

/// A forked child on its way to its program.
pub(crate) struct Child {
    pub(crate) pid: Pid,
    /// Ends without a byte when the program runs; `failure` reads what it says otherwise.
    pub(crate) report: OwnedFd,
}

/// Forks. The caller must have one thread only, and `/dev/null` as its standard input. `confine` is
/// the last that the child does before its program.
pub(crate) fn spawn(
    plan: &Plan<'_>,
    descriptors: &Descriptors,
    confine: impl FnOnce() -> Result<(), Errno>,
) -> io::Result<Child> {
    let (report, reporter) = io::pipe()?;
    // Above the numbers that the child gives away.
    let (report, reporter) = (OwnedFd::from(report), fcntl_dupfd_cloexec(&reporter, CHANNEL + 1)?);
    let spawner = rustix::process::getpid();
    // SAFETY: the spawner has one thread, so no lock or allocator state is left half-changed in the
    // child; the child ends in `execve` or `_exit` and never returns into the spawner's loop.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let (step, errno) = become_program(plan, descriptors, spawner, confine);
            let [a, b, c, d] = errno.raw_os_error().to_le_bytes();
            // Five bytes into an empty pipe: whole or not at all. Without a reader nobody cares.
            let _ = rustix::io::write(&reporter, &[step.code(), a, b, c, d]);
            // SAFETY: ends the child at once, without the spawner's exit handlers.
            unsafe { libc::_exit(127) }
        }
        pid => {
            let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork gave no process"))?;
            Ok(Child { pid, report })
        }
    }
}

/// What a child that did not get to its program reported; `None` where its program runs. Waits
/// until one or the other is known.
pub(crate) fn failure(report: BorrowedFd<'_>) -> Option<(Step, i32)> {
    let mut bytes = [0; 5];
    loop {
        match rustix::io::read(report, &mut bytes) {
            Ok(5) => {
                let [step, a, b, c, d] = bytes;
                return Some((Step::from_code(step)?, i32::from_le_bytes([a, b, c, d])));
            }
            Ok(_) => return None,
            Err(Errno::INTR) => {}
            Err(error) => return Some((Step::SetUp, error.raw_os_error())),
        }
    }
}

fn become_program(
    plan: &Plan<'_>,
    descriptors: &Descriptors,
    spawner: Pid,
    confine: impl FnOnce() -> Result<(), Errno>,
) -> (Step, Errno) {
    if let Err(errno) = set_up(descriptors, spawner) {
        return (Step::SetUp, errno);
    }
    if let Err(errno) = rustix::process::chdir(plan.directory) {
        return (Step::Directory, errno);
    }
    let arguments = pointers(&plan.command);
    let variables = pointers(&plan.variables);
    if let Err(errno) = confine() {
        return (Step::SetUp, errno);
    }
    // SAFETY: all are NUL-terminated strings, the arrays end in a null pointer (so that the first
    // of them is there), and `plan` outlives the call.
    unsafe { libc::execve(arguments[0], arguments.as_ptr(), variables.as_ptr()) };
    (Step::Program, last_errno())
}

fn pointers(strings: &[&CStr]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

fn set_up(descriptors: &Descriptors, spawner: Pid) -> Result<(), Errno> {
    // A session of its own is a process group of its own too, without a terminal.
    rustix::process::setsid()?;
    die_with_spawner(spawner)?;
    place(descriptors)?;
    signals::restore_defaults();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // Niceness and the other limits are the operator's: they stay what lambkin was started with.
    limit(Resource::Nofile, OPEN_FILES)?;
    limit(Resource::Core, CORE)
}

#[cfg(target_os = "linux")]
fn die_with_spawner(spawner: Pid) -> Result<(), Errno> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    // Sound only because the spawner has one thread: the kernel means the parent *thread*.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above.
    if getppid() == Some(spawner) { Ok(()) } else { Err(Errno::SRCH) }
}

#[cfg(not(target_os = "linux"))]
fn die_with_spawner(_: Pid) -> Result<(), Errno> {
    Ok(())
}

/// 0 stays `/dev/null`; 1 and 2 become the output, 3 the channel; all else closes at `execve`.
fn place(descriptors: &Descriptors) -> Result<(), Errno> {
    // Out of the way first: either may sit on number 3.
    let output = fcntl_dupfd_cloexec(&descriptors.output, CHANNEL + 1)?;
    let channel = fcntl_dupfd_cloexec(&descriptors.channel, CHANNEL + 1)?;
    rustix::stdio::dup2_stdout(&output)?;
    rustix::stdio::dup2_stderr(&output)?;
    // SAFETY: number 3 is nobody's in this child that uses it again: what the spawner kept there is
    // neither used nor dropped before `execve` or `_exit`.
    if unsafe { libc::dup2(channel.as_raw_fd(), CHANNEL) } == -1 {
        return Err(last_errno());
    }
    close_on_exec_above(CHANNEL);
    Ok(())
}

/// Everything here is opened close-on-exec; this is for what lambkin's own parent left open.
fn close_on_exec_above(last_kept: i32) {
    #[cfg(target_os = "linux")]
    {
        let first = last_kept.unsigned_abs() + 1;
        // SAFETY: sets a flag on descriptors, closes none.
        if unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } == 0 {
            return;
        }
    }
    // Linux before 5.11, and other systems: one by one.
    for number in last_kept + 1..i32::try_from(OPEN_FILES).unwrap_or(i32::MAX) {
        // SAFETY: sets a flag on a descriptor, or fails with EBADF.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

pub(crate) fn limit(resource: Resource, wanted: u64) -> Result<(), Errno> {
    // Where the operator gave lambkin less, less it is.
    let most = rustix::process::getrlimit(resource).maximum.map_or(wanted, |maximum| maximum.min(wanted));
    rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Keeps all that the spawner inherited from its children, and gives it this one at a number above
/// those that `place` writes to in every child, 0 to 2.
pub(crate) fn keep_from_children(fd: impl AsFd) -> io::Result<OwnedFd> {
    close_on_exec_above(2);
    Ok(fcntl_dupfd_cloexec(fd, CHANNEL)?)
}
