//! Attacks on being stopped: between invocations, and by the CPU's quota.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lambkin_model::exit::ExitStatus;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::acts::ACT;
use crate::bed::{Bed, Outside, line, pipe};
use crate::processes;
use crate::report::Report;
use crate::rows::Row;
use crate::sandboxes::{read, until};
use crate::waiting::{deadline, run, slowness, within};

/// Everything that ticks does so every millisecond: after this time without a tick it stands still.
const QUIET: Duration = Duration::from_millis(300);

const LETTERS: &[u8] = b"cdpt";

/// Reads until each letter has come again.
async fn all_tick(channel: &mut UnixStream) {
    let mut missing: HashSet<u8> = LETTERS.iter().copied().collect();
    let mut buffer = [0; 4096];
    while !missing.is_empty() {
        let length = within(channel.read(&mut buffer)).await.expect("ticks");
        assert_ne!(length, 0, "all has ended");
        missing.retain(|letter| !buffer[..length].contains(letter));
    }
}

/// Reads until nothing comes any more; says whether that came to be.
async fn stands_still(channel: &mut UnixStream, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let mut buffer = [0; 4096];
    while Instant::now() < deadline {
        match tokio::time::timeout(QUIET, channel.read(&mut buffer)).await {
            Ok(read) => assert_ne!(read.expect("ticks"), 0, "all has ended"),
            Err(_) => return true,
        }
    }
    false
}

fn stream(channel: std::os::fd::OwnedFd) -> UnixStream {
    UnixStream::from_std(channel.into()).expect("a non-blocking socket")
}

/// A child that wakes its parent, a thread and a daemon: none runs while the environment is frozen.
pub(crate) fn daemons(_: &Row, report: &mut Report) {
    run(async {
        let plain = Outside::new().await;
        let (sandbox, process) = plain.act(&["family"]).await;
        let mut channel = stream(process.channel);
        all_tick(&mut channel).await;
        process.control.freeze();
        assert!(!stands_still(&mut channel, Duration::from_secs(1)).await, "nothing stops a plain process");
        drop(sandbox);
        plain.end().await;

        let bed = Bed::new().await;
        let (sandbox, process) = bed.act(&["family"]).await;
        let mut channel = stream(process.channel);
        all_tick(&mut channel).await;
        for _ in 0..3 {
            process.control.freeze();
            assert!(stands_still(&mut channel, deadline()).await, "it is frozen");
            process.control.thaw();
            all_tick(&mut channel).await;
        }
        process.control.freeze();
        assert!(stands_still(&mut channel, deadline()).await, "it is frozen");
        report.held();
        let before = processes::named("lambkin-init").len();
        drop(sandbox);
        // Frozen or not: everybody who held the channel is dead.
        let mut rest = Vec::new();
        // Where it died with ticks unread, the socket says so.
        let _ = within(channel.read_to_end(&mut rest)).await;
        assert_eq!(within(process.exit).await, ExitStatus::Signal(9));
        until("init is gone", || processes::named("lambkin-init").len() < before).await;
        report.held();
        bed.end().await;
    });
}

/// A function that stops itself is killed like any other.
pub(crate) fn stopped(_: &Row, report: &mut Report) {
    run(async {
        let mut child = Command::new("/proc/self/exe")
            .args([ACT, "stop"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program");
        let pid = child.id().cast_signed();
        until("it has stopped", || processes::is_stopped(pid)).await;
        kill_process(Pid::from_raw(pid).expect("a process"), Signal::CONT).expect("sent");
        assert!(child.wait().expect("its end").success());

        let bed = Bed::new().await;
        let (mut sandbox, process) = bed.act(&["stop"]).await;
        let mut output = pipe(process.output);
        assert_eq!(line(&mut output).await, "stops");
        process.control.freeze();
        process.control.kill();
        assert_eq!(within(process.exit).await, ExitStatus::Signal(9));
        let next = within(sandbox.start()).await.expect("the next process in the same jail");
        next.control.kill();
        within(next.exit).await;
        assert!(!read(next.output).await.contains("goes on"));
        drop(sandbox);
        bed.end().await;
    });
    report.held();
}

/// What four threads get of the CPU in a second: all there is during init, 7.2 % of one afterwards.
pub(crate) fn quota(_: &Row, report: &mut Report) {
    const WALL: u64 = 1_000;
    run(async {
        let bed = Bed::new().await;
        if let Some(why) = bed.lacks("CPU limit") {
            bed.end().await;
            return report.not_tested(why);
        }
        let mut spec = bed.spec(&["burn", "4", &WALL.to_string()]);
        spec.memory_mb = 128;
        let mut sandbox = bed.open(spec).await;
        let process = within(sandbox.start()).await.expect("a process");
        let (mut channel, mut output) = (stream(process.channel), pipe(process.output));
        let mut got = [0; 2];
        for (index, got) in got.iter_mut().enumerate() {
            if index == 1 {
                process.control.freeze();
                process.control.thaw();
            }
            channel.write_all(b"x").await.expect("told");
            *got = line(&mut output).await.parse::<u64>().expect("milliseconds");
        }
        let [during_init, afterwards] = got;
        // 1,447 us in each 20 ms, and what the last period may be over it; where a tick of the clock takes long,
        // each period.
        let share = if slowness() > 1 { 18 } else { 10 };
        assert!(afterwards < WALL * share / 100, "{afterwards} ms of CPU in a second");
        if during_init > 3 * WALL * share / 100 {
            report.held();
        } else {
            report.not_tested(format!("the machine is too busy: {during_init} ms of CPU without a quota"));
        }
        drop(sandbox);
        bed.end().await;
    });
}

/// A process that has ended must not freeze the next one in its jail, whoever still holds on to it.
pub(crate) fn ends(_: &Row, report: &mut Report) {
    run(async {
        let bed = Bed::new().await;
        let (mut sandbox, first) = bed.act(&["once", "family"]).await;
        assert_eq!(within(first.exit).await, ExitStatus::Code(7));
        first.control.freeze();
        let process = within(sandbox.start()).await.expect("a process");
        let mut channel = stream(process.channel);
        let begun = Instant::now();
        while begun.elapsed() < QUIET {
            all_tick(&mut channel).await;
        }
        drop(first.control);
        drop(sandbox);
        bed.end().await;
    });
    report.held();
}
