//! Attacks on others: another function's secrets, the host's sockets, another jail's.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use lambkin_model::exit::ExitStatus;

use crate::bed::{Bed, Outside, line, outside, pipe};
use crate::processes;
use crate::report::{Report, is_root};
use crate::rows::Row;
use crate::sandboxes::{fresh_id, read};
use crate::waiting::{run, within};

pub(crate) fn secrets(_: &Row, report: &mut Report) {
    run(async {
        let secret = fresh_id();
        let (half, rest) = secret.split_at(16);

        let plain = Outside::new().await;
        let (_first, held) = plain.act(&["hold", &secret]).await;
        assert_eq!(line(&mut pipe(held.output)).await, "held");
        let directory = plain.path().to_string_lossy().into_owned();
        let (_second, finds) = plain.act(&["find", half, rest, &directory]).await;
        let found = read(finds.output).await;
        assert!(
            found.contains("cmdline\n") && found.contains("file\n"),
            "plain processes see others': {found}"
        );
        plain.end().await;

        let bed = Bed::new().await;
        let (first, held) = bed.act(&["hold", &secret]).await;
        assert_eq!(line(&mut pipe(held.output)).await, "held");
        let (second, finds) = bed.act(&["find", half, rest, "/tmp"]).await;
        assert_eq!(read(finds.output).await, "looked\n");
        assert_eq!(within(finds.exit).await, ExitStatus::Code(0));
        report.held();
        if is_root() {
            let (_third, other) = bed.act(&["hold", &secret]).await;
            assert_eq!(line(&mut pipe(other.output)).await, "held");
            let mut users: Vec<_> = processes::with_text(&secret).into_iter().map(processes::user).collect();
            users.dedup();
            assert!(users.len() == 2 && users.iter().all(|user| *user >= 0x7000_0000), "{users:?}");
            report.held();
        } else {
            report.not_tested("another user for each jail: an ordinary user has only one");
        }
        drop([first, second]);
        bed.end().await;
    });
}

/// What this machine is reached at from outside, where it is.
fn host_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: it only chooses the address.
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

const CLOSED: [&str; 6] = ["ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EPERM", "EACCES"];

pub(crate) fn connections(_: &Row, report: &mut Report) {
    let mut addresses = vec!["127.0.0.1".parse().expect("an address"), "::1".parse().expect("an address")];
    match host_address() {
        Some(address) => addresses.push(address),
        None => report.not_tested("the host's address: it has none but loopback"),
    }
    let listeners: Vec<TcpListener> = addresses
        .into_iter()
        .filter_map(|address: std::net::IpAddr| TcpListener::bind((address, 0)).ok())
        .collect();
    let mut targets: Vec<String> =
        listeners.iter().map(|listener| listener.local_addr().expect("an address").to_string()).collect();
    // Credentials of the cloud's machine, where there is one; and a network beside the host's own.
    targets.extend(["169.254.169.254:80".into(), "10.0.0.1:80".into()]);
    run(async {
        let bed = Bed::new().await;
        // Another jail's, with the same port inside as the probe's own would be.
        let port = listeners[0].local_addr().expect("an address").port();
        let (other, listens) = bed.act(&["listen", &port.to_string(), "unused"]).await;
        let mut said = pipe(listens.output);
        assert!(line(&mut said).await.ends_with("\tdone"), "it listens");
        let words: Vec<&str> = ["connect"].into_iter().chain(targets.iter().map(String::as_str)).collect();
        let without = outside(&words);
        let (sandbox, process) = bed.act(&words).await;
        let inside = read(process.output).await;
        for ((target, inside), without) in targets.iter().zip(inside.lines()).zip(without.lines()) {
            let [inside, without] = [inside, without].map(|line| line.split_once('\t').expect("a pair").1);
            assert!(CLOSED.contains(&inside), "{target}: {inside}");
            if without == "done"
                || (inside == "ENETUNREACH" && ["ETIMEDOUT", "ECONNREFUSED"].contains(&without))
            {
                report.held();
            } else {
                report.not_tested(format!("{target}: {inside} in the jail, but outside too: {without}"));
            }
        }
        assert_eq!(inside.lines().count(), targets.len());
        drop([other, sandbox]);
        bed.end().await;
    });
}

pub(crate) fn unix_sockets(_: &Row, report: &mut Report) {
    let name = format!("lambkin-{}", fresh_id());
    let of_host = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).expect("an address"));
    let _of_host = of_host.expect("a listener");
    let place = crate::bed::directory();
    let path = place.path().join("socket");
    let _by_path = UnixListener::bind(&path).expect("a listener");
    let (by_name, by_path) = (format!("@{name}"), path.to_string_lossy().into_owned());
    let other = format!("{name}-other");
    assert_eq!(outside(&["connect", &by_name, &by_path]), format!("{by_name}\tdone\n{by_path}\tdone\n"));
    run(async {
        let bed = Bed::new().await;
        let (others, listens) = bed.act(&["listen", "9999", &other]).await;
        let mut said = pipe(listens.output);
        line(&mut said).await;
        assert_eq!(line(&mut said).await, format!("@{other}\tdone"), "it is there in its own jail");
        let by_other = format!("@{other}");
        let (sandbox, process) = bed.act(&["connect", &by_name, &by_other, &by_path]).await;
        assert_eq!(
            read(process.output).await,
            format!("{by_name}\tECONNREFUSED\n{by_other}\tECONNREFUSED\n{by_path}\tENOENT\n")
        );
        assert!(
            outside(&["connect", &by_other]).ends_with("ECONNREFUSED\n"),
            "the host does not see it either"
        );
        drop([others, sandbox]);
        bed.end().await;
    });
    report.held();
}
