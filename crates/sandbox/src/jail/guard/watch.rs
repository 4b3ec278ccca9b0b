//! One jail's calls and names, in a thread of their own: looking into a process can take as long as that process
//! holds its memory, and no other jail is to wait for it.
//!
//! What a call is about is taken once, by copies that the jail does not have: the address, and the socket, of
//! which the kernel says itself whose it is. A connection by TCP is never left to the kernel, as by
//! then it could be another's; what is left to it can be no host's socket's, as Landlock refuses that.

use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::address::{Address, MOST_BYTES, To};
use super::budget::{Budget, Share};
use super::caller::Caller;
use super::calls::{Call, Calls};
use super::held::Held;
use super::names::{self, Names};
use super::socket::{self, State, Tcp, Unblocked};
use super::{NAMES, OWN};
use crate::jail::netlink::Netlink;
use crate::jail::rules::Reach;

/// Connections of one jail that are waited for. Further calls wait to be told.
const MOST_WAITING: usize = 64;

/// A connection that nobody answers: longer than the kernel tries by itself.
const PATIENCE: Duration = Duration::from_secs(150);

/// How often it is looked whether who waits is still there.
const LOOK: Duration = Duration::from_secs(1);

/// Below these a port is the system's, inside too.
const UNPRIVILEGED: u16 = 1024;

pub(super) struct Watch {
    pub(super) calls: Calls,
    /// The jail's network.
    pub(super) network: u64,
    pub(super) names: Names,
    pub(super) rules: Arc<Reach>,
    /// Of the host.
    pub(super) tables: Netlink,
    pub(super) held: Held,
    pub(super) budget: Budget,
    pub(super) waiting: Vec<Waiting>,
}

/// A call whose connection is being made.
pub(super) struct Waiting {
    call: Call,
    socket: Connecting,
    until: Instant,
    /// What it returns then.
    then: Errno,
    _share: Share,
}

enum Connecting {
    /// The jail's own.
    Inside(Unblocked),
    /// To be handed in.
    Outside { socket: OwnedFd, closes_on_exec: bool },
}

impl AsFd for Connecting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Inside(socket) => socket.as_fd(),
            Self::Outside { socket, .. } => socket.as_fd(),
        }
    }
}

/// What becomes of a call.
enum Done {
    Said(Result<(), Errno>),
    /// The kernel makes it.
    LeftToKernel,
    /// It is waited in.
    Later,
    /// Nobody waits in it any more.
    Gone,
}

impl Watch {
    /// Until no process of the jail is left.
    pub(super) fn serve(mut self) {
        while let Some(ready) = self.wait() {
            let (told, rest) = ready.split_first().map_or((false, &[][..]), |(told, rest)| (*told, rest));
            let (names, waiting) = rest.split_at(rest.len() - self.waiting.len());
            // In this order: what is behind does not change what is before it.
            self.go_on(waiting);
            self.names.go_on(names);
            if told && let Err(error) = self.hear() {
                tracing::error!(%error, "a jail's calls are not told any more");
                return;
            }
        }
    }

