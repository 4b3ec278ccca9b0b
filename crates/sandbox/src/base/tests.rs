//! Bases made from this machine's files, and entered.

#![expect(unsafe_code, reason = "entering a root has no safe interface")]

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output};
use std::time::SystemTime;

use rustix::thread::UnshareFlags;
use tempfile::TempDir;

use super::*;
use crate::seccomp::Filter;
use crate::{capabilities, forked, landlock};

/// A directory for bases, which may have directories that nobody may write to.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn base(&self) -> Base {
        Base::prepare(self.0.path()).expect("a base")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(self.0.path());
    }
}

/// Runs a program of a base, in it, as a user whom nothing there belongs to. With a `node` everything
/// is as in a jail (but for the namespaces): it is mounted over its place, with `/dev`, `/proc` and `/tmp`, and
/// confined.
fn run_in(base: &Base, node: Option<&Path>, program: &str, arguments: &[&str]) -> Output {
    let c = |path: &Path| CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    let root = c(base.path());
    let over = |path: &str| c(&base.path().join(path));
    let mounts: Vec<_> = node
        .map(|node| {
            // Before version 10 it waits for /dev/urandom to come.
            let [dev, proc] = ["/dev", "/proc"].map(Path::new);
            [(c(node), over("var/lang/bin/node")), (c(dev), over("dev")), (c(proc), over("proc"))]
        })
        .into_iter()
        .flatten()
        .collect();
    let (tmp, filter) = (node.map(|_| over("tmp")), Filter::for_functions());
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", "/var/lang/bin:/usr/bin:/bin").current_dir("/");
    forked::before_program(&mut command, move || {
        let (number, group) = (rustix::process::geteuid(), rustix::process::getegid());
        let is_root = number.is_root();
        let user = if is_root { UnshareFlags::empty() } else { UnshareFlags::NEWUSER };
        forked::unshare(user | UnshareFlags::NEWNS)?;
        if !is_root {
            // A user without numbers cannot make files.
            fs::write("/proc/self/uid_map", format!("993 {number} 1"))?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/gid_map", format!("990 {group} 1"))?;
        }
        let null = std::ptr::null();
        // SAFETY: all are NUL-terminated strings or null where the call allows it.
        let failed = unsafe {
            libc::mount(null, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE, null.cast()) != 0
                || mounts.iter().any(|(from, to)| {
                    let flags = libc::MS_BIND | libc::MS_REC;
                    libc::mount(from.as_ptr(), to.as_ptr(), null, flags, null.cast()) != 0
                })
                || tmp.as_ref().is_some_and(|tmp| {
                    let (kind, options) = (c"tmpfs".as_ptr(), c"mode=1777".as_ptr());
                    libc::mount(kind, tmp.as_ptr(), kind, 0, options.cast()) != 0
                })
                || libc::chroot(root.as_ptr()) != 0
                || libc::chdir(c"/".as_ptr()) != 0
        };
        if failed {
            return Err(io::Error::last_os_error());
        }
        capabilities::drop_bounding()?;
        // SAFETY: numbers and null.
        if is_root && unsafe { libc::setgroups(0, std::ptr::null()) != 0 || libc::setuid(54_321) != 0 } {
            return Err(io::Error::last_os_error());
        }
        if tmp.is_some() {
            capabilities::drop_all()?;
            landlock::restrict(landlock::Tcp::Free)?;
            filter.install()?;
        }
        Ok(())
    });
    command.output().expect("a program")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every file, directory and link of a base with what `lstat` says.
fn walk(directory: &Path, visit: &mut impl FnMut(&Path, &fs::Metadata)) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        visit(&path, &metadata);
        if metadata.is_dir() {
            walk(&path, visit);
        }
    }
}

