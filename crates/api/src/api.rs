//! One request from its head to its answer: the gate, the route, the operation. Whatever goes
//! wrong on the way, a panic among it, leaves through the error table.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;
use http::header::{EXPECT, HeaderValue};
use http::request::Parts;
use http::{Method, Request};
use hyper::body::Incoming;
use lambkin_control::Control;
use lambkin_events::Events;
use lambkin_model::Error;
use lambkin_model::figure::Figures;
use lambkin_model::invocation::{Invoke, RequestId};
use lambkin_model::kept::Provisioning;
use lambkin_model::keys::{Key, Keys, NoKeys};
use lambkin_model::quota;
use lambkin_model::services::Caller;
use lambkin_model::time::Timestamp;
use lambkin_model::trace::Traces;
use lambkin_observe::logs::Logs;
use lambkin_observe::metrics::MetricStore;
use lambkin_observe::metrics::cloudwatch::CloudWatch;

use crate::access::{Actor, operation_input};
use crate::body::{Budget, RequestBody};
use crate::callers::{Callers, Door, Serves};
use crate::cloudwatch::CloudWatchDesk;
use crate::code_link::CodeLinks;
use crate::console;
use crate::gate;
use crate::logs::LogsDesk;
use crate::own::{self, Own};
use crate::own_path::{is_open, is_own};
use crate::reply::{REQUEST_ID, Reply, refusal};
use crate::route::Routes;
use crate::service_model::MODEL;
use crate::signature::Verifier;
use crate::urls;
use crate::wire::{self, Fault};

/// What the operator decided about the API.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// The account every request belongs to: twelve digits.
    pub account: String,
    /// For requests whose credential names no region.
    pub default_region: String,
    /// The address that is listened on; its IP address is taken for a `Host`.
    pub listen: SocketAddr,
    /// It is by TLS.
    pub secure: bool,
    /// The keys that callers sign with; without any, signatures are not verified.
    pub keys: Arc<dyn Keys>,
}

impl ApiConfig {
    /// With AWS's first region for requests that name none.
    #[must_use]
    pub fn new(account: impl Into<String>, listen: SocketAddr) -> Self {
        Self {
            account: account.into(),
            default_region: "us-east-1".into(),
            listen,
            secure: false,
            keys: Arc::new(NoKeys),
        }
    }
}

/// What the API is the edge of.
pub struct Rooms {
    /// The control plane.
    pub control: Arc<Control>,
    /// The data plane.
    pub invoke: Arc<dyn Invoke>,
    /// How far that is with what is provisioned.
    pub provisioning: Arc<dyn Provisioning>,
    /// What moves events.
    pub events: Events,
    /// What keeps logs.
    pub logs: Logs,
    /// What keeps metrics.
    pub metrics: Arc<MetricStore>,
    /// Who follows traces.
    pub traces: Arc<dyn Traces>,
    /// What else has figures for `/metrics`.
    pub figures: Vec<Arc<dyn Figures>>,
}

/// The API over the control plane, the data plane, what moves events and what keeps logs.
pub struct Api {
    pub(crate) config: ApiConfig,
    pub(crate) control: Arc<Control>,
    pub(crate) invoke: Arc<dyn Invoke>,
    pub(crate) provisioning: Arc<dyn Provisioning>,
    pub(crate) events: Events,
    pub(crate) logs: LogsDesk,
    pub(crate) cloudwatch: CloudWatchDesk,
    pub(crate) metrics: Arc<MetricStore>,
    pub(crate) traces: Arc<dyn Traces>,
    pub(crate) figures: Vec<Arc<dyn Figures>>,
    pub(crate) links: CodeLinks,
    pub(crate) own: Own,
    pub(crate) callers: Callers,
    pub(crate) verifier: Verifier,
    pub(crate) budget: Budget,
    routes: Routes,
}

