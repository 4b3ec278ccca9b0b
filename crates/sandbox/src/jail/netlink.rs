//! Links, addresses and routes by the kernel's own wire (`rtnetlink(7)`): a jail's link costs half a
//! millisecond so, and ten times as much by a program.
//!
//! Deliberately not here: which links, and where (`egress::router`, `init`); anything but IPv4.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice};

use crate::jail::system;
use crate::network::Subnet;

/// Largest answer. The kernel fills 32 KiB at the most.
const ANSWER_BYTES: usize = 64 * 1024;

/// Of one route.
const ROUTE_BYTES: usize = 4096;

const HEADER: usize = 16;
const ROUTE_HEADER: usize = 12;

const NETNS_FD: u16 = libc::IFLA_NET_NS_FD;
/// `linux/veth.h`.
const VETH_INFO_PEER: u16 = 1;
/// `linux/if_link.h`: no IPv6 address by itself.
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_NONE: u8 = 1;

/// What changes when this machine's own addresses do (`RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`).
const ADDRESS_CHANGES: u32 = 0x10 | 0x40;

/// A socket to one network namespace's tables.
pub(super) struct Netlink {
    socket: OwnedFd,
    /// Of the last request.
    number: u32,
}

impl Netlink {
    /// Of the namespace that the calling thread is in.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { socket: socket(SocketFlags::CLOEXEC, 0)?, number: 0 })
    }

    /// Does these, one after the other, and gives the first failure.
    pub(super) fn change(&mut self, changes: Vec<Change>) -> io::Result<()> {
        let mut bytes = Vec::new();
        let count = changes.len();
        for Change { kind, flags, body } in changes {
            self.number += 1;
            let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
            bytes.extend(message(kind, flags, self.number, &body));
        }
        rustix::net::send(&self.socket, &bytes, SendFlags::empty())?;
        let mut result = Ok(());
        let mut answered = 0;
        let mut buffer = vec![0; ANSWER_BYTES];
        while answered < count {
            let length = receive(self.socket.as_fd(), &mut buffer)?;
            for (kind, body) in messages(&buffer[..length]) {
                if kind == libc::NLMSG_ERROR as u16 {
                    answered += 1;
                    result = result.and(failure(body));
                }
            }
        }
        Ok(result?)
    }

    /// The number of the link with this name.
    pub(super) fn index(&self, name: &str) -> io::Result<u32> {
        Ok(netdevice::name_to_index(&self.socket, name)?)
    }

    /// Whether packets to this address leave for another machine, as they would go now: not to this
    /// machine itself, nor to several.
    ///
    /// # Errors
    /// They would go nowhere.
    pub(super) fn leads_elsewhere(&mut self, address: Ipv4Addr) -> io::Result<bool> {
        self.number += 1;
        let mut body = vec![0; ROUTE_HEADER];
        (body[0], body[1]) = (libc::AF_INET as u8, 32);
        attribute(&mut body, libc::RTA_DST, &address.octets());
        let bytes = message(libc::RTM_GETROUTE, libc::NLM_F_REQUEST as u16, self.number, &body);
        rustix::net::send(&self.socket, &bytes, SendFlags::empty())?;
        let mut buffer = vec![0; ROUTE_BYTES];
        let length = receive(self.socket.as_fd(), &mut buffer)?;
        match messages(&buffer[..length]).next() {
            Some((libc::RTM_NEWROUTE, route)) => Ok(route.get(7) == Some(&libc::RTN_UNICAST)),
            Some((kind, body)) if kind == libc::NLMSG_ERROR as u16 => {
                failure(body)?;
                Ok(false)
            }
            Some(_) | None => Ok(false),
        }
    }

    /// This machine's own addresses and networks, in all tables, in order.
    fn own(&mut self) -> io::Result<Vec<Subnet>> {
        self.number += 1;
        let mut header = [0; ROUTE_HEADER];
        header[0] = libc::AF_INET as u8;
        header[7] = libc::RTN_LOCAL;
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
        let bytes = message(libc::RTM_GETROUTE, flags, self.number, &header);
        rustix::net::send(&self.socket, &bytes, SendFlags::empty())?;
        let mut own = Vec::new();
        let mut buffer = vec![0; ANSWER_BYTES];
        loop {
            let length = receive(self.socket.as_fd(), &mut buffer)?;
            for (kind, body) in messages(&buffer[..length]) {
                if kind == libc::NLMSG_DONE as u16 {
                    own.sort_unstable();
                    own.dedup();
                    return Ok(own);
                }
                if kind == libc::NLMSG_ERROR as u16 {
                    failure(body)?;
                }
                own.extend((kind == libc::RTM_NEWROUTE).then(|| local(body)).flatten());
            }
        }
    }
}