#[test]
fn a_shell_and_the_usual_programs_run() {
    let place = Place::new();
    let base = &place.base();
    let output =
        run_in(base, None, "/bin/sh", &["-c", "echo hi; cd /tmp && ls / | sort | head -n 3; id -un 993"]);
    assert_eq!(text(&output.stdout), "hi\nbin\ndev\netc\nsbx_user1051\n", "{output:?}");
    let script =
        "printf 'b\\na\\n' | sort | sed s/a/c/ | awk '{print $1 1}' | gzip | gunzip | grep c1 | base64";
    let output = run_in(base, None, "/usr/bin/bash", &["-c", script]);
    assert_eq!(text(&output.stdout), "YzEK\n", "{output:?}");
    let output = run_in(base, None, "/bin/sh", &["-c", "TZ=Asia/Tokyo date -d @0 +%H%Z; date -d @0 +%H%Z"]);
    assert_eq!(text(&output.stdout), "09JST\n00UTC\n", "{output:?}");
}

#[test]
fn every_program_finds_its_libraries() {
    let place = Place::new();
    let base = &place.base();
    let mut names = Vec::new();
    for entry in fs::read_dir(base.path().join("usr/bin")).expect("programs") {
        names.push(entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    }
    for wanted in
        ["sh", "bash", "env", "ls", "grep", "sed", "awk", "tar", "gzip", "find", "xargs", "which", "stat"]
    {
        assert!(names.iter().any(|name| name == wanted), "{wanted} is missing: {names:?}");
    }
    // What they make of it is theirs; 127 is the loader's, and the shell's for what is not there.
    let script = names.iter().map(|name| {
        format!("said=$(/usr/bin/{name} --version < /etc/group 2>&1); test $? != 127 || echo {name}: $said\n")
    });
    let script: String = script.collect();
    let output = run_in(base, None, "/bin/sh", &["-c", &script]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
}

#[test]
fn nothing_is_privileged_writable_or_leads_out() {
    let place = Place::new();
    let base = &place.base();
    let mut sizes = 0;
    let mut seen = BTreeSet::new();
    walk(base.path(), &mut |path, metadata| {
        use std::os::unix::fs::MetadataExt as _;
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_symlink() {
            let target = fs::read_link(path).expect("a target");
            let from = if target.is_absolute() { base.path() } else { path.parent().expect("a parent") };
            let real = fs::canonicalize(from.join(target.strip_prefix("/").unwrap_or(&target)));
            // A link of a link may begin at the root, which here is the host's: it must lead to a copy.
            let real = real.expect("a link that leads somewhere");
            let copied = if real.starts_with(base.path()) {
                real
            } else {
                base.path().join(real.strip_prefix("/").expect("absolute"))
            };
            assert!(copied.exists(), "{} leads to {}", path.display(), copied.display());
        } else {
            assert!(mode == 0o555 || mode == 0o444 && metadata.is_file(), "{}: {mode:o}", path.display());
        }
        if metadata.is_file() && seen.insert(metadata.ino()) {
            sizes += metadata.len();
        }
    });
    assert!(sizes <= 25 << 20, "{sizes} bytes");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    for private in [place.0.path().to_string_lossy().into_owned(), host.trim().to_owned() + "\n"] {
        walk(&base.path().join("etc"), &mut |path, metadata| {
            if metadata.is_file() {
                let text = fs::read(path).expect("a file");
                assert!(
                    !text.windows(private.len()).any(|part| part == private.as_bytes()),
                    "{}",
                    path.display()
                );
            }
        });
    }
    for absent in ["root", "home/sbx_user1051", "etc/shadow", "etc/hostname", "etc/ld.so.preload"] {
        assert!(!base.path().join(absent).exists(), "{absent}");
    }
    for present in ["proc", "dev", "tmp", "var/task/lib", "var/runtime/node_modules", "opt", "sys", "home"] {
        assert_eq!(fs::read_dir(base.path().join(present)).expect(present).count(), 0, "{present}");
    }
    let certificates = base.path().join("etc/ssl/certs/ca-certificates.crt");
    assert!(fs::read_to_string(certificates).expect("certificates").contains("BEGIN CERTIFICATE"));
}

/// A recipe whose programs are two of a directory's, one of them with set-id bits.
fn small(directory: &Path) -> Recipe {
    let bin = directory.join("bin");
    fs::create_dir(&bin).expect("a directory");
    fs::copy("/bin/true", bin.join("mine")).expect("a copy");
    fs::set_permissions(bin.join("mine"), Permissions::from_mode(0o6755)).expect("set-id");
    std::os::unix::fs::symlink("mine", bin.join("alias")).expect("a link");
    fs::write(directory.join("secret"), "text").expect("a file");
    std::os::unix::fs::symlink("../secret", bin.join("out")).expect("a link");
    let mut recipe = Recipe::of_host();
    recipe.search.insert(0, bin.clone());
    recipe.programs = vec!["sh", "alias", "mine", "out", "absent"];
    recipe.tops.push(bin);
    recipe
}

#[test]
fn a_base_is_made_again_only_when_something_changed() {
    let (sources, place) = (tempfile::tempdir().expect("sources"), Place::new());
    let recipe = small(sources.path());
    let prepare = |recipe: &Recipe| Base::from_recipe(place.0.path(), recipe).expect("a base");
    fs::write(place.0.path().join("another's"), "").expect("a file that is no base");
    let first = prepare(&recipe);
    let mine = sources.path().join("bin/mine");
    let inside = |base: &Base, path: &Path| base.path().join(path.strip_prefix("/").expect("absolute"));
    let mode = fs::metadata(inside(&first, &mine)).expect("copied").permissions().mode();
    assert_eq!(mode & 0o7777, 0o555);
    assert_eq!(
        fs::read_link(inside(&first, &sources.path().join("bin/alias"))).expect("a link"),
        Path::new("mine")
    );
    assert!(!inside(&first, &sources.path().join("secret")).exists());
    assert!(inside(&first, &sources.path().join("bin/out")).symlink_metadata().is_err());

    let made = |base: &Base| fs::metadata(base.path()).expect("a root").created().ok();
    let when = made(&first);
    fs::create_dir_all(place.0.path().join("new/root")).expect("what a killed lambkin left");
    assert_eq!((prepare(&recipe), when), (first.clone(), made(&first)));
    let alone = |base: &Base| {
        let mut entries: Vec<_> =
            fs::read_dir(place.0.path()).expect("a place").map(|entry| entry.expect("one").path()).collect();
        entries.sort();
        let mut expected =
            [base.path().parent().expect("its own").to_owned(), place.0.path().join("another's")];
        expected.sort();
        assert_eq!(entries, expected);
    };
    alone(&first);

    fs::File::open(&mine).expect("mine").set_modified(SystemTime::UNIX_EPOCH).expect("a time");
    let second = prepare(&recipe);
    assert_ne!(second, first);
    alone(&second);

    fs::copy("/bin/true", sources.path().join("bin/absent")).expect("a new program");
    let third = prepare(&recipe);
    assert_ne!(third, second);
    assert!(inside(&third, &sources.path().join("bin/absent")).exists());
    alone(&third);

    // Cut short, as by a crash or a full disk.
    let manifest = third.path().with_file_name("manifest");
    let text = fs::read(&manifest).expect("a manifest");
    fs::write(&manifest, &text[..text.len() / 2]).expect("written");
    assert_eq!(prepare(&recipe), third);
    assert_eq!(fs::read(&manifest).expect("a manifest"), text);
    alone(&third);
}

#[test]
#[ignore = "needs Node.js binaries: LAMBKIN_RUNTIMES, as `cargo xtask test` sets it"]
fn every_node_runs_confined() {
    let place = Place::new();
    let base = &place.base();
    let directory = std::env::var_os("LAMBKIN_RUNTIMES").expect("LAMBKIN_RUNTIMES");
    let mut ran = 0;
    walk(Path::new(&directory), &mut |path, metadata| {
        if metadata.is_file() && path.file_name().is_some_and(|name| name == "node") {
            let arguments = ["30", "node", "-e", include_str!("tests/features.js")];
            let output = run_in(base, Some(path), "/usr/bin/timeout", &arguments);
            let said = (text(&output.stdout), output.status.code());
            assert_eq!(said, ("end\n".to_owned(), Some(0)), "{}: {}", path.display(), text(&output.stderr));
            ran += 1;
        }
    });
    assert_ne!(ran, 0, "no node below LAMBKIN_RUNTIMES");
}
