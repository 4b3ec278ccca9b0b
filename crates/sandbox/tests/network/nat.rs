//! The way to the internet, as root in network namespaces of its own: the machine's network is not
//! touched.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use lambkin_model::sandbox::{Process, Sandbox};
use lambkin_sandbox::{JailConfig, JailLauncher};
use tokio::io::AsyncBufReadExt as _;
use tokio::net::unix::pipe;

use crate::bed::{Bed, config, nat};
use crate::cases::Test;
use crate::lacks;
use crate::probe;
use crate::traces::{children, kill, links, processes, traces};
use crate::waiting::{run, within};
use crate::world::{
    ALLOWED, AZURE, HOST, HOST_TOO, INTERNET, METADATA, PRIVATE, World, address, said_by, until,
};

/// Runs one of these in a fresh network namespace.
pub(crate) const INSIDE: &str = "__inside";
/// Is a lambkin, to be killed.
pub(crate) const HOLDER: &str = "__holder";

const REACHED: &str = "nat_the_internet_and_nothing_else";
const FLUSHED: &str = "nat_stays_closed_when_the_host_s_rules_are_flushed";
const DEATHS: &str = "nat_ends_all_jails_when_its_rules_go";
const KILLED: &str = "nat_takes_links_away_before_its_rules_when_it_is_killed";
const LEFT: &str = "nat_leaves_nothing_behind";
const NONE: &str = "nat_is_not_there_by_itself";
const MISSING: &str = "nat_says_what_is_missing";

pub(crate) const TESTS: &[Test] = &[
    (REACHED, || nested(REACHED)),
    (FLUSHED, || nested(FLUSHED)),
    (DEATHS, || nested(DEATHS)),
    (KILLED, || nested(KILLED)),
    (LEFT, || nested(LEFT)),
    (NONE, || nested(NONE)),
    (MISSING, || run(lacks::missing())),
];

const COSTS: &str = "costs";

/// A connection that nobody answers.
const SHORT: Duration = Duration::from_millis(500);

pub(crate) fn can_be_tested() -> bool {
    let is_there = |program: &&str| Command::new(program).arg("-V").output().is_ok();
    if !rustix::process::geteuid().is_root() {
        println!("NOT TESTED: --network nat: it needs root");
    } else if let Some(missing) = ["ip", "nft", "unshare"].iter().find(|program| !is_there(program)) {
        println!("NOT TESTED: --network nat: the program {missing} is missing");
    } else {
        return true;
    }
    false
}

fn nested(name: &str) {
    if !can_be_tested() {
        return;
    }
    let own = std::env::current_exe().expect("this program");
    let done = Command::new("unshare").arg("-n").arg(own).args([INSIDE, name]).output().expect("unshare");
    let said = String::from_utf8_lossy(&done.stdout);
    print!("{said}");
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
}

pub(crate) fn inside(name: &str) {
    match name {
        REACHED => run(reached()),
        FLUSHED => run(flushed()),
        DEATHS => run(deaths()),
        KILLED => run(killed_with_jails()),
        LEFT => run(left()),
        NONE => run(none()),
        COSTS => run(measure()),
        other => panic!("{other}?"),
    }
}

pub(crate) fn hold(directory: &str) -> ExitCode {
    hold_with(nat(config(Path::new(directory))))
}

pub(crate) fn hold_with(config: JailConfig) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match JailLauncher::start(config).await {
            Ok(_launcher) => {
                println!("up");
                std::future::pending().await
            }
            Err(error) => {
                println!("{error}");
                ExitCode::FAILURE
            }
        }
    })
}

async fn bed() -> Bed {
    let directory = tempfile::tempdir().expect("a temporary directory");
    Bed::with(directory, nat).await.expect("a launcher")
}

/// The host's first, where it is somebody else.
fn resolver() -> Option<Ipv4Addr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").ok()?;
    let first = text.lines().find_map(|line| line.strip_prefix("nameserver "))?;
    match first.trim().parse() {
        Ok(IpAddr::V4(address)) if !address.is_loopback() => Some(address),
        Ok(_) | Err(_) => None,
    }
}

