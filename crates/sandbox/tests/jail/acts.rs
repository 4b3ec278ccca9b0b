//! What hostile functions do that is more than a step: this program as the function's, by name.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, kill_process};

use crate::calls::{self, channel, fork_for, name};

/// As which program this one starts itself.
pub(crate) const ACT: &str = "__act";

const TICK: Duration = Duration::from_millis(1);

pub(crate) fn run(act: &str, arguments: &[&str]) {
    let number = |index: usize| arguments[index].parse::<u64>().expect("a number");
    match act {
        "user" => println!("{}", rustix::process::geteuid().as_raw()),
        "once" => {
            if !fs::exists("/tmp/once").expect("a look") {
                File::create("/tmp/once").expect("a file");
                std::process::exit(7);
            }
            run(arguments[0], &arguments[1..]);
        }
        "exit" => std::process::exit(i32::try_from(number(0)).expect("a code")),
        "signal" => end_by(arguments[0]),
        "forks" => forks(number(0)),
        "threads" => threads(number(0)),
        "memory" => memory(number(0), arguments.get(1).copied()),
        "descriptors" => descriptors(number(0)),
        "bytes" => bytes(&temporary(arguments), number(0)),
        "files" => files(&temporary(arguments), number(0)),
        "connect" => arguments.iter().for_each(|to| println!("{to}\t{}", connect(to))),
        "listen" => listen(number(0), arguments[1]),
        "hold" => hold(arguments[0]),
        "find" => find(&format!("{}{}", arguments[0], arguments[1]), Path::new(arguments[2])),
        "close" => close(),
        "stop" => stop(),
        "family" => family(),
        "burn" => burn(number(0), number(1)),
        other => panic!("no act {other}"),
    }
}

fn temporary(arguments: &[&str]) -> PathBuf {
    arguments.get(1).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
}

/// Until the other end of the channel closes.
fn wait() {
    let mut channel = channel();
    while channel.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
}

fn error(error: &std::io::Error) -> String {
    name(Err(error.raw_os_error().unwrap_or(0)))
}

fn end_by(signal: &str) {
    match signal {
        "abort" => std::process::abort(),
        "kill" => kill_process(rustix::process::getpid(), Signal::KILL).expect("sent"),
        "fpe" => kill_process(rustix::process::getpid(), Signal::FPE).expect("sent"),
        "term" => kill_process(rustix::process::getpid(), Signal::TERM).expect("sent"),
        other => panic!("no signal {other}"),
    }
}

/// Says how many children there can be at once, and stays with them where there is a channel.
fn forks(most: u64) {
    let mut made = 0;
    let ended = loop {
        if made == most {
            break Ok(());
        }
        match fork_for(|| {
            loop {
                thread::park();
            }
        }) {
            Ok(_) => made += 1,
            Err(errno) => break Err(errno),
        }
    };
    println!("{made} {}", name(ended));
    stay();
}

fn threads(most: u64) {
    let mut made = 0;
    let ended = loop {
        if made == most {
            break Ok(());
        }
        let started = thread::Builder::new().stack_size(16 * 1024).spawn(|| {
            loop {
                thread::park();
            }
        });
        match started {
            Ok(_) => made += 1,
            Err(error) => break Err(error.raw_os_error().unwrap_or(0)),
        }
    };
    println!("{made} {}", name(ended));
    stay();
    std::process::exit(0);
}

/// Where it has a channel.
fn stay() {
    if is_socket(3) {
        wait();
    }
}

fn is_socket(number: i32) -> bool {
    fs::read_link(format!("/proc/self/fd/{number}"))
        .is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
}

/// So many megabytes at once; with a file that remembers the first time.
fn memory(megabytes: u64, kept: Option<&str>) {
    if let Some(kept) = kept {
        if let Ok(text) = fs::read_to_string(kept) {
            println!("kept {text}");
            return;
        }
        fs::write(kept, "since the first run").expect("written");
        // Down to what init has: the kernel is to take this one all the same.
        fs::write("/proc/self/oom_score_adj", "0").expect("written");
    }
    let all: Vec<Vec<u8>> = (0..megabytes).map(|byte| vec![byte as u8 | 1; 1 << 20]).collect();
    println!("{} megabytes", all.len());
    stay();
}

fn descriptors(most: u64) {
    let wanted = Rlimit { current: Some(most + 10), maximum: Some(most + 10) };
    let raised = rustix::process::setrlimit(Resource::Nofile, wanted).map_err(|errno| errno.raw_os_error());
    let mut open = Vec::new();
    let ended = loop {
        if open.len() as u64 == most {
            break Ok(());
        }
        match File::open("/dev/null") {
            Ok(file) => open.push(file),
            Err(error) => break Err(error.raw_os_error().unwrap_or(0)),
        }
    };
    let count = open.len();
    drop(open);
    println!("{} {count} {}", name(raised), name(ended));
}

