//! What a function may try with sockets that it is given: each works for a process that has the host's network by
//! itself, which is where it is tried first.

#![expect(unsafe_code, reason = "calls that no library makes")]

use std::io::{self, Error};
use std::mem::size_of_val;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A race that is not won by then is not won.
pub(crate) const RACE: Duration = Duration::from_secs(3);
/// A race that must be won for what comes then.
pub(crate) const LONG: Duration = Duration::from_secs(20);

type Went = io::Result<String>;

/// By its name, with an address that may be reached and one that may not. What changes memory under a call is tried for so
/// long.
pub(crate) fn run(name: &str, may: SocketAddr, may_not: SocketAddr, patience: Duration) -> Went {
    let (SocketAddr::V4(may), SocketAddr::V4(may_not)) = (may, may_not) else { panic!("IPv4") };
    match name {
        "reuse" => reuse(may, may_not),
        "again" => again(may, may_not),
        "swap" => swap(may, may_not),
        "listen" => listen(may),
        "bind" => bind(may),
        "send" => send(may_not),
        "option" => option(may_not),
        "mutate" => mutate(may, may_not, patience),
        "interfaces" => interfaces(may),
        "device" => device(may),
        "route" => route(may),
        other => panic!("{other}?"),
    }
}

fn raw(to: SocketAddrV4) -> libc::sockaddr_in {
    let family = libc::AF_INET as libc::sa_family_t;
    let sin_addr = libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) };
    libc::sockaddr_in { sin_family: family, sin_port: to.port().to_be(), sin_addr, sin_zero: [0; 8] }
}

fn done(returned: impl Into<i64>) -> io::Result<()> {
    if returned.into() < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

fn connect(socket: RawFd, to: SocketAddrV4) -> io::Result<()> {
    let to = raw(to);
    // SAFETY: the kernel reads the address.
    done(unsafe { libc::connect(socket, (&raw const to).cast(), size_of_val(&to) as u32) })
}

fn disconnect(socket: RawFd) -> io::Result<()> {
    // SAFETY: an all-zero address is of no family.
    let nobody: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel reads the address.
    done(unsafe { libc::connect(socket, (&raw const nobody).cast(), size_of_val(&nobody) as u32) })
}

fn fresh() -> io::Result<OwnedFd> {
    // SAFETY: makes a descriptor, which is this function's.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    done(socket)?;
    // SAFETY: see above.
    Ok(unsafe { OwnedFd::from_raw_fd(socket) })
}

fn connected(to: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = fresh()?;
    connect(socket.as_raw_fd(), to).map(|()| socket)
}

/// Ends a connection, and makes another by the same socket.
fn reuse(may: SocketAddrV4, may_not: SocketAddrV4) -> Went {
    let socket = connected(may)?;
    disconnect(socket.as_raw_fd())?;
    connect(socket.as_raw_fd(), may_not).map(|()| "reached".into())
}

/// The same, after one that failed without anybody having waited for it.
fn again(may: SocketAddrV4, may_not: SocketAddrV4) -> Went {
    let socket = fresh()?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    let nobody = SocketAddrV4::new(*may.ip(), 9);
    match connect(socket.as_raw_fd(), nobody) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        other => panic!("a connection that waits: {other:?}"),
    }
    let mut ready = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::OUT)];
    rustix::event::poll(&mut ready, None)?;
    let failed = TcpStream::from(socket.try_clone()?).take_error()?.expect("a failure");
    assert_eq!(failed.kind(), io::ErrorKind::ConnectionRefused);
    rustix::io::ioctl_fionbio(&socket, false)?;
    match connect(socket.as_raw_fd(), may_not) {
        // Linux says once more that it failed.
        Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
            connect(socket.as_raw_fd(), may_not)
        }
        other => other,
    }
    .map(|()| "reached".into())
}

/// Puts another socket into the place of the one that a call began with, again and again.
fn swap(may: SocketAddrV4, may_not: SocketAddrV4) -> Went {
    let ours = TcpStream::from(connected(may)?);
    // The kernel is left this kind, which can do none of what is tried: what works has worked for ours.
    let (harmless, _other_end) = UnixStream::pair()?;
    let place = harmless.try_clone()?.into_raw_fd();
    let stop = AtomicBool::new(false);
    let (given, other) = (ours.as_raw_fd(), harmless.as_raw_fd());
    let went = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for socket in [other, given] {
                    // SAFETY: the number is this function's.
                    unsafe { libc::dup2(socket, place) };
                }
            }
        });
        let went = race(place, &ours, may_not);
        stop.store(true, Ordering::Relaxed);
        went
    });
    // SAFETY: the number is this function's, and nobody's any more.
    unsafe { libc::close(place) };
    went
}

