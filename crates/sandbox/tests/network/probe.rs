//! The function: does what its arguments say, one after the other, and prints how each went.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::time::Duration;

/// Nothing here is refused that late; who drops packets instead would be waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// `tcp:ADDRESS`, `udp:ADDRESS`, `abstract:NAME`, `own`, `interfaces`, `gateway:PORT`, `read:FILE`,
/// `say:ADDRESS=TEXT`, which prints what is answered, `ask:ADDRESS`, the same by datagrams, or `serve:PORT`, which prints its own address and
/// does not end.
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
            "ask" => ask(address(on)),
            "gateway" => gateway(on),
            "read" => std::fs::read_to_string(on).map(|text| text.trim().replace('\n', "|")),
            "serve" => serve(on),
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

pub(crate) fn ask(to: SocketAddr) -> std::io::Result<String> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(PATIENCE / 3))?;
    socket.connect(to)?;
    socket.send(b"who")?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn own_address() -> std::io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // Sends nothing.
    socket.connect("198.51.100.1:9")?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => panic!("{address}?"),
    }
}

/// The other end of its link.
fn gateway(port: &str) -> std::io::Result<String> {
    let address = Ipv4Addr::from_bits(own_address()?.to_bits() ^ 1);
    TcpStream::connect_timeout(&(address, port.parse().expect("a port")).into(), PATIENCE)
        .map(|_| "reached".into())
}

fn serve(port: &str) -> std::io::Result<String> {
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    println!("{}", own_address()?);
    loop {
        drop(listener.accept()?);
    }
}
