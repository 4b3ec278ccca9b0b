//! The listener: bounded connections, bounded waits, and an end that lets running requests finish.
//!
//! Deliberately not here: anything of a request but its transport.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lambkin_model::services::Caller;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Api;
use crate::callers::{Door, Serves};
use crate::logs::tail::LogEnd;
use crate::stalled::StallGuard;
use crate::tls::Tls;

/// Connections at once: of everybody, of one environment, whose SDK opens 50, and of whoever scrapes. Beyond: the
/// listener's backlog waits, then the clients do.
const CONNECTIONS: usize = 4096;
const ENVIRONMENT_CONNECTIONS: usize = 64;
const SCRAPER_CONNECTIONS: usize = 64;
/// Buffer that heads and bodies are read through. hyper refuses a head (431) once it is full and
/// the head is not complete, so that at most twice as much is ever held.
const BUFFER_BYTES: usize = 64 * 1024;
/// Longest wait for a complete head, on a new connection and between requests.
const HEAD: Duration = Duration::from_secs(30);
/// Longest that agreeing on TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after the system refused a connection, for want of descriptors for example.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is done; then stops accepting, lets running requests finish within
/// `grace` and closes what is left. Every task it started has ended when this returns.
pub async fn serve(
    listener: TcpListener,
    api: Arc<Api>,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) {
    accept(listener, api, Entrance::default(), shutdown, grace).await;
}

/// The same over TLS.
pub async fn serve_tls(
    listener: TcpListener,
    api: Arc<Api>,
    tls: Tls,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) {
    accept(listener, api, Entrance { tls: Some(tls), ..Entrance::default() }, shutdown, grace).await;
}

/// The same for function URLs alone, each by its id as the first part of the path.
pub async fn serve_urls(
    listener: TcpListener,
    api: Arc<Api>,
    tls: Option<Tls>,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) {
    accept(listener, api, Entrance { tls, serves: Serves::Urls, caller: None }, shutdown, grace).await;
}

/// The same for `/metrics` alone, which is answered to whoever asks: scrapers do not sign.
pub async fn serve_metrics(
    listener: TcpListener,
    api: Arc<Api>,
    tls: Option<Tls>,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) {
    accept(listener, api, Entrance { tls, serves: Serves::Metrics, caller: None }, shutdown, grace).await;
}

/// The same for one environment, over a listener that only it reaches: whatever a request says of
/// itself, it is this caller's. Closes what is left at once, for who waited for it is gone.
pub(crate) async fn serve_environment(
    listener: TcpListener,
    api: Arc<Api>,
    caller: Arc<Caller>,
    end: impl Future<Output = ()>,
) {
    let entrance = Entrance { caller: Some(caller), ..Entrance::default() };
    accept(listener, api, entrance, end, Duration::ZERO).await;
}

/// What is special about a listener.
#[derive(Clone, Default)]
struct Entrance {
    tls: Option<Tls>,
    serves: Serves,
    /// Whose it is.
    caller: Option<Arc<Caller>>,
}

impl Entrance {
    /// Connections at once.
    fn room(&self) -> usize {
        match (&self.caller, self.serves) {
            (Some(_), _) => ENVIRONMENT_CONNECTIONS,
            (None, Serves::Metrics) => SCRAPER_CONNECTIONS,
            (None, Serves::All | Serves::Urls) => CONNECTIONS,
        }
    }
}

async fn accept(
    listener: TcpListener,
    api: Arc<Api>,
    entrance: Entrance,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) {
    let room = Arc::new(Semaphore::new(entrance.room()));
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await.expect("never closed");
            (listener.accept().await, permit)
        };
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (accepted, permit) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, Arc::clone(&api), entrance.clone(), stopped.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(REFUSED_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    drop(stopped);
    stop.send_replace(());
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(grace, all).await.is_err() {
        if !grace.is_zero() {
            tracing::warn!(connections = connections.len(), "requests did not finish within the grace time");
        }
        connections.shutdown().await;
    }
}

async fn connection(
    stream: TcpStream,
    api: Arc<Api>,
    Entrance { tls, serves, caller }: Entrance,
    stopped: watch::Receiver<()>,
) {
    // A frozen environment says nothing for as long as it is idle, and its end is the deadline.
    let head = caller.is_none().then_some(HEAD);
    let door = match prepare(&stream) {
        Ok((local, peer)) => {
            let (address, port) = (local.ip(), local.port());
            let (secure, stopping, log_end) = (tls.is_some(), stopped.clone(), LogEnd::default());
            Arc::new(Door { address, port, peer, secure, serves, caller, stopping, log_end })
        }
        Err(error) => return tracing::debug!(%error, "the connection ended at once"),
    };
    let stream = StallGuard::new(stream);
    let Some(tls) = tls else { return talk(stream, api, door, head, stopped).await };
    match timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => talk(stream, api, door, head, stopped).await,
        Ok(Err(error)) => tracing::debug!(%error, "no TLS was agreed on"),
        Err(_) => tracing::debug!("TLS was not agreed on in time"),
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    api: Arc<Api>,
    door: Arc<Door>,
    head: Option<Duration>,
    mut stopped: watch::Receiver<()>,
) {
    let service = service_fn(move |request| {
        let (api, door) = (Arc::clone(&api), Arc::clone(&door));
        async move { Ok::<_, Infallible>(api.handle(request, &door).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(BUFFER_BYTES)
        // An invocation goes on when its caller hangs up, as on AWS; and no running request pays
        // for looking whether the caller is still there.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "the connection broke");
    }
}

fn prepare(stream: &TcpStream) -> io::Result<(SocketAddr, IpAddr)> {
    stream.set_nodelay(true)?;
    Ok((stream.local_addr()?, stream.peer_addr()?.ip()))
}
