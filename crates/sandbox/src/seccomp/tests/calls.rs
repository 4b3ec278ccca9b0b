//! The filter in the kernel: each call is tried without it first, to see that it gets somewhere (works,
//! or fails for a reason of its own), and then with it.

use std::ffi::CStr;
use std::io::{Read as _, Write as _};
use std::ptr;

use libc::{
    EAFNOSUPPORT, EBADF, EEXIST, EFAULT, EINVAL, ENODEV, ENOENT, ENOEXEC, ENOKEY, ENOSYS, ENOTTY, EOVERFLOW,
    EPERM, EPROTONOSUPPORT, ESRCH, c_long,
};

use super::super::{Filter, policy};
#[cfg(target_arch = "x86_64")]
use crate::forked;

/// A call, its arguments, and what a privileged process gets without the filter: 0 for "works", or
/// the errors that this kernel or one built otherwise gives.
type Probe = (&'static str, c_long, [usize; 6], &'static [i32]);

const NONE: usize = usize::MAX;
const NOWHERE: &CStr = c"/nonexistent";

fn text(text: &'static CStr) -> usize {
    text.as_ptr() as usize
}

/// Large enough and zero: harmless as any structure.
static ZEROS: [u64; 64] = [0; 64];

/// Written by calls that fill a structure in.
fn scratch() -> usize {
    static mut SCRATCH: [u64; 64] = [0; 64];
    (&raw mut SCRATCH) as usize
}

