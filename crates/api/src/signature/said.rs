//! What a request says of its signature: `Authorization`, or `X-Amz-…` in its query. Nothing here is trusted.

use std::borrow::Cow;

use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;
use lambkin_model::Error;
use lambkin_model::time::Timestamp;

use super::{ALGORITHM, SKEW, invalid};
use crate::route::query_value;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
/// Longest life of a signed address, in seconds.
const EXPIRES: u64 = 7 * 24 * 60 * 60;
/// Most characters of what a refusal repeats.
const REPEATED: usize = 100;

pub(super) struct Said<'p> {
    pub(super) key_id: String,
    /// `20260101/us-east-1/lambda/aws4_request`.
    pub(super) scope: String,
    day: String,
    pub(super) region: String,
    pub(super) service: String,
    /// As given: `host;x-amz-date`.
    pub(super) signed_headers: Cow<'p, str>,
    pub(super) signature: Cow<'p, str>,
    /// `20260101T000000Z`.
    pub(super) time: Cow<'p, str>,
    pub(super) moment: Timestamp,
    /// Of an address: seconds after which it is void.
    pub(super) expires: Option<u64>,
    pub(super) has_token: bool,
}

impl<'p> Said<'p> {
    pub(super) fn read(parts: &'p Parts) -> Result<Self, Error> {
        let query = parts.uri.query().unwrap_or_default();
        let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
        let in_query = query_value(query, "X-Amz-Signature").is_some();
        match (headers.next(), headers.next()) {
            (Some(header), None) if !in_query => {
                let header = header
                    .to_str()
                    .map_err(|_| incomplete("Authorization header has characters that are not ASCII."))?;
                Self::of_header(parts, header)
            }
            (None, _) if in_query => Self::of_query(parts, query),
            (None, _) => Err(Error::MissingAuthentication),
            (Some(_), _) => Err(incomplete("A request is signed once: by one header or in its query.")),
        }
    }

    fn of_header(parts: &'p Parts, header: &'p str) -> Result<Self, Error> {
        let (algorithm, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        check_algorithm(algorithm)?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in rest.split([',', ' ']).filter(|field| !field.is_empty()) {
            let Some((name, value)) = field.split_once('=') else {
                return Err(incomplete(&format!(
                    "'{}' is not a valid key=value pair (missing equal-sign) in Authorization header.",
                    cut(field)
                )));
            };
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(incomplete(&format!("Authorization header has two '{name}' parameters.")));
            }
        }
        let missing = |name: &str| incomplete(&format!("Authorization header requires '{name}' parameter."));
        let time = match parts.headers.get(DATE) {
            Some(time) => Cow::Borrowed(time.to_str().unwrap_or_default()),
            None => {
                return Err(incomplete(
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
                ));
            }
        };
        Self::new(
            credential.ok_or_else(|| missing("Credential"))?,
            Cow::Borrowed(signed_headers.ok_or_else(|| missing("SignedHeaders"))?),
            Cow::Borrowed(signature.ok_or_else(|| missing("Signature"))?),
            time,
            None,
            parts.headers.contains_key(TOKEN),
        )
    }

    fn of_query(parts: &'p Parts, query: &'p str) -> Result<Self, Error> {
        let need = |name: &str| {
            query_value(query, name)
                .ok_or_else(|| incomplete(&format!("AWS query-string parameters must include '{name}'.")))
        };
        check_algorithm(&need("X-Amz-Algorithm")?)?;
        let expires =
            need("X-Amz-Expires")?.parse::<u64>().ok().filter(|seconds| (1..=EXPIRES).contains(seconds));
        let expires = expires.ok_or_else(|| {
            incomplete(&format!("X-Amz-Expires must be a number of seconds from 1 to {EXPIRES}."))
        })?;
        let token = parts.headers.contains_key(TOKEN) || query_value(query, "X-Amz-Security-Token").is_some();
        Self::new(
            &need("X-Amz-Credential")?,
            need("X-Amz-SignedHeaders")?,
            need("X-Amz-Signature")?,
            need("X-Amz-Date")?,
            Some(expires),
            token,
        )
    }

    fn new(
        credential: &str,
        signed_headers: Cow<'p, str>,
        signature: Cow<'p, str>,
        time: Cow<'p, str>,
        expires: Option<u64>,
        has_token: bool,
    ) -> Result<Self, Error> {
        let (key_id, scope) = credential.split_once('/').unwrap_or((credential, ""));
        let [day, region, service, terminator] = scope.split('/').collect::<Vec<_>>()[..] else {
            return Err(incomplete(&format!(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'.",
                cut(credential)
            )));
        };
        if terminator != "aws4_request" {
            return Err(invalid(&format!(
                "Credential should be scoped with a valid terminator: 'aws4_request', not '{}'.",
                cut(terminator)
            )));
        }
        let moment = Timestamp::parse_basic(&time).ok_or_else(|| {
            incomplete(&format!("Date must be in ISO-8601 'basic format'. Got '{}'.", cut(&time)))
        })?;
        Ok(Self {
            key_id: key_id.to_owned(),
            scope: scope.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers,
            signature,
            time,
            moment,
            expires,
            has_token,
        })
    }

    pub(super) fn check_scope(&self, service: Option<&str>) -> Result<(), Error> {
        if let Some(service) = service.filter(|service| *service != self.service) {
            return Err(invalid(&format!("Credential should be scoped to correct service: '{service}'.")));
        }
        let day = self.time.get(..8).unwrap_or_default();
        if self.day != day {
            return Err(invalid(&format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{day}', from '{}'.",
                cut(&self.day),
                self.time
            )));
        }
        Ok(())
    }

    /// AWS's words: what has expired, and what is of the future.
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), Error> {
        let at = |seconds: u64| Timestamp(seconds * 1_000_000).basic();
        let (signed, now) = (self.moment.0 / 1_000_000, now.0 / 1_000_000);
        if signed > now + SKEW {
            return Err(invalid(&format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                self.time,
                at(now + SKEW),
                at(now)
            )));
        }
        match self.expires {
            Some(expires) if now > signed + expires => Err(invalid(&format!(
                "Signature expired: {} is now earlier than {}",
                at(signed + expires),
                at(now)
            ))),
            None if signed + SKEW < now => Err(invalid(&format!(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                self.time,
                at(now - SKEW),
                at(now)
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

fn check_algorithm(given: &str) -> Result<(), Error> {
    if given == ALGORITHM {
        return Ok(());
    }
    Err(incomplete(&format!("Unsupported AWS 'algorithm': '{}'.", cut(given))))
}

fn incomplete(why: &str) -> Error {
    Error::IncompleteSignature(why.into())
}

/// As much of what was given as is repeated.
fn cut(text: &str) -> &str {
    text.char_indices().nth(REPEATED).map_or(text, |(at, _)| &text[..at])
}
