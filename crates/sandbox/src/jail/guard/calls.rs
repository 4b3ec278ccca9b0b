//! The calls that a jail's processes wait in (`seccomp_unotify(2)`): told, answered, and sockets handed in.

#![expect(unsafe_code, reason = "raw system calls")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;

/// Bytes for what the kernel tells of a call: it is more with newer kernels, and all of it is written.
const TOLD_BYTES: usize = 512;

/// Wakes the other side where it sleeps instead of on another core (Linux 6.6).
const SYNC_WAKE_UP: u64 = 1;

/// One that is waited in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) id: u64,
    /// Which thread waits, by lambkin's own count.
    pub(super) thread: i32,
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

impl Call {
    /// As the kernel reads the first argument.
    pub(super) fn descriptor(&self) -> i32 {
        (self.arguments[0] as u32).cast_signed()
    }
}

/// Where they are told.
pub(super) struct Calls(OwnedFd);

impl AsFd for Calls {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Calls {
    pub(super) fn new(listener: OwnedFd) -> Self {
        // SAFETY: the argument is a number.
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        Self(listener)
    }

    /// The next, where one is told; `None` where its process has ended meanwhile.
    pub(super) fn next(&self) -> io::Result<Option<Call>> {
        let mut told = [0_u64; TOLD_BYTES / 8];
        // SAFETY: the kernel wants zeros and writes a `seccomp_notif`, whose length was compared (`works`).
        if unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, told.as_mut_ptr()) } != 0
        {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::EINTR) => Ok(None),
                _ => Err(error),
            };
        }
        // SAFETY: as long as a `seccomp_notif` and aligned as one, and made of numbers.
        let libc::seccomp_notif { id, pid, flags: _, data } =
            unsafe { told.as_ptr().cast::<libc::seccomp_notif>().read() };
        Ok(Some(Call { id, thread: pid.cast_signed(), number: data.nr.into(), arguments: data.args }))
    }

    /// Whether who calls still waits: then the thread and all that was read of it until now were its own.
    pub(super) fn is_waited_in(&self, id: u64) -> bool {
        // SAFETY: the kernel reads the number.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
    }

    /// The call returns this. Who called may be no more.
    pub(super) fn answer(&self, id: u64, result: Result<(), Errno>) {
        let error = result.map_or_else(|errno| -errno.raw_os_error(), |()| 0);
        self.send(libc::seccomp_notif_resp { id, val: 0, error, flags: 0 });
    }

    /// The kernel makes it, with what the arguments then are.
    pub(super) fn leave_to_kernel(&self, id: u64) {
        let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        self.send(libc::seccomp_notif_resp { id, val: 0, error: 0, flags });
    }

    fn send(&self, response: libc::seccomp_notif_resp) {
        // SAFETY: the kernel reads the structure. Fails where who called is no more.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const response) };
    }

    /// Puts a socket into the place of the caller's descriptor, and waits until it is there.
    pub(super) fn replace(
        &self,
        call: &Call,
        socket: BorrowedFd<'_>,
        closes_on_exec: bool,
    ) -> Result<(), Errno> {
        let added = libc::seccomp_notif_addfd {
            id: call.id,
            flags: libc::SECCOMP_ADDFD_FLAG_SETFD as u32,
            srcfd: socket.as_raw_fd().cast_unsigned(),
            newfd: call.descriptor().cast_unsigned(),
            newfd_flags: if closes_on_exec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
        };
        loop {
            // SAFETY: the kernel reads the structure.
            let done =
                unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw const added) };
            match super::last_errno() {
                _ if done >= 0 => return Ok(()),
                Errno::INTR => {}
                errno => return Err(errno),
            }
        }
    }
}

/// Whether this kernel tells of calls in a form that is known here.
pub(super) fn works() -> bool {
    let action = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: an all-zero `seccomp_notif_sizes` is a valid one.
    let mut sizes: libc::seccomp_notif_sizes = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel reads the one and writes the other.
    let (available, sized) = unsafe {
        (
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action),
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes),
        )
    };
    available == 0 && sized == 0 && usize::from(sizes.seccomp_notif) <= TOLD_BYTES
}
