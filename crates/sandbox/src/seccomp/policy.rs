//! The table: which system call gets which answer, and why.
//!
//! `EPERM` says "not here", and programs take it as they would in a container. `ENOSYS` says "this
//! kernel has no such call", which is what makes programs take their older way: for `clone3`, without
//! which no thread could be made, and for all that we do not know.

use std::collections::BTreeMap;

use libc::{EPERM, EPROTONOSUPPORT, c_long};

/// What the kernel does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Allow,
    /// The call fails with this error and does nothing.
    Errno(i32),
    /// The process dies of `SIGSYS`.
    Kill,
    /// The process waits for what lambkin makes of the call.
    Tell,
}

/// How the answer to one system call is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Always(Answer),
    /// Looks at the low 32 bits of an argument, under a mask. All that are tested here are 32 bits
    /// wide for the kernel (of `clone`'s flags it takes the low word); comparing 64 would let a
    /// forbidden value through with anything above it.
    Test {
        argument: u8,
        mask: u32,
        values: &'static [u32],
        found: &'static Rule,
        otherwise: &'static Rule,
    },
}

pub(super) const ALLOW: Rule = Rule::Always(Answer::Allow);
pub(super) const REFUSE: Rule = Rule::Always(Answer::Errno(EPERM));
const NO_PROTOCOL: Rule = Rule::Always(Answer::Errno(EPROTONOSUPPORT));
pub(super) const UNKNOWN: Rule = Rule::Always(Answer::Errno(libc::ENOSYS));

/// Numbers since Linux 5.1 are the same everywhere; libc does not name all of them yet.
mod unnamed {
    pub(super) const CACHESTAT: i64 = 451;
    pub(super) const STATMOUNT: i64 = 457;
    pub(super) const LISTMOUNT: i64 = 458;
    pub(super) const LSM_SET_SELF_ATTR: i64 = 460;
    pub(super) const OPEN_TREE_ATTR: i64 = 467;
    pub(super) const FILE_SETATTR: i64 = 469;
}

/// The known numbers, first and last of each range.
#[cfg(target_arch = "x86_64")]
pub(super) const KNOWN: [(i64, i64); 2] =
    [(libc::SYS_read, libc::SYS_rseq), (libc::SYS_pidfd_send_signal, unnamed::FILE_SETATTR)];
#[cfg(target_arch = "aarch64")]
pub(super) const KNOWN: [(i64, i64); 3] = [
    (libc::SYS_io_setup, libc::SYS_recvmmsg),
    (libc::SYS_wait4, libc::SYS_kexec_file_load),
    (libc::SYS_pidfd_send_signal, unnamed::FILE_SETATTR),
];

