//! lambkin's own API below `/_lambkin/`, for what AWS has no operation for: the machine, sample events, saved test events.
//! Documented in `docs/own-api.md`; the console uses it, and so may any script.
//!
//! What holds or changes content wants a signature as AWS's operations do; samples do not.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode};
use lambkin_model::Error;
use lambkin_model::catalog::CatalogError;
use lambkin_model::name::FunctionReference;
use lambkin_model::record::{Records, ResourceKey};
use lambkin_model::sample_event::SampleEvent;
use lambkin_model::test_event::{EVENT_BYTES, TestEvents};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use crate::Api;
use crate::body::{Budget, RequestBody};
use crate::console;
use crate::gate;
use crate::reply::{Reply, empty, json};

/// Where samples are.
pub(crate) const SAMPLES: &str = "/_lambkin/sample-events";
/// Where saved test events are, by function.
const TEST_EVENTS: &str = "/_lambkin/test-events/";

/// What the machine has for functions.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Machine {
    /// How functions are kept apart, in words.
    pub isolation: String,
    /// MB that execution environments may use; `None` without a bound.
    pub memory_mb: Option<u64>,
    /// MB that they use or have reserved.
    pub memory_used_mb: u64,
    /// Execution environments, starting ones among them.
    pub environments: usize,
}

/// Looks at the machine, now.
pub type Look = Box<dyn Fn() -> Machine + Send + Sync>;

/// What lambkin's own API needs beside what AWS's needs.
pub struct Own {
    /// Saved test events.
    pub test_events: Arc<dyn Records<TestEvents>>,
    /// The machine's state.
    pub machine: Look,
}

#[derive(Serialize)]
struct Shown<'a> {
    version: &'static str,
    account: &'a str,
    console: bool,
    /// Seconds since 1970.
    now: u64,
    functions: usize,
    #[serde(flatten)]
    machine: Machine,
}

#[derive(Serialize)]
struct Samples {
    events: Vec<SampleEvent>,
}

#[derive(Serialize)]
struct Saved {
    events: BTreeMap<String, String>,
}

/// The body of a request that writes.
pub(crate) async fn read(budget: &Budget, body: &mut RequestBody) -> Result<Bytes, Error> {
    let too_large = |_| Error::RequestTooLarge(format!("A test event has at most {EVENT_BYTES} bytes."));
    Ok(budget.read(body, EVENT_BYTES, false, too_large).await?.bytes)
}

impl Api {
    pub(crate) fn machine(&self) -> Reply {
        let shown = Shown {
            version: env!("CARGO_PKG_VERSION"),
            account: &self.config.account,
            console: console::is_built(),
            now: crate::functions::now(),
            functions: self.control.count_functions(),
            machine: (self.own.machine)(),
        };
        json(StatusCode::OK, &shown)
    }

    /// Answers for samples and saved events; `None` where the path is neither.
    pub(crate) async fn own_resource(
        &self,
        parts: &Parts,
        path: &str,
        written: &[u8],
    ) -> Option<Result<Reply, Error>> {
        if let Some(name) = path.strip_prefix(SAMPLES) {
            let read = matches!(parts.method, Method::GET | Method::HEAD);
            return read.then(|| self.sample_event(parts, name));
        }
        let rest = path.strip_prefix(TEST_EVENTS)?;
        let (function, name) = rest.split_once('/').unwrap_or((rest, ""));
        Some(match gate::check_signed(parts) {
            Ok(()) => self.test_events(parts, function, name, written).await,
            Err(error) => Err(error),
        })
    }

    fn sample_event(&self, parts: &Parts, name: &str) -> Result<Reply, Error> {
        let name = match name.strip_prefix('/') {
            None if name.is_empty() => {
                return Ok(json(StatusCode::OK, &Samples { events: SampleEvent::all().collect() }));
            }
            None => return Err(Error::ResourceNotFound(format!("lambkin has no {SAMPLES}{name}"))),
            Some(name) => name,
        };
        let unknown = || Error::ResourceNotFound(format!("There is no sample event '{name}'."));
        let template = SampleEvent::find(name).ok_or_else(unknown)?;
        let decoded = |text: &str| {
            percent_decode_str(&text.replace('+', " ")).decode_utf8().map(std::borrow::Cow::into_owned)
        };
        let query = parts.uri.query().unwrap_or_default();
        let mut given = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let pair = decoded(key).and_then(|key| Ok((key, decoded(value)?)));
            given.push(pair.map_err(|_| Error::InvalidParameterValue("The query is not UTF-8.".into()))?);
        }
        let event = template.event(&self.config.account, &self.config.default_region, &given);
        Ok(json(StatusCode::OK, &event.map_err(Error::InvalidParameterValue)?))
    }

    async fn test_events(
        &self,
        parts: &Parts,
        function: &str,
        name: &str,
        written: &[u8],
    ) -> Result<Reply, Error> {
        let region = gate::region(parts, &self.config.default_region);
        let function = percent_decode_str(function).decode_utf8_lossy();
        let reference = FunctionReference::parse(&function, None, &self.config.account, &region)?;
        let identity = self.control.function(&reference)?.head.record.identity.clone();
        let function = reference.key;
        let key = ResourceKey { account: function.account, region: function.region, name: function.name };
        match parts.method {
            Method::GET | Method::HEAD if name.is_empty() => {
                let saved = self.own.test_events.get(&key).filter(|saved| saved.record.identity == identity);
                let events = saved.map(|saved| saved.record.events.clone()).unwrap_or_default();
                Ok(json(StatusCode::OK, &Saved { events }))
            }
            Method::PUT => {
                let text = String::from_utf8(written.to_vec());
                let text = text.map_err(|_| Error::InvalidParameterValue("A test event is UTF-8.".into()))?;
                self.change_test_events(&key, &identity, |saved| saved.save(name, text.clone())).await
            }
            Method::DELETE => {
                let unknown = || Error::ResourceNotFound(format!("There is no test event '{name}'."));
                let remove =
                    |saved: &mut TestEvents| saved.events.remove(name).map(|_| ()).ok_or_else(unknown);
                self.change_test_events(&key, &identity, remove).await
            }
            _ => Err(Error::UnknownOperation(format!("lambkin has no {} of test events.", parts.method))),
        }
    }

    async fn change_test_events(
        &self,
        key: &ResourceKey,
        identity: &str,
        change: impl Fn(&mut TestEvents) -> Result<(), Error>,
    ) -> Result<Reply, Error> {
        loop {
            let stored = self.own.test_events.get(key);
            let revision = stored.as_ref().map(|stored| stored.revision);
            let former = stored.filter(|stored| stored.record.identity == identity);
            let mut record = former.map_or_else(
                || TestEvents { key: key.clone(), identity: identity.to_owned(), events: BTreeMap::new() },
                |stored| stored.record.clone(),
            );
            change(&mut record)?;
            match self.own.test_events.put(revision, record).await {
                Ok(_) => return Ok(empty(StatusCode::NO_CONTENT)),
                // Somebody else saved meanwhile: look again.
                Err(CatalogError::Conflict) => {}
                Err(CatalogError::Unavailable(reason)) => return Err(Error::Service(reason)),
            }
        }
    }

    /// After a function was deleted. What a crash leaves behind here belongs to no later function: see `identity`.
    pub(crate) async fn forget_test_events(&self, key: &ResourceKey) {
        let Some(stored) = self.own.test_events.get(key) else { return };
        if let Err(error) = self.own.test_events.delete(stored.revision, key.clone()).await {
            tracing::warn!(function = %key, %error, "its test events are still kept");
        }
    }
}
