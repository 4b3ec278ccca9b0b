//! The services that are not REST: which one a request is for, in which protocol (AWS JSON 1.0, AWS Query), and
//! its input and answer as documents of the service model.
//!
//! Deliberately not here: what operations do, and each service's table of errors.

mod coerce;
mod form;
mod xml;

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use lambkin_model::Error;
use lambkin_model::invocation::RequestId;

use crate::error_table::ErrorAnswer;
use crate::gate;
use crate::node::Node;
use crate::reply::{Reply, ReplyBody, reply};
use crate::route::query_value;
use crate::service_model::{Operation, SNS, SQS, ServiceModel};

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// The error's code in the Query protocol, and who is to blame, for clients that knew it before JSON.
const QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");
const JSON_1_0: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const XML: HeaderValue = HeaderValue::from_static("text/xml");
const FORM: &str = "application/x-www-form-urlencoded";

/// Which service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Sns,
    Sqs,
}

/// A service that lambkin answers for beside Lambda.
pub(crate) struct Service {
    pub(crate) which: Which,
    /// As the credential's scope names it.
    pub(crate) name: &'static str,
    pub(crate) model: &'static LazyLock<ServiceModel>,
    /// Before an operation's name in `X-Amz-Target`; `None`: the service speaks no JSON.
    target: Option<&'static str>,
    /// `Version` of its Query protocol.
    version: &'static str,
    /// Of its XML documents.
    namespace: &'static str,
    /// Largest request body, in bytes.
    pub(crate) request_bytes: usize,
}

pub(crate) static SQS_SERVICE: Service = Service {
    which: Which::Sqs,
    name: "sqs",
    model: &SQS,
    target: Some("AmazonSQS."),
    version: "2012-11-05",
    namespace: "http://queue.amazonaws.com/doc/2012-11-05/",
    request_bytes: lambkin_model::sqs::REQUEST_BYTES,
};

pub(crate) static SNS_SERVICE: Service = Service {
    which: Which::Sns,
    name: "sns",
    model: &SNS,
    target: None,
    version: "2010-03-31",
    namespace: "http://sns.amazonaws.com/doc/2010-03-31/",
    request_bytes: lambkin_model::sns::REQUEST_BYTES,
};

static SERVICES: [&Service; 2] = [&SQS_SERVICE, &SNS_SERVICE];

/// How a request is written, and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
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

/// An error as it goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// JSON's `__type`: `com.amazonaws.sqs#QueueDoesNotExist`.
    pub(crate) shape: &'static str,
    /// The Query protocol's code.
    pub(crate) code: &'static str,
    /// Whether the sender is to blame.
    pub(crate) sender: bool,
    pub(crate) message: String,
}

/// The service a request is for; `None`: none of these.
pub(crate) fn recognise(parts: &Parts) -> Option<Asked> {
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
    let by_name = SERVICES.into_iter().find(|each| scope.as_deref() == Some(each.name));
    let service =
        by_name.or_else(|| SERVICES.into_iter().find(|each| version.as_deref() == Some(each.version)));
    // Queue URLs are no other service's.
    let service = service.or_else(|| queue_path(parts.uri.path()).map(|_| &SQS_SERVICE))?;
    Some(Asked { service, protocol: Protocol::Query })
}

