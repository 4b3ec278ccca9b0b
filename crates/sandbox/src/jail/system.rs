//! The kernel's calls that no library has: `clone3`, `mount_setattr`, `close_range`, bringing
//! loopback up.

#![expect(unsafe_code, reason = "raw system calls")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::mount::MountPropagationFlags;
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// libc's constant of this name is cut off to 32 bits.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of `clone` this is.
pub(super) enum Cloned {
    Child,
    Parent { pid: Pid, pidfd: OwnedFd },
}

/// Forks into new namespaces, and into a group where one is given. The caller must have one thread.
///
/// The child is a copy of the caller: it must not return into the caller's loop.
pub(super) fn clone(flags: i32, group: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: RawFd = -1;
    // SAFETY: an all-zero `clone_args` is a valid one.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    let into = if group.is_some() { CLONE_INTO_CGROUP } else { 0 };
    arguments.flags = u64::from((flags | libc::CLONE_PIDFD).cast_unsigned()) | into;
    arguments.pidfd = (&raw mut pidfd) as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    arguments.cgroup = group.map_or(0, |group| group.as_raw_fd().cast_unsigned().into());
    // SAFETY: no CLONE_VM and no stack: the child goes on with a copy of this one's memory, as after
    // `fork`. The caller has one thread, so no lock is held by a thread that the copy lacks.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: the kernel has put a new descriptor there that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            Ok(Cloned::Parent { pid: pid.ok_or_else(|| io::Error::other("clone gave no process"))?, pidfd })
        }
    }
}

/// Makes a detached mount read-only, without devices and setuid.
pub(super) fn protect(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    let set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    set_attributes(mount, set, 0)
}

/// Lets the files of a detached mount be seen through a user namespace: the host's root is root inside.
pub(super) fn map_owners(mount: BorrowedFd<'_>, namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    set_attributes(mount, libc::MOUNT_ATTR_IDMAP, namespace.as_raw_fd().cast_unsigned().into())
}

fn set_attributes(mount: BorrowedFd<'_>, set: u64, namespace: u64) -> Result<(), Errno> {
    // SAFETY: an all-zero `mount_attr` is a valid one.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = set;
    attributes.userns_fd = namespace;
    // SAFETY: the path is an empty NUL-terminated string, the structure lives through the call, and
    // its size is given.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw mut attributes,
            size_of_val(&attributes),
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Closes every descriptor from 3 on but these.
///
/// Only for a process that will not use, nor drop, what it closes: a fresh copy of the spawner.
pub(super) fn close_all_but(kept: &[RawFd]) {
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let mut first = 3_u32;
    let ends = kept.iter().map(|fd| fd.cast_unsigned()).chain([u32::MAX]);
    for end in ends {
        if end > first {
            // SAFETY: see above: nobody in this process owns what is closed any more.
            unsafe { libc::syscall(libc::SYS_close_range, first, end - 1, 0) };
        }
        first = end.saturating_add(1).max(first);
    }
}

/// Makes the event loop say when a descriptor becomes readable. Needs a tokio runtime.
pub(super) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is one open descriptor from its making until it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}

/// Ends this process at once, without the exit handlers that it has copied from its parent.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: no preconditions.
    unsafe { libc::_exit(code) }
}

/// Loopback of a new network namespace is there but down.
pub(super) fn raise_loopback() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: an all-zero `ifreq` is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is an initialised `ifreq` whose name is NUL-terminated.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes the kernel hold to what a netlink request asks for.
pub(super) fn set_strict(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value lives through the call, and its size is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_GET_STRICT_CHK,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// New namespaces for this process, which must have one thread.
pub(super) fn unshare(flags: rustix::thread::UnshareFlags) -> Result<(), Errno> {
    // SAFETY: descriptors stay shared with nobody (no CLONE_FILES among the callers' flags), and
    // there is no other thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Gives a program mounts of its own, a copy of the host's that follows them: what it unmounts there stays with
/// everybody else. For root; another's copy of the host's mounts is in any case nobody else's.
pub(super) fn with_own_mounts(command: &mut tokio::process::Command) {
    let prepare = || {
        unshare(rustix::thread::UnshareFlags::NEWNS)?;
        let follow = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
        Ok(rustix::mount::mount_change("/", follow)?)
    };
    // SAFETY: between `fork` and `execve` of a process with several threads: two system calls, whose one path is
    // put on the stack; nothing is allocated, no lock is taken. The copy has one thread, as `unshare` wants it.
    unsafe { command.pre_exec(prepare) };
}

/// `linux/loop.h`.
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_config`, with `struct loop_info64` inside.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

/// Attaches a file to a free loop device, until the device is closed and not mounted.
pub(super) fn attach_loop(image: OwnedFd) -> io::Result<(PathBuf, OwnedFd)> {
    let control = File::open("/dev/loop-control")?;
    loop {
        // SAFETY: takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = OpenOptions::new().read(true).write(true).open(&path)?;
        // SAFETY: all zeros are a valid value of these integers and bytes.
        let mut config: LoopConfig = unsafe { std::mem::zeroed() };
        config.fd = image.as_raw_fd().cast_unsigned();
        config.block_size = 4096;
        // Without the host's page cache: the device's own counts already.
        config.flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
        // SAFETY: the structure is laid out as the kernel's and lives through the call.
        if unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) } == 0 {
            return Ok((path, device.into()));
        }
        let error = io::Error::last_os_error();
        // Somebody else was faster.
        if error.raw_os_error() != Some(libc::EBUSY) {
            return Err(error);
        }
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
