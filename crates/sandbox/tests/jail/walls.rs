//! Steps against what a jail shows and lets be changed: files, devices, `/proc`, init, clocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::process::parent_id;

use libc::{SIGKILL, SIGSTOP, SIGTERM};

use crate::calls::{NO, Outcome, call, done, forked, text};
use crate::tries::{Try, assert_contained, attempt, below_root, marker};

fn outcome<T>(result: io::Result<T>) -> Outcome {
    result.map(drop).map_err(|error| error.raw_os_error().unwrap_or(0))
}

/// Reads its first byte; an empty file is none.
fn first_byte(path: impl AsRef<std::path::Path>) -> Outcome {
    match File::open(path).and_then(|mut file| file.read(&mut [0; 1])) {
        Ok(0) => Err(libc::ENOENT),
        other => outcome(other),
    }
}

/// Lists a directory; an empty one is none.
fn listed(path: &str) -> Outcome {
    match fs::read_dir(path).map(|mut entries| entries.next().is_some()) {
        Ok(false) => Err(libc::ENOENT),
        other => outcome(other),
    }
}

fn there(path: &str) -> Outcome {
    outcome(fs::metadata(path))
}

const SEEN: &str = "done|EACCES|EPERM";

pub(crate) const HOST_FILES: &[Try] = &[
    attempt("read /etc/shadow", || first_byte("/etc/shadow"), "ENOENT").outside(SEEN),
    attempt("read a file by its host path", || first_byte(marker()), "ENOENT"),
    attempt("read it by /proc/self/root", || first_byte(format!("/proc/self/root{}", marker())), "ENOENT"),
    attempt("read it above /", || first_byte(format!("/../../../..{}", marker())), "ENOENT"),
    attempt(
        "read it above the working directory",
        || first_byte(format!("/proc/self/cwd/../../../../../../..{}", marker())),
        "ENOENT",
    ),
    attempt("list /root", || listed("/root"), "ENOENT|EACCES").outside(SEEN),
    attempt("list /home", || listed("/home"), "ENOENT|EACCES").outside(SEEN),
    attempt("list /var/lib", || listed("/var/lib"), "ENOENT").outside(SEEN),
    attempt("list /var/log", || listed("/var/log"), "ENOENT").outside(SEEN),
    attempt("list /run", || listed("/run"), "ENOENT").outside(SEEN),
    attempt("list /sys/fs/cgroup", || listed("/sys/fs/cgroup"), "ENOENT").outside(SEEN),
    attempt("list /sys/kernel", || listed("/sys/kernel"), "ENOENT").outside(SEEN),
    attempt("see /dev/ptmx", || there("/dev/ptmx"), "ENOENT"),
    attempt("see /dev/pts", || there("/dev/pts"), "ENOENT"),
    attempt("see /dev/shm", || there("/dev/shm"), "ENOENT"),
    attempt("see /dev/mem", || there("/dev/mem"), "ENOENT"),
    attempt("see /dev/kmsg", || there("/dev/kmsg"), "ENOENT"),
    attempt("see /dev/fuse", || there("/dev/fuse"), "ENOENT"),
    attempt("see /dev/net/tun", || there("/dev/net/tun"), "ENOENT"),
    attempt("see /dev/loop-control", || there("/dev/loop-control"), "ENOENT"),
    attempt("read /proc/kcore", || first_byte("/proc/kcore"), "ENOENT|EACCES").outside(SEEN),
    attempt("read /proc/kallsyms", || first_byte("/proc/kallsyms"), "ENOENT|EACCES"),
    attempt("read /proc/keys", || first_byte("/proc/keys"), "ENOENT|EACCES"),
    attempt("read /proc/interrupts", || first_byte("/proc/interrupts"), "ENOENT|EACCES"),
    attempt("read /proc/timer_list", || first_byte("/proc/timer_list"), "ENOENT|EACCES").outside(SEEN),
];

/// Of the process that has started this one: the jail's init, or the test.
fn parent(file: &str) -> String {
    format!("/proc/{}/{file}", parent_id())
}

const CLOSED: &str = "EACCES|EPERM";

