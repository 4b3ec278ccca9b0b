//! The way to the internet by a program (`--network user`), as root and as an ordinary user: in
//! namespaces of their own, where all processes that are seen are the test's.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use lambkin_sandbox::{Isolated, Isolation, JailConfig, Network};

use crate::bed::{Bed, allowed, config, copy_self};
use crate::cases::Test;
use crate::family::{finish, gone, holder, kill, numbers, only, others};
use crate::nat::{hold_with, served};
use crate::probe;
use crate::waiting::{run, within};
use crate::ways::{self, LOOPBACK_RESOLVER, RESOLVER};
use crate::world::{
    ALLOWED, AZURE, HOST, HOST_TOO, INTERNET, METADATA, PRIVATE, World, address, enter, ip, said_by, until,
};

/// Runs one of these in fresh namespaces.
pub(crate) const INSIDE: &str = "__user-inside";
/// Runs one of these as whoever it is, in a world that is there.
pub(crate) const WITHIN: &str = "__user-within";
/// Is a lambkin, to be killed.
pub(crate) const HOLDER: &str = "__user-holder";

const REACHED: &str = "user_the_internet_and_nothing_else";
const NAMES: &str = "user_names_by_the_host_s_resolver_and_nothing_else_of_it";
const CHANGES: &str = "user_an_address_that_the_host_gets_is_refused";
const DEATHS: &str = "user_helpers_that_die_are_replaced";
const LEFT: &str = "user_leaves_nothing_behind";
const MISSING: &str = "user_says_what_is_missing_and_auto_does_without";

pub(crate) const TESTS: &[Test] = &[
    (REACHED, || as_both(REACHED)),
    (NAMES, || as_both(NAMES)),
    (CHANGES, || nested(CHANGES, "root")),
    (DEATHS, || as_both(DEATHS)),
    (LEFT, || as_both(LEFT)),
    (MISSING, || as_both(MISSING)),
];

const COSTS: &str = "user_costs";

/// What a jail's link or another jail may have.
const TAKEN: &str = "198.18.9.9";

/// Of slirp4netns: the host, the resolver, the router.
const GATEWAY: &str = "198.19.0.2";
const ROUTER: &str = "198.19.0.100";
/// Where the host's resolver is, in the internet.
const UPSTREAM: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 53);

fn can_be_tested() -> bool {
    let is_there = |program: &&str| Command::new(program).arg("--version").output().is_ok();
    let programs = ["ip", "nft", "unshare", "slirp4netns"];
    if !rustix::process::geteuid().is_root() {
        println!("NOT TESTED: --network user: the test needs root");
    } else if let Some(missing) = programs.iter().find(|program| !is_there(program)) {
        println!("NOT TESTED: --network user: the program {missing} is missing");
    } else if !Path::new("/dev/net/tun").exists() {
        println!("NOT TESTED: --network user: /dev/net/tun is missing");
    } else {
        return true;
    }
    false
}

fn as_both(name: &str) {
    nested(name, "root");
    nested(name, "user");
}

fn nested(name: &str, who: &str) {
    if !can_be_tested() {
        return;
    }
    ways::nested([INSIDE, name, who]);
}

/// As root: the world, and in it the test.
pub(crate) fn inside(name: &str, who: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).expect("permissions");
    copy_self(directory.path());
    // As systemd has it: what is unmounted in a copy of these mounts goes from here too.
    said_by("mount", &["--make-rshared", "/"]);
    let (outer, inner) = (directory.path().join("outer"), directory.path().join("outer/inner"));
    for place in [&outer, &inner] {
        std::fs::create_dir(place).expect("a directory");
        mount("tmpfs", place);
    }
    // As most systems have it; here it may be root's alone.
    mount("tmpfs", Path::new("/dev/net"));
    said_by("mknod", &["-m", "666", "/dev/net/tun", "c", "10", "200"]);
    let names = directory.path().join("resolv.conf");
    let resolver = if name == NAMES { LOOPBACK_RESOLVER.to_owned() } else { UPSTREAM.to_string() };
    std::fs::write(&names, format!("nameserver {resolver}\n")).expect("written");
    said_by("mount", &["--bind", &names.to_string_lossy(), "/etc/resolv.conf"]);
    let world = World::new(Some(UPSTREAM));
    let loopback = format!("{LOOPBACK_RESOLVER}:53");
    std::thread::spawn(move || crate::world::serve(&TcpListener::bind(loopback).expect("a listener")));
    if name == REACHED {
        unfiltered();
        // Who may change a network can.
        assert_eq!(probe::take_address(TAKEN.parse().expect("an address")).expect("root may"), "taken");
        ip(&format!("address del {TAKEN}/32 dev lo\n"));
    }
    ways::run_as(who, directory.path(), [WITHIN, name]);
    until("nothing is left", || others().is_empty());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    assert!(
        mounts.contains(&*inner.to_string_lossy()),
        "{name} as {who} unmounts what is the host's: {mounts}"
    );
    drop(world);
}

