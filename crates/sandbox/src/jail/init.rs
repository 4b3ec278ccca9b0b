//! PID 1 of a jail: puts the jail together, then starts, reaps and kills its processes. A copy of the
//! spawner, out of reach for the function: another user or without core dumps, and PID 1.
//!
//! When it dies, however that happens, the kernel kills every process of the jail.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use lambkin_model::exit::ExitStatus;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, set_parent_process_death_signal, wait};
use rustix::thread::UnshareFlags;

use super::function;
use super::guard::{self, Post};
use super::netlink::{Change, Netlink};
use super::root;
use super::system;
use super::wire::{At as _, Failure, Ids, Shell};
use crate::capabilities;
use crate::child::{self, Child, Descriptors};
use crate::landlock::Tcp;
use crate::seccomp::Filter;
use crate::signals;
use crate::spawner::exit_status;
use crate::wire::{self, MAX_MESSAGE, Reply, Request, Step};

/// What init is given by the spawner, whose copy it is.
pub(super) struct Given {
    /// To lambkin.
    pub(super) socket: OwnedFd,
    /// To the spawner: says when the users are mapped, and brings the base.
    pub(super) go: OwnedFd,
    /// Files of the groups it has to join.
    pub(super) joins: Vec<OwnedFd>,
}

/// Serves until lambkin closes its end of the socket.
pub(super) fn run(shell: &Shell, given: Given) -> ! {
    let mut kept = vec![given.socket.as_raw_fd(), given.go.as_raw_fd()];
    kept.extend(given.joins.iter().map(|file| file.as_raw_fd()));
    system::close_all_but(&kept);
    let Given { socket, go, joins } = given;
    let wake = match set_up(shell, &go, joins) {
        Ok(Ready { wake, mounts, network, post, listeners }) => {
            let mut descriptors = vec![mounts.as_fd(), network.as_fd()];
            descriptors.extend(post.iter().flat_map(|post| [post.calls.as_fd(), post.names.as_fd()]));
            descriptors.extend(listeners.iter().map(|listener| listener.as_fd()));
            let said = postcard::to_stdvec(&Ok::<(), Failure>(())).unwrap_or_default();
            if wire::send(socket.as_fd(), &said, &descriptors).is_err() {
                system::exit(1);
            }
            wake
        }
        Err(failure) => {
            let said = postcard::to_stdvec(&Err::<(), _>(failure)).unwrap_or_default();
            // Without lambkin nobody cares.
            let _ = wire::send(socket.as_fd(), &said, &[]);
            system::exit(1);
        }
    };
    drop(go);
    let tcp = if shell.guarded { Tcp::Refused } else { Tcp::Free };
    let mut init = Init { socket, wake, ids: shell.ids, tcp, running: None };
    let served = init.serve();
    init.kill_all(None);
    system::exit(i32::from(served.is_err()));
}

struct Ready {
    wake: OwnedFd,
    /// The mount namespace, for the spawner, which could not open it by itself: init is closed.
    mounts: OwnedFd,
    /// The network namespace, for the router.
    network: OwnedFd,
    post: Option<Post>,
    listeners: Vec<TcpListener>,
}

