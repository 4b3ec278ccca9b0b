//! How many of the host's sockets a jail has, which lambkin cannot see it close.
//!
//! An epoll knows open files without keeping them open: what everybody has closed is no longer in it. It is
//! never waited for, only counted.

use std::fs;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;

/// As many as AWS lets a function have files.
const MOST: usize = 1024;

/// Counting costs a millisecond, where there are many.
const COUNT_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct Held {
    all: OwnedFd,
    /// No fewer than there are.
    at_most: usize,
    counted: Option<Instant>,
}

impl Held {
    pub(super) fn new() -> Result<Self, Errno> {
        Ok(Self { all: epoll::create(epoll::CreateFlags::CLOEXEC)?, at_most: 0, counted: None })
    }

    /// Whether there may be one more.
    pub(super) fn has_room(&mut self) -> bool {
        if self.at_most >= MOST && self.counted.is_none_or(|counted| counted.elapsed() >= COUNT_AGAIN) {
            self.at_most = self.count();
            self.counted = Some(Instant::now());
        }
        self.at_most < MOST
    }

    pub(super) fn add(&mut self, socket: impl AsFd) -> Result<(), Errno> {
        epoll::add(&self.all, socket, epoll::EventData::new_u64(0), epoll::EventFlags::ET)?;
        self.at_most += 1;
        Ok(())
    }

    fn count(&self) -> usize {
        // What cannot be read is not free.
        let listed = fs::read_to_string(format!("/proc/self/fdinfo/{}", self.all.as_raw_fd()));
        listed.map_or(MOST, |text| text.lines().filter(|line| line.starts_with("tfd:")).count())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn what_everybody_has_closed_is_not_counted() {
        let mut held = Held::new().expect("an epoll");
        let sockets: Vec<_> = (0..5).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket")).collect();
        sockets.iter().for_each(|socket| held.add(socket).expect("added"));
        assert_eq!(held.count(), 5);
        // One that is still open elsewhere.
        let other = sockets[0].try_clone().expect("a copy");
        drop(sockets);
        assert_eq!(held.count(), 1);
        drop(other);
        assert_eq!(held.count(), 0);
        held.at_most = MOST;
        assert!(held.has_room());
        held.at_most = MOST;
        assert!(!held.has_room(), "counted too often");
    }
}