const REFUSED: &[c_long] = &[
    // Other processes' memory, registers and descriptors. move_pages and migrate_pages place another
    // process's memory; mbind and set_mempolicy, which place one's own, stay for numeric addons.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Large parts of the kernel that no function needs and that most escapes came through. libuv
    // goes back to its threads without io_uring.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // Keyrings are not divided by namespaces.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Mounts, namespaces, roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    unnamed::OPEN_TREE_ATTR,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    // Files by inode, around every mount.
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_lookup_dcookie,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Calls that do not exist here, though they have a number that we know.
const MISSING: &[c_long] = &[
    // Its flags are behind a pointer, so a new namespace could not be told from a thread: everybody
    // then uses `clone`.
    libc::SYS_clone3,
    // Nothing asks for these but mount tools, which have other ways; `cachestat` lets a process watch
    // which pages of a shared file others use (not checked before Linux 6.14).
    unnamed::CACHESTAT,
    unnamed::STATMOUNT,
    unnamed::LISTMOUNT,
    unnamed::LSM_SET_SELF_ATTR,
    // Relics; Linux can be built without each.
    libc::SYS_nfsservctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

// Allowed after thought: `seccomp` and `landlock_*` (they only take away), `memfd_create` (memory of
// the own group, and what is run from it could be run from /tmp), `pidfd_open` and
// `pidfd_send_signal` (own processes), `mknod` (FIFOs; devices need a capability).

const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET)
    .cast_unsigned();

/// `CLONE_NEWTIME` is missing: `clone` has the exit signal in those bits.
const CLONE: Rule =
    Rule::Test { argument: 0, mask: NEW_NAMESPACES, values: &[0], found: &ALLOW, otherwise: &REFUSE };

/// Typing into a terminal in another's name.
const IOCTL: Rule = Rule::Test {
    argument: 1,
    mask: u32::MAX,
    values: &[0x5412, 0x541c], // TIOCSTI, TIOCLINUX
    found: &REFUSE,
    otherwise: &ALLOW,
};

/// The default, and asking which it is. Others switch address randomisation off.
const PERSONALITY: Rule =
    Rule::Test { argument: 0, mask: u32::MAX, values: &[0, u32::MAX], found: &ALLOW, otherwise: &REFUSE };

/// `socket` and `socketpair`: domain, type, protocol. What is not here would have the kernel load
/// modules for anybody; `AF_VSOCK` leads out of every network namespace.
const SOCKET: Rule = Rule::Test {
    argument: 0,
    mask: u32::MAX,
    values: &[libc::AF_UNIX.cast_unsigned()],
    found: &ALLOW,
    otherwise: &Rule::Test {
        argument: 0,
        mask: u32::MAX,
        values: &[libc::AF_INET.cast_unsigned(), libc::AF_INET6.cast_unsigned()],
        found: &INTERNET,
        otherwise: &Rule::Test {
            argument: 0,
            mask: u32::MAX,
            values: &[libc::AF_NETLINK.cast_unsigned()],
            found: &NETLINK,
            otherwise: &REFUSE,
        },
    },
};

/// The type has flags above its four bits.
const INTERNET: Rule = Rule::Test {
    argument: 1,
    mask: 0xf,
    values: &[libc::SOCK_STREAM.cast_unsigned(), libc::SOCK_DGRAM.cast_unsigned()],
    found: &INTERNET_PROTOCOL,
    otherwise: &REFUSE,
};

/// No SCTP, UDP-Lite, MPTCP: who tries them (Go's listeners) falls back, as on a kernel without.
/// ICMP is that of datagram sockets, which the kernel allows by group.
const INTERNET_PROTOCOL: Rule = Rule::Test {
    argument: 2,
    mask: u32::MAX,
    values: &[
        0,
        libc::IPPROTO_TCP.cast_unsigned(),
        libc::IPPROTO_UDP.cast_unsigned(),
        libc::IPPROTO_ICMP.cast_unsigned(),
        libc::IPPROTO_ICMPV6.cast_unsigned(),
    ],
    found: &ALLOW,
    otherwise: &NO_PROTOCOL,
};

/// Reading one's own interfaces, which `os.networkInterfaces()` does.
const NETLINK: Rule = Rule::Test {
    argument: 2,
    mask: u32::MAX,
    values: &[libc::NETLINK_ROUTE.cast_unsigned()],
    found: &ALLOW,
    otherwise: &NO_PROTOCOL,
};

/// The whole table: those numbers that are not simply allowed or unknown.
pub(super) fn rules() -> BTreeMap<u32, Rule> {
    let refused = REFUSED.iter().map(|&call| (call, REFUSE));
    let missing = MISSING.iter().map(|&call| (call, UNKNOWN));
    let tested = [
        (libc::SYS_clone, CLONE),
        (libc::SYS_ioctl, IOCTL),
        (libc::SYS_personality, PERSONALITY),
        (libc::SYS_socket, SOCKET),
        (libc::SYS_socketpair, SOCKET),
    ];
    refused.chain(missing).chain(tested).map(|(call, rule)| (number(call), rule)).collect()
}

/// All numbers from 0 to the highest as runs of equal rules: where each begins, and its rule. `others`: of the calls that
/// we know and the rules do not name.
pub(super) fn segments(rules: &BTreeMap<u32, Rule>, others: Rule) -> Vec<(u32, Rule)> {
    // x32's numbers have bit 30 set, so they come after the last known one.
    let mut segments = vec![(0, UNKNOWN)];
    let mut begin = |at: u32, rule: Rule| {
        segments.pop_if(|last| last.0 == at);
        if segments.last().is_none_or(|last| last.1 != rule) {
            segments.push((at, rule));
        }
    };
    for (first, last) in KNOWN.map(|(first, last)| (number(first), number(last))) {
        begin(first, others);
        for (&call, &rule) in rules.range(first..=last) {
            begin(call, rule);
            begin(call + 1, others);
        }
        begin(last + 1, UNKNOWN);
    }
    segments
}

/// The tables' numbers are small and not negative.
pub(super) fn number(call: c_long) -> u32 {
    call as u32
}
