//! What lambkin and a function's process have between them: the channel and the output.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::net::sockopt;

/// Payloads of 6 MB pass through the channel: a write of that takes six turns instead of thirty.
const CHANNEL_BUFFER: usize = 1024 * 1024;

/// Ours, non-blocking, and the process's, blocking.
pub(crate) fn channel() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    for end in [&ours, &theirs] {
        // A system that allows less gives what it allows.
        let _ = sockopt::set_socket_send_buffer_size(end, CHANNEL_BUFFER);
    }
    Ok((ours.into(), theirs.into()))
}

/// Reading end, non-blocking, and writing end. 64 KiB as the system makes it: a process that writes
/// faster than it is read waits.
pub(crate) fn output() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader.into(), writer.into()))
}
