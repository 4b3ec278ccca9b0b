//! Which packed answers a client takes.

use http::header::ACCEPT_ENCODING;
use http::request::Parts;

pub(crate) fn takes_gzip(parts: &Parts) -> bool {
    let said = parts.headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|value| value.split(',')).any(is_gzip)
}

/// `gzip` or `gzip;q=0.5`, but not `gzip;q=0`.
fn is_gzip(coding: &str) -> bool {
    let mut words = coding.split(';').map(str::trim);
    let weight = |word: &str| word.strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
    words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"))
        && words.find_map(weight).is_none_or(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings() {
        for (accepted, expected) in [
            ("gzip", true),
            (" GZIP ;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
            ("gzipped", false),
        ] {
            assert_eq!(is_gzip(accepted), expected, "{accepted}");
        }
    }
}
