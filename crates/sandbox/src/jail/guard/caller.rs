//! Who waits in a call: its memory and its descriptors, as they are while it waits.

#![expect(unsafe_code, reason = "another process's memory has no safe interface")]

use std::fs;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// `PIDFD_THREAD` of Linux 6.9: a thread's own descriptors, should they not be its process's.
const THREAD: PidfdFlags = PidfdFlags::from_bits_retain(libc::O_EXCL.cast_unsigned());

pub(super) struct Caller {
    thread: i32,
    process: OwnedFd,
}

impl Caller {
    /// Whether it was the right one is known when the call is still waited in afterwards.
    pub(super) fn open(thread: i32) -> Result<Self, Errno> {
        let process = match pidfd_open(Pid::from_raw(thread).ok_or(Errno::SRCH)?, THREAD) {
            Err(Errno::INVAL) => pidfd_open(process_of(thread)?, PidfdFlags::empty())?,
            opened => opened?,
        };
        Ok(Self { thread, process })
    }

    /// The same open file as its descriptor of that number.
    pub(super) fn descriptor(&self, number: i32) -> Result<OwnedFd, Errno> {
        match pidfd_getfd(&self.process, number, PidfdGetfdFlags::empty()) {
            // Ours, which are no business of a function's.
            Err(Errno::MFILE) => Err(Errno::NFILE),
            got => got,
        }
    }

    /// Whether that descriptor ends with its program.
    pub(super) fn closes_on_exec(&self, number: i32) -> bool {
        let text = fs::read_to_string(format!("/proc/{}/fdinfo/{number}", self.thread)).unwrap_or_default();
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        flags
            .and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok())
            .is_none_or(|flags| flags & libc::O_CLOEXEC != 0)
    }

    /// Copies all of it or nothing.
    pub(super) fn read(&self, from: u64, into: &mut [u8]) -> Result<(), Errno> {
        read(self.thread, from, into)
    }
}

fn read(thread: i32, from: u64, into: &mut [u8]) -> Result<(), Errno> {
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let from = usize::try_from(from).map_err(|_| Errno::FAULT)?;
    let remote = libc::iovec { iov_base: from as *mut libc::c_void, iov_len: into.len() };
    // SAFETY: the kernel writes to `into` only, no more than its length; the other is an address of that process.
    let copied = unsafe { libc::process_vm_readv(thread, &raw const local, 1, &raw const remote, 1, 0) };
    match usize::try_from(copied) {
        Ok(length) if length == into.len() => Ok(()),
        Ok(_) => Err(Errno::FAULT),
        Err(_) => Err(super::last_errno()),
    }
}

fn process_of(thread: i32) -> Result<Pid, Errno> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).map_err(|_| Errno::SRCH)?;
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
    process.and_then(Pid::from_raw).ok_or(Errno::SRCH)
}

/// Whether this kernel lets memory and descriptors be looked at, in this process's own.
pub(super) fn works() -> bool {
    let own = std::process::id().cast_signed();
    let (written, mut copy) = (*b"x", [0]);
    let looked = Caller::open(own).and_then(|caller| {
        caller.read(written.as_ptr() as u64, &mut copy)?;
        caller.descriptor(0).map(drop)
    });
    looked.is_ok() && copy == written
}
