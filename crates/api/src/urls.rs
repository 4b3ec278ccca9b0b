//! Function URLs: a request to one's host, or by path on a port of theirs, becomes an event, and what the function
//! says becomes the answer. Neither the API's rule for `Origin` nor its `Authorization` is asked for here: who may
//! call is the URL's `AuthType` and the function's policy.
//!
//! Deliberately not here: the operations that make URLs (`url_configs`).

mod answer;
mod cors;
mod event;
mod stream;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use lambkin_control::Located;
use lambkin_model::Error;
use lambkin_model::invocation::{Invocation, Outcome, RequestId, Streamed};
use lambkin_model::keys::Key;
use lambkin_model::metric::{FunctionMetric, Metrics as _, Subject};
use lambkin_model::name::LATEST;
use lambkin_model::policy::{Identity, Principal, url_access};
use lambkin_model::quota;
use lambkin_model::services::Caller;
use lambkin_model::url::{AuthType, ID_CHARACTERS, InvokeMode};

use crate::Api;
use crate::access::Actor;
use crate::body::{RequestBody, work};
use crate::callers::{Door, Serves};
use crate::gate;
use crate::reply::{ERROR_TYPE, JSON, Reply, ReplyBody, empty, json, refusal, reply};
use crate::sts;
use crate::trace::{self, TRACE_ID};
use crate::urls::stream::Begun;

/// Second label of a URL's host.
const SERVICE: &str = "lambda-url";
const FORBIDDEN: &str = "Forbidden. For troubleshooting Function URL authorization issues, see: \
                         https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";

/// Which URL a request is for.
pub(crate) struct Asked<'p> {
    /// As its host says it; by path nothing does.
    region: Option<String>,
    /// In lower case, or nothing where what was given cannot be one.
    id: String,
    /// What the function sees of the path.
    path: &'p str,
}

/// `None`: the request is not for a URL. `verified`: a host that is ours may have any name (see `gate::host`).
pub(crate) fn asked<'p>(parts: &'p Parts, door: &Door, verified: bool) -> Option<Asked<'p>> {
    let path = parts.uri.path();
    if door.serves == Serves::Urls {
        let rest = path.strip_prefix('/').unwrap_or(path);
        let (id, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        return Some(Asked { region: None, id: id_of(id), path });
    }
    let mut labels = gate::name_of(host(parts)).splitn(4, '.');
    let (id, service, region, rest) = (labels.next()?, labels.next()?, labels.next()?, labels.next()?);
    if !service.eq_ignore_ascii_case(SERVICE) || !(verified || rest.eq_ignore_ascii_case("localhost")) {
        return None;
    }
    Some(Asked { region: Some(region.to_ascii_lowercase()), id: id_of(id), path })
}

/// An absolute URI overrules the header, as in `gate`.
fn host(parts: &Parts) -> &str {
    let given = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    parts.uri.authority().map(http::uri::Authority::as_str).or(given).unwrap_or_default()
}

fn id_of(text: &str) -> String {
    if text.len() == ID_CHARACTERS { text.to_ascii_lowercase() } else { String::new() }
}

/// One request to a URL that is there.
struct Visit<'r> {
    parts: &'r Parts,
    path: &'r str,
    door: &'r Door,
    request_id: RequestId,
    located: Located,
}

/// With an answer, for the metrics of it.
#[derive(Clone)]
struct ExecutedVersion(Arc<str>);

/// Who signed.
enum Signer {
    Key(Arc<Key>),
    Function(Arc<Caller>),
    /// Where signatures are not verified.
    Owner,
}

impl Api {
    /// A URL's address: what `FunctionUrl` says.
    pub(crate) fn address_of(&self, region: &str, id: &str) -> String {
        let scheme = if self.config.secure { "https" } else { "http" };
        format!("{scheme}://{}:{}/", domain(region, id), self.config.listen.port())
    }

