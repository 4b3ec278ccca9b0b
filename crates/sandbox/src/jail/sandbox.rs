//! A sandbox in a jail: starts its process, one run after the other (`run`).

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::sandbox::{LaunchError, Process, Sandbox, SandboxSpec};
use tokio::sync::mpsc::OwnedPermit;

use super::egress::Link;
use super::freezer::Freezer;
use super::keeper::Keeper;
use super::launcher;
use super::run::{Control, Run};
use super::shell::Shell;
use crate::cgroup::Limits;
use crate::pipes;
use crate::wire::{Reply, SpawnMessage};

/// From asking for a process until its program runs.
const START: Duration = Duration::from_secs(10);

pub(super) struct JailSandbox {
    pub(super) shell: Arc<Shell>,
    /// The shell was made ahead.
    pub(super) ready: bool,
    pub(super) message: SpawnMessage,
    pub(super) program: String,
    pub(super) runs: u64,
    /// Of the function's invocations; its inits have all the CPU.
    pub(super) limits: Limits,
    /// Bytes, where no group limits memory.
    pub(super) sampled: Option<u64>,
    /// Until they are taken.
    pub(super) runtime_api: Option<OwnedFd>,
    pub(super) services: Option<OwnedFd>,
    /// Until the first process.
    pub(super) link: Option<Link>,
    pub(super) freezer: Freezer,
    pub(super) keeper: Keeper,
    /// Takes the jail when this is dropped.
    pub(super) end: Option<OwnedPermit<Arc<Shell>>>,
}

impl JailSandbox {
    async fn start_process(&mut self) -> Result<Process, LaunchError> {
        // A function's first connection must not fail for being early.
        if let Some(link) = self.link.take()
            && let Err(error) = link.made().await
        {
            self.shell.kill();
            return Err(error);
        }
        // What the machine cannot limit was said at the start; all else must be in force.
        let limited = self.shell.group.limit(&Limits { cpu: None, ..self.limits });
        limited.map_err(|error| LaunchError(format!("a jail's limits could not be set: {error}")))?;
        self.runs += 1;
        let run = self.runs;
        let made =
            |error: std::io::Error| LaunchError(format!("a process's channel could not be made: {error}"));
        let (channel, theirs) = pipes::channel().map_err(made)?;
        let (output, writer) = pipes::output().map_err(made)?;
        let descriptors = [theirs.as_fd(), writer.as_fd()];
        let sent = self.shell.socket.send(&self.message.for_run(run), &descriptors).await;
        sent.map_err(|error| LaunchError(format!("init could not be told to start a process: {error}")))?;
        self.started(run).await?;
        let frozen = self.freezer.adopt(&self.shell, run, self.limits);
        let run = Run::new(Arc::clone(&self.shell), run, frozen, self.sampled);
        Ok(Process {
            channel,
            output,
            exit: Box::pin(Arc::clone(&run).exit()),
            control: Box::new(Control(run)),
        })
    }

    async fn started(&self, run: u64) -> Result<(), LaunchError> {
        loop {
            match self.shell.reply().await {
                Some(Reply::Spawned { run: started, pid: _ }) if started == run => return Ok(()),
                Some(Reply::Failed { run: failed, step, errno }) if failed == run => {
                    return Err(LaunchError(step.failure(&self.program, errno)));
                }
                // Of a start that nobody waited for.
                Some(Reply::Spawned { .. } | Reply::Failed { .. } | Reply::Exited { .. }) => {}
                None => return Err(LaunchError("the jail has ended".into())),
            }
        }
    }
}

impl Sandbox for JailSandbox {
    fn was_ready(&self) -> bool {
        self.ready
    }

    fn runtime_api(&mut self) -> Option<OwnedFd> {
        self.runtime_api.take()
    }

    fn services(&mut self) -> Option<OwnedFd> {
        self.services.take()
    }

    fn start(&mut self) -> Pending<'_, Result<Process, LaunchError>> {
        Box::pin(async move {
            let started = tokio::time::timeout(START, self.start_process()).await;
            started.unwrap_or_else(|_| Err(LaunchError(format!("no process was started within {START:?}"))))
        })
    }

    fn assign(&mut self, spec: SandboxSpec) -> Pending<'_, Result<BTreeMap<String, String>, LaunchError>> {
        Box::pin(async move {
            let (message, variables) = launcher::message(&spec)?;
            self.shell.mount(&self.keeper, launcher::code_mounts(&spec), Vec::new()).await?;
            self.message = message;
            Ok(variables)
        })
    }
}

impl Drop for JailSandbox {
    fn drop(&mut self) {
        self.shell.kill();
        if let Some(end) = self.end.take() {
            end.send(Arc::clone(&self.shell));
        }
    }
}
