//! A small world for a lambkin: this process's own network namespace is the host's, and another one,
//! behind a link, is the internet, with addresses of all kinds. To be made in a fresh namespace only.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::linux::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The host as others see it.
pub(crate) const HOST: &str = "192.0.2.2";
/// Another address of the host.
pub(crate) const HOST_TOO: &str = "203.0.113.7";
pub(crate) const INTERNET: &str = "198.51.100.1:443";
pub(crate) const METADATA: &str = "169.254.169.254:80";
pub(crate) const AZURE: &str = "168.63.129.16:80";
pub(crate) const PRIVATE: &str = "10.9.0.1:80";
pub(crate) const ALLOWED: &str = "10.8.0.1:80";

const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) struct World {
    /// Holds the internet's namespace.
    holder: Child,
}

impl World {
    pub(crate) fn new(resolver: Option<Ipv4Addr>) -> Self {
        let unshare = ["-n", "--", "sleep", "300"];
        let holder = Command::new("unshare").args(unshare).stdout(Stdio::null()).spawn().expect("unshare");
        let world = Self { holder };
        let ours = std::fs::metadata("/proc/self/ns/net").expect("a namespace").st_ino();
        until("another namespace", || std::fs::metadata(world.path()).expect("one").st_ino() != ours);
        ip(&format!(
            "link set lo up\nlink add up0 type veth peer name down0 netns {}\naddress add {HOST}/24 dev up0\n\
             address add {HOST_TOO}/32 dev lo\nlink set up0 addrgenmode none\nlink set up0 up\n",
            world.holder.id()
        ));
        let mut addresses: Vec<_> =
            [INTERNET, METADATA, AZURE, PRIVATE, ALLOWED].iter().map(|text| address(text)).collect();
        addresses.extend(resolver.iter().map(|resolver| SocketAddr::from((*resolver, 53))));
        let mut there = "link set lo up\naddress add 192.0.2.1/24 dev down0\nlink set down0 up\n".to_owned();
        addresses.iter().for_each(|address| there += &format!("address add {}/32 dev lo\n", address.ip()));
        // As if it knew the way to jails.
        there += &format!("route add 100.64.0.0/10 via {HOST}\n");
        let (in_place, placed) = std::sync::mpsc::channel();
        // As new namespaces have it where the machine does not forward; who forwards says that nobody is there.
        forwards_nothing();
        world.enter(move || {
            forwards_nothing();
            ip(&there);
            let listeners: Vec<_> = addresses
                .into_iter()
                .map(|address| {
                    let socket = UdpSocket::bind(address).expect("a socket");
                    (TcpListener::bind(address).expect("a listener"), socket)
                })
                .collect();
            in_place.send(listeners).expect("sent");
        });
        for (listener, socket) in placed.recv().expect("listeners") {
            std::thread::spawn(move || serve(&listener));
            std::thread::spawn(move || answer(&socket));
        }
        ip("route add default via 192.0.2.1\n");
        for text in [INTERNET, METADATA, AZURE, PRIVATE, ALLOWED] {
            let reached = TcpStream::connect_timeout(&address(text), DEADLINE);
            drop(reached.unwrap_or_else(|error| panic!("the host reaches {text}: {error}")));
        }
        world
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.holder.id())
    }

    /// Begins this in the internet, once.
    pub(crate) fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        let namespace = File::open(self.path()).expect("a namespace");
        std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("entered");
            work();
        });
    }

    /// Does this in the internet.
    pub(crate) fn enter<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        enter(self.holder.id(), work)
    }
}

fn forwards_nothing() {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("root may");
}

/// Does this in the network of that process.
pub(crate) fn enter<T: Send + 'static>(process: u32, work: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = File::open(format!("/proc/{process}/ns/net")).expect("a namespace");
    let thread = std::thread::spawn(move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("entered");
        work()
    });
    thread.join().expect("done")
}

impl Drop for World {
    fn drop(&mut self) {
        self.holder.kill().expect("killed");
        self.holder.wait().expect("ended");
    }
}

/// Says to everyone from which address they come.
pub(crate) fn serve(listener: &TcpListener) {
    while let Ok((mut stream, from)) = listener.accept() {
        // Some say nothing and go.
        if BufReader::new(&stream).read_line(&mut String::new()).is_ok_and(|length| length > 0) {
            let _ = write!(stream, "{}", from.ip());
        }
    }
}

/// The same, by datagrams.
fn answer(socket: &UdpSocket) {
    while let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
        // Who is refused the answer has gone.
        let _ = socket.send_to(from.ip().to_string().as_bytes(), from);
    }
}

pub(crate) fn nobody_came(listener: &TcpListener) {
    listener.set_nonblocking(true).expect("a mode");
    let came = listener.accept().map(|(_, from)| from);
    assert_eq!(came.expect_err("nobody").kind(), ErrorKind::WouldBlock);
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(crate) fn ip(text: &str) {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("ip");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    assert!(child.wait().expect("ended").success(), "{text}");
}

pub(crate) fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("a program");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < 2 * DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