async fn reached() {
    let resolver = resolver();
    let world = World::new(resolver);
    let bed = bed().await;
    let mut other = bed.open(1, &["serve:7777".to_owned()]).await;
    let (others, _process) = served(&mut *other).await;
    // The host does reach it.
    drop(TcpStream::connect_timeout(&address(&others), SHORT).expect("it listens"));
    let listener = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let mut expected = vec![("interfaces".to_owned(), "lo,eth0"), ("own".to_owned(), "reached")];
    for reached in [INTERNET, ALLOWED] {
        expected.push((format!("say:{reached}=who"), HOST));
    }
    for refused in [METADATA, AZURE, PRIVATE] {
        expected.push((format!("tcp:{refused}"), "HostUnreachable"));
    }
    for host in [HOST, HOST_TOO] {
        drop(TcpStream::connect((host, port)).expect("the host listens"));
        expected.push((format!("tcp:{host}:{port}"), "HostUnreachable"));
    }
    expected.push((format!("gateway:{port}"), "HostUnreachable"));
    expected.push((format!("tcp:127.0.0.1:{port}"), "ConnectionRefused"));
    expected.push((format!("tcp:{others}"), "HostUnreachable"));
    expected.push(("tcp:[fd00:ec2::254]:80".to_owned(), "NetworkUnreachable"));
    expected.push(("tcp:[fe80::1%2]:80".to_owned(), "NetworkUnreachable"));
    // Loopback's own, where the kernel has IPv6 at all.
    let addresses = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    if let Some(loopback) = addresses.lines().find(|line| line.ends_with(" lo")) {
        expected.push(("read:/proc/net/if_inet6".to_owned(), loopback));
    }
    let lines = resolver.map(|resolver| format!("nameserver {resolver}"));
    if let (Some(resolver), Some(line)) = (resolver, &lines) {
        expected.push(("read:/etc/resolv.conf".to_owned(), line));
        expected.push((format!("say:{resolver}:53=who"), HOST));
    } else {
        println!("NOT TESTED: names: the host's resolver is its own");
    }
    let (tries, expected) = probe::tried(&expected);
    let mut jail = bed.open(2, &tries).await;
    assert_eq!(bed.said(&mut *jail).await, expected);
    // From outside nobody comes in.
    let came = world.enter(move || TcpStream::connect_timeout(&address(&others), SHORT).map(drop));
    assert!(came.is_err(), "the internet reaches a jail");
    drop((jail, other));
    bed.launcher.shutdown().await;
}

