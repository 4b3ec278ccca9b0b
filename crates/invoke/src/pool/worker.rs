//! One process of the pool: booted, waiting, given a function. What goes wrong with it ends it.

use std::sync::Arc;

use bytes::Bytes;
use lambkin_model::channel::{ASSIGN, FrameKind};
use lambkin_model::lifecycle::Run;
use lambkin_model::sandbox::{LaunchError, Launcher, Sandbox, SandboxSpec};
use tokio::sync::oneshot;
use tokio::time::{Duration, timeout};

use super::kind::Kind;
use crate::channel::Frame;
use crate::gate::Turn;
use crate::memory::Room;
use crate::running::{LAUNCH_TIMEOUT, Running};

/// From its start until it says so: 20 ms on a machine that has nothing else to do.
const BOOT: Duration = Duration::from_secs(10);

/// A process that waits for a function, in its sandbox. Dropping it ends both.
pub(crate) struct Booted {
    sandbox: Box<dyn Sandbox>,
    running: Running,
}

/// One that has its code, and is to be told its variables.
pub(crate) struct Assigned {
    running: Running,
    variables: Bytes,
}

/// Boots one. `None` where that failed.
pub(crate) async fn boot(launcher: Arc<dyn Launcher>, kind: Kind, turn: Turn) -> Option<(Kind, Booted)> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let spec = kind.specification(&*launcher, &id);
    let booting = async {
        let mut sandbox = launcher.open(spec).await?;
        let mut running = Running::start(Run(0), &mut *sandbox).await?;
        tokio::select! {
            biased;
            frame = running.channel.next() => match frame {
                Ok(Frame { kind: FrameKind::Booted, .. }) => Ok(Booted { sandbox, running }),
                other => Err(LaunchError(format!("it said {other:?} first"))),
            },
            status = &mut running.exit => Err(LaunchError(format!("it ended: {status}"))),
        }
    };
    let booted = timeout(BOOT, booting).await;
    drop(turn);
    match booted.unwrap_or_else(|_| Err(LaunchError(format!("not within {BOOT:?}")))) {
        Ok(booted) => Some((kind, booted)),
        Err(error) => {
            tracing::warn!(%error, ?kind, "no process could be booted ahead");
            None
        }
    }
}

/// Until it is taken, let go, or ends by itself; answers its number.
pub(crate) async fn wait(
    number: u64,
    mut booted: Booted,
    taken: oneshot::Receiver<oneshot::Sender<Booted>>,
    room: Arc<Room>,
) -> u64 {
    tokio::select! {
        biased;
        status = &mut booted.running.exit => tracing::warn!(%status, "a process that was booted ahead ended"),
        taken = taken => if let Ok(answer) = taken {
            drop(room);
            // Who asked may have gone: it ends.
            let _ = answer.send(booted);
        },
    }
    number
}

impl Booted {
    /// Gives it the function's code. Where that fails, another process is to be started.
    pub(crate) async fn assign(
        mut self,
        spec: SandboxSpec,
    ) -> Result<(Box<dyn Sandbox>, Assigned), LaunchError> {
        let assigned = timeout(LAUNCH_TIMEOUT, self.sandbox.assign(spec)).await;
        let too_long = || Err(LaunchError("it took too long".into()));
        let variables = assigned.unwrap_or_else(|_| too_long())?;
        let variables = serde_json::to_vec(&variables).expect("only strings");
        Ok((self.sandbox, Assigned { running: self.running, variables: variables.into() }))
    }
}

impl Assigned {
    /// Its init begins.
    pub(crate) fn begin(mut self, run: Run) -> Running {
        self.running.run = run;
        self.running.channel.send(ASSIGN, self.variables);
        self.running
    }
}