fn race(place: RawFd, ours: &TcpStream, may_not: SocketAddrV4) -> Went {
    let began = Instant::now();
    while ours.peer_addr().is_ok() {
        if began.elapsed() > LONG {
            return Ok("never disconnected".into());
        }
        // What fails is the other socket's.
        let _ = disconnect(place);
    }
    let began = Instant::now();
    while began.elapsed() < RACE {
        // Whichever it is.
        let _ = connect(place, may_not);
        if ours.peer_addr().is_ok() {
            return Ok("reached".into());
        }
        let any = raw(SocketAddrV4::new([0, 0, 0, 0].into(), 0));
        // SAFETY: the kernel reads the address, and that is all that these are given.
        let (bound, listens) = unsafe {
            (
                libc::bind(place, (&raw const any).cast(), size_of_val(&any) as u32) == 0,
                libc::listen(place, 1) == 0 || libc::listen(ours.as_raw_fd(), 1) == 0,
            )
        };
        // Not the other socket's, see above.
        if bound || listens {
            return Ok(if bound { "bound" } else { "listens" }.into());
        }
    }
    Ok("nowhere".into())
}

fn listen(may: SocketAddrV4) -> Went {
    let socket = connected(may)?;
    disconnect(socket.as_raw_fd()).or_else(|error| match error.raw_os_error() {
        // What it is then is tried too.
        Some(libc::EPERM) => Ok(()),
        _ => Err(error),
    })?;
    // SAFETY: numbers.
    done(unsafe { libc::listen(socket.as_raw_fd(), 1) })?;
    Ok("listens".into())
}

fn bind(may: SocketAddrV4) -> Went {
    let socket = connected(may)?;
    disconnect(socket.as_raw_fd()).or_else(|error| match error.raw_os_error() {
        Some(libc::EPERM) => Ok(()),
        _ => Err(error),
    })?;
    let any = raw(SocketAddrV4::new([0, 0, 0, 0].into(), 0));
    // SAFETY: the kernel reads the address.
    done(unsafe { libc::bind(socket.as_raw_fd(), (&raw const any).cast(), size_of_val(&any) as u32) })?;
    Ok("bound".into())
}

/// Connects by sending.
fn send(may_not: SocketAddrV4) -> Went {
    let (socket, to) = (fresh()?, raw(may_not));
    // SAFETY: the kernel reads a byte and the address.
    done(unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            b"x".as_ptr().cast(),
            1,
            libc::MSG_FASTOPEN,
            (&raw const to).cast(),
            size_of_val(&to) as u32,
        )
    } as i64)?;
    TcpStream::from(socket).peer_addr().map(|_| "reached".into())
}

/// Connects by the first write.
fn option(may_not: SocketAddrV4) -> Went {
    let socket = fresh()?;
    set(&socket, libc::SOL_TCP, libc::TCP_FASTOPEN_CONNECT, &1_i32.to_ne_bytes())?;
    connect(socket.as_raw_fd(), may_not)?;
    Ok("reached".into())
}

fn set(socket: &OwnedFd, level: i32, option: i32, value: &[u8]) -> io::Result<()> {
    // SAFETY: the kernel reads that many bytes.
    done(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            value.as_ptr().cast(),
            value.len() as libc::socklen_t,
        )
    })
}

/// Changes where a call leads while it is made.
fn mutate(may: SocketAddrV4, may_not: SocketAddrV4, patience: Duration) -> Went {
    let word = |to: SocketAddrV4| {
        // SAFETY: both are eight bytes of numbers.
        unsafe { std::mem::transmute_copy::<_, u64>(&raw(to)) }
    };
    let (yes, no) = (word(may), word(may_not));
    let address = [const { AtomicU64::new(0) }; 2];
    address[0].store(yes, Ordering::Relaxed);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for word in [no, yes] {
                    address[0].store(word, Ordering::Relaxed);
                    // Each is there for as long as the other: of two stores at once nobody sees the first.
                    (0..100).for_each(|_| std::hint::spin_loop());
                }
            }
        });
        let began = Instant::now();
        let mut went = "nowhere else".to_owned();
        let mut reached = 0;
        while began.elapsed() < patience && went == "nowhere else" {
            let socket = fresh()?;
            // SAFETY: the kernel reads 16 bytes, which live until the threads have ended.
            let made = unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), 16) };
            match (made, TcpStream::from(socket).peer_addr()) {
                (0, Ok(SocketAddr::V4(to))) if to == may_not => went = "reached".into(),
                (0, _) => reached += 1,
                _ => {}
            }
            // The other thread may be waiting for this one's processor.
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(went == "reached" || reached > 0, "no connection at all");
        Ok(went)
    })
}