fn refused() -> Vec<Probe> {
    use libc as c;
    let (zeros, pid) = (ptr::from_ref(&ZEROS) as usize, std::process::id() as usize);
    let here = c::AT_FDCWD as usize;
    let nowhere = text(NOWHERE);
    let high = 1 << 32;
    vec![
        ("ptrace", c::SYS_ptrace, [c::PTRACE_ATTACH as usize, NONE, 0, 0, 0, 0], &[ESRCH]),
        ("process_vm_readv", c::SYS_process_vm_readv, [pid, zeros, 1, zeros, 1, 0], &[0]),
        ("process_vm_writev", c::SYS_process_vm_writev, [pid, zeros, 1, zeros, 1, 0], &[0]),
        ("process_madvise", c::SYS_process_madvise, [NONE, zeros, 1, 4, 0, 0], &[EBADF]),
        ("pidfd_getfd", c::SYS_pidfd_getfd, [NONE, 0, 0, 0, 0, 0], &[EBADF]),
        ("kcmp", c::SYS_kcmp, [pid, pid, 1, 0, 0, 0], &[0, ENOSYS]),
        ("move_pages", c::SYS_move_pages, [0, 0, 0, 0, 0, 0], &[0, ENOSYS]),
        ("migrate_pages", c::SYS_migrate_pages, [0, 0, 0, 0, 0, 0], &[0, EINVAL, ENOSYS]),
        ("bpf", c::SYS_bpf, [0, zeros, 8, 0, 0, 0], &[EINVAL]),
        ("perf_event_open", c::SYS_perf_event_open, [0, 0, 0, 0, 0, 0], &[EFAULT]),
        ("userfaultfd", c::SYS_userfaultfd, [0, 0, 0, 0, 0, 0], &[0, ENOSYS]),
        ("io_uring_setup", c::SYS_io_uring_setup, [1, 0, 0, 0, 0, 0], &[EFAULT]),
        ("io_uring_enter", c::SYS_io_uring_enter, [NONE, 0, 0, 0, 0, 0], &[EBADF]),
        ("io_uring_register", c::SYS_io_uring_register, [NONE, 0, 0, 0, 0, 0], &[EBADF, EINVAL]),
        ("fanotify_init", c::SYS_fanotify_init, [0, 0, 0, 0, 0, 0], &[0, ENOSYS]),
        ("fanotify_mark", c::SYS_fanotify_mark, [NONE, 1, 1, here, 0, 0], &[EBADF, ENOSYS]),
        ("keyctl", c::SYS_keyctl, [0, -2_isize as usize, 1, 0, 0, 0], &[0, ENOKEY]),
        ("add_key", c::SYS_add_key, [0, 0, 0, 0, 0, 0], &[EFAULT]),
        ("request_key", c::SYS_request_key, [0, 0, 0, 0, 0, 0], &[EFAULT]),
        ("mount", c::SYS_mount, [nowhere, nowhere, nowhere, 0, 0, 0], &[ENOENT]),
        ("umount2", c::SYS_umount2, [nowhere, 0, 0, 0, 0, 0], &[ENOENT]),
        ("pivot_root", c::SYS_pivot_root, [nowhere, nowhere, 0, 0, 0, 0], &[ENOENT]),
        ("open_tree", c::SYS_open_tree, [here, text(c"/"), 0, 0, 0, 0], &[0]),
        ("open_tree_attr", 467, [here, nowhere, 0, 0, 0, 0], &[ENOENT, ENOSYS]),
        ("move_mount", c::SYS_move_mount, [here, nowhere, here, nowhere, 0, 0], &[ENOENT]),
        ("fsopen", c::SYS_fsopen, [text(c"tmpfs"), 0, 0, 0, 0, 0], &[0]),
        ("fsconfig", c::SYS_fsconfig, [NONE, 0, 0, 0, 0, 0], &[EINVAL]),
        ("fsmount", c::SYS_fsmount, [NONE, 0, 0, 0, 0, 0], &[EBADF]),
        ("fspick", c::SYS_fspick, [here, nowhere, 0, 0, 0, 0], &[ENOENT]),
        ("mount_setattr", c::SYS_mount_setattr, [here, nowhere, 0, zeros, 32, 0], &[ENOENT, 0]),
        ("setns", c::SYS_setns, [NONE, 0, 0, 0, 0, 0], &[EBADF]),
        ("unshare", c::SYS_unshare, [c::CLONE_NEWIPC as usize, 0, 0, 0, 0, 0], &[0]),
        (
            "name_to_handle_at",
            c::SYS_name_to_handle_at,
            [here, text(c"/"), scratch(), scratch(), 0, 0],
            &[EOVERFLOW],
        ),
        ("open_by_handle_at", c::SYS_open_by_handle_at, [here, 0, 0, 0, 0, 0], &[EFAULT]),
        ("lookup_dcookie", c::SYS_lookup_dcookie, [0, 0, 0, 0, 0, 0], &[ENOSYS, EINVAL]),
        ("kexec_load", c::SYS_kexec_load, [0, 0, 0, 0xff, 0, 0], &[EINVAL, ENOSYS]),
        ("kexec_file_load", c::SYS_kexec_file_load, [NONE, NONE, 0, 0, 0xff00, 0], &[EINVAL, ENOSYS]),
        ("init_module", c::SYS_init_module, [0, 0, 0, 0, 0, 0], &[ENOEXEC, EFAULT, ENOSYS]),
        ("finit_module", c::SYS_finit_module, [NONE, text(c""), 0, 0, 0, 0], &[EBADF, ENOSYS]),
        ("delete_module", c::SYS_delete_module, [nowhere, 0, 0, 0, 0, 0], &[ENOENT, ENOSYS]),
        ("reboot", c::SYS_reboot, [0, 0, 0, 0, 0, 0], &[EINVAL]),
        ("swapon", c::SYS_swapon, [nowhere, 0, 0, 0, 0, 0], &[ENOENT, ENOSYS]),
        ("swapoff", c::SYS_swapoff, [nowhere, 0, 0, 0, 0, 0], &[ENOENT, ENOSYS]),
        ("quotactl", c::SYS_quotactl, [0x0800_0000, nowhere, 0, 0, 0, 0], &[EINVAL, ENOENT, ENODEV, ENOSYS]),
        ("quotactl_fd", c::SYS_quotactl_fd, [NONE, 0, 0, 0, 0, 0], &[EBADF, ENOSYS]),
        ("acct", c::SYS_acct, [nowhere, 0, 0, 0, 0, 0], &[ENOENT, ENOSYS]),
        ("settimeofday", c::SYS_settimeofday, [0, 0, 0, 0, 0, 0], &[0]),
        ("clock_settime", c::SYS_clock_settime, [9999, zeros, 0, 0, 0, 0], &[EINVAL]),
        ("adjtimex", c::SYS_adjtimex, [scratch(), 0, 0, 0, 0, 0], &[0]),
        ("clock_adjtime", c::SYS_clock_adjtime, [9999, scratch(), 0, 0, 0, 0], &[EINVAL]),
        ("sethostname", c::SYS_sethostname, [0, NONE, 0, 0, 0, 0], &[EINVAL]),
        ("setdomainname", c::SYS_setdomainname, [0, NONE, 0, 0, 0, 0], &[EINVAL]),
        ("syslog", c::SYS_syslog, [10, 0, 0, 0, 0, 0], &[0]),
        ("vhangup", c::SYS_vhangup, [0; 6], &[0]),
        #[cfg(target_arch = "x86_64")]
        ("iopl", c::SYS_iopl, [0; 6], &[0, ENOSYS]),
        #[cfg(target_arch = "x86_64")]
        ("ioperm", c::SYS_ioperm, [0x80, 1, 0, 0, 0, 0], &[0, ENOSYS]),
        ("clone for a user", c::SYS_clone, [c::CLONE_NEWUSER as usize | 17, 0, 0, 0, 0, 0], &[0]),
        ("TIOCSTI", c::SYS_ioctl, [0, c::TIOCSTI as usize, zeros, 0, 0, 0], &[ENOTTY]),
        ("TIOCSTI below", c::SYS_ioctl, [0, high | c::TIOCSTI as usize, zeros, 0, 0, 0], &[ENOTTY]),
        ("TIOCLINUX", c::SYS_ioctl, [0, c::TIOCLINUX as usize, zeros, 0, 0, 0], &[ENOTTY]),
        ("personality", c::SYS_personality, [0x4_0000, 0, 0, 0, 0, 0], &[0]),
        ("vsock", c::SYS_socket, [40, 1, 0, 0, 0, 0], &[0, EAFNOSUPPORT]),
        ("vsock below", c::SYS_socket, [high | 40, 1, 0, 0, 0, 0], &[0, EAFNOSUPPORT]),
        ("packets", c::SYS_socket, [17, 3, 0, 0, 0, 0], &[0, EAFNOSUPPORT]),
        ("crypto", c::SYS_socket, [38, 5, 0, 0, 0, 0], &[0, EAFNOSUPPORT]),
        ("raw", c::SYS_socket, [2, 3, 1, 0, 0, 0], &[0]),
        ("raw 6", c::SYS_socket, [10, 3, 58, 0, 0, 0], &[0, EAFNOSUPPORT]),
        ("tipc pair", c::SYS_socketpair, [30, 5, 0, scratch(), 0, 0], &[0, EAFNOSUPPORT]),
        // Last, as they change what the calls after them may do.
        ("chroot", c::SYS_chroot, [text(c"/"), 0, 0, 0, 0, 0], &[0]),
        ("unshare for a user", c::SYS_unshare, [c::CLONE_NEWUSER as usize, 0, 0, 0, 0, 0], &[0]),
    ]
}