pub(crate) fn within_world(name: &str) {
    match name {
        REACHED => run(reached()),
        NAMES => run(async {
            let gateway = format!("tcp:{GATEWAY}:53");
            ways::names(bed().await, "HostUnreachable", &[(&gateway, "HostUnreachable")]).await;
        }),
        // Some milliseconds after the host has it.
        CHANGES => run(async { ways::changes(bed().await, &["say", "ask"], Duration::from_secs(5)).await }),
        DEATHS => run(deaths()),
        LEFT => run(left()),
        MISSING => run(missing()),
        COSTS => run(measure()),
        other => panic!("{other}?"),
    }
}

pub(crate) fn hold(directory: &str) -> ExitCode {
    hold_with(user(config(Path::new(directory))))
}

fn user(config: JailConfig) -> JailConfig {
    JailConfig { network: Network::User { allow: allowed() }, ..config }
}

async fn bed() -> Bed {
    let directory = tempfile::tempdir().expect("a temporary directory");
    Bed::with(directory, user).await.expect("a launcher")
}

fn mount(kind: &str, target: &Path) {
    said_by("mount", &["-t", kind, "none", &target.to_string_lossy()]);
}

/// The program alone would go anywhere: what is refused below is refused by the rules.
fn unfiltered() {
    let mut holder = Command::new("unshare").args(["-n", "sleep", "60"]).spawn().expect("unshare");
    let ours = std::fs::read_link("/proc/self/ns/net").expect("a namespace");
    let path = format!("/proc/{}/ns/net", holder.id());
    until("another namespace", || std::fs::read_link(&path).expect("one") != ours);
    let mut slirp = Command::new("slirp4netns")
        .args(["-c", "--cidr=198.19.0.0/24", &holder.id().to_string(), "tap0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("slirp4netns");
    let listener = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let to: Vec<SocketAddr> =
        [METADATA, AZURE, PRIVATE, INTERNET, ALLOWED].iter().map(|to| address(to)).collect();
    let hosts = [HOST, HOST_TOO, GATEWAY].map(|host| address(&format!("{host}:{port}")));
    let datagrams = to.clone();
    until("a route", || {
        let route =
            enter(holder.id(), || TcpStream::connect_timeout(&address(INTERNET), Duration::from_secs(1)));
        route.is_ok()
    });
    enter(holder.id(), move || {
        for to in to.into_iter().chain(hosts) {
            let reached = TcpStream::connect_timeout(&to, Duration::from_secs(5));
            assert!(reached.is_ok(), "{to} without rules: {reached:?}");
        }
        for to in datagrams {
            assert_eq!(probe::ask(to).expect("an answer"), HOST, "{to} without rules");
        }
    });
    for child in [&mut slirp, &mut holder] {
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
}

async fn reached() {
    let bed = bed().await;
    let mut other = bed.open(1, &["serve:7777".to_owned()]).await;
    let (others, _process) = served(&mut *other).await;
    let listener = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let mut expected = vec![("interfaces".to_owned(), "lo,eth0"), ("own".to_owned(), "reached")];
    for reached in [INTERNET, ALLOWED] {
        expected.push((format!("say:{reached}=who"), HOST));
        expected.push((format!("ask:{reached}"), HOST));
    }
    for refused in [METADATA, AZURE, PRIVATE] {
        expected.push((format!("tcp:{refused}"), "HostUnreachable"));
        expected.push((format!("ask:{refused}"), "HostUnreachable"));
    }
    for host in [HOST, HOST_TOO] {
        drop(TcpStream::connect((host, port)).expect("the host listens"));
        expected.push((format!("tcp:{host}:{port}"), "HostUnreachable"));
    }
    expected.push((format!("tcp:{GATEWAY}:{port}"), "HostUnreachable"));
    expected.push((format!("tcp:{ROUTER}:{port}"), "HostUnreachable"));
    expected.push((format!("gateway:{port}"), "HostUnreachable"));
    expected.push((format!("tcp:127.0.0.1:{port}"), "ConnectionRefused"));
    expected.push((format!("tcp:{others}"), "HostUnreachable"));
    expected.push(("tcp:[fd00:ec2::254]:80".to_owned(), "NetworkUnreachable"));
    expected.push(("tcp:[fe80::1%2]:80".to_owned(), "NetworkUnreachable"));
    expected.push(("read:/etc/resolv.conf".to_owned(), "nameserver 198.19.0.3"));
    expected.push((format!("say:{RESOLVER}=who"), HOST));
    expected.push((format!("take:{TAKEN}"), "PermissionDenied"));
    let (tries, expected) = probe::tried(&expected);
    let mut jail = bed.open(2, &tries).await;
    assert_eq!(bed.said(&mut *jail).await, expected);
    // The rules are in the router's namespace, out of the host's reach.
    if rustix::process::geteuid().is_root() {
        said_by("nft", &["add", "table", "inet", "firewall"]);
        said_by("nft", &["flush", "ruleset"]);
        assert!(!said_by("nft", &["list", "tables"]).contains("firewall"), "not flushed");
        assert_eq!(bed.said(&mut *jail).await, expected, "after a flush of the host's rules");
    }
    drop((jail, other));
    bed.launcher.shutdown().await;
}

async fn deaths() {
    let bed = bed().await;
    let tries = [format!("say:{INTERNET}=who")];
    let heard = [format!("say:{INTERNET}=who {HOST}")];
    let mut jail = bed.open(1, &tries).await;
    assert_eq!(bed.said(&mut *jail).await, heard);

    // The program: the same jail has its way out again.
    let slirp = only("slirp4netns");
    kill(slirp);
    until("another slirp4netns", || numbers("slirp4netns").iter().any(|other| *other != slirp));
    let began = Instant::now();
    while bed.said(&mut *jail).await != heard {
        assert!(began.elapsed() < Duration::from_secs(10), "no way out again");
    }

    // The router: its jails end, and the next has another.
    let (router, spawner) = (only("lambkin-router"), only("lambkin-spawner"));
    let jails = numbers("lambkin-init");
    assert!(!jails.is_empty());
    kill(router);
    until("all jails end", || numbers("lambkin-init").iter().all(|number| !jails.contains(number)));
    gone(spawner);
    assert_eq!(bed.said(&mut *bed.open(2, &tries).await).await, heard);
    assert!(!numbers("lambkin-router").contains(&router));

    // The spawner: the same.
    let spawner = only("lambkin-spawner");
    kill(spawner);
    gone(spawner);
    assert_eq!(bed.said(&mut *bed.open(3, &tries).await).await, heard);
    drop(jail);
    bed.launcher.shutdown().await;
    until("nothing is left", || others().is_empty());
}

async fn left() {
    let bed = bed().await;
    bed.launcher.shutdown().await;
    until("nothing is left", || others().is_empty());
    let directory = bed.into_directory();
    let mut holder = holder(directory.path());
    let mut said = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(holder.stdout.as_mut().expect("a pipe")),
        &mut said,
    )
    .expect("a line");
    assert_eq!(said, "up\n");
    assert!(!numbers("slirp4netns").is_empty() && !numbers("lambkin-router").is_empty());
    finish(&mut holder);
    // At any moment of its start.
    let began = Instant::now();
    let mut moment = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(20) && moment < Duration::from_millis(400) {
        let mut holder = self::holder(directory.path());
        std::thread::sleep(moment);
        finish(&mut holder);
        moment += Duration::from_millis(9);
    }
    println!("killed at every 9th millisecond until {moment:?}");
    let bed = Bed::with(directory, user).await.expect("a launcher");
    let heard = bed.said(&mut *bed.open(1, &[format!("say:{INTERNET}=who")]).await).await;
    assert_eq!(heard, [format!("say:{INTERNET}=who {HOST}")]);
    bed.launcher.shutdown().await;
}

async fn missing() {
    const PROGRAMS: [&str; 2] = ["slirp4netns", "nft"];
    let directory = tempfile::tempdir().expect("a temporary directory");
    let start = async |network: Network| {
        let JailConfig { process, .. } = config(directory.path());
        Isolated::start(Isolation::Auto, network, process).await
    };
    let allow = Vec::new;
    let taken = Network::User { allow: vec!["198.18.0.0/15".parse().expect("a network")] };
    let error = start(taken).await.err().expect("a refusal");
    assert!(error.to_string().contains("198.18.0.0/15 cannot be allowed"), "{error}");
    let processes = JailConfig { network: Network::User { allow: allow() }, ..config(directory.path()) };
    let error = Isolated::start(Isolation::Process, processes.network, processes.process).await;
    assert!(error.err().expect("a refusal").to_string().contains("plain processes"));
    let whole = start(Network::Auto { allow: allow() }).await.expect("a launcher");
    assert!(whole.description().contains("network: user (slirp4netns)"), "{}", whole.description());
    whole.shutdown().await;
    until("nothing is left", || others().is_empty());
    if !rustix::process::geteuid().is_root() {
        // Whose system keeps the device from it.
        return println!("NOT TESTED as an ordinary user: programs that are missing");
    }
    for program in PROGRAMS {
        let hidden: Vec<_> = ["/usr/sbin", "/usr/bin"]
            .map(|directory| format!("{directory}/{program}"))
            .into_iter()
            .filter(|path| Path::new(path).exists())
            .collect();
        hidden.iter().for_each(|path| drop(said_by("mount", &["--bind", "/dev/null", path])));
        let error = start(Network::User { allow: allow() }).await.err().expect("a refusal").to_string();
        assert!(
            error.contains("--network user") && error.contains(program) && error.contains("install"),
            "{error}"
        );
        let without = start(Network::Auto { allow: allow() }).await.expect("a launcher");
        let said = without.description();
        assert!(said.contains("network: none but their own loopback: the program"), "{said}");
        assert!(said.contains(program), "{said}");
        without.shutdown().await;
        hidden.iter().for_each(|path| drop(said_by("umount", &[path])));
    }
    // A kernel without the device.
    said_by("mount", &["-t", "tmpfs", "none", "/dev/net"]);
    let without = start(Network::Auto { allow: allow() }).await.expect("a launcher");
    let said = without.description();
    assert!(
        said.contains("none but their own loopback: slirp4netns: ") && said.contains("/dev/net/tun"),
        "{said}"
    );
    without.shutdown().await;
    until("nothing is left", || others().is_empty());
}

pub(crate) fn costs() {
    nested(COSTS, "root");
    nested(COSTS, "user");
}

/// With no shell ready: each is made when it is asked for.
async fn measure() {
    let none = |config: JailConfig| config;
    for (name, with) in
        [("none", none as fn(JailConfig) -> JailConfig), ("user", user), ("none", none), ("user", user)]
    {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let set = |config| JailConfig { shells: 0, ..with(config) };
        let began = Instant::now();
        let bed = Bed::with(directory, set).await.expect("a launcher");
        let started = began.elapsed();
        println!("--network {name}: start {started:?}, {}", ways::times(&bed).await);
        for helper in ["slirp4netns", "lambkin-router"].iter().flat_map(|name| numbers(name)) {
            let memory = std::fs::read_to_string(format!("/proc/{helper}/smaps_rollup")).unwrap_or_default();
            let pss = memory.lines().find(|line| line.starts_with("Pss:")).unwrap_or("Pss: ?");
            println!(
                "  {}: {pss}",
                std::fs::read_to_string(format!("/proc/{helper}/comm")).unwrap_or_default().trim()
            );
        }
        within(bed.launcher.shutdown()).await;
    }
}
