//! Steps that are system calls which no function needs. Where using one for real would take a
//! privilege or harm the machine, its arguments are wrong on purpose: outside the kernel then
//! complains of the arguments, which shows that nothing stopped the call before it came there.

use libc::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, c_long};

use crate::calls::{NO, Outcome, call, done, fork_for, forked, text};
use crate::tries::{Try, attempt};

const REFUSED: &str = "EPERM";

fn traced() -> Outcome {
    forked(|| done(libc::SYS_ptrace, [0, 0, 0, 0, 0]))
}

fn attached() -> Outcome {
    let child = fork_for(|| {
        loop {
            std::thread::park();
        }
    })?;
    let attached = done(libc::SYS_ptrace, [16, child as usize, 0, 0, 0]);
    done(libc::SYS_kill, [child as usize, libc::SIGKILL as usize, 0, 0, 0])?;
    attached
}

fn own_memory(number: c_long) -> Outcome {
    let (from, mut to) = ([7_u8; 8], [0_u8; 8]);
    let near = [to.as_mut_ptr() as usize, 8];
    let far = [from.as_ptr() as usize, 8];
    done(number, [std::process::id() as usize, near.as_ptr() as usize, 1, far.as_ptr() as usize, 1])
}

fn own_descriptor() -> Outcome {
    let own = call(libc::SYS_pidfd_open, [std::process::id() as usize, 0, 0, 0, 0])?;
    done(libc::SYS_pidfd_getfd, [own, 0, 0, 0, 0])
}

fn compared() -> Outcome {
    let own = std::process::id() as usize;
    done(libc::SYS_kcmp, [own, own, 1, 0, 0])
}

fn counter() -> Outcome {
    // A software event, of user code only: type, size, config, and the exclusions at byte 40.
    let mut attributes = [0_u64; 14];
    attributes[0] = 1 | 112 << 32;
    attributes[1] = 1;
    attributes[5] = 1 << 5 | 1 << 6;
    done(libc::SYS_perf_event_open, [attributes.as_ptr() as usize, 0, NO, NO, 0])
}

fn ring() -> Outcome {
    done(libc::SYS_io_uring_setup, [1, [0_u64; 16].as_mut_ptr() as usize, 0, 0, 0])
}

fn handle() -> Outcome {
    let (mut handle, mut mount) = ([0_u32; 40], 0_u32);
    handle[0] = 128;
    done(
        libc::SYS_name_to_handle_at,
        [libc::AT_FDCWD as usize, text(c"/tmp"), handle.as_mut_ptr() as usize, (&raw mut mount) as usize, 0],
    )
}

fn personality() -> Outcome {
    forked(|| done(libc::SYS_personality, [0x0004_0000, 0, 0, 0, 0]))
}

fn new_mount() -> Outcome {
    done(libc::SYS_mount, [text(c"none"), text(c"/tmp"), text(c"tmpfs"), 0, 0])
}

/// A process that a bad argument has been stopped at: `EBADF` and the like.
const BEHIND: &str = "EBADF|EFAULT|EINVAL|ENOENT|ENOEXEC|ENOTTY|ESRCH|EOPNOTSUPP|ENODEV|done";

const fn bad(what: &'static str, act: fn() -> Outcome) -> Try {
    attempt(what, act, REFUSED).outside(BEHIND)
}

