//! Ends of all kinds: a function's own, its init's, the spawner's, lambkin's; and programs that would
//! make root of who runs them.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::Launcher as _;
use lambkin_sandbox::JailLauncher;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt as _;

use crate::acts::ACT;
use crate::bed::{Bed, PROGRAM, SETUID, Setuid, config, directory, put_program, spec};
use crate::processes;
use crate::report::{Report, is_root};
use crate::rows::Row;
use crate::sandboxes::{read, until};
use crate::tries;
use crate::waiting::{run, within};

/// As which program this one is a lambkin to be killed.
pub(crate) const VICTIM: &str = "__victim";

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("killed");
}

pub(crate) fn codes(_: &Row, report: &mut Report) {
    let ends: [(&[&str], ExitStatus); 7] = [
        (&["exit", "0"], ExitStatus::Code(0)),
        (&["exit", "255"], ExitStatus::Code(255)),
        (&["exit", "134"], ExitStatus::Code(134)),
        (&["signal", "abort"], ExitStatus::Signal(6)),
        (&["signal", "fpe"], ExitStatus::Signal(8)),
        (&["signal", "term"], ExitStatus::Signal(15)),
        (&["signal", "kill"], ExitStatus::Signal(9)),
    ];
    run(async {
        let bed = Bed::new().await;
        for (act, expected) in ends {
            let mut plain = Command::new("/proc/self/exe");
            let plain = plain.arg(ACT).args(act).status().expect("this program");
            let status = plain
                .code()
                .map_or_else(|| ExitStatus::Signal(plain.signal().unwrap_or(0)), ExitStatus::Code);
            assert_eq!(status, expected, "outside: {act:?}");
            let (_sandbox, process) = bed.act(act).await;
            assert_eq!(within(process.exit).await, expected, "{act:?}");
            report.held();
        }
        bed.end().await;
    });
}

/// All descriptors closed, the channel among them: its end is seen, it can be killed, and the next
/// process starts.
pub(crate) fn closed(_: &Row, report: &mut Report) {
    run(async {
        let bed = Bed::new().await;
        let (mut sandbox, process) = bed.act(&["close"]).await;
        let mut channel = tokio::net::UnixStream::from_std(process.channel.into()).expect("a socket");
        assert_eq!(within(channel.read(&mut [0; 1])).await.expect("its end"), 0);
        assert_eq!(read(process.output).await, "");
        process.control.kill();
        assert_eq!(within(process.exit).await, ExitStatus::Signal(9), "it was alive");
        let next = within(sandbox.start()).await.expect("the next process");
        assert_eq!(within(next.exit).await, ExitStatus::Code(7));
        drop(sandbox);
        bed.end().await;
    });
    report.held();
}

pub(crate) fn setuid(row: &Row, report: &mut Report) {
    tries::test(row, report);
    let made = Setuid::make();
    let given = std::env::var_os(SETUID).map(PathBuf::from);
    let Some(code) = made.as_ref().map(|made| made.path().to_owned()).or(given) else {
        return report.not_tested("setuid files: only root can make one");
    };
    let mut plain = Command::new(code.join("probe"));
    plain.args([ACT, "user"]);
    if is_root() {
        plain.uid(65_534).gid(65_534);
    }
    let plain = String::from_utf8(plain.output().expect("this program").stdout).expect("UTF-8");
    run(async {
        let bed = Bed::new().await;
        let mut spec = bed.spec(&["user"]);
        spec.sources.code = Some(code);
        let mut sandbox = bed.open(spec).await;
        let process = within(sandbox.start()).await.expect("a process");
        assert_eq!(read(process.output).await, "993\n");
        drop(sandbox);
        bed.end().await;
    });
    if plain == "0\n" {
        report.held();
    } else {
        report.not_tested(format!("setuid files: outside too such a program is user {plain}"));
    }
}

