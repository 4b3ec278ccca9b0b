//! The attack list as data. Numbers are the study's.

use crate::report::Report;
use crate::tries::{self, Try};
use crate::{assignment, bombs, deaths, freezing, neighbours, syscalls, walls};

pub(crate) struct Row {
    number: u32,
    pub(crate) name: &'static str,
    attack: &'static str,
    /// What it must come to.
    defence: &'static str,
    /// Its single steps, where it has such.
    pub(crate) tries: &'static [Try],
    pub(crate) test: fn(&Row, &mut Report),
}

const fn steps(
    number: u32,
    name: &'static str,
    attack: &'static str,
    defence: &'static str,
    tries: &'static [Try],
) -> Row {
    Row { number, name, attack, defence, tries, test: tries::test }
}

const fn scene(
    number: u32,
    name: &'static str,
    attack: &'static str,
    defence: &'static str,
    test: fn(&Row, &mut Report),
) -> Row {
    Row { number, name, attack, defence, tries: &[], test }
}

pub(crate) const ROWS: &[Row] = &[
    steps(
        1,
        "attack_01_host_files",
        "read the host's files, devices, /sys, the kernel's tables",
        "not there",
        walls::HOST_FILES,
    ),
    steps(
        2,
        "attack_02_init_in_proc",
        "/proc/1/environ, mem, fd, root, ns; other processes in /proc",
        "EACCES; no process of the host's is listed",
        walls::INIT_IN_PROC,
    ),
    scene(
        3,
        "attack_03_other_functions_secrets",
        "find another function's secret in processes and files",
        "nothing is found; as root each jail has users of its own",
        neighbours::secrets,
    ),
    steps(
        4,
        "attack_04_read_only_files",
        "write /, /var/task, /var/lang, /var/runtime, /opt, /etc, /dev, /proc/sys",
        "EROFS (EACCES where the owner alone forbids it)",
        walls::READ_ONLY_FILES,
    ),
    steps(
        5,
        "attack_05_signals",
        "signals to PID 1 and to all, by every call",
        "EPERM; ESRCH for all",
        walls::SIGNALS,
    ),
    steps(
        6,
        "attack_06_forbidden_syscalls",
        "ptrace, other processes' memory, bpf, perf, io_uring, keys, mounts, modules, kexec",
        "EPERM",
        syscalls::FORBIDDEN,
    ),
    steps(
        7,
        "attack_07_clone_newuser",
        "new namespaces by clone's and unshare's arguments",
        "EPERM; and no further user namespace is left (max_user_namespaces)",
        syscalls::NAMESPACES,
    ),
    steps(
        8,
        "attack_08_socket_families",
        "AF_VSOCK, AF_PACKET, AF_ALG, AF_XDP, raw and odd protocols",
        "EPERM, EPROTONOSUPPORT",
        syscalls::SOCKETS,
    ),
    steps(
        9,
        "attack_09_clone3",
        "clone3, whose flags no filter sees",
        "ENOSYS; threads still start",
        syscalls::CLONE3,
    ),
    steps(
        10,
        "attack_10_foreign_syscalls",
        "x32 and 32-bit system calls, unknown numbers",
        "ENOSYS; 32-bit: SIGSYS",
        syscalls::FOREIGN,
    ),
    scene(11, "attack_11_fork_bomb", "fork without end", "EAGAIN at 742; others start", bombs::forks),
    scene(12, "attack_12_thread_bomb", "threads without end", "EAGAIN at 742; others start", bombs::threads),
    scene(
        13,
        "attack_13_memory_bomb",
        "three times the memory",
        "SIGKILL; init and /tmp survive",
        bombs::memory,
    ),
    scene(
        14,
        "attack_14_descriptors",
        "raise the limit, open files without end",
        "EPERM; EMFILE at 1024",
        bombs::descriptors,
    ),
    scene(
        15,
        "attack_15_fill_tmp",
        "fill /tmp with bytes, with files",
        "ENOSPC, nobody is killed",
        bombs::tmp,
    ),
    scene(
        17,
        "attack_17_connect",
        "connect to the host's listeners, another jail's, the metadata address",
        "refused or unreachable",
        neighbours::connections,
    ),
    scene(
        18,
        "attack_18_unix_sockets",
        "connect to the host's and others' Unix sockets by abstract name and path",
        "ECONNREFUSED, ENOENT",
        neighbours::unix_sockets,
    ),
    scene(
        20,
        "attack_20_close_everything",
        "close all descriptors, the channel too",
        "seen at once; killed; the next process starts",
        deaths::closed,
    ),
    scene(23, "attack_23_stop_itself", "SIGSTOP itself", "killed like any other", freezing::stopped),
    scene(
        24,
        "attack_24_daemon",
        "a daemon and a child that sends SIGCONT, while frozen and after the end",
        "stand still while frozen, go on with it, die with it",
        freezing::daemons,
    ),
    scene(
        24,
        "attack_24_end_while_idle",
        "end just when it is to be frozen",
        "the next process runs",
        freezing::ends,
    ),
    steps(25, "attack_25_oom_score", "lower the own oom_score_adj, change init's", "EACCES", walls::SCORES),
    scene(
        26,
        "attack_26_exit_codes",
        "end by code, abort, crash, signal",
        "the status is told as it is",
        deaths::codes,
    ),
    Row {
        number: 27,
        name: "attack_27_privileges",
        attack: "TIOCSTI, core dumps, setuid files, setresuid",
        defence: "EPERM; core limit 0; user 993 stays 993",
        tries: walls::PRIVILEGES,
        test: deaths::setuid,
    },
    steps(
        29,
        "attack_29_symlinks",
        "links in /var/task to host paths, to /, upwards",
        "resolved inside: ENOENT",
        walls::LINKS,
    ),
    scene(
        30,
        "attack_30_kill_9_of_lambkin",
        "kill -9 of lambkin with jails that run and that are frozen",
        "all die; the next start removes their groups",
        deaths::lambkin,
    ),
    scene(
        30,
        "attack_30_kill_9_of_helpers",
        "kill -9 of the spawner, of an init",
        "what was in the jails dies; the next jail works",
        deaths::helpers,
    ),
    scene(
        30,
        "attack_30_callers_that_leave",
        "stop waiting for a jail while it is made, again and again",
        "no group of it is left",
        deaths::callers,
    ),
    steps(31, "attack_31_machine", "set clocks, the host's name, reboot", "EPERM", walls::MACHINE),
    scene(
        32,
        "attack_32_noisy_neighbour",
        "four threads that burn CPU in 128 MB",
        "7.2 % of a CPU; unlimited only in init",
        freezing::quota,
    ),
    scene(
        33,
        "attack_33_before_its_code",
        "in a process that is there before its code: see some, keep the directory below it, write into it",
        "empty until it is assigned; the function's, read-only, afterwards",
        assignment::late,
    ),
    steps(
        34,
        "attack_34_shared_counts",
        "use up inotify instances and pending signals, which the kernel counts for lambkin's user too",
        "EMFILE at 8; EAGAIN at 256",
        walls::SHARED_COUNTS,
    ),
];

/// For SPECIFICATION.md.
pub(crate) fn print_table() {
    println!("| # | attack | comes to | test |\n|---|---|---|---|");
    for Row { number, name, attack, defence, .. } in ROWS {
        println!("| {number} | {attack} | {defence} | `{name}` |");
    }
}