pub(crate) const FORBIDDEN: &[Try] = &[
    attempt("ptrace: be traced", traced, REFUSED),
    attempt("ptrace: attach to a child", attached, REFUSED),
    attempt("process_vm_readv", || own_memory(libc::SYS_process_vm_readv), REFUSED),
    attempt("process_vm_writev", || own_memory(libc::SYS_process_vm_writev), REFUSED),
    bad("process_madvise", || done(libc::SYS_process_madvise, [NO, 0, 0, 0, 0])),
    attempt("pidfd_getfd", own_descriptor, REFUSED),
    attempt("kcmp", compared, REFUSED),
    bad("move_pages", || done(libc::SYS_move_pages, [0; 5])),
    bad("migrate_pages", || done(libc::SYS_migrate_pages, [0; 5])),
    bad("bpf", || done(libc::SYS_bpf, [7, [0_u64; 16].as_ptr() as usize, 128, 0, 0])),
    attempt("perf_event_open", counter, REFUSED),
    attempt("userfaultfd", || done(libc::SYS_userfaultfd, [1, 0, 0, 0, 0]), REFUSED),
    attempt("io_uring_setup", ring, REFUSED),
    bad("io_uring_enter", || done(libc::SYS_io_uring_enter, [NO, 0, 0, 0, 0])),
    bad("io_uring_register", || done(libc::SYS_io_uring_register, [NO, 0, 0, 0, 0])),
    attempt("fanotify_init", || done(libc::SYS_fanotify_init, [0x200, 0, 0, 0, 0]), REFUSED),
    bad("fanotify_mark", || done(libc::SYS_fanotify_mark, [NO, 1, 1, 0, 0])),
    attempt("keyctl", || done(libc::SYS_keyctl, [0, (-3_isize).cast_unsigned(), 1, 0, 0]), REFUSED),
    attempt(
        "add_key",
        || {
            done(
                libc::SYS_add_key,
                [text(c"user"), text(c"lambkin"), text(c"x"), 1, (-2_isize).cast_unsigned()],
            )
        },
        REFUSED,
    ),
    attempt(
        "request_key",
        || done(libc::SYS_request_key, [text(c"user"), text(c"lambkin-none"), 0, 0, 0]),
        REFUSED,
    )
    .outside("ENOKEY"),
    attempt("mount", new_mount, REFUSED).only_in_namespaces(),
    attempt("umount2", || done(libc::SYS_umount2, [text(c"/tmp"), 2, 0, 0, 0]), REFUSED).only_in_namespaces(),
    bad("pivot_root", || done(libc::SYS_pivot_root, [text(c"/tmp"), text(c"/tmp"), 0, 0, 0]))
        .only_in_namespaces(),
    attempt("chroot", || forked(|| done(libc::SYS_chroot, [text(c"/"), 0, 0, 0, 0])), REFUSED),
    attempt(
        "open_tree",
        || done(libc::SYS_open_tree, [libc::AT_FDCWD as usize, text(c"/"), 0, 0, 0]),
        REFUSED,
    ),
    bad("move_mount", || done(libc::SYS_move_mount, [NO, text(c"x"), NO, text(c"x"), 0]))
        .only_in_namespaces(),
    attempt("fsopen", || done(libc::SYS_fsopen, [text(c"tmpfs"), 0, 0, 0, 0]), REFUSED).only_in_namespaces(),
    bad("fsconfig", || done(libc::SYS_fsconfig, [NO, 0, 0, 0, 0])),
    bad("fsmount", || done(libc::SYS_fsmount, [NO, 0, 0, 0, 0])).only_in_namespaces(),
    attempt("fspick", || done(libc::SYS_fspick, [libc::AT_FDCWD as usize, text(c"/proc"), 0, 0, 0]), REFUSED)
        .only_in_namespaces(),
    bad("mount_setattr", || done(libc::SYS_mount_setattr, [NO, text(c"x"), 0, 0, 0])),
    bad("setns", || done(libc::SYS_setns, [NO, 0, 0, 0, 0])),
    attempt(
        "unshare: users",
        || forked(|| done(libc::SYS_unshare, [libc::CLONE_NEWUSER as usize, 0, 0, 0, 0])),
        REFUSED,
    ),
    attempt(
        "unshare: mounts",
        || forked(|| done(libc::SYS_unshare, [libc::CLONE_NEWNS as usize, 0, 0, 0, 0])),
        REFUSED,
    ),
    attempt("name_to_handle_at", handle, REFUSED).outside("done|EOPNOTSUPP"),
    bad("open_by_handle_at", || {
        done(libc::SYS_open_by_handle_at, [NO, [0_u64; 4].as_ptr() as usize, 0, 0, 0])
    }),
    // More segments than there can be, and flags that do not exist: nothing is loaded nor unloaded.
    bad("kexec_load", || done(libc::SYS_kexec_load, [0, 99, 0, 0xff00, 0])),
    bad("kexec_file_load", || done(libc::SYS_kexec_file_load, [NO, NO, 0, 0, 0xff00])),
    bad("init_module", || done(libc::SYS_init_module, [0; 5])),
    bad("finit_module", || done(libc::SYS_finit_module, [NO, text(c""), 0, 0, 0])),
    bad("delete_module", || done(libc::SYS_delete_module, [0; 5])),
    bad("swapon", || done(libc::SYS_swapon, [0, 0x7fff_0000, 0, 0, 0])),
    bad("swapoff", || done(libc::SYS_swapoff, [0; 5])),
    bad("quotactl", || done(libc::SYS_quotactl, [0xffff << 8, 0, 0, 0, 0])),
    bad("acct", || done(libc::SYS_acct, [text(c"/lambkin/nowhere"), 0, 0, 0, 0])),
    attempt("syslog", || done(libc::SYS_syslog, [10, 0, 0, 0, 0]), REFUSED),
    attempt(
        "vhangup",
        || forked(|| done(libc::SYS_setsid, [0; 5]).and(done(libc::SYS_vhangup, [0; 5]))),
        REFUSED,
    ),
    attempt("personality without random addresses", personality, REFUSED),
    attempt("cachestat does not exist", || done(451, [NO, 0, 0, 0, 0]), "ENOSYS").outside(BEHIND),
    #[cfg(target_arch = "x86_64")]
    attempt("iopl", || forked(|| done(libc::SYS_iopl, [0; 5])), REFUSED),
    #[cfg(target_arch = "x86_64")]
    attempt("ioperm", || forked(|| done(libc::SYS_ioperm, [0, 1, 0, 0, 0])), REFUSED)
        .outside("done|EINVAL|EIO"),
    #[cfg(target_arch = "x86_64")]
    attempt("modify_ldt does not exist", || done(libc::SYS_modify_ldt, [0; 5]), "ENOSYS"),
];

