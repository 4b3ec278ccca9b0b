//! The function: does what its arguments say, one after the other, and prints how each went.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::attacks;

/// Nothing here is refused that late; who drops packets instead would be waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// `tcp:ADDRESS`, `udp:ADDRESS`, `abstract:NAME`, `own`, `interfaces`, `gateway:PORT`, `read:FILE`,
/// `say:ADDRESS=TEXT`, which prints what is answered, `ask:ADDRESS`, the same by datagrams,
/// `name:ADDRESS=NAME`, of a resolver, `names:ADDRESS=NUMBER`, how many questions are taken at once, `wait:ADDRESS=TEXT`,
/// like `say` or `tcp` by a socket that blocks, `tick:ADDRESS`, which ticks while it waits so, `child:` and another, by a process of its own, `attack:`, `inside`, `many:`
/// and `hold:` (`attacks`), `time:ADDRESS`, what a connection takes, `take:ADDRESS`, which gives it to loopback, or
/// `serve:PORT`, which prints its own address and does not end.
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
            "ask" => ask(address(on.split_once('=').map_or(on, |(to, _)| to))),
            "name" => name(on),
            "names" => names(on),
            "wait" => wait(on),
            "tick" => tick(on),
            "child" => child(on),
            "attack" => attack(on),
            "inside" => attacks::inside(),
            "many" => attacks::many(address(on)),
            "hold" => attacks::hold(address(on)),
            "time" => time(on),
            "take" => take_address(on.parse().expect("an address")),
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

/// What is to be tried, and what is printed where each goes as expected.
pub(crate) fn tried(expected: &[(String, &str)]) -> (Vec<String>, Vec<String>) {
    expected.iter().map(|(tried, went)| (tried.clone(), format!("{tried} {went}"))).unzip()
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn wait(what: &str) -> std::io::Result<String> {
    let (to, text) = what.split_once('=').unwrap_or((what, ""));
    let stream = TcpStream::connect(address(to))?;
    if text.is_empty() { Ok("reached".into()) } else { talk(stream, text) }
}

/// Every millisecond, also after what the other thread has to say.
fn tick(to: &str) -> std::io::Result<String> {
    let to = format!("{to}=who");
    std::thread::spawn(move || match wait(&to) {
        Ok(text) => println!("late {text}"),
        Err(error) => println!("late {:?}", error.kind()),
    });
    loop {
        println!("tick");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn child(tried: &str) -> std::io::Result<String> {
    let output = Command::new("/proc/self/exe").args([crate::PROBE, tried]).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok(said.trim().strip_prefix(tried).unwrap_or(&said).trim().to_owned())
}

fn attack(what: &str) -> std::io::Result<String> {
    let (name, addresses) = what.split_once('=').expect("NAME=ADDRESS>ADDRESS");
    let (may, may_not) = addresses.split_once('>').expect("ADDRESS>ADDRESS");
    attacks::run(name, address(may), address(may_not), attacks::RACE)
}

/// A question of which only the header's first half is as DNS has it.
fn question(name: &str) -> Vec<u8> {
    [&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], name.as_bytes()].concat()
}

fn name(what: &str) -> std::io::Result<String> {
    let (to, name) = what.split_once('=').expect("ADDRESS=NAME");
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.set_read_timeout(Some(PATIENCE / 3))?;
    socket.send_to(&question(name), address(to))?;
    let mut answer = [0; 128];
    let (length, from) = socket.recv_from(&mut answer)?;
    assert!(from == address(to) && answer[..2] == [7, 7] && answer[2] & 0x80 != 0, "{from} {answer:?}");
    Ok(String::from_utf8_lossy(&answer[12..length]).into_owned())
}

/// Of those that nobody answers, as many as a failure is not said of when there are more.
fn names(what: &str) -> std::io::Result<String> {
    let (to, number) = what.split_once('=').expect("ADDRESS=NUMBER");
    let number: usize = number.parse().expect("a number");
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    for _ in 0..number {
        socket.send_to(&question("silence"), address(to))?;
    }
    // One that would be answered is lost as long as the others are waited for.
    let began = Instant::now();
    while name(&format!("{to}=example.org")).is_err() {
        assert!(began.elapsed() < 4 * PATIENCE, "never answered again");
    }
    assert!(began.elapsed() > PATIENCE, "{:?}: more than it takes at once", began.elapsed());
    Ok("64".into())
}

/// Of a connection, and of one by a socket that blocks: the median.
pub(crate) fn time(to: &str) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = if to == "inside" { listener.local_addr()? } else { address(to) };
    let mut text = String::new();
    for (how, blocks) in [("not blocking", false), ("blocking", true)] {
        let mut times = Vec::new();
        for _ in 0..300 {
            let began = Instant::now();
            let stream =
                if blocks { TcpStream::connect(to) } else { TcpStream::connect_timeout(&to, PATIENCE) }?;
            times.push(began.elapsed());
            drop(stream);
            if to.ip().is_loopback() {
                drop(listener.accept()?);
            }
        }
        times.sort_unstable();
        text += &format!("{how} {:?} ", times[times.len() / 2]);
    }
    Ok(text)
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
    talk(TcpStream::connect_timeout(&address(to), PATIENCE)?, text)
}

fn talk(mut stream: TcpStream, text: &str) -> std::io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    writeln!(stream, "{text}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(|_| answer)
}

/// As only who may change this network can.
pub(crate) fn take_address(address: Ipv4Addr) -> std::io::Result<String> {
    /// Loopback's number, in every namespace.
    const LOOPBACK: u32 = 1;
    const IFA_LOCAL: u16 = 2;
    const RTM_NEWADDR: u16 = 20;
    /// Request, acknowledge, create, and not what is there.
    const FLAGS: u16 = 1 | 4 | 0x400 | 0x200;
    let mut message = 32_u32.to_ne_bytes().to_vec();
    message.extend([RTM_NEWADDR, FLAGS].map(u16::to_ne_bytes).concat());
    message.extend([0; 8]);
    message.extend([2, 32, 0, 0]);
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend([8, IFA_LOCAL].map(u16::to_ne_bytes).concat());
    message.extend(address.octets());
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::NETLINK, rustix::net::SocketType::RAW, None)?;
    rustix::net::send(&socket, &message, rustix::net::SendFlags::empty())?;
    let mut answer = [0; 256];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], rustix::net::RecvFlags::empty())?;
    // `nlmsgerr` behind its header.
    match answer[..length].get(16..20).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok("taken".into()),
        Some(code) => Err(std::io::Error::from_raw_os_error(-code)),
        None => Err(std::io::ErrorKind::InvalidData.into()),
    }
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
