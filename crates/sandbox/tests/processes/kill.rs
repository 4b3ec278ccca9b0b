//! Nothing outlives its owner: leader, environment, spawner, lambkin.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::Process;
use lambkin_sandbox::{Config, ProcessLauncher};
use rustix::process::{Pid, Signal, kill_process};

use crate::VICTIM;
use crate::bed::{Bed, is_alive, parent, stat, with_text};
use crate::cases::Test;
use crate::sandboxes::{read, until};
use crate::waiting::{run, within};

pub(crate) const TESTS: &[Test] = &[
    ("exit_of_the_leader_ends_the_rest", || run(leader_exits())),
    ("kill_reaches_a_daemon", || run(killed())),
    ("kill_reaches_children_without_variables", || run(killed_without_variables())),
    ("death_of_an_environment_spares_the_others", || run(others_are_spared())),
    ("status_is_that_of_the_leader", || run(statuses())),
    ("dropped_sandbox_kills_its_process", || run(dropped())),
    ("dropped_start_kills_its_process", || run(dropped_start())),
    ("kill_reaches_what_keeps_forking", || run(forking())),
    ("signals_to_lambkins_group_spare_the_spawner", || run(group_signals())),
    ("shutdown_leaves_nothing", || run(shut_down())),
    ("dead_spawner_is_replaced_and_its_processes_die", || run(spawner_dies())),
    ("kill_9_of_lambkin_leaves_nothing", || run(lambkin_dies())),
];

/// A leader that ends when its channel closes, with: a child in its group, a child in a session of
/// its own, a daemon with two forks between, and a child of the daemon.
const FAMILY: &str = r#"
sleep 1000.$ID &
setsid sleep 1001.$ID &
(setsid sh -c 'sleep 1003.$ID & exec sleep 1002.$ID' &)
read word <&3
exit 7
"#;

async fn family_is_there(id: &str) {
    for number in 1000..1004 {
        until("the family is there", || with_text(&format!("sleep\0{number}.{id}")).len() == 1).await;
    }
    let daemon = with_text(&format!("sleep\x001002.{id}"))[0];
    let leader = leader(id);
    until("the daemon was adopted by the spawner", || parent(daemon) == parent(leader)).await;
    assert_ne!(stat(daemon, 4), stat(leader, 4), "the daemon has a session of its own");
}

/// The shell that was started.
fn leader(id: &str) -> i32 {
    let leader =
        with_text(id).into_iter().find(|pid| stat(*pid, 4) == Some(pid.to_string()) && has_channel(*pid));
    leader.expect("a leader")
}

fn has_channel(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"exit 7\n\0"))
}

async fn leader_exits() {
    let bed = Bed::new().await;
    let (_sandbox, id, process) = bed.shell(FAMILY).await;
    family_is_there(&id).await;
    drop(process.channel);
    assert_eq!(within(process.exit).await, ExitStatus::Code(7));
    assert_eq!(with_text(&id), [0; 0], "all are gone when the exit answers");
    bed.launcher.shutdown().await;
}

async fn killed() {
    let bed = Bed::new().await;
    let (_sandbox, id, process) = bed.shell(FAMILY).await;
    family_is_there(&id).await;
    process.control.kill();
    process.control.kill();
    assert_eq!(within(process.exit).await, ExitStatus::Signal(9));
    assert_eq!(with_text(&id), [0; 0]);
    assert_eq!(read(process.output).await, "", "nobody holds the output any more");
    bed.launcher.shutdown().await;
}

async fn killed_without_variables() {
    let bed = Bed::new().await;
    // The first is below the leader, the second an orphan of its session.
    let script = "env -i setsid sleep 1000.$ID & sh -c 'exec env -i sleep 1001.$ID &' ; read word <&3";
    let (_sandbox, id, process) = bed.shell(script).await;
    for number in [1000, 1001] {
        until("both are there", || with_text(&format!("sleep\0{number}.{id}")).len() == 1).await;
    }
    process.control.kill();
    within(process.exit).await;
    assert_eq!(with_text(&id), [0; 0]);
    bed.launcher.shutdown().await;
}

async fn others_are_spared() {
    let bed = Bed::new().await;
    let (_first, first, one) = bed.shell(FAMILY).await;
    let (_second, second, other) = bed.shell(FAMILY).await;
    family_is_there(&first).await;
    family_is_there(&second).await;
    let before = with_text(&second);
    one.control.kill();
    within(one.exit).await;
    assert_eq!(with_text(&second), before);
    other.control.kill();
    within(other.exit).await;
    bed.launcher.shutdown().await;
}

async fn statuses() {
    let bed = Bed::new().await;
    for (script, status) in [
        ("exit 0", ExitStatus::Code(0)),
        ("exit 255", ExitStatus::Code(255)),
        ("kill -SEGV $$", ExitStatus::Signal(11)),
        ("kill -TERM $$", ExitStatus::Signal(15)),
    ] {
        let (_sandbox, _, process) = bed.shell(script).await;
        assert_eq!(within(process.exit).await, status, "{script}");
    }
    bed.launcher.shutdown().await;
}

