//! The calls of a process that unpacks a package (`confinement`): an allow list, as it is one program of our own
//! that makes files, and nothing that it starts.

use std::collections::BTreeMap;

use libc::c_long;

use super::policy::{ALLOW, Rule, number};

const ALLOWED: &[c_long] = &[
    // Files, by directories that are open.
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_mkdirat,
    libc::SYS_symlinkat,
    libc::SYS_fchmod,
    libc::SYS_fcntl,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    // Seeds of hash tables.
    libc::SYS_getrandom,
    // Locks, which nobody else holds, and the end, a panic's too.
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

pub(super) fn rules() -> BTreeMap<u32, Rule> {
    ALLOWED.iter().map(|&call| (number(call), ALLOW)).collect()
}