/// What every operation may want to know of its request.
pub(crate) struct Call<'r> {
    pub(crate) parts: &'r Parts,
    pub(crate) request_id: RequestId,
    pub(crate) account: &'r str,
    pub(crate) region: Cow<'r, str>,
    /// By which the client reached lambkin, with its port.
    pub(crate) host: &'r str,
    /// The environment that calls, where one does.
    pub(crate) caller: Option<&'r Caller>,
    /// The key that signed, where signatures are verified.
    pub(crate) key: Option<&'r Arc<Key>>,
    /// Whichever of both calls, with its policies: looked up once for all that is asked about this call.
    pub(crate) actor: Option<Actor<'r>>,
    /// By which connection.
    pub(crate) door: &'r Door,
}

impl Call<'_> {
    /// Where the client reached lambkin: `http://localhost:4566`.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", if self.door.secure { "https" } else { "http" }, self.host)
    }

    /// Who sends, as SQS's `SenderId` says it: a function's role and name, or else the account.
    pub(crate) fn sender(&self) -> String {
        let Some(caller) = self.caller else { return self.account.to_owned() };
        let role = caller.role.rsplit('/').next().unwrap_or_default();
        format!("{role}:{}", caller.function.name)
    }
}

impl Api {
    /// Reads the service model, which takes a millisecond or two. `callers` reach it from now on.
    #[must_use]
    pub fn new(config: ApiConfig, rooms: Rooms, own: Own, callers: &Callers) -> Arc<Self> {
        let Rooms { control, invoke, provisioning, events, logs, metrics, traces, figures } = rooms;
        let verifier = Verifier::new(Arc::clone(&config.keys));
        let api = Arc::new(Self {
            verifier,
            config,
            control,
            invoke,
            provisioning,
            events,
            logs: LogsDesk::new(logs),
            cloudwatch: CloudWatchDesk::new(CloudWatch::new(Arc::clone(&metrics))),
            metrics,
            traces,
            figures,
            links: CodeLinks::new(),
            own,
            callers: callers.clone(),
            budget: Budget::new(),
            routes: Routes::new(&MODEL),
        });
        callers.open(&api);
        api
    }