fn media_type(parts: &Parts) -> &str {
    let given = parts.headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim()
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
            Protocol::Json => self.read_json(parts, body),
            Protocol::Query => self.read_query(parts, body),
        }
    }

    fn read_json<'b>(&self, parts: &Parts, body: &'b [u8]) -> Result<Request<'b>, Fault> {
        let target = parts.headers.get(TARGET).and_then(|target| target.to_str().ok()).unwrap_or_default();
        let name = target.split_once('.').map_or(target, |(_, name)| name);
        let operation = self.service.model.operation(name).ok_or_else(|| Fault {
            status: StatusCode::NOT_FOUND,
            shape: "com.amazon.coral.service#UnknownOperationException",
            code: "InvalidAction",
            sender: true,
            message: format!("The action {name} is not valid for this endpoint."),
        })?;
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
        })?;
        let operation = self.service.model.operation(name).ok_or_else(|| Fault {
            status: StatusCode::BAD_REQUEST,
            shape: "com.amazon.coral.service#InvalidActionException",
            code: "InvalidAction",
            sender: true,
            message: format!("The action {name} is not valid for this endpoint."),
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
            Protocol::Json => {
                let bytes = output.map_or_else(
                    || if operation.output.is_some() { b"{}".to_vec() } else { Vec::new() },
                    |output| serde_json::to_vec(output).expect("names are strings"),
                );
                document(StatusCode::OK, JSON_1_0, bytes)
            }
            Protocol::Query => {
                let bytes =
                    xml::answer(self.service.model, self.service.namespace, operation, output, request_id);
                document(StatusCode::OK, XML, bytes)
            }
        }
    }

    /// The answer of one that failed.
    pub(crate) fn refusal(&self, fault: &Fault, request_id: RequestId) -> Reply {
        match self.protocol {
            Protocol::Json => {
                let body = serde_json::json!({ "__type": fault.shape, "message": fault.message });
                let bytes = serde_json::to_vec(&body).expect("two strings");
                let mut response = document(fault.status, JSON_1_0, bytes);
                let blame = if fault.sender { "Sender" } else { "Receiver" };
                let error = HeaderValue::try_from(format!("{};{blame}", fault.code));
                response.headers_mut().insert(QUERY_ERROR, error.expect("letters and dots"));
                response
            }
            Protocol::Query => document(fault.status, XML, xml::refusal(self.service, fault, request_id)),
        }
    }
}

impl Fault {
    /// What the door before the services refused.
    pub(crate) fn of_the_door(error: &Error) -> Self {
        let answer = ErrorAnswer::of(error);
        let (shape, code) = match error {
            Error::AccessDenied(_) => ("com.amazon.coral.service#AccessDeniedException", "AccessDenied"),
            Error::MissingAuthentication => {
                ("com.amazon.coral.service#MissingAuthenticationTokenException", "MissingAuthenticationToken")
            }
            Error::RequestTooLarge(_) => {
                ("com.amazon.coral.service#RequestEntityTooLargeException", "RequestEntityTooLarge")
            }
            Error::InvalidRequestContent(_) | Error::Serialization(_) => {
                ("com.amazon.coral.service#SerializationException", "MalformedInput")
            }
            Error::UnsupportedMediaType(_) => {
                ("com.amazon.coral.service#UnsupportedMediaTypeException", "UnsupportedMediaType")
            }
            Error::UnknownOperation(_) => {
                ("com.amazon.coral.service#UnknownOperationException", "InvalidAction")
            }
            Error::Service(_) => ("com.amazon.coral.service#InternalFailure", "InternalFailure"),
            // Lambda's own, which the door does not say.
            Error::FunctionNotFound { .. }
            | Error::ResourceNotFound(_)
            | Error::FunctionExists { .. }
            | Error::ResourceConflict(_)
            | Error::ResourceInUse(_)
            | Error::RevisionMismatch
            | Error::InvalidParameterValue(_)
            | Error::Validation(_)
            | Error::UnreservedConcurrency { .. }
            | Error::PayloadTooLarge { .. }
            | Error::TooManyRequests { .. }
            | Error::RecursiveInvocation
            | Error::InvalidRuntime(_) => ("com.amazon.coral.service#InternalFailure", "InternalFailure"),
        };
        let sender = answer.status.is_client_error();
        Self { status: answer.status, shape, code, sender, message: error.to_string() }
    }
}

pub(crate) fn malformed(message: String) -> Fault {
    Fault {
        status: StatusCode::BAD_REQUEST,
        shape: "com.amazon.coral.service#SerializationException",
        code: "MalformedInput",
        sender: true,
        message,
    }
}

fn document(status: StatusCode, media_type: HeaderValue, bytes: Vec<u8>) -> Reply {
    let mut response = reply(status, ReplyBody::Bytes(Bytes::from(bytes)));
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