pub(crate) const INIT_IN_PROC: &[Try] = &[
    attempt("read /proc/1/environ", || outcome(fs::read(parent("environ"))), CLOSED),
    attempt("read /proc/1/maps", || outcome(fs::read(parent("maps"))), CLOSED),
    attempt("read /proc/1/auxv", || outcome(fs::read(parent("auxv"))), CLOSED),
    attempt("open /proc/1/mem", || outcome(File::open(parent("mem"))), CLOSED),
    attempt(
        "open /proc/1/mem to write",
        || outcome(OpenOptions::new().write(true).open(parent("mem"))),
        CLOSED,
    ),
    attempt("list /proc/1/fd", || listed(&parent("fd")), CLOSED),
    attempt("open /proc/1/fd/0", || outcome(File::open(parent("fd/0"))), CLOSED),
    attempt("list /proc/1/root", || listed(&parent("root/")), CLOSED),
    attempt("list /proc/1/cwd", || listed(&parent("cwd/")), CLOSED),
    attempt("follow /proc/1/exe", || outcome(fs::read_link(parent("exe"))), CLOSED),
    attempt("run /proc/1/exe", || outcome(File::open(parent("exe"))), CLOSED),
    attempt("open /proc/1/ns/mnt", || outcome(File::open(parent("ns/mnt"))), CLOSED),
    attempt("open /proc/1/ns/user", || outcome(File::open(parent("ns/user"))), CLOSED),
    attempt("see other processes in /proc", others, "ENOENT"),
    attempt("see others' threads in /proc", other_threads, "ENOENT"),
];

fn others() -> Outcome {
    let own = [1, std::process::id(), parent_id()];
    let entries = fs::read_dir("/proc").map_err(|_| libc::EIO)?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    if pids.into_iter().any(|pid| !own.contains(&pid)) { Ok(()) } else { Err(libc::ENOENT) }
}

/// By number, without listing.
fn other_threads() -> Outcome {
    let own = [1, std::process::id(), parent_id()];
    let is_there = |pid: &u32| fs::metadata(format!("/proc/{pid}/task")).is_ok();
    if (1..70_000).filter(|pid| !own.contains(pid)).any(|pid| is_there(&pid)) {
        Ok(())
    } else {
        Err(libc::ENOENT)
    }
}

/// Made, and removed again where it could be.
fn made(directory: &str) -> Outcome {
    let path = below_root(directory) + "/lambkin-new";
    let made = outcome(File::create(&path));
    // Where it could not be made there is nothing to remove.
    let _ = fs::remove_file(&path);
    made
}

fn overwritten(file: &str) -> Outcome {
    outcome(OpenOptions::new().write(true).open(below_root(file)))
}

fn new_directory() -> Outcome {
    let path = below_root("/var/task/lambkin-new");
    let made = outcome(fs::create_dir(&path));
    // As above.
    let _ = fs::remove_dir(&path);
    made
}

fn new_mode() -> Outcome {
    use std::os::unix::fs::PermissionsExt as _;
    outcome(fs::set_permissions(below_root("/var/task/probe"), fs::Permissions::from_mode(0o777)))
}

fn device() -> Outcome {
    let path = std::ffi::CString::new(below_root("/tmp/lambkin-device")).map_err(|_| libc::EINVAL)?;
    // The first memory device: /dev/mem.
    let made = done(
        libc::SYS_mknodat,
        [
            libc::AT_FDCWD as usize,
            path.as_ptr() as usize,
            (libc::S_IFCHR | 0o666) as usize,
            libc::makedev(1, 1) as usize,
            0,
        ],
    );
    // As above.
    let _ = fs::remove_file(below_root("/tmp/lambkin-device"));
    made
}

fn remounted() -> Outcome {
    let flags = libc::MS_REMOUNT | libc::MS_BIND;
    done(libc::SYS_mount, [0, text(c"/"), 0, flags as usize, 0])
}

const READ_ONLY: &str = "EROFS|EACCES";