/// As a firewall's reload does it.
async fn flushed() {
    let _world = World::new(None);
    let bed = bed().await;
    let mut other = bed.open(1, &["serve:7777".to_owned()]).await;
    let (others, _process) = served(&mut *other).await;
    let listener = TcpListener::bind("0.0.0.0:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let mut expected = vec![format!("say:{INTERNET}=who {HOST}"), format!("say:{ALLOWED}=who {HOST}")];
    expected.extend([METADATA, AZURE, PRIVATE].map(|refused| format!("tcp:{refused} HostUnreachable")));
    expected.extend([HOST, HOST_TOO].map(|host| format!("tcp:{host}:{port} HostUnreachable")));
    expected.extend([format!("gateway:{port} HostUnreachable"), format!("tcp:{others} HostUnreachable")]);
    let tries = expected.iter().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
    let tries: Vec<_> = tries.collect();
    let mut before = bed.open(2, &tries).await;
    assert_eq!(bed.said(&mut *before).await, expected);
    // Another's goes, as it should.
    said_by("nft", &["add", "table", "inet", "firewall"]);
    said_by("nft", &["flush", "ruleset"]);
    assert!(!said_by("nft", &["list", "tables"]).contains("firewall"), "not flushed");
    let mut after = bed.open(3, &tries).await;
    let (said_before, said_after) = tokio::join!(bed.said(&mut *before), bed.said(&mut *after));
    assert_eq!(said_before, expected, "a jail from before the flush");
    assert_eq!(said_after, expected, "a jail from after the flush");
    // Nobody else changes them either.
    let table = said_by("nft", &["list", "tables"]);
    let name = table.split_whitespace().find(|word| word.starts_with("lambkin_")).expect("a table");
    for change in [["delete", "table", "inet", name], ["flush", "table", "inet", name]] {
        let done = Command::new("nft").args(change).output().expect("nft");
        assert!(!done.status.success(), "{change:?}");
    }
    drop((before, after, other));
    bed.launcher.shutdown().await;
    assert_eq!(traces(), (0, 0), "after a shutdown");
}

/// Of the rules' holder: what it is, and who keeps it to the end.
const PARTS: [&str; 2] = ["nft -i", "nat.nft"];

async fn deaths() {
    let _world = World::new(None);
    let bed = bed().await;
    let tries = [format!("say:{INTERNET}=who"), format!("tcp:{METADATA}")];
    let heard = [format!("say:{INTERNET}=who {HOST}"), format!("tcp:{METADATA} HostUnreachable")];
    for (number, part) in (0_u8..).zip(PARTS) {
        let mut jail = bed.open(4 * number, &["serve:7777".to_owned()]).await;
        let (_address, process) = served(&mut *jail).await;
        let holder = processes(part);
        let [one] = holder[..] else { panic!("{part}: {holder:?}") };
        // A service is stopped so: with all its processes at once.
        for signal in ["-TERM", "-INT", "-HUP"] {
            kill(one, signal);
        }
        assert_eq!(bed.said(&mut *bed.open(4 * number + 1, &tries).await).await, heard);
        assert_eq!(processes(part), holder, "after signals");
        kill(one, "-KILL");
        within(process.exit).await;
        until("another holder", || {
            PARTS.iter().all(|part| matches!(processes(part)[..], [other] if other != one))
                && traces() == (1, 1)
        });
        // None is made until all of it is there.
        let jail = within(async {
            loop {
                match bed.try_open(4 * number + 2, &tries).await {
                    Ok(jail) => break jail,
                    Err(error) => assert!(error.to_string().contains("rules have just gone"), "{error}"),
                }
            }
        });
        assert_eq!(bed.said(&mut *jail.await).await, heard);
    }
    bed.launcher.shutdown().await;
    assert_eq!(traces(), (0, 0), "after a shutdown");
    until("nothing holds rules", || PARTS.iter().all(|part| processes(part).is_empty()));
}

/// Its jails stay for this: whoever would end them is stopped.
async fn killed_with_jails() {
    let _world = World::new(None);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut lambkin = started(directory.path());
    let spawners = processes(lambkin_sandbox::SPAWNER_ARGUMENT);
    let inits: Vec<_> = spawners.iter().flat_map(|spawner| children(*spawner)).collect();
    assert!(links() > 0 && !inits.is_empty(), "{spawners:?} {inits:?}");
    // These would end by themselves.
    spawners.iter().chain(&inits).for_each(|process| kill(*process, "-STOP"));
    lambkin.kill().expect("killed");
    lambkin.wait().expect("ended");
    let (mut late, began) = (0, Instant::now());
    loop {
        // In this order: a table that is gone does not come back.
        let (tables, links) = (traces().0, links());
        assert!(tables > 0 || links == 0, "{links} links without rules");
        if tables == 0 {
            break;
        }
        late += usize::from(links == 0);
        assert!(began.elapsed() < Duration::from_secs(20), "{tables} tables, {links} links");
    }
    assert!(late > 0, "the links were not seen to go first");
    for spawner in spawners {
        kill(spawner, "-KILL");
    }
    until("nothing holds rules", || PARTS.iter().all(|part| processes(part).is_empty()));
    let bed = Bed::with(directory, nat).await.expect("a launcher");
    assert_eq!(traces(), (1, 1), "after the next start");
    bed.launcher.shutdown().await;
    assert_eq!(traces(), (0, 0), "after a shutdown");
}

/// Where it serves.
pub(crate) async fn served(sandbox: &mut dyn Sandbox) -> (String, Process) {
    let process = within(sandbox.start()).await.expect("a process");
    let output = process.output.try_clone().expect("a copy");
    let output = tokio::io::BufReader::new(pipe::Receiver::from_owned_fd(output).expect("a pipe"));
    let line = within(output.lines().next_line()).await.expect("read").expect("a line");
    (format!("{line}:7777"), process)
}

async fn left() {
    let _world = World::new(None);
    let tries = [format!("say:{INTERNET}=who")];
    let heard = [format!("say:{INTERNET}=who {HOST}")];
    let bed = bed().await;
    assert_eq!(traces(), (1, 1));
    assert!(links() > 0);
    assert_eq!(bed.said(&mut *bed.open(1, &tries).await).await, heard);
    bed.launcher.shutdown().await;
    assert_eq!(traces(), (0, 0), "after a shutdown");
    until("no links", || links() == 0);

    let directory = bed.into_directory();
    killed(directory.path());
    // Or straight away, which waits for that.
    until("the rules go after a kill, and the route is left", || traces() == (0, 1));
    let bed = Bed::with(directory, nat).await.expect("a launcher");
    assert_eq!(traces(), (1, 1), "after the next start");
    assert_eq!(bed.said(&mut *bed.open(2, &tries).await).await, heard);
    bed.launcher.shutdown().await;

    let directory = bed.into_directory();
    killed(directory.path());
    let bed = Bed::with(directory, |config| config).await.expect("a launcher");
    assert_eq!(traces(), (0, 0), "after a start without");
    bed.launcher.shutdown().await;
    until("no links", || links() == 0);

    // Two do not get in each other's way.
    let (first, second) = (self::bed().await, self::bed().await);
    assert_eq!(traces(), (2, 2));
    for bed in [&first, &second] {
        assert_eq!(bed.said(&mut *bed.open(3, &tries).await).await, heard);
    }
    first.launcher.shutdown().await;
    assert_eq!(traces(), (1, 1));
    assert_eq!(second.said(&mut *second.open(4, &tries).await).await, heard);
    second.launcher.shutdown().await;
}

/// A lambkin that had no time to clear up.
fn killed(directory: &Path) {
    let mut child = started(directory);
    child.kill().expect("killed");
    child.wait().expect("ended");
}

fn started(directory: &Path) -> Child {
    let mut child = holder(Command::new("/proc/self/exe").arg(HOLDER).arg(directory));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line, "up\n");
    child
}

