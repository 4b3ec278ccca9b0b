//! lambkin's end of the socket to the spawner: requests go out from anywhere, one task reads the
//! replies and hands each to who waits for it.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::LaunchError;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::SPAWNER_ARGUMENT;
use crate::wire::{self, Reply, Request, Spawn};

/// How long the spawner may take to start a process.
const SPAWN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the spawner may take to kill everything and end.
const END_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) struct Connection {
    /// A `SOCK_SEQPACKET` socket: to tokio it is a descriptor like a stream's, and only `wire` reads
    /// and writes it.
    socket: Arc<UnixStream>,
    waiting: Arc<Mutex<Waiting>>,
    next_id: AtomicU64,
    reader: JoinHandle<()>,
    spawner: Mutex<Option<std::process::Child>>,
}

#[derive(Default)]
struct Waiting {
    closed: bool,
    /// Bounded by the processes there are: each has one entry from its request to its end.
    processes: HashMap<u64, Waiter>,
}

struct Waiter {
    spawned: Option<oneshot::Sender<Result<i32, LaunchError>>>,
    exited: oneshot::Sender<ExitStatus>,
}

impl Connection {
    /// Starts a spawner: `program` with [`SPAWNER_ARGUMENT`].
    pub(crate) fn start(program: &Path) -> io::Result<Self> {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        for end in [&ours, &theirs] {
            rustix::net::sockopt::set_socket_send_buffer_size(end, 2 * wire::PACKET_BYTES)?;
        }
        let spawner = Command::new(program)
            .arg(SPAWNER_ARGUMENT)
            .env_clear()
            .stdin(theirs)
            .stdout(Stdio::null())
            // Ctrl-C at a terminal is for lambkin, which lets invocations finish.
            .process_group(0)
            .current_dir("/")
            .spawn()?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let socket = Arc::new(UnixStream::from_std(ours.into())?);
        let waiting = Arc::<Mutex<Waiting>>::default();
        let reader = tokio::spawn(read(Arc::clone(&socket), Arc::clone(&waiting)));
        Ok(Self { socket, waiting, next_id: AtomicU64::new(1), reader, spawner: Mutex::new(Some(spawner)) })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no code panics under this lock")
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Starts a process: its number here, its pid, and its end to come.
    pub(crate) async fn spawn(
        &self,
        mut spawn: Spawn,
        fds: [OwnedFd; 2],
    ) -> Result<(u64, i32, oneshot::Receiver<ExitStatus>), LaunchError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        spawn.id = id;
        let (spawned, answer) = oneshot::channel();
        let (exited, exit) = oneshot::channel();
        self.lock().processes.insert(id, Waiter { spawned: Some(spawned), exited });
        let sent = self.send(&Request::Spawn(spawn), &fds.each_ref().map(AsFd::as_fd)).await;
        let failed = |reason: String| {
            self.lock().processes.remove(&id);
            LaunchError(reason)
        };
        sent.map_err(|error| failed(format!("the spawner cannot be reached: {error}")))?;
        drop(fds);
        match tokio::time::timeout(SPAWN_TIMEOUT, answer).await {
            Ok(Ok(Ok(pid))) => Ok((id, pid, exit)),
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(failed("the spawner has ended".into())),
            Err(_) => {
                self.kill(id);
                Err(LaunchError("the spawner took too long to start a process".into()))
            }
        }
    }

    /// Kills a process and all it started; its end is told to who waits for it.
    pub(crate) fn kill(&self, id: u64) {
        if let Err(Errno::AGAIN) = wire::send(&self.socket, &Request::Kill { id }, &[]) {
            // The queue is full of requests for a moment; this one must not be lost.
            let socket = Arc::clone(&self.socket);
            tokio::spawn(async move {
                let again = || wire::send(&socket, &Request::Kill { id }, &[]).map_err(io::Error::from);
                let _ = tokio::time::timeout(SPAWN_TIMEOUT, socket.async_io(Interest::WRITABLE, again)).await;
            });
        }
    }

    async fn send(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let send = || wire::send(&self.socket, request, fds).map_err(io::Error::from);
        tokio::time::timeout(SPAWN_TIMEOUT, self.socket.async_io(Interest::WRITABLE, send)).await?
    }

    /// Closes the socket, at which the spawner kills everything, and waits for its end.
    pub(crate) async fn close(&self) {
        self.reader.abort();
        // Other clones of the socket's handle may live on; the other end must see its end anyway.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let spawner = self.spawner.lock().expect("no code panics under this lock").take();
        if let Some(mut spawner) = spawner {
            let ended = tokio::task::spawn_blocking(move || {
                let deadline = std::time::Instant::now() + END_TIMEOUT;
                while std::time::Instant::now() < deadline {
                    if !matches!(spawner.try_wait(), Ok(None)) {
                        return true;
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
                false
            });
            if !ended.await.unwrap_or(false) {
                tracing::warn!("the spawner has not ended in time");
            }
        }
        end_all(&self.waiting);
    }
}

async fn read(socket: Arc<UnixStream>, waiting: Arc<Mutex<Waiting>>) {
    let mut buffer = vec![0; 4096];
    loop {
        let received = socket
            .async_io(Interest::READABLE, || wire::receive::<Reply>(&socket, &mut buffer).map_err(io::Error::from))
            .await;
        let Ok(Some((reply, _))) = received else { break };
        let mut waiting = waiting.lock().expect("no code panics under this lock");
        match reply {
            Reply::Spawned { id, pid } => {
                if let Some(spawned) = waiting.processes.get_mut(&id).and_then(|waiter| waiter.spawned.take()) {
                    let _ = spawned.send(Ok(pid));
                }
            }
            Reply::Failed { id, error } => {
                if let Some(spawned) = waiting.processes.remove(&id).and_then(|waiter| waiter.spawned) {
                    let _ = spawned.send(Err(LaunchError(error)));
                }
            }
            Reply::Exited { id, code, signal } => {
                if let Some(waiter) = waiting.processes.remove(&id) {
                    let status = match (code, signal) {
                        (Some(code), _) => ExitStatus::Code(code),
                        (None, signal) => ExitStatus::Signal(signal.unwrap_or(9)),
                    };
                    let _ = waiter.exited.send(status);
                }
            }
        }
    }
    tracing::error!("the spawner has ended, and every environment with it");
    end_all(&waiting);
}

/// Without a spawner there are no processes: they die with it.
fn end_all(waiting: &Mutex<Waiting>) {
    let mut waiting = waiting.lock().expect("no code panics under this lock");
    waiting.closed = true;
    for (_, waiter) in waiting.processes.drain() {
        let _ = waiter.exited.send(ExitStatus::Signal(9));
    }
}
