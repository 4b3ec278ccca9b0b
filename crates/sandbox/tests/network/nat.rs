//! The way to the internet, as root in network namespaces of its own: the machine's network is not
//! touched.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use lambkin_model::sandbox::{Process, Sandbox};
use lambkin_sandbox::{Isolated, Isolation, JailConfig, JailLauncher};
use tokio::io::AsyncBufReadExt as _;
use tokio::net::unix::pipe;

use crate::Test;
use crate::bed::{Bed, config, copy_self, nat, within};
use crate::reach::run;
use crate::world::{
    ALLOWED, AZURE, HOST, HOST_TOO, INTERNET, METADATA, PRIVATE, World, address, said_by, until,
};

/// Runs one of these in a fresh network namespace.
pub(crate) const INSIDE: &str = "__inside";
/// Is a lambkin, to be killed.
pub(crate) const HOLDER: &str = "__holder";

const REACHED: &str = "nat_the_internet_and_nothing_else";
const LEFT: &str = "nat_leaves_nothing_behind";
const NONE: &str = "nat_is_not_there_by_itself";
const MISSING: &str = "nat_says_what_is_missing";

pub(crate) const TESTS: &[Test] = &[
    (REACHED, || nested(REACHED)),
    (LEFT, || nested(LEFT)),
    (NONE, || nested(NONE)),
    (MISSING, || run(missing())),
];

const COSTS: &str = "costs";

/// A connection that nobody answers.
const SHORT: Duration = Duration::from_millis(500);

fn can_be_tested() -> bool {
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
        expected.push((format!("tcp:{host}:{port}"), "TimedOut"));
    }
    expected.push((format!("gateway:{port}"), "TimedOut"));
    expected.push((format!("tcp:127.0.0.1:{port}"), "ConnectionRefused"));
    expected.push((format!("tcp:{others}"), "TimedOut"));
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
    let tries: Vec<_> = expected.iter().map(|(tried, _)| tried.clone()).collect();
    let expected: Vec<_> = expected.iter().map(|(tried, went)| format!("{tried} {went}")).collect();
    let mut jail = bed.open(2, &tries).await;
    assert_eq!(bed.said(&mut *jail).await, expected);
    // From outside nobody comes in.
    let came = world.enter(move || TcpStream::connect_timeout(&address(&others), SHORT).map(drop));
    assert!(came.is_err(), "the internet reaches a jail");
    drop((jail, other));
    bed.launcher.shutdown().await;
}

/// Where it serves.
pub(crate) async fn served(sandbox: &mut dyn Sandbox) -> (String, Process) {
    let process = within(sandbox.start()).await.expect("a process");
    let output = process.output.try_clone().expect("a copy");
    let output = tokio::io::BufReader::new(pipe::Receiver::from_owned_fd(output).expect("a pipe"));
    let line = within(output.lines().next_line()).await.expect("read").expect("a line");
    (format!("{line}:7777"), process)
}

/// lambkin's traces on the machine: tables and routes.
fn traces() -> (usize, usize) {
    let tables = said_by("nft", &["list", "tables"]);
    let routes = said_by("ip", &["-4", "route", "show", "table", "all"]);
    let unreachable = routes.lines().filter(|route| route.starts_with("unreachable 100.")).count();
    (tables.lines().filter(|table| table.contains("lambkin_")).count(), unreachable)
}

fn links() -> usize {
    said_by("ip", &["-o", "link"]).lines().filter(|link| link.contains(": lk")).count()
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
    assert_eq!(traces(), (1, 1), "after a kill");
    let bed = Bed::with(directory, nat).await.expect("a launcher");
    assert_eq!(traces(), (1, 1), "after the next start");
    assert_eq!(bed.said(&mut *bed.open(2, &tries).await).await, heard);
    bed.launcher.shutdown().await;

    let directory = bed.into_directory();
    killed(directory.path());
    assert_eq!(traces(), (1, 1), "after another kill");
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
    let mut child = holder(Command::new("/proc/self/exe").arg(HOLDER).arg(directory));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_eq!(line, "up\n");
    child.kill().expect("killed");
    child.wait().expect("ended");
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

async fn missing() {
    if !can_be_tested() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("permissions");
    copy_self(directory.path());
    let program = directory.path().join("program");
    let refuses = |command: &mut Command, with: &str| {
        let output = command.output().expect("a program");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.contains(with), "{said}");
    };
    for (program_name, package) in [("ip", "iproute2"), ("nft", "nftables")] {
        // Not seen any more: a device in its place.
        let script = format!(
            "for d in /usr/sbin /usr/bin; do test -e $d/{program_name} && mount --bind /dev/null $d/{program_name}; done\n\
             exec {} {HOLDER} {}",
            program.display(),
            directory.path().join("as-root").display()
        );
        refuses(Command::new("unshare").args(["-n", "-m", "sh", "-c", &script]), package);
    }
    let own = directory.path().join("as-user");
    refuses(Command::new(&program).arg(HOLDER).arg(own).uid(65534).gid(65534), "it needs root");
    let processes = nat(config(directory.path()));
    let JailConfig { network, process, .. } = processes;
    let error = Isolated::start(Isolation::Process, network, process).await.err().expect("a refusal");
    assert!(error.to_string().contains("plain processes"), "{error}");
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
