//! One jail as lambkin has it: its init's socket, its process, its group. Used by one environment,
//! then ended.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::sandbox::LaunchError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use super::egress::Link;
use super::guard::Post;
use super::keeper::Keeper;
use super::wire::{Answer, Failure, Ids, Mount, Request, Shell as Made};
use super::{sample, system};
use crate::cgroup::{Group, Limits};
use crate::packets::PacketSocket;
use crate::wire::{self, Reply};

/// From the clone until init has put the jail together.
const SET_UP: Duration = Duration::from_secs(10);

/// Longest message of an init.
const MESSAGE_BYTES: usize = 8192;

pub(super) struct Shell {
    pub(super) socket: PacketSocket,
    pub(super) group: Arc<Group>,
    /// On the jail's own loopback, in the order of the ports that were asked for.
    pub(super) listeners: Vec<OwnedFd>,
    /// Until it has its link, or until that is begun.
    pub(super) network: Option<OwnedFd>,
    /// Until somebody stands guard.
    pub(super) post: Option<Post>,
    /// Until it is waited for.
    pub(super) link: Option<Link>,
    /// Until the jail is done with: it holds the jail's mounts.
    mounts: Mutex<Option<OwnedFd>>,
    /// Nothing freezes it any more: the v1 freezer keeps even the killed.
    killed: Mutex<bool>,
    ids: Ids,
    pid: i32,
    process: AsyncFd<OwnedFd>,
}

impl Shell {
    /// Clones it and waits until it is put together.
    pub(super) async fn make(
        keeper: &Keeper,
        mut made: Made,
        group: Arc<Group>,
    ) -> Result<Self, LaunchError> {
        let failed = |error: io::Error| LaunchError(format!("a jail could not be made: {error}"));
        let (socket, theirs) = PacketSocket::pair().map_err(failed)?;
        let mut descriptors = vec![theirs];
        if let Some(leaf) = group.leaf() {
            made.leaf = true;
            descriptors.push(leaf.try_clone_to_owned().map_err(failed)?);
        }
        let joins = group.joins().map_err(failed)?;
        made.joins = joins.len();
        descriptors.extend(joins);
        let (ids, guarded) = (made.ids, made.guarded);
        let (pid, process) = match keeper.ask(Request::Clone(made), descriptors).await? {
            (Answer::Cloned { pid }, Some(process)) => (pid, process),
            (Answer::Failed(failure), _) => return Err(of(&failure)),
            (Answer::Cloned { .. } | Answer::Mounted | Answer::Another, _) => {
                return Err(LaunchError("the spawner gave no jail".into()));
            }
        };
        let process = system::watch(process).map_err(failed)?;
        let ready = tokio::time::timeout(SET_UP, ready(&socket, guarded)).await;
        let Ready { mounts, network, post, listeners } = ready
            .unwrap_or_else(|_| Err(LaunchError(format!("a jail was not put together within {SET_UP:?}"))))?;
        let (mounts, killed) = (Mutex::new(Some(mounts)), Mutex::default());
        let (network, link) = (Some(network), None);
        Ok(Self { socket, group, listeners, network, post, link, mounts, killed, ids, pid, process })
    }

    /// Mounts these into it, all or none; `given` are those that say so, in their order.
    pub(super) async fn mount(
        &self,
        keeper: &Keeper,
        mounts: Vec<Mount>,
        given: Vec<OwnedFd>,
    ) -> Result<(), LaunchError> {
        let namespace = match &*self.mounts.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(mounts) => mounts.try_clone(),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let namespace =
            namespace.map_err(|error| LaunchError(format!("a jail could not be entered: {error}")))?;
        let root = match self.ids {
            Ids::Pair { root } => root,
            Ids::Single => 0,
        };
        let descriptors = std::iter::once(namespace).chain(given).collect();
        match keeper.ask(Request::Mount { pid: self.pid, mounts, root }, descriptors).await? {
            (Answer::Mounted, _) => Ok(()),
            (Answer::Failed(failure), _) => Err(of(&failure)),
            (Answer::Cloned { .. } | Answer::Another, _) => {
                Err(LaunchError("the spawner mounted nothing".into()))
            }
        }
    }

