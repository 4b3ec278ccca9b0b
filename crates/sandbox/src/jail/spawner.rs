//! The jail's spawner: clones jails and mounts into them. One thread, no runtime, no host variables,
//! no state but its router's number: it answers one request after the other. It ends when lambkin's end of its socket closes,
//! which also happens at `kill -9`, and every jail's init dies with it.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{getegid, geteuid};
use rustix::thread::UnshareFlags;

use super::egress;
use super::function::{GROUP, USER};
use super::init::{self, Given};
use super::mounting;
use super::system::{self, Cloned};
use super::wire::{Answer, At as _, Failure, Ids, Request, Shell};
use crate::seccomp::Filter;
use crate::signals;
use crate::spawner::leave_lambkin;
use crate::wire::{self, MAX_MESSAGE};

/// The jail's half of [`crate::run_spawner`].
pub(crate) fn run_spawner() -> ! {
    let served = Spawner::new().and_then(Spawner::serve);
    match served {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("lambkin's spawner: {error}");
            std::process::exit(1)
        }
    }
}

struct Spawner {
    socket: OwnedFd,
    /// Its own mount namespace.
    home: OwnedFd,
    /// Whether it is the host's root, or only its own.
    is_root: bool,
    /// The last one's number.
    router: Option<i32>,
}

impl Spawner {
    fn new() -> io::Result<Self> {
        let socket = leave_lambkin()?;
        rustix::thread::set_name(c"lambkin-spawner")?;
        signals::ignore_children();
        let is_root = geteuid().is_root();
        if !is_root {
            become_own_root()?;
        }
        // For detached mounts; and what is mounted on the host later is seen, for code on it.
        system::unshare(UnshareFlags::NEWNS)?;
        let slave =
            rustix::mount::MountPropagationFlags::REC | rustix::mount::MountPropagationFlags::DOWNSTREAM;
        rustix::mount::mount_change("/", slave)?;
        let home = open("/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        // Every init is a copy of this process, and so has it ready.
        Filter::for_functions();
        Ok(Self { socket, home, is_root, router: None })
    }

    /// Until the socket closes.
    fn serve(mut self) -> io::Result<()> {
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            let (length, descriptors) = match wire::receive_waiting(self.socket.as_fd(), &mut buffer) {
                Ok(Some(received)) => received,
                Ok(None) => return Ok(()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    // Closed with an answer in it that was not read.
                    io::ErrorKind::ConnectionReset => return Ok(()),
                    _ => return Err(error),
                },
            };
            let request = postcard::from_bytes(&buffer[..length]).map_err(io::Error::other)?;
            let (answer, descriptor) = match self.answer(request, descriptors) {
                Ok(answered) => answered,
                Err(failure) => (Answer::Failed(failure), None),
            };
            let bytes = postcard::to_stdvec(&answer).map_err(io::Error::other)?;
            let descriptors: Vec<_> = descriptor.iter().map(|descriptor| descriptor.as_fd()).collect();
            match wire::send(self.socket.as_fd(), &bytes, &descriptors) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                sent => sent?,
            }
        }
    }

    fn answer(
        &mut self,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(Answer, Option<OwnedFd>), Failure> {
        let mut descriptors = descriptors.into_iter();
        // Fewer come where this process may not have more of them.
        let mut next = || descriptors.next().ok_or(rustix::io::Errno::MFILE).at("receiving descriptors");
        match request {
            Request::Clone(shell) => {
                let socket = next()?;
                let leaf = shell.leaf.then(&mut next).transpose()?;
                let joins = (0..shell.joins).map(|_| next()).collect::<Result<_, _>>()?;
                let (pid, pidfd) = self.clone_jail(&shell, socket, leaf, joins)?;
                Ok((Answer::Cloned { pid }, Some(pidfd)))
            }
            Request::Route => {
                let socket = next()?;
                match system::clone(libc::CLONE_NEWNET, None).at("cloning the router")? {
                    Cloned::Child => egress::run_router(socket),
                    Cloned::Parent { pid, pidfd } => {
                        let pid = pid.as_raw_pid();
                        self.router = Some(pid);
                        Ok((Answer::Cloned { pid }, Some(pidfd)))
                    }
                }
            }
            Request::End { router } if self.router == Some(router) => system::exit(0),
            Request::EndAll => system::exit(0),
            Request::End { router: _ } => Ok((Answer::Another, None)),
            Request::Mount { pid, mounts, root } => {
                let jail = next()?;
                let owners = if self.is_root { Some(mounting::owners_of(pid)?) } else { None };
                let owners = owners.as_ref().map(|owners| owners.as_fd());
                mounting::mount_into(jail.as_fd(), self.home.as_fd(), &mounts, descriptors, owners, root)?;
                Ok((Answer::Mounted, None))
            }
        }
    }

    fn clone_jail(
        &self,
        shell: &Shell,
        socket: OwnedFd,
        leaf: Option<OwnedFd>,
        joins: Vec<OwnedFd>,
    ) -> Result<(i32, OwnedFd), Failure> {
        if shell.guarded {
            // Once for all jails.
            Filter::for_guarded();
        }
        let (ours, go) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .at("making a socket")?;
        let mut flags = libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS;
        if shell.network {
            flags |= libc::CLONE_NEWNET;
        }
        let cloned = system::clone(flags, leaf.as_ref().map(|leaf| leaf.as_fd())).at("cloning namespaces")?;
        match cloned {
            Cloned::Child => {
                // The spawner's end of it: its closing must be seen.
                drop(ours);
                init::run(shell, Given { socket, go, joins })
            }
            Cloned::Parent { pid, pidfd } => {
                let pid = pid.as_raw_pid();
                // What goes wrong from here on ends init: it sees its socket close.
                map_users(pid, shell.ids)?;
                let owners = if self.is_root { Some(mounting::owners_of(pid)?) } else { None };
                let base = mounting::bind(&shell.base, owners.as_ref().map(|owners| owners.as_fd()))?;
                wire::send(ours.as_fd(), &[1], &[base.as_fd()]).at("handing over the base")?;
                Ok((pid, pidfd))
            }
        }
    }
}

/// An ordinary user is root in a user namespace of its own, above those of the jails.
fn become_own_root() -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    system::unshare(UnshareFlags::NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

fn map_users(pid: i32, ids: Ids) -> Result<(), Failure> {
    let write = |file: &str, text: String| fs::write(format!("/proc/{pid}/{file}"), text).at("mapping users");
    match ids {
        Ids::Pair { root } => {
            let function = root + 1;
            write("uid_map", format!("0 {root} 1\n{USER} {function} 1\n"))?;
            write("gid_map", format!("0 {root} 1\n{GROUP} {function} 1\n"))
        }
        Ids::Single => {
            write("setgroups", "deny".into())?;
            write("uid_map", format!("{USER} 0 1\n"))?;
            write("gid_map", format!("{GROUP} 0 1\n"))
        }
    }
}
