//! The spawner: a single-threaded process that starts, kills and reaps. It holds no secrets and knows
//! nothing of functions. When its socket to lambkin closes, everything it started dies with it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, WaitStatus};

use crate::tree::{self, Tree};
use crate::wire::{self, Reply, Request, Spawn};
use crate::child;

/// The number its socket has: see `child`.
const SOCKET: i32 = 3;
/// How often it looks for orphans to reap, and whether an ending sandbox's last process is gone.
const IDLE_BEAT: Duration = Duration::from_secs(1);
const ENDING_BEAT: Duration = Duration::from_millis(2);
/// A reply that lambkin does not take within this time means that it is stuck or gone.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it tries to kill what is left when lambkin is gone.
const LAST_TIMEOUT: Duration = Duration::from_secs(10);

struct Leader {
    pid: i32,
    pidfd: OwnedFd,
    marker: String,
    /// Killed, or ended by itself: the rest of it is being killed.
    ending: bool,
    status: Option<WaitStatus>,
}

struct Spawner {
    socket: OwnedFd,
    leaders: HashMap<u64, Leader>,
}

/// Is the spawner, on the socket that is its standard input, until that closes. Never returns.
pub fn run_spawner() -> ! {
    let code = match Spawner::take_over() {
        Ok(mut spawner) => {
            let gone = spawner.serve();
            spawner.kill_all();
            i32::from(gone.is_err())
        }
        Err(error) => {
            eprintln!("lambkin: the spawner cannot start: {error}");
            1
        }
    };
    std::process::exit(code)
}

impl Spawner {
    fn take_over() -> Result<Self, Errno> {
        let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), SOCKET)?;
        if socket.as_raw_fd() != SOCKET {
            return Err(Errno::BADF);
        }
        // Orphans of functions become its own children: it finds, kills and reaps them.
        #[cfg(target_os = "linux")]
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        Ok(Self { socket, leaders: HashMap::new() })
    }

    /// Until lambkin is gone.
    fn serve(&mut self) -> Result<(), Errno> {
        let mut buffer = vec![0; wire::PACKET_BYTES];
        loop {
            if self.wait()? {
                match wire::receive(&self.socket, &mut buffer) {
                    Ok(Some((Request::Spawn(spawn), fds))) => self.spawn(spawn, fds)?,
                    Ok(Some((Request::Kill { id }, _))) => self.kill(id),
                    Ok(None) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            self.reap();
            self.finish_endings()?;
        }
    }

    /// Waits for a request (then `true`), the end of a leader, or its beat.
    fn wait(&self) -> Result<bool, Errno> {
        let beat = if self.leaders.values().any(|leader| leader.ending) { ENDING_BEAT } else { IDLE_BEAT };
        let mut polled = vec![PollFd::new(&self.socket, PollFlags::IN)];
        let alive = self.leaders.values().filter(|leader| leader.status.is_none());
        polled.extend(alive.map(|leader| PollFd::new(&leader.pidfd, PollFlags::IN)));
        let timeout = Timespec { tv_sec: beat.as_secs().cast_signed(), tv_nsec: beat.subsec_nanos().into() };
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(!polled[0].revents().is_empty()),
            Err(error) => Err(error),
        }
    }

    fn spawn(&mut self, spawn: Spawn, fds: Vec<OwnedFd>) -> Result<(), Errno> {
        let id = spawn.id;
        let Ok([channel, output]) = <[OwnedFd; 2]>::try_from(fds) else {
            return self.reply(&Reply::Failed { id, error: "the request lacks its descriptors".into() });
        };
        let started = child::start(&spawn, channel, output).and_then(|child| {
            let pid = child.id().cast_signed();
            let raw = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
            Ok((pid, rustix::process::pidfd_open(raw, PidfdFlags::empty())?))
        });
        match started {
            Ok((pid, pidfd)) => {
                let leader = Leader { pid, pidfd, marker: spawn.marker, ending: false, status: None };
                self.leaders.insert(id, leader);
                self.reply(&Reply::Spawned { id, pid })
            }
            Err(error) => {
                let program = spawn.command.first().map_or("", String::as_str);
                self.reply(&Reply::Failed { id, error: format!("{program}: {error}") })
            }
        }
    }

    fn kill(&mut self, id: u64) {
        if let Some(leader) = self.leaders.get_mut(&id) {
            leader.ending = true;
            if leader.status.is_none() {
                // Its descendants are known only while their parents live.
                let below = Tree::read().descendants(leader.pid);
                tree::kill_group(leader.pid);
                tree::kill(leader.pid);
                below.into_iter().for_each(tree::kill);
            }
        }
    }

    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let pid = pid.as_raw_nonzero().get();
            if let Some(leader) = self.leaders.values_mut().find(|leader| leader.pid == pid) {
                leader.status = Some(status);
                leader.ending = true;
                // A reset kills everything of it, as on AWS.
                tree::kill_group(pid);
            }
        }
    }

    /// Kills what is left of ended leaders, and reports those of which nothing is left.
    fn finish_endings(&mut self) -> Result<(), Errno> {
        if !self.leaders.values().any(|leader| leader.ending && leader.status.is_some()) {
            return Ok(());
        }
        let tree = Tree::read();
        let me = rustix::process::getpid().as_raw_nonzero().get();
        let known: Vec<i32> = self.leaders.values().map(|leader| leader.pid).collect();
        let orphans: Vec<i32> = tree.children(me).filter(|pid| !known.contains(pid)).collect();
        let mut ended = Vec::new();
        for (id, leader) in &self.leaders {
            let Some(status) = leader.status else { continue };
            let mut left = false;
            for orphan in orphans.iter().filter(|orphan| tree::is_marked(**orphan, &leader.marker)) {
                left = true;
                tree.descendants(*orphan).into_iter().chain([*orphan]).for_each(tree::kill);
            }
            if !left {
                ended.push((*id, status));
            }
        }
        for (id, status) in ended {
            self.leaders.remove(&id);
            self.reply(&Reply::Exited { id, code: status.exit_status(), signal: status.terminating_signal() })?;
        }
        Ok(())
    }

    fn reply(&self, reply: &Reply) -> Result<(), Errno> {
        let deadline = Instant::now() + REPLY_TIMEOUT;
        loop {
            match wire::send(&self.socket, reply, &[] as &[BorrowedFd<'_>]) {
                // Both ends of a socket pair share nothing but the queue: this end blocks by itself
                // unless it was made non-blocking with the other.
                Err(Errno::AGAIN) if Instant::now() < deadline => std::thread::sleep(ENDING_BEAT),
                // Lambkin is gone: the next receive says so too.
                Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
                sent => return sent,
            }
        }
    }

    fn kill_all(&mut self) {
        let me = rustix::process::getpid().as_raw_nonzero().get();
        let deadline = Instant::now() + LAST_TIMEOUT;
        for leader in self.leaders.values() {
            tree::kill_group(leader.pid);
        }
        loop {
            let left = Tree::read().descendants(me);
            left.iter().copied().for_each(tree::kill);
            while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
            if left.is_empty() || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(ENDING_BEAT);
        }
    }
}
