//! The router as lambkin has it: a socket to it, and its process.
//!
//! Deliberately not here: what it does (`router`), what becomes of the jails when it ends (`egress`).

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use super::wire::{Done, Order};
use crate::jail::keeper::Keeper;
use crate::jail::system;
use crate::jail::wire::{Answer, Request};
use crate::packets::PacketSocket;

/// The router answers at once, but for `nft`, and where the kernel is busy with links that go.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest answer: a failure with a program's complaints.
const ANSWER_BYTES: usize = 8192;

/// The router as lambkin has it. It ends with its socket.
pub(super) struct Router {
    socket: PacketSocket,
    process: AsyncFd<OwnedFd>,
    pub(super) pid: i32,
}

impl Router {
    pub(super) async fn start(keeper: &Keeper) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no router could be made: {error}");
        let (socket, theirs) = PacketSocket::pair().map_err(failed)?;
        let answered = keeper.ask(Request::Route, vec![theirs]).await.map_err(|error| error.to_string())?;
        let (pid, process) = match answered {
            (Answer::Cloned { pid }, Some(process)) => (pid, process),
            (Answer::Failed(failure), _) => return Err(format!("no router could be made: {failure}")),
            (Answer::Cloned { .. } | Answer::Mounted | Answer::Another, _) => {
                return Err("the spawner gave no router".into());
            }
        };
        let router = Self { socket, process: system::watch(process).map_err(failed)?, pid };
        match router.answer().await? {
            Ok(()) => Ok(router),
            Err(failure) => Err(format!("no router could be made: {failure}")),
        }
    }

    /// The inner failure is the router's, which goes on.
    pub(super) async fn tell(&self, order: &Order, descriptors: &[BorrowedFd<'_>]) -> Result<Done, String> {
        let bytes = postcard::to_stdvec(order).map_err(|error| error.to_string())?;
        let sent = tokio::time::timeout(PATIENCE, self.socket.send(&bytes, descriptors)).await;
        match sent {
            Ok(Ok(())) => self.answer().await,
            Ok(Err(error)) => Err(self.give_up(&error.to_string())),
            Err(_) => Err(self.give_up("it takes no orders")),
        }
    }

    async fn answer(&self) -> Result<Done, String> {
        let mut buffer = [0; ANSWER_BYTES];
        match tokio::time::timeout(PATIENCE, self.socket.receive(&mut buffer)).await {
            Ok(Ok(Some((length, _)))) => {
                postcard::from_bytes(&buffer[..length]).map_err(|error| self.give_up(&error.to_string()))
            }
            Ok(Ok(None)) => Err(self.give_up("it has ended")),
            Ok(Err(error)) => Err(self.give_up(&error.to_string())),
            Err(_) => Err(self.give_up(&format!("it did not answer within {PATIENCE:?}"))),
        }
    }

    /// Whatever is asked next would get this answer: its end is seen by the task.
    fn give_up(&self, why: &str) -> String {
        // Fails where it has ended.
        let _ = pidfd_send_signal(self.process.get_ref().as_fd(), Signal::KILL);
        format!("the router is gone: {why}")
    }

    /// Loses nothing when dropped.
    pub(super) async fn ended(&self) {
        // Only its readiness says something; an error means that there is nothing to wait for.
        let _ = self.process.readable().await;
    }

    pub(super) async fn close(self) {
        drop(self.socket);
        if tokio::time::timeout(PATIENCE, self.process.readable()).await.is_err() {
            // Fails where it has just ended.
            let _ = pidfd_send_signal(self.process.get_ref().as_fd(), Signal::KILL);
        }
    }
}