    /// What init says next; `None` where it is dead.
    pub(super) async fn reply(&self) -> Option<Reply> {
        let mut buffer = [0; MESSAGE_BYTES];
        match self.socket.receive(&mut buffer).await {
            Ok(Some((length, _))) => Reply::decode(&buffer[..length]),
            Ok(None) | Err(_) => None,
        }
    }

    /// Those of a process that has started with others.
    pub(super) fn limit_from_now_on(&self, limits: &Limits) {
        if let Err(error) = self.group.limit(limits) {
            tracing::warn!(%error, "a jail's limits could not be set");
        }
    }

    /// By its group, or, where there is no freezer, by signals from init.
    pub(super) fn freeze(&self, run: u64) {
        let killed = self.killed.lock().unwrap_or_else(PoisonError::into_inner);
        if *killed {
            return;
        }
        match self.group.freeze() {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.stop(run, true),
            Err(error) => tracing::debug!(%error, "a jail could not be frozen"),
            Ok(()) => {}
        }
    }

    pub(super) fn thaw(&self, run: u64) {
        match self.group.thaw() {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.stop(run, false),
            Err(error) => tracing::warn!(%error, "a jail could not be thawed"),
            Ok(()) => {}
        }
    }

    fn stop(&self, run: u64, stop: bool) {
        if let Err(error) = self.socket.try_send(&wire::stop_message(run, stop)) {
            tracing::debug!(%error, "init could not be told to stop or to go on");
        }
    }

    /// Bytes in use, where no group counts them.
    pub(super) fn sampled_memory(&self) -> u64 {
        sample::memory_below(self.pid)
    }

    /// Kills init, and with it everything in the jail. Does not wait.
    pub(super) fn kill(&self) {
        let mut killed = self.killed.lock().unwrap_or_else(PoisonError::into_inner);
        *killed = true;
        // Fails where it has ended.
        let _ = pidfd_send_signal(self.process.get_ref().as_fd(), Signal::KILL);
        // The v1 freezer keeps even the killed. Fails where there is no freezer.
        let _ = self.group.thaw();
    }

    /// Whether init is dead, and so everything in the jail.
    pub(super) fn has_ended(&self) -> bool {
        let mut process = [PollFd::new(self.process.get_ref(), PollFlags::IN)];
        poll(&mut process, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Answers when init is dead, and so everything in the jail.
    pub(super) async fn ended(&self) {
        // Only its readiness says something; an error means that there is nothing to wait for.
        let _ = self.process.readable().await;
    }

    /// Lets go of its mounts, once it has ended. Blocks: the kernel writes out what is left in `/tmp`.
    pub(super) fn unmount(&self) {
        let mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(mounts);
    }

    pub(super) fn ids(&self) -> Ids {
        self.ids
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }
}

fn of(failure: &Failure) -> LaunchError {
    LaunchError(format!("a jail could not be made: {failure}"))
}

/// What init's first word comes with.
struct Ready {
    mounts: OwnedFd,
    network: OwnedFd,
    post: Option<Post>,
    listeners: Vec<OwnedFd>,
}

/// Waits for init's first word.
async fn ready(socket: &PacketSocket, guarded: bool) -> Result<Ready, LaunchError> {
    let mut buffer = [0; MESSAGE_BYTES];
    let Ok(Some((length, descriptors))) = socket.receive(&mut buffer).await else {
        return Err(LaunchError("a jail's init ended before it was ready".into()));
    };
    match postcard::from_bytes::<Result<(), Failure>>(&buffer[..length]) {
        Ok(Ok(())) => {
            let mut descriptors = descriptors.into_iter();
            let mut next =
                || descriptors.next().ok_or_else(|| LaunchError("too many descriptors are open".into()));
            let (mounts, network) = (next()?, next()?);
            let post = if guarded { Some(Post { calls: next()?, names: next()? }) } else { None };
            Ok(Ready { mounts, network, post, listeners: descriptors.collect() })
        }
        Ok(Err(failure)) => Err(of(&failure)),
        Err(error) => Err(LaunchError(format!("a jail's init sent an unknown message: {error}"))),
    }
}