fn holder(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).spawn().expect("a program")
}

async fn none() {
    const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
    let _world = World::new(None);
    let look = || {
        let rules = said_by("nft", &["list", "ruleset"]);
        (rules, said_by("ip", &["route", "show", "table", "all"]), std::fs::read(FORWARDING).expect("read"))
    };
    let before = look();
    let Some(bed) = Bed::new().await else { return };
    let said = bed.said(&mut *bed.open(1, &["interfaces".to_owned(), format!("tcp:{INTERNET}")]).await).await;
    assert_eq!(said, ["interfaces lo".to_owned(), format!("tcp:{INTERNET} NetworkUnreachable")]);
    assert_eq!((look(), links()), (before, 0));
    bed.launcher.shutdown().await;
}

pub(crate) fn costs() {
    nested(COSTS);
}

/// With no shell ready: each is made when it is asked for.
async fn measure() {
    let _world = World::new(None);
    let none = |config: JailConfig| config;
    for (name, with) in [("none", none as fn(JailConfig) -> JailConfig), ("nat", nat)] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let set = |config| JailConfig { shells: 0, ..with(config) };
        let bed = Bed::with(directory, set).await.expect("a launcher");
        let mut times = Vec::new();
        for number in 0..50 {
            let began = Instant::now();
            let jail = bed.open(number, &["own".to_owned()]).await;
            times.push(began.elapsed());
            drop(jail);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        times.sort_unstable();
        println!("--network {name}: making a jail {:?} (p90 {:?})", times[25], times[45]);
        bed.launcher.shutdown().await;
    }
}
