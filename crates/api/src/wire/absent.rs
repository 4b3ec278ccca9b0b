//! Requests for services of AWS's that lambkin does not have: each is refused in that service's own protocol, so that its client
//! can read what is missing instead of failing to read an answer.
//!
//! Deliberately not here: services that are there, and their operations.

use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use lambkin_model::Error;
use lambkin_model::invocation::RequestId;

use super::service::SERVICES;
use super::{FORM, Fault, RPC_V2_CBOR, SMITHY, TARGET, XML, cbor, document, media_type, smithy, xml};
use crate::gate;
use crate::reply::{Reply, refusal};
use crate::route::query_value;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.1");

/// A service that is not here, as its client reads refusals.
pub(crate) struct Absent {
    /// As the credential's scope names it.
    pub(crate) name: String,
    dialect: Dialect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Cbor,
    Json,
    Query,
    /// EC2's variant of it.
    Ec2,
    /// S3.
    Xml,
    /// REST with JSON, as Lambda.
    Rest,
}

/// The service that a request is signed for; `None`: one that is here.
pub(crate) fn absent(parts: &Parts) -> Option<Absent> {
    let name = gate::service(parts)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = (1..=64).contains(&name.len()) && name.bytes().all(plain);
    if !is_name || name == "lambda" || SERVICES.iter().any(|each| each.name == name) {
        return None;
    }
    let asks = || query_value(parts.uri.query().unwrap_or_default(), "Action").is_some();
    let dialect = match &*name {
        "s3" => Dialect::Xml,
        "ec2" => Dialect::Ec2,
        _ if parts.headers.get(SMITHY).is_some_and(|protocol| *protocol == RPC_V2_CBOR) => Dialect::Cbor,
        _ if parts.headers.contains_key(TARGET) => Dialect::Json,
        _ if parts.method == Method::POST && media_type(parts).eq_ignore_ascii_case(FORM) || asks() => {
            Dialect::Query
        }
        _ => Dialect::Rest,
    };
    Some(Absent { name, dialect })
}

impl Absent {
    /// What to say to whoever may ask.
    pub(crate) fn missing(&self) -> Error {
        let mut here: Vec<&str> = SERVICES.iter().map(|each| each.name).collect();
        here.sort_unstable();
        Error::UnknownOperation(format!(
            "lambkin has no service '{}': it has lambda, {}.",
            self.name,
            here.join(", ")
        ))
    }

    pub(crate) fn refusal(&self, error: &Error, request_id: RequestId) -> Reply {
        let fault = Fault::of_the_door(error);
        match self.dialect {
            Dialect::Rest => refusal(error),
            Dialect::Cbor => smithy(fault.status, cbor::refusal(&fault)),
            Dialect::Json => {
                let body = serde_json::json!({ "__type": fault.shape, "message": fault.message });
                let mut reply = document(fault.status, JSON, body.to_string().into_bytes());
                let code = fault.shape.rsplit('#').next().unwrap_or_default();
                reply.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(code));
                reply
            }
            Dialect::Query => xml_of(fault.status, xml::refusal_of(&fault, request_id)),
            Dialect::Ec2 => xml_of(fault.status, xml::refusal_of_ec2(&fault, request_id)),
            Dialect::Xml => xml_of(fault.status, xml::refusal_of_s3(&fault, request_id)),
        }
    }
}

fn xml_of(status: StatusCode, bytes: Vec<u8>) -> Reply {
    document(status, XML, bytes)
}