    /// Answers a request to a URL, whatever comes.
    pub(crate) async fn serve_url(
        &self,
        asked: Asked<'_>,
        parts: &Parts,
        body: &mut RequestBody,
        request_id: RequestId,
        door: &Door,
    ) -> Reply {
        let Some(located) = self.control.locate_url(asked.region.as_deref(), &asked.id) else {
            return denied(None);
        };
        let visit = Visit { parts, path: asked.path, door, request_id, located };
        let (at, began) = (crate::api::now(), Instant::now());
        let mut reply = self.visited(&visit, body).await;
        let version = reply.extensions_mut().remove::<ExecutedVersion>();
        let reference = &visit.located.reference;
        let of = Subject::Function {
            key: &reference.key,
            // As AWS names what an unqualified URL is of.
            qualifier: Some(reference.qualifier.as_deref().unwrap_or(LATEST)),
            version: version.as_ref().map(|version| &*version.0),
        };
        let is = |class: bool| f64::from(u8::from(class));
        let status = reply.status();
        let values = [
            (FunctionMetric::UrlRequestCount, 1.0),
            (FunctionMetric::UrlRequestLatency, began.elapsed().as_secs_f64() * 1000.0),
            (FunctionMetric::Url4xxCount, is(status.is_client_error())),
            (FunctionMetric::Url5xxCount, is(status.is_server_error())),
        ];
        self.metrics.record(at, of, &values);
        reply
    }

    async fn visited(&self, visit: &Visit<'_>, body: &mut RequestBody) -> Reply {
        let Visit { parts, request_id, .. } = *visit;
        let cors = visit.located.url.cors.as_ref();
        if let Some(told) = cors.and_then(|cors| cors::preflight(cors, parts)) {
            return told;
        }
        let mut reply = match self.visit(visit, body).await {
            Ok(reply) => reply,
            Err(Error::MissingAuthentication) => denied(Some(FORBIDDEN)),
            // It went meanwhile.
            Err(Error::FunctionNotFound { .. }) => denied(None),
            Err(error) => {
                tracing::debug!(%request_id, id = visit.located.url.id, %error, "refused");
                refusal(&error)
            }
        };
        if let Some(cors) = cors {
            cors::allow(cors, parts, reply.headers_mut());
        }
        reply
    }

