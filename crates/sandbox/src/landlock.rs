//! Landlock for a function's processes: a second wall behind the read-only mounts and the namespaces,
//! should one of them have a hole. As much of it as the kernel knows.
//!
//! Writing is for `/tmp`, a compile cache that is to be made, a few devices and the first process's own `/proc` alone; reading and executing
//! are not handled at all, as the jail's root has only what may be read. No signals and no abstract
//! sockets reach out of the domain.
//!
//! Where lambkin makes a jail's connections (`jail::guard`) the kernel refuses all that a function would make by
//! itself, whatever socket it has come by.
//!
//! Deliberately not here: TCP ports (a function may use any), and from ABI 9 on sockets with a path, which are in
//! the mounts or not there.

use std::io;
use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus,
    PathBeneath, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
    path_beneath_rules,
};

/// Writing ends with device ioctls (ABI 5); the scopes came after (ABI 6).
const WRITES: ABI = ABI::V5;
const SCOPES: ABI = ABI::V6;
/// The first that knows TCP: Linux 6.7.
const TCP: ABI = ABI::V4;

/// Everything may be made and removed below these. The second is the directory above that of a compile cache,
/// which is mounted late, and read-only but where it is to be made.
const WRITABLE: [&str; 2] = ["/tmp", "/var/lang/cache"];

/// What exists below these may be written. Of `/proc` only the own directory, which is that of the
/// process that calls [`restrict`] and stays its when it executes a program; its children have no
/// such rule. What they lose are settings of themselves (`oom_score_adj`), which programs that try
/// them can do without.
const OVERWRITABLE: [&str; 7] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/proc/self"];

/// What a process may do with TCP by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tcp {
    /// What its network namespace has.
    Free,
    /// Neither connect nor bind. Disconnecting stays, and `listen`, which Landlock does not know.
    Refused,
}

/// What the kernel could do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Landlocked {
    /// The kernel's Landlock ABI; 0 where it has none or it is switched off.
    pub(crate) abi: i32,
    /// Whether writing is restricted. Not by ABI 1 (Linux 5.13 to 5.18): with it no file could be
    /// moved from one directory to another, not even below `/tmp`.
    pub(crate) writes: bool,
    /// Whether signals and abstract sockets stay inside: from ABI 6 (Linux 6.12) on.
    pub(crate) scopes: bool,
}

/// Restricts the calling thread and all that it will start, and sets `no_new_privs`. To be called by a
/// process with one thread, when `/tmp`, `/dev` and `/proc` are the jail's; paths that are not there are
/// left out. The seccomp filter does not stand in its way, whichever comes first.
///
/// An older kernel is no error, unless TCP is to be refused: the answer says what was done.
pub(crate) fn restrict(tcp: Tcp) -> io::Result<Landlocked> {
    let writes = AccessFs::from_write(WRITES);
    // An ioctl on a device that is open for reading is asked for here, too: `isatty` makes one.
    let overwrites: BitFlags<AccessFs> = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let restrict = || {
        let ruleset = match tcp {
            Tcp::Free => Ruleset::default(),
            Tcp::Refused => Ruleset::default()
                .set_compatibility(CompatLevel::HardRequirement)
                .handle_access(AccessNet::from_all(TCP))?,
        };
        ruleset
            // Without it nothing at all is restricted, see `Landlocked::writes`.
            .set_compatibility(CompatLevel::SoftRequirement)
            .handle_access(AccessFs::Refer)?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(writes)?
            .scope(Scope::from_all(SCOPES))?
            .create()?
            .add_rules(path_beneath_rules(WRITABLE, writes))?
            .add_rules(path_beneath_rules(OVERWRITABLE, overwrites))?
            .restrict_self()
    };
    let status = restrict().map_err(io::Error::other)?;
    let abi = match status.landlock {
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => 0,
        LandlockStatus::Available { effective_abi, kernel_abi } => kernel_abi.unwrap_or(effective_abi as i32),
    };
    let enforced = status.ruleset != RulesetStatus::NotEnforced;
    Ok(Landlocked { abi, writes: enforced, scopes: enforced && abi >= SCOPES as i32 })
}

/// For a process that makes plain files, directories and links below one directory: it reads and writes there
/// alone, executes nothing, and reaches nobody, as far as the kernel knows all that.
pub(crate) fn restrict_to(directory: BorrowedFd<'_>) -> io::Result<()> {
    // No FIFOs, which would keep waiting whoever opens them afterwards, no devices, no sockets.
    let below = AccessFs::ReadDir
        | AccessFs::ReadFile
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSym;
    let restrict = || {
        Ruleset::default()
            .handle_access(AccessFs::from_all(WRITES))?
            .handle_access(AccessNet::from_all(TCP))?
            .scope(Scope::from_all(SCOPES))?
            .create()?
            .add_rule(PathBeneath::new(directory, below))?
            .restrict_self()
    };
    restrict().map(drop).map_err(io::Error::other)
}

/// Whether this kernel can refuse TCP, or why not.
pub(crate) fn knows_tcp() -> Result<(), String> {
    // Only the thread that asks is restricted, and this one ends at once.
    let tried = std::thread::spawn(|| restrict(Tcp::Refused)).join();
    match tried.unwrap_or_else(|_| Err(io::Error::other("the thread that tried it panicked"))) {
        Ok(Landlocked { abi, .. }) if abi >= TCP as i32 => Ok(()),
        Ok(_) | Err(_) => Err("Landlock that knows TCP is missing: Linux 6.7 has it".into()),
    }
}

