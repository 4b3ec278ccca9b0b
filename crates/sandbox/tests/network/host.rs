//! The way to the internet by the host's own sockets (`--network host`), as root and as an ordinary user: in
//! namespaces of their own.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use lambkin_sandbox::{Isolated, Isolation, JailConfig, Network};

use crate::attacks;
use crate::bed::{Bed, allowed, config, copy_self};
use crate::cases::Test;
use crate::frozen;
use crate::nat::served;
use crate::probe;
use crate::waiting::{run, within};
use crate::ways::{self, LOOPBACK_RESOLVER};
use crate::world::{
    ALLOWED, AZURE, HOST, HOST_TOO, INTERNET, METADATA, PRIVATE, World, address, nobody_came, said_by, until,
};

/// Runs one of these in fresh namespaces.
pub(crate) const INSIDE: &str = "__host-inside";
/// Runs one of these as whoever it is, in a world that is there.
pub(crate) const WITHIN: &str = "__host-within";
/// Starts where a call is kept from it.
pub(crate) const WITHOUT: &str = "__host-without";

const REACHED: &str = "host_the_internet_and_nothing_else";
const NAMES: &str = "host_names_by_the_host_s_resolver_and_nothing_else_of_it";
const CHANGES: &str = "host_an_address_that_the_host_gets_is_refused_at_once";
const OWN: &str = "host_its_own_loopback_is_as_it_was";
const ATTACKS: &str = "host_its_sockets_are_for_one_connection";
const ENDS: &str = "host_a_guard_ends_with_its_jail_also_while_it_connects";
const FROZEN: &str = "host_a_jail_is_frozen_also_while_it_connects";
const MANY: &str = "host_a_jail_has_so_many_connections_and_no_more";
const MISSING: &str = "host_says_what_is_missing";

pub(crate) const TESTS: &[Test] = &[
    (REACHED, || as_both(REACHED)),
    (NAMES, || as_both(NAMES)),
    (CHANGES, || nested(CHANGES, "root")),
    (OWN, || as_both(OWN)),
    (ATTACKS, || as_both(ATTACKS)),
    (ENDS, || as_both(ENDS)),
    (FROZEN, || as_both(FROZEN)),
    (MANY, || nested(MANY, "user")),
    (MISSING, || as_both(MISSING)),
];

const COSTS: &str = "host_costs";

/// In the internet, where nobody is kept waiting.
const QUICK: &str = "198.51.100.1:444";
/// In the internet, where nobody is.
pub(crate) const SILENT: &str = "198.51.100.77:443";

/// Each with what it comes to for who has the host's network, and in a jail.
const TRIED: [(&str, &str, &str); 11] = [
    ("reuse", "reached", "PermissionDenied"),
    ("again", "reached", "HostUnreachable"),
    ("swap", "reached", "nowhere"),
    ("listen", "listens", "InvalidInput"),
    ("bind", "bound", "InvalidInput"),
    ("send", "reached", "Unsupported"),
    ("option", "reached", "Uncategorized"),
    ("mutate", "reached", "nowhere else"),
    ("interfaces", "up0", "PermissionDenied"),
    ("device", "set", "PermissionDenied"),
    ("route", "set", "PermissionDenied"),
];

fn as_both(name: &str) {
    nested(name, "root");
    nested(name, "user");
}

fn nested(name: &str, who: &str) {
    let is_there = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    if !rustix::process::geteuid().is_root() {
        return println!("NOT TESTED: --network host: the test needs root");
    }
    if let Some(missing) = ["ip", "unshare"].iter().find(|program| !is_there(program)) {
        return println!("NOT TESTED: --network host: the program {missing} is missing");
    }
    if let Err(why) = lambkin_sandbox::guard_is_possible() {
        return println!("NOT TESTED: --network host: {why}");
    }
    ways::nested([INSIDE, name, who]);
}

