//! The spawner: starts processes for lambkin, reaps them, and kills whole trees of them. One
//! thread, no runtime, no host variables; it ends when lambkin's end of the socket closes, which
//! also happens at `kill -9`, and takes every process with it.
//!
//! Deliberately not here: anything about functions. It starts what it is told to.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use lambkin_model::exit::ExitStatus;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use crate::child::{self, Child, Descriptors};
use crate::proc;
use crate::signals;
use crate::tree::{self, Remains};
use crate::wire::{self, MAX_MESSAGE, Reply, Request, Step};

/// How often dying trees are looked at where no `SIGCHLD` asks for it: for what is below a process
/// that has not ended yet.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Becomes a spawner: the binary calls it, before it has started any thread, where its first
/// argument is [`crate::SPAWNER_ARGUMENT`]. Standard input is the socket to lambkin.
pub fn run_spawner() -> ! {
    #[cfg(target_os = "linux")]
    if std::env::args_os().next_back().is_some_and(|kind| kind == crate::jail::SPAWNER_KIND) {
        crate::jail::run_spawner();
    }
    let mut spawner = match Spawner::new() {
        Ok(spawner) => spawner,
        Err(error) => fail(&error),
    };
    let served = spawner.serve();
    spawner.kill_all();
    match served {
        Ok(()) => std::process::exit(0),
        Err(error) => fail(&error),
    }
}

fn fail(error: &io::Error) -> ! {
    eprintln!("lambkin's spawner: {error}");
    std::process::exit(1)
}

/// What both kinds of spawner begin with: away from lambkin's terminal and files. Gives the socket to
/// lambkin, which comes as standard input.
pub(crate) fn leave_lambkin() -> io::Result<OwnedFd> {
    let socket = child::keep_from_children(io::stdin())?;
    rustix::net::sockopt::socket_type(&socket)
        .map_err(|_| io::Error::other("not to be called by hand: standard input is not lambkin's socket"))?;
    let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    // Away from lambkin's terminal. Fails where it leads a process group: it is away already.
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/")?;
    Ok(socket)
}

struct Spawner {
    socket: OwnedFd,
    wake: OwnedFd,
    trees: HashMap<u64, Tree>,
    /// Trees whose leader was not reaped, by its process number.
    leaders: HashMap<i32, u64>,
}

struct Tree {
    leader: Pid,
    marker: Vec<u8>,
    state: State,
}

enum State {
    /// Forked, not yet known to run its program.
    Starting {
        report: OwnedFd,
    },
    Running,
    /// The leader was reaped; the rest is being killed.
    Ending {
        status: ExitStatus,
        since: Instant,
    },
}

impl Spawner {
    fn new() -> io::Result<Self> {
        let socket = leave_lambkin()?;
        #[cfg(target_os = "linux")]
        {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
            rustix::thread::set_name(c"lambkin-spawner")?;
        }
        Ok(Self { socket, wake: signals::install()?, trees: HashMap::new(), leaders: HashMap::new() })
    }

