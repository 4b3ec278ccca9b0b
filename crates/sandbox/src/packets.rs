//! A `SOCK_SEQPACKET` socket in tokio's event loop: whole messages with descriptors beside them.
//!
//! tokio has no type for those; only the readiness of its stream is used.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::net::sockopt;
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::wire::{self, MAX_MESSAGE};

pub(crate) struct PacketSocket(UnixStream);

impl PacketSocket {
    /// Ours, in the event loop, and the other process's, which blocks. Needs a tokio runtime.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socket_pair()?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        for end in [&ours, &theirs] {
            sockopt::set_socket_send_buffer_size(end, 4 * MAX_MESSAGE)?;
        }
        Ok((Self(UnixStream::from_std(ours.into())?), theirs))
    }

    /// `None` is the end. Loses nothing when dropped.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
        self.0.async_io(Interest::READABLE, || wire::receive(self.0.as_fd(), buffer)).await
    }

    pub(crate) async fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.0.async_io(Interest::WRITABLE, || wire::send(self.0.as_fd(), bytes, descriptors)).await
    }

    /// Now or not at all.
    pub(crate) fn try_send(&self, bytes: &[u8]) -> io::Result<()> {
        wire::send_now(self.0.as_fd(), bytes)
    }
}

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
