//! What a started process is given, what is said where it cannot be started, and what it costs.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::{Launcher as _, SandboxSpec};
use lambkin_sandbox::{Config, ProcessLauncher, SPAWNER_ARGUMENT};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bed::{Bed, stat, stream, with_text};
use crate::cases::Test;
use crate::sandboxes::{fresh_id, read, until};
use crate::waiting::{run, within};
use crate::{DESCRIPTORS, FLOOD};

pub(crate) const TESTS: &[Test] = &[
    ("variables_are_exactly_those_given", || run(variables())),
    ("the_runtime_api_s_address_stays_over_all_starts", || run(runtime_api())),
    ("descriptors_are_0_to_3", || run(descriptors())),
    ("session_signals_limits_and_umask_are_defaults", || run(defaults())),
    ("channel_goes_both_ways", || run(channel())),
    ("what_cannot_run_is_named", || run(refusals())),
    ("spawner_that_cannot_start_is_named", || run(no_spawner())),
    ("spawner_called_by_hand_says_so", by_hand),
    ("flood_blocks_the_writer_and_loses_nothing", || run(flooded())),
    ("hundred_start_at_once", || run(hundred())),
    ("peak_memory_is_measured_until_the_end", || run(peak_memory())),
    ("one_process_at_a_time", || run(one_at_a_time())),
    ("large_variables_are_carried_and_too_large_ones_refused", || run(large())),
];

const FLOOD_LINES: u32 = 300_000;

fn own_program() -> String {
    std::env::current_exe().expect("a path").to_string_lossy().into_owned()
}

async fn variables() {
    let bed = Bed::new().await;
    let mut spec = bed.spec(&["/bin/cat", "/proc/self/environ"]);
    spec.variables.insert("EMPTY".into(), String::new());
    spec.variables.insert("TEXT".into(), "=a b\n\"ü\"".into());
    let mut sandbox = bed.open(&spec).await;
    let process = within(sandbox.start()).await.expect("a process");
    let given: String = spec.variables.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
    assert_eq!(read(process.output).await, given);
    bed.launcher.shutdown().await;
}

async fn descriptors() {
    // What lambkin's own parent may have left open without the flag.
    let leaked = rustix::pipe::pipe().expect("a pipe");
    let bed = Bed::new().await;
    let spec = bed.spec(&[&own_program(), DESCRIPTORS]);
    let mut sandbox = bed.open(&spec).await;
    let process = within(sandbox.start()).await.expect("a process");
    let text = read(process.output).await;
    let lines: Vec<_> = text.lines().map(|line| line.split_once(' ').expect("two words")).collect();
    let numbers: Vec<_> = lines.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, ["0", "1", "2", "3"], "{text}");
    assert_eq!(lines[0].1, "/dev/null");
    assert!(lines[1].1.starts_with("pipe:") && lines[1].1 == lines[2].1, "{text}");
    assert!(lines[3].1.starts_with("socket:"), "{text}");
    drop(leaked);
    bed.launcher.shutdown().await;
}

pub(crate) fn print_descriptors() {
    let entries = fs::read_dir("/proc/self/fd").expect("own descriptors");
    let mut lines = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        let target = fs::read_link(&path).expect("a target");
        // The one that lists.
        if !target.starts_with("/proc") {
            lines.push(format!("{} {}", path.file_name().expect("a number").display(), target.display()));
        }
    }
    lines.sort();
    println!("{}", lines.join("\n"));
}

async fn defaults() {
    let bed = Bed::new().await;
    let files = ["stat", "status", "limits"].map(|name| format!("/proc/self/{name}"));
    let spec = bed.spec(&["/bin/cat", &files[0], &files[1], &files[2]]);
    let mut sandbox = bed.open(&spec).await;
    let text = read(within(sandbox.start()).await.expect("a process").output).await;
    let mut stat = text.split(' ');
    let pid = stat.next().expect("a number");
    let fields: Vec<_> = stat.skip(3).take(3).collect();
    assert_eq!(fields, [pid, pid, "0"], "group, session and terminal");
    let line =
        |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
    for name in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        assert_eq!(line(name).split_whitespace().nth(1), Some("0000000000000000"), "{name}");
    }
    assert_eq!(line("Umask:"), "Umask:\t0022");
    let limit = |name: &str| {
        line(name)[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit("Max open files"), ["1024", "1024"]);
    assert_eq!(limit("Max core file size"), ["1", "1"]);
    bed.launcher.shutdown().await;
}

async fn channel() {
    let bed = Bed::new().await;
    let (_sandbox, _, process) = bed.shell("pwd; cat <&3 >&3").await;
    let mut channel = stream(process.channel);
    let sent = vec![b'x'; 6 * 1024 * 1024];
    let (mut reader, mut writer) = channel.split();
    let send = async {
        writer.write_all(&sent).await.expect("sent");
        writer.shutdown().await.expect("closed");
    };
    let mut received = Vec::new();
    let receive = async { reader.read_to_end(&mut received).await.expect("received") };
    within(async { tokio::join!(send, receive) }).await;
    assert!(received == sent, "{} of {} bytes", received.len(), sent.len());
    assert_eq!(within(process.exit).await, ExitStatus::Code(0));
    assert_eq!(
        read(process.output).await.trim(),
        bed.sources().code.unwrap().to_string_lossy(),
        "the working directory"
    );
    bed.launcher.shutdown().await;
}

