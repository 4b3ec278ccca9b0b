//! An operation's input, put together from path, query, headers and body into one map by member
//! name, checked against the service model.

use std::borrow::Cow;

use http::request::Parts;
use lambkin_model::Error;

use crate::constraint;
use crate::jackson;
use crate::node::Node;
use crate::route::{Matched, query_value, query_values};
use crate::service_model::{Kind, Location, MODEL};

/// Reads and checks. Members of the body that the model does not know are ignored, as AWS does.
pub(crate) fn read<'a>(
    matched: &Matched<'_, 'a>,
    parts: &'a Parts,
    body: &'a [u8],
) -> Result<Node<'a>, Error> {
    let members = MODEL.members(matched.operation);
    let mut input = Vec::with_capacity(members.len());
    if !body.is_empty() {
        let Node::Map(given) = Node::read(body).map_err(|error| unreadable(body, &error))? else {
            return Err(Error::Serialization("Expected structure or null".into()));
        };
        let known = |name: &str| {
            members.iter().any(|member| *member.name == *name && matches!(member.location, Location::Body))
        };
        input.extend(given.into_iter().filter(|(name, _)| known(name)));
    }
    let query = parts.uri.query().unwrap_or_default();
    for member in members {
        // Whose turn it is reads it; that it is there, if empty, is sure.
        if matches!(member.location, Location::Payload)
            && matches!(MODEL.shape(member.shape).kind, Kind::Blob)
        {
            input.push((Cow::Borrowed(&*member.name), Node::Text(Cow::Borrowed(""))));
            continue;
        }
        // `tagKeys=a&tagKeys=b`.
        if let (Location::Query(wire), Kind::List(_)) = (&member.location, &MODEL.shape(member.shape).kind) {
            let items: Vec<Node<'_>> = query_values(query, wire).map(Node::Text).collect();
            if !items.is_empty() {
                input.push((Cow::Borrowed(&*member.name), Node::List(items)));
            }
            continue;
        }
        let text = match &member.location {
            Location::Body | Location::Payload => None,
            Location::Uri(wire) => matched.label(wire),
            Location::Query(wire) => query_value(query, wire),
            Location::Header(wire) => {
                parts.headers.get(&**wire).map(|value| String::from_utf8_lossy(value.as_bytes()))
            }
        };
        let Some(text) = text else { continue };
        let value = match MODEL.shape(member.shape).kind {
            Kind::Integer => text.parse().map_or(Node::Text(text), Node::Integer),
            Kind::Boolean if text.eq_ignore_ascii_case("true") => Node::Boolean(true),
            Kind::Boolean if text.eq_ignore_ascii_case("false") => Node::Boolean(false),
            Kind::Text
            | Kind::Double
            | Kind::Boolean
            | Kind::Blob
            | Kind::Timestamp
            | Kind::List(_)
            | Kind::Map { .. }
            | Kind::Structure(_) => Node::Text(text),
        };
        input.push((Cow::Borrowed(&*member.name), value));
    }
    let input = Node::Map(input);
    constraint::check(&MODEL, matched.operation, &input)?;
    Ok(input)
}

fn unreadable(body: &[u8], error: &serde_json::Error) -> Error {
    let why = jackson::complaint(body).unwrap_or_else(|| error.to_string());
    Error::Serialization(format!("Could not parse request body into json: {why}"))
}