    async fn visit(&self, visit: &Visit<'_>, body: &mut RequestBody) -> Result<Reply, Error> {
        let Visit { parts, door, request_id, .. } = *visit;
        let Located { reference, url } = &visit.located;
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return Ok(empty(StatusCode::METHOD_NOT_ALLOWED));
        }
        let signer = match url.auth_type {
            AuthType::None => None,
            AuthType::AwsIam => Some(self.signer(visit, body)?),
        };
        let allowed = self.may_visit(visit, signer.as_ref());
        let limit = quota::INVOKE_PAYLOAD_BYTES;
        let too_large = |length| Error::PayloadTooLarge { length, invocation_type: "RequestResponse", limit };
        // Read also where nothing is allowed: who did not sign it is not told what its signer may do.
        let read = self.budget.read(body, limit, true, too_large).await?;
        if !allowed {
            return Ok(denied(Some(FORBIDDEN)));
        }
        let mut trace = self.trace(&parts.headers, request_id, reference, &trace::Asked::Url(parts));
        let payload =
            work(read.bytes.len(), || self.event(visit, signer.as_ref(), trace.header(), &read.bytes, limit));
        let payload = payload.map_err(too_large)?;
        drop(read);
        let invocation = Invocation {
            request_id,
            function: reference.clone(),
            payload: payload.into(),
            client_context: None,
            trace_id: Some(trace.header().to_owned()),
            log_tail: false,
        };
        tracing::debug!(%request_id, function = %reference.arn(), peer = %door.peer, "called by its URL");
        let (mut reply, header, version) = match url.invoke_mode.unwrap_or(InvokeMode::Buffered) {
            InvokeMode::Buffered => {
                let said = trace.watch(self.invoke.invoke(invocation).await)?;
                trace.decided(said.sampled);
                let reply = buffered(said.outcome);
                trace.status(reply.status().as_u16());
                (reply, trace.answer(), said.executed_version)
            }
            InvokeMode::ResponseStream => {
                let said = trace.watch(self.invoke.stream(invocation).await)?;
                trace.decided(said.sampled);
                let (header, version) = (trace.answer(), Arc::clone(&said.executed_version));
                (streamed(trace.follow(said)).await?, header, version)
            }
        };
        reply.extensions_mut().insert(ExecutedVersion(version));
        reply.headers_mut().extend(header.map(|header| (TRACE_ID, header)));
        Ok(reply)
    }

    /// Who signed a request, its body as far as it must wait for that.
    fn signer(&self, visit: &Visit<'_>, body: &mut RequestBody) -> Result<Signer, Error> {
        if let (Some(caller), unread) = self.caller(visit.parts, visit.door, Some("lambda"))? {
            body.require(unread);
            return Ok(Signer::Function(caller));
        }
        gate::check_signed(visit.parts)?;
        let Some(ring) = self.verifier.ring() else { return Ok(Signer::Owner) };
        let (key, unread) = self.verifier.check(&ring, visit.parts, Some("lambda"), crate::api::now())?;
        body.require(unread);
        Ok(Signer::Key(key))
    }

    /// Whether the function's policy, and that of who signed, let this request in.
    fn may_visit(&self, visit: &Visit<'_>, signer: Option<&Signer>) -> bool {
        let Located { reference, url } = &visit.located;
        let Ok(head) = self.control.head(&reference.key) else { return false };
        // Its alias may be gone.
        if head.record.version(reference.qualifier.as_deref()).is_none() {
            return false;
        }
        let account = &*reference.key.account;
        let (_, arn) = self.identity(signer).unwrap_or_default();
        let actor = match signer {
            Some(Signer::Key(key)) => Some(Actor::of_key(key, account)),
            Some(Signer::Function(caller)) => self.role_actor(caller),
            Some(Signer::Owner) | None => None,
        };
        let (principal, identity) = match (signer, &actor) {
            (None, _) => (Principal::Anonymous, Identity::None),
            (Some(_), Some(actor)) => (actor.principal(account), actor.identity()),
            (Some(_), None) => (Principal::Aws { account, arn: &arn, role: None }, Identity::Unrestricted),
        };
        let context = crate::access::of_request(&reference.key.region, visit.door.peer, visit.door.secure);
        let context = match (signer, &actor) {
            (None, _) => context,
            (Some(_), Some(actor)) => actor.say(context, account),
            (Some(_), None) => context.with("aws:PrincipalArn", &*arn).with("aws:PrincipalAccount", account),
        };
        let policy = head.record.policies.get(reference.qualifier.as_deref().unwrap_or(LATEST));
        let policy = policy.map(|policy| &policy.document);
        let auth_type = url.auth_type.as_str();
        let asked = url_access(principal, identity, policy, &reference.arn(), account, auth_type, context);
        if let Err(denial) = &asked {
            tracing::debug!(request_id = %visit.request_id, function = %reference.arn(), %denial, "denied by its URL");
        }
        asked.is_ok()
    }

    /// Id and ARN of who signed.
    fn identity(&self, signer: Option<&Signer>) -> Option<(String, String)> {
        let account = &*self.config.account;
        Some(match signer? {
            Signer::Key(key) => sts::identity(account, Some(key)),
            Signer::Function(caller) => self.caller_identity(caller),
            Signer::Owner => sts::identity(account, None),
        })
    }

    /// Its length where that is more than `limit`.
    fn event(
        &self,
        visit: &Visit<'_>,
        signer: Option<&Signer>,
        trace: &str,
        body: &Bytes,
        limit: usize,
    ) -> Result<Vec<u8>, u64> {
        let Visit { parts, path, door, request_id, ref located } = *visit;
        let identity = self.identity(signer);
        let access_key = gate::access_key(parts).unwrap_or_default();
        let account = match signer {
            Some(Signer::Key(key)) => key.account(&self.config.account),
            _ => &*self.config.account,
        };
        let signer =
            identity.as_ref().map(|(id, arn)| event::Signer { account, access_key: &access_key, id, arn });
        let id = &*located.url.id;
        let (domain, request_id) = (domain(&located.reference.key.region, id), request_id.to_string());
        let request = event::Request {
            parts,
            path,
            body,
            id,
            domain: &domain,
            peer: door.peer,
            port: door.port,
            secure: door.secure,
            request_id: &request_id,
            trace,
            now: crate::api::now(),
            signer,
        };
        event::event(&request, limit)
    }
}

