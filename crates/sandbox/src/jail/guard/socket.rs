//! A socket that a call is about: what it is, in which network, and another like it.

#![expect(unsafe_code, reason = "options and addresses as bytes have no safe interface")]

use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrV6, SocketFlags, SocketType, ipproto, socket_with, sockopt};

use super::last_errno;

/// `asm-generic/socket.h`.
const SO_NETNS_COOKIE: i32 = 71;

/// Longest of the options below.
const OPTION_BYTES: usize = 16;

/// What goes with a connection from one socket to the other, where it differs from the default. Not what a
/// path to the other end is made of (`seccomp::guarded`).
const OPTIONS: [(i32, i32); 21] = [
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    (libc::SOL_SOCKET, libc::SO_LINGER),
    (libc::SOL_SOCKET, libc::SO_OOBINLINE),
    (libc::SOL_SOCKET, libc::SO_RCVLOWAT),
    (libc::SOL_SOCKET, libc::SO_RCVTIMEO),
    (libc::SOL_SOCKET, libc::SO_SNDTIMEO),
    (libc::SOL_SOCKET, libc::SO_PRIORITY),
    (libc::SOL_SOCKET, libc::SO_TIMESTAMP),
    (libc::SOL_TCP, libc::TCP_NODELAY),
    (libc::SOL_TCP, libc::TCP_CORK),
    (libc::SOL_TCP, libc::TCP_KEEPIDLE),
    (libc::SOL_TCP, libc::TCP_KEEPINTVL),
    (libc::SOL_TCP, libc::TCP_KEEPCNT),
    (libc::SOL_TCP, libc::TCP_SYNCNT),
    (libc::SOL_TCP, libc::TCP_LINGER2),
    (libc::SOL_TCP, libc::TCP_USER_TIMEOUT),
    (libc::SOL_TCP, libc::TCP_NOTSENT_LOWAT),
    (libc::SOL_IP, libc::IP_TOS),
    (libc::SOL_IP, libc::IP_TTL),
    (libc::SOL_IPV6, libc::IPV6_V6ONLY),
    (libc::SOL_IPV6, libc::IPV6_TCLASS),
];

/// These are read as twice what is set.
const BUFFERS: [i32; 2] = [libc::SO_SNDBUF, libc::SO_RCVBUF];

/// A TCP socket, by what the kernel says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tcp {
    pub(super) family: AddressFamily,
    /// The network namespace's number, which no other has until the machine stops.
    pub(super) network: u64,
}

/// What its connection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    Connecting,
    Connected,
}

/// `None` where it is a socket that never connects by TCP.
pub(super) fn tcp(socket: BorrowedFd<'_>) -> Result<Option<Tcp>, Errno> {
    let family = sockopt::socket_domain(socket)?;
    let is_internet = family == AddressFamily::INET || family == AddressFamily::INET6;
    // Whatever its protocol: MPTCP's and SMC's are TCP's beneath.
    if !is_internet || sockopt::socket_type(socket)? != SocketType::STREAM {
        return Ok(None);
    }
    Ok(Some(Tcp { family, network: network(socket)? }))
}

pub(super) fn network(socket: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut number = [0; 8];
    match get(socket, libc::SOL_SOCKET, SO_NETNS_COOKIE, &mut number)? {
        8 => Ok(u64::from_ne_bytes(number)),
        _ => Err(Errno::NOPROTOOPT),
    }
}

pub(super) fn state(socket: BorrowedFd<'_>) -> Result<State, Errno> {
    /// `linux/tcp.h`, `net/tcp_states.h`.
    const SYN_SENT: u8 = 2;
    const SYN_RECEIVED: u8 = 3;
    const CLOSE: u8 = 7;
    let mut state = [0];
    get(socket, libc::SOL_TCP, libc::TCP_INFO, &mut state)?;
    Ok(match state[0] {
        CLOSE => State::Closed,
        SYN_SENT | SYN_RECEIVED => State::Connecting,
        _ => State::Connected,
    })
}

/// How it went, once; nothing is said twice.
pub(super) fn outcome(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    sockopt::socket_error(socket)?
}

/// One of this thread's own network, with what the other one was set to. Does not block.
pub(super) fn like(other: BorrowedFd<'_>, family: AddressFamily) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let made = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP));
    let made = made.map_err(|errno| if errno == Errno::MFILE { Errno::NFILE } else { errno })?;
    let copy = |level, option, halve: bool| -> Result<(), Errno> {
        let (mut wanted, mut there) = ([0; OPTION_BYTES], [0; OPTION_BYTES]);
        let length = get(other, level, option, &mut wanted)?;
        get(made.as_fd(), level, option, &mut there)?;
        if wanted == there {
            return Ok(());
        }
        if halve && let Some(size) = wanted.first_chunk_mut() {
            *size = (u32::from_ne_bytes(*size) / 2).to_ne_bytes();
        }
        set(made.as_fd(), level, option, &wanted[..length])
    };
    for (level, option) in OPTIONS {
        if level != libc::SOL_IPV6 || family == AddressFamily::INET6 {
            copy(level, option, false)?;
        }
    }
    for option in BUFFERS {
        copy(libc::SOL_SOCKET, option, true)?;
    }
    Ok(made)
}