/// As root: the world, and in it the test.
pub(crate) fn inside(name: &str, who: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).expect("permissions");
    copy_self(directory.path());
    let names = directory.path().join("resolv.conf");
    std::fs::write(&names, format!("nameserver {LOOPBACK_RESOLVER}\n")).expect("written");
    said_by("mount", &["--bind", &names.to_string_lossy(), "/etc/resolv.conf"]);
    let world = World::new(None);
    let resolver = (LOOPBACK_RESOLVER, 53);
    let (listener, socket) = (TcpListener::bind(resolver), UdpSocket::bind(resolver).expect("a socket"));
    std::thread::spawn(move || crate::world::serve(&listener.expect("a listener")));
    std::thread::spawn(move || resolve(&socket));
    let listener = world.enter(|| TcpListener::bind(QUICK).expect("a listener"));
    std::thread::spawn(move || while listener.accept().is_ok() {});
    frozen::comes_late(&world);
    ways::run_as(who, directory.path(), [WITHIN, name]);
    drop(world);
}

pub(crate) fn within_world(name: &str) {
    match name {
        REACHED => run(reached()),
        NAMES => run(names()),
        CHANGES => run(async { ways::changes(bed().await, &["say"], Duration::ZERO).await }),
        OWN => run(own()),
        ATTACKS => run(attacked()),
        ENDS => run(ends()),
        FROZEN => run(frozen::frozen()),
        MANY => run(many()),
        MISSING => run(missing()),
        COSTS => run(measure()),
        other => panic!("{other}?"),
    }
}

pub(crate) fn host(config: JailConfig) -> JailConfig {
    JailConfig { network: Network::Host { allow: allowed() }, ..config }
}

async fn bed() -> Bed {
    let directory = tempfile::tempdir().expect("a temporary directory");
    Bed::with(directory, host).await.expect("a launcher")
}

/// Answers each question with itself, after two answers that are to be passed over; `silence` with none.
fn resolve(socket: &UdpSocket) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let question = &mut buffer[..length];
        if question.ends_with(b"silence") {
            continue;
        }
        // Sent to who has gone.
        let say = |answer: &[u8]| drop(socket.send_to(answer, from));
        let mut another = question.to_vec();
        another[2] |= 0x80;
        another[0] ^= 1;
        another.extend(b" of another");
        say(&another);
        say(question);
        question[2] |= 0x80;
        say(question);
    }
}

async fn reached() {
    let bed = bed().await;
    let mut other = bed.open(1, &["serve:7777".to_owned()]).await;
    let (others, _process) = served(&mut *other).await;
    let listener = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let mut expected = vec![("interfaces".to_owned(), "lo"), ("own".to_owned(), "reached")];
    for reached in [INTERNET, ALLOWED] {
        expected.push((format!("say:{reached}=who"), HOST));
        expected.push((format!("wait:{reached}=who"), HOST));
        expected.push((format!("wait:[::ffff:{}=who", reached.replace(':', "]:")), HOST));
    }
    let nobody = INTERNET.replace("443", "9");
    for how in ["tcp", "wait"] {
        for refused in [METADATA, AZURE, PRIVATE] {
            drop(TcpStream::connect(refused).expect("the host reaches it"));
            expected.push((format!("{how}:{refused}"), "HostUnreachable"));
        }
        for host in [HOST, HOST_TOO] {
            drop(TcpStream::connect((host, port)).expect("the host listens"));
            expected.push((format!("{how}:{host}:{port}"), "HostUnreachable"));
            expected.push((format!("{how}:[::ffff:{host}]:{port}"), "HostUnreachable"));
        }
        expected.push((format!("{how}:{nobody}"), "ConnectionRefused"));
        expected.push((format!("{how}:127.0.0.1:{port}"), "ConnectionRefused"));
        expected.push((format!("{how}:{others}"), "ConnectionRefused"));
        expected.push((format!("{how}:255.255.255.255:{port}"), "HostUnreachable"));
        expected.push((format!("{how}:192.0.2.255:{port}"), "HostUnreachable"));
        expected.push((format!("{how}:[fd00:ec2::254]:80"), "NetworkUnreachable"));
        expected.push((format!("{how}:[fe80::1%1]:80"), "NetworkUnreachable"));
    }
    assert_eq!(probe::ask(address(INTERNET)).expect("an answer"), HOST, "datagrams of the host's");
    expected.push((format!("ask:{INTERNET}"), "WouldBlock"));
    expected.push(("read:/etc/resolv.conf".to_owned(), "nameserver 198.19.0.3"));
    expected.push((format!("child:say:{INTERNET}=who"), HOST));
    let (tries, expected) = probe::tried(&expected);
    let mut jail = bed.open(2, &tries).await;
    for start in 1..=2 {
        assert_eq!(bed.said(&mut *jail).await, expected, "start {start}");
    }
    drop((jail, other));
    bed.launcher.shutdown().await;
}

