//! The spawner as lambkin has it: a child process and a socket to it.
//!
//! Deliberately not here: what the messages mean (`supervisor`), what the child does (`spawner`).

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::Stdio;
use std::time::Duration;

use lambkin_model::sandbox::LaunchError;
use rustix::net::sockopt;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::launcher::Config;
use crate::wire::{self, MAX_MESSAGE, Reply};

/// Longest reply.
const REPLY_BYTES: usize = 64;

#[cfg(not(target_vendor = "apple"))]
fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Without packets the nearest is datagrams, whose end is an error of the next receive.
#[cfg(target_vendor = "apple")]
fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair()?;
    Ok((ours.into(), theirs.into()))
}

pub(crate) struct SpawnerProcess {
    /// Of packets; tokio has no type for those, and only its readiness is used.
    socket: UnixStream,
    child: Child,
}

impl SpawnerProcess {
    /// Needs a tokio runtime.
    pub(crate) fn start(config: &Config) -> Result<Self, LaunchError> {
        Self::try_start(config).map_err(|error| {
            LaunchError(format!("the spawner {} cannot be started: {error}", config.spawner.display()))
        })
    }

    fn try_start(config: &Config) -> io::Result<Self> {
        let (ours, theirs) = socket_pair()?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        for end in [&ours, &theirs] {
            sockopt::set_socket_send_buffer_size(end, 4 * MAX_MESSAGE)?;
        }
        let child = Command::new(&config.spawner)
            .arg0("lambkin")
            .args(&config.spawner_arguments)
            // No variable of the host comes near a function.
            .env_clear()
            // The socket: a number above 2 would need code between fork and exec, in a process that
            // has many threads.
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { socket: UnixStream::from_std(ours.into())?, child })
    }

    /// `None` is its end.
    pub(crate) async fn receive(&self) -> io::Result<Option<(Reply, Option<OwnedFd>)>> {
        let mut buffer = [0; REPLY_BYTES];
        let receive = || wire::receive(self.socket.as_fd(), &mut buffer);
        let Some((length, mut descriptors)) = self.socket.async_io(Interest::READABLE, receive).await? else {
            return Ok(None);
        };
        match Reply::decode(&buffer[..length]) {
            Some(reply) => Ok(Some((reply, descriptors.pop()))),
            None => Err(io::Error::other("it sent an unknown message")),
        }
    }

    pub(crate) async fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.socket.async_io(Interest::WRITABLE, || wire::send(self.socket.as_fd(), bytes, descriptors)).await
    }

    /// Closes the socket, upon which it kills everything and ends, and waits for that; after
    /// `patience` it is killed itself. Says whether it was done.
    pub(crate) async fn finish(mut self, patience: Duration) -> bool {
        drop(self.socket);
        if tokio::time::timeout(patience, self.child.wait()).await.is_ok() {
            return true;
        }
        tracing::error!("the spawner was not done after {patience:?}; it is killed");
        // Fails where it has just ended.
        let _ = self.child.start_kill();
        let _ = tokio::time::timeout(patience, self.child.wait()).await;
        false
    }
}