/// By IPv4, also where it is a socket of IPv6's.
pub(super) fn connect(socket: BorrowedFd<'_>, family: AddressFamily, to: SocketAddrV4) -> Result<(), Errno> {
    if family == AddressFamily::INET {
        return rustix::net::connect(socket, &to);
    }
    rustix::net::connect(socket, &SocketAddrV6::new(to.ip().to_ipv6_mapped(), to.port(), 0, 0))
}

/// To an address as somebody wrote it.
pub(super) fn connect_as_written(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let length = address.len() as libc::socklen_t;
    // SAFETY: the kernel reads that many bytes.
    done(unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), length) })
}

/// The same.
pub(super) fn bind_as_written(socket: BorrowedFd<'_>, address: &[u8]) -> Result<(), Errno> {
    let length = address.len() as libc::socklen_t;
    // SAFETY: the kernel reads that many bytes.
    done(unsafe { libc::bind(socket.as_raw_fd(), address.as_ptr().cast(), length) })
}

pub(super) fn blocks(socket: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(!fcntl_getfl(socket)?.contains(OFlags::NONBLOCK))
}

/// A socket that blocks but not until this is dropped.
pub(super) struct Unblocked(OwnedFd);

impl Unblocked {
    pub(super) fn new(socket: OwnedFd) -> Result<Self, Errno> {
        fcntl_setfl(&socket, fcntl_getfl(&socket)? | OFlags::NONBLOCK)?;
        Ok(Self(socket))
    }
}

impl AsFd for Unblocked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Unblocked {
    fn drop(&mut self) {
        // An open socket has its flags.
        let _ = block(&self.0);
    }
}

pub(super) fn block(socket: impl AsFd) -> Result<(), Errno> {
    let socket = socket.as_fd();
    fcntl_setfl(socket, fcntl_getfl(socket)? - OFlags::NONBLOCK)
}

fn get(socket: BorrowedFd<'_>, level: i32, option: i32, into: &mut [u8]) -> Result<usize, Errno> {
    let mut length = into.len() as libc::socklen_t;
    // SAFETY: the kernel writes no more bytes than the length says, and how many.
    done(unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, into.as_mut_ptr().cast(), &raw mut length)
    })?;
    Ok(length as usize)
}

fn set(socket: BorrowedFd<'_>, level: i32, option: i32, value: &[u8]) -> Result<(), Errno> {
    let length = value.len() as libc::socklen_t;
    // SAFETY: the kernel reads that many bytes.
    done(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value.as_ptr().cast(), length) })
}

fn done(returned: i32) -> Result<(), Errno> {
    if returned == 0 { Ok(()) } else { Err(last_errno()) }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::time::Duration;

    use super::*;

    #[test]
    fn another_is_set_like_the_first() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let first = TcpStream::connect(listener.local_addr().expect("an address")).expect("a stream");
        first.set_nodelay(true).expect("set");
        first.set_read_timeout(Some(Duration::from_millis(1500))).expect("set");
        sockopt::set_socket_keepalive(&first, true).expect("set");
        sockopt::set_tcp_keepidle(&first, Duration::from_secs(77)).expect("set");
        sockopt::set_socket_linger(&first, Some(Duration::from_secs(5))).expect("set");
        sockopt::set_socket_recv_buffer_size(&first, 20_000).expect("set");
        let family = AddressFamily::INET;
        let second = TcpStream::from(like(first.as_fd(), family).expect("another"));
        assert!(second.nodelay().expect("known"));
        assert_eq!(second.read_timeout().expect("known"), Some(Duration::from_millis(1500)));
        assert!(sockopt::socket_keepalive(&second).expect("known"));
        assert_eq!(sockopt::tcp_keepidle(&second).expect("known"), Duration::from_secs(77));
        assert_eq!(sockopt::socket_linger(&second).expect("known"), Some(Duration::from_secs(5)));
        let size = |socket| sockopt::socket_recv_buffer_size(socket).expect("known");
        assert_eq!(size(&second), size(&first));
        // What nobody set stays as it is, for the kernel to choose: `like` sets nothing then.
        let plain = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
        let third = TcpStream::from(like(plain.as_fd(), family).expect("another"));
        assert_eq!(size(&third), sockopt::socket_recv_buffer_size(&plain).expect("known"));
        like(
            socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .expect("a socket")
                .as_fd(),
            AddressFamily::INET6,
        )
        .expect("another of IPv6's");
    }

    #[test]
    fn what_a_socket_is_the_kernel_says() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("a stream");
        let found = tcp(stream.as_fd()).expect("known").expect("TCP");
        assert_eq!(found.network, network(listener.as_fd()).expect("known"));
        assert_eq!(state(stream.as_fd()), Ok(State::Connected));
        let fresh = like(stream.as_fd(), found.family).expect("another");
        assert_eq!(state(fresh.as_fd()), Ok(State::Closed));
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        assert!(tcp(datagrams.as_fd()).expect("known").is_none());
        let file = std::fs::File::open("/dev/null").expect("a file");
        assert_eq!(tcp(file.as_fd()).map(drop), Err(Errno::NOTSOCK));
    }
}