/// `kill -9` of lambkin, with jails that run, stand frozen and wait to be used.
pub(crate) fn lambkin(_: &Row, report: &mut Report) {
    let place = directory();
    put_program(&place.path().join("code"));
    let tag = config(place.path()).tag;
    let mut victim = Command::new("/proc/self/exe")
        .args([VICTIM.as_ref(), place.path().as_os_str()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("another lambkin");
    let mut said = BufReader::new(victim.stdout.take().expect("its output")).lines();
    assert_eq!(said.next().expect("a line").expect("text"), "frozen");
    let family = processes::descendants(victim.id());
    // The spawner, the inits of two families of three, and of a jail that nobody uses yet.
    assert!(family.len() >= 10, "{family:?}");
    victim.kill().expect("killed");
    assert_eq!(victim.wait().expect("its end").signal(), Some(9));
    run(async {
        until("all are dead", || !family.iter().any(|pid| processes::is_alive(*pid))).await;
        report.held();
        let left = processes::groups(&tag);
        let next = JailLauncher::start(config(place.path())).await.expect("the next lambkin");
        if left.is_empty() {
            report.not_tested("leftovers in groups: this user has no groups");
        } else {
            // Its own jails have the same names: they are gone first.
            within(next.shutdown()).await;
            assert_eq!(processes::groups(&tag), Vec::<PathBuf>::new());
            report.held();
        }
        within(next.shutdown()).await;
    });
}

/// The lambkin that will be killed.
pub(crate) fn victim(directory: &str) {
    run(async {
        let bed = Bed::at(Path::new(directory)).await;
        let (_runs, one) = bed.act(&["family"]).await;
        let (_stands, two) = bed.act(&["family"]).await;
        let mut channel = tokio::net::UnixStream::from_std(two.channel.into()).expect("a socket");
        // Both families are whole when the daemon, which comes last, has been heard.
        let mut letters = Vec::new();
        while !b"cdpt".iter().all(|letter| letters.contains(letter)) {
            letters.push(within(channel.read_u8()).await.expect("a tick"));
        }
        let mut of_first = tokio::net::UnixStream::from_std(one.channel.into()).expect("a socket");
        let mut letters = Vec::new();
        while !b"cdpt".iter().all(|letter| letters.contains(letter)) {
            letters.push(within(of_first.read_u8()).await.expect("a tick"));
        }
        two.control.freeze();
        let mut buffer = [0; 4096];
        while let Ok(ticks) =
            tokio::time::timeout(Duration::from_millis(300), channel.read(&mut buffer)).await
        {
            assert_ne!(ticks.expect("ticks"), 0);
        }
        println!("frozen");
        within(std::future::pending()).await
    });
}

/// `kill -9` of the spawner, then of an init: what was in jails is dead, and the next one works.
pub(crate) fn helpers(_: &Row, report: &mut Report) {
    run(async {
        let bed = Bed::new().await;
        for name in ["lambkin-spawner", "lambkin-init"] {
            let (mut sandbox, process) = bed.act(&["family"]).await;
            let all = processes::named("lambkin-init");
            processes::named(name).into_iter().for_each(kill);
            assert_eq!(within(process.exit).await, ExitStatus::Signal(9), "{name}");
            until("they are dead", || !all.iter().any(|pid| processes::is_alive(*pid))).await;
            assert!(within(sandbox.start()).await.is_err(), "its jail is gone");
            drop(sandbox);
            let mut next = bed
                .open(spec(bed.directory.path(), [PROGRAM, ACT, "exit", "3"].map(str::to_owned).into()))
                .await;
            let process = within(next.start()).await.expect("the next jail");
            assert_eq!(within(process.exit).await, ExitStatus::Code(3), "{name}");
            report.held();
        }
        bed.end().await;
    });
}

/// Callers that stop waiting while a jail is made for them, at any point of it.
pub(crate) fn callers(_: &Row, report: &mut Report) {
    run(async {
        let bed = Bed::new().await;
        let tag = config(bed.directory.path()).tag;
        for milliseconds in 0..30 {
            let opening = bed.jails.open(bed.spec(&["exit", "0"]));
            // Either way: what was opened is dropped at once.
            drop(tokio::time::timeout(Duration::from_millis(milliseconds), opening).await);
        }
        let (sandbox, process) = bed.act(&["exit", "7"]).await;
        assert_eq!(within(process.exit).await, ExitStatus::Code(7));
        drop(sandbox);
        // The one that is ready has a group in each hierarchy.
        until("one jail is left", || {
            let names: HashSet<_> = processes::groups(&tag)
                .iter()
                .filter_map(|path| path.file_name().map(ToOwned::to_owned))
                .collect();
            names.len() <= 1
        })
        .await;
        bed.end().await;
    });
    report.held();
}