pub(crate) const READ_ONLY_FILES: &[Try] = &[
    attempt("make a file in /", || made(""), READ_ONLY),
    attempt("make a file in /var/task", || made("/var/task"), READ_ONLY),
    attempt("make a file in /var/lang", || made("/var/lang"), READ_ONLY),
    attempt("make a file in /var/lang/bin", || made("/var/lang/bin"), READ_ONLY),
    attempt("make a file in /var/runtime", || made("/var/runtime"), READ_ONLY),
    attempt("make a file in /opt", || made("/opt"), READ_ONLY),
    attempt("make a file in /etc", || made("/etc"), READ_ONLY),
    attempt("make a file in /usr/lib", || made("/usr/lib"), READ_ONLY),
    attempt("make a file in /dev", || made("/dev"), READ_ONLY),
    attempt("make a file in /tmp, which is allowed", || made("/tmp"), "done"),
    attempt("overwrite /etc/passwd", || overwritten("/etc/passwd"), READ_ONLY),
    attempt("overwrite the own program", || overwritten("/var/task/probe"), "EROFS|EACCES|ETXTBSY"),
    attempt("make a directory in /var/task", new_directory, READ_ONLY),
    attempt("change modes in /var/task", new_mode, READ_ONLY),
    attempt(
        "write /proc/sys/kernel/hostname",
        || outcome(OpenOptions::new().write(true).open("/proc/sys/kernel/hostname")),
        READ_ONLY,
    ),
    attempt(
        "write /proc/sys/user/max_user_namespaces",
        || outcome(OpenOptions::new().write(true).open("/proc/sys/user/max_user_namespaces")),
        READ_ONLY,
    ),
    attempt(
        "write /proc/sys/kernel/core_pattern",
        || outcome(OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern")),
        READ_ONLY,
    ),
    attempt("make a device in /tmp", device, "EPERM|EACCES"),
    attempt("remount / writable", remounted, "EPERM").only_in_namespaces(),
];

fn signal(signal: i32) -> Outcome {
    if signal != 0 {
        assert_contained();
    }
    done(libc::SYS_kill, [parent_id() as usize, signal as usize, 0, 0, 0])
}

fn signal_by_pidfd() -> Outcome {
    let init = call(libc::SYS_pidfd_open, [parent_id() as usize, 0, 0, 0, 0])?;
    done(libc::SYS_pidfd_send_signal, [init, 0, 0, 0, 0])
}

fn signal_thread() -> Outcome {
    let init = parent_id() as usize;
    done(libc::SYS_tgkill, [init, init, 0, 0, 0])
}

fn signal_all() -> Outcome {
    assert_contained();
    done(libc::SYS_kill, [NO, SIGKILL as usize, 0, 0, 0])
}

fn foreign_limits() -> Outcome {
    let mut limits = [0_u64; 2];
    done(
        libc::SYS_prlimit64,
        [parent_id() as usize, libc::RLIMIT_NOFILE as usize, 0, limits.as_mut_ptr() as usize, 0],
    )
}

pub(crate) const SIGNALS: &[Try] = &[
    attempt("signal 0 to 1", || signal(0), "EPERM"),
    attempt("signal 0 to 1 by pidfd", signal_by_pidfd, "EPERM"),
    attempt("signal 0 to 1 by tgkill", signal_thread, "EPERM"),
    attempt("SIGTERM to 1", || signal(SIGTERM), "EPERM").only_in_namespaces(),
    attempt("SIGSTOP to 1", || signal(SIGSTOP), "EPERM").only_in_namespaces(),
    attempt("SIGKILL to 1", || signal(SIGKILL), "EPERM").only_in_namespaces(),
    // An ordinary user's function has its init's user, and this asks for nothing more. All that it can
    // reach so is the end of its own jail.
    attempt("read the limits of 1", foreign_limits, "EPERM").for_an_ordinary_user("done"),
    attempt("SIGKILL to -1", signal_all, "ESRCH").only_in_namespaces(),
];

pub(crate) const LINKS: &[Try] = &[
    attempt("open a link to a host path", || first_byte(below_root("/var/task/to-marker")), "ENOENT"),
    attempt("open below a link to /", || first_byte(below_root("/var/task/to-root") + &marker()), "ENOENT"),
    attempt(
        "open below a link that goes up",
        || first_byte(below_root("/var/task/up") + &marker()),
        "ENOENT",
    ),
];

fn lower_own_score() -> Outcome {
    outcome(fs::write("/proc/self/oom_score_adj", "-1"))
}

/// As it is, so that nothing changes where it can be written.
fn score_of_init() -> Outcome {
    let score = fs::read(parent("oom_score_adj")).map_err(|_| libc::EIO)?;
    outcome(
        OpenOptions::new()
            .write(true)
            .open(parent("oom_score_adj"))
            .and_then(|mut file| io::Write::write_all(&mut file, &score)),
    )
}

pub(crate) const SCORES: &[Try] = &[
    attempt("own oom_score_adj below 0", lower_own_score, "EACCES"),
    attempt("oom_score_adj of 1", score_of_init, CLOSED),
    attempt(
        "own oom_score_adj up, which is allowed",
        || outcome(fs::write("/proc/self/oom_score_adj", "900")),
        "done",
    ),
];

pub(crate) const MACHINE: &[Try] = &[
    attempt("sethostname", || done(libc::SYS_sethostname, [text(c"x"), 1, 0, 0, 0]), "EPERM")
        .only_in_namespaces(),
    attempt("setdomainname", || done(libc::SYS_setdomainname, [text(c"x"), 1, 0, 0, 0]), "EPERM")
        .only_in_namespaces(),
    // Without a time it sets none, but asks for the right to.
    attempt("settimeofday", || done(libc::SYS_settimeofday, [0; 5]), "EPERM"),
    // A clock that is not there.
    attempt("clock_settime", || done(libc::SYS_clock_settime, [99, 0, 0, 0, 0]), "EPERM").outside("EINVAL"),
    attempt(
        "adjtimex",
        || done(libc::SYS_adjtimex, [[0_u64; 32].as_mut_ptr() as usize, 0, 0, 0, 0]),
        "EPERM",
    ),
    attempt(
        "clock_adjtime",
        || done(libc::SYS_clock_adjtime, [0, [0_u64; 32].as_mut_ptr() as usize, 0, 0, 0]),
        "EPERM",
    ),
    attempt("reboot, by a wrong number", || done(libc::SYS_reboot, [0; 5]), "EPERM").outside("EINVAL"),
];

/// Into a new terminal, where one can be had.
fn type_into_terminal() -> Outcome {
    match OpenOptions::new().read(true).write(true).open("/dev/ptmx") {
        Ok(terminal) => {
            use std::os::fd::AsRawFd as _;
            done(libc::SYS_ioctl, [terminal.as_raw_fd() as usize, 0x5412, text(c"x"), 0, 0])
        }
        Err(_) => done(libc::SYS_ioctl, [1, 0x5412, text(c"x"), 0, 0]),
    }
}

fn core_limit() -> Outcome {
    forked(|| done(libc::SYS_prlimit64, [0, libc::RLIMIT_CORE as usize, [2_u64, 2].as_ptr() as usize, 0, 0]))
}

fn become_root() -> Outcome {
    forked(|| done(libc::SYS_setresuid, [0, 0, 0, 0, 0]))
}

fn become_root_group() -> Outcome {
    forked(|| done(libc::SYS_setresgid, [0, 0, 0, 0, 0]))
}

/// One more than a jail may have.
fn inotify_instances() -> Outcome {
    forked(|| (0..9).try_for_each(|_| done(libc::SYS_inotify_init1, [0; 5])))
}

fn timers() -> Outcome {
    let timer = |_| {
        let mut number = 0_i32;
        let clock = libc::CLOCK_MONOTONIC as usize;
        done(libc::SYS_timer_create, [clock, 0, (&raw mut number) as usize, 0, 0])
    };
    forked(|| (0..300).try_for_each(timer))
}

/// Of what the kernel counts for all jails together, and for lambkin's user besides.
pub(crate) const SHARED_COUNTS: &[Try] = &[
    attempt("nine inotify instances", inotify_instances, "EMFILE"),
    attempt("300 timers, each with a signal that waits", timers, "EAGAIN"),
];

pub(crate) const PRIVILEGES: &[Try] = &[
    attempt("TIOCSTI", type_into_terminal, "EPERM").outside("done|ENOTTY|EIO"),
    attempt("TIOCLINUX", || done(libc::SYS_ioctl, [1, 0x541c, text(c"\x03"), 0, 0]), "EPERM")
        .outside("ENOTTY"),
    attempt("allow core dumps", core_limit, "EPERM"),
    attempt("setresuid to root", become_root, "EPERM|EINVAL"),
    attempt("setresgid to root", become_root_group, "EPERM|EINVAL"),
];