/// By `clone`'s own argument, as a fork.
fn cloned(flags: i32) -> Outcome {
    forked(|| match call(libc::SYS_clone, [(flags | libc::SIGCHLD) as usize, 0, 0, 0, 0])? {
        0 => std::process::exit(0),
        _ => Ok(()),
    })
}

fn more_namespaces() -> Outcome {
    let most = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").map_err(|_| libc::EIO)?;
    if most.trim_ascii() == "0" { Err(libc::ENOSPC) } else { Ok(()) }
}

pub(crate) const NAMESPACES: &[Try] = &[
    attempt("clone: users", || cloned(libc::CLONE_NEWUSER), REFUSED),
    attempt("clone: users and mounts", || cloned(libc::CLONE_NEWUSER | libc::CLONE_NEWNS), REFUSED),
    attempt("clone: users and network", || cloned(libc::CLONE_NEWUSER | libc::CLONE_NEWNET), REFUSED),
    attempt("clone: processes", || cloned(libc::CLONE_NEWPID), REFUSED),
    attempt("clone: groups", || cloned(libc::CLONE_NEWCGROUP), REFUSED),
    attempt("clone: host name", || cloned(libc::CLONE_NEWUTS), REFUSED),
    attempt("clone: System V objects", || cloned(libc::CLONE_NEWIPC), REFUSED),
    attempt(
        "unshare: clocks",
        || forked(|| done(libc::SYS_unshare, [libc::CLONE_NEWTIME as usize, 0, 0, 0, 0])),
        REFUSED,
    ),
    attempt("a further user namespace would be one too many", more_namespaces, "ENOSPC"),
];

fn socket(domain: i32, kind: i32, protocol: i32) -> Outcome {
    let made = call(libc::SYS_socket, [domain as usize, kind as usize, protocol as usize, 0, 0])?;
    done(libc::SYS_close, [made, 0, 0, 0, 0])
}

