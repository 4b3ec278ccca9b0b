//! A sandbox of process mode: an environment's directory and the processes that run in it, one
//! after the other.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::{LaunchError, Process, ProcessControl, Sandbox, SandboxSpec};
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::oneshot;

use crate::peak_memory::PeakMemory;
use crate::pipes;
use crate::supervisor::{Ending, Launch, Requests};
use crate::wire::SpawnMessage;

/// From asking for a process until its program runs: a disk that answers slowly may take long.
const START: Duration = Duration::from_secs(10);

pub(crate) struct ProcessSandbox {
    pub(crate) id: String,
    pub(crate) program: String,
    pub(crate) message: SpawnMessage,
    pub(crate) directory: PathBuf,
    /// Until it is taken.
    pub(crate) runtime_api: Option<OwnedFd>,
    pub(crate) requests: Arc<Requests>,
    /// Room for the message that the sandbox was dropped.
    pub(crate) close: Option<OwnedPermit<Ending>>,
}

impl ProcessSandbox {
    async fn start_process(&self) -> Result<Process, LaunchError> {
        let kill = self.requests.reserve_ending()?;
        let made = |error: io::Error| LaunchError(format!("a process's channel could not be made: {error}"));
        let (ours, theirs) = pipes::channel().map_err(made)?;
        let (output, writer) = pipes::output().map_err(made)?;
        let run = self.requests.next_run();
        let (answer, answered) = oneshot::channel();
        let (exit, exited) = oneshot::channel();
        let launch = Launch {
            run,
            environment: self.id.clone(),
            program: self.program.clone(),
            message: self.message.for_run(run),
            channel: theirs,
            output: writer,
            answer,
            exit,
        };
        let peak = self.requests.launch(launch, answered).await?.map(PeakMemory::new);
        Ok(Process {
            channel: ours,
            output,
            // Without an answer the supervisor has ended, and the spawner with all processes.
            exit: Box::pin(async move { exited.await.unwrap_or(ExitStatus::Signal(libc::SIGKILL)) }),
            control: Box::new(Control { run, kill: Mutex::new(Some(kill)), peak }),
        })
    }
}

impl Sandbox for ProcessSandbox {
    fn was_ready(&self) -> bool {
        false
    }

    fn runtime_api(&mut self) -> Option<OwnedFd> {
        self.runtime_api.take()
    }

    fn services(&mut self) -> Option<OwnedFd> {
        None
    }

    fn start(&mut self) -> Pending<'_, Result<Process, LaunchError>> {
        Box::pin(async move {
            let started = tokio::time::timeout(START, self.start_process()).await;
            started.unwrap_or_else(|_| Err(LaunchError(format!("no process was started within {START:?}"))))
        })
    }

    fn assign(&mut self, _: SandboxSpec) -> Pending<'_, Result<BTreeMap<String, String>, LaunchError>> {
        // It has its code from the start, or was not opened.
        Box::pin(std::future::ready(Err(LaunchError("plain processes cannot be assigned".into()))))
    }
}

impl Drop for ProcessSandbox {
    fn drop(&mut self) {
        if let Some(close) = self.close.take() {
            close.send(Ending::Close {
                environment: std::mem::take(&mut self.id),
                directory: std::mem::take(&mut self.directory),
            });
        }
    }
}

struct Control {
    run: u64,
    kill: Mutex<Option<OwnedPermit<Ending>>>,
    peak: Option<PeakMemory>,
}

impl ProcessControl for Control {
    fn kill(&self) {
        // Once is enough.
        if let Some(kill) = self.kill.lock().unwrap_or_else(PoisonError::into_inner).take() {
            kill.send(Ending::Kill { run: self.run });
        }
    }

    /// Nothing to do: between invocations the bootstrap waits in a read of the channel, so that no
    /// JavaScript runs. Threads and children of the function do run on; stopping them with signals
    /// could be undone by them and be seen by `waitpid`. The jail freezes its cgroup.
    fn freeze(&self) {}

    /// Nothing to do, as `freeze` did nothing.
    fn thaw(&self) {}

    fn peak_memory(&self) -> Option<u64> {
        self.peak.as_ref()?.read()
    }
}
