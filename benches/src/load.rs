//! The benchmark's load: one thread over many kept connections with one request in flight on each, a
//! closed loop as wrk's. A thread for each connection would measure the scheduler, which on a few cores
//! costs more than either server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Result;
use crate::http::Connection;
use crate::table::median;

/// A server that says nothing for so long is broken.
const SILENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// Requests answered, and the seconds that took.
pub(crate) struct Load {
    pub(crate) answered: usize,
    pub(crate) seconds: f64,
}

impl Load {
    /// Loads a server for so many seconds.
    pub(crate) fn run(address: SocketAddr, request: &[u8], connections: usize, seconds: f64) -> Result<Self> {
        let end = Duration::from_secs_f64(seconds);
        Self::until(address, request, connections, |_, passed| passed >= end)
    }

    /// Sends so many requests.
    pub(crate) fn count(
        address: SocketAddr,
        request: &[u8],
        connections: usize,
        count: usize,
    ) -> Result<Self> {
        Self::until(address, request, connections, |asked, _| asked >= count)
    }

    /// Until enough was asked, or enough time has passed.
    fn until(
        address: SocketAddr,
        request: &[u8],
        connections: usize,
        enough: impl Fn(usize, Duration) -> bool,
    ) -> Result<Self> {
        let mut connections =
            (0..connections).map(|_| Connection::open(address)).collect::<Result<Vec<_>>>()?;
        let began = Instant::now();
        for connection in &mut connections {
            connection.ask(request)?;
        }
        let (mut answered, mut open, mut asked) = (0, connections.len(), connections.len());
        while open > 0 {
            let mut polled: Vec<_> =
                connections.iter().map(|connection| PollFd::new(connection, PollFlags::IN)).collect();
            if poll(&mut polled, Some(&SILENCE)).map_err(|error| error.to_string())? == 0 {
                return Err("the server does not answer".into());
            }
            let readable: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
            for (connection, _) in connections.iter_mut().zip(readable).filter(|(_, readable)| *readable) {
                if connection.read()?.is_none() {
                    continue;
                }
                answered += 1;
                if !enough(asked, began.elapsed()) {
                    connection.ask(request)?;
                    asked += 1;
                } else {
                    open -= 1;
                }
            }
        }
        Ok(Self { answered, seconds: began.elapsed().as_secs_f64() })
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds
    }
}

/// Seconds of the median request over one kept connection.
pub(crate) fn median_latency(address: SocketAddr, bytes: &[u8], count: usize) -> Result<f64> {
    let mut connection = Connection::open(address)?;
    for _ in 0..count / 20 {
        connection.call(bytes)?;
    }
    let mut seconds = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        connection.call(bytes)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok(median(seconds))
}
