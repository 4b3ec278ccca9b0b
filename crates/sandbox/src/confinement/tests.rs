//! Each try gets through where nothing confines it, as root and as an ordinary user.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{Mode, OFlags, mkdirat, openat, symlinkat};
use rustix::process::{Gid, Uid};
use rustix::process::{getpid, test_kill_process};
use rustix::thread::{set_thread_gid, set_thread_uid};

use super::*;
use crate::forked;

const BOUNDS: Bounds = Bounds { cpu_seconds: 60, file_bytes: 1 << 20, memory_bytes: 1 << 40 };
/// `nobody`.
const USER: u32 = 65_534;

struct Place {
    root: tempfile::TempDir,
    listener: TcpListener,
}

type Try = (&'static str, fn(&Path, &TcpListener) -> bool);

/// Below `inside` is what the process is confined to.
const REFUSED: &[Try] = &[
    ("read", |at, _| fs::read(at.join("outside/file")).is_ok()),
    ("read by a link", |at, _| fs::read(at.join("inside/link")).is_ok()),
    ("list", |at, _| fs::read_dir(at.join("outside")).is_ok()),
    ("make", |at, _| File::create(at.join("outside/made")).is_ok()),
    ("write", |at, _| File::options().append(true).open(at.join("outside/file")).is_ok()),
    ("remove", |at, _| fs::remove_file(at.join("outside/gone")).is_ok()),
    ("take in", |at, _| fs::hard_link(at.join("outside/file"), at.join("inside/hard")).is_ok()),
    ("carry out", |at, _| fs::rename(at.join("inside/own"), at.join("outside/own")).is_ok()),
    ("change a mode", |at, _| {
        fs::set_permissions(at.join("outside/file"), fs::Permissions::from_mode(0o777)).is_ok()
    }),
    ("make a FIFO", |at, _| {
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, at.join("inside/fifo"), kind, Mode::RWXU, 0).is_ok()
    }),
    ("a process", |_, _| Command::new("/bin/true").status().is_ok_and(|status| status.success())),
    ("a thread", |_, _| std::thread::Builder::new().spawn(|| ()).is_ok()),
    ("TCP", |_, listener| TcpStream::connect(listener.local_addr().expect("an address")).is_ok()),
    ("UDP", |_, _| UdpSocket::bind("127.0.0.1:0").is_ok()),
    ("a signal", |_, _| test_kill_process(getpid()).is_ok()),
    // A signal says so, and ends it.
    ("a large file", |at, _| {
        let file = File::create(at.join("inside/large"));
        file.is_ok_and(|mut file| {
            file.seek(SeekFrom::Start(BOUNDS.file_bytes)).is_ok() && file.write_all(b"x").is_ok()
        })
    }),
];

impl Place {
    fn new(user: u32) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let at = root.path();
        for name in ["inside", "outside"] {
            fs::create_dir(at.join(name)).expect("a directory");
        }
        for name in ["inside/own", "outside/file", "outside/gone"] {
            fs::write(at.join(name), "text").expect("a file");
        }
        symlink(at.join("outside/file"), at.join("inside/link")).expect("a link");
        for name in ["", "inside", "outside", "inside/own", "outside/file", "outside/gone"] {
            chown(at.join(name), Some(user), Some(user)).expect("an owner");
        }
        Self { root, listener: TcpListener::bind("127.0.0.1:0").expect("a listener") }
    }

    /// What got through, each tried in a process of its own.
    fn through(&self, user: u32, confined: bool) -> Vec<&'static str> {
        let at = self.root.path();
        let tried = REFUSED.iter().filter(|(_, act)| {
            let status = forked::status(|| {
                become_user(user);
                let inside = File::open(at.join("inside")).expect("a directory");
                if confined {
                    confine(inside.as_fd(), BOUNDS).expect("confined");
                }
                i32::from(act(at, &self.listener))
            });
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 1
        });
        tried.map(|(what, _)| *what).collect()
    }
}

fn become_user(user: u32) {
    if user != 0 && rustix::process::geteuid().is_root() {
        // The copy has one thread.
        set_thread_gid(Gid::from_raw(user)).expect("its group");
        set_thread_uid(Uid::from_raw(user)).expect("its user");
    }
}

fn users() -> Vec<u32> {
    let own = rustix::process::geteuid().as_raw();
    if own == 0 { vec![0, USER] } else { vec![own] }
}

#[test]
fn nothing_else_is_reached() {
    for user in users() {
        let all: Vec<_> = REFUSED.iter().map(|(what, _)| *what).collect();
        assert_eq!(Place::new(user).through(user, false), all, "user {user} without walls");
        // Without Landlock the files are those of the user.
        if landlock::try_out().is_err() {
            println!("NOT TESTED: this kernel's Landlock does not know all of it");
            continue;
        }
        assert_eq!(Place::new(user).through(user, true), [""; 0], "user {user}");
    }
}

#[test]
fn files_are_made_below_it() {
    for user in users() {
        let place = Place::new(user);
        let at = place.root.path();
        let code = forked::code(|| {
            become_user(user);
            let inside = File::open(at.join("inside")).expect("a directory");
            confine(inside.as_fd(), BOUNDS).expect("confined");
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            mkdirat(&inside, "a", Mode::RWXU).expect("a directory");
            let below = openat(&inside, "a", flags, Mode::empty()).expect("the directory");
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let mut file = File::from(openat(&below, "f", flags, Mode::RWXU).expect("a file"));
            file.write_all(&[7; 1000]).expect("written");
            file.set_permissions(fs::Permissions::from_mode(0o755)).expect("a mode");
            symlinkat("f", &below, "l").expect("a link");
            let mut much: Vec<u8> = Vec::new();
            much.resize(50 << 20, 1);
            i32::from(much[much.len() - 1])
        });
        assert_eq!(code, 1);
        assert_eq!(fs::read(at.join("inside/a/l")).expect("the file").len(), 1000);
    }
}

#[test]
fn its_time_and_memory_are_bounded() {
    let place = Place::new(rustix::process::geteuid().as_raw());
    let status = forked::status(|| {
        let inside = File::open(place.root.path().join("inside")).expect("a directory");
        confine(inside.as_fd(), Bounds { cpu_seconds: 1, ..BOUNDS }).expect("confined");
        loop {
            std::hint::spin_loop();
        }
    });
    assert!(libc::WIFSIGNALED(status), "{status:x}");
    let tried = |memory_bytes| {
        forked::code(|| {
            let inside = File::open(place.root.path().join("inside")).expect("a directory");
            confine(inside.as_fd(), Bounds { memory_bytes, ..BOUNDS }).expect("confined");
            i32::from(Vec::<u8>::new().try_reserve(2 << 30).is_ok())
        })
    };
    assert_eq!((tried(BOUNDS.memory_bytes), tried(1 << 30)), (1, 0));
}
