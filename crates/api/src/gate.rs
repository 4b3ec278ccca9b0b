//! Who may talk to lambkin at all: a web page must not be able to drive it (DESIGN §3). Also the
//! region, which a request carries in the scope of its credential.
//!
//! Deliberately not here: verifying signatures, and who the caller is (`callers`).

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use lambkin_model::Error;

use crate::callers::{Door, Serves};
use crate::route::query_value;

/// Checks `Host` and `Origin`; answers the host by which the client reached lambkin, with its port.
///
/// `local` is the address the connection arrived at. IP addresses are safe against DNS rebinding,
/// and of names only those that resolve to this machine whatever a name server says are taken.
///
/// Where signatures are verified a page of a rebound name can do nothing, and machines may go by any name.
pub(crate) fn host<'r>(
    parts: &'r Parts,
    listen: SocketAddr,
    door: &Door,
    verified: bool,
) -> Result<&'r str, Error> {
    let given = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    // HTTP lets an absolute URI overrule the header, so both must be ours.
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let host = authority.or(given).unwrap_or_default();
    for name in [Some(host), given].into_iter().flatten() {
        if !verified && !is_ours(name_of(name), listen.ip(), door.address) {
            return Err(Error::AccessDenied(format!(
                "lambkin does not answer to the host '{name}'. Use localhost, a loopback address or the address it listens on."
            )));
        }
    }
    // Pages of any origin may call a function's URL: its own rules are for them.
    if door.serves == Serves::Urls {
        return Ok(host);
    }
    let scheme = if door.secure { "https://" } else { "http://" };
    match parts.headers.get(ORIGIN) {
        Some(origin) if origin.to_str().ok().and_then(|origin| origin.strip_prefix(scheme)) != Some(host) => {
            Err(Error::AccessDenied("lambkin does not answer to pages of another origin.".into()))
        }
        Some(_) | None => Ok(host),
    }
}

/// The host without its port.
pub(crate) fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(host, |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

fn is_ours(name: &str, listen: IpAddr, local: IpAddr) -> bool {
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        let address = address.to_canonical();
        return address.is_loopback() || address == listen.to_canonical() || address == local.to_canonical();
    }
    name.rsplit_once('.')
        .is_some_and(|(below, top)| !below.is_empty() && top.eq_ignore_ascii_case("localhost"))
}

/// Something a web page cannot send without being asked: a signature, verified or not.
pub(crate) fn check_signed(parts: &Parts) -> Result<(), Error> {
    let query = parts.uri.query().unwrap_or_default();
    if parts.headers.contains_key(AUTHORIZATION) || query_value(query, "X-Amz-Signature").is_some() {
        Ok(())
    } else {
        Err(Error::MissingAuthentication)
    }
}

/// The region of the credential's scope, `AKID/20260101/us-east-1/lambda/aws4_request`.
pub(crate) fn region<'r>(parts: &'r Parts, default: &'r str) -> Cow<'r, str> {
    match scope(parts) {
        Some(Cow::Borrowed(scope)) => scoped(scope).unwrap_or(default).into(),
        Some(Cow::Owned(scope)) => {
            scoped(&scope).map_or_else(|| default.into(), |region| region.to_owned().into())
        }
        None => default.into(),
    }
}

/// The service of the credential's scope: `sqs`.
pub(crate) fn service(parts: &Parts) -> Option<String> {
    scope(parts)?.split(['/', ',', ' ']).nth(3).map(str::to_owned)
}

/// The id of the key that the request says it was signed with.
pub(crate) fn access_key(parts: &Parts) -> Option<String> {
    scope(parts)?.split(['/', ',', ' ']).next().map(str::to_owned)
}

/// The credential with its scope; in the header more may follow.
fn scope(parts: &Parts) -> Option<Cow<'_, str>> {
    if let Some(header) = parts.headers.get(AUTHORIZATION) {
        let scope = header.to_str().ok().and_then(|header| Some(header.split_once("Credential=")?.1))?;
        return Some(Cow::Borrowed(scope));
    }
    query_value(parts.uri.query().unwrap_or_default(), "X-Amz-Credential")
}

fn scoped(scope: &str) -> Option<&str> {
    let region = scope.split('/').nth(2)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (!region.is_empty() && region.len() <= 32 && region.bytes().all(plain)).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn hosts_and_origins() {
        let listen = "127.0.0.1:4566".parse().unwrap();
        let local = "192.168.1.7".parse().unwrap();
        let door = Door::test(local, Serves::All);
        for (host, origin, ours) in [
            ("localhost:4566", None, true),
            ("LOCALHOST", None, true),
            ("127.0.0.1:4566", None, true),
            ("127.9.9.9", None, true),
            ("[::1]:4566", None, true),
            ("192.168.1.7:4566", None, true),
            ("192.168.1.8:4566", None, false),
            ("f.localhost:4566", None, true),
            (".localhost", None, false),
            ("localhost.evil.example", None, false),
            ("evil.example", None, false),
            ("", None, false),
            ("localhost:4566", Some("http://localhost:4566"), true),
            ("localhost:4566", Some("http://localhost:3000"), false),
            ("localhost:4566", Some("https://localhost:4566"), false),
            ("localhost:4566", Some("http://evil.example"), false),
            ("localhost:4566", Some("null"), false),
        ] {
            let mut headers = vec![("host", host)];
            headers.extend(origin.map(|origin| ("origin", origin)));
            assert_eq!(
                super::host(&parts("/", &headers), listen, &door, false).is_ok(),
                ours,
                "{host} {origin:?}"
            );
        }
        assert!(super::host(&parts("/", &[]), listen, &door, false).is_err(), "no Host");
        let absolute = parts("http://evil.example/", &[("host", "localhost")]);
        assert!(super::host(&absolute, listen, &door, false).is_err(), "absolute URI");
        assert!(super::host(&absolute, listen, &door, true).is_ok(), "a name that only a signature opens");
    }

    #[test]
    fn regions() {
        let scope = |region: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=AKID/20260101/{region}/lambda/aws4_request, SignedHeaders=host"
            )
        };
        for (region, expected) in [
            ("eu-west-1", "eu-west-1"),
            ("us-gov-west-1", "us-gov-west-1"),
            ("", "us-east-1"),
            ("EU WEST", "us-east-1"),
        ] {
            let parts = parts("/", &[("authorization", &scope(region))]);
            assert_eq!(super::region(&parts, "us-east-1"), expected);
        }
        let signed = parts(
            "/?X-Amz-Credential=A%2F20260101%2Feu-north-1%2Flambda%2Faws4_request&X-Amz-Signature=0",
            &[],
        );
        assert_eq!(super::region(&signed, "us-east-1"), "eu-north-1");
        assert!(check_signed(&signed).is_ok());
        assert_eq!(super::region(&parts("/", &[("authorization", "x")]), "us-east-1"), "us-east-1");
        assert_eq!(check_signed(&parts("/", &[])), Err(Error::MissingAuthentication));
    }
}
