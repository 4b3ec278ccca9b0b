//! The canonical request, as AWS's clients make it of what they are about to send: here of what came.

use std::fmt::Write;

use http::request::Parts;
use lambkin_model::Error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};

use super::invalid;
use super::said::Said;

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: AsciiSet = UNRESERVED.remove(b'/');
/// Most headers that are signed; clients sign some ten.
const HEADERS: usize = 64;

/// All of it but its last line, the payload's hash.
pub(super) fn request(parts: &Parts, said: &Said<'_>) -> Result<String, Error> {
    let mut text = String::with_capacity(512);
    text.push_str(parts.method.as_str());
    text.push('\n');
    // Encoded once more: every service but S3 wants it so.
    let path = normal(parts.uri.path());
    let _ = writeln!(text, "{}", utf8_percent_encode(&path, &PATH));
    query(&mut text, parts.uri.query().unwrap_or_default(), said.expires.is_some());
    headers(&mut text, parts, &said.signed_headers)?;
    text.push_str(&said.signed_headers);
    text.push('\n');
    Ok(text)
}

/// Without empty and dotted segments.
fn normal(path: &str) -> String {
    if !path.contains("//") && !path.contains("/.") {
        return path.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    let end = if path.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

fn query(text: &mut String, query: &str, signed_in_it: bool) {
    let encoded = |part: &str| {
        let bytes: Vec<u8> = percent_decode_str(part).collect();
        percent_encode(&bytes, &UNRESERVED).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(name), encoded(value))
        })
        .filter(|(name, _)| !(signed_in_it && name == "X-Amz-Signature"))
        .collect();
    pairs.sort();
    for (index, (name, value)) in pairs.iter().enumerate() {
        let _ = write!(text, "{}{name}={value}", if index == 0 { "" } else { "&" });
    }
    text.push('\n');
}

/// The signed headers, a line each, and an empty one. What AWS's protocols are steered by must be signed.
fn headers(text: &mut String, parts: &Parts, signed: &str) -> Result<(), Error> {
    let names: Vec<&str> = signed.split(';').collect();
    if names.len() > HEADERS || !names.contains(&"host") {
        return Err(invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
    }
    let unsigned =
        parts.headers.keys().map(http::HeaderName::as_str).find(|name| {
            name.starts_with("x-amz-") && *name != "x-amz-security-token" && !names.contains(name)
        });
    if let Some(name) = unsigned {
        return Err(invalid(&format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")));
    }
    for name in names {
        let mut values = parts.headers.get_all(name).iter().peekable();
        if values.peek().is_none() {
            return Err(invalid("A header that was signed is not in the request."));
        }
        let _ = write!(text, "{name}:");
        for (index, value) in values.enumerate() {
            if index > 0 {
                text.push(',');
            }
            let value = String::from_utf8_lossy(value.as_bytes());
            for (index, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
                let _ = write!(text, "{}{word}", if index == 0 { "" } else { " " });
            }
        }
        text.push('\n');
    }
    text.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, expected) in [
            ("/", "/"),
            ("/2015-03-31/functions/", "/2015-03-31/functions/"),
            ("/a/./b/../c", "/a/c"),
            ("//a//b/", "/a/b/"),
            ("/../..", "/"),
            ("/a%2Fb", "/a%2Fb"),
        ] {
            assert_eq!(normal(path), expected);
        }
    }

    #[test]
    fn queries() {
        for (given, expected) in [
            ("", "\n"),
            ("b=2&a=1", "a=1&b=2\n"),
            ("a", "a=\n"),
            ("a=b=c", "a=b%3Dc\n"),
            ("Qualifier=%24LATEST&x=a+b", "Qualifier=%24LATEST&x=a%2Bb\n"),
            ("a=2&a=1&X-Amz-Signature=0", "a=1&a=2\n"),
        ] {
            let mut text = String::new();
            query(&mut text, given, true);
            assert_eq!(text, expected);
        }
    }
}