/// Of the network that a socket is in.
fn interfaces(may: SocketAddrV4) -> Went {
    let socket = connected(may)?;
    let mut names = [0_u8; 40 * 16];
    let request = libc::ifconf {
        ifc_len: names.len() as i32,
        ifc_ifcu: libc::__c_anonymous_ifc_ifcu { ifcu_buf: names.as_mut_ptr().cast() },
    };
    // SAFETY: the kernel writes no more than the length, where the request says.
    done(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFCONF, &raw const request) })?;
    Ok(if names.windows(3).any(|name| name == b"up0") { "up0".into() } else { "another".into() })
}

/// By another link.
fn device(may: SocketAddrV4) -> Went {
    set(&connected(may)?, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, b"up0\0").map(|()| "set".into())
}

/// What its packets say of their way: where it is to be recorded, which everybody may ask for, unlike a way of
/// one's own.
fn route(may: SocketAddrV4) -> Went {
    set(&connected(may)?, libc::SOL_IP, libc::IP_OPTIONS, &[7, 7, 4, 0, 0, 0, 0, 0]).map(|()| "set".into())
}

/// What a jail does with itself alone.
pub(crate) fn inside() -> Went {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    for to in ["127.0.0.1", "127.8.8.8", "0.0.0.0", "198.19.0.3"] {
        let any = TcpListener::bind("0.0.0.0:0")?;
        let to = SocketAddr::new(to.parse().expect("an address"), any.local_addr()?.port());
        // Waiting, and not.
        for stream in [TcpStream::connect(to)?, TcpStream::connect_timeout(&to, RACE)?] {
            let (other, from) = any.accept()?;
            assert_eq!((from, other.local_addr()?), (stream.local_addr()?, stream.peer_addr()?), "{to}");
        }
    }
    if let Ok(listener) = TcpListener::bind("[::1]:0") {
        drop(TcpStream::connect(listener.local_addr()?)?);
    }
    let mapped = SocketAddr::new("::ffff:127.0.0.1".parse().expect("an address"), port);
    drop(TcpStream::connect(mapped)?);
    // A connection that is not taken, and one that nobody takes.
    assert_eq!(TcpListener::bind(("127.0.0.1", port)).expect_err("in use").kind(), io::ErrorKind::AddrInUse);
    drop(listener);
    let nobody = TcpStream::connect(("127.0.0.1", port)).expect_err("nobody");
    assert_eq!(nobody.kind(), io::ErrorKind::ConnectionRefused);
    let system = TcpListener::bind("127.0.0.1:80").expect_err("the system's");
    assert_eq!(system.kind(), io::ErrorKind::PermissionDenied);
    // Ended and made again.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let SocketAddr::V4(to) = listener.local_addr()? else { panic!("IPv4") };
    let socket = connected(to)?;
    disconnect(socket.as_raw_fd())?;
    connect(socket.as_raw_fd(), to)?;
    // Datagrams, and sockets with a path.
    let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    one.connect(other.local_addr()?)?;
    one.send(b"x")?;
    assert_eq!(other.recv_from(&mut [0; 8])?, (1, one.local_addr()?));
    let path = "/tmp/socket";
    let listener = UnixListener::bind(path)?;
    drop(UnixStream::connect(path)?);
    drop(listener.accept()?);
    let name = UnixAddress::from_abstract_name("own")?;
    let _listener = UnixListener::bind_addr(&name)?;
    drop(UnixStream::connect_addr(&name)?);
    Ok("all of it".into())
}

/// How many connections it may have at once, and whether those that were closed are forgotten.
pub(crate) fn many(to: SocketAddr) -> Went {
    let mut most = Vec::new();
    let began = Instant::now();
    // Further descriptors are not to be the reason.
    let children: Vec<_> = (0..3)
        .map(|_| {
            std::process::Command::new("/proc/self/exe")
                .args([crate::PROBE, &format!("hold:{to}")])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
        })
        .collect::<io::Result<_>>()?;
    let mut held = 0;
    let mut children = children;
    for child in &mut children {
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(child.stdout.as_mut().expect("a pipe")), &mut line)?;
        held += line.trim().parse::<usize>().expect("a number");
    }
    for mut child in children {
        drop(child.stdin.take());
        child.wait()?;
    }
    while most.is_empty() && began.elapsed() < LONG {
        most.extend(TcpStream::connect_timeout(&to, RACE));
    }
    Ok(format!("{held} and then {}", most.len()))
}

/// As many as it gets, until its input ends.
pub(crate) fn hold(to: SocketAddr) -> Went {
    let mut held = Vec::new();
    while held.len() < 500
        && let Ok(stream) = TcpStream::connect_timeout(&to, RACE)
    {
        held.push(stream);
    }
    println!("{}", held.len());
    io::Read::read_to_end(&mut io::stdin(), &mut Vec::new())?;
    Ok("held".into())
}
