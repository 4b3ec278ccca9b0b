//! What is reached, and what is not (the threats 17 and 18).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bed::{Bed, copy_self};
use crate::cases::Test;
use crate::waiting::{run, within};

const NOTHING: &str = "nothing_is_beyond_its_own_loopback";
const LISTENERS: &str = "its_listeners_are_its_own_over_all_starts";

pub(crate) const TESTS: &[Test] = &[
    (NOTHING, || run(nothing())),
    (LISTENERS, || run(listeners())),
    ("the_same_as_an_ordinary_user", ordinary_user),
];

async fn nothing() {
    let Some(bed) = Bed::new().await else { return };
    let mut open = Vec::new();
    let mut tries = vec!["own".to_owned(), "interfaces".to_owned()];
    let mut expected = vec!["own reached".to_owned(), "interfaces lo".to_owned()];
    // The host's own services, which the host does reach.
    let mut hosts =
        vec![("127.0.0.1".to_owned(), "ConnectionRefused"), ("[::1]".to_owned(), "ConnectionRefused")];
    match outer_address() {
        Some(IpAddr::V4(address)) => hosts.push((address.to_string(), "NetworkUnreachable")),
        Some(IpAddr::V6(_)) | None => {
            println!("NOT TESTED: the host's own address: it has none but loopback's")
        }
    }
    for (host, refusal) in hosts {
        let Ok(listener) = TcpListener::bind(format!("{host}:0")) else {
            println!("NOT TESTED: {host}: the host has no such address");
            continue;
        };
        let address = listener.local_addr().expect("an address");
        drop(TcpStream::connect(address).expect("the host reaches it"));
        open.push(listener);
        tries.push(format!("tcp:{address}"));
        // Without IPv6 inside, its address family fails earlier.
        expected.push(format!("tcp:{address} {refusal}"));
    }
    let name = format!("lambkin-test-{}", std::process::id());
    let address = UnixAddress::from_abstract_name(&name).expect("a name");
    let _abstract = UnixListener::bind_addr(&address).expect("an abstract socket");
    drop(UnixStream::connect_addr(&address).expect("the host reaches it"));
    tries.push(format!("abstract:{name}"));
    expected.push(format!("abstract:{name} ConnectionRefused"));
    // The clouds' metadata, name servers, private networks, the internet.
    for far in ["169.254.169.254:80", "[fd00:ec2::254]:80", "10.0.2.2:53", "192.168.0.1:80", "192.0.2.1:443"]
    {
        for protocol in ["tcp", "udp"] {
            tries.push(format!("{protocol}:{far}"));
            expected.push(format!("{protocol}:{far} NetworkUnreachable"));
        }
    }
    let mut jail = bed.open(1, &tries).await;
    assert_eq!(bed.said(&mut *jail).await, expected);
    drop(jail);
    bed.launcher.shutdown().await;
}

/// Of this machine, as others would call it.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Sends nothing.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

async fn listeners() {
    let Some(bed) = Bed::new().await else { return };
    let services = bed.layout().services.expect("an address");
    let tries =
        |name: &str| [format!("say:127.0.0.1:9001={name} api"), format!("say:{services}={name} services")];
    let (mut first, mut second) = (bed.open(1, &tries("first")).await, bed.open(2, &tries("second")).await);
    let mut taken = Vec::new();
    for (name, jail) in [("first", &mut first), ("second", &mut second)] {
        for (at, listener) in [("api", jail.runtime_api()), ("services", jail.services())] {
            taken.push((format!("{name} {at}"), TcpListener::from(listener.expect("a listener"))));
        }
        assert!(jail.runtime_api().is_none() && jail.services().is_none(), "once");
    }
    for round in 0..2 {
        for (name, jail) in [("first", &mut first), ("second", &mut second)] {
            let serving: Vec<_> = taken
                .iter()
                .filter(|(from, _)| from.starts_with(name))
                .map(|(_, listener)| OwnedFd::from(listener.try_clone().expect("a copy")))
                .map(|listener| tokio::spawn(greet(listener)))
                .collect();
            let said = bed.said(&mut **jail).await;
            let heard: Vec<_> = tries(name).iter().map(|tried| format!("{tried} heard")).collect();
            assert_eq!(said, heard, "{name}, start {round}");
            for (one, what) in serving.into_iter().zip(["api", "services"]) {
                assert_eq!(within(one).await.expect("served"), format!("{name} {what}"), "start {round}");
            }
        }
    }
    drop((first, second));
    bed.launcher.shutdown().await;
}

/// Answers one connection, and says what it heard.
async fn greet(listener: OwnedFd) -> String {
    let listener = tokio::net::TcpListener::from_std(listener.into()).expect("a listener");
    let (stream, _) = within(listener.accept()).await.expect("a connection");
    let stream = stream.into_std().expect("a stream");
    stream.set_nonblocking(false).expect("a mode");
    let mut heard = String::new();
    BufReader::new(&stream).read_line(&mut heard).expect("a line");
    (&stream).write_all(b"heard").expect("an answer");
    heard.trim().to_owned()
}

fn ordinary_user() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        println!("NOT TESTED here: the other tests were it already");
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).expect("permissions");
    copy_self(directory.path());
    let mut command = Command::new(directory.path().join("program"));
    let command = command.args(["--exact", NOTHING, LISTENERS]).env("TMPDIR", directory.path());
    let done = command.uid(NOBODY).gid(NOBODY).current_dir("/").output().expect("a program");
    let said = String::from_utf8_lossy(&done.stdout);
    print!("{said}");
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
}

/// `cargo test -p lambkin-sandbox --test network -- costs`
pub(crate) fn costs() {
    run(async {
        let Some(bed) = Bed::new().await else { return };
        let services = bed.layout().services.expect("an address");
        let mut times = Vec::new();
        for number in 0..30 {
            let began = Instant::now();
            let mut jail = bed.open(number, &[format!("tcp:{services}")]).await;
            let opened = began.elapsed();
            let said = bed.said(&mut *jail).await;
            assert!(said[0].ends_with(" reached"), "{said:?}");
            times.push((opened, began.elapsed()));
            drop(jail);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        times.sort_unstable();
        let median = times[times.len() / 2];
        println!("open {:?}, until a process has connected and ended {:?}", median.0, median.1);
        bed.launcher.shutdown().await;
    });
}
