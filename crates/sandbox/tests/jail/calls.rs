//! System calls as a hostile function makes them: by number, with whatever arguments.

#![expect(unsafe_code, reason = "raw system calls are what is tried")]

use std::ffi::CStr;

use libc::c_long;

/// Nothing went wrong, or the kernel's error.
pub(crate) type Outcome = Result<(), i32>;

/// A system call whose pointers are to what lives through it, or null, or to nowhere on purpose.
pub(crate) fn call(number: c_long, arguments: [usize; 5]) -> Result<usize, i32> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the callers' part, see above: what the kernel writes is in buffers that are theirs, and
    // descriptors that are closed are not used again.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, 0) };
    usize::try_from(answer).map_err(|_| errno())
}

pub(crate) fn done(number: c_long, arguments: [usize; 5]) -> Outcome {
    call(number, arguments).map(drop)
}

pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

pub(crate) fn text(text: &'static CStr) -> usize {
    text.as_ptr() as usize
}

/// -1, as a descriptor or flags.
pub(crate) const NO: usize = usize::MAX;

/// A number above all errors that says "died of this signal".
pub(crate) const SIGNAL: i32 = 1000;

/// In a child, whose end says the outcome. This process must have one thread.
pub(crate) fn forked(act: impl FnOnce() -> Outcome) -> Outcome {
    // SAFETY: this process has one thread; the child ends in `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err(errno()),
        0 => {
            let code = act().err().unwrap_or(0);
            // SAFETY: no preconditions.
            unsafe { libc::_exit(code) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: the status is a number of this function's.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
            match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
                (true, 0) => Ok(()),
                (true, errno) => Err(errno),
                (false, _) => Err(SIGNAL + libc::WTERMSIG(status)),
            }
        }
    }
}

/// A child that does nothing until this process ends; `None` in it where `act` is to be done.
pub(crate) fn fork_for(act: impl FnOnce()) -> Result<i32, i32> {
    let parent = std::process::id();
    // SAFETY: this process has one thread, or the child calls nothing that another could hold.
    match unsafe { libc::fork() } {
        -1 => Err(errno()),
        0 => {
            // SAFETY: no preconditions.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            // It may have ended before the line above.
            if std::os::unix::process::parent_id() == parent {
                act();
            }
            // SAFETY: no preconditions.
            unsafe { libc::_exit(0) }
        }
        pid => Ok(pid),
    }
}

/// A 32-bit program's `getpid`.
#[cfg(target_arch = "x86_64")]
pub(crate) fn call_32() -> Outcome {
    let answer: i32;
    // SAFETY: number 20 is `getpid` there, which touches no memory; rbx and the like are kept.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") 20 => answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if answer > 0 { Ok(()) } else { Err(-answer) }
}

/// Closes every descriptor of this process, standard ones too.
pub(crate) fn close_everything() {
    // SAFETY: nothing of this process uses a descriptor afterwards.
    unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
}

/// The channel, which the act uses from now on.
pub(crate) fn channel() -> std::os::unix::net::UnixStream {
    use std::os::fd::FromRawFd as _;
    // SAFETY: number 3 is the channel from this program's start on, and each act asks once.
    let stream = unsafe { std::os::unix::net::UnixStream::from_raw_fd(3) };
    stream.set_nonblocking(false).expect("a socket");
    stream
}

/// An error's name; `done` is none.
pub(crate) fn name(outcome: Outcome) -> String {
    let Err(errno) = outcome else { return "done".into() };
    let name = match errno {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::ESRCH => "ESRCH",
        libc::EBADF => "EBADF",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EACCES => "EACCES",
        libc::EFAULT => "EFAULT",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::ENODEV => "ENODEV",
        libc::ENOTDIR => "ENOTDIR",
        libc::EISDIR => "EISDIR",
        libc::EINVAL => "EINVAL",
        libc::EMFILE => "EMFILE",
        libc::ENOTTY => "ENOTTY",
        libc::ENOSPC => "ENOSPC",
        libc::ETXTBSY => "ETXTBSY",
        libc::EROFS => "EROFS",
        libc::ENOSYS => "ENOSYS",
        libc::ENOEXEC => "ENOEXEC",
        libc::ELOOP => "ELOOP",
        libc::EIO => "EIO",
        libc::EPROTONOSUPPORT => "EPROTONOSUPPORT",
        libc::ESOCKTNOSUPPORT => "ESOCKTNOSUPPORT",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::EADDRNOTAVAIL => "EADDRNOTAVAIL",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::EHOSTUNREACH => "EHOSTUNREACH",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::ENOKEY => "ENOKEY",
        libc::EUSERS => "EUSERS",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        errno if errno > SIGNAL => return format!("signal {}", errno - SIGNAL),
        errno => return format!("error {errno}"),
    };
    name.into()
}

/// Becomes root of new namespaces of every kind; the next child is the first process in them.
pub(crate) fn enter_own_namespaces() -> Outcome {
    use rustix::thread::UnshareFlags as Flags;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let flags = Flags::NEWUSER
        | Flags::NEWNS
        | Flags::NEWPID
        | Flags::NEWIPC
        | Flags::NEWUTS
        | Flags::NEWNET
        | Flags::NEWCGROUP;
    // SAFETY: this process has one thread, and descriptors stay shared with nobody.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(|errno| errno.raw_os_error())?;
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ] {
        let written = std::fs::write(format!("/proc/self/{file}"), text);
        written.map_err(|error| error.raw_os_error().unwrap_or(0))?;
    }
    Ok(())
}

/// A grandchild with a session of its own, whose parent is gone.
pub(crate) fn daemon(act: impl FnOnce()) {
    // SAFETY: this process has one thread, and neither child returns.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::setsid();
            if libc::fork() == 0 {
                act();
            }
            libc::_exit(0);
        }
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
}

/// Milliseconds of CPU that this process has used.
pub(crate) fn cpu_time() -> u64 {
    // SAFETY: an all-zero time is a valid one, and the kernel writes one.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time);
        time
    };
    time.tv_sec.unsigned_abs() * 1000 + time.tv_nsec.unsigned_abs() / 1_000_000
}
