//! The router: a network namespace between all jails and the way out, and the process that keeps it.
//! One thread, no runtime; a copy of the spawner, so that it has power over the jails' namespaces also
//! where lambkin is an ordinary user. It ends with the spawner, and when lambkin's end of its socket
//! closes. No function's process is ever in its namespace.
//!
//! Deliberately not here: what the rules are (`jail::rules`), the way out itself (`uplink`).

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::uplink::{MTU, TAP};
use super::wire::{Done, Order};
use crate::jail::netlink::{Change, Netlink};
use crate::jail::system;
use crate::jail::wire::{At as _, Failure};
use crate::signals;
use crate::wire::{self, MAX_MESSAGE};

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// Milliseconds between two refusals to the same jail, after six; the next ones are left unsaid.
const REFUSALS: &str = "/proc/sys/net/ipv4/icmp_ratelimit";
const IPV6: &str = "/proc/sys/net/ipv6";

/// A jail's link and its own end are a network of two.
const PAIR: u8 = 31;

/// Serves until lambkin closes its end. Begins in a fresh network namespace.
pub(in crate::jail) fn run(socket: OwnedFd) -> ! {
    system::close_all_but(&[socket.as_raw_fd()]);
    // Before anything can go wrong: a spawner that died just before has not answered, upon which
    // lambkin closes the socket.
    let tied = set_parent_process_death_signal(Some(Signal::KILL)).at("tying the router to the spawner");
    let _ = rustix::thread::set_name(c"lambkin-router");
    // It waits for the programs that it starts.
    signals::restore_defaults();
    signals::ignore_terminal();
    let router = tied.and_then(|()| Router::new());
    let said: Done = router.as_ref().map(drop).map_err(Failure::clone);
    let served = say(&socket, &said).and_then(|()| match router {
        Ok(mut router) => router.serve(&socket),
        Err(_) => Ok(()),
    });
    system::exit(i32::from(served.is_err()));
}

fn say(socket: &OwnedFd, done: &Done) -> io::Result<()> {
    let bytes = postcard::to_stdvec(done).map_err(io::Error::other)?;
    wire::send(socket.as_fd(), &bytes, &[])
}

struct Router {
    /// Its own namespace, to come back to.
    home: File,
    tables: Netlink,
    has_ipv6: bool,
}

impl Router {
    fn new() -> Result<Self, Failure> {
        let namespace = || File::open("/proc/self/ns/net").at("opening the router's network");
        // Where it was born is for a first link, whose end goes with it.
        let trial = namespace()?;
        system::unshare(UnshareFlags::NEWNET).at("making the router's network")?;
        system::raise_loopback().at("bringing the router's loopback up")?;
        let has_ipv6 = Path::new(IPV6).exists();
        if has_ipv6 {
            for links in ["all", "default"] {
                fs::write(format!("{IPV6}/conf/{links}/disable_ipv6"), "1")
                    .at("turning the router's IPv6 off")?;
            }
        }
        fs::write(FORWARDING, "1").at("making the router forward")?;
        // Where it is not this namespace's to say, who is refused often waits for some.
        let _ = fs::write(REFUSALS, "0");
        let tables = Netlink::open().at("opening the router's tables")?;
        let mut router = Self { home: namespace()?, tables, has_ipv6 };
        let (name, gateway, own) = ("trial".to_owned(), [192, 0, 0, 8].into(), [192, 0, 0, 9].into());
        router.attach(&trial, &Order::Attach { name, gateway, own })?;
        Ok(router)
    }

    fn serve(&mut self, socket: &OwnedFd) -> io::Result<()> {
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            let (length, descriptors) = match wire::receive_waiting(socket.as_fd(), &mut buffer) {
                Ok(Some(received)) => received,
                Ok(None) => return Ok(()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::ConnectionReset => return Ok(()),
                    _ => return Err(error),
                },
            };
            let order: Order = postcard::from_bytes(&buffer[..length]).map_err(io::Error::other)?;
            let done = match &order {
                Order::Filter { nft, rules } => filter(nft, rules),
                Order::LookOut => self.tables.index(TAP).map(drop).at("looking for the way out"),
                Order::Attach { .. } => match descriptors.into_iter().next() {
                    Some(namespace) => self.attach(&File::from(namespace), &order),
                    None => Err(rustix::io::Errno::MFILE).at("receiving a jail's network"),
                },
            };
            say(socket, &done)?;
        }
    }

    fn attach(&mut self, namespace: &File, order: &Order) -> Result<(), Failure> {
        let Order::Attach { name, gateway, own } = order else { return Ok(()) };
        self.tables.change(vec![Change::pair(name, namespace.as_fd(), MTU)]).at("making a jail's link")?;
        let link = self.tables.index(name).at("finding a jail's link")?;
        self.tables
            .change(vec![Change::address(link, *gateway, PAIR)])
            .at("giving a jail's link an address")?;
        let mut inside = self.inside(namespace).at("entering a jail's network")?;
        let link = inside.index("eth0").at("finding a jail's eth0")?;
        let mut changes =
            vec![Change::address(link, *own, PAIR), Change::up("eth0"), Change::default_route(*gateway)];
        if self.has_ipv6 {
            changes.insert(0, Change::no_ipv6("eth0"));
        }
        inside.change(changes).at("setting up a jail's eth0")
    }

    /// The tables of another namespace. One that cannot come back ends itself.
    fn inside(&self, namespace: &File) -> io::Result<Netlink> {
        let enter =
            |namespace: &File| move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
        enter(namespace)?;
        let tables = Netlink::open();
        if enter(&self.home).is_err() {
            system::exit(1);
        }
        tables
    }
}

/// What the program complains of becomes the failure's step: it is the only one who knows.
fn filter(nft: &Path, rules: &str) -> Result<(), Failure> {
    let mut command = Command::new(nft);
    command.args(["-f", "-"]).env_clear().env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().at("starting nft")?;
    if let Some(mut stdin) = child.stdin.take() {
        // Fails where it has ended already, and then says why.
        let _ = stdin.write_all(rules.as_bytes());
    }
    let output = child.wait_with_output().at("waiting for nft")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(400).collect();
    Err(Failure { step: format!("loading the rules: {said}"), errno: libc::EINVAL })
}
