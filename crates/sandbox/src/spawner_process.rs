//! A spawner as lambkin has it: a child process and a socket to it.
//!
//! Deliberately not here: what the messages mean (`supervisor`, `jail::keeper`), what the child does
//! (`spawner`, `jail::spawner`).

use std::ffi::OsString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use lambkin_model::sandbox::LaunchError;
use tokio::process::{Child, Command};

use crate::packets::PacketSocket;
use crate::wire::Reply;

/// Longest reply.
const REPLY_BYTES: usize = 64;

/// What is started.
#[derive(Debug, Clone)]
pub(crate) struct SpawnerCommand {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
}

/// Starts it. Needs a tokio runtime.
pub(crate) fn start(command: &SpawnerCommand) -> Result<(PacketSocket, Child), LaunchError> {
    try_start(command).map_err(|error| {
        LaunchError(format!("the spawner {} cannot be started: {error}", command.program.display()))
    })
}

fn try_start(command: &SpawnerCommand) -> io::Result<(PacketSocket, Child)> {
    let (ours, theirs) = PacketSocket::pair()?;
    let child = Command::new(&command.program)
        .arg0("lambkin")
        .args(&command.arguments)
        // No variable of the host comes near a function.
        .env_clear()
        // The socket: a number above 2 would need code between fork and exec, in a process that
        // has many threads.
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()?;
    Ok((ours, child))
}

/// The spawner of process mode.
pub(crate) struct SpawnerProcess {
    socket: PacketSocket,
    child: Child,
}

impl SpawnerProcess {
    /// Needs a tokio runtime.
    pub(crate) fn start(command: &SpawnerCommand) -> Result<Self, LaunchError> {
        let (socket, child) = start(command)?;
        Ok(Self { socket, child })
    }

    /// `None` is its end.
    pub(crate) async fn receive(&self) -> io::Result<Option<(Reply, Option<OwnedFd>)>> {
        let mut buffer = [0; REPLY_BYTES];
        let Some((length, mut descriptors)) = self.socket.receive(&mut buffer).await? else {
            return Ok(None);
        };
        match Reply::decode(&buffer[..length]) {
            Some(reply) => Ok(Some((reply, descriptors.pop()))),
            None => Err(io::Error::other("it sent an unknown message")),
        }
    }

    pub(crate) async fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.socket.send(bytes, descriptors).await
    }

    /// Closes the socket, upon which it kills everything and ends, and waits for that; after
    /// `patience` it is killed itself. Says whether it was done.
    pub(crate) async fn finish(self, patience: Duration) -> bool {
        finish(self.socket, self.child, patience).await
    }
}

/// Closes a spawner's socket, upon which it ends, and waits for that; after `patience` it is killed.
/// Says whether it was done.
pub(crate) async fn finish(socket: PacketSocket, mut child: Child, patience: Duration) -> bool {
    drop(socket);
    if tokio::time::timeout(patience, child.wait()).await.is_ok() {
        return true;
    }
    tracing::error!("the spawner was not done after {patience:?}; it is killed");
    // Fails where it has just ended.
    let _ = child.start_kill();
    let _ = tokio::time::timeout(patience, child.wait()).await;
    false
}
