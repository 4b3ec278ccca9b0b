//! The messages between lambkin and its spawner: one JSON object in each packet of a
//! `SOCK_SEQPACKET` socket, the new process's file descriptors beside it.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};

/// Largest packet. A function's variables are at most 4 KB of it.
pub(crate) const PACKET_BYTES: usize = 128 * 1024;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start a process; the packet carries its channel and its output, in this order.
    Spawn(Spawn),
    /// Kill it and all it started.
    Kill { id: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spawn {
    pub(crate) id: u64,
    /// A text that is in the environment of the process and of no other sandbox's.
    pub(crate) marker: String,
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) directory: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Spawned { id: u64, pid: i32 },
    Failed { id: u64, error: String },
    /// The process and all it started is gone.
    Exited { id: u64, code: Option<i32>, signal: Option<i32> },
}

pub(crate) fn send(socket: impl AsFd, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let bytes = serde_json::to_vec(message).map_err(|_| Errno::INVAL)?;
    if bytes.len() > PACKET_BYTES {
        return Err(Errno::TOOBIG);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    loop {
        match rustix::net::sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// A message and its descriptors; `None` where the other end is gone.
pub(crate) fn receive<T: for<'de> Deserialize<'de>>(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> Result<Option<(T, Vec<OwnedFd>)>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Ok(received) => break received,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    let message = serde_json::from_slice(&buffer[..received.bytes]).map_err(|_| Errno::BADMSG)?;
    Ok(Some((message, fds)))
}
