//! One request from its head to its answer: the gate, the route, the operation. Whatever goes
//! wrong on the way, a panic among it, leaves through the error table.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue};
use http::request::Parts;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use lambkin_control::Control;
use lambkin_events::Events;
use lambkin_model::Error;
use lambkin_model::invocation::{Invoke, RequestId};
use lambkin_model::quota;
use lambkin_model::services::Caller;

use crate::body::{Budget, discard, work};
use crate::callers::{Callers, Door};
use crate::code_link::{self, CodeLinks};
use crate::gate;
use crate::input;
use crate::reply::{REQUEST_ID, Reply, ReplyBody, json, refusal, reply};
use crate::route::{Matched, Routes};
use crate::service_model::MODEL;
use crate::wire::{self, Asked, Fault, Which};

/// The operations that are built; every other one of the service model is refused by name.
pub(crate) const BUILT: [&str; 25] = [
    "Invoke",
    "CreateFunction",
    "GetFunction",
    "GetFunctionConfiguration",
    "ListFunctions",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
    "DeleteFunction",
    "PutFunctionConcurrency",
    "GetFunctionConcurrency",
    "DeleteFunctionConcurrency",
    "GetAccountSettings",
    "CreateEventSourceMapping",
    "GetEventSourceMapping",
    "ListEventSourceMappings",
    "UpdateEventSourceMapping",
    "DeleteEventSourceMapping",
    "InvokeAsync",
    "PutFunctionEventInvokeConfig",
    "UpdateFunctionEventInvokeConfig",
    "GetFunctionEventInvokeConfig",
    "ListFunctionEventInvokeConfigs",
    "DeleteFunctionEventInvokeConfig",
    "PutFunctionRecursionConfig",
    "GetFunctionRecursionConfig",
];

const HEALTH: &str = "/_lambkin/health";
const QUEUES: &str = "/_lambkin/queues";
/// What waits to be run.
const EVENTS: &str = "/_lambkin/events";
/// As whom lambkin sees who asks.
const CALLER: &str = "/_lambkin/caller";

/// What the operator decided about the API.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// The account every request belongs to: twelve digits.
    pub account: String,
    /// For requests whose credential names no region.
    pub default_region: String,
    /// The address that is listened on; its IP address is taken for a `Host`.
    pub listen: SocketAddr,
}

impl ApiConfig {
    /// With AWS's first region for requests that name none.
    #[must_use]
    pub fn new(account: impl Into<String>, listen: SocketAddr) -> Self {
        Self { account: account.into(), default_region: "us-east-1".into(), listen }
    }
}

/// The API over the control plane, the data plane and what moves events.
pub struct Api {
    pub(crate) config: ApiConfig,
    pub(crate) control: Arc<Control>,
    pub(crate) invoke: Arc<dyn Invoke>,
    pub(crate) events: Events,
    pub(crate) links: CodeLinks,
    callers: Callers,
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
}

