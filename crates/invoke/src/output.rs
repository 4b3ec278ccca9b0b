//! The process's standard output and error: one bounded pipe, cut into lines. A full pipe slows the
//! function; nothing is dropped.

use std::io;
use std::os::fd::OwnedFd;

use lambkin_model::quota;
use rustix::io::Errno;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

const READ_BYTES: usize = 8 * 1024;

/// Linux's `fs.pipe-max-size`, unless the machine's owner changed it.
const LARGEST_PIPE_BYTES: usize = 1024 * 1024;

pub(crate) struct Output {
    pipe: pipe::Receiver,
    scratch: Box<[u8]>,
    /// The beginning of a line.
    partial: Vec<u8>,
    closed: bool,
}

impl Output {
    pub(crate) fn new(pipe: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            pipe: pipe::Receiver::from_owned_fd(pipe)?,
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            partial: Vec::new(),
            closed: false,
        })
    }

    /// Waits for more and hands on the complete lines. Cancel-safe; never answers once closed.
    pub(crate) async fn read(&mut self, line: &mut impl FnMut(&[u8])) {
        if self.closed {
            return std::future::pending().await;
        }
        // One read at a time: the driver looks at deadlines between them.
        match self.pipe.read(&mut self.scratch).await {
            Ok(0) | Err(_) => self.closed = true,
            Ok(read) => split(&mut self.partial, &self.scratch[..read], line),
        }
    }

    /// Hands on all that is in the pipe now, the last line also where it has no end yet: what was
    /// written before a result belongs before END.
    pub(crate) fn drain(&mut self, line: &mut impl FnMut(&[u8])) {
        // A process that goes on writing must not hold the answer back: one pipe of 64 KiB at most.
        // The kernel is asked, not tokio: what tokio knows may be older than the result.
        self.drain_at_most(64 * 1024 / READ_BYTES, line);
    }

    /// Hands on all that an ended process left: its pipe may be as large as it had made it.
    pub(crate) fn finish(&mut self, line: &mut impl FnMut(&[u8])) {
        self.drain_at_most(LARGEST_PIPE_BYTES / READ_BYTES, line);
    }

    fn drain_at_most(&mut self, reads: usize, line: &mut impl FnMut(&[u8])) {
        for _ in 0..reads {
            if self.closed {
                break;
            }
            match rustix::io::read(&self.pipe, &mut *self.scratch) {
                Ok(0) => self.closed = true,
                Ok(read) => {
                    split(&mut self.partial, &self.scratch[..read], line);
                    if read < READ_BYTES {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        if !self.partial.is_empty() {
            line(&self.partial);
            self.partial.clear();
        }
    }
}

fn split(partial: &mut Vec<u8>, mut bytes: &[u8], line: &mut impl FnMut(&[u8])) {
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let (first, rest) = bytes.split_at(end);
        if partial.is_empty() {
            line(first);
        } else {
            gather(partial, first, line);
            line(partial);
            partial.clear();
        }
        bytes = &rest[1..];
    }
    gather(partial, bytes, line);
}

/// A line longer than an event becomes several.
fn gather(partial: &mut Vec<u8>, bytes: &[u8], line: &mut impl FnMut(&[u8])) {
    partial.extend_from_slice(bytes);
    while partial.len() > quota::LOG_EVENT_BYTES {
        line(&partial[..quota::LOG_EVENT_BYTES]);
        partial.drain(..quota::LOG_EVENT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_lines_and_bounds_those_without_an_end() {
        let mut partial = Vec::new();
        let mut lines = Vec::new();
        for chunk in [&b"one\ntw"[..], b"o\n", b"\r\n", b"rest"] {
            split(&mut partial, chunk, &mut |line| lines.push(String::from_utf8(line.to_vec()).unwrap()));
        }
        assert_eq!(lines, ["one", "two", "\r"], "a carriage return stays inside its event");
        assert_eq!(partial, b"rest");
        let mut lengths = Vec::new();
        split(&mut partial, &vec![b'x'; quota::LOG_EVENT_BYTES], &mut |line| lengths.push(line.len()));
        assert_eq!((lengths, partial.len()), (vec![quota::LOG_EVENT_BYTES], 4));
    }
}