    /// Until the socket closes.
    fn serve(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            for run in self.wait_for_something()? {
                self.started(run, false)?;
            }
            match wire::receive(self.socket.as_fd(), &mut buffer) {
                Ok(None) => return Ok(()),
                Ok(Some((length, descriptors))) => self.serve_request(&buffer[..length], descriptors)?,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    // Closed with a reply in it that was not read.
                    io::ErrorKind::ConnectionReset => return Ok(()),
                    _ => return Err(error),
                },
            }
            self.reap()?;
            self.finish()?;
        }
    }

    /// Gives the starting runs that have reported.
    fn wait_for_something(&self) -> io::Result<Vec<u64>> {
        let mut watched =
            vec![PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.wake, PollFlags::IN)];
        let mut starting = Vec::new();
        let mut ending = false;
        for (run, tree) in &self.trees {
            match &tree.state {
                State::Starting { report } => {
                    watched.push(PollFd::new(report, PollFlags::IN));
                    starting.push(*run);
                }
                State::Running => {}
                State::Ending { .. } => ending = true,
            }
        }
        let timeout = ending.then(|| Timespec { tv_sec: 0, tv_nsec: LOOK_AGAIN.subsec_nanos().into() });
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let reported = watched[2..].iter().zip(starting).filter(|(fd, _)| !fd.revents().is_empty());
        let reported = reported.map(|(_, run)| run).collect();
        // Emptied before anything is reaped: a death after this wakes again.
        let mut wakes = [0; 64];
        while rustix::io::read(&self.wake, &mut wakes).is_ok() {}
        Ok(reported)
    }

    fn serve_request(&mut self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> io::Result<()> {
        let request =
            Request::decode(bytes).ok_or_else(|| io::Error::other("lambkin sent an unknown message"))?;
        match request {
            Request::Spawn { run, marker, plan } => {
                let Ok([channel, output]) = <[OwnedFd; 2]>::try_from(descriptors) else {
                    let errno = Errno::MFILE.raw_os_error();
                    return self.reply(Reply::Failed { run, step: Step::SetUp, errno }, None);
                };
                match child::spawn(&plan, &Descriptors { channel, output }, || Ok(())) {
                    Ok(Child { pid, report }) => {
                        let state = State::Starting { report };
                        self.trees
                            .insert(run, Tree { leader: pid, marker: marker.to_bytes().to_owned(), state });
                        self.leaders.insert(pid.as_raw_pid(), run);
                        Ok(())
                    }
                    Err(error) => {
                        let errno = error.raw_os_error().unwrap_or(0);
                        self.reply(Reply::Failed { run, step: Step::Fork, errno }, None)
                    }
                }
            }
            Request::Kill { run } => {
                let leader = self.trees.get(&run).map(|tree| tree.leader);
                if let Some(leader) = leader.filter(|leader| self.leaders.contains_key(&leader.as_raw_pid()))
                {
                    // Downwards while the leader still shows whose they are; then its group, for
                    // what was forked meanwhile. The rest follows when it is reaped.
                    tree::kill_down(leader.as_raw_pid());
                    tree::kill_group(leader);
                }
                Ok(())
            }
            // A process's children have no init here that could find them all.
            Request::Stop { .. } | Request::Continue { .. } => Ok(()),
        }
    }

    /// A starting run has reported, or (`reaped`) has ended.
    fn started(&mut self, run: u64, reaped: bool) -> io::Result<()> {
        let Some(tree) = self.trees.get_mut(&run) else { return Ok(()) };
        let State::Starting { report } = &tree.state else { return Ok(()) };
        let pid = tree.leader.as_raw_pid();
        match child::failure(report.as_fd()) {
            Some((step, errno)) => {
                self.trees.remove(&run);
                self.leaders.remove(&pid);
                self.reply(Reply::Failed { run, step, errno }, None)
            }
            None => {
                tree.state = State::Running;
                // Opened while the number is still this process's: before it was reaped.
                let status = if reaped { None } else { open_status(pid) };
                self.reply(Reply::Spawned { run, pid }, status)
            }
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            // Others are adopted, or have already reported why they did not start.
            let Some(run) = self.leaders.remove(&pid.as_raw_pid()) else { continue };
            self.started(run, true)?;
            if let Some(tree) = self.trees.get_mut(&run) {
                // The number of a group stays taken while the group has members, and a free one is
                // given out again only after all others.
                tree::kill_group(pid);
                tree.state = State::Ending { status: exit_status(status), since: Instant::now() };
            }
        }
        Ok(())
    }

    /// Kills what is left of ended trees and reports those of which nothing is.
    fn finish(&mut self) -> io::Result<()> {
        let (mut ended, mut remains) = (Vec::new(), Vec::new());
        for (run, tree) in &self.trees {
            match &tree.state {
                State::Starting { .. } | State::Running => {}
                State::Ending { status, since } => {
                    ended.push((*run, *status));
                    remains.push(Remains { leader: tree.leader, marker: &tree.marker, since: *since });
                }
            }
        }
        if ended.is_empty() {
            return Ok(());
        }
        let spare = |pid| self.leaders.contains_key(&pid);
        let mut left = tree::sweep(&remains, spare);
        // Twice: a process may fork and end between the list of the children and the look at it.
        for (left, again) in left.iter_mut().zip(tree::sweep(&remains, spare)) {
            *left |= again;
        }
        for ((run, status), left) in ended.into_iter().zip(left) {
            if !left {
                self.trees.remove(&run);
                self.reply(Reply::Exited { run, status }, None)?;
            }
        }
        if self.trees.is_empty() {
            // Whoever is left hid from its tree.
            proc::children(proc::own_pid()).into_iter().for_each(tree::kill_down);
        }
        Ok(())
    }

    /// Kills and reaps until the spawner has no child. All that was ever started is below it, since
    /// orphans come to it; what forks meanwhile is found in the next round.
    fn kill_all(&self) {
        loop {
            self.trees.values().for_each(|tree| tree::kill_group(tree.leader));
            proc::children(proc::own_pid()).into_iter().for_each(tree::kill_down);
            loop {
                match wait(WaitOptions::NOHANG) {
                    Ok(Some(_)) | Err(Errno::INTR) => {}
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits while the socket is full: lambkin reads whatever else it is doing.
    fn reply(&self, reply: Reply, descriptor: Option<OwnedFd>) -> io::Result<()> {
        let descriptors: Vec<_> = descriptor.iter().map(OwnedFd::as_fd).collect();
        loop {
            match wire::send(self.socket.as_fd(), &reply.encode(), &descriptors) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // lambkin is gone; the next receive says so too.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                result => return result,
            }
        }
    }
}

fn open_status(pid: i32) -> Option<OwnedFd> {
    open(format!("/proc/{pid}/status"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

pub(crate) fn exit_status(status: WaitStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, signal) => ExitStatus::Signal(signal.unwrap_or(libc::SIGKILL)),
    }
}
