//! Environments as callers of lambkin's API. In a jail the listener that a connection came in by says
//! who it is, and nothing else; where there is none, a request of this machine's that is signed with the credentials which each
//! environment has for itself.
//!
//! Deliberately not here: what a caller may do (`access`), and how a signature is verified (`signature`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use http::request::Parts;
use lambkin_model::keys::Key;
use lambkin_model::services::{Admission, Caller, Credentials, Services};
use lambkin_model::{Error, Pending};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Api;
use crate::api::now;
use crate::logs::tail::LogEnd;
use crate::route::query_value;
use crate::server::serve_environment;
use crate::signature::Unread;

const TOKEN: &str = "x-amz-security-token";

/// What a listener is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Serves {
    /// The API, and what there is by host.
    #[default]
    All,
    /// Paths begin with the id of a function's URL, and nothing else is answered.
    Urls,
    /// `/metrics` alone, to whoever asks.
    Metrics,
}

/// Where a connection came in.
pub(crate) struct Door {
    /// The address it arrived at.
    pub(crate) address: IpAddr,
    /// From where it came.
    pub(crate) peer: IpAddr,
    /// The port it arrived at.
    pub(crate) port: u16,
    /// By TLS.
    pub(crate) secure: bool,
    /// What is answered there.
    pub(crate) serves: Serves,
    /// Whose listener that is; `None`: everybody's.
    pub(crate) caller: Option<Arc<Caller>>,
    /// Changes when lambkin stops: who waits for something is answered.
    pub(crate) stopping: watch::Receiver<()>,
    /// Where its client read a log to the end.
    pub(crate) log_end: LogEnd,
}

impl Door {
    /// Waits until lambkin stops.
    pub(crate) async fn stop(&self) {
        // A listener that is gone has stopped, too.
        let _ = self.stopping.clone().changed().await;
    }

    #[cfg(test)]
    pub(crate) fn test(address: IpAddr, serves: Serves) -> Self {
        let (_, stopping) = watch::channel(());
        let (port, secure, caller, log_end) = (4566, false, None, LogEnd::default());
        Self { address, peer: address, port, secure, serves, caller, stopping, log_end }
    }
}

/// An environment, and what it signs with.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) caller: Arc<Caller>,
    pub(crate) key: Arc<Key>,
}

/// The environments that there are. Clones are the same.
#[derive(Clone)]
pub struct Callers(Arc<Shared>);

struct Shared {
    endpoint: String,
    roles: HashMap<String, Credentials>,
    /// By session token. A lock for the length of a look.
    known: RwLock<HashMap<String, Session>>,
    api: OnceLock<Weak<Api>>,
}

impl Callers {
    /// For environments of an API that listens at this address. Functions whose role's ARN is among
    /// `roles` get those credentials; the others get some of their own that are good here only.
    #[must_use]
    pub fn new(listen: SocketAddr, roles: HashMap<String, Credentials>) -> Self {
        let ip = match listen.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let endpoint = format!("http://{}", SocketAddr::new(ip, listen.port()));
        Self(Arc::new(Shared { endpoint, roles, known: RwLock::default(), api: OnceLock::new() }))
    }

    /// Where lambkin is reached on this machine: `http://127.0.0.1:4566`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    pub(crate) fn open(&self, api: &Arc<Api>) {
        // A second API is not reached from inside.
        let _ = self.0.api.set(Arc::downgrade(api));
    }

    /// The environment that this request says it is from: it must be signed with its key.
    fn session(&self, parts: &Parts, door: &Door) -> Option<Session> {
        // Elsewhere there is no environment.
        if !door.peer.is_loopback() && door.peer != door.address {
            return None;
        }
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        match parts.headers.get(TOKEN) {
            Some(token) => known.get(token.to_str().ok()?).cloned(),
            None => {
                let query = parts.uri.query().unwrap_or_default();
                known.get(&*query_value(query, "X-Amz-Security-Token")?).cloned()
            }
        }
    }
}

impl Api {
    /// The environment that sent this request, where one did. `service`: as its signature's scope must name it. What is still
    /// to be verified of it waits for its body.
    pub(crate) fn caller(
        &self,
        parts: &Parts,
        door: &Door,
        service: Option<&str>,
    ) -> Result<(Option<Arc<Caller>>, Unread), Error> {
        if door.caller.is_some() {
            return Ok((door.caller.clone(), Unread::Nothing));
        }
        let Some(Session { caller, key }) = self.callers.session(parts, door) else {
            return Ok((None, Unread::Nothing));
        };
        let unread = self.verifier.check_session(&key, parts, service, now())?;
        Ok((Some(caller), unread))
    }
}

impl Services for Callers {
    fn admit(&self, caller: Caller) -> Box<dyn Admission> {
        let caller = Arc::new(caller);
        let credentials = match self.0.roles.get(&caller.role) {
            // Every environment of the role has the same.
            Some(credentials) => credentials.clone(),
            None => {
                let (credentials, token) = random();
                let key = Arc::new(Key {
                    account: None,
                    id: credentials.access_key_id.clone(),
                    secret: credentials.secret_access_key.clone(),
                    name: caller.function.name.to_string(),
                    policies: Vec::new(),
                    created: now(),
                });
                let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
                known.insert(token, Session { caller: Arc::clone(&caller), key });
                credentials
            }
        };
        Box::new(Admitted { callers: self.clone(), caller, credentials })
    }
}

struct Admitted {
    callers: Callers,
    caller: Arc<Caller>,
    credentials: Credentials,
}

impl Admission for Admitted {
    fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    fn endpoint(&self) -> &str {
        &self.callers.0.endpoint
    }

    fn serve(&self, listener: OwnedFd, end: Pending<'static, ()>) -> Pending<'static, ()> {
        self.forget();
        let (api, caller) = (self.callers.0.api.get().and_then(Weak::upgrade), Arc::clone(&self.caller));
        Box::pin(async move {
            // Without an API there is nobody who could have invoked the function.
            let Some(api) = api else { return };
            match TcpListener::from_std(listener.into()) {
                Ok(listener) => serve_environment(listener, api, caller, end).await,
                Err(error) => {
                    tracing::error!(caller = %caller.function, %error, "lambkin's services cannot be served inside");
                }
            }
        })
    }
}

impl Admitted {
    /// Its token says nothing any more.
    fn forget(&self) {
        if let Some(token) = &self.credentials.session_token {
            self.callers.0.known.write().unwrap_or_else(PoisonError::into_inner).remove(token);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Like AWS's temporary credentials, and their token.
fn random() -> (Credentials, String) {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bytes = uuid::Uuid::new_v4().into_bytes();
    let id = bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)]));
    let hex = || uuid::Uuid::new_v4().simple().to_string();
    let token = hex() + &hex();
    let credentials = Credentials {
        access_key_id: "ASIA".chars().chain(id).collect(),
        secret_access_key: hex() + &hex()[..8],
        session_token: Some(token.clone()),
    };
    (credentials, token)
}