async fn names() {
    let more = [
        ("name:198.19.0.3:53=example.org", "example.org"),
        ("names:198.19.0.3:53=100", "64"),
        ("name:198.19.0.3:53=silence", "WouldBlock"),
    ];
    ways::names(bed().await, "ConnectionRefused", &more).await;
}

async fn own() {
    let bed = bed().await;
    assert_eq!(bed.said(&mut *bed.open(1, &["inside".to_owned()]).await).await, ["inside all of it"]);
    bed.launcher.shutdown().await;
}

async fn attacked() {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    // One that stays, and one for many.
    let public = |name: &str| address(if name == "swap" { INTERNET } else { QUICK });
    // On the host's loopback: a socket of its network would reach it there.
    let targets = |name: &str| match name {
        "swap" | "reuse" | "again" => address(&format!("127.0.0.1:{port}")),
        _ => address(&format!("{HOST}:{port}")),
    };
    for (name, for_the_host, _) in TRIED {
        let went = match name {
            // Whose socket it is nobody checks there: it needs no race.
            "swap" => attacks::run("reuse", public(name), targets(name), attacks::LONG),
            _ => attacks::run(name, public(name), targets(name), attacks::LONG),
        };
        assert_eq!(went.expect(name), for_the_host, "{name} without a guard");
        while let Ok(true) = came(&listener) {}
    }
    let bed = bed().await;
    for (number, (name, _, in_a_jail)) in (1..).zip(TRIED) {
        let target = match name {
            // Its own loopback is no host's.
            "again" => address(&format!("{HOST}:{port}")),
            _ => targets(name),
        };
        let tried = format!("attack:{name}={}>{target}", public(name));
        let said = bed.said(&mut *bed.open(number, std::slice::from_ref(&tried)).await).await;
        assert_eq!(said, [format!("{tried} {in_a_jail}")]);
        nobody_came(&listener);
    }
    bed.launcher.shutdown().await;
}

/// Takes one that is there.
fn came(listener: &TcpListener) -> std::io::Result<bool> {
    listener.set_nonblocking(true)?;
    listener.accept().map(|_| true)
}

async fn ends() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // Without jails that nobody asked for.
    let bed = Bed::with(directory, |config| JailConfig { shells: 0, ..host(config) });
    let bed = bed.await.expect("a launcher");
    let mut jail = bed.open(1, &[format!("wait:{SILENT}")]).await;
    let process = within(jail.start()).await.expect("a process");
    until("it connects", || connecting() == 1);
    // Killed it does not, and is not waited for: the next one of the same jail connects.
    process.control.kill();
    within(process.exit).await;
    until("nobody connects any more", || connecting() == 0);
    let process = within(jail.start()).await.expect("a process");
    until("it connects", || connecting() == 1);
    drop((process, jail));
    until("nobody connects any more", || connecting() == 0);
    until("its guard ends", || guards() == 0);
    bed.launcher.shutdown().await;
}

