//! The jail's spawner as lambkin has it: a child process, a socket to it, and the task that asks it
//! one thing after the other, starting another spawner when one has died.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use lambkin_model::sandbox::LaunchError;
use tokio::sync::{mpsc, oneshot};

use super::wire::{Answer, Request};
use crate::packets::PacketSocket;
use crate::spawner_process::{self, SpawnerCommand};

/// Requests that wait for the spawner. When full, further ones wait to be taken up.
const REQUESTS: usize = 64;

/// A spawner that has not answered after this time is taken for dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer: a failure with a path.
const ANSWER_BYTES: usize = 8192;

/// A request with its descriptors, and where its answer goes.
struct Asked {
    request: Request,
    descriptors: Vec<OwnedFd>,
    answer: oneshot::Sender<Result<(Answer, Option<OwnedFd>), LaunchError>>,
}

/// The way to the spawner. Cheap to clone; when the last one is gone, the spawner ends, and with it
/// every jail.
#[derive(Clone)]
pub(super) struct Keeper(mpsc::Sender<Asked>);

impl Keeper {
    /// Starts the spawner, and gives the task that keeps it.
    pub(super) fn start(
        command: SpawnerCommand,
    ) -> Result<(Self, impl Future<Output = ()> + Send), LaunchError> {
        let spawner = Spawner::start(&command)?;
        let (sender, asked) = mpsc::channel(REQUESTS);
        Ok((Self(sender), keep(command, spawner, asked)))
    }

    pub(super) async fn ask(
        &self,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(Answer, Option<OwnedFd>), LaunchError> {
        let ended = || LaunchError("the launcher is shut down".into());
        let (answer, answered) = oneshot::channel();
        self.0.send(Asked { request, descriptors, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

async fn keep(command: SpawnerCommand, first: Spawner, mut asked: mpsc::Receiver<Asked>) {
    let mut spawner = Some(first);
    while let Some(Asked { request, descriptors, answer }) = asked.recv().await {
        // Who asked has stopped waiting.
        if answer.is_closed() {
            continue;
        }
        let answered = exchange(&command, &mut spawner, &request, &descriptors).await;
        if answered.is_err()
            && let Some(dead) = spawner.take()
        {
            dead.finish().await;
        }
        // A jail that nobody waits for any more ends with the socket that its init has.
        let _ = answer.send(answered);
    }
    if let Some(spawner) = spawner.take() {
        spawner.finish().await;
    }
}

/// Fails where the spawner is no more.
async fn exchange(
    command: &SpawnerCommand,
    spawner: &mut Option<Spawner>,
    request: &Request,
    descriptors: &[OwnedFd],
) -> Result<(Answer, Option<OwnedFd>), LaunchError> {
    let spawner = match spawner {
        Some(spawner) => spawner,
        None => spawner.insert(Spawner::start(command)?),
    };
    let descriptors: Vec<_> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
    let gone = |why: &str| {
        tracing::error!("the spawner is gone ({why}); all jails end with it");
        LaunchError(format!("the spawner is gone: {why}"))
    };
    match tokio::time::timeout(PATIENCE, spawner.exchange(request, &descriptors)).await {
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(error)) => Err(gone(&error.to_string())),
        Err(_) => Err(gone(&format!("it did not answer within {PATIENCE:?}"))),
    }
}

struct Spawner {
    socket: PacketSocket,
    child: tokio::process::Child,
}

impl Spawner {
    fn start(command: &SpawnerCommand) -> Result<Self, LaunchError> {
        let (socket, child) = spawner_process::start(command)?;
        Ok(Self { socket, child })
    }

    async fn exchange(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<(Answer, Option<OwnedFd>)> {
        let bytes = postcard::to_stdvec(request).map_err(io::Error::other)?;
        self.socket.send(&bytes, descriptors).await?;
        let mut buffer = [0; ANSWER_BYTES];
        let Some((length, mut descriptors)) = self.socket.receive(&mut buffer).await? else {
            return Err(io::Error::other("its socket closed"));
        };
        let answer = postcard::from_bytes(&buffer[..length]).map_err(io::Error::other)?;
        Ok((answer, descriptors.pop()))
    }

    async fn finish(self) {
        spawner_process::finish(self.socket, self.child, PATIENCE).await;
    }
}
