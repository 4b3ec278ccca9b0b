//! One run of a jail's process: its end, and the control over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::ProcessControl;
use tokio::sync::Notify;

use super::freezer::Frozen;
use super::shell::Shell;
use crate::wire::{self, Reply};

/// Init kills what it is told to within microseconds; where it is stuck (in a group that the kernel is
/// freezing, behind a full disk), the whole jail goes.
const KILL: Duration = Duration::from_secs(2);

/// How often memory is looked at where no group limits it.
const SAMPLE: Duration = Duration::from_millis(20);

pub(super) struct Run {
    pub(super) shell: Arc<Shell>,
    pub(super) number: u64,
    pub(super) frozen: Arc<Frozen>,
    /// Bytes that it may use, where no group sees to that.
    pub(super) sampled: Option<u64>,
    /// Most that was seen, then.
    pub(super) peak: AtomicU64,
    pub(super) killing: AtomicBool,
    pub(super) killed: Notify,
}

impl Run {
    pub(super) fn new(
        shell: Arc<Shell>,
        number: u64,
        frozen: Arc<Frozen>,
        sampled: Option<u64>,
    ) -> Arc<Self> {
        let (peak, killing, killed) = Default::default();
        Arc::new(Self { shell, number, frozen, sampled, peak, killing, killed })
    }

    /// The end of it. The jail outlives it, with its `/tmp`.
    pub(super) async fn exit(self: Arc<Self>) -> ExitStatus {
        let ended = self.ended();
        tokio::pin!(ended);
        tokio::select! {
            status = &mut ended => status,
            () = self.stuck() => {
                tracing::warn!("init did not kill a process within {KILL:?}; the jail is killed");
                self.shell.kill();
                ended.await
            }
        }
    }

    async fn ended(&self) -> ExitStatus {
        loop {
            match self.shell.reply().await {
                Some(Reply::Exited { run, status }) if run == self.number => {
                    self.frozen.over();
                    return status;
                }
                Some(Reply::Exited { .. } | Reply::Spawned { .. } | Reply::Failed { .. }) => {}
                None => {
                    self.shell.kill();
                    self.shell.ended().await;
                    return ExitStatus::Signal(libc::SIGKILL);
                }
            }
        }
    }

    /// Answers where it was to be killed and is still there.
    async fn stuck(&self) {
        tokio::select! {
            () = self.killed.notified() => {}
            () = self.sample() => {}
        }
        tokio::time::sleep(KILL).await;
    }

    /// Kills it when it uses more than it may, where no group does.
    async fn sample(&self) {
        let Some(limit) = self.sampled else { return std::future::pending().await };
        while self.look_at_memory() <= limit {
            self.frozen.thawed().await;
            tokio::time::sleep(SAMPLE).await;
        }
        self.kill();
    }

    fn look_at_memory(&self) -> u64 {
        let bytes = self.shell.sampled_memory();
        self.peak.fetch_max(bytes, Ordering::Relaxed);
        bytes
    }

    fn kill(&self) {
        if self.killing.swap(true, Ordering::AcqRel) {
            return;
        }
        // Init too is frozen with its group.
        self.frozen.over();
        if self.shell.socket.try_send(&wire::kill_message(self.number)).is_err() {
            self.shell.kill();
        }
        self.killed.notify_one();
    }
}

pub(super) struct Control(pub(super) Arc<Run>);

impl ProcessControl for Control {
    fn kill(&self) {
        self.0.kill();
    }

    fn freeze(&self) {
        self.0.frozen.freeze_soon();
    }

    fn thaw(&self) {
        self.0.frozen.thaw();
    }

    fn peak_memory(&self) -> Option<u64> {
        match self.0.sampled {
            None => self.0.shell.group.peak_memory(),
            Some(_) => {
                self.0.look_at_memory();
                Some(self.0.peak.load(Ordering::Relaxed))
            }
        }
    }
}