/// This machine's own addresses, as the kernel says at once when they change.
pub(super) struct Own {
    changes: tokio::io::unix::AsyncFd<OwnedFd>,
    tables: Netlink,
}

impl Own {
    /// Of the host. Needs a tokio runtime.
    pub(super) fn watch() -> io::Result<Self> {
        let changes = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, ADDRESS_CHANGES)?;
        let tables = Netlink::open()?;
        // Only the routes that are asked for, instead of all of a router's. Older kernels give them all.
        let _ = system::set_strict(tables.socket.as_fd());
        Ok(Self { changes: system::watch(changes)?, tables })
    }

    /// Answers when they may be others. Loses nothing when dropped.
    pub(super) async fn changed(&self) -> io::Result<()> {
        let mut guard = self.changes.readable().await?;
        let mut buffer = [0; 4096];
        loop {
            match rustix::net::recv(self.changes.get_ref(), &mut buffer, RecvFlags::TRUNC) {
                // More was said than the kernel keeps: something has changed.
                Ok(_) | Err(Errno::INTR | Errno::NOBUFS) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        guard.clear_ready();
        Ok(())
    }

    pub(super) fn now(&mut self) -> io::Result<Vec<Subnet>> {
        self.tables.own()
    }
}

fn socket(flags: SocketFlags, groups: u32) -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((length, _)) => return Ok(length),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// One thing that is to be different.
pub(super) struct Change {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Change {
    /// A pair of links, up: this one here, and `eth0`, down, in another namespace.
    pub(super) fn pair(name: &str, peer: BorrowedFd<'_>, mtu: u32) -> Self {
        let mut other = link_header(false);
        attribute(&mut other, libc::IFLA_MTU, &mtu.to_ne_bytes());
        attribute(&mut other, libc::IFLA_IFNAME, &terminated("eth0"));
        attribute(&mut other, NETNS_FD, &peer.as_raw_fd().to_ne_bytes());
        let mut data = Vec::new();
        attribute(&mut data, VETH_INFO_PEER, &other);
        let mut info = Vec::new();
        attribute(&mut info, libc::IFLA_INFO_KIND, b"veth");
        attribute(&mut info, libc::IFLA_INFO_DATA, &data);
        let mut body = link_header(true);
        attribute(&mut body, libc::IFLA_MTU, &mtu.to_ne_bytes());
        attribute(&mut body, libc::IFLA_IFNAME, &terminated(name));
        attribute(&mut body, libc::IFLA_LINKINFO, &info);
        Self { kind: libc::RTM_NEWLINK, flags: (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16, body }
    }

    /// No IPv6 address by itself.
    pub(super) fn no_ipv6(name: &str) -> Self {
        let mut inet6 = Vec::new();
        attribute(&mut inet6, IFLA_INET6_ADDR_GEN_MODE, &[ADDR_GEN_NONE]);
        let mut families = Vec::new();
        attribute(&mut families, libc::AF_INET6 as u16, &inet6);
        let mut body = link_header(false);
        attribute(&mut body, libc::IFLA_IFNAME, &terminated(name));
        attribute(&mut body, libc::IFLA_AF_SPEC, &families);
        Self { kind: libc::RTM_NEWLINK, flags: 0, body }
    }

    pub(super) fn up(name: &str) -> Self {
        let mut body = link_header(true);
        attribute(&mut body, libc::IFLA_IFNAME, &terminated(name));
        Self { kind: libc::RTM_NEWLINK, flags: 0, body }
    }

    /// An address of a link, in a network of that length.
    pub(super) fn address(link: u32, address: Ipv4Addr, length: u8) -> Self {
        let mut body = vec![libc::AF_INET as u8, length, 0, libc::RT_SCOPE_UNIVERSE];
        body.extend(link.to_ne_bytes());
        attribute(&mut body, libc::IFA_LOCAL, &address.octets());
        attribute(&mut body, libc::IFA_ADDRESS, &address.octets());
        Self { kind: libc::RTM_NEWADDR, flags: (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16, body }
    }

    /// To everywhere, by this neighbour.
    pub(super) fn default_route(gateway: Ipv4Addr) -> Self {
        Self::everywhere(libc::RT_SCOPE_UNIVERSE, libc::RTA_GATEWAY, &gateway.octets())
    }

    /// To everywhere, by this link and nobody behind it.
    pub(super) fn default_link(link: u32) -> Self {
        Self::everywhere(libc::RT_SCOPE_LINK, libc::RTA_OIF, &link.to_ne_bytes())
    }

    fn everywhere(scope: u8, by: u16, value: &[u8]) -> Self {
        let (family, table) = (libc::AF_INET as u8, libc::RT_TABLE_MAIN);
        let (protocol, kind) = (libc::RTPROT_BOOT, libc::RTN_UNICAST);
        let mut body = vec![family, 0, 0, 0, table, protocol, scope, kind, 0, 0, 0, 0];
        attribute(&mut body, by, value);
        Self { kind: libc::RTM_NEWROUTE, flags: (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16, body }
    }
}

/// `struct ifinfomsg`.
fn link_header(up: bool) -> Vec<u8> {
    let up = if up { libc::IFF_UP.cast_unsigned() } else { 0 };
    [0_u32, 0, up, up].into_iter().flat_map(u32::to_ne_bytes).collect()
}

fn terminated(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// `struct rtattr` with what it holds, aligned.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn message(kind: u16, flags: u16, number: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(number.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Kinds and bodies of what the kernel has sent.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?);
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// What `NLMSG_ERROR` says; zero is no error.
fn failure(body: &[u8]) -> Result<(), Errno> {
    match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw_os_error(code.saturating_neg())),
        None => Err(Errno::BADMSG),
    }
}

/// The network of a route to this machine itself.
fn local(body: &[u8]) -> Option<Subnet> {
    let header = body.first_chunk::<ROUTE_HEADER>()?;
    if header[0] != libc::AF_INET as u8 || header[7] != libc::RTN_LOCAL || header[1] > 32 {
        return None;
    }
    let (_, address) = attributes(&body[ROUTE_HEADER..]).find(|(kind, _)| *kind == libc::RTA_DST)?;
    Some(Subnet::new(Ipv4Addr::from(*address.first_chunk::<4>()?), header[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_s_own_addresses_are_found() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _entered = runtime.enter();
        let own = Own::watch().and_then(|mut own| own.now()).expect("addresses");
        let loopback = "127.0.0.0/8".parse().expect("a network");
        assert!(own.contains(&loopback), "{own:?}");
    }

    #[test]
    fn this_machine_is_not_elsewhere() {
        let mut tables = Netlink::open().expect("tables");
        for own in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 1, 2, 3)] {
            assert!(!tables.leads_elsewhere(own).expect("a route"), "{own}");
        }
        let several = Ipv4Addr::new(224, 0, 0, 1);
        assert!(!tables.leads_elsewhere(several).unwrap_or(false), "{several}");
    }

    #[test]
    fn only_routes_to_this_machine_are_its_own() {
        let route = |kind, length, address: Option<[u8; 4]>| {
            let mut body = vec![libc::AF_INET as u8, length, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0];
            // An attribute that nobody asked for, of odd length.
            attribute(&mut body, 99, b"odd");
            address.iter().for_each(|address| attribute(&mut body, libc::RTA_DST, address));
            local(&body).map(|subnet| subnet.to_string())
        };
        assert_eq!(route(libc::RTN_LOCAL, 32, Some([192, 0, 2, 2])).as_deref(), Some("192.0.2.2/32"));
        assert_eq!(route(libc::RTN_LOCAL, 16, Some([10, 5, 0, 0])).as_deref(), Some("10.5.0.0/16"));
        for other in [
            route(libc::RTN_UNICAST, 24, Some([192, 0, 2, 0])),
            route(libc::RTN_LOCAL, 40, Some([192, 0, 2, 0])),
            route(libc::RTN_LOCAL, 32, None),
        ] {
            assert_eq!(other, None);
        }
        assert_eq!(local(&[2, 32]), None);
    }

    #[test]
    fn messages_are_read_as_they_are_written() {
        let mut bytes = message(7, 1, 9, b"abcde");
        bytes.extend(message(8, 0, 10, b""));
        let read: Vec<_> = messages(&bytes).collect();
        assert_eq!(read, [(7, &b"abcde"[..]), (8, b"")]);
        // Cut off, and of a length that cannot be.
        assert_eq!(messages(&bytes[..18]).count(), 0);
        assert_eq!(messages(&[3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).count(), 0);
        assert_eq!(failure(&(-17_i32).to_ne_bytes()), Err(Errno::EXIST));
        assert_eq!(failure(&0_i32.to_ne_bytes()), Ok(()));
    }
}