/// Threads of this process that stand guard.
pub(crate) fn guards() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").expect("threads").flatten();
    let name = |path: std::path::PathBuf| std::fs::read_to_string(path.join("comm")).unwrap_or_default();
    threads.filter(|thread| name(thread.path()).trim() == "lambkin-guard").count()
}

/// The host's sockets that nobody has answered yet.
pub(crate) fn connecting() -> usize {
    const SYN_SENT: &str = "02";
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("sockets");
    sockets.lines().filter(|line| line.split_whitespace().nth(3) == Some(SYN_SENT)).count()
}

async fn many() {
    let bed = bed().await;
    let tried = format!("many:{QUICK}");
    let said = bed.said(&mut *bed.open(1, std::slice::from_ref(&tried)).await).await;
    assert_eq!(said, [format!("{tried} 1024 and then 1")]);
    bed.launcher.shutdown().await;
}

async fn missing() {
    let start = async |isolation, network| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let JailConfig { process, .. } = config(directory.path());
        Isolated::start(isolation, network, process).await.err().expect("a refusal").to_string()
    };
    let taken = Network::Host { allow: vec!["198.18.0.0/15".parse().expect("a network")] };
    let error = start(Isolation::Auto, taken).await;
    assert!(error.contains("198.18.0.0/15 cannot be allowed"), "{error}");
    let error = start(Isolation::Process, Network::Host { allow: Vec::new() }).await;
    assert!(error.contains("--network host is for jails: plain processes"), "{error}");
    for (call, said) in [
        ("landlock", "Landlock that knows TCP is missing"),
        ("pidfd_getfd", "pidfd_getfd and process_vm_readv"),
    ] {
        let own = std::env::current_exe().expect("this program");
        let done = Command::new(own).args([WITHOUT, call]).output().expect("a program");
        let text = String::from_utf8_lossy(&done.stdout);
        assert!(text.starts_with("--network host: ") && text.contains(said), "{call}: {text}");
    }
}

/// As on a kernel that lacks a call, or keeps it from us.
pub(crate) fn without(call: &str) -> ExitCode {
    let (number, errno) = match call {
        "landlock" => (libc::SYS_landlock_create_ruleset, libc::ENOSYS),
        "pidfd_getfd" => (libc::SYS_pidfd_getfd, libc::EPERM),
        other => panic!("{other}?"),
    };
    let filter = seccompiler::SeccompFilter::new(
        [(number, Vec::new())].into(),
        seccompiler::SeccompAction::Allow,
        seccompiler::SeccompAction::Errno(errno.cast_unsigned()),
        std::env::consts::ARCH.try_into().expect("an architecture"),
    );
    let program: seccompiler::BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
    seccompiler::apply_filter(&program).expect("applied");
    run(async {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let JailConfig { process, .. } = config(directory.path());
        match Isolated::start(Isolation::Auto, Network::Host { allow: Vec::new() }, process).await {
            Ok(_) => println!("it starts"),
            Err(error) => println!("{error}"),
        }
    });
    ExitCode::SUCCESS
}

pub(crate) fn costs() {
    nested(COSTS, "root");
    nested(COSTS, "user");
}

/// With no shell ready: each is made when it is asked for.
async fn measure() {
    let none = |config: JailConfig| config;
    for (name, with) in
        [("none", none as fn(JailConfig) -> JailConfig), ("host", host), ("none", none), ("host", host)]
    {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let bed = Bed::with(directory, |config| JailConfig { shells: 0, ..with(config) });
        let bed = bed.await.expect("a launcher");
        println!("--network {name}: {}", ways::times(&bed).await);
        let mut tries = vec!["time:inside".to_owned()];
        tries.extend((name == "host").then(|| format!("time:{QUICK}")));
        bed.said(&mut *bed.open(60, &tries).await).await.iter().for_each(|line| println!("  {line}"));
        within(bed.launcher.shutdown()).await;
    }
    println!("  of the host's own, time:{QUICK} {}", probe::time(QUICK).expect("measured"));
    std::io::stdout().flush().expect("written");
}
