//! nodejs.org's distribution over HTTP, or a mirror of it with the same layout.
//!
//! The proxy variables of the environment hold (`HTTPS_PROXY`, `NO_PROXY`). The archive's own
//! checksum is not looked at: the executable's is the one that counts.

use std::path::Path;
use std::time::Duration;

use super::{Bounds, SOURCE_DEADLINE, SourceError, Stop, Watched, archive};
use crate::progress::Progress;
use crate::table::Row;

/// Where Node.js is distributed.
pub(crate) const NODEJS_ORG: &str = "https://nodejs.org/dist";

const CONNECT: Duration = Duration::from_secs(15);
/// The longest silence in the middle of a download.
const SILENCE: Duration = Duration::from_secs(30);

/// The address of a build's archive.
fn address(base: &str, row: &Row) -> String {
    let Row { version, platform, .. } = row;
    format!("{}/v{version}/node-v{version}-{platform}.tar.gz", base.trim_end_matches('/'))
}

/// An address as it may be shown: without user and password.
pub(crate) fn shown(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rsplit_once('@').map_or(&rest[..end], |(_, host)| host);
    format!("{scheme}://{host}{}", &rest[end..])
}

/// Downloads and unpacks the build to `to`.
pub(crate) fn fetch(
    base: &str,
    row: &Row,
    to: &Path,
    bounds: Bounds,
    stop: &Stop,
) -> Result<(), SourceError> {
    let address = address(base, row);
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(SOURCE_DEADLINE))
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        // The archive is compressed already; its bytes are wanted as they are.
        .accept_encoding("identity")
        .user_agent(concat!("lambkin/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let failed = |error: ureq::Error| SourceError::Failed(format!("{}: {error}", shown(&address)));
    let response = agent.get(&address).call().map_err(failed)?;
    let body = response.into_body();
    let length = body.content_length();
    if length.is_some_and(|length| length > bounds.packed) {
        return Err(SourceError::Failed(format!(
            "{}: is larger than {} bytes",
            shown(&address),
            bounds.packed
        )));
    }
    let progress = Progress::of_bytes(&format!("Node.js {}", row.version), length);
    let reader = body.into_with_config().limit(u64::MAX).reader();
    archive::unpack(
        Watched::new(reader, bounds.packed, stop).shown_by(&progress),
        to,
        &row.sha256,
        bounds,
        stop,
    )
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(shown("https://me:secret@mirror.example/dist/v1"), "https://mirror.example/dist/v1");
        assert_eq!(shown("http://mirror.example:80/a@b"), "http://mirror.example:80/a@b");
        assert_eq!(shown("mirror"), "mirror");
    }
}