    /// Answers one request, whatever comes.
    pub(crate) async fn handle(&self, request: Request<Incoming>, door: &Door) -> Reply {
        let (parts, body) = request.into_parts();
        let mut body = RequestBody::new(body);
        let request_id = RequestId(uuid::Uuid::new_v4().into_bytes());
        let answered =
            AssertUnwindSafe(self.answer(&parts, &mut body, request_id, door)).catch_unwind().await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::debug!(%request_id, method = %parts.method, path = parts.uri.path(), %error, "refused");
                self.refuse(&parts, &error, request_id)
            }
            Err(_) => {
                tracing::error!(%request_id, method = %parts.method, path = parts.uri.path(), "a handler panicked");
                let error = Error::Service("lambkin failed; its log says why.".into());
                self.refuse(&parts, &error, request_id)
            }
        };
        // A client that waits to be told to continue has sent nothing to read.
        if !parts.headers.contains_key(EXPECT) {
            body.discard().await;
        }
        let id = HeaderValue::try_from(request_id.to_string());
        response.headers_mut().insert(REQUEST_ID, id.expect("hex digits and dashes"));
        response
    }

    async fn answer(
        &self,
        parts: &Parts,
        body: &mut RequestBody,
        request_id: RequestId,
        door: &Door,
    ) -> Result<Reply, Error> {
        if door.serves == Serves::Metrics {
            return self.metrics_door(parts, door).await;
        }
        let ring = self.verifier.ring();
        // Of hosts, only those that are nobody else's name; of a port's names, those that the gate takes.
        if let Some(asked) = urls::asked(parts, door, ring.is_some()) {
            if door.serves == Serves::Urls {
                gate::host(parts, self.config.listen, door, ring.is_some())?;
            }
            return Ok(Box::pin(self.serve_url(asked, parts, body, request_id, door)).await);
        }
        let host = gate::host(parts, self.config.listen, door, ring.is_some())?;
        let path = parts.uri.path();
        if let Some(page) = console::answer(parts) {
            return Ok(page);
        }
        if is_own(path) {
            let reads = matches!(parts.method, Method::GET | Method::HEAD);
            let caller = door.caller.as_deref().filter(|_| !is_open(path));
            if let Some(actor) = caller.and_then(|caller| self.role_actor(caller)) {
                self.authorize_page(&actor, parts, door, reads)?;
            }
            if let Some(ring) = ring.filter(|_| !is_open(path)) {
                let (key, unread) = self.verifier.check(&ring, parts, None, now())?;
                if reads {
                    unread.check(b"")?;
                } else {
                    body.require(unread);
                }
                let actor = Actor::of_key(&key, &self.config.account);
                self.authorize_page(&actor, parts, door, reads)?;
            }
            // All of them: what was not read was not verified.
            let written = if reads { bytes::Bytes::new() } else { own::read(&self.budget, body).await? };
            return self.own_path(parts, path, door, &written).await;
        }
        gate::check_signed(parts)?;
        let query = parts.uri.query().unwrap_or_default();
        let matched = self.routes.find(&MODEL, &parts.method, path, query);
        let asked = if matched.is_none() { wire::recognise(parts) } else { None };
        let absent = if matched.is_none() && asked.is_none() { wire::absent(parts) } else { None };
        let service = match (&asked, &absent) {
            (Some(asked), _) => asked.service.name,
            (None, Some(absent)) => &absent.name,
            (None, None) => "lambda",
        };
        let (caller, unread) = self.caller(parts, door, Some(service))?;
        body.require(unread);
        let key = match ring.filter(|_| caller.is_none()) {
            Some(ring) => {
                let (key, unread) = self.verifier.check(&ring, parts, Some(service), now())?;
                body.require(unread);
                Some(key)
            }
            None => None,
        };
        let region = caller.as_ref().map_or(&*self.config.default_region, |caller| &caller.function.region);
        let region = gate::region(parts, region);
        if let Some(caller) = &caller {
            tracing::debug!(caller = %caller.function, %request_id, method = %parts.method, path, "called from inside");
        }
        let caller = caller.as_deref();
        let account = &*self.config.account;
        let call = Call {
            parts,
            request_id,
            account,
            region,
            host,
            caller,
            key: key.as_ref(),
            actor: self.actor(caller, key.as_deref()),
            door,
        };
        // No path of Lambda's is another service's.
        let Some(matched) = matched else {
            return match asked {
                // Boxed, so that an invocation does not carry the size of what it is not.
                Some(asked) => Box::pin(self.serve_service(&call, asked, body)).await,
                None => Err(match absent {
                    Some(absent) => absent.missing(),
                    None => Error::UnknownOperation(format!("Unknown operation: {} {path}", parts.method)),
                }),
            };
        };
        // What is on a function says so in its path.
        let named = matched.label("FunctionName").is_some();
        if named {
            let input = operation_input(&matched, parts);
            if let Err(denied) = self.authorize(&call, "lambda", &matched.operation.name, &input) {
                // Who did not sign it is not told what its signer may do.
                let limit = quota::CODE_REQUEST_BYTES;
                let too_large = |_| Error::AccessDenied("The request is too large.".into());
                self.budget.read(body, limit, false, too_large).await?;
                return Err(denied);
            }
        }
        if &*matched.operation.name == "Invoke" {
            return self.invoke_function(&call, &matched, body).await;
        }
        if &*matched.operation.name == "InvokeWithResponseStream" {
            return self.invoke_with_response_stream(&call, &matched, body).await;
        }
        if &*matched.operation.name == "InvokeAsync" {
            return self.invoke_async(&call, &matched, body).await;
        }
        self.operate(&call, &matched, named, body).await
    }
}

impl Api {
    /// The refusal in the words of the service that was asked.
    fn refuse(&self, parts: &Parts, error: &Error, request_id: RequestId) -> Reply {
        if let Some(asked) = wire::recognise(parts) {
            return asked.refusal(&Fault::of_the_door(error), request_id);
        }
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let is_here = || is_own(path) || self.routes.find(&MODEL, &parts.method, path, query).is_some();
        match wire::absent(parts).filter(|_| !is_here()) {
            Some(absent) => absent.refusal(error, request_id),
            None => refusal(error),
        }
    }
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