/// Refused with errors of their own.
fn missing() -> Vec<(Probe, i32)> {
    use libc as c;
    let here = c::AT_FDCWD as usize;
    vec![
        (("clone3", c::SYS_clone3, [0; 6], &[EINVAL]), ENOSYS),
        (("cachestat", 451, [NONE, 0, 0, 0, 0, 0], &[EBADF, ENOSYS]), ENOSYS),
        (("statmount", 457, [0; 6], &[EFAULT, ENOSYS]), ENOSYS),
        (("listmount", 458, [0; 6], &[EFAULT, ENOSYS]), ENOSYS),
        (("lsm_set_self_attr", 460, [0; 6], &[EINVAL, ENOSYS]), ENOSYS),
        (("the next new call", 470, [here, 0, 0, 0, 0, 0], &[ENOSYS]), ENOSYS),
        (("x32 getpid", 0x4000_0000 | 39, [0; 6], &[0, ENOSYS]), ENOSYS),
        (("netfilter", c::SYS_socket, [16, 3, 12, 0, 0, 0], &[0, EPROTONOSUPPORT]), EPROTONOSUPPORT),
        (("multipath TCP", c::SYS_socket, [2, 1, 262, 0, 0, 0], &[0, EPROTONOSUPPORT]), EPROTONOSUPPORT),
        #[cfg(target_arch = "x86_64")]
        (("modify_ldt", c::SYS_modify_ldt, [0; 6], &[0, ENOSYS]), ENOSYS),
        #[cfg(target_arch = "x86_64")]
        (("sysfs", c::SYS_sysfs, [3, 0, 0, 0, 0, 0], &[0, ENOSYS]), ENOSYS),
    ]
}

/// Calls that give the same answer without the filter nearly everywhere.
const RELICS: &[c_long] = &[
    libc::SYS_nfsservctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// Those that must keep working.
fn allowed() -> Vec<Probe> {
    use libc as c;
    vec![
        ("fork", c::SYS_clone, [17, 0, 0, 0, 0, 0], &[0]),
        ("memfd_create", c::SYS_memfd_create, [text(c"a"), 0, 0, 0, 0, 0], &[0]),
        ("unix", c::SYS_socket, [1, 1, 0, 0, 0, 0], &[0]),
        ("unix pair", c::SYS_socketpair, [1, 5, 0, scratch(), 0, 0], &[0]),
        ("tcp", c::SYS_socket, [2, 1 | c::SOCK_CLOEXEC as usize, 0, 0, 0, 0], &[0]),
        ("udp 6", c::SYS_socket, [10, 2, 17, 0, 0, 0], &[0, EAFNOSUPPORT]),
        ("routes", c::SYS_socket, [16, 3, 0, 0, 0, 0], &[0]),
        ("personality asked", c::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0], &[0]),
        ("landlock", c::SYS_landlock_create_ruleset, [0, 0, 1, 0, 0, 0], &[0, ENOSYS, libc::EOPNOTSUPP]),
        ("a filter inside", c::SYS_seccomp, [1, 0, 0, 0, 0, 0], &[EFAULT]),
        ("mkdir", c::SYS_mkdirat, [c::AT_FDCWD as usize, text(c"/"), 0, 0, 0, 0], &[EEXIST]),
        ("set_mempolicy", c::SYS_set_mempolicy, [0; 6], &[0, ENOSYS]),
    ]
}

