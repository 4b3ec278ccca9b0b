//! The services that are not REST: which one a request is for, in which protocol (AWS JSON 1.0 or 1.1, AWS Query, Smithy RPC
//! v2 CBOR), and its input and answer as documents of the service model.
//!
//! Deliberately not here: what operations do, and each service's table of errors.

mod absent;
mod cbor;
mod coerce;
mod fault;
mod form;
mod service;
mod xml;

use std::borrow::Cow;
use std::io::Read as _;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use lambkin_model::Error;
use lambkin_model::invocation::RequestId;

use crate::gate;
use crate::node::Node;
use crate::reply::{Reply, ReplyBody, reply};
use crate::route::query_value;
use crate::service_model::Operation;

pub(crate) use self::absent::absent;
pub(crate) use self::fault::Fault;
use self::fault::{malformed, unknown};
use self::service::SERVICES;
pub(crate) use self::service::{SQS_SERVICE, Service, Which};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// The error's code in the Query protocol, and who is to blame, for clients that knew it before JSON.
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");
const JSON_1_0: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const JSON_1_1: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");
const CBOR: HeaderValue = HeaderValue::from_static("application/cbor");
/// Says that a request, or an answer, is of Smithy's protocol.
const SMITHY: HeaderName = HeaderName::from_static("smithy-protocol");
const RPC_V2_CBOR: HeaderValue = HeaderValue::from_static("rpc-v2-cbor");
const XML: HeaderValue = HeaderValue::from_static("text/xml");
const FORM: &str = "application/x-www-form-urlencoded";

/// How a request is written, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Cbor,
    Json,
    Query,
}

/// Which service a request is for, in which protocol.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) service: &'static Service,
    pub(crate) protocol: Protocol,
}

/// What an operation is given, whatever the protocol.
pub(crate) struct Request<'b> {
    pub(crate) operation: &'static Operation,
    /// Checked for types and known members only.
    pub(crate) input: Node<'b>,
}

/// The service a request is for; `None`: none of these.
pub(crate) fn recognise(parts: &Parts) -> Option<Asked> {
    if parts.headers.get(SMITHY).is_some_and(|protocol| *protocol == RPC_V2_CBOR) {
        let (target, _) = smithy_path(parts.uri.path())?;
        // Whoever speaks it is found by what AWS JSON's target begins with.
        let speaks = |each: &&Service| {
            each.which == Which::CloudWatch
                && each.target.is_some_and(|own| own.strip_suffix('.') == Some(target))
        };
        let service = SERVICES.into_iter().find(speaks)?;
        return Some(Asked { service, protocol: Protocol::Cbor });
    }
    if let Some(target) = parts.headers.get(TARGET) {
        let target = target.to_str().ok()?;
        let service =
            SERVICES.into_iter().find(|each| each.target.is_some_and(|own| target.starts_with(own)))?;
        return Some(Asked { service, protocol: Protocol::Json });
    }
    let query = parts.uri.query().unwrap_or_default();
    let action = match parts.method {
        Method::POST => {
            media_type(parts).eq_ignore_ascii_case(FORM) || query_value(query, "Action").is_some()
        }
        // A page can make a browser get any address, signature in the query and all; it cannot add this header.
        Method::GET => parts.headers.contains_key(AUTHORIZATION) && query_value(query, "Action").is_some(),
        _ => false,
    };
    if !action {
        return None;
    }
    let scope = gate::service(parts);
    let version = query_value(query, "Version");
    let speaking = || SERVICES.into_iter().filter_map(|each| Some((each, each.query.as_ref()?)));
    let by_name = speaking().find(|(each, _)| scope.as_deref() == Some(each.name));
    let by_version = || speaking().find(|(_, query)| version.as_deref() == Some(query.version));
    let service = by_name.or_else(by_version).map(|(service, _)| service);
    // Queue URLs are no other service's.
    let service = service.or_else(|| queue_path(parts.uri.path()).map(|_| &SQS_SERVICE))?;
    Some(Asked { service, protocol: Protocol::Query })
}

fn media_type(parts: &Parts) -> &str {
    let given = parts.headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim()
}