async fn dropped() {
    let bed = Bed::new().await;
    let (sandbox, id, process) = bed.shell(FAMILY).await;
    family_is_there(&id).await;
    drop(sandbox);
    assert_eq!(within(process.exit).await, ExitStatus::Signal(9));
    assert_eq!(with_text(&id), [0; 0]);
    until("its directory is gone", || !bed.environment(&id).exists()).await;
    bed.launcher.shutdown().await;
}

async fn dropped_start() {
    let bed = Bed::new().await;
    let mut ids = Vec::new();
    for round in 0..20 {
        let spec = bed.spec(&["/bin/sh", "-c", FAMILY]);
        let mut sandbox = bed.open(&spec).await;
        // Forgotten at another moment each time: never sent, sent, started.
        let moment = std::time::Duration::from_micros(round * 100);
        let _ = tokio::time::timeout(moment, sandbox.start()).await;
        ids.push(spec.id);
    }
    for id in ids {
        until("it is gone", || with_text(&id).is_empty() && !bed.environment(&id).exists()).await;
    }
    bed.launcher.shutdown().await;
}

async fn forking() {
    let bed = Bed::new().await;
    let script = "(setsid sh -c 'while :; do (setsid sleep 1000.$ID &) ; done' &) ; read word <&3";
    let (_sandbox, id, process) = bed.shell(script).await;
    until("it forks", || with_text(&id).len() > 20).await;
    drop(process.channel);
    within(process.exit).await;
    assert_eq!(with_text(&id), [0; 0]);
    bed.launcher.shutdown().await;
}

/// What Ctrl-C and a service manager do: functions finish first.
async fn group_signals() {
    let bed = Bed::new().await;
    let (_sandbox, id, process) = bed.shell(FAMILY).await;
    family_is_there(&id).await;
    let spawner = Pid::from_raw(parent(leader(&id)).expect("a spawner")).expect("a process");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::PIPE] {
        kill_process(spawner, signal).expect("sent");
    }
    drop(process.channel);
    assert_eq!(within(process.exit).await, ExitStatus::Code(7));
    bed.launcher.shutdown().await;
}

async fn shut_down() {
    let bed = Bed::new().await;
    let (mut sandbox, id, process) = bed.shell(FAMILY).await;
    let (other, _, _) = bed.shell("read word <&3").await;
    family_is_there(&id).await;
    let spawner = parent(leader(&id)).expect("a spawner");
    drop(other);
    within(bed.launcher.shutdown()).await;
    assert!(!is_alive(spawner));
    assert_eq!(with_text(&id), [0; 0]);
    assert_eq!(within(process.exit).await, ExitStatus::Signal(9));
    assert!(within(sandbox.start()).await.is_err());
    drop(sandbox);
    within(bed.launcher.shutdown()).await;
    let left: Vec<_> = std::fs::read_dir(bed.environment(".")).expect("a directory").collect();
    assert_eq!(left.len(), 1, "only the empty /opt: {left:?}");
}

async fn spawner_dies() {
    let bed = Bed::new().await;
    let (mut sandbox, id, process) = bed.shell(FAMILY).await;
    family_is_there(&id).await;
    let spawner = parent(leader(&id)).expect("a spawner");
    kill(spawner);
    assert_eq!(within(process.exit).await, ExitStatus::Signal(9));
    assert_eq!(with_text(&id), [0; 0]);
    let Process { channel, exit, .. } = within(sandbox.start()).await.expect("another spawner's process");
    drop(channel);
    assert_eq!(within(exit).await, ExitStatus::Code(7));
    bed.launcher.shutdown().await;
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("killed");
}

async fn lambkin_dies() {
    // Only for its directories: the launcher that is killed is another one.
    let bed = Bed::new().await;
    within(bed.launcher.shutdown()).await;
    let mut lambkin = Command::new("/proc/self/exe")
        .args([VICTIM.as_ref(), bed.directory.path().as_os_str()])
        .arg("2")
        .stdout(Stdio::piped())
        .spawn()
        .expect("another lambkin");
    let stdout = BufReader::new(lambkin.stdout.take().expect("its output"));
    let ids: Vec<_> = stdout.lines().take(2).map(|line| line.expect("an id")).collect();
    for id in &ids {
        family_is_there(id).await;
    }
    let spawner = parent(leader(&ids[0])).expect("a spawner");
    lambkin.kill().expect("killed");
    assert_eq!(lambkin.wait().expect("its end").signal(), Some(9));
    until("the spawner is gone", || !is_alive(spawner)).await;
    for id in &ids {
        assert_eq!(with_text(id), [0; 0]);
        assert!(bed.environment(id).exists());
    }
    let next = ProcessLauncher::start(Config::new(bed.environment("."))).await.expect("the next lambkin");
    until("the leftovers are gone", || ids.iter().all(|id| !bed.environment(id).exists())).await;
    next.shutdown().await;
}

/// A lambkin that will be killed: starts families and says their ids.
pub(crate) fn victim(directory: &str, count: &str) {
    run(async {
        let bed = Bed::at(Path::new(directory)).await;
        let mut kept = Vec::new();
        for _ in 0..count.parse().expect("a number") {
            let (sandbox, id, process) = bed.shell(FAMILY).await;
            println!("{id}");
            kept.push((sandbox, process));
        }
        within(std::future::pending()).await
    });
}