/// A URL's host, without its port.
fn domain(region: &str, id: &str) -> String {
    format!("{id}.{SERVICE}.{region}.localhost")
}

fn buffered(outcome: Outcome) -> Reply {
    let answer = match outcome.error {
        Some(_) => None,
        None => work(outcome.payload.len(), || answer::read(&outcome.payload)),
    };
    match answer {
        Some((head, body)) => answered(head, ReplyBody::Bytes(body)),
        None => failed(),
    }
}

async fn streamed(streamed: Streamed) -> Result<Reply, Error> {
    // One that does not stream answers as it does to Invoke: with JSON.
    let usual = if streamed.content_type.is_some() { "application/octet-stream" } else { "application/json" };
    Ok(match stream::begin(streamed).await? {
        Begun::Failed | Begun::Malformed => failed(),
        Begun::Body { prelude, media_type, body } => {
            let body = ReplyBody::Stream(Box::pin(body));
            match prelude.map(|bytes| answer::prelude(&bytes)) {
                Some(Some(head)) => answered(head, body),
                Some(None) => failed(),
                None => {
                    let media_type = media_type.map_or(Cow::Borrowed(usual), Cow::Owned);
                    let media_type = HeaderValue::from_str(&media_type);
                    let mut reply = reply(StatusCode::OK, body);
                    reply.headers_mut().extend(media_type.ok().map(|name| (CONTENT_TYPE, name)));
                    reply
                }
            }
        }
    })
}

fn answered(head: answer::Head, body: ReplyBody) -> Reply {
    let mut reply = reply(head.status, body);
    *reply.headers_mut() = head.headers;
    reply
}

/// The function failed, or what it said is no answer.
fn failed() -> Reply {
    let text = ReplyBody::Bytes(Bytes::from_static(b"Internal Server Error"));
    let mut reply = reply(StatusCode::BAD_GATEWAY, text);
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}

/// As recorded: without a word where there is no such URL (aws-behaviour 58).
fn denied(message: Option<&str>) -> Reply {
    let mut reply = json(StatusCode::FORBIDDEN, &serde_json::json!({ "Message": message }));
    reply.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static("AccessDeniedException"));
    reply
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn hosts_and_paths() {
        const ID: &str = "0123456789abcdef0123456789abcdef";
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let found = |host: &str, path: &str, verified: bool, urls: bool| {
            let serves = if urls { Serves::Urls } else { Serves::All };
            let parts =
                http::Request::builder().uri(path).header("host", host).body(()).unwrap().into_parts().0;
            let door = Door::test(local, serves);
            let asked = asked(&parts, &door, verified)?;
            Some((asked.region.unwrap_or_default(), asked.id == ID, asked.path.to_owned()))
        };
        let host = format!("{ID}.lambda-url.eu-west-1.localhost:4566");
        let here = |region: &str, known: bool, path: &str| Some((region.to_owned(), known, path.to_owned()));
        assert_eq!(found(&host, "/a/b?c", false, false), here("eu-west-1", true, "/a/b"));
        assert_eq!(found(&host.to_uppercase(), "/", false, false), here("eu-west-1", true, "/"));
        assert_eq!(
            found("x.lambda-url.eu-west-1.localhost", "/", false, false),
            here("eu-west-1", false, "/")
        );
        // A name that a name server may lead here is one only where signatures are verified.
        let foreign = format!("{ID}.lambda-url.eu-west-1.evil.example");
        assert_eq!(found(&foreign, "/", false, false), None);
        assert_eq!(found(&foreign, "/", true, false), here("eu-west-1", true, "/"));
        for other in [
            "localhost:4566",
            "127.0.0.1",
            "lambda-url.eu-west-1.localhost",
            "f.lambda.eu-west-1.localhost",
            "",
        ] {
            assert_eq!(found(other, "/", true, false), None, "{other}");
        }
        assert_eq!(found("localhost", &format!("/{ID}/a/b?c"), false, true), here("", true, "/a/b"));
        assert_eq!(found("localhost", &format!("/{ID}"), false, true), here("", true, "/"));
        assert_eq!(found("localhost", "/2015-03-31/functions/", false, true), here("", false, "/functions/"));
        assert_eq!(found("localhost", "/", false, true), here("", false, "/"));
    }
}