impl Call<'_> {
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
    pub fn new(
        config: ApiConfig,
        control: Arc<Control>,
        invoke: Arc<dyn Invoke>,
        events: Events,
        callers: &Callers,
    ) -> Arc<Self> {
        let api = Arc::new(Self {
            config,
            control,
            invoke,
            events,
            links: CodeLinks::new(),
            callers: callers.clone(),
            budget: Budget::new(),
            routes: Routes::new(&MODEL),
        });
        callers.open(&api);
        api
    }

    /// Answers one request, whatever comes.
    pub(crate) async fn handle(&self, request: Request<Incoming>, door: &Door) -> Reply {
        let (parts, mut body) = request.into_parts();
        let request_id = RequestId(uuid::Uuid::new_v4().into_bytes());
        let answered =
            AssertUnwindSafe(self.answer(&parts, &mut body, request_id, door)).catch_unwind().await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::debug!(%request_id, method = %parts.method, path = parts.uri.path(), %error, "refused");
                refuse(&parts, &error, request_id)
            }
            Err(_) => {
                tracing::error!(%request_id, method = %parts.method, path = parts.uri.path(), "a handler panicked");
                let error = Error::Service("lambkin failed; its log says why.".into());
                refuse(&parts, &error, request_id)
            }
        };
        // A client that waits to be told to continue has sent nothing to read.
        if !parts.headers.contains_key(EXPECT) {
            discard(&mut body).await;
        }
        let id = HeaderValue::try_from(request_id.to_string());
        response.headers_mut().insert(REQUEST_ID, id.expect("hex digits and dashes"));
        response
    }

    async fn answer(
        &self,
        parts: &Parts,
        body: &mut Incoming,
        request_id: RequestId,
        door: &Door,
    ) -> Result<Reply, Error> {
        let host = gate::host(parts, self.config.listen, door.address)?;
        let path = parts.uri.path();
        if path.starts_with("/_lambkin/") {
            return self.own_path(parts, path, door).await;
        }
        gate::check_signed(parts)?;
        let query = parts.uri.query().unwrap_or_default();
        let matched = self.routes.find(&MODEL, &parts.method, path, query);
        let caller = self.callers.caller(parts, door);
        let region = caller.as_ref().map_or(&*self.config.default_region, |caller| &caller.function.region);
        let region = gate::region(parts, region);
        if let Some(caller) = &caller {
            tracing::debug!(caller = %caller.function, %request_id, method = %parts.method, path, "called from inside");
        }
        let caller = caller.as_deref();
        let call = Call { parts, request_id, account: &self.config.account, region, host, caller };
        // No path of Lambda's is another service's.
        let Some(matched) = matched else {
            return match wire::recognise(parts) {
                // Boxed, so that an invocation does not carry the size of what it is not.
                Some(asked) => Box::pin(self.serve_service(&call, asked, body)).await,
                None => Err(Error::UnknownOperation(format!("Unknown operation: {} {path}", parts.method))),
            };
        };
        if &*matched.operation.name == "Invoke" {
            return self.invoke_function(&call, &matched, body).await;
        }
        if &*matched.operation.name == "InvokeAsync" {
            return self.invoke_async(&call, &matched, body).await;
        }
        self.operate(&call, &matched, body).await
    }

    /// Answers for a service that is not Lambda.
    async fn serve_service(
        &self,
        call: &Call<'_>,
        asked: Asked,
        body: &mut Incoming,
    ) -> Result<Reply, Error> {
        let limit = asked.service.request_bytes;
        let too_large = |_| Error::RequestTooLarge(format!("Request must be smaller than {limit} bytes"));
        let read = self.budget.read(body, limit, true, too_large).await?;
        let request = match work(read.bytes.len(), || asked.read(call.parts, &read.bytes)) {
            Ok(request) => request,
            Err(fault) => return Ok(asked.refusal(&fault, call.request_id)),
        };
        let output = match asked.service.which {
            Which::Sns => self.operate_sns(call, &request).await.map_err(|error| Fault::of_sns(&error)),
            Which::Sqs => {
                let output = self.operate_sqs(call, &request).await;
                output.map_err(|error| Fault::of_sqs(&error, asked.protocol))
            }
        };
        Ok(match output {
            Ok(output) => asked.answer(request.operation, output.as_ref(), call.request_id),
            Err(fault) => {
                let operation = &*request.operation.name;
                tracing::debug!(request_id = %call.request_id, operation, fault.code, fault.message, "refused");
                asked.refusal(&fault, call.request_id)
            }
        })
    }

    async fn operate(
        &self,
        call: &Call<'_>,
        matched: &Matched<'_, '_>,
        body: &mut Incoming,
    ) -> Result<Reply, Error> {
        let name = &*matched.operation.name;
        if !BUILT.contains(&name) {
            return Err(Error::UnknownOperation(format!("lambkin does not do {name} yet.")));
        }
        let code = matches!(name, "CreateFunction" | "UpdateFunctionCode");
        let limit = if code { quota::CODE_REQUEST_BYTES } else { quota::REQUEST_BYTES };
        let too_large = |_| {
            Error::RequestTooLarge(format!(
                "Request must be smaller than {limit} bytes for the {name} operation"
            ))
        };
        if matches!(call.parts.method, Method::POST | Method::PUT) {
            check_media_type(call.parts)?;
        }
        let read = self.budget.read(body, limit, code, too_large).await?;
        // A body means nothing to the operations that are read from the path.
        let bytes =
            if matches!(call.parts.method, Method::POST | Method::PUT) { &read.bytes[..] } else { b"" };
        let input = work(bytes.len(), || input::read(matched, call.parts, bytes))?;
        match name {
            "CreateFunction" => self.create_function(call, input).await,
            "UpdateFunctionCode" => self.update_function_code(call, input).await,
            "UpdateFunctionConfiguration" => self.update_function_configuration(call, input).await,
            "DeleteFunction" => self.delete_function(call, input).await,
            "GetFunction" => self.get_function(call, &input),
            "GetFunctionConfiguration" => self.get_function_configuration(call, &input),
            "ListFunctions" => self.list_functions(call, &input),
            "PutFunctionConcurrency" => self.put_function_concurrency(call, input).await,
            "GetFunctionConcurrency" => self.get_function_concurrency(call, &input),
            "DeleteFunctionConcurrency" => self.delete_function_concurrency(call, input).await,
            "GetAccountSettings" => Ok(self.get_account_settings(call)),
            "CreateEventSourceMapping" => self.create_event_source_mapping(call, input).await,
            "GetEventSourceMapping" => self.get_event_source_mapping(call, &input),
            "ListEventSourceMappings" => self.list_event_source_mappings(call, &input),
            "UpdateEventSourceMapping" => self.update_event_source_mapping(call, input).await,
            "DeleteEventSourceMapping" => self.delete_event_source_mapping(call, input).await,
            "PutFunctionEventInvokeConfig" => self.put_function_event_invoke_config(call, input).await,
            "UpdateFunctionEventInvokeConfig" => self.update_function_event_invoke_config(call, input).await,
            "GetFunctionEventInvokeConfig" => self.get_function_event_invoke_config(call, &input),
            "ListFunctionEventInvokeConfigs" => self.list_function_event_invoke_configs(call, &input),
            "DeleteFunctionEventInvokeConfig" => self.delete_function_event_invoke_config(call, input).await,
            "PutFunctionRecursionConfig" => self.put_function_recursion_config(call, input).await,
            "GetFunctionRecursionConfig" => self.get_function_recursion_config(call, &input),
            other => Err(Error::UnknownOperation(format!("lambkin does not do {other} yet."))),
        }
    }

    /// lambkin's own paths, which only read and need no signature.
    async fn own_path(&self, parts: &Parts, path: &str, door: &Door) -> Result<Reply, Error> {
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            let mut response = reply(StatusCode::METHOD_NOT_ALLOWED, ReplyBody::Bytes(bytes::Bytes::new()));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(response);
        }
        if path == HEALTH {
            return Ok(json(StatusCode::OK, &serde_json::json!({ "status": "ok" })));
        }
        if path == QUEUES {
            return self.queues_page().await;
        }
        if path == EVENTS {
            return self.events_page().await;
        }
        if path == CALLER {
            let caller = self.callers.caller(parts, door);
            let said = caller.map_or(serde_json::json!({}), |caller| {
                let function = caller.function.qualified_arn(&caller.version);
                serde_json::json!({ "function": function, "role": caller.role })
            });
            return Ok(json(StatusCode::OK, &said));
        }
        match path.strip_prefix(code_link::PATH) {
            Some(token) => self.download(token).await,
            None => Err(Error::UnknownOperation(format!("lambkin has no {path}"))),
        }
    }

    async fn download(&self, token: &str) -> Result<Reply, Error> {
        let Some(sha256) = self.links.read(token, crate::functions::now()) else {
            return Err(Error::AccessDenied("The link is not valid or has expired.".into()));
        };
        let gone = || Error::ResourceNotFound("The deployment package is no longer kept.".into());
        let path = self.control.code_zip(sha256).ok_or_else(gone)?;
        let file = tokio::fs::File::open(path).await.map_err(|_| gone())?;
        let length = file.metadata().await.map_err(|error| Error::Service(error.to_string()))?.len();
        let mut response = reply(StatusCode::OK, ReplyBody::File { file, left: length });
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        Ok(response)
    }
}

/// The refusal in the words of the service that was asked.
fn refuse(parts: &Parts, error: &Error, request_id: RequestId) -> Reply {
    match wire::recognise(parts) {
        Some(asked) => asked.refusal(&Fault::of_the_door(error), request_id),
        None => refusal(error),
    }
}

/// JSON by any of its names, or no name at all.
fn check_media_type(parts: &Parts) -> Result<(), Error> {
    let Some(given) = parts.headers.get(CONTENT_TYPE) else { return Ok(()) };
    let given = given.to_str().unwrap_or_default();
    let name = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match name.as_str() {
        ""
        | "application/json"
        | "application/x-amz-json-1.0"
        | "application/x-amz-json-1.1"
        | "binary/octet-stream" => Ok(()),
        _ => Err(Error::UnsupportedMediaType(format!("Unsupported content type: {given}"))),
    }
}