/// With a bit that the kernel does not look at.
fn disguised() -> Outcome {
    done(libc::SYS_socket, [libc::AF_VSOCK as usize | 1 << 32, SOCK_STREAM as usize, 0, 0, 0])
}

pub(crate) const SOCKETS: &[Try] = &[
    attempt("AF_VSOCK", || socket(libc::AF_VSOCK, SOCK_STREAM, 0), REFUSED),
    attempt("AF_VSOCK with a bit above", disguised, REFUSED),
    attempt("AF_PACKET", || socket(libc::AF_PACKET, SOCK_RAW, 0), REFUSED),
    attempt("AF_ALG", || socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0), REFUSED),
    attempt("AF_XDP", || socket(libc::AF_XDP, SOCK_RAW, 0), REFUSED),
    attempt("raw AF_INET", || socket(AF_INET, SOCK_RAW, libc::IPPROTO_ICMP), REFUSED),
    attempt("raw AF_INET6", || socket(AF_INET6, SOCK_RAW, libc::IPPROTO_ICMPV6), REFUSED),
    attempt(
        "AF_NETLINK, netfilter",
        || socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_NETFILTER),
        "EPROTONOSUPPORT",
    ),
    attempt(
        "AF_NETLINK, devices' events",
        || socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT),
        "EPROTONOSUPPORT",
    ),
    attempt("AF_NETLINK, audit", || socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_AUDIT), "EPROTONOSUPPORT"),
    attempt(
        "AF_NETLINK, transformations",
        || socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_XFRM),
        "EPROTONOSUPPORT",
    ),
    attempt("MPTCP", || socket(AF_INET, SOCK_STREAM, 262), "EPROTONOSUPPORT"),
    attempt("UDP-Lite", || socket(AF_INET, SOCK_DGRAM, libc::IPPROTO_UDPLITE), "EPROTONOSUPPORT"),
    attempt("TCP, which is allowed", || socket(AF_INET, SOCK_STREAM, 0), "done"),
    attempt("UDP over IPv6, which is allowed", || socket(AF_INET6, SOCK_DGRAM, 0), "done"),
    attempt("AF_UNIX, which is allowed", || socket(AF_UNIX, SOCK_STREAM, 0), "done"),
    attempt(
        "AF_NETLINK for routes, which is allowed",
        || socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_ROUTE),
        "done",
    ),
];

fn clone3() -> Outcome {
    let mut arguments = [0_u64; 11];
    arguments[4] = libc::SIGCHLD as u64;
    forked(|| match call(libc::SYS_clone3, [arguments.as_ptr() as usize, 88, 0, 0, 0])? {
        0 => std::process::exit(0),
        _ => Ok(()),
    })
}

fn thread() -> Outcome {
    let started = std::thread::Builder::new().spawn(|| 7);
    let started = started.map_err(|error| error.raw_os_error().unwrap_or(0))?;
    if started.join().is_ok_and(|said| said == 7) { Ok(()) } else { Err(libc::EIO) }
}

pub(crate) const CLONE3: &[Try] =
    &[attempt("clone3", clone3, "ENOSYS"), attempt("a thread, which goes another way", thread, "done")];

#[cfg(target_arch = "x86_64")]
pub(crate) const FOREIGN: &[Try] = &[
    attempt("getpid of x32", || done(0x4000_0000 | libc::SYS_getpid, [0; 5]), "ENOSYS"),
    attempt("ptrace of x32", || forked(|| done(0x4000_0000 | 521, [0; 5])), "ENOSYS"),
    // Dies of SIGSYS, number 31.
    attempt("getpid of a 32-bit program", || forked(crate::calls::call_32), "signal 31"),
    attempt("a number that no kernel has", || done(100_000, [0; 5]), "ENOSYS").outside("ENOSYS"),
];

/// x32 and 32-bit programs are x86's.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const FOREIGN: &[Try] =
    &[attempt("a number that no kernel has", || done(100_000, [0; 5]), "ENOSYS").outside("ENOSYS")];