    /// Which of calls, names and connections have something; `None` at the jail's end.
    fn wait(&self) -> Option<Vec<bool>> {
        let calls = if self.waiting.len() < MOST_WAITING { PollFlags::IN } else { PollFlags::empty() };
        let mut watched = vec![PollFd::new(&self.calls, calls)];
        watched.extend(self.names.awaited().map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)));
        watched.extend(self.waiting.iter().map(|waiting| PollFd::new(&waiting.socket, PollFlags::OUT)));
        let now = Instant::now();
        let look = (!self.waiting.is_empty()).then_some(LOOK);
        let names = self.names.deadline().map(|deadline| deadline.saturating_duration_since(now));
        // A millisecond more than it is: not to look again before it is over.
        let patience = look.into_iter().chain(names).min().map(|time| time + Duration::from_millis(1));
        let patience = patience.and_then(|time| Timespec::try_from(time).ok());
        match poll(&mut watched, patience.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "a jail's calls cannot be waited for");
                return None;
            }
        }
        let ended = watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL);
        (!ended).then(|| watched.iter().map(|one| !one.revents().is_empty()).collect())
    }

    fn hear(&mut self) -> std::io::Result<()> {
        let Some(call) = self.calls.next()? else { return Ok(()) };
        match self.judge(&call).unwrap_or_else(|errno| Done::Said(Err(errno))) {
            Done::Said(result) => self.calls.answer(call.id, result),
            Done::LeftToKernel => self.calls.leave_to_kernel(call.id),
            Done::Later | Done::Gone => {}
        }
        Ok(())
    }

    fn judge(&mut self, call: &Call) -> Result<Done, Errno> {
        let caller = Caller::open(call.thread)?;
        let socket = caller.descriptor(call.descriptor())?;
        let tcp = socket::tcp(socket.as_fd())?;
        let takes_address = call.number != libc::SYS_listen;
        let address = match (tcp, takes_address) {
            (Some(_), true) => {
                let mut address =
                    Address { bytes: [0; MOST_BYTES], length: Address::room(call.arguments[2])? };
                caller.read(call.arguments[1], &mut address.bytes[..address.length])?;
                Some(address)
            }
            (Some(_), false) | (None, _) => None,
        };
        if !self.calls.is_waited_in(call.id) {
            return Ok(Done::Gone);
        }
        let is_inside = tcp.is_none_or(|tcp| tcp.network == self.network);
        match (call.number, tcp, address) {
            (libc::SYS_connect, Some(tcp), Some(address)) => {
                self.connect(call, &caller, socket, tcp, &address)
            }
            (libc::SYS_bind, Some(_), Some(address)) => Ok(Done::Said(match address.port() {
                _ if !is_inside => Err(Errno::INVAL),
                // lambkin may what the jail may not.
                Some(1..UNPRIVILEGED) => Err(Errno::ACCESS),
                Some(_) | None => socket::bind_as_written(socket.as_fd(), address.bytes()),
            })),
            // Not left to the kernel, whatever it is: that would take any socket, and Landlock lets it.
            (libc::SYS_listen, ..) => Ok(Done::Said(if is_inside {
                rustix::net::listen(&socket, (call.arguments[1] as u32).cast_signed())
            } else {
                Err(Errno::INVAL)
            })),
            (libc::SYS_connect | libc::SYS_bind, None, _) => Ok(Done::LeftToKernel),
            _ => Err(Errno::NOSYS),
        }
    }

    fn connect(
        &mut self,
        call: &Call,
        caller: &Caller,
        socket: OwnedFd,
        tcp: Tcp,
        address: &Address,
    ) -> Result<Done, Errno> {
        match (address.to(tcp.family)?, tcp.network == self.network) {
            (To::Nobody, true) => Ok(Done::Said(socket::connect_as_written(socket.as_fd(), address.bytes()))),
            // It would be a socket of the host's that is connected to nobody.
            (To::Nobody, false) => Err(Errno::PERM),
            (To::Inside, true) => self.connect_inside(call, socket, address),
            (To::Inside, false) => Err(Errno::INVAL),
            (To::Outside(to), _) => self.connect_outside(call, caller, socket, tcp, to),
            (To::OutsideByIpv6, _) => Err(Errno::NETUNREACH),
        }
    }

    fn connect_inside(&mut self, call: &Call, socket: OwnedFd, address: &Address) -> Result<Done, Errno> {
        if !socket::blocks(socket.as_fd())? {
            return Ok(Done::Said(socket::connect_as_written(socket.as_fd(), address.bytes())));
        }
        let share = self.budget.take().ok_or(Errno::AGAIN)?;
        let socket = Unblocked::new(socket)?;
        match socket::connect_as_written(socket.as_fd(), address.bytes()) {
            Err(Errno::INPROGRESS | Errno::ALREADY) => {
                self.wait_for(call, Connecting::Inside(socket), share);
                Ok(Done::Later)
            }
            done => Ok(Done::Said(done)),
        }
    }

    fn connect_outside(
        &mut self,
        call: &Call,
        caller: &Caller,
        theirs: OwnedFd,
        tcp: Tcp,
        to: SocketAddrV4,
    ) -> Result<Done, Errno> {
        match socket::state(theirs.as_fd())? {
            // Of a connection that failed; it may be tried again, by another socket.
            State::Closed => socket::outcome(theirs.as_fd())?,
            State::Connecting => return Err(Errno::ALREADY),
            State::Connected => return Err(Errno::ISCONN),
        }
        let to = self.permitted(to)?;
        if !self.held.has_room() {
            return Err(Errno::HOSTUNREACH);
        }
        let ours = socket::like(theirs.as_fd(), tcp.family)?;
        let connected = socket::connect(ours.as_fd(), tcp.family, to);
        if !matches!(connected, Ok(()) | Err(Errno::INPROGRESS)) {
            return Ok(Done::Said(connected));
        }
        let closes_on_exec = caller.closes_on_exec(call.descriptor());
        let blocks = socket::blocks(theirs.as_fd())?;
        drop(theirs);
        if blocks && connected.is_err() {
            let share = self.budget.take().ok_or(Errno::AGAIN)?;
            self.wait_for(call, Connecting::Outside { socket: ours, closes_on_exec }, share);
            return Ok(Done::Later);
        }
        if blocks {
            socket::block(&ours)?;
        }
        Ok(self.hand_in(call, &ours, closes_on_exec, connected))
    }

    /// Where a connection to there may go: names are the host's resolver's.
    fn permitted(&mut self, to: SocketAddrV4) -> Result<SocketAddrV4, Errno> {
        if to == SocketAddrV4::new(OWN, NAMES) {
            return names::resolver()
                .map(|resolver| SocketAddrV4::new(resolver, NAMES))
                .ok_or(Errno::HOSTUNREACH);
        }
        let asked = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::HOSTUNREACH);
        if self.rules.permits(*to.ip()) && self.tables.leads_elsewhere(*to.ip()).map_err(asked)? {
            return Ok(to);
        }
        Err(Errno::HOSTUNREACH)
    }

    /// Puts one of the host's sockets into the jail, and says what the call comes to.
    fn hand_in(
        &mut self,
        call: &Call,
        socket: &OwnedFd,
        closes_on_exec: bool,
        result: Result<(), Errno>,
    ) -> Done {
        // Who cannot be counted is not let in.
        if self.held.add(socket).is_err() {
            return Done::Said(Err(Errno::HOSTUNREACH));
        }
        match self.calls.replace(call, socket.as_fd(), closes_on_exec) {
            Ok(()) => Done::Said(result),
            Err(Errno::NOENT) => Done::Gone,
            Err(errno) => Done::Said(Err(errno)),
        }
    }

    fn wait_for(&mut self, call: &Call, socket: Connecting, share: Share) {
        let own = sockopt::socket_timeout(&socket, sockopt::Timeout::Send).ok().flatten();
        let (patience, then) = match own {
            // As the kernel has it: the connection goes on being made.
            Some(own) if own < PATIENCE => (own, Errno::INPROGRESS),
            Some(_) | None => (PATIENCE, Errno::TIMEDOUT),
        };
        let until = Instant::now() + patience;
        self.waiting.push(Waiting { call: *call, socket, until, then, _share: share });
    }

    /// Looks after those that are waited in, of which these are done.
    fn go_on(&mut self, ready: &[bool]) {
        let now = Instant::now();
        let mut ready = ready.iter().copied();
        for waiting in std::mem::take(&mut self.waiting) {
            let result = match ready.next() {
                Some(true) => socket::outcome(waiting.socket.as_fd()),
                Some(false) | None if now >= waiting.until => Err(waiting.then),
                Some(false) | None => {
                    if self.calls.is_waited_in(waiting.call.id) {
                        self.waiting.push(waiting);
                    }
                    continue;
                }
            };
            self.finish(waiting, result);
        }
    }

    fn finish(&mut self, waiting: Waiting, result: Result<(), Errno>) {
        let Waiting { call, socket, .. } = waiting;
        let done = match socket {
            // Blocks again before its owner goes on.
            Connecting::Inside(socket) => {
                drop(socket);
                Done::Said(result)
            }
            Connecting::Outside { socket, closes_on_exec }
                if matches!(result, Ok(()) | Err(Errno::INPROGRESS)) =>
            {
                match socket::block(&socket) {
                    Ok(()) => self.hand_in(&call, &socket, closes_on_exec, result),
                    Err(errno) => Done::Said(Err(errno)),
                }
            }
            Connecting::Outside { .. } => Done::Said(result),
        };
        if let Done::Said(result) = done {
            self.calls.answer(call.id, result);
        }
    }
}
