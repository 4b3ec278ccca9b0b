//! The HTTP Runtime API, which a process may speak instead of the channel: one server for each run,
//! over the listener that the environment keeps. Requests become [`Call`]s, which the environment's
//! task answers one after the other.
//!
//! No wait here has a deadline of its own, as in AWS's: whatever may run has one in the lifecycle,
//! and the server ends with its run. Deliberately not here: what a call means
//! (`environment/calls.rs`) and which bytes it is (`request.rs`).

mod answer;
mod request;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, timeout_at};

pub(crate) use answer::{Event, Refusal, RuntimeState};

use crate::flow::Chunks;
use crate::posted::Said;

/// Connections at once; clients have one or two. Beyond: they wait in the listener's backlog until
/// another closes.
const CONNECTIONS: usize = 8;

/// Buffer that heads and bodies are read through; a larger head is refused (431).
const BUFFER_BYTES: usize = 64 * 1024;

/// Pause after the system refused a connection, for want of descriptors for example.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// How long it may take to read what an ended process left in its sockets: they are closed, so that
/// only connections of others are still there afterwards.
const LEFT: Duration = Duration::from_millis(100);

/// What is asked.
pub(crate) enum Call {
    /// "next": answered when there is an invocation.
    Next(oneshot::Sender<Result<Event, Refusal>>),
    /// A post begins. Its body is read once this is granted, so that there is one body at a time.
    Begin(Begin),
    /// The body of a granted post is complete; answered when it counts.
    Posted {
        /// As the post's [`Begin`] had it.
        id: Option<String>,
        said: Said,
        answer: oneshot::Sender<()>,
    },
}

/// The head of a post.
pub(crate) struct Begin {
    pub(crate) post: Post,
    /// Which invocation it is about; an init's error is about none.
    pub(crate) id: Option<String>,
    /// Of a streamed response.
    pub(crate) content_type: String,
    pub(crate) grant: Grant,
    pub(crate) answer: Granted,
}

/// Closed where the request ended before its body was complete: nothing was posted.
pub(crate) type Grant = oneshot::Sender<Infallible>;

/// The answer to a post's head: where the body goes that its caller wants as it comes.
pub(crate) type Granted = oneshot::Sender<Result<Option<Chunks>, Refusal>>;

/// What is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Post {
    Response,
    StreamedResponse,
    Error,
    InitError,
}

/// Where an environment's processes reach the Runtime API.
pub(crate) struct Listener(TcpListener);

impl Listener {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        TcpListener::from_std(socket.into()).map(Self)
    }

    /// Asks the kernel, not tokio: what tokio knows may be older than a process's end.
    fn accept_now(&self) -> Option<TcpStream> {
        let stream = rustix::net::accept(&self.0).ok()?;
        rustix::io::ioctl_fioclex(&stream).ok()?;
        rustix::io::ioctl_fionbio(&stream, true).ok()?;
        TcpStream::from_std(stream.into()).ok()
    }

    fn has_waiting(&self) -> bool {
        let mut listener = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut listener, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// The Runtime API of one run: its server, and what the environment knows of its callers.
pub(crate) struct RuntimeApi {
    listener: Arc<Listener>,
    connected: Arc<AtomicBool>,
    /// A call for each connection. Full: the connections wait, and the process with them.
    calls: mpsc::Receiver<Call>,
    stop: Option<oneshot::Sender<()>>,
    /// What an ended process left is read until then.
    left_until: Option<Instant>,
    /// The one task.
    server: JoinSet<()>,
    /// Who waits for an invocation. As many as there are connections.
    pub(crate) waiting: VecDeque<oneshot::Sender<Result<Event, Refusal>>>,
    /// Whether the next invocation is asked for here, not over the channel.
    pub(crate) asked: bool,
    /// The running invocation, where it was given here: who asks again gets it again.
    pub(crate) given: Option<Event>,
    /// The post whose body is being read.
    pub(crate) posting: Option<(Post, Grant)>,
}

impl RuntimeApi {
    pub(crate) fn start(listener: Arc<Listener>) -> Self {
        let connected = Arc::<AtomicBool>::default();
        let (sender, calls) = mpsc::channel(CONNECTIONS);
        let (stop, stopped) = oneshot::channel();
        let mut server = JoinSet::new();
        server.spawn(serve(Arc::clone(&listener), sender, Arc::clone(&connected), stopped));
        Self {
            listener,
            connected,
            calls,
            stop: Some(stop),
            left_until: None,
            server,
            waiting: VecDeque::new(),
            asked: false,
            given: None,
            posting: None,
        }
    }

    /// The next call. Cancel-safe; never answers once the server has ended.
    pub(crate) async fn next(&mut self) -> Call {
        match self.calls.recv().await {
            Some(call) => call,
            None => std::future::pending().await,
        }
    }

    /// Whether the process has ever connected.
    pub(crate) fn is_used(&self) -> bool {
        self.connected.load(Ordering::Acquire) || self.listener.has_waiting()
    }

    /// After the process's end: a call that it left behind. `None` when there is none, and the
    /// server has ended.
    pub(crate) async fn left(&mut self) -> Option<Call> {
        if let Some(stop) = self.stop.take() {
            // Without a receiver it has ended already.
            let _ = stop.send(());
        }
        let until = *self.left_until.get_or_insert_with(|| Instant::now() + LEFT);
        if let Ok(Some(call)) = timeout_at(until, self.calls.recv()).await {
            return Some(call);
        }
        self.server.shutdown().await;
        None
    }

    /// Hands an invocation to who asked first and is still there.
    pub(crate) fn deliver(&mut self, event: Event) {
        self.given = Some(event.clone());
        let mut event = Ok(event);
        while let Some(waiting) = self.waiting.pop_front() {
            match waiting.send(event) {
                Ok(()) => return,
                Err(back) => event = back,
            }
        }
    }
}

async fn serve(
    listener: Arc<Listener>,
    calls: mpsc::Sender<Call>,
    connected: Arc<AtomicBool>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.0.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connected.store(true, Ordering::Release);
                    connections.spawn(connection(stream, calls.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the Runtime API could not accept a connection");
                    sleep(REFUSED_PAUSE).await;
                }
            },
        }
    }
    // The next run must not hear a dead process's words: all that wait are taken here, and those for
    // whom there is no room are closed.
    while let Some(stream) = listener.accept_now() {
        if connections.len() < CONNECTIONS {
            connections.spawn(connection(stream, calls.clone()));
        }
    }
    drop(calls);
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, calls: mpsc::Sender<Call>) {
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%error, "the connection ended at once");
    }
    let service = service_fn(move |request| request::answer(request, calls.clone()));
    let served = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the Runtime API broke");
    }
}