/// What it does on this machine, or what it cannot.
pub(crate) fn try_out() -> Result<String, String> {
    // Only the thread that asks is restricted, and this one ends at once.
    let tried = std::thread::spawn(|| restrict(Tcp::Free)).join();
    match tried.unwrap_or_else(|_| Err(io::Error::other("the thread that tried it panicked"))) {
        Ok(Landlocked { abi, writes: true, scopes: true }) => {
            Ok(format!("ABI {abi}: writing, signals and abstract sockets"))
        }
        Ok(Landlocked { abi: 0, .. }) => {
            Err("this kernel has none, or it is switched off (lsm=landlock)".into())
        }
        Ok(Landlocked { abi, writes, .. }) => {
            let part = if writes { "only writing is restricted" } else { "nothing is restricted" };
            Err(format!("ABI {abi}: {part}; Linux 6.12 has all of it"))
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
    use std::process::Command;

    use super::*;
    use crate::forked;

    /// What this kernel is asked to do here; the same for every process.
    fn possible() -> Landlocked {
        let code = forked::code(|| restrict(Tcp::Free).map_or(255, |landlocked| landlocked.abi));
        assert_ne!(code, 255, "restrict failed");
        Landlocked { abi: code, writes: code >= 2, scopes: code >= 6 }
    }

    /// Each line of the script prints its number when its command fails.
    fn failures(script: &str, restricted: bool) -> Vec<String> {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script);
        if restricted {
            forked::before_program(&mut command, || restrict(Tcp::Free).map(drop));
        }
        let output = command.output().expect("a shell");
        String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
    }

    #[test]
    fn writing_is_for_tmp_alone() {
        let outside = tempfile::tempdir_in("/var/tmp").expect("a directory");
        let inside = tempfile::tempdir_in("/tmp").expect("a directory");
        let (o, i) = (outside.path().display(), inside.path().display());
        let refused = format!(
            "(echo a > {o}/new) 2>&- || echo new; (echo a >> {o}/old) 2>&- || echo append; (: > {o}/old) 2>&- || echo truncate
             mkdir {o}/made 2>&- || echo mkdir; ln -s a {o}/link 2>&- || echo link; mkfifo {o}/pipe 2>&- || echo fifo
             mv {o}/old {i}/ 2>&- || echo out; cp {i}/x {o}/x 2>&- || echo in; rm {o}/gone 2>&- || echo remove
             (cat /proc/$PPID/oom_score_adj > /proc/$PPID/oom_score_adj) 2>&- || echo parent"
        );
        let prepare = || {
            std::fs::remove_dir_all(&outside).expect("removed");
            std::fs::create_dir(&outside).expect("made");
            for file in [outside.path().join("old"), outside.path().join("gone"), inside.path().join("x")] {
                std::fs::write(file, "text").expect("written");
            }
        };
        prepare();
        assert_eq!(failures(&refused, false), [""; 0]);
        prepare();
        let all = ["new", "append", "truncate", "mkdir", "link", "fifo", "out", "in", "remove", "parent"];
        let expected: &[&str] = if possible().writes { &all } else { &[] };
        assert_eq!(failures(&refused, true), expected);

        let allowed = format!(
            "mkdir {i}/a {i}/b || echo mkdir; echo a > {i}/a/f || echo new; mv {i}/a/f {i}/b/g || echo move
             ln {i}/b/g {i}/a/h || echo link; mkfifo {i}/a/p || echo fifo; : > {i}/b/g || echo truncate; rm -r {i}/a || echo remove
             echo a > /dev/null || echo null; ls / > /dev/null || echo read; /bin/true || echo execute
             echo 500 > /proc/self/oom_score_adj || echo own; (true > /proc/self/fd/1) || echo pipe
             test -r /etc/passwd || echo passwd"
        );
        assert_eq!(failures(&allowed, true), [""; 0]);
    }

    #[test]
    fn signals_and_abstract_sockets_stay_inside() {
        let name = format!("lambkin-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        let _listener = UnixListener::bind_addr(&address).expect("a listener");
        let tried = |restricted: bool| {
            forked::code(|| {
                if restricted && restrict(Tcp::Free).is_err() {
                    return 255;
                }
                let connected = UnixStream::connect_addr(&address).is_ok();
                let parent = rustix::process::getppid().expect("a parent");
                let signalled = rustix::process::test_kill_process(parent).is_ok();
                i32::from(connected) + 2 * i32::from(signalled)
            })
        };
        assert_eq!(tried(false), 3);
        assert_eq!(tried(true), if possible().scopes { 0 } else { 3 });
    }

    #[test]
    fn tcp_is_refused_where_that_is_asked_for() {
        if knows_tcp().is_err() {
            return println!("NOT TESTED: this kernel's Landlock does not know TCP");
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let tried = |tcp: Option<Tcp>| {
            forked::code(|| {
                if tcp.is_some_and(|tcp| restrict(tcp).is_err()) {
                    return 255;
                }
                let refused = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
                let connected = TcpStream::connect(address).map_or_else(refused, |_| false);
                let bound = TcpListener::bind("127.0.0.1:0").map_or_else(refused, |_| false);
                i32::from(connected) + 2 * i32::from(bound)
            })
        };
        assert_eq!(tried(None), 0);
        assert_eq!(tried(Some(Tcp::Free)), 0);
        assert_eq!(tried(Some(Tcp::Refused)), 3);
    }
}
