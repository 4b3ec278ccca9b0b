//! The function: does what its arguments say, one after the other, and prints how each went.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::time::Duration;

/// Nothing here is refused that late; who drops packets instead would be waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// `tcp:ADDRESS`, `udp:ADDRESS`, `abstract:NAME`, `own`, `interfaces`, or `say:ADDRESS=TEXT`, which
/// prints what is answered.
pub(crate) fn run(tries: &[String]) {
    for tried in tries {
        let (what, on) = tried.split_once(':').unwrap_or((tried, ""));
        let went = match what {
            "tcp" => TcpStream::connect_timeout(&address(on), PATIENCE).map(|_| "reached".into()),
            "udp" => udp(address(on)),
            "abstract" => abstracted(on),
            "own" => own(),
            "interfaces" => interfaces(),
            "say" => say(on),
            other => panic!("{other}?"),
        };
        match went {
            Ok(text) => println!("{tried} {text}"),
            Err(error) => println!("{tried} {:?}", error.kind()),
        }
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn udp(to: SocketAddr) -> std::io::Result<String> {
    let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.send_to(b"x", to).map(|_| "sent".into())
}

fn abstracted(name: &str) -> std::io::Result<String> {
    UnixStream::connect_addr(&UnixAddress::from_abstract_name(name)?).map(|_| "reached".into())
}

fn own() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    TcpStream::connect_timeout(&listener.local_addr()?, PATIENCE).map(|_| "reached".into())
}

fn interfaces() -> std::io::Result<String> {
    let text = std::fs::read_to_string("/proc/net/dev")?;
    let names = text.lines().skip(2).filter_map(|line| line.split(':').next());
    Ok(names.map(str::trim).collect::<Vec<_>>().join(","))
}

fn say(what: &str) -> std::io::Result<String> {
    let (to, text) = what.split_once('=').expect("ADDRESS=TEXT");
    let mut stream = TcpStream::connect_timeout(&address(to), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{text}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}