/// Makes the call; a process that it made ends at once.
fn call((_, number, a, _): &Probe) -> i32 {
    // SAFETY: every argument is a number, a static string or a static buffer that is large enough; what
    // comes back twice (`clone`) ends in `_exit` on the child's side.
    unsafe {
        let result = libc::syscall(*number, a[0], a[1], a[2], a[3], a[4], a[5]);
        if *number == libc::SYS_clone && result == 0 {
            libc::_exit(0);
        }
        if result < 0 { *libc::__errno_location() } else { 0 }
    }
}

/// Results of the calls in a child: alone in its session and namespaces, so that nothing that works
/// is felt by others, and with `/dev/null` as its input. How it ended, too.
fn in_child(install: bool, probes: &[Probe]) -> (Vec<i32>, i32) {
    let filter = Filter::for_functions();
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    let null = std::fs::File::open("/dev/null").expect("/dev/null");
    // SAFETY: the child calls only what may be called in a copy of a threaded process: system calls,
    // no allocation, no locks; it ends in `_exit`.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let _ = rustix::process::setsid();
        let _ = rustix::stdio::dup2_stdin(&null);
        // SAFETY: only this process's own views of the machine change.
        unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWNET) };
        let _ = rustix::thread::set_no_new_privs(true);
        let installed = !install || filter.install().is_ok();
        for probe in probes.iter().filter(|_| installed) {
            let _ = writer.write_all(&call(probe).to_le_bytes());
        }
        // SAFETY: ends the copy without its parent's exit handlers.
        unsafe { libc::_exit(i32::from(!installed)) }
    }
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("results");
    let mut status = 0;
    // SAFETY: writes the status of a child of ours.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    let results = bytes.chunks_exact(4).map(|bytes| i32::from_le_bytes(bytes.try_into().expect("four")));
    (results.collect(), status)
}

#[test]
fn refused_calls_get_somewhere_without_the_filter_and_nowhere_with_it() {
    let refused = refused().into_iter().map(|probe| (probe, EPERM));
    let allowed = allowed().into_iter().map(|probe| (probe, 0));
    let (mut probes, mut expected): (Vec<_>, Vec<_>) = refused.chain(missing()).unzip();
    let first_allowed = probes.len();
    probes.extend(allowed.clone().map(|(probe, _)| probe));
    expected.extend(allowed.map(|(_, expected)| expected));
    let (without, ended) = in_child(false, &probes);
    assert_eq!((without.len(), ended), (probes.len(), 0));
    let (with, ended) = in_child(true, &probes);
    assert_eq!((with.len(), ended), (probes.len(), 0));
    for number in policy::rules().into_keys() {
        let tried = probes.iter().any(|probe| probe.1 == i64::from(number));
        assert!(tried || RELICS.contains(&i64::from(number)), "{number} is not tried");
    }
    // Without privileges the kernel itself says EPERM to many: then only the other half tells.
    let privileged = rustix::process::geteuid().is_root();
    let mut wrong = Vec::new();
    for (at, (name, .., free)) in probes.iter().enumerate() {
        if !free.contains(&without[at]) && (privileged || without[at] != EPERM) {
            wrong.push(format!("{name} without the filter: {}, expected {free:?}", without[at]));
        }
        let right = if at < first_allowed { with[at] == expected[at] } else { with[at] == without[at] };
        if !right {
            wrong.push(format!("{name} with the filter: {}", with[at]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// 32-bit system calls from a 64-bit program, whose numbers mean other calls.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_call_of_another_instruction_set_kills() {
    let filter = Filter::for_functions();
    let ended = |install: bool| {
        forked::status(|| {
            let quiet = rustix::process::DumpableBehavior::NotDumpable;
            let prepared = rustix::process::set_dumpable_behavior(quiet).is_ok()
                && rustix::thread::set_no_new_privs(true).is_ok()
                && (!install || filter.install().is_ok());
            // SAFETY: number 20 is the 32-bit `getpid`; it takes nothing and changes no memory.
            unsafe {
                std::arch::asm!("int 0x80", inout("eax") 20 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
            }
            i32::from(!prepared)
        })
    };
    // SIGSEGV where the kernel was built without 32-bit calls.
    assert!([0, libc::SIGSEGV].contains(&ended(false)));
    assert_eq!(ended(true) & 0x7f, libc::SIGSYS);
}