fn bytes(directory: &Path, most: u64) {
    let mut file = File::create(directory.join("bytes")).expect("a file");
    let piece = vec![7_u8; 1 << 16];
    let mut written = 0;
    let ended = loop {
        if written >= most {
            break "done".to_owned();
        }
        match file.write(&piece) {
            Ok(length) => written += length as u64,
            Err(failed) => break error(&failed),
        }
    };
    println!("{written} {ended}");
}

fn files(directory: &Path, most: u64) {
    let below = directory.join("files");
    fs::create_dir(&below).expect("a directory");
    let mut made = 0;
    let ended = loop {
        if made == most {
            break "done".to_owned();
        }
        match File::create(below.join(made.to_string())) {
            Ok(_) => made += 1,
            Err(failed) => break error(&failed),
        }
    };
    println!("{made} {ended}");
}

/// An address with a port, or `@` and an abstract name, or a path.
fn connect(to: &str) -> String {
    let connected = if let Some(name) = to.strip_prefix('@') {
        UnixAddress::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address)).map(drop)
    } else if to.starts_with('/') {
        UnixStream::connect(to).map(drop)
    } else {
        let address: SocketAddr = to.parse().expect("an address");
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop)
    };
    match connected {
        Err(failed) if failed.kind() == std::io::ErrorKind::TimedOut => "ETIMEDOUT".into(),
        Err(failed) => error(&failed),
        Ok(()) => "done".into(),
    }
}

/// On every address of its network, and on an abstract name.
fn listen(port: u64, abstract_name: &str) {
    let port = u16::try_from(port).expect("a port");
    let _tcp = TcpListener::bind(("0.0.0.0", port)).expect("a listener");
    let address = UnixAddress::from_abstract_name(abstract_name).expect("an address");
    let _unix = UnixListener::bind_addr(&address).expect("a listener");
    for to in [format!("127.0.0.1:{port}"), format!("@{abstract_name}")] {
        println!("{to}\t{}", connect(&to));
    }
    wait();
}

/// Has a secret in its command line and in a file of `/tmp`.
fn hold(secret: &str) {
    let directory = std::env::var("TMPDIR").unwrap_or_else(|_| "/tmp".into());
    fs::write(Path::new(&directory).join("secret"), secret).expect("written");
    println!("held");
    wait();
}

/// Looks for it everywhere but in this very process.
fn find(secret: &str, files: &Path) {
    let has = |path: &Path| {
        fs::read(path)
            .is_ok_and(|bytes| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()))
    };
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.parse::<u32>().is_ok() && name != own) {
            ["cmdline", "environ"]
                .iter()
                .filter(|file| has(&entry.path().join(file)))
                .for_each(|file| println!("{file}"));
        }
    }
    let mut directories = vec![files.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_file() && has(&entry.path()) => println!("file"),
                _ => {}
            }
        }
    }
    println!("looked");
}

/// The second time it does nothing.
fn close() {
    if fs::exists("/tmp/closed").expect("a look") {
        std::process::exit(7);
    }
    File::create("/tmp/closed").expect("a file");
    calls::close_everything();
    loop {
        thread::park();
    }
}

fn stop() {
    println!("stops");
    kill_process(rustix::process::getpid(), Signal::STOP).expect("sent");
    println!("goes on");
}

/// Letters on the channel, every millisecond: `p` from this process, `t` from a thread of it, `c`
/// from a child that also wakes its parent, `d` from a daemon, which is a grandchild with a session
/// of its own.
fn family() {
    let own = rustix::process::getpid();
    let tick = move |letter: u8| {
        let mut stream = channel();
        loop {
            if stream.write_all(&[letter]).is_err() {
                std::process::exit(0);
            }
            if letter == b'c' {
                // It may be stopped.
                let _ = kill_process(own, Signal::CONT);
            }
            thread::sleep(TICK);
        }
    };
    fork_for(|| tick(b'c')).expect("a child");
    calls::daemon(|| tick(b'd'));
    thread::spawn(move || tick(b't'));
    tick(b'p');
}

/// Burns CPU with so many threads for so many milliseconds each time it is told to, and says how many
/// milliseconds of CPU it got.
fn burn(count: u64, milliseconds: u64) {
    let mut channel = channel();
    let mut word = [0; 1];
    while channel.read(&mut word).is_ok_and(|length| length > 0) {
        let (before, end) = (calls::cpu_time(), Instant::now() + Duration::from_millis(milliseconds));
        thread::scope(|scope| {
            for _ in 0..count {
                scope.spawn(|| while Instant::now() < end {});
            }
        });
        println!("{}", calls::cpu_time() - before);
    }
}
