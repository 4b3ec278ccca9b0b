//! What the two ways out that change nothing of the host's promise alike (`user`, `host`): tried in namespaces of
//! their own, as root and as an ordinary user.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bed::Bed;
use crate::probe;
use crate::world::{HOST, INTERNET, address, ip, nobody_came};

const NOBODY: u32 = 65534;

/// A jail's own, where names are asked for.
pub(crate) const RESOLVER: &str = "198.19.0.3:53";
pub(crate) const LOOPBACK_RESOLVER: &str = "127.0.0.53";

/// Runs this program in fresh namespaces, with these arguments.
pub(crate) fn nested(arguments: [&str; 3]) {
    let own = std::env::current_exe().expect("this program");
    let mut command = Command::new("unshare");
    let command = command.args(["-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc"]).arg(own);
    let done = command.args(arguments).output().expect("unshare");
    let said = String::from_utf8_lossy(&done.stdout);
    print!("{said}");
    assert!(done.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&done.stderr));
}

/// Runs the copy of this program that is in the directory, as root or as a user of no rights.
pub(crate) fn run_as(who: &str, directory: &Path, arguments: [&str; 2]) {
    let mut command = Command::new(directory.join("program"));
    command.args(arguments).env("TMPDIR", directory).current_dir("/");
    if who == "user" {
        command.uid(NOBODY).gid(NOBODY);
    }
    let done = command.status().expect("a program");
    assert!(done.success(), "{arguments:?} as {who}");
}

/// Names are asked for at the host's resolver, and of that nothing else is reached; and what more is expected.
pub(crate) async fn names(bed: Bed, others: &'static str, more: &[(&str, &'static str)]) {
    // Others of the host's on the very address of its resolver.
    let listener = TcpListener::bind((LOOPBACK_RESOLVER, 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    drop(TcpStream::connect((LOOPBACK_RESOLVER, port)).expect("the host reaches it"));
    let mut expected = vec![
        (format!("say:{RESOLVER}=who"), "127.0.0.1"),
        (format!("tcp:198.19.0.3:{port}"), others),
        (format!("tcp:{LOOPBACK_RESOLVER}:53"), "ConnectionRefused"),
    ];
    expected.extend(more.iter().map(|(tried, went)| ((*tried).to_owned(), *went)));
    let (tries, expected) = probe::tried(&expected);
    assert_eq!(bed.said(&mut *bed.open(1, &tries).await).await, expected);
    bed.launcher.shutdown().await;
}

/// An address that the host gets is refused, after that time at the latest, however a jail asks there.
pub(crate) async fn changes(bed: Bed, how: &[&str], patience: Duration) {
    let tries: Vec<_> = how.iter().map(|how| format!("{how}:{INTERNET}=who")).collect();
    let went = |went: &str| tries.iter().map(|tried| format!("{tried} {went}")).collect::<Vec<_>>();
    let mut jail = bed.open(1, &tries).await;
    assert_eq!(bed.said(&mut *jail).await, went(HOST));
    ip(&format!("address add {}/32 dev lo\n", address(INTERNET).ip()));
    let listener = TcpListener::bind(address(INTERNET)).expect("the host's by now");
    let _socket = UdpSocket::bind(address(INTERNET)).expect("the host's by now");
    drop(TcpStream::connect(address(INTERNET)).expect("the host listens"));
    drop(listener.accept().expect("that one"));
    if patience.is_zero() {
        assert_eq!(bed.said(&mut *jail).await, went("HostUnreachable"));
        nobody_came(&listener);
    } else {
        std::thread::spawn(move || crate::world::serve(&listener));
        let began = Instant::now();
        let mut said = bed.said(&mut *jail).await;
        while said != went("HostUnreachable") {
            assert!(began.elapsed() < patience, "{said:?}");
            said = bed.said(&mut *jail).await;
        }
    }
    bed.launcher.shutdown().await;
}

/// What fifty jails take, none of which is ready.
pub(crate) async fn times(bed: &Bed) -> String {
    let mut times = Vec::new();
    for number in 0..50 {
        let began = Instant::now();
        let mut jail = bed.open(number, &["own".to_owned()]).await;
        let opened = began.elapsed();
        assert_eq!(bed.said(&mut *jail).await, ["own reached"]);
        times.push((began.elapsed(), opened));
        drop(jail);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    times.sort_unstable();
    let ((median, opened), (late, _)) = (times[25], times[45]);
    format!("a jail {opened:?}, its process's end {median:?} (p90 {late:?})")
}