fn set_up(shell: &Shell, go: &OwnedFd, joins: Vec<OwnedFd>) -> Result<Ready, Failure> {
    let base = wait_for_base(go)?;
    for group in joins {
        // By itself, so that nobody waits for it: the first to join after a quiet tenth of a second
        // waits 8 ms for the kernel.
        File::from(group).write_all(b"0").at("joining a group")?;
    }
    // After joining: this group is then what the jail sees as the topmost.
    system::unshare(UnshareFlags::NEWCGROUP).at("making the namespace of groups")?;
    root::enter(base.as_fd(), &shell.base)?;
    drop(base);
    function::become_root_inside(shell.ids)?;
    // The kernel forgets it at a change of user. A spawner that died before has not answered, upon
    // which lambkin closes the socket.
    set_parent_process_death_signal(Some(Signal::KILL)).at("tying init to the spawner")?;
    root::set_umask();
    root::complete()?;
    rustix::system::sethostname(HOST_NAME).at("setting the host's name")?;
    let listeners = if shell.network { listen(&shell.ports)? } else { Vec::new() };
    // Its memory and descriptors are nobody's business, also where it has the function's user.
    capabilities::set_dumpable(false).at("closing init")?;
    // Fails only for an invalid name.
    let _ = rustix::thread::set_name(c"lambkin-init");
    let namespace = |name: &str| open(name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let mounts = namespace("/proc/self/ns/mnt").at("opening the mount namespace")?;
    let network = namespace("/proc/self/ns/net").at("opening the network namespace")?;
    let wake = signals::install().at("installing the signal handler")?;
    // The last: from here on who connects, binds or listens waits for lambkin, this process too.
    let post = if shell.guarded { Some(post().at("making the guard's post")?) } else { None };
    Ok(Ready { wake, mounts, network, post, listeners })
}

/// What lambkin stands guard with, in a network that leads nowhere.
fn post() -> io::Result<Post> {
    /// Loopback's number, in every namespace.
    const LOOPBACK: u32 = 1;
    Netlink::open()?.change(vec![
        Change::address(LOOPBACK, guard::OWN, 32),
        // So that who asks for the way to an address is told its own.
        Change::default_link(LOOPBACK),
    ])?;
    let names = UdpSocket::bind((guard::OWN, guard::NAMES))?;
    names.set_nonblocking(true)?;
    Ok(Post { names: names.into(), calls: Filter::for_guarded().install_and_listen()? })
}

/// AWS has an address there that says nothing either.
const HOST_NAME: &[u8] = b"169.254.100.6";

/// Also where the spawner ends before it answers.
fn wait_for_base(go: &OwnedFd) -> Result<OwnedFd, Failure> {
    poll(&mut [PollFd::new(go, PollFlags::IN)], None).at("waiting for the spawner")?;
    let received = wire::receive(go.as_fd(), &mut [0; 1]).at("waiting for the spawner")?;
    match received.map(|(_, descriptors)| descriptors.into_iter().next()) {
        Some(Some(base)) => Ok(base),
        Some(None) | None => Err(Failure { step: "receiving the base".into(), errno: 0 }),
    }
}

fn listen(ports: &[u16]) -> Result<Vec<TcpListener>, Failure> {
    system::raise_loopback().at("bringing loopback up")?;
    let listener = |port: &u16| {
        let listener = TcpListener::bind(("127.0.0.1", *port))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    ports.iter().map(listener).collect::<io::Result<_>>().at("listening")
}

struct Init {
    socket: OwnedFd,
    wake: OwnedFd,
    ids: Ids,
    tcp: Tcp,
    /// Run number and the leader of the tree that is alive.
    running: Option<(u64, Pid)>,
}

impl Init {
    /// Until the socket closes.
    fn serve(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            let mut watched =
                [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
            match poll(&mut watched, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            // Emptied before anything is reaped: a death after this wakes again.
            let mut wakes = [0; 64];
            while rustix::io::read(&self.wake, &mut wakes).is_ok() {}
            match wire::receive(self.socket.as_fd(), &mut buffer) {
                Ok(None) => return Ok(()),
                Ok(Some((length, descriptors))) => self.request(&buffer[..length], descriptors)?,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    io::ErrorKind::ConnectionReset => return Ok(()),
                    _ => return Err(error),
                },
            }
            self.reap()?;
        }
    }

    fn request(&mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let unknown = || io::Error::other("lambkin sent an unknown message");
        match Request::decode(bytes).ok_or_else(unknown)? {
            Request::Spawn { run, marker: _, plan } => {
                // Who asked for it has stopped waiting before it was there.
                self.end(None)?;
                let Ok([channel, output]) = <[OwnedFd; 2]>::try_from(descriptors) else {
                    let errno = Errno::MFILE.raw_os_error();
                    return self.reply(Reply::Failed { run, step: Step::SetUp, errno });
                };
                let (ids, tcp) = (self.ids, self.tcp);
                match child::spawn(&plan, &Descriptors { channel, output }, move || {
                    function::confine(ids, tcp)
                }) {
                    Ok(Child { pid, report }) => match child::failure(report.as_fd()) {
                        Some((step, errno)) => {
                            self.kill_all(None);
                            self.reply(Reply::Failed { run, step, errno })
                        }
                        None => {
                            self.running = Some((run, pid));
                            self.reply(Reply::Spawned { run, pid: pid.as_raw_pid() })
                        }
                    },
                    Err(error) => {
                        let errno = error.raw_os_error().unwrap_or(0);
                        self.reply(Reply::Failed { run, step: Step::Fork, errno })
                    }
                }
            }
            Request::Stop { run } => self.signal(run, Signal::STOP),
            Request::Continue { run } => self.signal(run, Signal::CONT),
            Request::Kill { run } => match self.running {
                Some((running, _)) if running == run => self.end(None),
                // It has just ended.
                Some(_) | None => Ok(()),
            },
        }
    }

    /// To everything in the jail but this process. Who is stopped cannot let another one go on, so that
    /// only a process that is being made may slip through; nothing is done where the run has ended.
    fn signal(&self, run: u64, signal: Signal) -> io::Result<()> {
        if self.running.is_some_and(|(running, _)| running == run) {
            // For this number it is `kill(-1)`. Twice, for what was made meanwhile.
            let _ = kill_process_group(Pid::INIT, signal);
            let _ = kill_process_group(Pid::INIT, signal);
        }
        Ok(())
    }

    fn reap(&mut self) -> io::Result<()> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if self.running.is_some_and(|(_, leader)| leader == pid) {
                        self.end(Some(exit_status(status)))?;
                    }
                }
                Ok(None) | Err(Errno::CHILD) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The leader has ended, with this status, or is to end: nothing that it started outlives it.
    fn end(&mut self, status: Option<ExitStatus>) -> io::Result<()> {
        let Some((run, leader)) = self.running.take() else { return Ok(()) };
        let found = self.kill_all(Some(leader));
        let status = status.or(found).unwrap_or(ExitStatus::Signal(libc::SIGKILL));
        self.reply(Reply::Exited { run, status })
    }

    /// Everything in the jail but this process, which is all that it can see. Gives the status of one
    /// of them: it may have ended by itself just before.
    fn kill_all(&self, leader: Option<Pid>) -> Option<ExitStatus> {
        let mut found = None;
        loop {
            // For this number it is `kill(-1)`. Fails where nothing is left to be killed.
            let _ = kill_process_group(Pid::INIT, Signal::KILL);
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) if Some(pid) == leader => found = Some(exit_status(status)),
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return found,
            }
        }
    }

    /// Waits while the socket is full: lambkin reads whatever else it is doing.
    fn reply(&self, reply: Reply) -> io::Result<()> {
        loop {
            match wire::send(self.socket.as_fd(), &reply.encode(), &[]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // lambkin is gone; the next receive says so too.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                result => return result,
            }
        }
    }
}
