//! Environments as callers of lambkin's API. In a jail the listener that a connection came in by says
//! who it is; where there is none, the session token does, which each environment has for itself.
//!
//! Deliberately not here: what a caller may do (there is no IAM), and verifying signatures.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use http::request::Parts;
use lambkin_model::Pending;
use lambkin_model::services::{Admission, Caller, Credentials, Services};
use tokio::net::TcpListener;

use crate::Api;
use crate::route::query_value;
use crate::server::serve_environment;

const TOKEN: &str = "x-amz-security-token";

/// Where a connection came in.
pub(crate) struct Door {
    /// The address it arrived at.
    pub(crate) address: IpAddr,
    /// Whose listener that is; `None`: everybody's.
    pub(crate) caller: Option<Arc<Caller>>,
}

/// The environments that there are. Clones are the same.
#[derive(Clone)]
pub struct Callers(Arc<Shared>);

struct Shared {
    endpoint: String,
    roles: HashMap<String, Credentials>,
    /// By session token. A lock for the length of a look.
    known: RwLock<HashMap<String, Arc<Caller>>>,
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

    /// The environment that sent this request, where one did.
    pub(crate) fn caller(&self, parts: &Parts, door: &Door) -> Option<Arc<Caller>> {
        if door.caller.is_some() {
            return door.caller.clone();
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

impl Services for Callers {
    fn admit(&self, caller: Caller) -> Box<dyn Admission> {
        let caller = Arc::new(caller);
        let credentials = match self.0.roles.get(&caller.role) {
            // Every environment of the role has the same.
            Some(credentials) => credentials.clone(),
            None => {
                let (credentials, token) = random();
                let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
                known.insert(token, Arc::clone(&caller));
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

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(token) = &self.credentials.session_token {
            self.callers.0.known.write().unwrap_or_else(PoisonError::into_inner).remove(token);
        }
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
