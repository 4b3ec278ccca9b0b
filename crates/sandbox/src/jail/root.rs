//! The jail's file system, put together by its init before it serves: `/`, `/dev`, `/proc`.
//!
//! Deliberately not here: code, runtime and `/tmp`, which the spawner mounts late (`mounting`), and
//! what is in the base (`crate::base`).

use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount, mount_bind,
    mount_change, mount_remount, move_mount, open_tree, unmount,
};

use super::wire::{At as _, Failure};

/// Devices that give nothing away and that programs expect. No `/dev/shm`, as on AWS.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links that programs expect in `/dev`.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// What `/proc` says of the whole machine, or lets one do to it, and no function needs. Libraries do
/// read `cpuinfo`, `stat`, `meminfo` and the like: those stay.
const MASKED: [&str; 17] = [
    "acpi",
    "asound",
    "cmdline",
    "config.gz",
    "interrupts",
    "kallsyms",
    "kcore",
    "keys",
    "kmsg",
    "kpagecount",
    "latency_stats",
    "partitions",
    "sched_debug",
    "scsi",
    "swaps",
    "sysrq-trigger",
    "timer_list",
];

/// What of `/proc` may be read and not written.
const READ_ONLY: [&str; 4] = ["bus", "fs", "irq", "sys"];

/// Below `/proc/sys/user`, for this jail alone. A further user namespace would give a function
/// capabilities, and with them the kernel's larger half. What watches files counts as lambkin's user's
/// too, who has 128 instances (and 8,192 watches) on many a host: one function must not take them all.
const USER_LIMITS: [(&str, &str); 3] =
    [("max_user_namespaces", "0"), ("max_inotify_instances", "8"), ("max_inotify_watches", "1024")];

const CLOSED: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Attaches the base and makes it the working directory. Reaching `path` may need the rights that
/// init gives up next.
pub(super) fn enter(base: BorrowedFd<'_>, path: &Path) -> Result<(), Failure> {
    // Nothing that is mounted here shows outside, and the other way round.
    mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .at("making mounts private")?;
    move_mount(base, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at("mounting the base")?;
    rustix::process::chdir(path).at("entering the base")
}

/// Fills the working directory with what a system has, and makes it `/`.
pub(super) fn complete() -> Result<(), Failure> {
    devices()?;
    processes()?;
    rustix::process::pivot_root(".", ".").at("changing the root")?;
    // The host's files were stacked under the new root, which is "." too.
    unmount(".", UnmountFlags::DETACH).at("leaving the host's files")?;
    rustix::process::chdir("/").at("entering the root")
}

fn devices() -> Result<(), Failure> {
    let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("tmpfs", "dev", "tmpfs", flags, c"size=64k,nr_inodes=32,mode=755").at("mounting /dev")?;
    for name in DEVICES {
        let place = Path::new("dev").join(name);
        // No device can be made in a user namespace: the host's is bound.
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let Ok(device) = open_tree(CWD, Path::new("/dev").join(name), clone) else { continue };
        fs::File::create(&place).at("making a device's place")?;
        move_mount(device.as_fd(), "", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .at("mounting a device")?;
    }
    for (target, name) in LINKS {
        rustix::fs::symlink(target, Path::new("dev").join(name)).at("linking in /dev")?;
    }
    mount_remount("dev", MountFlags::BIND | MountFlags::RDONLY | flags, c"").at("closing /dev")
}

fn processes() -> Result<(), Failure> {
    mount("proc", "proc", "proc", CLOSED, None).at("mounting /proc")?;
    for (name, most) in USER_LIMITS {
        match fs::write(Path::new("proc/sys/user").join(name), most) {
            // The kernel has no such limit.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            written => written.at("limiting what one user may have")?,
        }
    }
    for name in MASKED {
        let place = Path::new("proc").join(name);
        match fs::metadata(&place) {
            Ok(found) if found.is_dir() => {
                mount("tmpfs", &place, "tmpfs", CLOSED | MountFlags::RDONLY, c"size=4k,nr_inodes=1,mode=555")
                    .at("masking in /proc")?;
            }
            Ok(_) => mount_bind("dev/null", &place).at("masking in /proc")?,
            Err(_) => {}
        }
    }
    for name in READ_ONLY {
        let place = Path::new("proc").join(name);
        if place.exists() {
            mount_bind(&place, &place).at("closing /proc/sys")?;
            mount_remount(&place, MountFlags::BIND | MountFlags::RDONLY | CLOSED, c"")
                .at("closing /proc/sys")?;
        }
    }
    Ok(())
}

/// For files that init and the spawner make.
pub(super) fn set_umask() {
    rustix::process::umask(Mode::from_raw_mode(0o022));
}