async fn runtime_api() {
    let bed = Bed::new().await;
    let with = SandboxSpec {
        runtime_api: true,
        ..bed.spec(&["/bin/sh", "-c", "printf %s $AWS_LAMBDA_RUNTIME_API"])
    };
    let mut sandbox = bed.open(&with).await;
    let listener = std::net::TcpListener::from(sandbox.runtime_api().expect("a listener"));
    assert!(sandbox.runtime_api().is_none(), "once");
    assert_eq!(listener.accept().expect_err("nobody").kind(), std::io::ErrorKind::WouldBlock);
    let address = listener.local_addr().expect("an address");
    assert!(address.ip().is_loopback());
    for _ in 0..2 {
        let process = within(sandbox.start()).await.expect("a process");
        within(process.exit).await;
        assert_eq!(read(process.output).await, address.to_string());
    }
    let mut without = bed.open(&bed.spec(&["/bin/true"])).await;
    assert!(without.runtime_api().is_none());
    bed.launcher.shutdown().await;
}

async fn refusals() {
    let bed = Bed::new().await;
    let refusal = bed.refusal(bed.spec(&["/nowhere/node"])).await;
    assert_eq!(refusal.0, "/nowhere/node cannot be run: No such file or directory (os error 2)");

    let file = bed.directory.path().join("not-a-program");
    fs::write(&file, "exit 0").expect("a file");
    let path = file.to_string_lossy();
    let refusal = bed.refusal(bed.spec(&[&path])).await;
    assert_eq!(refusal.0, format!("{path} cannot be run: Permission denied (os error 13)"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("permissions");
    let refusal = bed.refusal(bed.spec(&[&path])).await;
    assert_eq!(refusal.0, format!("{path} cannot be run: Exec format error (os error 8)"));

    let mut spec = bed.spec(&["/bin/true"]);
    spec.sources.code = Some(bed.directory.path().join("gone"));
    let refusal = bed.refusal(spec).await;
    assert_eq!(refusal.0, "the task root cannot be entered: No such file or directory (os error 2)");

    for id in ["../../../../../../../../etc/passwd", "", "a/b"] {
        let spec = SandboxSpec { id: id.into(), ..bed.spec(&["/bin/true"]) };
        assert!(bed.launcher.open(spec).await.is_err(), "{id}");
    }
    bed.launcher.shutdown().await;
}

async fn no_spawner() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config =
        Config { spawner: "/nowhere/lambkin".into(), ..Config::new(directory.path().join("environments")) };
    let error = ProcessLauncher::start(config).await.err().expect("a refusal");
    assert_eq!(
        error.0,
        "the spawner /nowhere/lambkin cannot be started: No such file or directory (os error 2)"
    );

    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    let error =
        ProcessLauncher::start(Config::new(file.join("environments"))).await.err().expect("a refusal");
    assert!(error.0.contains("Not a directory"), "{error}");
}

fn by_hand() {
    let by_hand = Command::new("/proc/self/exe")
        .arg(SPAWNER_ARGUMENT)
        .stdin(Stdio::null())
        .output()
        .expect("a program");
    assert_eq!(by_hand.status.code(), Some(1));
    let said = String::from_utf8(by_hand.stderr).expect("text");
    assert!(said.contains("not to be called by hand"), "{said}");
}

async fn flooded() {
    let bed = Bed::new().await;
    let spec = bed.spec(&[&own_program(), FLOOD]);
    let mut sandbox = bed.open(&spec).await;
    let process = within(sandbox.start()).await.expect("a process");
    // Full at its 64 KiB, less what does not fill a page; and the writer sleeps.
    let held = || rustix::io::ioctl_fionread(&process.output).expect("a number of bytes");
    let sleeps = || with_text(&spec.id).iter().all(|pid| stat(*pid, 1).as_deref() == Some("S"));
    until("the pipe is full", || (60_000..=65_536).contains(&held()) && sleeps()).await;
    let output = BufReader::new(fs::File::from(blocking(process.output)));
    let reader = std::thread::spawn(move || {
        let mut next = 0;
        for line in output.lines() {
            assert_eq!(line.expect("a line"), next.to_string());
            next += 1;
        }
        next
    });
    assert_eq!(within(process.exit).await, ExitStatus::Code(0));
    assert_eq!(reader.join().expect("all lines in order"), FLOOD_LINES);
    bed.launcher.shutdown().await;
}

fn blocking(fd: std::os::fd::OwnedFd) -> std::os::fd::OwnedFd {
    rustix::io::ioctl_fionbio(fd.as_fd(), false).expect("a pipe");
    fd
}

pub(crate) fn flood() {
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    for line in 0..FLOOD_LINES {
        writeln!(stdout, "{line}").expect("written");
    }
}

async fn hundred() {
    let bed = Bed::new().await;
    let started = (0..100).map(|_| async {
        let (sandbox, id, process) = bed.shell("echo $ID; read word <&3; exit 3").await;
        (sandbox, id, process)
    });
    // All run before the first may end.
    let mut all = Vec::new();
    for one in futures(started).await {
        all.push(one);
    }
    for (_sandbox, id, process) in all {
        drop(process.channel);
        assert_eq!(within(process.exit).await, ExitStatus::Code(3));
        assert_eq!(read(process.output).await.trim(), id);
    }
    bed.launcher.shutdown().await;
}

/// Drives all of them at once.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut waiting = false;
        for (future, result) in all.iter_mut().filter(|(_, result)| result.is_none()) {
            match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => *result = Some(value),
                std::task::Poll::Pending => waiting = true,
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    all.into_iter().filter_map(|(_, result)| result).collect()
}

async fn peak_memory() {
    let bed = Bed::new().await;
    // A shell that has read 32 MiB into one of its variables.
    let script = "read a <&3; x=$(head -c 33554432 /dev/zero | tr '\\0' x); echo ${#x}; read b <&3";
    let (_sandbox, _, process) = bed.shell(script).await;
    let before = process.control.peak_memory().expect("its memory");
    let mut channel = stream(process.channel);
    channel.write_all(b"a\n").await.expect("sent");
    until("it has used 32 MiB", || process.control.peak_memory() > Some(before + 32 * 1024 * 1024)).await;
    channel.write_all(b"b\n").await.expect("sent");
    assert_eq!(within(process.exit).await, ExitStatus::Code(0));
    assert_eq!(process.control.peak_memory(), None);
    bed.launcher.shutdown().await;
}

async fn one_at_a_time() {
    let bed = Bed::new().await;
    let (mut sandbox, id, process) = bed.shell("read word <&3").await;
    let refusal = within(sandbox.start()).await.err().expect("a refusal");
    assert_eq!(refusal.0, "the environment's last process has not ended");
    drop(process.channel);
    assert_eq!(within(process.exit).await, ExitStatus::Code(1), "the first runs on");
    let second = within(sandbox.start()).await.expect("another one");
    assert!(within(sandbox.start()).await.is_err());
    drop(sandbox);
    assert_eq!(within(second.exit).await, ExitStatus::Signal(9), "a refused start hides it from nobody");
    until("its directory is gone", || !bed.environment(&id).exists()).await;
    bed.launcher.shutdown().await;
}

async fn large() {
    let bed = Bed::new().await;
    let mut spec = bed.spec(&["/bin/sh", "-c", "echo ${#LARGE}"]);
    spec.variables.insert("LARGE".into(), "x".repeat(120_000));
    let mut sandbox = bed.open(&spec).await;
    assert_eq!(read(within(sandbox.start()).await.expect("a process").output).await, "120000\n");
    spec.variables.insert("MORE".into(), "x".repeat(20_000));
    spec.id = fresh_id();
    assert!(bed.launcher.open(spec).await.is_err());
    bed.launcher.shutdown().await;
}

/// `cargo test --release -p lambkin-sandbox --test processes -- costs`
pub(crate) fn costs() {
    run(async {
        let bed = Bed::new().await;
        let (mut starts, mut ends, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..200 {
            let mut sandbox = bed.open(&bed.spec(&["/bin/cat"])).await;
            let from = Instant::now();
            let process = within(sandbox.start()).await.expect("a process");
            starts.push(from.elapsed());
            // Its standard input is /dev/null.
            within(process.exit).await;
            ends.push(from.elapsed());
            let from = Instant::now();
            let status = Command::new("/bin/cat").stdin(Stdio::null()).stdout(Stdio::null()).status();
            assert!(status.expect("cat").success());
            bare.push(from.elapsed());
        }
        println!("start until it runs  {:?}", median(&mut starts));
        println!("start until its end  {:?}", median(&mut ends));
        println!("bare spawn and wait  {:?}", median(&mut bare));
        let (_sandbox, _, process) = bed.shell("read word <&3").await;
        let from = Instant::now();
        for _ in 0..100_000 {
            assert!(process.control.peak_memory().is_some());
        }
        println!("peak_memory          {:?}", from.elapsed() / 100_000);
        let from = Instant::now();
        let all = futures((0..100).map(|_| bed.shell("read word <&3"))).await;
        println!("100 starts at once   {:?}", from.elapsed());
        let from = Instant::now();
        all.iter().for_each(|(_, _, process)| process.control.kill());
        futures(all.into_iter().map(|(_, _, process)| process.exit)).await;
        println!("100 ends at once     {:?}", from.elapsed());
        bed.launcher.shutdown().await;
    });
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