/// Service and operation of a path of Smithy's, `/service/S/operation/O`.
fn smithy_path(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/service/")?.split_once("/operation/")
}

/// Account and name of a queue URL's path, `/000000000000/name`.
pub(crate) fn queue_path(path: &str) -> Option<(&str, &str)> {
    let (account, name) = path.strip_prefix('/')?.split_once('/')?;
    let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !name.is_empty() && !name.contains('/')).then_some((account, name))
}

impl Asked {
    /// Reads the request's operation and input.
    pub(crate) fn read<'b>(&self, parts: &'b Parts, body: &'b [u8]) -> Result<Request<'b>, Fault> {
        match self.protocol {
            Protocol::Cbor => self.read_cbor(parts, body),
            Protocol::Json => self.read_json(parts, body),
            Protocol::Query => self.read_query(parts, body),
        }
    }

    /// A body as it was before its client packed it, where it did: PutMetricData comes so.
    pub(crate) fn unpack<'b>(&self, parts: &Parts, body: &'b [u8]) -> Result<Cow<'b, [u8]>, Fault> {
        let encoding =
            parts.headers.get(CONTENT_ENCODING).and_then(|given| given.to_str().ok()).unwrap_or_default();
        if !encoding.eq_ignore_ascii_case("gzip") {
            return Ok(Cow::Borrowed(body));
        }
        let limit = self.service.request_bytes;
        let mut unpacked = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(body).take(limit as u64 + 1);
        reader.read_to_end(&mut unpacked).map_err(|error| malformed(error.to_string()))?;
        if unpacked.len() > limit {
            let error = Error::RequestTooLarge(format!("Request must be smaller than {limit} bytes"));
            return Err(Fault::of_the_door(&error));
        }
        Ok(Cow::Owned(unpacked))
    }

    fn read_cbor<'b>(&self, parts: &Parts, body: &'b [u8]) -> Result<Request<'b>, Fault> {
        let name = smithy_path(parts.uri.path()).map_or("", |(_, operation)| operation);
        let operation = self.service.model.operation(name).ok_or_else(|| unknown(name))?;
        let node =
            if body.is_empty() { Node::Map(Vec::new()) } else { cbor::read(body).map_err(malformed)? };
        let input = match operation.input {
            Some(shape) => coerce::coerce(self.service.model, shape, node).map_err(malformed)?,
            None => Node::Map(Vec::new()),
        };
        Ok(Request { operation, input })
    }

    fn read_json<'b>(&self, parts: &Parts, body: &'b [u8]) -> Result<Request<'b>, Fault> {
        let target = parts.headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
        let name = target.split_once('.').map_or(target, |(_, name)| name);
        let operation = self.service.model.operation(name).ok_or_else(|| unknown(name))?;
        let body = if body.is_empty() { b"{}" } else { body };
        let node = Node::read(body).map_err(|error| malformed(error.to_string()))?;
        let input = match operation.input {
            Some(shape) => coerce::coerce(self.service.model, shape, node).map_err(malformed)?,
            None => Node::Map(Vec::new()),
        };
        Ok(Request { operation, input })
    }

    fn read_query<'b>(&self, parts: &'b Parts, body: &'b [u8]) -> Result<Request<'b>, Fault> {
        let body = std::str::from_utf8(body).map_err(|error| malformed(error.to_string()))?;
        let form = form::Form::read(&[parts.uri.query().unwrap_or_default(), body]).map_err(malformed)?;
        let name = form.text("Action").ok_or_else(|| Fault {
            status: StatusCode::BAD_REQUEST,
            shape: "com.amazon.coral.service#MissingActionException",
            code: "MissingAction",
            sender: true,
            message: "The request must contain the parameter Action.".into(),
            detail: None,
        })?;
        let operation = self.service.model.operation(name).ok_or_else(|| Fault {
            status: StatusCode::BAD_REQUEST,
            shape: "com.amazon.coral.service#InvalidActionException",
            code: "InvalidAction",
            sender: true,
            message: format!("The action {name} is not valid for this endpoint."),
            detail: None,
        })?;
        let mut input = match operation.input {
            Some(shape) => form.structure(self.service.model, shape).map_err(malformed)?,
            None => Node::Map(Vec::new()),
        };
        // The address it was sent to says which queue, where the parameters do not.
        let addressed = queue_path(parts.uri.path()).is_some();
        if self.service.which == Which::Sqs
            && let Node::Map(members) = &mut input
            && !members.iter().any(|(name, _)| name == "QueueUrl")
        {
            let url = if addressed { Some(parts.uri.path()) } else { form.text("QueueName") };
            let takes =
                self.service.model.members(operation).iter().any(|member| &*member.name == "QueueUrl");
            if let Some(url) = url.filter(|_| takes) {
                members.push(("QueueUrl".into(), Node::Text(Cow::Owned(url.to_owned()))));
            }
        }
        Ok(Request { operation, input })
    }

    /// The answer of an operation.
    pub(crate) fn answer(
        &self,
        operation: &Operation,
        output: Option<&Node<'_>>,
        request_id: RequestId,
    ) -> Reply {
        match self.protocol {
            Protocol::Cbor => {
                let Some(shape) = operation.output else {
                    let mut response = reply(StatusCode::OK, ReplyBody::Bytes(Bytes::new()));
                    response.headers_mut().insert(SMITHY, RPC_V2_CBOR);
                    return response;
                };
                let empty = Node::Map(Vec::new());
                smithy(StatusCode::OK, cbor::write(self.service.model, shape, output.unwrap_or(&empty)))
            }
            Protocol::Json => {
                let bytes = output.map_or_else(
                    || if operation.output.is_some() { b"{}".to_vec() } else { Vec::new() },
                    |output| serde_json::to_vec(output).expect("names are strings"),
                );
                document(StatusCode::OK, self.json(), bytes)
            }
            Protocol::Query => {
                let bytes =
                    xml::answer(self.service.model, self.service.namespace(), operation, output, request_id);
                document(StatusCode::OK, XML, bytes)
            }
        }
    }

    /// Which JSON it is: services that also speak Query were given the older one.
    fn json(&self) -> HeaderValue {
        if self.service.query.is_some() { JSON_1_0 } else { JSON_1_1 }
    }

    /// What policies refuse, by this service's code.
    pub(crate) fn denied(&self, error: &Error) -> Fault {
        let fault = Fault::of_the_door(error);
        match self.service.which {
            Which::Sns => Fault { code: "AuthorizationError", ..fault },
            Which::CloudWatch | Which::Iam | Which::Logs | Which::Sqs | Which::Sts => fault,
        }
    }

    /// The answer of one that failed.
    pub(crate) fn refusal(&self, fault: &Fault, request_id: RequestId) -> Reply {
        match self.protocol {
            Protocol::Cbor => {
                let mut response = smithy(fault.status, cbor::refusal(fault));
                self.blame(fault, &mut response);
                response
            }
            Protocol::Json => {
                let mut body = serde_json::json!({ "__type": fault.shape, "message": fault.message });
                if let Some((name, detail)) = fault.detail.as_deref() {
                    body[*name] = detail.clone();
                }
                let bytes = serde_json::to_vec(&body).expect("names are strings");
                let mut response = document(fault.status, self.json(), bytes);
                self.blame(fault, &mut response);
                response
            }
            Protocol::Query => document(fault.status, XML, xml::refusal(self.service, fault, request_id)),
        }
    }

    /// For clients that knew the service when it spoke Query.
    fn blame(&self, fault: &Fault, response: &mut Reply) {
        if self.service.query.is_some() {
            let blame = if fault.sender { "Sender" } else { "Receiver" };
            let error = HeaderValue::try_from(format!("{};{blame}", fault.code));
            response.headers_mut().insert(QUERY_ERROR, error.expect("letters and dots"));
        }
    }
}

fn smithy(status: StatusCode, bytes: Vec<u8>) -> Reply {
    let mut response = document(status, CBOR, bytes);
    response.headers_mut().insert(SMITHY, RPC_V2_CBOR);
    response
}

fn document(status: StatusCode, media_type: HeaderValue, bytes: Vec<u8>) -> Reply {
    let mut response = reply(status, ReplyBody::Bytes(Bytes::from(bytes)));
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
